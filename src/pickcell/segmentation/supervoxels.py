"""Supervoxels: small patches of surface that do not cross creases or colour edges.

After Papon et al. 2013, "Voxel cloud connectivity segmentation": patches grow from seeds along the grid's neighbourhood
and compete for points by distance, normal and colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.segmentation.config import SegmentationConfig


@dataclass(frozen=True)
class Patches:
    """Supervoxels of M points."""

    label: NDArray[np.int32]
    """(M,) patch of each point, 0-based; -1 for points that no seed reached."""
    centres: NDArray[np.float64]
    """(P, 3)."""
    normals: NDArray[np.float64]
    """(P, 3) unit."""
    lab: NDArray[np.float64]
    """(P, 3) mean colour."""
    sizes: NDArray[np.int64]
    """(P,) points."""


def neighbours_of(cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """(M, 26) rows of the points in the 26 cells around each point's cell, -1 where there is none; ``cells``: (M, 3),
    at most one point per cell."""
    low = cells.min(axis=0) - 1
    shape = cells.max(axis=0) - low + 2
    index = np.full(tuple(shape), -1, np.int32)
    local = (cells - low).astype(np.int32)
    index[tuple(local.T)] = np.arange(len(cells), dtype=np.int32)
    return _neighbours(index, local)


@njit(cache=True, nogil=True)
def _neighbours(index, cells):  # type: ignore[no-untyped-def]
    out = np.full((len(cells), 26), -1, np.int32)
    for p in range(len(cells)):
        n = 0
        for di in range(-1, 2):
            for dj in range(-1, 2):
                for dk in range(-1, 2):
                    if di == 0 and dj == 0 and dk == 0:
                        continue
                    out[p, n] = index[cells[p, 0] + di, cells[p, 1] + dj, cells[p, 2] + dk]
                    n += 1
    return out


@njit(cache=True, nogil=True)
def smooth_normals(normals, neighbours, rounds):  # type: ignore[no-untyped-def]
    """Mean of the normals around each point, leaving out those that differ by more than 60 degrees (another face)."""
    current = normals.astype(np.float64)
    for _ in range(rounds):
        out = np.empty_like(current)
        for p in range(len(current)):
            a, b, c = current[p, 0], current[p, 1], current[p, 2]
            x, y, z = a, b, c
            for k in range(neighbours.shape[1]):
                q = neighbours[p, k]
                if q >= 0 and a * current[q, 0] + b * current[q, 1] + c * current[q, 2] > 0.5:
                    x += current[q, 0]
                    y += current[q, 1]
                    z += current[q, 2]
            length = max(np.sqrt(x * x + y * y + z * z), 1e-9)
            out[p, 0], out[p, 1], out[p, 2] = x / length, y / length, z / length
        current = out
    return current


def grow_patches(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    lab: NDArray[np.float32],
    cells: NDArray[np.int32],
    neighbours: NDArray[np.int32],
    config: SegmentationConfig,
    cell_m: float,
) -> Patches:
    """Patches of about ``seed_cells`` squared points. All arrays are (M, ...) and in the same order."""
    coarse = cells // config.seed_cells
    key = (coarse[:, 0].astype(np.int64) * 4096 + coarse[:, 1]) * 4096 + coarse[:, 2]
    _, group = np.unique(key, return_inverse=True)
    seeds = _seed_points(points, group.astype(np.int64), int(group.max()) + 1 if len(group) else 0)
    spacing = config.seed_cells * cell_m
    label = _grow(
        points, normals, lab.astype(np.float64), neighbours, seeds, spacing,
        config.space_weight, config.normal_weight, config.color_weight,
    )  # fmt: skip
    label, count = _renumber(label)
    sizes, centres, mean_normals, mean_lab = _statistics(points, normals, lab.astype(np.float64), label, count)
    return Patches(label, centres, mean_normals, mean_lab, sizes)


@njit(cache=True, nogil=True)
def _seed_points(points, group, groups):  # type: ignore[no-untyped-def]
    """Per group, the point nearest to the group's mean; groups of fewer than three points get none."""
    mean = np.zeros((groups, 3))
    count = np.zeros(groups)
    for p in range(len(points)):
        mean[group[p]] += points[p]
        count[group[p]] += 1
    best = np.full(groups, -1, np.int64)
    best_d = np.full(groups, np.inf)
    for p in range(len(points)):
        g = group[p]
        if count[g] < 3:
            continue
        d = 0.0
        for a in range(3):
            d += (points[p, a] - mean[g, a] / count[g]) ** 2
        if d < best_d[g]:
            best_d[g], best[g] = d, p
    return best[best >= 0]


@njit(cache=True, nogil=True)
def _grow(points, normals, lab, neighbours, seeds, spacing, w_space, w_normal, w_color):  # type: ignore[no-untyped-def]
    """Flow outwards from the seeds in rounds; a point goes to the patch whose centre is nearest in all three senses."""
    m = len(points)
    label = np.full(m, -1, np.int32)
    cost = np.full(m, np.inf)
    n = len(seeds)
    centre = points[seeds].copy()
    normal = normals[seeds].copy()
    color = lab[seeds].copy()
    for s in range(n):
        label[seeds[s]], cost[seeds[s]] = s, 0.0
    frontier = seeds.astype(np.int64)
    for _ in range(14):
        grown = np.empty(m, np.int64)
        count = 0
        queued = np.zeros(m, np.bool_)
        for f in range(len(frontier)):
            p = frontier[f]
            s = label[p]
            for q in neighbours[p]:
                if q < 0 or label[q] == s:
                    continue
                space, chroma, dot = 0.0, 0.0, 0.0
                for a in range(3):
                    space += (points[q, a] - centre[s, a]) ** 2
                    chroma += (lab[q, a] - color[s, a]) ** 2
                    dot += normals[q, a] * normal[s, a]
                space /= spacing * spacing
                if space > 2.5:
                    continue
                d = w_space * space + w_normal * (1.0 - dot) * 2.0 + w_color * min(chroma / 400.0, 2.0)
                if d < cost[q]:
                    cost[q], label[q] = d, s
                    if not queued[q]:
                        queued[q] = True
                        grown[count] = q
                        count += 1
        if count == 0:
            break
        frontier = grown[:count].copy()
    return label


@njit(cache=True, nogil=True)
def _renumber(label):  # type: ignore[no-untyped-def]
    new = np.full(len(label) + 1, -1, np.int32)
    count = 0
    out = np.full(len(label), -1, np.int32)
    for p in range(len(label)):
        s = label[p]
        if s < 0:
            continue
        if new[s] < 0:
            new[s] = count
            count += 1
        out[p] = new[s]
    return out, count


@njit(cache=True, nogil=True)
def _statistics(points, normals, lab, label, count):  # type: ignore[no-untyped-def]
    sizes = np.zeros(count, np.int64)
    centres = np.zeros((count, 3))
    mean_normals = np.zeros((count, 3))
    mean_lab = np.zeros((count, 3))
    for p in range(len(label)):
        s = label[p]
        if s < 0:
            continue
        sizes[s] += 1
        centres[s] += points[p]
        mean_normals[s] += normals[p]
        mean_lab[s] += lab[p]
    for s in range(count):
        centres[s] /= sizes[s]
        mean_lab[s] /= sizes[s]
        length = np.sqrt(mean_normals[s, 0] ** 2 + mean_normals[s, 1] ** 2 + mean_normals[s, 2] ** 2)
        mean_normals[s] /= max(length, 1e-9)
    return sizes, centres, mean_normals, mean_lab
