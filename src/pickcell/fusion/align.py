"""Correct a camera's pose against the furniture it sees.

Calibrations are a few millimetres off, which is more than a card is thick. Table and totes stand where the cell file
says (the planner relies on it as well), so each camera is moved until it sees their faces there: point-to-plane
least squares (Chen and Medioni 1992) with Tukey weights and a prior that keeps it where it was in the directions that
the visible faces do not fix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.fusion.furniture import FurnitureBox, PredictedFaces, predict_faces
from pickcell.geometry import Pose, rotation_angle
from pickcell.values import RgbdFrame

GATE_M = 0.02
"""A pixel further than this from the face it should see shows something else."""
BEYOND_M = 0.015
TUKEY_M = 0.006
PRIOR_TRANSLATION_M = 0.004
PRIOR_ROTATION_RAD = float(np.deg2rad(0.4))
POINT_SIGMA_M = 0.002
EFFECTIVE_POINTS = 400.0
"""Errors of neighbouring pixels go together, so thousands of them count as this many."""
MIN_POINTS = 150


@dataclass(frozen=True)
class Alignment:
    """The corrected pose and what was changed."""

    X_base_camera: Pose
    moved_m: float
    """Largest shift of a point within 1 m of the camera."""
    residual_m: float
    """Median distance to the faces afterwards; NaN when too few pixels saw furniture and nothing was changed."""
    beyond: float
    """Share of the pixels on furniture, before the correction, whose depth lies clearly behind it. Items in front hide
    furniture, but nothing shows what is behind it: under 1 % for a calibrated camera."""


class FurnitureAligner:
    """Holds the furniture, and the predicted faces of cameras that have not moved since the last call."""

    def __init__(self, boxes: list[FurnitureBox], step: int) -> None:
        self._boxes = boxes
        self._step = step
        self._cache: dict[str, tuple[Pose, tuple[float, ...], PredictedFaces]] = {}

    def align(self, frame: RgbdFrame, depth: NDArray[np.float32], iterations: int = 4) -> Alignment:
        """``depth``: (H, W) metres, 0 invalid, of this frame."""
        faces = self._faces(frame)
        v, u = faces.pixels[:, 0], faces.pixels[:, 1]
        measured = depth[v, u].astype(np.float64)
        difference = np.where(measured > 0, measured - faces.depth_m, np.nan)  # also NaN where no face is expected
        expected = max(int(np.isfinite(difference).sum()), MIN_POINTS)
        beyond = float((difference > BEYOND_M).sum() / expected)
        keep = np.abs(difference) < GATE_M
        camera, X = frame.camera, np.array(frame.X_base_camera)
        if keep.sum() < MIN_POINTS:
            return Alignment(X, 0.0, float("nan"), beyond)
        z = measured[keep]
        rays = np.column_stack([(u[keep] - camera.cx) / camera.fx, (v[keep] - camera.cy) / camera.fy, np.ones(len(z))])
        local = rays * z[:, None]
        normals, offsets = faces.normals[keep], faces.offsets[keep]
        for _ in range(iterations):
            X = _step(X, frame.X_base_camera, local, normals, offsets)
        delta = np.linalg.inv(frame.X_base_camera) @ X
        moved = float(np.linalg.norm(delta[:3, 3]) + rotation_angle(delta))
        residual = np.abs(np.sum((local @ X[:3, :3].T + X[:3, 3]) * normals, axis=1) - offsets)
        return Alignment(X, moved, float(np.median(residual)), beyond)

    def _faces(self, frame: RgbdFrame) -> PredictedFaces:
        camera = frame.camera
        key = (camera.fx, camera.fy, camera.cx, camera.cy, float(camera.width), float(camera.height))
        cached = self._cache.get(camera.name)
        if cached is not None and cached[1] == key and np.array_equal(cached[0], frame.X_base_camera):
            return cached[2]
        faces = predict_faces(self._boxes, camera, frame.X_base_camera, self._step)
        self._cache[camera.name] = (np.array(frame.X_base_camera), key, faces)
        return faces


def _step(
    X: Pose, X_prior: Pose, local: NDArray[np.float64], normals: NDArray[np.float64], offsets: NDArray[np.float64]
) -> Pose:
    """One Gauss-Newton step; the correction turns about the optical centre, axes of ``base_link``."""
    arms = local @ X[:3, :3].T
    residual = np.sum((arms + X[:3, 3]) * normals, axis=1) - offsets
    weight = np.clip(1.0 - (residual / TUKEY_M) ** 2, 0.0, None) ** 2
    # Faces compete by kind of direction, not by pixel count: the table must not outvote the tote's walls.
    axis = np.abs(normals).argmax(axis=1)
    share = np.bincount(axis, weights=weight, minlength=3)
    weight = weight * np.where(share > 5.0, EFFECTIVE_POINTS / np.maximum(share, EFFECTIVE_POINTS), 0.0)[axis]
    J = np.hstack([normals, np.cross(arms, normals)])
    information = np.diag([PRIOR_TRANSLATION_M**-2] * 3 + [PRIOR_ROTATION_RAD**-2] * 3)
    drift = np.concatenate([X[:3, 3] - X_prior[:3, 3], Rotation.from_matrix(X[:3, :3] @ X_prior[:3, :3].T).as_rotvec()])
    A = information + (J * weight[:, None]).T @ J / POINT_SIGMA_M**2
    b = information @ drift + (J * weight[:, None]).T @ residual / POINT_SIGMA_M**2
    dx = -np.linalg.solve(A, b)
    out = X.copy()
    out[:3, :3] = Rotation.from_rotvec(dx[3:]).as_matrix() @ X[:3, :3]
    out[:3, 3] = X[:3, 3] + dx[:3]
    return out
