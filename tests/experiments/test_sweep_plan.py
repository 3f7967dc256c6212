import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.run_folder import RunFolder
from experiments.run_spec import build_spec, spec_to_dict
from experiments.sweep_plan import SWEEP_FILE, Trial, check_folder, plan_trials, read_plan
from mopo_tf2.configs.d4rl import TASKS as SUITE
from mopo_tf2.errors import InputError

TASKS = ("halfcheetah_mixed", "hopper_mixed")


def plan(tasks: Any = TASKS, seeds: int = 2, **options: Any) -> list[Trial]:
    return plan_trials(tasks, seeds, **options)


def of_hopper(**options: Any) -> list[Trial]:
    return plan(["hopper_mixed"], 1, **options)


def write(out: Path, trials: list[Trial]) -> None:
    """Write sweep.json in the form that the first version wrote."""
    plans = [{**dataclasses.asdict(trial), "spec": spec_to_dict(trial.spec)} for trial in trials]
    (out / SWEEP_FILE).write_text(json.dumps({"asked": {"seeds": 2}, "trials": plans}))


def test_trials_are_nested_by_task_method_and_seed() -> None:
    trials = plan(algorithms=["mopo", "bc"])
    assert [trial.folder for trial in trials] == [
        f"{task}{method}/seed_{seed}" for task in TASKS for method in ("", "-bc") for seed in (0, 1)
    ]
    assert [trial.spec.seed for trial in trials] == [0, 1] * 4
    assert [trial.spec.method for trial in trials[:4]] == ["mopo", "mopo", "bc", "bc"]
    assert trials[0].spec == build_spec("halfcheetah_mixed")


def test_the_suite_has_twelve_datasets() -> None:
    assert len({trial.spec.dataset for trial in plan(tuple(SUITE), 3)}) == 12


def test_a_file_is_a_task_of_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(spec_to_dict(build_spec("hopper_mixed", {"method": "bc"}))))
    (trial,) = plan([str(path)], 1)
    assert (trial.folder, trial.spec.method) == ("mine/seed_0", "bc")


def test_a_plain_setting_goes_to_the_methods_that_have_it() -> None:
    settings = {
        "mopo.hidden_dim": "16",
        "bc.policy_lr": "1e-4",
        "hidden_dim": "32",
        "n_epochs": "7",
    }
    mopo, mbpo, bc = of_hopper(algorithms=["mopo", "mbpo", "bc"], settings=settings)
    assert mopo.spec.algorithm.ensemble.hidden_dim == 16  # type: ignore[attr-defined]
    assert mbpo.spec.algorithm.ensemble.hidden_dim == 32  # type: ignore[attr-defined]
    assert bc.spec.algorithm.policy_lr == 1e-4  # type: ignore[attr-defined]
    assert {trial.spec.algorithm.n_epochs for trial in (mopo, mbpo, bc)} == {7}


def test_what_a_method_fixes_is_set_in_the_others() -> None:
    mopo, mbpo = of_hopper(algorithms=["mopo", "mbpo"], settings={"penalty_coeff": "2"})
    coefficients = [trial.spec.algorithm.penalty_coeff for trial in (mopo, mbpo)]  # type: ignore[attr-defined]
    assert coefficients == [2.0, 0.0]
    with pytest.raises(InputError, match="by the definition of this method"):
        of_hopper(algorithms=["mbpo"], settings={"penalty_coeff": "2"})


def test_a_grid_is_every_combination_in_folders_of_its_own() -> None:
    trials = of_hopper(grid=["shipped"])
    assert trials[0].folder == "hopper_mixed/rollout_length=1,penalty_coeff=0.5/seed_0"
    found = [(t.spec.algorithm.rollout_length, t.spec.algorithm.penalty_coeff) for t in trials]  # type: ignore[attr-defined]
    assert found == [(h, c) for h in (1, 5) for c in (0.5, 1.0, 2.0, 5.0)]


def test_a_grid_multiplies_the_trials_of_the_methods_that_have_its_fields() -> None:
    grid = ["penalty_coeff=1, 5", "bc.policy_lr=1e-3,1e-4", "n_epochs=7"]
    trials = of_hopper(algorithms=["mopo", "mbpo", "bc"], grid=grid)
    assert [trial.folder for trial in trials] == [
        "hopper_mixed/penalty_coeff=1,n_epochs=7/seed_0",
        "hopper_mixed/penalty_coeff=5,n_epochs=7/seed_0",
        "hopper_mixed-mbpo/n_epochs=7/seed_0",
        "hopper_mixed-bc/policy_lr=1e-3,n_epochs=7/seed_0",
        "hopper_mixed-bc/policy_lr=1e-4,n_epochs=7/seed_0",
    ]


