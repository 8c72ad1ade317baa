"""Distance fields: how far a point is from the nearest obstacle, on a grid, looked up by trilinear interpolation.

Furniture has an exact signed field, computed once per cell. What the cameras saw has an unsigned one, rebuilt per scene by
a separable Euclidean distance transform (Felzenszwalb & Huttenlocher 2012), cut off at a radius so that each pass is a
short sliding minimum over contiguous memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

SEEN_LIMIT_M = 0.20
"""Distances to seen obstacles are exact up to here, and this beyond."""
FIXED_LIMIT_M = 0.30
FAR = np.int16(16000)
IGNORE = -100.0
"""A margin that takes obstacles out of a check."""
OUTSIDE = 10.0
"""More than any distance of a field."""
NEAREST_OFF = 1.122
"""Voxels by which the nearest voxel's distance may be more than the interpolated one: the mean way from it to the eight
corners, where that is longest."""


class World(NamedTuple):
    """The obstacles of one moment, in ``base_link``."""

    fixed: NDArray[np.float32]
    """(nx, ny, nz) signed distance to the furniture at voxel centres, metres."""
    fixed_origin: NDArray[np.float64]
    fixed_resolution: float
    seen: NDArray[np.float32]
    """(nx, ny, nz) distance to the surface of seen obstacles; minus half a voxel inside them."""
    seen_origin: NDArray[np.float64]
    seen_resolution: float
    floor_z: float
    """Height of the table's top."""
    both: NDArray[np.float32]
    """(nx, ny, nz) the smaller of the two, on the grid of ``seen``: where the margins are alike, one look serves both."""


class Boxes(NamedTuple):
    """Solid boxes of furniture."""

    X_box_base: NDArray[np.float64]
    """(K, 3, 4)"""
    half: NDArray[np.float64]
    """(K, 3) half side lengths."""


@njit(cache=True, nogil=True)
def _bounded(value, origin, resolution, limit, enough, x, y, z):  # type: ignore[no-untyped-def]
    """Trilinear interpolation between voxel centres; ``limit`` outside the grid. Where it is more than ``enough``, any value
    between the two: then one look at the nearest voxel often does, as a field changes by no more than the way."""
    per_m = 1.0 / resolution
    u, v, w = (x - origin[0]) * per_m - 0.5, (y - origin[1]) * per_m - 0.5, (z - origin[2]) * per_m - 0.5
    if not (u >= 0.0 and v >= 0.0 and w >= 0.0):
        return limit
    i, j, k = int(u), int(v), int(w)
    if i + 1 >= value.shape[0] or j + 1 >= value.shape[1] or k + 1 >= value.shape[2]:
        return limit
    near = value[int(u + 0.5), int(v + 0.5), int(w + 0.5)] - NEAREST_OFF * resolution
    if near > enough:
        return near
    a, b, c = u - i, v - j, w - k
    c00 = value[i, j, k] * (1.0 - c) + value[i, j, k + 1] * c
    c01 = value[i, j + 1, k] * (1.0 - c) + value[i, j + 1, k + 1] * c
    c10 = value[i + 1, j, k] * (1.0 - c) + value[i + 1, j, k + 1] * c
    c11 = value[i + 1, j + 1, k] * (1.0 - c) + value[i + 1, j + 1, k + 1] * c
    return (c00 * (1.0 - b) + c01 * b) * (1.0 - a) + (c10 * (1.0 - b) + c11 * b) * a


@njit(cache=True, nogil=True)
def fixed_distance(world, x, y, z):  # type: ignore[no-untyped-def]
    """Signed distance (m) from a point to the table and the furniture, at most FIXED_LIMIT_M."""
    d = _bounded(world.fixed, world.fixed_origin, world.fixed_resolution, FIXED_LIMIT_M, np.inf, x, y, z)
    return min(d, z - world.floor_z)


@njit(cache=True, nogil=True)
def seen_distance(world, x, y, z):  # type: ignore[no-untyped-def]
    """Distance (m) from a point to the nearest seen obstacle, at most SEEN_LIMIT_M."""
    return _bounded(world.seen, world.seen_origin, world.seen_resolution, SEEN_LIMIT_M, np.inf, x, y, z)


@njit(cache=True, nogil=True)
def least_distance(world, m_fixed, m_seen, enough, x, y, z):  # type: ignore[no-untyped-def]
    """Distance (m) from furniture and from what is seen, each less its margin, whichever is smaller; where that is more than
    ``enough``, any value between the two. A margin of IGNORE leaves its obstacles out."""
    d = np.inf
    if m_fixed == m_seen:
        if m_fixed <= IGNORE:
            return d
        d = _bounded(world.both, world.seen_origin, world.seen_resolution, OUTSIDE, enough + m_fixed, x, y, z)
        if d < OUTSIDE:
            return min(d, z - world.floor_z) - m_fixed
    if m_fixed > IGNORE:
        d = _bounded(world.fixed, world.fixed_origin, world.fixed_resolution, FIXED_LIMIT_M, enough + m_fixed, x, y, z)
        d = min(d, z - world.floor_z) - m_fixed
    if m_seen > IGNORE:
        far = _bounded(world.seen, world.seen_origin, world.seen_resolution, SEEN_LIMIT_M, min(enough, d) + m_seen, x, y, z)
        d = min(d, far - m_seen)
    return d


