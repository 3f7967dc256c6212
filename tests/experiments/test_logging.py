import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from experiments.logging import RunLogger, flat_params, read_progress, truncate_progress
from mopo_tf2.errors import InputError

ORIGINAL = (
    Path(__file__).parents[2]
    / "parity/reference_curves/halfcheetah_mixed-sac_replay-seed0/progress.csv"
)


def row(epoch, **more):
    return {
        "epoch": epoch,
        "alpha": 1 / (epoch + 3),
        "training/return-average": 10.0 * epoch,
    } | more


def write_rows(folder, epochs, *, tensorboard=False):
    with RunLogger(folder, tensorboard=tensorboard) as logger:
        for epoch in epochs:
            logger.write(row(epoch))
    return folder / "progress.csv"


def scalars(folder, key):
    """What TensorBoard itself would show, by the reader that it uses."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    return [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(key)]


# Rows of progress.csv.


def test_rows_have_the_columns_of_the_first_row_in_its_order(tmp_path):
    with RunLogger(tmp_path, tensorboard=False) as logger:
        logger.write({"b": 1.0, "epoch": 0, "a": 2.0})
        logger.write({"a": 4.0, "b": 3.0, "epoch": 1})
    assert (tmp_path / "progress.csv").read_text() == "b,epoch,a\n1.0,0,2.0\n3.0,1,4.0\n"


def test_cells_are_never_empty_and_always_numbers(tmp_path):
    with RunLogger(tmp_path, tensorboard=False) as logger:
        logger.write(
            {"epoch": np.int64(0), "n": math.nan, "i": -math.inf, "t": True, "f": np.bool_(False)}
        )
    assert (tmp_path / "progress.csv").read_text().splitlines()[1] == "0,nan,-inf,1,0"


def test_floats_keep_every_bit(tmp_path):
    value = 0.1 + 0.2
    single = np.float32(0.1)
    with RunLogger(tmp_path, tensorboard=False) as logger:
        logger.write({"epoch": 0, "double": value, "single": single})
    read = read_progress(tmp_path)
    assert read["double"][0] == value
    assert np.float32(read["single"][0]) == single


def test_row_is_in_the_file_before_the_logger_is_closed(tmp_path):
    logger = RunLogger(tmp_path, tensorboard=False)
    logger.write(row(0))
    assert (tmp_path / "progress.csv").read_text().endswith("0.0\n")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (row(1, late=1.0), r"new: \['late'\], missing: \[\]"),
        ({"epoch": 1, "alpha": 1.0}, r"new: \[\], missing: \['training/return-average'\]"),
    ],
)
def test_row_with_other_keys_than_the_first_is_refused_by_name(tmp_path, second, message):
    with RunLogger(tmp_path, tensorboard=False) as logger:
        logger.write(row(0))
        with pytest.raises(ValueError, match=message):
            logger.write(second)
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("value", ["1.0", None, [1.0, 2.0]])
def test_metric_that_is_not_a_number_is_refused(tmp_path, value):
    with (
        RunLogger(tmp_path, tensorboard=False) as logger,
        pytest.raises(TypeError, match="'alpha' must be a number"),
    ):
        logger.write({"epoch": 0, "alpha": value})
    assert not (tmp_path / "progress.csv").exists()


def test_epoch_that_does_not_grow_is_refused_also_after_reopening(tmp_path):
    write_rows(tmp_path, range(3))
    with (
        RunLogger(tmp_path, tensorboard=False) as logger,
        pytest.raises(ValueError, match=r"epoch 2 comes after that of epoch 2.*truncate_progress"),
    ):
        logger.write(row(2))


def test_reopened_logger_keeps_the_columns_that_are_there(tmp_path):
    write_rows(tmp_path, range(2))
    with (
        RunLogger(tmp_path, tensorboard=False) as logger,
        pytest.raises(ValueError, match=r"new: \['late'\]"),
    ):
        logger.write(row(2, late=0.0))


# Configuration.


def test_three_configuration_files_are_json_and_the_flat_ones_are_equal(tmp_path):
    config = {"algorithm": {"hidden_dims": [256, 256], "max_epochs": None}, "seed": 3}
    RunLogger(tmp_path, tensorboard=False).write_configuration(config, config)
    assert json.loads((tmp_path / "config.json").read_text()) == config
    flat = {"algorithm.hidden_dims": "[256, 256]", "algorithm.max_epochs": "none", "seed": 3}
    assert json.loads((tmp_path / "params.json").read_text()) == flat
    assert (tmp_path / "variant.json").read_bytes() == (tmp_path / "params.json").read_bytes()


def test_flat_params_are_finite_scalars_only():
    params = {
        "a": {"b": {"c": math.inf, "d": -math.inf}, "empty": {}},
        "nan": math.nan,
        "flag": True,
        "path": Path("data/x.hdf5"),
        "array": np.array([1, 2]),
        "scalar": np.float64(0.25),
        "nested": [{"x": Path("y")}],
    }
    assert flat_params(params) == {
        "a.b.c": "inf",
        "a.b.d": "-inf",
        "a.empty": "{}",
        "nan": "nan",
        "flag": True,
        "path": str(Path("data/x.hdf5")),
        "array": "[1, 2]",
        "scalar": 0.25,
        "nested": '[{"x": "y"}]',
    }


def test_two_params_with_one_flat_name_are_refused():
    with pytest.raises(ValueError, match=r"flat name 'a\.b'"):
        flat_params({"a.b": 1, "a": {"b": 2}})


# Continuing.


def test_continued_run_has_the_bytes_of_one_never_interrupted(tmp_path):
    whole = write_rows(tmp_path / "whole", range(6))
    cut = write_rows(tmp_path / "cut", range(5))
    assert truncate_progress(tmp_path / "cut", 2) == 3
    write_rows(tmp_path / "cut", range(3, 6))
    assert cut.read_bytes() == whole.read_bytes()


def test_half_written_last_row_is_dropped(tmp_path):
    path = write_rows(tmp_path, range(3))
    whole = path.read_bytes()
    # Cut inside the last number: the cells are complete in count, the number is not.
    path.write_bytes(whole[:-2])
    assert truncate_progress(tmp_path, 2) == 2
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])


def test_logger_refuses_to_append_to_half_a_row(tmp_path):
    path = write_rows(tmp_path, range(3))
    path.write_bytes(path.read_bytes()[:-2])
    with (
        RunLogger(tmp_path, tensorboard=False) as logger,
        pytest.raises(ValueError, match=r"half a row: call truncate_progress"),
    ):
        logger.write(row(3))


@pytest.mark.parametrize("content", [b"", b"epo", b"epoch,alpha", b"epoch,alpha\n0,0.2"])
def test_file_without_a_whole_row_is_removed(tmp_path, content):
    path = tmp_path / "progress.csv"
    path.write_bytes(content)
    assert truncate_progress(tmp_path, 0) == 0
    assert not path.exists()


def test_cutting_before_the_first_epoch_removes_the_file(tmp_path):
    path = write_rows(tmp_path, range(3))
    assert truncate_progress(tmp_path, -1) == 0
    assert not path.exists()


def test_cutting_tells_of_lost_rows_by_its_count(tmp_path):
    write_rows(tmp_path, range(3))
    assert truncate_progress(tmp_path, 9) == 3
    assert truncate_progress(tmp_path / "nothing", 9) == 0


def test_rows_survive_a_killed_process(tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from experiments.logging import RunLogger\n"
        "logger = RunLogger(Path(sys.argv[1]), tensorboard=False)\n"
        "[logger.write({'epoch': e, 'x': e / 7}) for e in range(4)]\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=root, check=False)
    assert list(read_progress(tmp_path)["x"]) == [e / 7 for e in range(4)]


# Reading.


def test_the_originals_progress_is_read_whole():
    progress = read_progress(ORIGINAL)
    assert list(progress["epoch"]) == list(range(45))
    # The README beside it: "Over 45 epochs: mean return 1337 ... best 4262".
    assert progress["evaluation/return-average"].mean() == pytest.approx(1337, abs=0.5)
    assert progress["evaluation/return-average"].max() == pytest.approx(4262, abs=0.5)


def test_row_in_writing_is_left_out(tmp_path):
    path = write_rows(tmp_path, range(3))
    path.write_bytes(path.read_bytes()[:-2])
    assert list(read_progress(path)["epoch"]) == [0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"epoch,alpha\n", "holds no whole row"),
        (
            b"a,b\n1,2\n",
            "not a progress.csv: expected a header with the column 'epoch', got 'a, b'",
        ),
        (b"\x89PNG\r\n\x1a\n\x00\x00\n", "not a progress.csv"),
        (b"epoch,alpha\n0,1,2\n", "line 2: expected 2 cells, got 3"),
        (b"epoch,alpha\n0,1\nx,1\n", "line 3: expected an epoch number, got 'x'"),
    ],
)
def test_unfit_file_is_an_input_error_in_one_line(tmp_path, content, message):
    path = tmp_path / "progress.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_progress(path)
    assert "\n" not in str(caught.value)


def test_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*progress\.csv"):
        read_progress(tmp_path)


# TensorBoard.


def test_tensorboard_has_every_key_by_epoch(tmp_path):
    with RunLogger(tmp_path) as logger:
        logger.write({"epoch": 0, "policy/-log-pis-mean": 1.5, "Q_loss": math.nan})
        logger.write({"epoch": 1, "policy/-log-pis-mean": 2.5, "Q_loss": 4.0})
        # Before closing: a killed run keeps its events.
        assert scalars(tmp_path, "policy/-log-pis-mean") == [(0, 1.5), (1, 2.5)]
    loss = scalars(tmp_path, "Q_loss")
    assert math.isnan(loss[0][1])
    assert loss[1] == (1, 4.0)


def test_continued_run_shows_each_epoch_once_in_tensorboard(tmp_path):
    with RunLogger(tmp_path) as logger:
        for epoch in range(4):
            logger.write({"epoch": epoch, "x": 100.0})
    truncate_progress(tmp_path, 1)
    time.sleep(1.1)  # Event files are ordered by the second in their names.
    with RunLogger(tmp_path) as logger:
        for epoch in range(2, 5):
            logger.write({"epoch": epoch, "x": 200.0})
    expected = [(0, 100.0), (1, 100.0), (2, 200.0), (3, 200.0), (4, 200.0)]
    assert scalars(tmp_path, "x") == expected


def test_no_events_are_written_unless_asked_for(tmp_path):
    write_rows(tmp_path, range(2))
    assert [entry.name for entry in tmp_path.iterdir()] == ["progress.csv"]


def test_reading_needs_no_tensorflow():
    script = "import sys, experiments.logging; sys.exit('tensorflow' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