def test_values_with_commas_are_separated_by_semicolons() -> None:
    trials = of_hopper(grid=["hidden_layer_sizes=16,16;32,32"])
    assert [t.spec.algorithm.sac.hidden_layer_sizes for t in trials] == [(16, 16), (32, 32)]  # type: ignore[attr-defined]
    assert trials[1].folder == "hopper_mixed/hidden_layer_sizes=32x32/seed_0"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tasks": ["hoper_mixed"]}, "did you mean hopper_mixed"),
        ({"tasks": []}, "--tasks"),
        ({"tasks": ["hopper_mixed", "hopper_mixed"]}, "hopper_mixed/seed_0"),
        ({"seeds": 0}, "--seeds"),
        ({"algorithms": ["mobo"]}, "did you mean mopo"),
        ({"algorithms": ["bc", "bc"]}, "hopper_mixed-bc/seed_0"),
        ({"settings": {"rollout_lenght": "1"}}, "'rollout_length'"),
        ({"settings": {"bc.policy_lr": "1"}}, "not trained here"),
        ({"grid": ["rollout_lenght=1,5"]}, "'rollout_length'"),
        ({"grid": ["rollout_length=one"]}, "whole number"),
        ({"grid": ["rollout_length"]}, "shipped"),
        ({"grid": ["rollout_length=,"]}, "KEY=V1,V2"),
        ({"grid": ["rollout_length=1,1"]}, "the same run"),
        ({"grid": ["penalty_coeff=1,1.0"]}, "the same run"),
        ({"grid": ["shipped", "penalty_coeff=3"]}, "penalty_coeff is set twice"),
        ({"grid": ["lr=3"], "settings": {"lr": "1"}}, "lr is set twice"),
        ({"share_model": True}, "--share-model"),
        ({"share_model": True, "grid": ["hidden_dim=16,32"]}, "--share-model"),
        ({"datasets": ["hoper_mixed=x.hdf5"]}, "hopper_mixed"),
        ({"datasets": ["a.hdf5", "b.hdf5"]}, "TASK=PATH"),
        ({"datasets": ["hopper_mixed=a", "hopper_mixed=b"]}, "TASK=PATH"),
        ({"datasets": ["hopper_mixed="]}, "TASK=PATH"),
    ],
)
def test_an_invalid_request_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        plan(**{"tasks": ["hopper_mixed"], **options})


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"seeds": 10**12}, "1,000,000,000,000 trials"),
        ({"seeds": 5, "grid": [f"lr={','.join(map(str, range(1, 2002)))}"]}, "10,005 trials"),
    ],
)
def test_too_many_trials_are_refused_at_once(options: dict[str, Any], count: str) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match=count):
        plan(**{"tasks": ["hopper_mixed"], **options})
    assert time.monotonic() - start < 5.0


def test_datasets_of_one_task_count_more_than_the_one_for_all(tmp_path: Path) -> None:
    datasets = ["all.hdf5", f"hopper_mixed={tmp_path / 'h.hdf5'}"]
    found = [trial.spec.dataset for trial in plan(seeds=1, datasets=datasets)]
    assert found == [str(Path("all.hdf5").absolute()), str(tmp_path / "h.hdf5")]


def test_a_dataset_may_be_an_id() -> None:
    cheetah, hopper = plan(seeds=1, datasets=["halfcheetah_mixed=halfcheetah-sac-replay-v0"])
    assert cheetah.spec.dataset == "halfcheetah-sac-replay-v0"
    assert hopper.spec.dataset == "hopper-medium-replay-v0"


def test_a_path_with_an_equals_sign_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.hdf5").touch()
    assert of_hopper(datasets=["a=b.hdf5"])[0].spec.dataset == str(tmp_path / "a=b.hdf5")


def test_trials_that_differ_in_the_policy_only_share_an_ensemble() -> None:
    trials = plan(["hopper_mixed"], grid=["penalty_coeff=1,5"], share_model=True)
    assert [(trial.folder, trial.model_only, trial.model_folder) for trial in trials] == [
        ("hopper_mixed/model_seed_0", True, None),
        ("hopper_mixed/model_seed_1", True, None),
        ("hopper_mixed/penalty_coeff=1/seed_0", False, "hopper_mixed/model_seed_0"),
        ("hopper_mixed/penalty_coeff=1/seed_1", False, "hopper_mixed/model_seed_1"),
        ("hopper_mixed/penalty_coeff=5/seed_0", False, "hopper_mixed/model_seed_0"),
        ("hopper_mixed/penalty_coeff=5/seed_1", False, "hopper_mixed/model_seed_1"),
    ]
    # So that a point more does not make it another run.
    assert trials[1].spec == build_spec("hopper_mixed", {"seed": 1})


