"""A recording set of other sizes, coefficients and seeds, without a README, checks as well."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mopo_tf2.algorithms.sac import SAC
from mopo_tf2.config import SACConfig
from mopo_tf2.types import Transitions
from parity.__main__ import main

COLUMNS = Transitions._fields


def write_set(folder: Path, cases: dict[str, dict[str, Any]]) -> None:
    entries = {}
    for name, arrays in cases.items():
        np.savez_compressed(folder / f"{name}.npz", **arrays)
        data = (folder / f"{name}.npz").read_bytes()
        entries[name] = {"file": f"{name}.npz", "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"cases": entries}))


def transitions(rows: int, obs_dim: int, act_dim: int, seed: int) -> dict[str, np.ndarray]:
    random_state = np.random.RandomState(seed)
    widths = (obs_dim, act_dim, obs_dim, 1)
    columns = [random_state.normal(size=(rows, width)).astype(np.float32) for width in widths]
    terminals = random_state.uniform(size=(rows, 1)) < 0.2
    return dict(zip(COLUMNS, [*columns, terminals], strict=True))


def layer_case() -> dict[str, np.ndarray]:
    """Two members of 3 -> 7 units, by NumPy in float64."""
    random_state = np.random.RandomState(3)
    kernel, bias = random_state.normal(size=(2, 3, 7)), random_state.normal(size=(2, 1, 7))
    shared, own = random_state.normal(size=(4, 3)), random_state.normal(size=(2, 4, 3))
    arrays = {"weights": kernel, "biases": bias, "input_2d": shared, "input_3d": own}
    arrays["weight_decay"] = np.array(0.25)
    for name, activation in (("linear", lambda x: x), ("tanh", np.tanh)):
        arrays[f"{name}/output_2d"] = activation(shared @ kernel + bias)
        arrays[f"{name}/output_3d"] = activation(own @ kernel + bias)
        arrays[f"{name}/decay"] = 0.25 * (kernel**2).sum() / 2
    return {name: np.asarray(values, np.float32) for name, values in arrays.items()}


def pool_case() -> dict[str, np.ndarray]:
    """Seven rows and then six into a pool of nine, by NumPy."""
    source, splits = transitions(13, 4, 2, seed=5), [0, 7, 13]
    arrays = {f"source/{name}": column for name, column in source.items()}
    arrays["source/rewards"] = source["rewards"][:, 0]
    arrays["source/terminals"] = source["terminals"][:, 0]
    arrays |= {"max_size": np.int64(9), "numpy_seed": np.int64(40), "splits": np.array(splits)}
    stored = (np.arange(7), np.array([9, 10, 11, 12, 4, 5, 6, 7, 8]))
    for k, (rows, pointer) in enumerate(zip(stored, (7, 4), strict=True)):
        indices = np.random.RandomState(40 + k).randint(0, len(rows), 5)
        arrays[f"after_{k}/pointer"], arrays[f"after_{k}/size"] = np.int64(pointer), len(rows)
        arrays[f"after_{k}/random_indices"] = indices
        for name, column in source.items():
            arrays[f"after_{k}/{name}"] = column[rows]
            arrays[f"after_{k}/random_batch/{name}"] = column[rows][indices]
    return arrays


def weights_of(sac: SAC, prefix: str) -> dict[str, np.ndarray]:
    networks = {"policy": sac.policy.get_weights()}
    for critic in range(2):
        networks[f"q{critic + 1}"] = sac.critics.critic_weights(critic)
        networks[f"target_q{critic + 1}"] = sac.target_critics.critic_weights(critic)
    named = {
        f"{prefix}/{name}/{i}": weight
        for name, weights in networks.items()
        for i, weight in enumerate(weights)
    }
    return {**named, f"{prefix}/log_alpha": sac.log_alpha.numpy()}


def sac_case() -> dict[str, np.ndarray]:
    """Three hidden layers, batches of 6, three steps: the port's own numbers, to the shapes."""
    steps, batch, act_dim = 3, 6, 2
    source = transitions(20, 5, act_dim, seed=7)
    source["actions"] = np.tanh(source["actions"])
    settings = {"lr": 1e-3, "discount": 0.9, "tau": 0.1, "target_entropy": -1.5}
    sac = SAC(5, act_dim, SACConfig(hidden_layer_sizes=(8, 7, 6), batch_size=batch, **settings))
    random_state = np.random.RandomState(8)
    indices = random_state.randint(20, size=(steps, batch))
    noise = random_state.normal(size=(2, steps, batch, act_dim)).astype(np.float32)
    arrays = {f"source/{name}": column for name, column in source.items()}
    arrays |= {"batch_indices": indices, "hidden_layer_sizes": np.array([8, 7, 6])}
    arrays |= {"step_actor_latents": noise[0], "step_critic_latents": noise[1]}
    arrays |= {name: np.float64(value) for name, value in settings.items() if name != "lr"}
    arrays["learning_rate"] = np.float64(settings["lr"])
    arrays |= weights_of(sac, "initial")
    batches = Transitions(*(column[indices] for column in source.values()))
    arrays |= losses_of(sac, Transitions(*(column[0] for column in batches)), *noise[:, 0])
    diagnostics = []
    for k in range(steps):
        step = Transitions(*(column[k : k + 1] for column in batches))
        found = sac.diagnostics(Transitions(*(column[0] for column in step)), *noise[:, k])
        sac.update_block(step, noise[0, k : k + 1], noise[1, k : k + 1])
        diagnostics.append([found["Q-avg"], found["Q_loss"], np.exp(sac.log_alpha.numpy())])
        arrays |= weights_of(sac, f"after_{k + 1}_steps") if k != 1 else {}
    arrays["step_q_mean__q_loss__alpha"] = np.array(diagnostics, np.float32)
    return arrays


