"""Full shapes against the truth: Chamfer distance, overlap of volumes, and whether confidence means what it says."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pickcell.values import ShapeEstimate
from pickcell_sim.data.scene_file import ItemTruth

VOXEL_M = 0.004
NEAR_M = 0.005
"""A point this near to the true surface is right."""
BINS = 5


@dataclass(frozen=True)
class ShapeScore:
    """One estimate against its item."""

    chamfer_m: float
    """Mean of both directions' mean distances to the nearest point (Chamfer-L1)."""
    iou: float
    """Overlap of the solids, on a grid of VOXEL_M."""


def score_shape(estimate: ShapeEstimate, item: ItemTruth) -> ShapeScore:
    """Compare; both in ``base_link``."""
    points = np.asarray(estimate.cloud.points, np.float64)
    tree, true_tree = cKDTree(points), cKDTree(item.points)
    chamfer = 0.5 * (true_tree.query(points)[0].mean() + tree.query(item.points)[0].mean())
    low = np.minimum(points.min(axis=0), item.points.min(axis=0)) - VOXEL_M
    high = np.maximum(points.max(axis=0), item.points.max(axis=0)) + VOXEL_M
    axes = [np.arange(a, b, VOXEL_M) + 0.5 * VOXEL_M for a, b in zip(low, high)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    mine, true = inside_surface(grid, estimate, tree), item.inside(grid)
    return ShapeScore(float(chamfer), float((mine & true).sum() / max((mine | true).sum(), 1)))


def inside_surface(grid: NDArray[np.float64], estimate: ShapeEstimate, tree: cKDTree) -> NDArray[np.bool_]:
    """(G,) which points lie behind the surface: most of the nearest points look away from them."""
    near = tree.query(grid, k=min(5, tree.n))[1].reshape(len(grid), -1)
    offset = grid[:, None] - np.asarray(estimate.cloud.points, np.float64)[near]
    side = np.sum(offset * np.asarray(estimate.cloud.normals, np.float64)[near], axis=2)
    return np.asarray((side < 0).mean(axis=1) > 0.5)


@dataclass
class ShapeTally:
    """Over many items."""

    scores: list[ShapeScore] = field(default_factory=list)
    right: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    points: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    said: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))

    def add(self, estimate: ShapeEstimate, item: ItemTruth) -> None:
        """Count one estimate, and its points by what confidence was given them."""
        self.scores.append(score_shape(estimate, item))
        near = cKDTree(item.points).query(np.asarray(estimate.cloud.points))[0] < NEAR_M
        index = np.minimum((np.asarray(estimate.confidence) * BINS).astype(int), BINS - 1)
        np.add.at(self.points, index, 1)
        np.add.at(self.right, index, near)
        np.add.at(self.said, index, estimate.confidence)

    def reliability(self) -> list[tuple[float, float, int]]:
        """Per bin of confidence: mean confidence, share of right points, number of points."""
        n = np.maximum(self.points, 1)
        return [(float(s / m), float(r / m), int(p)) for s, r, p, m in zip(self.said, self.right, self.points, n)]

    def calibration_error(self) -> float:
        """Expected calibration error (Naeini et al., AAAI 2015) of the points' confidence."""
        total = max(int(self.points.sum()), 1)
        return float(sum(p / total * abs(s - r) for s, r, p in self.reliability()))
