from pathlib import Path

import pytest

from experiments.run_spec import named_spec
from experiments.sweeps.options import parse_datasets, parse_grid
from experiments.sweeps.plan import (
    SUITES,
    SweepRequest,
    check_folder,
    plan_trials,
    read_plan,
    write_plan,
)
from mopo_tf2.errors import InputError

TASKS = ("halfcheetah_mixed", "hopper_mixed")


def request(**changes: object) -> SweepRequest:
    return SweepRequest(**{"tasks": TASKS, "seeds": 2, **changes})  # type: ignore[arg-type]


def test_trials_are_nested_by_task_and_seed() -> None:
    trials = plan_trials(request())
    assert [trial.folder for trial in trials] == [
        "halfcheetah_mixed/seed_0",
        "halfcheetah_mixed/seed_1",
        "hopper_mixed/seed_0",
        "hopper_mixed/seed_1",
    ]
    assert [trial.spec.seed for trial in trials] == [0, 1, 0, 1]
    assert trials[2].spec == named_spec("hopper_mixed")


def test_the_suite_is_the_papers_table() -> None:
    trials = plan_trials(request(tasks=SUITES["d4rl"], seeds=3))
    assert len(trials) == 36
    assert len({trial.spec.dataset for trial in trials}) == 12


def test_settings_reach_every_trial() -> None:
    trials = plan_trials(request(settings={"n_epochs": "7", "hidden_dim": "16"}))
    assert {trial.spec.algorithm.n_epochs for trial in trials} == {7}
    assert {trial.spec.algorithm.ensemble.hidden_dim for trial in trials} == {16}


def test_a_grid_is_every_combination_in_folders_of_its_own() -> None:
    trials = plan_trials(request(tasks=["hopper_mixed"], seeds=1, grid=["shipped"]))
    assert len(trials) == 8
    assert trials[0].folder == "hopper_mixed/rollout_length=1,penalty_coeff=0.5/seed_0"
    found = {(t.spec.algorithm.rollout_length, t.spec.algorithm.penalty_coeff) for t in trials}
    assert found == {(h, c) for h in (1, 5) for c in (0.5, 1.0, 2.0, 5.0)}


def test_values_with_commas_are_separated_by_semicolons() -> None:
    grid = ["hidden_layer_sizes=16,16;32,32"]
    trials = plan_trials(request(tasks=["hopper_mixed"], seeds=1, grid=grid))
    assert [trial.spec.algorithm.sac.hidden_layer_sizes for trial in trials] == [(16, 16), (32, 32)]
    assert trials[1].folder == "hopper_mixed/hidden_layer_sizes=32x32/seed_0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ["hoper_mixed"]}, "did you mean hopper_mixed"),
        ({"tasks": []}, "needs tasks"),
        ({"tasks": ["hopper_mixed", "hopper_mixed"]}, "hopper_mixed twice"),
        ({"seeds": 0}, "--seeds"),
        ({"settings": {"rollout_lenght": "1"}}, "'rollout_length'"),
        ({"grid": ["rollout_lenght=1,5"]}, "'rollout_length'"),
        ({"grid": ["rollout_length=one"]}, "whole number"),
        ({"grid": ["rollout_length"]}, "shipped"),
        ({"grid": ["rollout_length=,"]}, "KEY=V1,V2"),
        ({"grid": ["rollout_length=1,1"]}, "1 twice"),
        ({"grid": ["penalty_coeff=1,1.0"]}, "the same"),
        ({"grid": ["shipped", "penalty_coeff=3"]}, "penalty_coeff is set twice"),
        ({"grid": ["penalty_coeff=3"], "settings": {"penalty_coeff": "1"}}, "set twice"),
        ({"share_model": True}, "--share-model"),
        ({"share_model": True, "grid": ["hidden_dim=16,32"]}, "--share-model"),
    ],
)
def test_an_unfit_request_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_trials(request(**changes))


def test_a_grid_is_read_in_its_order() -> None:
    assert parse_grid(["b=1,2", "a= 3 ,4"], {}) == {"b": ["1", "2"], "a": ["3", "4"]}


def test_datasets_of_one_task_go_before_the_one_for_all(tmp_path: Path) -> None:
    found = parse_datasets(["all.hdf5", f"hopper_mixed={tmp_path / 'h.hdf5'}"], TASKS)
    assert found == {
        "halfcheetah_mixed": str(Path("all.hdf5").absolute()),
        "hopper_mixed": str(tmp_path / "h.hdf5"),
    }


def test_a_dataset_may_be_an_id() -> None:
    trials = plan_trials(request(datasets=["halfcheetah_mixed=halfcheetah-sac-replay-v0"]))
    assert trials[0].spec.dataset == "halfcheetah-sac-replay-v0"
    assert trials[2].spec.dataset == "hopper-medium-replay-v0"


def test_a_path_with_an_equals_sign_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.hdf5").touch()
    assert parse_datasets(["a=b.hdf5"], TASKS)["hopper_mixed"] == str(tmp_path / "a=b.hdf5")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["hoper_mixed=x.hdf5"], "did you mean hopper_mixed"),
        (["a.hdf5", "b.hdf5"], "TASK=PATH"),
        (["hopper_mixed=a", "hopper_mixed=b"], "one dataset"),
        (["hopper_mixed="], "one dataset"),
    ],
)
def test_an_unfit_dataset_option_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_datasets(texts, TASKS)