def losses_of(sac: SAC, batch: Transitions, noise: Any, next_noise: Any) -> dict[str, np.ndarray]:
    losses, gradients = sac.losses_and_gradients(batch, noise, next_noise)
    actions, log_pi = sac.policy.sample(batch.observations, noise)
    found = {
        "actor_latents": noise,
        "critic_latents": next_noise,
        "sampled_actions": actions.numpy(),
        "log_pis": log_pi.numpy(),
        "q_target": sac.target(batch, next_noise).numpy(),
        "policy_loss": losses["policy"].numpy(),
        "alpha_loss": losses["temperature"].numpy(),
        "gradients/log_alpha": gradients["temperature"][0].numpy(),
    }
    for i, gradient in enumerate(gradients["policy"]):
        found[f"gradients/policy/{i}"] = gradient.numpy()
    for critic in range(2):
        found[f"q{critic + 1}_loss"] = losses["critics"][critic].numpy()
        for i, gradient in enumerate(gradients["critics"]):
            values = gradient.numpy()[critic]
            found[f"gradients/q{critic + 1}/{i}"] = values[0] if i % 2 else values
    return {f"losses/{name}": values for name, values in found.items()}


def run(folder: Path, name: str) -> int:
    return main(["--recordings", str(folder), "--case", name])


@pytest.mark.parametrize(
    ("name", "make"),
    [("fc_layer", layer_case), ("replay_pool", pool_case), ("sac_updates", sac_case)],
)
def test_other_sizes_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, make: Any
) -> None:
    write_set(tmp_path, {name: make()})
    assert run(tmp_path, name) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "make", "changed"),
    [
        ("fc_layer", layer_case, "tanh/output_3d"),
        ("replay_pool", pool_case, "after_1/actions"),
    ],
)
def test_changes_at_other_sizes_miss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, make: Any, changed: str
) -> None:
    arrays = make()
    arrays[changed] = arrays[changed] + np.float32(0.01)
    write_set(tmp_path, {name: arrays})
    assert run(tmp_path, name) == 1
    assert changed in capsys.readouterr().out
