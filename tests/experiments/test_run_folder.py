import json
import math
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from experiments.run_folder import RETURN, RunFolder, State, Status, find_runs, flat_params
from experiments.run_spec import RunSpec, build_spec
from mopo_tf2.checkpoints import save_arrays
from mopo_tf2.errors import InputError

REFERENCE = Path(__file__).parents[2] / "parity" / "reference_curves"


def row(epoch: int, **more: float) -> dict[str, float]:
    return {"epoch": float(epoch), RETURN: 10.0 * epoch, "Q-avg": 0.1 + epoch, **more}


@pytest.fixture
def spec() -> RunSpec:
    return build_spec("hopper_mixed", {"seed": 4}, {"n_epochs": "3"})


@pytest.fixture
def folder(tmp_path: Path, spec: RunSpec) -> RunFolder:
    """A run of three epochs that was asked for three."""
    made = RunFolder(tmp_path / "run")
    made.write_spec(spec, {"dataset": {"name": "hopper.hdf5", "sha256": "ab" * 32}})
    for epoch in range(3):
        made.write_row(row(epoch))
    return made


# What a run is.


def test_a_spec_is_read_back_and_changed_in_one_place(folder: RunFolder, spec: RunSpec) -> None:
    assert folder.spec == spec
    longer = build_spec("hopper_mixed", {"seed": 4}, {"n_epochs": "9"})
    folder.write_spec(longer)
    assert folder.spec == longer
    assert folder.recorded["dataset"]["name"] == "hopper.hdf5"
    for name in ("params.json", "variant.json"):
        assert json.loads((folder.path / name).read_text())["n_epochs"] == 9
    assert folder.facts().state == State.UNFINISHED


def test_the_flat_parameters_of_viskit_are_finite_scalars() -> None:
    given = {"a": {"b": None}, "c": [256, 256], "d": math.inf, "e": math.nan, "f": True}
    assert flat_params(given) == {
        **{"a.b": "none", "c": "[256, 256]", "d": "inf", "e": "nan", "f": True}
    }


def test_facts_say_what_the_run_is_and_how_far_it_got(folder: RunFolder) -> None:
    facts = folder.facts()
    assert (facts.program, facts.method, facts.config) == ("mopo_tf2", "mopo", "hopper_mixed")
    assert (facts.task, facts.dataset, facts.physics) == ("hopper", "hopper.hdf5", "d4rl")
    assert (facts.seed, facts.epochs_done, facts.epochs_asked) == (4, 3, 3)
    assert (facts.state, facts.note, facts.horizon) == (State.FINISHED, "", 1000)