@njit(cache=True, nogil=True)
def fixed_on(world, origin, resolution, shape):  # type: ignore[no-untyped-def]
    """Distance to table and furniture at the voxel centres of another grid, float32."""
    out = np.empty(shape, np.float32)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                x, y, z = (
                    origin[0] + (i + 0.5) * resolution,
                    origin[1] + (j + 0.5) * resolution,
                    origin[2] + (k + 0.5) * resolution,
                )
                out[i, j, k] = fixed_distance(world, x, y, z)
    return out


@njit(cache=True, nogil=True)
def box_field(boxes, origin, resolution, shape):  # type: ignore[no-untyped-def]
    """Signed distance to the union of boxes at the voxel centres of a grid, cut off at FIXED_LIMIT_M."""
    out = np.full(shape, np.float32(FIXED_LIMIT_M))
    for b in range(boxes.half.shape[0]):
        X, h = boxes.X_box_base[b], boxes.half[b]
        for i in range(shape[0]):
            x = origin[0] + (i + 0.5) * resolution
            for j in range(shape[1]):
                y = origin[1] + (j + 0.5) * resolution
                for k in range(shape[2]):
                    z = origin[2] + (k + 0.5) * resolution
                    outside, inside = 0.0, -np.inf
                    for a in range(3):
                        d = abs(X[a, 0] * x + X[a, 1] * y + X[a, 2] * z + X[a, 3]) - h[a]
                        outside += max(d, 0.0) ** 2
                        inside = max(inside, d)
                    d = np.sqrt(outside) if inside > 0.0 else inside
                    if d < out[i, j, k]:
                        out[i, j, k] = d
    return out


@njit(cache=True, nogil=True)
def _scan_lines(mask, radius, out):  # type: ignore[no-untyped-def]
    """Squared distance along the last axis, cut off beyond ``radius`` voxels. Returns per row whether anything is near."""
    nx, ny, nz = mask.shape
    any_row = np.zeros((nx, ny), np.bool_)
    for i in range(nx):
        for j in range(ny):
            last = -10000
            for k in range(nz):
                if mask[i, j, k]:
                    last = k
                    any_row[i, j] = True
                d = k - last
                out[i, j, k] = d * d if d <= radius else FAR
            if any_row[i, j]:
                last = 20000
                for k in range(nz - 1, -1, -1):
                    if mask[i, j, k]:
                        last = k
                    d = last - k
                    if d <= radius and d * d < out[i, j, k]:
                        out[i, j, k] = d * d
    return any_row


@njit(cache=True, nogil=True)
def _lower_rows(target, source, add):  # type: ignore[no-untyped-def]
    """target = min(target, source + add) over contiguous int16 rows: compiles to vector instructions."""
    for k in range(target.shape[0]):
        v = np.int16(source[k] + add)
        target[k] = v if v < target[k] else target[k]


@njit(cache=True, nogil=True)
def distance_transform(mask, resolution, limit):  # type: ignore[no-untyped-def]
    """Distance (nx, ny, nz) float32 from each voxel centre to the nearest surface of a set voxel of ``mask``.

    Centre-to-centre distance less half a voxel, at most ``limit`` metres.
    """
    radius = int(np.ceil(limit / resolution)) + 1
    nx, ny, nz = mask.shape
    rows = np.empty((nx, ny, nz), np.int16)
    row_used = _scan_lines(mask, radius, rows)
    planes = np.full((nx, ny, nz), FAR)
    plane_used = np.zeros(nx, np.bool_)
    for i in range(nx):
        for j in range(ny):
            if row_used[i, j]:
                plane_used[i] = True
                for t in range(max(0, j - radius), min(ny, j + radius + 1)):
                    _lower_rows(planes[i, t], rows[i, j], np.int16((t - j) * (t - j)))
    rows[:] = FAR
    flat_in, flat_out = planes.reshape(nx, ny * nz), rows.reshape(nx, ny * nz)
    for i in range(nx):
        if plane_used[i]:
            for t in range(max(0, i - radius), min(nx, i + radius + 1)):
                _lower_rows(flat_out[t], flat_in[i], np.int16((t - i) * (t - i)))
    table = np.empty(radius * radius + 1, np.float32)
    for s in range(table.shape[0]):
        table[s] = min(np.sqrt(s) * resolution - 0.5 * resolution, limit)
    out = np.empty((nx, ny, nz), np.float32)
    top = table.shape[0] - 1
    flat, result = rows.reshape(-1), out.reshape(-1)
    for s in range(flat.shape[0]):
        v = flat[s]
        result[s] = table[v] if v <= top else np.float32(limit)
    return out
