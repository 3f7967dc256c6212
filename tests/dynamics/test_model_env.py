"""Penalised model steps, against the original and by hand."""

import numpy as np
import pytest

from mopo_tf2.dynamics.model_env import ModelEnvironment, draw_noise
from mopo_tf2.dynamics.termination import TERMINATION_FUNCTIONS
from mopo_tf2.errors import InputError

DOMAINS = ["hopper", "halfcheetah", "walker2d"]
PENALTIES = ["none", "learned_var", "disagreement"]
MODES = ["stochastic", "deterministic"]
# One domain meets every combination; the others differ in sizes and ends only.
COMBINATIONS = [("hopper", penalty, mode) for penalty in PENALTIES for mode in MODES]
COMBINATIONS += [(domain, "learned_var", "stochastic") for domain in DOMAINS[1:]]
COMBINATIONS += [("walker2d", "disagreement", "deterministic")]


@pytest.fixture(scope="module")
def recording(load_recording):
    return load_recording("fake_env_step")


@pytest.fixture(scope="module")
def environment(recording, recorded_ensemble):
    """Return the environment of a domain and penalty, one object each, so compiled once."""
    made = {}

    def make(domain, penalty, chunk_size=16):
        key = domain, penalty, chunk_size
        if key not in made:
            elites = [int(member) for member in recording[f"{domain}/elites"]]
            ensemble = recorded_ensemble(recording, f"{domain}/params/", num_elites=len(elites))
            ensemble.elites = elites
            made[key] = ModelEnvironment(
                ensemble,
                TERMINATION_FUNCTIONS[domain],
                penalty_coeff=0.0 if penalty == "none" else float(recording["penalty_coeff"]),
                penalty_learned_var=penalty == "learned_var",
                chunk_size=chunk_size,
            )
        return made[key]

    return make


@pytest.fixture
def hopper_step(recording, environment):
    """Return a step from the recorded hopper states with the recorded seed."""

    def step(chunk_size=16, observations=recording["hopper/obs"]):
        return environment("hopper", "learned_var", chunk_size).step(
            observations, recording["hopper/act"], np.random.RandomState(recording["numpy_seed"])
        )

    return step


@pytest.fixture(scope="module", params=COMBINATIONS, ids="/".join)
def combination(request, recording, environment):
    """Our step and the arrays of the recorded one."""
    domain, penalty, mode = request.param
    step = environment(domain, penalty).step(
        recording[f"{domain}/obs"],
        recording[f"{domain}/act"],
        np.random.RandomState(int(recording["numpy_seed"])),
        deterministic=mode == "deterministic",
    )
    prefix = "/".join(request.param) + "/"
    expected = {k.removeprefix(prefix): v for k, v in recording.items() if k.startswith(prefix)}
    return step, expected


def test_next_observations_equal_those_of_the_original(combination):
    step, expected = combination
    got = step.next_observations
    np.testing.assert_allclose(got, expected["next_obs"], rtol=1e-5, atol=2e-6)


def test_rewards_equal_those_of_the_original(combination):
    step, expected = combination
    np.testing.assert_allclose(step.rewards, expected["rewards"], rtol=1e-5, atol=2e-6)
    raw = expected["info/unpenalized_rewards"]
    np.testing.assert_allclose(step.raw_rewards, raw, rtol=1e-5, atol=1e-6)


def test_terminals_equal_those_of_the_original(combination):
    step, expected = combination
    np.testing.assert_array_equal(step.terminals, expected["terminals"])


def test_penalties_equal_those_of_the_original(combination):
    step, expected = combination
    penalties = expected.get("info/penalty", np.zeros_like(step.penalties))
    np.testing.assert_allclose(step.penalties, penalties, rtol=1e-5, atol=1e-6)


