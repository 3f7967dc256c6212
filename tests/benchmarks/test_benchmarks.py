"""The command: what it refuses, what it reports. Rates are not tested: machines differ."""

import json

import h5py
import pytest

from benchmarks import PHASES, __main__, machine, million_rows, report, training
from mopo_tf2.config import EnsembleConfig, SACConfig
from mopo_tf2.data.datasets import load_dataset
from tests.eager import eagerly


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--phase", "sacc"], "invalid choice: 'sacc'"),
        (["--json", "missing/out.json"], "expected a folder that exists"),
    ],
)
def test_unfit_options_are_refused_before_anything_is_measured(
    capsys, tmp_path, monkeypatch, options, told
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        __main__.main(options)
    assert exit_.value.code == 2
    assert told in capsys.readouterr().err


@pytest.fixture
def quick(monkeypatch):
    """Every measurement uncompiled and with fewer repeats, of a small run."""
    monkeypatch.setattr(machine, "MATRIX_SIZE", 256)
    monkeypatch.setattr(machine, "MATRIX_FLOP", 2 * 256**3)
    monkeypatch.setattr(training, "MODEL_EPOCHS", 1)
    monkeypatch.setattr(training, "POLICY_EPOCHS", 1)
    make = training.make_mopo

    def make_small(transitions):
        ensemble = EnsembleConfig(hidden_dim=8, model_max_epochs_since_update=0)
        sac = SACConfig(hidden_layer_sizes=(8,), batch_size=32)
        sizes = {"rollout_batch_size": 200, "epoch_length": 4, "max_path_length": 5}
        return make(transitions, ensemble=ensemble, sac=sac, eval_n_episodes=2, **sizes)

    monkeypatch.setattr(training, "make_mopo", make_small)
    monkeypatch.setattr(training, "shipped_transitions", lambda: first_rows(600))
    with eagerly():
        yield


def first_rows(count):
    transitions = load_dataset(training.DATASET).transitions
    return type(transitions)(*(column[:count] for column in transitions))


def test_the_report_holds_a_rate_and_a_fraction_per_phase(quick):
    said = []
    result = report.measure_phases(set(PHASES) - {"load"}, said.append)
    assert list(result["phases"]) == ["sac", "ensemble", "rollout", "evaluation", "epoch"]
    for name in ("sac", "ensemble", "rollout"):
        assert set(result["phases"][name]) == {"rate", "fraction"}
        assert 0 < result["phases"][name]["fraction"] < 1.5
    assert set(result["phases"]["evaluation"]) == {"rate", "fraction_of_raw"}
    assert set(result["phases"]["epoch"]) == {"seconds"}
    assert json.loads(json.dumps(result))["matmul_gflops"] > 0
    text = "\n".join(report.lines(result))
    assert "of the matrix product" in text
    assert "of raw stepping" in text


def test_a_fraction_is_the_share_of_the_matrix_product():
    assert training.Rate(rate=250.0, flop=600_000_000).fraction(300.0) == pytest.approx(0.5)


def test_the_million_row_file_is_read_as_d4rl_data(tmp_path):
    million_rows.write_rows(tmp_path / "rows.hdf5", 2500)
    with h5py.File(tmp_path / "rows.hdf5") as file:
        assert file["observations"].shape == (2500, 17)
    # Two rows at time limits and the last one have no successor.
    assert len(load_dataset(str(tmp_path / "rows.hdf5")).transitions.rewards) == 2500 - 3
