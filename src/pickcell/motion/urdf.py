"""A URDF as plain values: links with their collision shapes, joints with their limits. No other part of URDF is read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose, make_pose

MOVING = ("revolute", "continuous", "prismatic")


class UrdfError(ValueError):
    """A URDF that cannot be used; the message names the element that is wrong."""


@dataclass(frozen=True)
class Shape:
    """One collision primitive of a link."""

    kind: str
    """``box``, ``cylinder`` (axis z), ``sphere`` or ``mesh``."""
    X_link_shape: Pose
    size: tuple[float, ...]
    """box: side lengths; cylinder: radius, length; sphere: radius; mesh: scale (3)."""
    mesh: Path | None = None


@dataclass(frozen=True)
class Joint:
    name: str
    kind: str
    """URDF joint type."""
    parent: str
    child: str
    X_parent_child: Pose
    """Child link in the parent link at joint position 0."""
    axis: NDArray[np.float64]
    """(3,) unit axis in the child frame."""
    lower: float
    upper: float
    velocity: float
    """rad/s or m/s; inf where the URDF gives none."""


@dataclass(frozen=True)
class Urdf:
    root: str
    links: dict[str, tuple[Shape, ...]]
    joints: dict[str, Joint]
    """By name, each after the joint that carries its parent link."""


def _floats(text: str | None, default: str, what: str, count: int) -> list[float]:
    try:
        values = [float(v) for v in (text if text is not None else default).split()]
    except ValueError as error:
        raise UrdfError(f"{what}: '{text}' is not a list of numbers") from error
    if len(values) != count or not np.all(np.isfinite(values)):
        raise UrdfError(f"{what}: expected {count} finite numbers, got '{text}'")
    return values


def _origin(element: ET.Element, what: str) -> Pose:
    origin = element.find("origin")
    if origin is None:
        return np.eye(4)
    xyz = _floats(origin.get("xyz"), "0 0 0", f"{what} origin xyz", 3)
    return make_pose(xyz, _floats(origin.get("rpy"), "0 0 0", f"{what} origin rpy", 3))


def _find_mesh(filename: str, roots: Sequence[Path]) -> Path:
    """``file://``, absolute, ``package://`` and relative names; the latter two are looked for below ``roots``."""
    name = filename.removeprefix("file://")
    if name.startswith("package://"):
        name = name.removeprefix("package://")
        tails = [Path(name), Path(*Path(name).parts[1:])]
    else:
        tails = [Path(name)]
    for path in [t for t in tails if t.is_absolute()] + [root / t for root in roots for t in tails]:
        if path.is_file():
            return path
    raise UrdfError(f"mesh '{filename}' not found; searched {[str(r) for r in roots] or 'no directories'}")


def _shape(collision: ET.Element, what: str, roots: Sequence[Path]) -> Shape:
    geometry = collision.find("geometry")
    if geometry is None or len(geometry) == 0:
        raise UrdfError(f"{what}: collision without geometry")
    X, g = _origin(collision, what), geometry[0]
    if g.tag == "box":
        return Shape("box", X, tuple(_floats(g.get("size"), "", f"{what} box size", 3)))
    if g.tag == "sphere":
        return Shape("sphere", X, tuple(_floats(g.get("radius"), "", f"{what} sphere radius", 1)))
    if g.tag == "cylinder":
        radius = _floats(g.get("radius"), "", f"{what} cylinder radius", 1)
        return Shape("cylinder", X, (*radius, *_floats(g.get("length"), "", f"{what} cylinder length", 1)))
    if g.tag == "mesh":
        scale = tuple(_floats(g.get("scale"), "1 1 1", f"{what} mesh scale", 3))
        return Shape("mesh", X, scale, _find_mesh(g.get("filename", ""), roots))
    raise UrdfError(f"{what}: collision geometry '{g.tag}' is not one of box, cylinder, sphere, mesh")


def _joint(element: ET.Element) -> Joint:
    name = element.get("name", "")
    parent, child = element.find("parent"), element.find("child")
    if not name or parent is None or child is None:
        raise UrdfError(f"joint '{name}': needs a name, a parent and a child")
    kind = element.get("type", "")
    if kind not in (*MOVING, "fixed"):
        raise UrdfError(f"joint '{name}': type '{kind}' is not one of fixed, {', '.join(MOVING)}")
    axis_element, limit = element.find("axis"), element.find("limit")
    axis = np.array(
        _floats(axis_element.get("xyz") if axis_element is not None else None, "1 0 0", f"joint '{name}' axis", 3)
    )
    norm = float(np.linalg.norm(axis))
    if kind != "fixed" and norm < 1e-9:
        raise UrdfError(f"joint '{name}': axis has no length")
    lower, upper, velocity = 0.0, 0.0, np.inf
    if kind in ("revolute", "prismatic"):
        if limit is None:
            raise UrdfError(f"joint '{name}': a {kind} joint needs limits")
        lower = _floats(limit.get("lower"), "0", f"joint '{name}' lower", 1)[0]
        upper = _floats(limit.get("upper"), "0", f"joint '{name}' upper", 1)[0]
    elif kind == "continuous":
        lower, upper = -2.0 * np.pi, 2.0 * np.pi  # a planner needs a bounded space; one turn each way loses no pose
    if limit is not None and limit.get("velocity"):
        velocity = _floats(limit.get("velocity"), "0", f"joint '{name}' velocity", 1)[0]
    return Joint(
        name,
        kind,
        parent.get("link", ""),
        child.get("link", ""),
        _origin(element, f"joint '{name}'"),
        axis / norm if norm > 0 else axis,
        lower,
        upper,
        velocity,
    )


def parse_urdf(text: str, mesh_roots: Sequence[Path] = ()) -> Urdf:
    """Read URDF text. Raises UrdfError for malformed XML, missing parts, loops or more than one root link."""
    try:
        robot = ET.fromstring(text)
    except ET.ParseError as error:
        raise UrdfError(f"not XML: {error}") from error
    if robot.tag != "robot":
        raise UrdfError(f"the root element is <{robot.tag}>, expected <robot>")
    links = {
        link.get("name", ""): tuple(_shape(c, f"link '{link.get('name')}'", mesh_roots) for c in link.findall("collision"))
        for link in robot.findall("link")
    }
    joints = [_joint(j) for j in robot.findall("joint")]
    for joint in joints:
        for end in (joint.parent, joint.child):
            if end not in links:
                raise UrdfError(f"joint '{joint.name}': no link '{end}'; links are {sorted(links)}")
    children = {j.child for j in joints}
    roots = [name for name in links if name not in children]
    if len(roots) != 1 or len(children) != len(joints):
        raise UrdfError(f"the links must form one tree; roots are {roots}")
    ordered: dict[str, Joint] = {}
    reached, waiting = {roots[0]}, list(joints)
    while waiting:
        ready = [j for j in waiting if j.parent in reached]
        if not ready:
            raise UrdfError(f"joints {[j.name for j in waiting]} hang on a loop")
        for joint in ready:
            ordered[joint.name] = joint
            reached.add(joint.child)
        waiting = [j for j in waiting if j.name not in ordered]
    return Urdf(roots[0], links, ordered)
