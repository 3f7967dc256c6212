"""Pairing of D4RL rows by hand and against D4RL's own loop; files that are unfit."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mopo_tf2.data.d4rl import (
    check_whole_hdf5,
    counted_timeouts,
    qlearning_transitions,
    read_hdf5,
)
from mopo_tf2.errors import InputError


def small_log(**changes):
    """Six rows: row 2 is terminal, row 4 a time limit."""
    columns = {
        "observations": np.arange(12, dtype=np.float32).reshape(6, 2),
        "actions": np.linspace(-1, 1, 6, dtype=np.float32).reshape(6, 1),
        "rewards": np.arange(6, dtype=np.float32),
        "terminals": np.array([0, 0, 1, 0, 0, 0], dtype=bool),
        "timeouts": np.array([0, 0, 0, 0, 1, 0], dtype=bool),
    }
    columns.update(changes)
    return {name: values for name, values in columns.items() if values is not None}


def write(path, columns, **options):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, **options)
    return path


def d4rl_counter(terminals, max_episode_steps):
    """D4RL's own loop over the rows, without the data."""
    final_steps, episode_step = [], 0
    for terminal in terminals:
        final_steps.append(episode_step == max_episode_steps - 1)
        if final_steps[-1]:
            episode_step = 0
            continue
        if terminal:
            episode_step = 0
        episode_step += 1
    return final_steps


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 7))
def test_counted_timeouts_equal_those_of_the_loop(terminals, max_episode_steps):
    counted = counted_timeouts(np.array(terminals), max_episode_steps)
    assert counted.tolist() == d4rl_counter(terminals, max_episode_steps)


def test_drop_leaves_out_terminal_rows_too_and_the_log_as_it_is():
    columns = small_log()
    transitions = qlearning_transitions(columns, next_observations="drop")
    assert transitions.rewards[:, 0].tolist() == [0, 1, 3]
    assert not transitions.terminals.any()
    np.testing.assert_equal(columns, small_log())


def test_file_keeps_every_row_with_its_own_successor():
    successors = np.full((6, 2), 7, dtype=np.float32)
    transitions = qlearning_transitions(
        small_log(next_observations=successors), next_observations="file"
    )
    assert transitions.rewards[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(transitions.next_observations, successors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"next_observations": "file"}, "none"),
        ({"next_observations": "drop", "terminate_on_end": True}, "choose one"),
        ({"next_observations": "next"}, "shift, drop, file"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        qlearning_transitions(small_log(), **options)


def test_read_returns_float32_and_bool_and_leaves_infos_on_the_disk(tmp_path):
    log = small_log()
    stored = {
        **log,
        "observations": log["observations"].astype(np.float64),
        "rewards": log["rewards"].reshape(6, 1),
        "terminals": log["terminals"].astype(np.uint8),
        "infos/qpos": np.zeros((6, 3)),
    }
    columns = read_hdf5(write(tmp_path / "log.hdf5", stored, compression=None))
    assert set(columns) == set(log)
    for name, values in log.items():
        assert columns[name].dtype == values.dtype, name
        np.testing.assert_array_equal(columns[name], values)
    path = write(tmp_path / "own.hdf5", small_log(next_observations=np.zeros((6, 2))))
    assert "next_observations" in read_hdf5(path)
    assert "next_observations" not in read_hdf5(path, with_next_observations=False)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no file"),
        (lambda path: path.write_bytes(b""), "not an HDF5 file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "truncated"),
        (
            lambda path: write(path, small_log(actions=None, terminals=None)),
            r"lacks actions, terminals.*found observations",
        ),
        (
            lambda path: write(path, small_log(terminals=np.array([0, 0, 1, 0.5, 0, 0]))),
            r"must be 0 or 1.*\(0.5\) in row 3",
        ),
    ],
    ids=["missing", "empty", "truncated", "columns", "flags"],
)
def test_unfit_files_are_refused(tmp_path, damage, message):
    path = write(tmp_path / "log.hdf5", small_log())
    damage(path)
    with pytest.raises(InputError, match=message):
        read_hdf5(path)


def test_damaged_compressed_rows_are_refused(tmp_path):
    rows = np.random.RandomState(0).normal(size=(20000, 2)).astype(np.float32)
    log = {"observations": rows, "actions": rows[:, :1], "rewards": rows[:, 0]}
    log["terminals"] = np.zeros(20000, dtype=bool)
    path = write(tmp_path / "log.hdf5", log, compression="gzip")
    with h5py.File(path) as file:
        offset = file["observations"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_hdf5(path)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_whole_file_passes_and_a_longer_or_shorter_one_does_not(tmp_path, libver):
    path = tmp_path / "log.hdf5"
    with h5py.File(path, "w", libver=libver) as file:
        file["observations"] = np.zeros((100, 3))
    check_whole_hdf5(path)
    whole = path.read_bytes()
    for content in (whole[:-1], whole + b"x"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{len(content)} bytes"):
            check_whole_hdf5(path)
