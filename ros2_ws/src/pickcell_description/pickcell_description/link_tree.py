"""The joints of a URDF as transforms between parent and child link. ROS-free.

Follows the URDF specification (wiki.ros.org/urdf/XML/joint): X_parent_child = origin * motion(position), where motion turns
about or slides along the axis given in the joint's own frame.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.geometry import Pose, make_pose

MOVABLE = ("revolute", "continuous", "prismatic")


class LinkTreeError(ValueError):
    """A description that cannot be used; the text names the joint."""


@dataclass(frozen=True)
class Joint:
    """One joint. ``mimic``: (other joint, multiplier, offset) when it is geared to another."""

    name: str
    kind: str
    parent: str
    child: str
    origin: Pose
    axis: NDArray[np.float64]
    mimic: tuple[str, float, float] | None = None

    @property
    def movable(self) -> bool:
        return self.kind in MOVABLE

    def transform(self, position: float) -> Pose:
        """``X_parent_child`` with the joint at ``position`` (rad or m)."""
        if not self.movable:
            return self.origin
        motion = np.eye(4)
        if self.kind == "prismatic":
            motion[:3, 3] = position * self.axis
        else:
            motion[:3, :3] = Rotation.from_rotvec(position * self.axis).as_matrix()
        return self.origin @ motion


@dataclass(frozen=True)
class LinkTree:
    """All joints of a robot."""

    root: str
    """The link that no joint leads to."""
    joints: tuple[Joint, ...]

    @property
    def fixed(self) -> tuple[Joint, ...]:
        return tuple(joint for joint in self.joints if not joint.movable)

    @property
    def movable(self) -> tuple[Joint, ...]:
        return tuple(joint for joint in self.joints if joint.movable)

    def positions(self, known: Mapping[str, float]) -> dict[str, float]:
        """Positions of all movable joints that are in ``known`` or geared to one that is."""
        found = {}
        for joint in self.movable:
            if joint.name in known:
                found[joint.name] = float(known[joint.name])
            elif joint.mimic is not None and joint.mimic[0] in known:
                other, multiplier, offset = joint.mimic
                found[joint.name] = multiplier * float(known[other]) + offset
        return found


def parse_link_tree(urdf: str) -> LinkTree:
    """Read the joints of a URDF. Raises LinkTreeError for text that is no URDF, unknown joint types, or several roots."""
    try:
        robot = ET.fromstring(urdf)
    except ET.ParseError as error:
        raise LinkTreeError(f"the robot description is not XML: {error}") from error
    joints = tuple(_joint(element) for element in robot.findall("joint"))
    children = [joint.child for joint in joints]
    roots = [link.get("name", "") for link in robot.findall("link") if link.get("name") not in children]
    if len(roots) != 1:
        raise LinkTreeError(f"the robot description needs exactly one root link, it has {roots}")
    return LinkTree(roots[0], joints)


def _joint(element: ET.Element) -> Joint:
    name, kind = element.get("name", "?"), element.get("type", "?")
    if kind != "fixed" and kind not in MOVABLE:
        raise LinkTreeError(f"joint '{name}' has type '{kind}'; supported: {['fixed', *MOVABLE]}")
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise LinkTreeError(f"joint '{name}' lacks its parent or child")
    origin = element.find("origin")
    xyz, rpy = ("0 0 0", "0 0 0") if origin is None else (origin.get("xyz", "0 0 0"), origin.get("rpy", "0 0 0"))
    axis_element = element.find("axis")
    axis = _numbers(name, "1 0 0" if axis_element is None else axis_element.get("xyz", "1 0 0"))
    length = float(np.linalg.norm(axis))
    if kind != "fixed" and length < 1e-9:
        raise LinkTreeError(f"joint '{name}' has a zero axis")
    geared = element.find("mimic")
    mimic = None
    if geared is not None:
        mimic = (geared.get("joint", ""), float(geared.get("multiplier", "1")), float(geared.get("offset", "0")))
    return Joint(
        name=name,
        kind=kind,
        parent=parent.get("link", ""),
        child=child.get("link", ""),
        origin=make_pose(_numbers(name, xyz), _numbers(name, rpy)),
        axis=axis / length if length > 0 else axis,
        mimic=mimic,
    )


def _numbers(joint: str, text: str) -> NDArray[np.float64]:
    try:
        values = np.array([float(part) for part in text.split()])
    except ValueError:
        values = np.zeros(0)
    if values.shape != (3,):
        raise LinkTreeError(f"joint '{joint}': expected three numbers, got '{text}'")
    return values
