"""Distance fields of solid obstacles, for a robot that knows them exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.geometry import inverse
from pickcell.motion.field import FIXED_LIMIT_M, World
from pickcell_sim.bench.motion.solids import Solid

Array = NDArray[np.float64]

KINDS = ("box", "cylinder", "sphere")
NO_FLOOR = -100.0


def solid_world(solids: Sequence[Solid], low: Array, high: Array, resolution_m: float) -> World:
    """The world of solids within the box from ``low`` to ``high`` (3,) in base_link. No table but what is a solid."""
    shape = np.maximum(np.ceil((high - low) / resolution_m).astype(np.int64), 2)
    field = np.full(tuple(shape), np.float32(FIXED_LIMIT_M))
    for solid in solids:
        size = np.array([*solid.size, 0.0, 0.0][:3])
        reach = _half_extents(solid) + FIXED_LIMIT_M
        middle = solid.X_base_solid[:3, 3]
        first = np.clip(np.floor((middle - reach - low) / resolution_m).astype(np.int64), 0, shape)
        last = np.clip(np.ceil((middle + reach - low) / resolution_m).astype(np.int64), 0, shape)
        X = np.ascontiguousarray(inverse(solid.X_base_solid)[:3])
        _lower(field, low, resolution_m, first, last, KINDS.index(solid.kind), X, size)
    nothing = np.full((1, 1, 1), np.float32(1.0))
    return World(field, low, resolution_m, nothing, np.zeros(3), resolution_m, NO_FLOOR, nothing)


def _half_extents(solid: Solid) -> Array:
    """(3,) of the bounding box along base_link's axes."""
    if solid.kind == "sphere":
        return np.full(3, solid.size[0])
    half = 0.5 * np.array(solid.size if solid.kind == "box" else (2.0 * solid.size[0], 2.0 * solid.size[0], solid.size[1]))
    return np.abs(solid.X_base_solid[:3, :3]) @ half


@njit(cache=True, nogil=True)
def _lower(field, low, resolution, first, last, kind, X, size):  # type: ignore[no-untyped-def]
    """field = min(field, signed distance to one solid) between the voxels ``first`` and ``last``."""
    for i in range(first[0], last[0]):
        x = low[0] + (i + 0.5) * resolution
        for j in range(first[1], last[1]):
            y = low[1] + (j + 0.5) * resolution
            for k in range(first[2], last[2]):
                z = low[2] + (k + 0.5) * resolution
                u = X[0, 0] * x + X[0, 1] * y + X[0, 2] * z + X[0, 3]
                v = X[1, 0] * x + X[1, 1] * y + X[1, 2] * z + X[1, 3]
                w = X[2, 0] * x + X[2, 1] * y + X[2, 2] * z + X[2, 3]
                if kind == 0:
                    a, b, c = abs(u) - 0.5 * size[0], abs(v) - 0.5 * size[1], abs(w) - 0.5 * size[2]
                    outside = np.sqrt(max(a, 0.0) ** 2 + max(b, 0.0) ** 2 + max(c, 0.0) ** 2)
                    d = outside if outside > 0.0 else max(a, b, c)
                elif kind == 1:
                    a, b = np.sqrt(u * u + v * v) - size[0], abs(w) - 0.5 * size[1]
                    outside = np.sqrt(max(a, 0.0) ** 2 + max(b, 0.0) ** 2)
                    d = outside if outside > 0.0 else max(a, b)
                else:
                    d = np.sqrt(u * u + v * v + w * w) - size[0]
                if d < field[i, j, k]:
                    field[i, j, k] = d
