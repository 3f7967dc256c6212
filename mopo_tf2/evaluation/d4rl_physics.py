"""Rewriting of Gymnasium's MuJoCo models, so that they have the dynamics of MuJoCo 2.1.0.

D4RL's data come from gym v2 on MuJoCo 2.1.0. Since 2.1.1 the mass and inertia of a capsule are
exact; before, a capsule counted as a solid cylinder of length 2 half_length + radius. The rewriting
computes every body's mass, centre and inertia by the old rule and writes them into the model as
``<inertial>``, which replaces the values that MuJoCo derives from the geoms.
Changing the compiled model instead is not enough: other constants are derived from the masses.
"""

import math
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

_DEFAULT_DENSITY = 1000.0  # kg/m^3, MuJoCo's own default


class Inertia(NamedTuple):
    """Mass properties of a rigid body, in the body's frame.

    mass:    kg.
    centre:  [3] float64, centre of mass, m.
    tensor:  [3, 3] float64, inertia about the centre of mass, kg m^2.
    """

    mass: float
    centre: Vector
    tensor: Vector


def old_capsule_inertia(
    radius: float, half_length: float, density: float, centre: Vector, axis: Vector
) -> Inertia:
    """Mass properties of a capsule by the rule of MuJoCo 2.1.0.

    A solid cylinder of length L = 2 half_length + radius: m = density pi radius^2 L, along the axis
    m radius^2 / 2, across it m (3 radius^2 + L^2) / 12.

    Args:
        radius: m.
        half_length: half the length of the cylindrical part, without the caps, m.
        density: kg/m^3.
        centre: [3] float64, m.
        axis: [3] float64, unit vector along the capsule.
    """
    length = 2.0 * half_length + radius
    mass = density * math.pi * radius**2 * length
    along = mass * radius**2 / 2.0
    across = mass * (3.0 * radius**2 + length**2) / 12.0
    projection = np.outer(axis, axis)
    return Inertia(mass, centre, across * (np.eye(3) - projection) + along * projection)


def sphere_inertia(radius: float, density: float, centre: Vector) -> Inertia:
    """Mass properties of a solid sphere of ``radius`` m and ``density`` kg/m^3."""
    mass = density * 4.0 / 3.0 * math.pi * radius**3
    return Inertia(mass, centre, 0.4 * mass * radius**2 * np.eye(3))


def combined_inertia(parts: list[Inertia]) -> Inertia:
    """Mass properties of one body made of ``parts``, by the parallel-axis rule."""
    mass = sum(part.mass for part in parts)
    centre = np.sum([part.mass * part.centre for part in parts], axis=0) / mass
    tensor = np.zeros((3, 3))
    for part in parts:
        offset = part.centre - centre
        shift = (offset @ offset) * np.eye(3) - np.outer(offset, offset)
        tensor += part.tensor + part.mass * shift
    return Inertia(mass, centre, tensor)


def with_old_inertias(xml: str, *, halve_margins: bool = False) -> str:
    """Rewrite a model so that its bodies have the masses and inertias of MuJoCo 2.1.0.

    Args:
        xml: the text of an MJCF model whose bodies are made of capsules and spheres, with one
            ``<default>`` block without classes (as Gymnasium's half_cheetah, hopper, walker2d and
            ant).
        halve_margins: also halve the contact margin of every geom. Needed from MuJoCo 3.5 on, which
            adds the margins of two geoms instead of taking the larger one.

    Returns:
        The text of the rewritten model.

    Raises:
        ValueError: if the model has elements that this rule does not cover.
    """
    root = ElementTree.fromstring(xml)
    compiler = root.find("compiler")
    worldbody = root.find("worldbody")
    if root.tag != "mujoco" or compiler is None or worldbody is None:
        raise ValueError("expected an MJCF model with <compiler> and <worldbody>.")
    if root.find("default/default") is not None:
        raise ValueError("models with classes of defaults are not covered.")
    default_geom = root.find("default/geom")
    defaults = {} if default_geom is None else dict(default_geom.attrib)

    bodies = list(worldbody.iter("body"))
    radian = compiler.get("angle", "degree") == "radian"
    inertias = [_body_inertia(body, defaults, radian) for body in bodies]
    # settotalmass must go: it would scale the explicit inertials as well.
    total_mass = float(compiler.attrib.pop("settotalmass", -1.0))
    if total_mass > 0.0:
        scale = total_mass / sum(inertia.mass for inertia in inertias)
        inertias = [Inertia(m * scale, centre, t * scale) for m, centre, t in inertias]
    compiler.set("inertiafromgeom", "auto")
    for body, inertia in zip(bodies, inertias, strict=True):
        body.insert(0, _inertial_element(inertia))
    if halve_margins:
        for geom in root.iter("geom"):
            if "margin" in geom.attrib:
                geom.set("margin", repr(float(geom.attrib["margin"]) / 2.0))
    return ElementTree.tostring(root, encoding="unicode")


