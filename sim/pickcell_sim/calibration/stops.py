"""Arm postures from which the wrist camera sees the board from all sides: turned about all three axes, as hand-eye
calibration needs (Tsai and Lenz 1989)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from pickcell.cell import CellConfig
from pickcell.geometry import Pose, inverse
from pickcell.motion.model import RobotModel

DISTANCE_M = (0.46, 0.56)
"""From the camera to the board: so near that it fills the picture, so far that the hand stays above the tote's rim."""
TILT_RAD = float(np.deg2rad(24.0))
ROLL_RAD = float(np.deg2rad(45.0))
_REACHED = 2e-3
_MARGIN_RAD = 0.05
_TRIES = 12


def stops(cell: CellConfig, robot: RobotModel, X_base_board: Pose, count: int, seed: int) -> list[NDArray[np.float64]]:
    """Joint positions (n,) of up to ``count`` postures near home; a few fewer where the arm does not reach."""
    rng = np.random.default_rng([seed, 501])
    X_tool_camera = next(c for c in cell.cameras if c.parent == "tool0").X_parent_camera
    home = np.array(cell.arm.home)
    X_home = robot.fk(home, "tool0") @ X_tool_camera
    found = []
    for k in range(count):
        for _ in range(_TRIES):
            wanted = _camera(X_base_board, X_home, 2.0 * np.pi * k / count, rng) @ inverse(X_tool_camera)
            q = _reach(robot, wanted, home)
            if q is not None:
                found.append(q)
                break
    return found


def _camera(X_base_board: Pose, X_home: Pose, around: float, rng: np.random.Generator) -> Pose:
    """A camera that looks at the board's middle, leaning out to one side, and turned about its axis against home."""
    lean = rng.uniform(0.4, 1.0) * TILT_RAD
    turn = Rotation.from_rotvec(lean * np.array([np.cos(around), np.sin(around), 0.0]))
    turn = turn * Rotation.from_rotvec([0.0, 0.0, rng.uniform(-ROLL_RAD, ROLL_RAD)])
    X = np.eye(4)
    X[:3, :3] = _looking_down(X_home) @ turn.as_matrix()
    X[:3, 3] = X_base_board[:3, 3] - rng.uniform(*DISTANCE_M) * X[:3, 2] + np.append(rng.normal(0.0, 0.015, 2), 0.0)
    return X


def _looking_down(X_home: Pose) -> NDArray[np.float64]:
    """The camera's attitude at home, made upright: z straight down."""
    z = np.array([0.0, 0.0, -1.0])
    x = X_home[:3, 0] - (X_home[:3, 0] @ z) * z
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x), z])


def _reach(robot: RobotModel, X_base_tool0: Pose, start: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Joint positions within limits, near ``start``; None where there are none."""

    def error(q: NDArray[np.float64]) -> NDArray[np.float64]:
        X = robot.fk(q, "tool0")
        turn = Rotation.from_matrix(X_base_tool0[:3, :3].T @ X[:3, :3]).as_rotvec()
        return np.concatenate([X[:3, 3] - X_base_tool0[:3, 3], 0.3 * turn, 1e-4 * (q - start)])

    low, high = robot.lower + _MARGIN_RAD, robot.upper - _MARGIN_RAD
    solution = least_squares(error, np.clip(start, low, high), bounds=(low, high), max_nfev=60)
    return solution.x if np.linalg.norm(error(solution.x)[:6]) < _REACHED else None
