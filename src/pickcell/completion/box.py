"""Tight oriented boxes around surface points."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose

_SAMPLES = 400


def fit_box(
    points: NDArray[np.floating], normals: NDArray[np.floating], up: NDArray[np.floating], trim: float = 0.004
) -> tuple[Pose, NDArray[np.float64]]:
    """The smallest of a few oriented boxes: one axis along ``up`` (3,), the most frequent normal, or a principal axis;
    the other two by the smallest rectangle around the projection.

    Returns the pose of the centre (x longest, z shortest; right-handed; in the frame of ``points``) and the extents (3,)
    in descending order. The share ``trim`` of the points at either end of each axis is taken for noise. Moves with the
    points: a rigid transform of points, normals and ``up`` transforms the box. Raises ValueError for fewer than 3 points
    or non-finite ones.
    """
    points = np.asarray(points, dtype=np.float64)
    if len(points) < 3 or not np.isfinite(points).all():
        raise ValueError(f"a box needs at least 3 finite points, got {len(points)}")
    centre = points.mean(axis=0)
    local = points - centre
    step = max(1, len(points) // _SAMPLES)
    sample = local[::step]
    axes = [np.asarray(up, dtype=np.float64), _frequent_normal(np.asarray(normals, dtype=np.float64)[::step], up)]
    axes.append(np.linalg.svd(sample, full_matrices=False)[2][2])
    rotations = [_frame_around(axis, sample) for axis in axes]
    volumes = [float(np.prod(np.maximum(_span(sample @ R, trim)[1], 1e-3))) for R in rotations]
    # the upright box wins unless another is clearly smaller: most things lie on a face
    volumes[0] *= 0.93
    R = rotations[int(np.argmin(volumes))]
    low, extents = _span(local @ R, trim)
    order = np.argsort(-extents, kind="stable")
    R, middle, extents = R[:, order], (low + 0.5 * extents)[order], extents[order]
    if np.linalg.det(R) < 0:
        R[:, 2] = -R[:, 2]
        middle[2] = -middle[2]
    X = np.eye(4)
    X[:3, :3] = R
    X[:3, 3] = centre + R @ middle
    return X, extents


def _span(local: NDArray[np.float64], trim: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower corner and side lengths of the points' trimmed range along each axis."""
    if len(local) * trim < 1:
        low, high = local.min(axis=0), local.max(axis=0)
    else:
        k = int(len(local) * trim)
        part = np.partition(local, (k, len(local) - 1 - k), axis=0)
        low, high = part[k], part[len(local) - 1 - k]
    return low, high - low


def _frequent_normal(normals: NDArray[np.float64], fallback: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of the normals around the direction with the most normals within 15 degrees (up to sign)."""
    candidates = normals[:: max(1, len(normals) // 60)]
    close = np.abs(candidates @ normals.T) > np.cos(np.deg2rad(15.0))
    best = int(close.sum(axis=1).argmax())
    chosen = normals[close[best]]
    mean = np.sum(chosen * np.sign(chosen @ candidates[best])[:, None], axis=0)
    length = np.linalg.norm(mean)
    return mean / length if length > 1e-6 else np.asarray(fallback, dtype=np.float64)


def _frame_around(axis: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation whose z is ``axis`` and whose x, y are the sides of the smallest rectangle around the projection."""
    z = axis / np.linalg.norm(axis)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    flat = np.ascontiguousarray(points @ np.column_stack([x, y]) * 1000.0, dtype=np.float32)
    angle = np.deg2rad(cv2.minAreaRect(flat)[2])
    along = np.cos(angle) * x + np.sin(angle) * y
    return np.column_stack([along, np.cross(z, along), z])
