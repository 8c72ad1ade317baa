"""One calibration of the simulated cell, and what it is worth against the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pickcell.calibration.board import Board, find_corners
from pickcell.calibration.result import CameraCalibration
from pickcell.calibration.routine import calibrate
from pickcell.calibration.views import BoardPlace, BoardView
from pickcell.cell import CameraConfig, CellConfig
from pickcell.geometry import Pose, inverse, rotation_angle, transform_points
from pickcell.motion.model import RobotModel
from pickcell.outcome import Outcome
from pickcell_sim.calibration.session import Session, Shot


@dataclass(frozen=True)
class PoseError:
    """How far a believed camera pose is from the true one."""

    shift_m: float
    """Of a point in the middle of the source tote (its floor), as seen from home."""
    turn_rad: float


@dataclass(frozen=True)
class CameraTrial:
    """One camera of one trial."""

    camera: str
    found: Outcome[CameraCalibration]
    before: PoseError
    after: PoseError
    """As before when nothing was found."""


def trial(
    session: Session, shots: Iterable[Shot], *, board_known: bool = True, with_depth: bool = True
) -> list[CameraTrial]:
    """Calibrate from the pictures alone; the truth is only looked at for the score.

    ``board_known``: False does not tell where the board lies. ``with_depth``: False keeps the depth pictures back.
    """
    cell = session.cell
    views = views_of(cell, session.board, session.robot, shots, with_depth)
    places = session.meant if board_known else {name: BoardPlace.unknown() for name in session.meant}
    found = calibrate(cell, session.board, views, places).cameras
    return [_scored(session, cell.camera(name), outcome) for name, outcome in found.items()]


def views_of(
    cell: CellConfig, board: Board, robot: RobotModel, shots: Iterable[Shot], with_depth: bool = True
) -> list[BoardView]:
    """The pictures in which the board is found."""
    views = []
    for shot in shots:
        seen = find_corners(board, shot.frame.color)
        if seen.value is None:
            continue
        X_base_parent = inverse(cell.X_world_base) if shot.joints is None else robot.fk(shot.joints, "tool0")
        views.append(
            BoardView(shot.frame.camera, seen.value, X_base_parent, shot.place, shot.frame.depth_m if with_depth else None)
        )
    return views


def _scored(session: Session, config: CameraConfig, found: Outcome[CameraCalibration]) -> CameraTrial:
    true = session.true_parent_camera(config.name)
    cell = session.cell
    X_base_parent = inverse(cell.X_world_base) if config.parent == "world" else session.robot.fk(cell.arm.home, "tool0")
    point = (inverse(X_base_parent) @ cell.X_base_tote("source"))[:3, 3]
    before = pose_error(config.X_parent_camera, true, point)
    after = before if found.value is None else pose_error(found.value.X_parent_camera, true, point)
    return CameraTrial(config.name, found, before, after)


def pose_error(believed: Pose, true: Pose, point: np.ndarray) -> PoseError:
    """``point``: (3,) in the parent's frame; where the camera has it when it believes ``believed``, against where it is."""
    off = believed @ inverse(true)
    return PoseError(float(np.linalg.norm(transform_points(off, point[None])[0] - point)), rotation_angle(off))
