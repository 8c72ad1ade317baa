"""What the hand must not touch: the other instances, and occupied space that belongs to no instance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pickcell.geometry import inverse, transform_points
from pickcell.grasping.clearance import PointGrid, ToteRoom
from pickcell.grasping.config import ClearanceConfig
from pickcell.values import Instance, Scene, Voxel, VoxelGrid

F64 = NDArray[np.float64]

SAME_M = 0.002
"""Points of one instance in the same voxel of this size are one point."""


def thin(points: F64, size_m: float) -> NDArray[np.intp]:
    """Indices of one point per voxel of this size, the first in order; (M,) ascending."""
    if len(points) == 0:
        return np.zeros(0, dtype=np.intp)
    cells = np.floor((points - points.min(axis=0)) / size_m).astype(np.int64)
    spans = cells.max(axis=0) + 1
    key = (cells[:, 0] * spans[1] + cells[:, 1]) * spans[2] + cells[:, 2]
    return np.sort(np.unique(key, return_index=True)[1])


@dataclass(frozen=True)
class Obstacles:
    """Points around one target that are not the target, in ``base_link``."""

    hard: PointGrid
    """Measured or firmly believed surface."""
    hard_thin: PointGrid
    """The same, one point per voxel, for the first pass."""
    soft: PointGrid
    """Weakly believed surface."""


@dataclass(frozen=True)
class SceneObstacles:
    """All surface points of a scene with their owner, prepared once per scene."""

    points: F64
    owner: NDArray[np.int64]
    """(N,) instance id, 0 for occupied space without an owner."""
    confidence: F64

    @staticmethod
    def of(scene: Scene, totes: tuple[ToteRoom, ...]) -> SceneObstacles:
        """Gather the visible and completed surfaces of all instances and the unowned occupied voxels."""
        points, owners, confidences = [], [], []
        for instance in scene.instances:
            cloud = instance.shape.cloud
            p = np.concatenate([instance.visible.points, cloud.points]).astype(np.float64)
            c = np.concatenate([np.ones(len(instance.visible)), instance.shape.confidence]).astype(np.float64)
            good = np.isfinite(p).all(axis=1) & np.isfinite(c)
            p, c = p[good], c[good]
            keep = thin(p, SAME_M)  # seen points come first and stand for the completed shape's copies of them
            points.append(p[keep])
            owners.append(np.full(len(keep), instance.id))
            confidences.append(c[keep])
        known = np.concatenate(points) if points else np.zeros((0, 3))
        extra = unowned_voxels(scene.occupancy, known, totes)
        return SceneObstacles(
            np.concatenate([known, extra]),
            np.concatenate([*owners, np.zeros(len(extra))]).astype(np.int64),
            np.concatenate([*confidences, np.ones(len(extra))]),
        )

    def around(self, target: Instance, radius_m: float, config: ClearanceConfig) -> Obstacles:
        """The points of everything but the target within ``radius_m`` of its bounding ball."""
        own = finite_rows(target.visible.points)
        body = finite_rows(target.shape.cloud.points)
        both = np.concatenate([own, body])
        center = 0.5 * (both.min(axis=0) + both.max(axis=0))
        reach = radius_m + 0.5 * float(np.linalg.norm(both.max(axis=0) - both.min(axis=0)))
        near = (self.owner != target.id) & (np.linalg.norm(self.points[:, :2] - center[:2], axis=1) < reach)
        points, confidence = self.points[near], self.confidence[near]
        surface = own if len(own) else body
        low, high = surface.min(axis=0) - config.bleed_m, surface.max(axis=0) + config.bleed_m
        close = np.flatnonzero(np.all((points > low) & (points < high), axis=1))
        if len(close):
            gap = cKDTree(surface).query(points[close], distance_upper_bound=config.bleed_m)[0]
            apart = np.ones(len(points), dtype=bool)
            apart[close[np.isfinite(gap)]] = False
            points, confidence = points[apart], confidence[apart]
        hard, soft = points[confidence >= config.hard_confidence], points[confidence < config.hard_confidence]
        return Obstacles(
            PointGrid.of(hard),
            PointGrid.of(hard[thin(hard, config.obstacle_voxel_m)]),
            PointGrid.of(soft[thin(soft, 2 * config.obstacle_voxel_m)]),
        )


def finite_rows(points: NDArray[np.float32]) -> F64:
    """Points (N, 3) without NaN or infinity, as float64."""
    out = np.asarray(points, dtype=np.float64)
    return out[np.isfinite(out).all(axis=1)]


def unowned_voxels(grid: VoxelGrid, known: F64, totes: tuple[ToteRoom, ...]) -> F64:
    """Centres (N, 3) of occupied voxels inside the totes, away from walls, floor and every instance's points.

    Walls and floor are checked from the cell file, and instances by their points, both finer than a voxel.
    """
    index = np.argwhere(grid.state == Voxel.OCCUPIED)
    if len(index) == 0:
        return np.zeros((0, 3))
    res = grid.resolution_m
    centers = grid.origin + (index + 0.5) * res
    inside = np.zeros(len(centers), dtype=bool)
    for tote in totes:
        local = transform_points(inverse(tote.X_base_tote), centers)
        half = np.array(tote.inner[:2]) / 2 - 1.2 * res
        inside |= (
            np.all(np.abs(local[:, :2]) < half, axis=1) & (local[:, 2] > 1.2 * res) & (local[:, 2] < tote.inner[2] + 0.1)
        )
    centers = centers[inside]
    if len(centers) and len(known):
        sparse = known[thin(known, 0.5 * res)]
        centers = centers[~np.isfinite(cKDTree(sparse).query(centers, distance_upper_bound=1.5 * res)[0])]
    return np.asarray(centers, dtype=np.float64)