def test_trials_that_differ_in_the_policy_only_share_an_ensemble() -> None:
    trials = plan_trials(
        request(tasks=["hopper_mixed"], grid=["penalty_coeff=1,5"], share_model=True)
    )
    assert [(trial.folder, trial.model_only, trial.model_folder) for trial in trials] == [
        ("hopper_mixed/model_seed_0", True, None),
        ("hopper_mixed/model_seed_1", True, None),
        ("hopper_mixed/penalty_coeff=1/seed_0", False, "hopper_mixed/model_seed_0"),
        ("hopper_mixed/penalty_coeff=1/seed_1", False, "hopper_mixed/model_seed_1"),
        ("hopper_mixed/penalty_coeff=5/seed_0", False, "hopper_mixed/model_seed_0"),
        ("hopper_mixed/penalty_coeff=5/seed_1", False, "hopper_mixed/model_seed_1"),
    ]


def test_trials_that_differ_in_the_ensemble_do_not_share_it() -> None:
    trials = plan_trials(
        request(
            tasks=["hopper_mixed"],
            seeds=1,
            grid=["penalty_coeff=1,5", "hidden_dim=16,32"],
            share_model=True,
        )
    )
    models = [trial for trial in trials if trial.model_only]
    assert [trial.folder for trial in models] == [
        "hopper_mixed/hidden_dim=16/model_seed_0",
        "hopper_mixed/hidden_dim=32/model_seed_0",
    ]
    sizes = {trial.folder: trial.spec.algorithm.ensemble for trial in models}
    others = [trial for trial in trials if not trial.model_only]
    assert len(others) == 4
    for trial in others:
        assert trial.model_folder is not None
        assert trial.spec.algorithm.ensemble == sizes[trial.model_folder]


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    asked = request(grid=["shipped", "hidden_layer_sizes=16,16;32,32"], share_model=True)
    trials = plan_trials(asked)
    write_plan(tmp_path, asked, trials)
    assert read_plan(tmp_path) == trials


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trials": [1]}', '{"trials": [{}]}'])
def test_a_damaged_plan_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(InputError, match=r"sweep\.json"):
        read_plan(tmp_path)


def test_a_sweep_is_resumed_on_demand_only(tmp_path: Path) -> None:
    asked = request()
    trials = plan_trials(asked)
    with pytest.raises(InputError, match="holds no sweep"):
        check_folder(tmp_path, trials, resume=True)
    check_folder(tmp_path, trials, resume=False)
    write_plan(tmp_path, asked, trials)
    with pytest.raises(InputError, match="--resume"):
        check_folder(tmp_path, trials, resume=False)
    check_folder(tmp_path, trials, resume=True)


def test_a_resumed_sweep_may_grow(tmp_path: Path) -> None:
    asked = request()
    write_plan(tmp_path, asked, plan_trials(asked))
    more = request(
        tasks=[*TASKS, "walker2d_mixed"],
        seeds=3,
        settings={"n_epochs": "2000", "checkpoint_frequency": "5"},
    )
    check_folder(tmp_path, plan_trials(more), resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 1}, "seed_1"),
        ({"tasks": ["hopper_mixed"]}, "halfcheetah_mixed/seed_0"),
        ({"settings": {"rollout_length": "3"}}, "rollout_length = 5 there and 3 here"),
        ({"datasets": ["other.hdf5"]}, "dataset"),
    ],
)
def test_a_resumed_sweep_cannot_become_another(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    asked = request()
    write_plan(tmp_path, asked, plan_trials(asked))
    with pytest.raises(InputError, match=message):
        check_folder(tmp_path, plan_trials(request(**changes)), resume=True)


def test_a_run_in_the_way_of_a_new_sweep_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "hopper_mixed" / "seed_1"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{}")
    with pytest.raises(InputError, match="holds a run already"):
        check_folder(tmp_path, plan_trials(request()), resume=False)


def test_algorithms_are_folders_and_specs_of_their_own() -> None:
    trials = plan_trials(request(tasks=["hopper_mixed"], seeds=1, algorithms=["mopo", "bc"]))
    assert [trial.folder for trial in trials] == ["hopper_mixed/seed_0", "hopper_mixed-bc/seed_0"]
    assert [trial.spec.method for trial in trials] == ["mopo", "bc"]


def test_methods_that_differ_in_the_penalty_share_an_ensemble() -> None:
    methods = ["mopo", "mbpo", "mopo-one-network", "bc"]
    trials = plan_trials(
        request(tasks=["hopper_mixed"], seeds=1, algorithms=methods, share_model=True)
    )
    models = {trial.folder: trial.model_folder for trial in trials}
    assert models == {
        "hopper_mixed/model_seed_0": None,
        "hopper_mixed/seed_0": "hopper_mixed/model_seed_0",
        "hopper_mixed-mbpo/seed_0": "hopper_mixed/model_seed_0",
        "hopper_mixed-mopo-one-network/seed_0": None,
        "hopper_mixed-bc/seed_0": None,
    }


@pytest.mark.parametrize(
    ("algorithms", "message"), [(["mobo"], "did you mean mopo"), (["bc", "bc"], "bc twice")]
)
def test_unfit_algorithms_are_refused(algorithms: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_trials(request(algorithms=algorithms))


def test_a_plan_with_methods_is_read_as_it_was_written(tmp_path: Path) -> None:
    asked = request(algorithms=["mbpo", "morel"])
    trials = plan_trials(asked)
    write_plan(tmp_path, asked, trials)
    assert read_plan(tmp_path) == trials
