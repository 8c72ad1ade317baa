"""Join measured and inferred points: measured ones stay, an inferred one stays where nothing better is near."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Part = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Points (N, 3), normals (N, 3), confidence (N,)."""


def merge_parts(
    parts: list[Part], merge_m: float, spacing_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32], NDArray[np.intp]]:
    """``parts[0]`` is measured. Inferred points within ``merge_m`` of a measured one that faces the same way are dropped;
    of the others the most confident of each ``spacing_m`` cell stays.

    Returns points, normals, confidence, and for each point the row of the nearest measured point (for its colour).
    """
    measured, measured_normals, ones = parts[0]
    points = np.vstack([p for p, _, _ in parts[1:]])
    normals = np.vstack([n for _, n, _ in parts[1:]])
    confidence = np.concatenate([c for _, _, c in parts[1:]])
    own = np.arange(len(measured))
    if len(points) == 0:
        return measured, measured_normals, ones.astype(np.float32), own
    keep = _best_per_cell(points, confidence, spacing_m)
    points, normals, confidence = points[keep], normals[keep], confidence[keep]
    distance, nearest = nearest_measured(measured, points, merge_m)
    same_face = np.sum(measured_normals[nearest] * normals, axis=1) > 0.5
    new = ~((distance < merge_m) & same_face) & (distance > 0.5 * spacing_m)
    return (
        np.vstack([measured, points[new]]),
        np.vstack([measured_normals, normals[new]]),
        np.concatenate([ones, confidence[new]]).astype(np.float32),
        np.concatenate([own, nearest[new]]),
    )


def _best_per_cell(points: NDArray[np.float64], confidence: NDArray[np.float64], cell_m: float) -> NDArray[np.intp]:
    """Rows of the most confident point of each cell, the first of equals."""
    key = _cell_keys(points, cell_m)
    return np.asarray(_best_of_runs(key, np.argsort(key), confidence))


@njit(cache=True, nogil=True)
def _best_of_runs(key, order, confidence):  # type: ignore[no-untyped-def]
    """Of each run of equal keys in ``order`` the row with the highest confidence, the lowest of equals."""
    out = np.empty(len(order), np.intp)
    count = 0
    for i in range(len(order)):
        row = order[i]
        if i == 0 or key[row] != key[order[i - 1]]:
            out[count] = row
            count += 1
            continue
        best = out[count - 1]
        if confidence[row] > confidence[best] or (confidence[row] == confidence[best] and row < best):
            out[count - 1] = row
    return out[:count].copy()


def nearest_measured(
    measured: NDArray[np.float64], points: NDArray[np.float64], reach_m: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance (N,) to the nearest of ``measured`` (M, 3) and its row; infinite, with row 0, beyond about ``reach_m``."""
    low = measured.min(axis=0) - 2.0 * reach_m
    shape = np.ceil((measured.max(axis=0) - low) / reach_m).astype(np.int64) + 3
    order, start = _by_cell(measured, low, shape, reach_m)
    return _nearest(measured, points, order, start, shape, low, reach_m)


@njit(cache=True, nogil=True)
def _by_cell(points, low, shape, cell_m):  # type: ignore[no-untyped-def]
    """Rows (N,) sorted by the cell that they lie in, and where each cell's begin (counting sort)."""
    start = np.zeros(shape[0] * shape[1] * shape[2] + 1, np.int64)
    key = np.empty(len(points), np.int64)
    for p in range(len(points)):
        i = int(np.floor((points[p, 0] - low[0]) / cell_m))
        j = int(np.floor((points[p, 1] - low[1]) / cell_m))
        k = int(np.floor((points[p, 2] - low[2]) / cell_m))
        key[p] = (i * shape[1] + j) * shape[2] + k
        start[key[p] + 1] += 1
    start = np.cumsum(start)
    free = start.copy()
    order = np.empty(len(points), np.int64)
    for p in range(len(points)):
        order[free[key[p]]] = p
        free[key[p]] += 1
    return order, start


@njit(cache=True, nogil=True)
def _nearest(measured, points, order, start, shape, low, cell_m):  # type: ignore[no-untyped-def]
    distance = np.full(len(points), np.inf)
    nearest = np.zeros(len(points), np.intp)
    for p in range(len(points)):
        i = int(np.floor((points[p, 0] - low[0]) / cell_m))
        j = int(np.floor((points[p, 1] - low[1]) / cell_m))
        k = int(np.floor((points[p, 2] - low[2]) / cell_m))
        best = np.inf
        for i2 in range(max(i - 1, 0), min(i + 2, shape[0])):
            for j2 in range(max(j - 1, 0), min(j + 2, shape[1])):
                for k2 in range(max(k - 1, 0), min(k + 2, shape[2])):
                    key = (i2 * shape[1] + j2) * shape[2] + k2
                    for r in range(start[key], start[key + 1]):
                        q = order[r]
                        dx = measured[q, 0] - points[p, 0]
                        dy = measured[q, 1] - points[p, 1]
                        dz = measured[q, 2] - points[p, 2]
                        d = dx * dx + dy * dy + dz * dz
                        if d < best:
                            best = d
                            nearest[p] = q
        distance[p] = np.sqrt(best)
    return distance, nearest


def thin(points: NDArray[np.float64], cell_m: float) -> NDArray[np.intp]:
    """Rows of one point per ``cell_m`` cell, the first in each."""
    return np.unique(_cell_keys(points, cell_m), return_index=True)[1]


def _cell_keys(points: NDArray[np.float64], cell_m: float) -> NDArray[np.int64]:
    """One number per cubic cell; distinct for cells within 400 m of the origin at 4 mm."""
    ijk = np.floor(points / cell_m).astype(np.int64) + 100_000
    return (ijk[:, 0] * 200_003 + ijk[:, 1]) * 200_003 + ijk[:, 2]
