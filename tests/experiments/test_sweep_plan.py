import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.run_folder import RunFolder
from experiments.run_spec import build_spec, spec_to_dict
from experiments.sweep_plan import SWEEP_FILE, Trial, check_folder, plan_trials, read_plan
from mopo_tf2.errors import InputError

TASKS = ("halfcheetah_mixed", "hopper_mixed")


def plan(tasks: Any = TASKS, seeds: int = 2, **options: Any) -> list[Trial]:
    return plan_trials(tasks, seeds, **options)


def of_hopper(*algorithms: str, **options: Any) -> list[Trial]:
    return plan(["hopper_mixed"], 1, algorithms=algorithms, **options)


def config(trial: Trial) -> Any:
    return trial.spec.algorithm


def folders(trials: list[Trial]) -> list[str]:
    return [trial.folder.removeprefix("hopper_mixed") for trial in trials]


def write(out: Path, trials: list[Trial]) -> None:
    """Write sweep.json in the form of the first version."""
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


def test_a_file_is_a_task_of_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(spec_to_dict(build_spec("hopper_mixed", {"method": "bc"}))))
    (trial,) = plan([str(path)], 1)
    assert (trial.folder, trial.spec.method) == ("mine/seed_0", "bc")


def test_a_plain_setting_goes_to_the_methods_that_have_it() -> None:
    settings = {"mopo.hidden_dim": "16", "bc.policy_lr": "1e-4", "hidden_dim": "32"}
    mopo, mbpo, bc = of_hopper("mopo", "mbpo", "bc", settings={**settings, "n_epochs": "7"})
    assert [config(trial).ensemble.hidden_dim for trial in (mopo, mbpo)] == [16, 32]
    assert config(bc).policy_lr == 1e-4
    assert {config(trial).n_epochs for trial in (mopo, mbpo, bc)} == {7}


def test_what_a_method_fixes_is_set_in_the_others() -> None:
    trials = of_hopper("mopo", "mbpo", settings={"penalty_coeff": "2"})
    assert [config(trial).penalty_coeff for trial in trials] == [2.0, 0.0]
    with pytest.raises(InputError, match="by the definition of this method"):
        of_hopper("mbpo", settings={"penalty_coeff": "2"})


def test_a_grid_is_every_combination_in_folders_of_its_own() -> None:
    trials = of_hopper(grid=["shipped"])
    assert trials[0].folder == "hopper_mixed/rollout_length=1,penalty_coeff=0.5/seed_0"
    found = [(config(trial).rollout_length, config(trial).penalty_coeff) for trial in trials]
    assert found == [(h, c) for h in (1, 5) for c in (0.5, 1.0, 2.0, 5.0)]


def test_a_grid_multiplies_the_trials_of_the_methods_that_have_its_fields() -> None:
    grid = ["penalty_coeff=1, 5", "bc.policy_lr=1e-3,1e-4", "n_epochs=7"]
    assert folders(of_hopper("mopo", "mbpo", "bc", grid=grid)) == [
        "/penalty_coeff=1,n_epochs=7/seed_0",
        "/penalty_coeff=5,n_epochs=7/seed_0",
        "-mbpo/n_epochs=7/seed_0",
        "-bc/policy_lr=1e-3,n_epochs=7/seed_0",
        "-bc/policy_lr=1e-4,n_epochs=7/seed_0",
    ]


def test_values_with_commas_are_separated_by_semicolons() -> None:
    trials = of_hopper(grid=["hidden_layer_sizes=16,16;32,32"])
    assert [config(trial).sac.hidden_layer_sizes for trial in trials] == [(16, 16), (32, 32)]
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
        ({"seeds": 10**12}, "1,000,000,000,000 trials"),
        ({"seeds": 5, "grid": [f"lr={','.join(map(str, range(1, 2002)))}"]}, "10,005 trials"),
    ],
)
def test_an_invalid_request_is_refused_at_once(options: dict[str, Any], named: str) -> None:
    start = time.process_time()
    with pytest.raises(InputError, match=named):
        plan(**{"tasks": ["hopper_mixed"], **options})
    assert time.process_time() - start < 1.0


def test_datasets_of_one_task_count_more_than_the_one_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.hdf5").touch()
    cheetah, hopper = plan(seeds=1, datasets=["a=b.hdf5", "hopper_mixed=hopper-random-v2"])
    assert cheetah.spec.dataset == str(tmp_path / "a=b.hdf5")
    assert hopper.spec.dataset == "hopper-random-v2"