def test_mean_and_stddev_equal_those_of_the_original(combination):
    step, expected = combination
    # The original's column 1 is 'done', always 0.
    mean, std = (np.delete(expected[f"info/{name}"], 1, axis=1) for name in ("mean", "std"))
    np.testing.assert_allclose(step.means, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(step.stds, std, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_single_state_gives_what_the_original_gives(recording, environment, domain):
    step = environment(domain, "learned_var").step(
        recording[f"{domain}/obs"][0],
        recording[f"{domain}/act"][0],
        np.random.RandomState(int(recording["single_numpy_seed"])),
    )
    for name, field in (("next_obs", step.next_observations), ("rewards", step.rewards)):
        expected = recording[f"{domain}/single/{name}"]
        np.testing.assert_allclose(field, expected, rtol=1e-5, atol=1e-6)
        assert field.shape == expected.shape
    np.testing.assert_array_equal(step.terminals, recording[f"{domain}/single/terminals"])


def test_noise_is_drawn_for_all_members_before_the_members_are(environment):
    ensemble = environment("hopper", "none").ensemble
    noise, members = draw_noise(np.random.RandomState(3), ensemble, rows=6)
    expected = np.random.RandomState(3)
    drawn = expected.normal(size=(ensemble.num_networks, 6, ensemble.output_dim))
    np.testing.assert_array_equal(members, expected.choice(ensemble.elites, size=6))
    np.testing.assert_array_equal(noise, drawn[members, np.arange(6)])


def test_deterministic_steps_draw_nothing(recording, environment):
    random_state = np.random.RandomState(4)
    environment("hopper", "none").step(
        recording["hopper/obs"], recording["hopper/act"], random_state, deterministic=True
    )
    assert random_state.randint(10**9) == np.random.RandomState(4).randint(10**9)


def test_chunk_size_has_no_effect(hopper_step):
    whole, chunked = hopper_step(chunk_size=64), hopper_step(chunk_size=16)
    for name, got, expected in zip(whole._fields, chunked, whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_only_elites_answer(recording, environment, hopper_step, monkeypatch):
    ensemble = environment("hopper", "learned_var").ensemble
    monkeypatch.setattr(ensemble, "elites", [4])
    inputs = np.concatenate([recording["hopper/obs"], recording["hopper/act"]], axis=1)
    mean, _ = ensemble.predict(inputs)
    np.testing.assert_allclose(hopper_step().means[:, :1], mean[4, :, :1], rtol=1e-5, atol=1e-6)


def test_members_that_are_no_elites_count_in_the_penalty(
    recording, environment, hopper_step, monkeypatch
):
    ensemble = environment("hopper", "learned_var").ensemble
    inputs = np.concatenate([recording["hopper/obs"], recording["hopper/act"]], axis=1)
    norms = np.sqrt(np.asarray(ensemble.predict(inputs)[1]).sum(axis=2))
    monkeypatch.setattr(ensemble, "elites", [int(norms.mean(axis=1).argmin())])
    penalties = hopper_step().penalties[:, 0]
    np.testing.assert_allclose(penalties, norms.max(axis=0), rtol=1e-5)
    assert (penalties > norms[ensemble.elites[0]]).any()


def test_rewards_are_lowered_by_the_penalty_times_its_coefficient(recording, hopper_step):
    step = hopper_step()
    expected = step.raw_rewards - float(recording["penalty_coeff"]) * step.penalties
    np.testing.assert_allclose(step.rewards, expected, rtol=1e-6)


def test_states_keep_double_precision(recording, hopper_step):
    step = hopper_step()
    assert step.next_observations.dtype == np.float64
    assert (step.next_observations != step.next_observations.astype(np.float32)).any()


def test_states_are_not_rounded_before_the_change_is_added(recording, hopper_step):
    exact = recording["hopper/obs"].astype(np.float64)
    # Float32 numbers near 1000 are 6e-5 apart; the network sees the rounded state either way.
    exact[:, 4] = 1000 + np.random.RandomState(0).uniform(size=len(exact))
    rounded = exact.astype(np.float32)
    got, other = (hopper_step(observations=states).means[:, 5] for states in (exact, rounded))
    assert 0 < np.abs(got - other).max() < 2e-4


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda rows: np.zeros((rows, 1)), r"float64 \(40, 1\)"),
        (lambda rows: np.zeros(rows, bool), r"bool \(40,\)"),
        (lambda rows: None, r"object \(\)"),
    ],
)
def test_termination_functions_must_return_a_column_of_bools(
    environment, hopper_step, monkeypatch, returned, told
):
    def termination_fn(observations, actions, next_observations):
        return returned(len(observations))

    monkeypatch.setattr(environment("hopper", "learned_var"), "termination_fn", termination_fn)
    with pytest.raises(InputError, match=rf"must return bool \(40, 1\), got {told}"):
        hopper_step()