def _body_inertia(body: ElementTree.Element, defaults: dict[str, str], radian: bool) -> Inertia:
    if body.find("inertial") is not None:
        raise ValueError(f"body {body.get('name')!r} has an <inertial> of its own.")
    geoms = [{**defaults, **geom.attrib} for geom in body.findall("geom")]
    if not geoms:
        raise ValueError(f"body {body.get('name')!r} has no geom.")
    return combined_inertia([_geom_inertia(geom, radian) for geom in geoms])


def _geom_inertia(geom: dict[str, str], radian: bool) -> Inertia:
    kind = geom.get("type", "sphere")
    density = float(geom.get("density", _DEFAULT_DENSITY))
    size = _numbers(geom["size"])
    position = _numbers(geom.get("pos", "0 0 0"))
    if "mass" in geom:
        raise ValueError(f"geom {geom.get('name')!r} sets its mass; only density is covered.")
    if kind == "sphere":
        return sphere_inertia(size[0], density, position)
    if kind != "capsule":
        raise ValueError(
            f"geom {geom.get('name')!r} is a {kind}; only capsule and sphere are covered."
        )
    if "fromto" in geom:
        start, end = _numbers(geom["fromto"]).reshape(2, 3)
        length = float(np.linalg.norm(end - start))
        centre, axis = (start + end) / 2.0, (end - start) / length
        return old_capsule_inertia(size[0], length / 2.0, density, centre, axis)
    return old_capsule_inertia(size[0], size[1], density, position, _capsule_axis(geom, radian))


def _capsule_axis(geom: dict[str, str], radian: bool) -> Vector:
    """Return the z axis of the geom's frame, a unit vector in the body's frame."""
    if any(key in geom for key in ("euler", "xyaxes", "zaxis")):
        raise ValueError(f"the orientation of geom {geom.get('name')!r} is not covered.")
    if "axisangle" in geom:
        *direction, angle = _numbers(geom["axisangle"])
        half = (angle if radian else math.radians(angle)) / 2.0
        axis = np.asarray(direction) / np.linalg.norm(direction)
        quaternion = np.concatenate([[math.cos(half)], math.sin(half) * axis])
    else:
        quaternion = _numbers(geom.get("quat", "1 0 0 0"))
        quaternion = quaternion / np.linalg.norm(quaternion)
    w, x, y, z = quaternion
    return np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])


def _inertial_element(inertia: Inertia) -> ElementTree.Element:
    tensor = inertia.tensor
    upper = [*np.diag(tensor), tensor[0, 1], tensor[0, 2], tensor[1, 2]]
    attributes = {
        "pos": _text(inertia.centre),
        "mass": repr(float(inertia.mass)),
        "fullinertia": _text(np.array(upper)),
    }
    return ElementTree.Element("inertial", attributes)


def _numbers(text: str) -> Vector:
    return np.array([float(word) for word in text.split()])


def _text(values: Vector) -> str:
    return " ".join(repr(float(value)) for value in values)
