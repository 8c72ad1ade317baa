"""What was found of one camera, and whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.calibration.board import Board
from pickcell.calibration.reprojection import Fit
from pickcell.calibration.views import BoardPlace, BoardView, depth_ratio
from pickcell.camera_poses import CalibratedPose
from pickcell.cell import CameraConfig
from pickcell.geometry import Pose, inverse, rotation_angle, transform_points
from pickcell.outcome import Code, Outcome


@dataclass(frozen=True)
class Limits:
    """Beyond these a result is refused."""

    rms_px: float = 0.8
    """Typical are 0.1 to 0.3."""
    uncertainty_m: float = 0.0025
    """Of a point at the board."""
    uncertainty_rad: float = float(np.deg2rad(0.3))
    change_m: float = 0.08
    """Change of a point at the board against the poses in use: more is a board that lies elsewhere or the wrong way round,
    or cameras that were confused."""
    change_rad: float = float(np.deg2rad(8.0))
    depth_share: float = 0.015
    """Of the distance, between depth picture and colour picture: more is a board at another scale."""
    place_sigmas: float = 4.0
    """By how many standard deviations per axis the wrist camera may find the board elsewhere than was said."""


@dataclass(frozen=True)
class CameraCalibration:
    """Where a camera stands, and how sure that is."""

    camera: str
    parent: str
    X_parent_camera: Pose
    rms_px: float
    corners: int
    pictures: int
    uncertainty_m: float
    """Standard deviation of where a point at the board is, all axes together."""
    uncertainty_rad: float
    change_m: float
    """Of a point at the board, against the pose that was in use."""
    change_rad: float
    depth_ratio: float
    """Depth picture over expected distance; NaN without depth."""

    def kept(self, board: Board, date: str) -> CalibratedPose:
        """As an entry of the file of camera poses."""
        position, quat = CalibratedPose.numbers(self.X_parent_camera)
        return CalibratedPose(
            parent="tool0" if self.parent == "tool0" else "world", position=position, quat_xyzw=quat, date=date,
            rms_px=round(self.rms_px, 3), corners=self.corners, pictures=self.pictures,
            uncertainty_mm=round(1e3 * self.uncertainty_m, 2),
            uncertainty_deg=round(float(np.rad2deg(self.uncertainty_rad)), 3), board=board.text,
        )  # fmt: skip


def describe(config: CameraConfig, views: Sequence[BoardView], found: Fit) -> CameraCalibration:
    """The figures of a fit."""
    X = found.X_parent_camera
    point = np.mean([(inverse(v.X_base_parent) @ found.places[v.place].X_base_board)[:3, 3] for v in views], axis=0)
    correction = X @ inverse(config.X_parent_camera)
    change = float(np.linalg.norm(transform_points(correction, point[None])[0] - point))
    spread = _spread_at(found.covariance, point - X[:3, 3])
    ratios = [depth_ratio(v, inverse(v.X_base_parent @ X) @ found.places[v.place].X_base_board) for v in views]
    known = [ratio for ratio in ratios if np.isfinite(ratio)]
    return CameraCalibration(
        config.name, config.parent, X, found.rms_px, found.corners, len(views), spread,
        float(np.sqrt(np.trace(found.covariance[3:, 3:]))), change, rotation_angle(correction),
        float(np.median(known)) if known else float("nan"),
    )  # fmt: skip


def _spread_at(covariance: NDArray[np.float64], arm: NDArray[np.float64]) -> float:
    """Standard deviation (m) of a point at ``arm`` from the camera, when the camera has this covariance."""
    x, y, z = arm
    J = np.hstack([np.eye(3), -np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])])
    return float(np.sqrt(max(np.trace(J @ covariance @ J.T), 0.0)))


def judge(
    found: CameraCalibration, said: Mapping[str, BoardPlace], fitted: Mapping[str, BoardPlace], limits: Limits, moved: bool
) -> Outcome[CameraCalibration]:
    """The result, or CALIBRATION_REFUSED with what is wrong and what to do.

    ``said``, ``fitted``: the places as they were given and as the fit has them. ``moved``: the camera was mounted anew, so
    a large change is no surprise.
    """
    reasons = [reason for reason in (_fit(found, limits), _scale(found, limits), _places(said, fitted, limits)) if reason]
    if not moved and (found.change_m > limits.change_m or found.change_rad > limits.change_rad):
        reasons.append(
            f"it would move by {1e3 * found.change_m:.0f} mm and {np.rad2deg(found.change_rad):.1f} deg: does the board lie "
            "where it should, the right way round, and are the cameras' names right? If it was mounted anew: --moved"
        )
    if reasons:
        return Outcome.failure(Code.CALIBRATION_REFUSED, f"{found.camera}: {'; '.join(reasons)}.")
    return Outcome.success(found)


def _fit(found: CameraCalibration, limits: Limits) -> str:
    if not np.isfinite(found.X_parent_camera).all() or found.rms_px > limits.rms_px:
        return (
            f"corners are off by {found.rms_px:.2f} px (at most {limits.rms_px:g}): is the board flat and still, the "
            "picture sharp, the board printed at its true scale, and are the joints those of the picture?"
        )
    if found.uncertainty_m > limits.uncertainty_m or found.uncertainty_rad > limits.uncertainty_rad:
        todo = (
            "turn the hand about two axes by 20 degrees or more between pictures, and take more of them"
            if found.parent == "tool0"
            else "show the whole board, nearer or larger, or take a second picture with the board leaning on the rim"
        )
        return (
            f"good to {1e3 * found.uncertainty_m:.1f} mm and {np.rad2deg(found.uncertainty_rad):.2f} deg only "
            f"(needs {1e3 * limits.uncertainty_m:g} mm and {np.rad2deg(limits.uncertainty_rad):.2f} deg): {todo}"
        )
    return ""


def _scale(found: CameraCalibration, limits: Limits) -> str:
    if np.isfinite(found.depth_ratio) and abs(found.depth_ratio - 1.0) > limits.depth_share:
        return (
            f"its depth picture has the board at {100 * found.depth_ratio:.1f} % of the distance that the colour picture "
            "says: measure the printed ruler, and check the camera's focal length"
        )
    return ""


def _places(said: Mapping[str, BoardPlace], fitted: Mapping[str, BoardPlace], limits: Limits) -> str:
    for name, place in said.items():
        if not place.is_known or name not in fitted:
            continue
        off = fitted[name].X_base_board @ inverse(place.X_base_board)
        shift = fitted[name].X_base_board[:3, 3] - place.X_base_board[:3, 3]
        turn = rotation_angle(off)
        turn_sigma = float(np.sqrt(np.trace(place.covariance[3:, 3:]) / 3.0))
        if np.linalg.norm(shift) > limits.place_sigmas * place.sigma_m or turn > limits.place_sigmas * turn_sigma:
            return (
                f"by the arm the board ('{name}') lies {1e3 * np.linalg.norm(shift):.1f} mm and {np.rad2deg(turn):.2f} deg "
                "from where it should: push it into its corner, the right way round, or give its place as unknown"
            )
    return ""