def test_trials_that_differ_in_the_ensemble_do_not_share_it() -> None:
    trials = of_hopper(grid=["penalty_coeff=1,5", "hidden_dim=16,32"], share_model=True)
    sizes = {t.folder: t.spec.algorithm.ensemble for t in trials if t.model_only}  # type: ignore[attr-defined]
    assert list(sizes) == [
        "hopper_mixed/hidden_dim=16/model_seed_0",
        "hopper_mixed/hidden_dim=32/model_seed_0",
    ]
    for trial in trials[2:]:
        assert trial.spec.algorithm.ensemble == sizes[str(trial.model_folder)]  # type: ignore[attr-defined]


def test_methods_that_differ_in_the_penalty_share_an_ensemble() -> None:
    methods = ["mopo", "mbpo", "mopo-one-network", "bc"]
    trials = of_hopper(algorithms=methods, share_model=True)
    assert {trial.folder: trial.model_folder for trial in trials} == {
        "hopper_mixed/model_seed_0": None,
        "hopper_mixed/seed_0": "hopper_mixed/model_seed_0",
        "hopper_mixed-mbpo/seed_0": "hopper_mixed/model_seed_0",
        "hopper_mixed-mopo-one-network/seed_0": None,
        "hopper_mixed-bc/seed_0": None,
    }


def test_methods_whose_ensembles_are_set_apart_do_not_share_one() -> None:
    trials = of_hopper(
        algorithms=["mopo", "mbpo"],
        settings={"mbpo.hidden_dim": "16"},
        grid=["lr=1,2"],
        share_model=True,
    )
    folders = {trial.spec.method: trial.model_folder for trial in trials}
    assert folders == {
        "mopo": "hopper_mixed/model_seed_0",
        "mbpo": "hopper_mixed-mbpo/model_seed_0",
    }


def test_an_ensemble_is_found_where_the_sweep_lies(tmp_path: Path) -> None:
    trial = of_hopper(grid=["lr=1,2"], share_model=True)[-1]
    assert trial.spec.model is None
    assert trial.spec_in(tmp_path).model == str(tmp_path / "hopper_mixed" / "model_seed_0")


def test_a_plan_of_the_first_version_is_read(tmp_path: Path) -> None:
    grid = ["shipped", "hidden_layer_sizes=16,16;32,32"]
    trials = plan(algorithms=["mopo", "morel"], grid=grid, share_model=True)
    write(tmp_path, trials)
    assert read_plan(tmp_path) == trials


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trials": [1]}', '{"trials": [{}]}'])
def test_a_damaged_plan_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / SWEEP_FILE).write_text(content)
    with pytest.raises(InputError, match=r"sweep\.json"):
        read_plan(tmp_path)


def test_a_sweep_is_resumed_on_demand_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no sweep"):
        check_folder(tmp_path, plan(), resume=True)
    check_folder(tmp_path, plan(), resume=False)
    write(tmp_path, plan())
    with pytest.raises(InputError, match="--resume"):
        check_folder(tmp_path, plan(), resume=False)


def test_a_resumed_sweep_may_grow(tmp_path: Path) -> None:
    write(tmp_path, plan())
    settings = {"n_epochs": "2000", "checkpoint_frequency": "5"}
    check_folder(tmp_path, plan([*TASKS, "walker2d_mixed"], 3, settings=settings), resume=True)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seeds": 1}, "seed_1"),
        ({"tasks": ["hopper_mixed"]}, "halfcheetah_mixed/seed_0"),
        ({"settings": {"rollout_length": "3"}}, "rollout_length = 5, not 3"),
        ({"datasets": ["other.hdf5"]}, "dataset"),
        ({"grid": ["lr=1,2"], "share_model": True}, "seed_0"),
    ],
)
def test_a_resumed_sweep_cannot_become_another(
    tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    write(tmp_path, plan())
    with pytest.raises(InputError, match=named):
        check_folder(tmp_path, plan(**options), resume=True)


def test_a_sweep_cannot_be_resumed_with_less_than_is_done(tmp_path: Path) -> None:
    write(tmp_path, plan())
    run = RunFolder(tmp_path / "hopper_mixed" / "seed_1")
    run.write_spec(plan()[3].spec, {})
    (run.path / "progress.csv").write_text("epoch\n0\n1\n2\n")
    check_folder(tmp_path, plan(settings={"n_epochs": "3"}), resume=True)
    with pytest.raises(InputError, match="--epochs 2 is less than the 3"):
        check_folder(tmp_path, plan(settings={"n_epochs": "2"}), resume=True)


def test_a_run_in_the_way_of_a_new_sweep_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path / "hopper_mixed" / "seed_1").write_spec(build_spec("hopper_mixed"), {})
    with pytest.raises(InputError, match="holds a sweep or runs"):
        check_folder(tmp_path, plan(), resume=False)
