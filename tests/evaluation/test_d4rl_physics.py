"""The rewritten models against MuJoCo 2.1.0. Their steps are compared by parity."""

from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

from mopo_tf2.evaluation.d4rl_physics import with_old_inertias

RECORDING = Path(__file__).resolve().parents[2] / "parity/recordings/environment_steps.npz"
ASSETS = Path(gymnasium.__file__).parent / "envs/mujoco/assets"
MODELS = [
    ("halfcheetah", "half_cheetah"),
    ("hopper", "hopper"),
    ("walker2d", "walker2d"),
    ("antangle", "ant"),
]


def asset(model):
    return (ASSETS / f"{model}.xml").read_text()


def compiled(xml):
    return mujoco.MjModel.from_xml_string(xml)


@pytest.mark.parametrize(("task", "model"), MODELS)
def test_rewritten_model_has_the_recorded_mass_properties(task, model):
    rewritten, shipped = compiled(with_old_inertias(asset(model))), compiled(asset(model))
    with np.load(RECORDING) as recording:
        for quantity in ("body_mass", "body_inertia", "body_ipos"):
            expected = recording[f"{task}/model/{quantity}"]
            ours = getattr(rewritten, quantity)
            np.testing.assert_allclose(ours, expected, rtol=1e-13, atol=1e-15, err_msg=quantity)
        assert np.abs(shipped.body_inertia - recording[f"{task}/model/body_inertia"]).max() > 1e-5


@pytest.mark.parametrize(("task", "model"), MODELS)
def test_rewriting_changes_nothing_but_mass_properties(task, model):
    before, after = compiled(asset(model)), compiled(with_old_inertias(asset(model)))
    same = "geom_size geom_pos geom_friction geom_margin jnt_range jnt_pos actuator_gear"
    for name in same.split():
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)


def test_margins_are_halved_only_when_asked_for():
    xml = asset("hopper")
    assert set(compiled(with_old_inertias(xml)).geom_margin) == {0.001}
    assert set(compiled(with_old_inertias(xml, halve_margins=True)).geom_margin) == {0.0005}


@pytest.mark.parametrize(
    ("geom", "message"),
    [
        ('<geom type="box" size="1 1 1"/>', "only capsule and sphere"),
        ('<geom type="capsule" size="1 1" euler="1 0 0"/>', "orientation"),
        ('<geom type="sphere" size="1" mass="2"/>', "sets its mass"),
        ("", "has no geom"),
    ],
)
def test_model_that_the_rule_does_not_cover_is_refused(geom, message):
    xml = f"<mujoco><compiler/><worldbody><body>{geom}</body></worldbody></mujoco>"
    with pytest.raises(ValueError, match=message):
        with_old_inertias(xml)
