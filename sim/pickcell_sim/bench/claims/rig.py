"""The bench of the claims: the cell's arm and hand over two open trays, moved in straight lines at a given acceleration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig, ToteConfig, load_cell
from pickcell.description import expand_urdf
from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell.motion import RobotModel
from pickcell.motion.core import FRAMES
from pickcell.motion.solver import IkSolver
from pickcell.motion.straight import Speeds, straight_motion
from pickcell.motion.timing import JointLimits
from pickcell.values import JointTrajectory, Tool
from pickcell_sim.items.spec import REPOSITORY

Array = NDArray[np.float64]

FROM, TO = np.array([0.5, -0.25]), np.array([0.5, 0.25])
"""Centres of the trays in the world: the carry is a straight line of 0.5 m across the arm's front."""
TRAY = (0.44, 0.48, 0.05)
FLOOR_M = 0.006
ABOVE_M = 0.03
"""The last stretch to contact starts this far above it."""
LIFT_M = 0.25
WAITING_M = 0.50
"""Height of the pads while an item is put on the tray."""
FREE_MPS = 1.8
"""Cap of the tool's speed; the joints' limits mostly come first."""
ACCELERATION_SHARE = 4.0
"""The cell's joint acceleration limits times this: the tool's acceleration is to be the bound, not the joints'. The torques
suffice (the controller's limits still apply)."""
JERK_SHARE = 8.0


@cache
def bench_cell(cup: str, source: str) -> CellConfig:
    """The reference cell with low trays in place of its totes, and a cup and vacuum source fitted."""
    cell = load_cell(REPOSITORY / "config" / "cells" / "panda.yaml", calibrated=False)
    trays = {
        name: ToteConfig(position=(float(at[0]), float(at[1]), FLOOR_M), inner=TRAY)
        for name, at in (("source", FROM), ("destination", TO))
    }
    return cell.model_copy(update={"totes": trays, "hand": cell.hand.fitted(cup, source)})


@dataclass(frozen=True)
class Route:
    """Configurations of a trial's way that every tool pose on it has: found before anything moves."""

    yaw_rad: float
    q_above: Array
    """ABOVE_M over the grasp."""


class StraightArm:
    """Straight lines of one cell's arm. Deterministic."""

    def __init__(self, cell: CellConfig) -> None:
        self.cell = cell
        urdf, arm = expand_urdf(cell), cell.arm
        robot = RobotModel(urdf, arm.joints, cell.hand.jaw_joints, cell.hand.cup_joint)
        self.solvers = {tool: IkSolver(robot, frame) for tool, frame in FRAMES.items()}
        self.limits = JointLimits(
            robot.lower,
            robot.upper,
            robot.velocity,
            ACCELERATION_SHARE * np.array(arm.acceleration_max),
            JERK_SHARE * np.array(arm.jerk_max),
        )
        self._home = np.array(arm.home)
        above = inverse(cell.X_world_base) @ make_pose((*FROM, WAITING_M), (np.pi, 0.0, 0.0))
        self.waiting = tuple(float(v) for v in self.solvers[Tool.PINCH].solve(above[None], self._home)[0][0])
        """Joints with the empty hand high over the first tray, clear of everything that is put there."""

    def pose(self, tool: Tool, q: Array) -> Pose:
        """The tool's frame in the world."""
        return self.cell.X_world_base @ self.solvers[tool].pose(q)

    def route(self, tool: Tool, point: Array, yaws: list[float]) -> Route | None:
        """A way to a grasp at ``point`` (3,) in the world with the tool straight down: the turn about the vertical and the
        arm's posture in which approach, lift, carry and lowering are all possible and the joints move least on the carry.

        None when there is none."""
        solver = self.solvers[tool]
        best: tuple[float, Route] | None = None
        for yaw in yaws:
            X = make_pose((*point[:2], point[2] + ABOVE_M), (np.pi, 0.0, yaw))
            target = inverse(self.cell.X_world_base) @ X
            for q in solver.solve(target[None], self._home)[0]:
                way = self._whole_way(solver, q)
                if way is not None and (best is None or way < best[0]):
                    best = (way, Route(yaw, q))
        return best[1] if best else None

    def _whole_way(self, solver: IkSolver, q: Array) -> float | None:
        """Largest joint movement on the carry, per its velocity limit; None when a stretch of the way is impossible."""
        down = solver.line(q, (0, 0, -1), ABOVE_M + 0.01)
        if not down.complete:
            return None
        up = solver.line(down.qs[-1], (0, 0, 1), LIFT_M)
        across = solver.line(up.qs[-1], (*(TO - FROM), 0.0), float(np.linalg.norm(TO - FROM))) if up.complete else up
        if not (up.complete and across.complete):
            return None
        lowered = solver.line(across.qs[-1], (0, 0, -1), LIFT_M - 0.01)
        if not lowered.complete:
            return None
        return float((np.abs(np.diff(across.qs, axis=0)) / self.limits.velocity).max())

    def line(
        self, tool: Tool, q: Array, offset: Array, acceleration: float, speed: float = FREE_MPS, slow_m: float = 0.0
    ) -> JointTrajectory | None:
        """From ``q`` straight by ``offset`` (3,) m, at contact speed on the last ``slow_m``; None when the arm cannot."""
        length = float(np.linalg.norm(offset))
        line = self.solvers[tool].line(q, offset, length)
        if not line.complete:
            return None
        contact = self.cell.arm.contact_speed if slow_m > 0 else None
        speeds = Speeds(acceleration, speed, contact, slow_m)
        return straight_motion(line.qs, line.step_m, self.limits, speeds).trajectory(self.cell.arm.joints)


@cache
def straight_arm(cup: str, source: str) -> StraightArm:
    """One per process and hand."""
    return StraightArm(bench_cell(cup, source))


def corners(size: Array, X: Pose) -> Array:
    """(8, 3) corners of a box of full sizes (3,) whose centre and axes are ``X``."""
    signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    return transform_points(X, signs * size)