def test_a_known_file_name_is_its_dataset_id(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder(tmp_path)
    folder.write_spec(spec, {"dataset": {"name": "hopper_mixed.hdf5"}})
    assert folder.facts().dataset == "hopper-medium-replay-v0"


def test_the_originals_folder_is_read() -> None:
    facts = RunFolder(next(REFERENCE.iterdir() if REFERENCE.is_dir() else iter([]))).facts()
    assert (facts.program, facts.task, facts.epochs_done) == ("original", "halfcheetah", 45)
    assert facts.dataset == "halfcheetah-medium-replay-v0"
    assert facts.epochs_asked == 45 or facts.state == State.UNFINISHED


@pytest.mark.parametrize(
    ("key", "value"), [("seed", "x"), ("environment", 5), ("algorithm", 5), ("recorded", 5)]
)
def test_a_value_of_a_wrong_type_makes_a_failed_run(
    folder: RunFolder, key: str, value: object
) -> None:
    path = folder.path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    facts = folder.facts()
    assert facts.state == State.FAILED
    assert key in facts.note or "parameters" in facts.note


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_a_damaged_file_makes_a_failed_run(folder: RunFolder, content: str) -> None:
    (folder.path / "config.json").write_text(content)
    assert folder.facts().state == State.FAILED


def test_a_run_that_the_sweep_gave_up_says_why(folder: RunFolder, spec: RunSpec) -> None:
    assert folder.status == Status()
    folder.truncate(0)
    folder.write_status(Status(state="failed", attempts=2, error="it diverged."))
    facts = folder.facts()
    assert facts.state == State.FAILED
    assert facts.note == "the sweep gave up: it diverged"


def test_finished_means_rows_and_checkpoint(folder: RunFolder) -> None:
    assert not folder.is_finished(3)
    save_arrays(folder.path / "checkpoints" / "epoch_00003.npz", {"x": np.zeros(1)}, {})
    assert folder.is_finished(3)
    assert not folder.is_finished(4)


# Progress.


def test_floats_keep_every_bit_and_nan_is_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    values = [0.1 + 0.2, 1e-310, math.pi * 1e20]
    for epoch, value in enumerate(values):
        folder.write_row({"epoch": float(epoch), "x": value, "empty": math.nan})
    table = folder.progress()
    assert list(table["x"]) == values
    assert "nan" in (tmp_path / "progress.csv").read_text()
    assert list(table["epoch"]) == [0, 1, 2]


def test_a_row_with_other_names_is_refused(folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="more"):
        RunFolder(folder.path).write_row(row(3, more=1.0))


def test_a_continued_file_has_the_bytes_of_one_never_interrupted(
    folder: RunFolder, tmp_path: Path
) -> None:
    disturbed = RunFolder(tmp_path / "other")
    disturbed.path.mkdir()
    for epoch in (0, 1, 2):
        disturbed.write_row(row(epoch))
    with (disturbed.path / "progress.csv").open("ab") as file:
        file.write(b"3.0,12")
    assert disturbed.truncate(1) == 2
    disturbed.write_row(row(2))
    ours, wanted = (run.path / "progress.csv" for run in (disturbed, folder))
    assert ours.read_bytes() == wanted.read_bytes()


def test_cutting_before_the_first_epoch_removes_the_file(folder: RunFolder) -> None:
    assert folder.truncate(-1) == 0
    assert not (folder.path / "progress.csv").exists()


def test_a_row_in_writing_is_left_out(folder: RunFolder) -> None:
    with (folder.path / "progress.csv").open("ab") as file:
        file.write(b"3.0,12")
    assert list(folder.progress()["epoch"]) == [0, 1, 2]
    assert folder.last_row() == (3, 20.0)


def test_epochs_repeated_by_ray_count_once_and_last(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text(f"epoch,{RETURN}\n0,1\n1,2\n1,3\n2,4\n")
    assert list(RunFolder(tmp_path).progress()[RETURN]) == [1, 3, 4]


@pytest.mark.parametrize(
    "content", ["epoch\n", "x,y\n1,2\n", "epoch,x\n0,1,2,3\n", "epoch\n-1\n", "epoch\nsoon\n"]
)
def test_an_invalid_table_is_an_input_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "progress.csv").write_text(content)
    with pytest.raises(InputError, match=r"progress\.csv"):
        RunFolder(tmp_path).progress()


def test_holdout_losses_begin_anew_with_their_first_epoch(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.holdout().empty
    for epoch in (0, 1, 0):
        folder.write_holdout(epoch, np.array([0.5, 0.25]) + epoch)
    assert folder.holdout().to_numpy().tolist() == [[0.0, 0.5, 0.25]]


# One writer, many readers.


def hold(path: Path, held: "multiprocessing.synchronize.Event") -> None:
    with RunFolder(path).lock():
        held.set()
        multiprocessing.Event().wait()


def test_a_lock_is_taken_over_from_a_process_that_was_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=hold, args=(tmp_path, held))
    holder.start()
    assert held.wait(60)
    with pytest.raises(InputError, match="in use"), RunFolder(tmp_path).lock():
        pass
    holder.kill()
    holder.join()
    with RunFolder(tmp_path).lock():
        pass


def test_runs_are_found_in_natural_order_and_not_within_runs(tmp_path: Path) -> None:
    for name in ("seed_10", "seed_9", ".hidden", "seed_9/checkpoints/inner"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "progress.csv").write_text("epoch\n0\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    names = [run.path.name for run in find_runs(tmp_path)]
    assert names == ["empty", "seed_9", "seed_10"]


@pytest.mark.parametrize("kind", ["policy", "model"])
def test_what_a_folder_does_not_hold_is_named(folder: RunFolder, kind: str) -> None:
    with pytest.raises(InputError, match=f"holds no {kind} yet"):
        getattr(folder, f"load_{kind}")()
    with pytest.raises(InputError, match="found none"):
        getattr(RunFolder(folder.path / "nowhere"), f"load_{kind}")()


def test_a_damaged_policy_is_an_input_error(folder: RunFolder) -> None:
    save_arrays(folder.path / "policy" / "policy.npz", {"0": np.zeros(2)}, {"kind": "gaussian"})
    with pytest.raises(InputError, match="does not hold a policy"):
        folder.load_policy()