def test_trials_that_differ_in_the_policy_only_share_an_ensemble(tmp_path: Path) -> None:
    trials = of_hopper(grid=["penalty_coeff=1,5"], share_model=True)
    assert [(trial.folder, trial.model_only, trial.model_folder) for trial in trials] == [
        ("hopper_mixed/model_seed_0", True, None),
        ("hopper_mixed/penalty_coeff=1/seed_0", False, "hopper_mixed/model_seed_0"),
        ("hopper_mixed/penalty_coeff=5/seed_0", False, "hopper_mixed/model_seed_0"),
    ]
    # A grid that grows does not make it another run.
    assert trials[0].spec == build_spec("hopper_mixed")
    assert trials[1].spec_in(tmp_path).model == str(tmp_path / "hopper_mixed" / "model_seed_0")


def test_trials_that_differ_in_the_ensemble_do_not_share_it() -> None:
    trials = of_hopper(grid=["penalty_coeff=1,5", "hidden_dim=16,32"], share_model=True)
    sizes = {trial.folder: config(trial).ensemble for trial in trials if trial.model_only}
    assert list(sizes) == [
        "hopper_mixed/hidden_dim=16/model_seed_0",
        "hopper_mixed/hidden_dim=32/model_seed_0",
    ]
    for trial in trials[2:]:
        assert config(trial).ensemble == sizes[str(trial.model_folder)]


def test_methods_that_differ_in_the_penalty_share_an_ensemble() -> None:
    trials = of_hopper("mopo", "mbpo", "mopo-one-network", "bc", share_model=True)
    models = dict(zip(folders(trials), [trial.model_folder for trial in trials], strict=True))
    shared = "hopper_mixed/model_seed_0"
    assert models == {
        "/model_seed_0": None,
        "/seed_0": shared,
        "-mbpo/seed_0": shared,
        "-mopo-one-network/seed_0": None,
        "-bc/seed_0": None,
    }


def test_methods_whose_ensembles_are_set_apart_do_not_share_one() -> None:
    settings = {"mbpo.hidden_dim": "16"}
    trials = of_hopper("mopo", "mbpo", settings=settings, grid=["lr=1,2"], share_model=True)
    assert folders(trials[:2]) == ["/model_seed_0", "-mbpo/model_seed_0"]
    assert trials[-1].model_folder == "hopper_mixed-mbpo/model_seed_0"


def test_a_plan_of_the_first_version_is_read(tmp_path: Path) -> None:
    grid = ["shipped", "hidden_layer_sizes=16,16;32,32"]
    trials = of_hopper("mopo", "morel", grid=grid, share_model=True)
    write(tmp_path, trials)
    assert read_plan(tmp_path) == trials


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trials": [1]}', '{"trials": [{}]}'])
def test_a_damaged_plan_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / SWEEP_FILE).write_text(content)
    with pytest.raises(InputError, match=r"sweep\.json"):
        read_plan(tmp_path)


def test_a_sweep_is_resumed_on_demand_only_and_may_grow(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sweep"):
        check_folder(tmp_path, plan(), resume=True)
    check_folder(tmp_path, plan(), resume=False)
    write(tmp_path, plan())
    with pytest.raises(InputError, match="--resume"):
        check_folder(tmp_path, plan(), resume=False)
    settings = {"n_epochs": "2000", "checkpoint_frequency": "5"}
    check_folder(tmp_path, plan([*TASKS, "walker2d_mixed"], 3, settings=settings), resume=True)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seeds": 1}, "seed_1"),
        ({"tasks": ["hopper_mixed"]}, "halfcheetah_mixed/seed_0"),
        ({"settings": {"rollout_length": "3"}}, "rollout_length = 5, not 3"),
        ({"datasets": ["other.hdf5"]}, "dataset"),
        ({"algorithms": ["mopo", "mbpo"], "share_model": True}, "model = None"),
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
    run = tmp_path / "hopper_mixed" / "seed_1"
    run.mkdir(parents=True)
    (run / "progress.csv").write_text("epoch\n0\n1\n2\n")
    check_folder(tmp_path, plan(settings={"n_epochs": "3"}), resume=True)
    with pytest.raises(InputError, match="--epochs 2 is less than the 3"):
        check_folder(tmp_path, plan(settings={"n_epochs": "2"}), resume=True)


def test_a_run_in_the_way_of_a_new_sweep_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path / "hopper_mixed" / "seed_1").write_spec(build_spec("hopper_mixed"), {})
    with pytest.raises(InputError, match="holds a sweep or runs"):
        check_folder(tmp_path, plan(), resume=False)
