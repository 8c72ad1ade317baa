"""Tight oriented boxes around surface points."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.geometry import Pose

_SAMPLES = 400
_UPRIGHT = 0.93
"""The upright box wins unless another is smaller than this: most things lie on a face."""
_SAME_FACE = np.cos(np.deg2rad(15.0))


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
    points = np.ascontiguousarray(points, dtype=np.float64)
    if len(points) < 3 or not np.isfinite(points).all():
        raise ValueError(f"a box needs at least 3 finite points, got {len(points)}")
    normals = np.ascontiguousarray(normals, dtype=np.float64)
    X, extents = _fit(points, normals, np.ascontiguousarray(up, dtype=np.float64), trim)
    return X, extents


@njit(cache=True, nogil=True)
def _fit(points, normals, up, trim):  # type: ignore[no-untyped-def]
    n = len(points)
    centre = np.zeros(3)
    for p in range(n):
        for a in range(3):
            centre[a] += points[p, a]
    centre /= n
    local = points - centre
    step = max(1, n // _SAMPLES)
    sample = local[::step].copy()
    axes = np.empty((3, 3))
    axes[0] = up
    axes[1] = _frequent_normal(normals[::step].copy(), up)
    axes[2] = np.linalg.eigh(sample.T @ sample)[1][:, 0]
    best, R = np.inf, np.eye(3)
    for k in range(3):
        turned = _frame_around(axes[k], sample)
        side = span(sample, turned, trim)[1]
        volume = max(side[0], 1e-3) * max(side[1], 1e-3) * max(side[2], 1e-3) * (_UPRIGHT if k == 0 else 1.0)
        if volume < best:
            best, R = volume, turned
    low, extents = span(local, R, trim)
    order = np.argsort(-extents, kind="mergesort")
    X = np.eye(4)
    for a in range(3):
        X[:3, a] = R[:, order[a]]
    middle = (low + 0.5 * extents)[order]
    x, y, z = X[:3, 0].copy(), X[:3, 1].copy(), X[:3, 2].copy()
    if np.sum(np.cross(x, y) * z) < 0:
        X[:3, 2] = -X[:3, 2]
        middle[2] = -middle[2]
    for a in range(3):
        X[a, 3] = centre[a] + X[a, 0] * middle[0] + X[a, 1] * middle[1] + X[a, 2] * middle[2]
    return X, extents[order]


@njit(cache=True, nogil=True)
def span(points, R, trim):  # type: ignore[no-untyped-def]
    """Lower corner (3,) and side lengths (3,) of the range of points (N, 3) along each column of ``R``, the share ``trim``
    of them at either end left out."""
    n = len(points)
    k = int(n * trim)
    low, side = np.empty(3), np.empty(3)
    along = np.empty(n)
    for a in range(3):
        x, y, z = R[0, a], R[1, a], R[2, a]
        for p in range(n):
            along[p] = points[p, 0] * x + points[p, 1] * y + points[p, 2] * z
        if k < 1:
            low[a], high = along.min(), along.max()
        else:
            low[a] = np.partition(along, k)[k]
            high = np.partition(along, n - 1 - k)[n - 1 - k]
        side[a] = high - low[a]
    return low, side


@njit(cache=True, nogil=True)
def _frequent_normal(normals, fallback):  # type: ignore[no-untyped-def]
    """Mean of the normals around the direction with the most normals within 15 degrees (up to sign)."""
    n = len(normals)
    most, best = -1, 0
    for c in range(0, n, max(1, n // 60)):
        close = 0
        for p in range(n):
            dot = normals[c, 0] * normals[p, 0] + normals[c, 1] * normals[p, 1] + normals[c, 2] * normals[p, 2]
            close += abs(dot) > _SAME_FACE
        if close > most:
            most, best = close, c
    mean = np.zeros(3)
    for p in range(n):
        dot = normals[best, 0] * normals[p, 0] + normals[best, 1] * normals[p, 1] + normals[best, 2] * normals[p, 2]
        if abs(dot) > _SAME_FACE:
            for a in range(3):
                mean[a] += np.sign(dot) * normals[p, a]
    length = np.sqrt(np.sum(mean * mean))
    return mean / length if length > 1e-6 else fallback


@njit(cache=True, nogil=True)
def _frame_around(axis, points):  # type: ignore[no-untyped-def]
    """Rotation whose z is ``axis`` and whose x, y are the sides of the smallest rectangle around the projection."""
    x, y, z = _basis(axis)
    flat = np.empty((len(points), 2))
    for p in range(len(points)):
        flat[p, 0] = points[p, 0] * x[0] + points[p, 1] * x[1] + points[p, 2] * x[2]
        flat[p, 1] = points[p, 0] * y[0] + points[p, 1] * y[1] + points[p, 2] * y[2]
    c, s = _smallest_rectangle(_hull(flat))
    R = np.empty((3, 3))
    R[:, 0], R[:, 1], R[:, 2] = c * x + s * y, c * y - s * x, z
    return R


@njit(cache=True, nogil=True)
def _hull(flat):  # type: ignore[no-untyped-def]
    """(H, 2) convex hull of points (N, 2), counter-clockwise (Andrew's monotone chain)."""
    order = np.argsort(flat[:, 0])
    n = len(order)
    hull = np.empty((2 * n + 2, 2))
    count = 0
    for chain in range(2):  # lower, then upper
        start = count
        for i in range(n):
            p = flat[order[i if chain == 0 else n - 1 - i]]
            while count >= start + 2:
                a, b = hull[count - 2], hull[count - 1]
                if (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0.0:
                    break
                count -= 1
            hull[count, 0], hull[count, 1] = p[0], p[1]
            count += 1
        count -= 1  # the last one begins the other chain
    return hull[: max(count, 1)]


@njit(cache=True, nogil=True)
def _smallest_rectangle(hull):  # type: ignore[no-untyped-def]
    """Cosine and sine of the direction of one side: it lies along an edge of the hull (Freeman and Shapira 1975)."""
    best, c_best, s_best = np.inf, 1.0, 0.0
    for e in range(len(hull)):
        f = (e + 1) % len(hull)
        c, s = hull[f, 0] - hull[e, 0], hull[f, 1] - hull[e, 1]
        length = np.sqrt(c * c + s * s)
        if length < 1e-9:
            continue
        c, s = c / length, s / length
        low_u, high_u, high_v = np.inf, -np.inf, -np.inf
        for q in range(len(hull)):
            du, dv = hull[q, 0] - hull[e, 0], hull[q, 1] - hull[e, 1]
            u, v = c * du + s * dv, c * dv - s * du
            low_u, high_u, high_v = min(low_u, u), max(high_u, u), max(high_v, v)
        area = (high_u - low_u) * high_v
        if area < best:
            best, c_best, s_best = area, c, s
    return c_best, s_best


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
