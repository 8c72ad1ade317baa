"""Made-up planning problems in MotionBenchMaker's format: a shelf of cans, a box on a table, a cage of bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pickcell.geometry import Pose, make_pose, quat_xyzw_from_pose
from pickcell.motion.solver import IkSolver
from pickcell_sim.bench.motion.moveit_problems import MoveitProblem
from pickcell_sim.bench.motion.problems import ProblemRobot
from pickcell_sim.bench.motion.solids import Solid

Array = NDArray[np.float64]

KINDS = ("shelf", "box", "cage")
FINGER_M = 0.03
READY = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)
"""Where problems begin, give or take."""
DRAWS = 400


def write_problems(folder: Path, robot: ProblemRobot, hand: str, count: int, seed: int) -> None:
    """``count`` problems, the kinds in turn, whose starts and goals touch nothing by exact shapes. ``hand``: the frame that
    reaches in, z forward. Raises RuntimeError when none can be drawn: the robot does not reach that far."""
    for k in range(count):
        kind = KINDS[k % len(KINDS)]
        rng = np.random.default_rng([seed, k])
        for _ in range(DRAWS):
            problem = _drawn(kind, robot, hand, rng)
            if problem is not None:
                break
        else:
            raise RuntimeError(f"no {kind} problem in {DRAWS} draws: the arm does not reach {hand} into it")
        _write(folder / kind, k // len(KINDS) + 1, problem)


def _drawn(kind: str, robot: ProblemRobot, hand: str, rng: np.random.Generator) -> MoveitProblem | None:
    fingers = {name: FINGER_M for name in ("panda_finger_joint1", "panda_finger_joint2") if f'"{name}"' in robot.urdf}
    solids, X_hand = {"shelf": _shelf, "box": _box, "cage": _cage}[kind](rng)
    model = robot.model(fingers)
    q_start = np.clip(np.array(READY) + rng.normal(0.0, 0.25, 7), model.lower + 0.01, model.upper - 0.01)
    found = IkSolver(model, hand).solve(X_hand[None], [q_start], count=1)[0]
    if not len(found):
        return None
    start, goal = (dict(zip(robot.joints, q.tolist(), strict=True)) for q in (q_start, found[0]))
    problem = MoveitProblem(kind, tuple(solids), start | fingers, goal)
    judge = robot.judge(problem)
    return problem if judge.free(q_start) and judge.free(found[0]) else None


def _board(name: str, at: tuple[float, float, float], size: tuple[float, float, float]) -> Solid:
    return Solid(name, "box", make_pose(at), size)


def _forward(at: Array, yaw: float) -> Pose:
    """A hand that points away from the base, level."""
    return make_pose(at, (0.0, 0.5 * np.pi, 0.0)) @ make_pose((0.0, 0.0, 0.0), (yaw, 0.0, 0.0))


def _shelf(rng: np.random.Generator) -> tuple[list[Solid], Pose]:
    x, gap = rng.uniform(0.72, 0.80), rng.uniform(0.30, 0.36)
    out = [_board(f"board {i}", (x, 0.0, 0.20 + i * gap), (0.30, 0.80, 0.02)) for i in range(4)]
    out += [_board(f"side {y}", (x, y, 0.20 + 1.5 * gap), (0.30, 0.02, 3 * gap)) for y in (-0.41, 0.41)]
    level = 0.20 + int(rng.integers(0, 3)) * gap
    goal = np.array([x - rng.uniform(0.10, 0.16), rng.uniform(-0.25, 0.25), level + rng.uniform(0.11, 0.16)])
    for k in range(5):
        at = (x + rng.uniform(-0.02, 0.08), rng.uniform(-0.35, 0.35), level + 0.07)
        out.append(Solid(f"can {k}", "cylinder", make_pose(at), (0.03, 0.12)))
    return out, _forward(goal, rng.uniform(-0.3, 0.3))


def _box(rng: np.random.Generator) -> tuple[list[Solid], Pose]:
    x, y, half, depth = rng.uniform(0.45, 0.55), rng.uniform(-0.2, 0.2), rng.uniform(0.16, 0.20), 0.22
    out = [_board("table", (0.5, 0.0, -0.02), (0.7, 1.4, 0.04))]
    for name, dx, dy, size in (
        ("front", -half, 0.0, (0.02, 2 * half, depth)), ("back", half, 0.0, (0.02, 2 * half, depth)),
        ("left", 0.0, half, (2 * half, 0.02, depth)), ("right", 0.0, -half, (2 * half, 0.02, depth)),
    ):  # fmt: skip
        out.append(_board(name, (x + dx, y + dy, 0.5 * depth), size))
    out.append(Solid("ball", "sphere", make_pose((x + 0.06, y + 0.05, 0.05)), (0.05,)))
    at = (x + rng.uniform(-0.06, 0.02), y + rng.uniform(-0.06, 0.02), rng.uniform(0.20, 0.26))
    return out, make_pose(at, (np.pi, 0.0, rng.uniform(-np.pi, np.pi)))


def _cage(rng: np.random.Generator) -> tuple[list[Solid], Pose]:
    x, y, z, r = 0.52, rng.uniform(-0.15, 0.15), 0.0, 0.20
    out = [_board("table", (0.5, 0.0, -0.02), (0.7, 1.4, 0.04))]
    for k, turn in enumerate(np.linspace(0.0, 2.0 * np.pi, 7)[:-1] + rng.uniform(0.0, 1.0)):
        at = (x + r * np.cos(turn), y + r * np.sin(turn), z + 0.20)
        out.append(Solid(f"bar {k}", "cylinder", make_pose(at), (0.012, 0.40)))
    at = (x + rng.uniform(-0.04, 0.04), y + rng.uniform(-0.04, 0.04), rng.uniform(0.22, 0.30))
    return out, make_pose(at, (np.pi + rng.uniform(-0.3, 0.3), 0.0, rng.uniform(-np.pi, np.pi)))


def _write(folder: Path, number: int, problem: MoveitProblem) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scene = {"name": problem.name, "world": {"collision_objects": [_object(solid) for solid in problem.solids]}}
    request = {
        "start_state": {"joint_state": {"name": list(problem.start), "position": list(problem.start.values())}},
        "goal_constraints": [
            {"joint_constraints": [{"joint_name": name, "position": q} for name, q in problem.goal.items()]}
        ],
        "group_name": "panda_arm",
    }
    for name, data in (("scene", scene), ("request", request)):
        (folder / f"{name}{number:04d}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))


def _object(solid: Solid) -> dict[str, Any]:
    size = (solid.size[1], solid.size[0]) if solid.kind == "cylinder" else solid.size
    pose = {
        "position": [float(v) for v in solid.X_base_solid[:3, 3]],
        "orientation": [float(v) for v in quat_xyzw_from_pose(solid.X_base_solid)],
    }
    primitive = {"type": solid.kind, "dimensions": [float(v) for v in size]}
    return {"id": solid.name, "primitives": [primitive], "primitive_poses": [pose]}
