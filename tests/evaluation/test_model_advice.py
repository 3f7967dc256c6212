"""Each rule of the advice: what makes it speak, and that it is silent otherwise."""

import dataclasses
import math

import numpy as np
import pytest

from mopo_tf2.evaluation import model_advice as rules
from mopo_tf2.evaluation.calibration import RankCorrelation
from mopo_tf2.evaluation.model_advice import Findings, advice

FINE = Findings(
    names=("reward", "height", "speed"),
    rows=1_000,
    trained_on=False,
    coverage=np.full(3, 0.9),
    ratios=np.ones(3),
    centers=np.full(3, 0.5),
    overfit=1.0,
    penalty_parts=np.array([0.2, 0.3, 0.5]),
    data_stds=np.ones(3),
    rollout_length=5,
    penalty_coeff=1.0,
    open_errors=np.full(10, 0.5),
    open_coverage=np.full(10, 0.9),
    correlation=RankCorrelation(0.5, 0.4, 0.6),
    outside=0.02,
    growth=1.0,
    reward_size=1.0,
    penalty_size=0.3,
    value=50.0,
    highest_value=100.0,
)


def array(*values):
    return np.array(values)


NARROW = {"coverage": np.full(3, 0.6), "ratios": np.full(3, 2.0)}
DROP = {"open_coverage": np.where(np.arange(10) < 3, 0.9, 0.5)}


def test_without_findings_there_is_nothing_to_change():
    assert advice(FINE).startswith("Nothing to change")
    assert not any(rule(FINE) for rule in rules.RULES)


@pytest.mark.parametrize(
    ("rule", "change", "said"),
    [
        (rules.too_narrow, NARROW, "penalty_coeff=2."),
        (rules.too_narrow, {**NARROW, "penalty_coeff": 0.0}, "more data"),
        (
            rules.too_narrow,
            {"coverage": array(0.9, 0.9, 0.5), "ratios": array(1, 1, 3.0)},
            "deviation of speed is",
        ),
        (
            rules.too_wide,
            {"coverage": np.full(3, 0.99), "ratios": np.full(3, 0.5)},
            "penalty_coeff=0.5",
        ),
        (rules.off_center, {"centers": array(0.5, 0.9, 0.5)}, "height"),
        (rules.overfitted, {"overfit": 2.0}, "more data"),
        (rules.too_long, DROP, "rollout_length=3 (it is 5)"),
        (rules.too_long, {**DROP, "rollout_length": 4}, "rollout_length=3"),
        (rules.too_long, {"open_coverage": np.full(10, 0.1)}, "rollout_length=1"),
        (
            rules.too_long,
            {"open_coverage": np.full(10, 0.1), "rollout_length": 1},
            "cannot be shorter",
        ),
        (
            rules.odd_units,
            {"penalty_parts": array(0.01, 0.01, 0.98), "data_stds": array(1, 1, 200.0)},
            "speed makes 98%",
        ),
        (rules.blind_penalty, {"correlation": RankCorrelation(0.1, 0.0, 0.2)}, "0.10"),
        (
            rules.blind_penalty,
            {"correlation": RankCorrelation(0.1, 0.0, 0.2), "attainable": 0.6},
            "does not tell",
        ),
        (rules.exploited, {"outside": 0.4}, "40% of the states"),
        (rules.exploited, {"growth": 8.0, "penalty_coeff": 0.0}, "--algorithm mopo"),
        (rules.exploited, {"growth": 8.0}, "to 2, or shorten"),
        (rules.too_strict, {"penalty_size": 2.0}, "penalty_coeff=0.25"),
        (rules.runaway_value, {"value": 101.0}, "run away"),
    ],
)
def test_each_rule_speaks_of_what_it_finds(rule, change, said):
    found = dataclasses.replace(FINE, **change)
    assert said in rule(found)
    assert rule(found) in advice(found)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        (rules.too_narrow, {**NARROW, "rows": 50}),  # chance
        (rules.too_long, {**DROP, "rollout_length": 3}),
        (rules.too_long, {**DROP, "open_errors": np.full(10, 0.1)}),  # too small to matter
        (rules.odd_units, {"penalty_parts": array(0.01, 0.01, 0.98)}),  # noise, not units
        # Equal noise everywhere: no penalty could rank the errors.
        (
            rules.blind_penalty,
            {"correlation": RankCorrelation(0.0, -0.1, 0.1), "attainable": 0.05},
        ),
        (rules.exploited, {"outside": math.nan, "growth": math.nan}),
        (rules.too_strict, {"penalty_size": math.nan}),
    ],
)
def test_rules_are_silent_where_nothing_follows(rule, change):
    assert rule(dataclasses.replace(FINE, **change)) == ""


def test_rows_of_the_training_and_few_rows_are_said():
    assert "trained on these rows" in advice(dataclasses.replace(FINE, trained_on=True))
    assert "Only 20 rows" in advice(dataclasses.replace(FINE, rows=20))
