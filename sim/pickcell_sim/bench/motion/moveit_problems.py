"""Reads planning problems as MotionBenchMaker writes them (Chamzas et al., RA-L 2022): MoveIt planning scenes and requests
in YAML, ``scene0001.yaml`` beside ``request0001.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pickcell.geometry import Pose, pose_from_quat_xyzw
from pickcell_sim.bench.motion.solids import Solid

Array = NDArray[np.float64]

KINDS = {1: "box", 2: "sphere", 3: "cylinder", "box": "box", "sphere": "sphere", "cylinder": "cylinder"}
"""``shape_msgs/SolidPrimitive`` by number and by name."""
DIMENSIONS = {"box": 3, "sphere": 1, "cylinder": 2}


class ProblemError(ValueError):
    """A problem that cannot be used; the message names file and place."""


@dataclass(frozen=True)
class MoveitProblem:
    """One query."""

    name: str
    solids: tuple[Solid, ...]
    """Poses in the fixed frame of the scene, which is taken for the robot's base."""
    start: dict[str, float]
    """By joint, those that are not the arm's included."""
    goal: dict[str, float]
    """By joint of the arm."""


def find_problems(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Scene and request of every problem below a folder, in the order of their names. Raises ProblemError when there is
    none, or a scene without its request."""
    scenes = sorted(folder.rglob("scene*.yaml"))
    if not scenes:
        raise ProblemError(
            f"{folder}: no scene*.yaml below it; a problem is a scene0001.yaml with a request0001.yaml beside it"
        )
    for scene in scenes:
        request = scene.with_name(scene.name.replace("scene", "request", 1))
        if not request.is_file():
            raise ProblemError(f"{scene}: {request.name} is missing beside it")
        yield scene, request


def read_problem(scene: Path, request: Path) -> MoveitProblem:
    """Raises ProblemError for what is malformed or not known: meshes, attached items, goals that are not joint positions."""
    world = _mapping(_load(scene).get("world"), scene, "world")
    solids = [
        solid
        for k, item in enumerate(world.get("collision_objects") or [])
        for solid in _solids(_mapping(item, scene, f"collision_objects[{k}]"), scene, k)
    ]
    asked = _load(request)
    attached = _mapping(asked.get("start_state") or {}, request, "start_state").get("attached_collision_objects")
    if attached:
        raise ProblemError(f"{request}: start_state.attached_collision_objects are not known here")
    state = _mapping(_mapping(asked.get("start_state"), request, "start_state").get("joint_state"), request, "joint_state")
    names, positions = state.get("name"), state.get("position")
    if not isinstance(names, list) or not isinstance(positions, list) or len(names) != len(positions):
        raise ProblemError(f"{request}: start_state.joint_state needs as many positions as names")
    start = {str(n): _number(p, request, f"position of {n}") for n, p in zip(names, positions, strict=True)}
    return MoveitProblem(f"{scene.parent.name}/{scene.stem}", tuple(solids), start, _goal(asked, request))


def _goal(asked: Mapping[str, Any], path: Path) -> dict[str, float]:
    goals = asked.get("goal_constraints")
    if not isinstance(goals, list) or not goals:
        raise ProblemError(f"{path}: goal_constraints are missing")
    joints = _mapping(goals[0], path, "goal_constraints[0]").get("joint_constraints")
    if not isinstance(joints, list) or not joints:
        raise ProblemError(f"{path}: goal_constraints[0] has no joint_constraints; poses as goals are not known here")
    out = {}
    for k, joint in enumerate(joints):
        one = _mapping(joint, path, f"joint_constraints[{k}]")
        out[str(one.get("joint_name"))] = _number(one.get("position"), path, f"joint_constraints[{k}].position")
    return out


def _solids(item: Mapping[str, Any], path: Path, number: int) -> Iterator[Solid]:
    name = str(item.get("id", f"object {number}"))
    if item.get("meshes"):
        raise ProblemError(f"{path}: '{name}' is a mesh; boxes, cylinders and spheres are known here")
    X = _pose(item["pose"], path, name) if item.get("pose") else np.eye(4)
    shapes, poses = item.get("primitives") or [], item.get("primitive_poses") or []
    if len(shapes) != len(poses):
        raise ProblemError(f"{path}: '{name}' has {len(shapes)} primitives and {len(poses)} poses")
    for k, (shape, pose) in enumerate(zip(shapes, poses, strict=True)):
        one = _mapping(shape, path, f"'{name}' primitives[{k}]")
        kind = KINDS.get(one.get("type", ""), "")
        if not kind:
            raise ProblemError(f"{path}: '{name}' is of type {one.get('type')!r}, known are {sorted(set(KINDS.values()))}")
        sizes = [_number(v, path, f"'{name}' dimensions") for v in one.get("dimensions") or []]
        if len(sizes) < DIMENSIONS[kind] or not all(v > 0 for v in sizes[: DIMENSIONS[kind]]):
            raise ProblemError(f"{path}: a {kind} needs {DIMENSIONS[kind]} positive dimensions, '{name}' has {sizes}")
        size = (sizes[1], sizes[0]) if kind == "cylinder" else tuple(sizes[: DIMENSIONS[kind]])  # MoveIt: height, radius
        yield Solid(f"{name} {k}", kind, X @ _pose(pose, path, name), size)


def _pose(data: Any, path: Path, name: str) -> Pose:
    one = _mapping(data, path, f"pose of '{name}'")
    position = _numbers(one.get("position", [0.0, 0.0, 0.0]), "xyz", path, f"position of '{name}'")
    turn = _numbers(one.get("orientation", [0.0, 0.0, 0.0, 1.0]), "xyzw", path, f"orientation of '{name}'")
    if float(np.linalg.norm(turn)) < 1e-6:
        raise ProblemError(f"{path}: orientation of '{name}' is no quaternion")
    return pose_from_quat_xyzw(position, np.asarray(turn) / np.linalg.norm(turn))


def _numbers(data: Any, names: str, path: Path, what: str) -> list[float]:
    """A list, or a mapping by name, both of which are written."""
    values = [data.get(name, 0.0) for name in names] if isinstance(data, Mapping) else data
    if not isinstance(values, list) or len(values) != len(names):
        raise ProblemError(f"{path}: {what} needs {len(names)} numbers")
    return [_number(v, path, what) for v in values]


def _number(value: Any, path: Path, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ProblemError(f"{path}: {what} is {value!r}, not a number") from None
    if not np.isfinite(number):
        raise ProblemError(f"{path}: {what} is not finite")
    return number


def _mapping(value: Any, path: Path, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ProblemError(f"{path}: {what} is missing or not a mapping")
    return value


def _load(path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), path, "it")
    except (OSError, yaml.YAMLError) as problem:
        raise ProblemError(f"{path}: cannot be read ({problem})") from None
