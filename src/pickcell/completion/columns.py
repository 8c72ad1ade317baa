"""The surroundings of an instance as columns seen from above: what the column network is asked.

A *column map* is a square raster over the item, turned so that the item's outline lies along its axes. Each column knows the
item's and its neighbours' points in it, and, at a number of heights, whether space there was looked through. Heights are
numbers, not voxels, so that a sheet of 1 mm is described as well as a box.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.fusion.tsdf import FREE_CLEARANCE, TsdfVolume
from pickcell.geometry import Pose, inverse

CELLS = 48
"""Columns along each side of a map."""
LEVELS = 20
"""Heights at which space is described, from just below the floor to just above the item."""
MAPS = (
    "own", "top", "low", "normal_x", "normal_y", "normal_z", "other", "other_top", "other_low", "inside_tote", "surface",
    "floor", "cell", "level",
)  # fmt: skip
"""The first channels. ``own``, ``other``: 1 where the item, or another one, has points; ``top``, ``low``: the highest and
the lowest of them; ``surface``: the highest place that was not looked through; ``floor``: the tote's floor. Heights are
relative to the mean of the item's points, in units of HEIGHT_UNIT_M; ``cell``, ``level``: the raster's steps in units of
STEP_UNIT_M."""
PER_LEVEL = ("free", "own", "other")
_FIRST = len(MAPS)
CHANNELS = _FIRST + len(PER_LEVEL) * LEVELS
HEIGHT_UNIT_M = 0.05
STEP_UNIT_M = 0.005


@dataclass(frozen=True)
class ColumnMap:
    """Where the raster of one instance lies, and what it holds."""

    X_tote_map: Pose
    """The map's frame: z up from the tote's floor, origin at the corner of column (0, 0)."""
    cell_m: float
    level_m: float
    middle_m: float
    """Height above the floor that heights are relative to."""
    values: NDArray[np.float32]
    """(CHANNELS, CELLS, CELLS)."""


def column_map(
    instance: int,
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    labels: NDArray[np.int32],
    inner: NDArray[np.float64],
    volume: TsdfVolume,
    X_base_tote: Pose,
    out: NDArray[np.float32] | None = None,
) -> ColumnMap:
    """The map of one instance. ``points``, ``normals`` (N, 3) of the cloud in the tote's frame, ``labels`` (N,) their
    instances (points of none may be left out); ``inner`` (3,) the tote's inner size; ``out``: where the values go. Raises
    ValueError when the instance has no points."""
    own = points[labels == instance]
    if len(own) == 0:
        raise ValueError(f"instance {instance} has no points")
    X_tote_map, cell = _place(own)
    level = max((float(own[:, 2].max()) + 0.02) / (LEVELS - 1), 0.004)
    middle = float(own[:, 2].mean())
    X_map_tote = inverse(X_tote_map)
    X_grid_map = inverse(volume.X_base_grid) @ X_base_tote @ X_tote_map
    values = np.empty((CHANNELS, CELLS, CELLS), np.float32) if out is None else out
    values[:] = 0.0
    _rasterise(values, points, normals, labels, instance, X_map_tote, cell, level, middle)
    _probe(values, volume.tsdf, volume.weight, X_grid_map, volume.voxel_m, X_tote_map, inner, cell, level, middle)
    return ColumnMap(X_tote_map, cell, level, middle, values)


def _place(points: NDArray[np.float64]) -> tuple[Pose, float]:
    """Frame and step of the map around an item's points (M, 3): turned like the smallest rectangle around them, wide enough
    for what may be hidden."""
    (cx, cy), (width, height), angle = cv2.minAreaRect(np.ascontiguousarray(1000.0 * points[:, :2], dtype=np.float32))
    extent = 0.001 * max(width, height)
    size = float(np.clip(1.3 * extent + 0.09, 0.12, 0.5))
    turn = np.deg2rad(angle)
    c, s = np.cos(turn), np.sin(turn)
    X = np.eye(4)
    X[:2, :2] = [[c, -s], [s, c]]
    X[:2, 3] = 0.001 * np.array([cx, cy]) - X[:2, :2] @ np.full(2, 0.5 * size)
    return X, size / CELLS


@njit(cache=True, nogil=True)
def _rasterise(out, points, normals, labels, instance, X, cell, level, middle):  # type: ignore[no-untyped-def]
    """Points into columns. ``X``: tote in map."""
    n = out.shape[1]
    for p in range(len(points)):
        if labels[p] <= 0:
            continue
        a, b, z = points[p]
        x = (X[0, 0] * a + X[0, 1] * b + X[0, 3]) / cell
        y = (X[1, 0] * a + X[1, 1] * b + X[1, 3]) / cell
        i, j = int(np.floor(x)), int(np.floor(y))
        if i < 0 or j < 0 or i >= n or j >= n:
            continue
        height = (z - middle) / HEIGHT_UNIT_M
        k = int(z / level + 1.0)
        k = min(max(k, 0), LEVELS - 1)
        if labels[p] == instance:
            if out[0, i, j] == 0.0 or height > out[1, i, j]:
                out[1, i, j] = height
                nx, ny = normals[p, 0], normals[p, 1]
                out[3, i, j] = X[0, 0] * nx + X[0, 1] * ny
                out[4, i, j] = X[1, 0] * nx + X[1, 1] * ny
                out[5, i, j] = normals[p, 2]
            if out[0, i, j] == 0.0 or height < out[2, i, j]:
                out[2, i, j] = height
            out[0, i, j] = 1.0
            out[_FIRST + LEVELS + k, i, j] = 1.0
        else:
            height = min(max(height, -4.0), 4.0)
            if out[6, i, j] == 0.0 or height > out[7, i, j]:
                out[7, i, j] = height
            if out[6, i, j] == 0.0 or height < out[8, i, j]:
                out[8, i, j] = height
            out[6, i, j] = 1.0
            out[_FIRST + 2 * LEVELS + k, i, j] = 1.0


@njit(cache=True, nogil=True)
def _probe(out, tsdf, weight, X, voxel, X_tote, inner, cell, level, middle):  # type: ignore[no-untyped-def]
    """What was looked through, column by column. ``X``: map in grid, ``X_tote``: map in tote."""
    n = out.shape[1]
    nx, ny, nz = tsdf.shape
    for i in range(n):
        for j in range(n):
            x, y = (i + 0.5) * cell, (j + 0.5) * cell
            tx = X_tote[0, 0] * x + X_tote[0, 1] * y + X_tote[0, 3]
            ty = X_tote[1, 0] * x + X_tote[1, 1] * y + X_tote[1, 3]
            inside = abs(tx) < 0.5 * inner[0] and abs(ty) < 0.5 * inner[1]
            out[9, i, j] = 1.0 if inside else 0.0
            out[11, i, j] = -middle / HEIGHT_UNIT_M
            out[12, i, j] = cell / STEP_UNIT_M
            out[13, i, j] = level / STEP_UNIT_M
            gi = int(np.floor((X[0, 0] * x + X[0, 1] * y + X[0, 3]) / voxel))
            gj = int(np.floor((X[1, 0] * x + X[1, 1] * y + X[1, 3]) / voxel))
            if gi < 0 or gj < 0 or gi >= nx or gj >= ny:
                out[10, i, j] = 4.0
                continue
            k = nz - 1
            while k > 0 and weight[gi, gj, k] > 0.0 and tsdf[gi, gj, k] > FREE_CLEARANCE:
                k -= 1
            surface = (k + 1) * voxel - X[2, 3]
            out[10, i, j] = min(max((surface - middle) / HEIGHT_UNIT_M, -4.0), 4.0)
            for m in range(LEVELS):
                z = (m - 0.5) * level
                gk = int(np.floor((X[2, 2] * z + X[2, 3]) / voxel))
                if 0 <= gk < nz and weight[gi, gj, gk] > 0.0 and tsdf[gi, gj, gk] > FREE_CLEARANCE:
                    out[_FIRST + m, i, j] = 1.0
                elif gk >= nz:
                    out[_FIRST + m, i, j] = 1.0
