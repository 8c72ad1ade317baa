"""Join measured and inferred points: measured ones stay, an inferred one stays where nothing better is near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

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
    distance, nearest = cKDTree(measured).query(points)
    same_face = np.sum(measured_normals[nearest] * normals, axis=1) > 0.5
    new = ~((distance < merge_m) & same_face) & (distance > 0.5 * spacing_m)
    return (
        np.vstack([measured, points[new]]),
        np.vstack([measured_normals, normals[new]]),
        np.concatenate([ones, confidence[new]]).astype(np.float32),
        np.concatenate([own, nearest[new]]),
    )


def _best_per_cell(points: NDArray[np.float64], confidence: NDArray[np.float64], cell_m: float) -> NDArray[np.intp]:
    """Rows of the most confident point of each cell."""
    ijk = np.floor(points / cell_m).astype(np.int64) + 100_000
    key = (ijk[:, 0] * 200_003 + ijk[:, 1]) * 200_003 + ijk[:, 2]
    order = np.lexsort((-confidence, key))
    first = np.ones(len(order), bool)
    first[1:] = key[order[1:]] != key[order[:-1]]
    return order[first]
