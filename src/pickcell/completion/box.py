"""Tight oriented boxes around surface points."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
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
    axes.append(np.linalg.eigh(sample.T @ sample)[1][:, 0].copy())
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
    x, y, z = _basis(axis)
    flat = np.empty((len(points), 2), np.float32)
    flat[:, 0], flat[:, 1] = 1000.0 * (points @ x), 1000.0 * (points @ y)
    angle = np.deg2rad(cv2.minAreaRect(flat)[2])
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * x + s * y, c * y - s * x, z]).T


@njit(cache=True, nogil=True)
def _basis(axis):  # type: ignore[no-untyped-def]
    """Right-handed orthonormal x, y, z with z along ``axis``; x away from the axis' smallest component."""
    z = axis / np.sqrt(np.sum(axis * axis))
    least = np.argmin(np.abs(z))
    helper = np.zeros(3)
    helper[least] = 1.0
    x = np.cross(z, helper)
    x /= np.sqrt(np.sum(x * x))
    return x, np.cross(z, x), z
