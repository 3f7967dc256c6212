import json
import math

import pytest

from experiments.logging import RunLogger
from experiments.viskit_rules import FIRST_PAGE_KEY, viskit_faults


def write_run(folder, params=None, rows=((0, 1.5), (1, math.nan))):
    with RunLogger(folder, tensorboard=False) as logger:
        logger.write_configuration({}, {"seed": 0} if params is None else params)
        for epoch, value in rows:
            logger.write({"epoch": epoch, FIRST_PAGE_KEY: value, "alpha": 0.5})
    return folder


def write_params(folder, text):
    for name in ("variant.json", "params.json"):
        (folder / name).write_text(text)


def test_what_the_logger_writes_of_awkward_parameters_has_no_fault(tmp_path):
    awkward = {"sizes": [256, 256], "bound": math.inf, "model": None, "sac": {"lr": 3e-4}}
    assert viskit_faults(write_run(tmp_path / "run", awkward)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"lr": -Infinity}', "lr is -inf"),
        ('{"lr": NaN}', "lr is nan"),
        ('{"lr": null}', "lr is null"),
        ('{"sac": {"lr": 1}}', "sac is no single value but a nested object"),
        ('{"sizes": [1]}', "sizes is no single value but a list"),
        ("{", "cannot be read as JSON"),
        ("[1]", "is not a JSON object"),
    ],
)
def test_parameters_that_break_a_rule_are_named(tmp_path, text, fault):
    folder = write_run(tmp_path / "run")
    write_params(folder, text)
    (found,) = viskit_faults(folder)
    assert fault in found


def test_params_are_read_where_there_is_no_variant(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "variant.json").unlink()
    assert viskit_faults(folder) == []
    (folder / "params.json").write_text(json.dumps({"lr": None}))
    assert viskit_faults(folder) == ["params.json: lr is null."]


def test_run_without_parameters_is_a_fault(tmp_path):
    folder = write_run(tmp_path / "run")
    for name in ("variant.json", "params.json"):
        (folder / name).unlink()
    assert "nothing to group by" in viskit_faults(folder)[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"epoch,{FIRST_PAGE_KEY}\n0,1.0\n1,\n", f"line 3: {FIRST_PAGE_KEY} is empty"),
        (f"epoch,{FIRST_PAGE_KEY}\n0\n", "line 2: 1 cells, not 2"),
        ("epoch,return\n0,1.0\n", f"no column {FIRST_PAGE_KEY}"),
        (f"epoch,{FIRST_PAGE_KEY}\n", "no row yet"),
    ],
)
def test_progress_that_breaks_a_rule_is_named(tmp_path, text, fault):
    folder = write_run(tmp_path / "run")
    (folder / "progress.csv").write_text(text)
    (found,) = viskit_faults(folder)
    assert fault in found
