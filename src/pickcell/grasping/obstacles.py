"""What the hand must not touch: the other instances, and occupied space that belongs to no instance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pickcell.geometry import inverse, transform_points
from pickcell.grasping.clearance import PointGrid, ToteRoom, columns_of
from pickcell.grasping.config import ClearanceConfig
from pickcell.values import Instance, Scene, Voxel, VoxelGrid

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SAME_M = 0.002
"""Points of one instance in the same voxel of this size are one point."""
SOFTER = 2
"""How much coarser weakly believed surface is thinned than firm surface."""


def thin(points: F64, size_m: float) -> NDArray[np.intp]:
    """Indices of one point per voxel of this size, the first in order; (M,) ascending."""
    if len(points) == 0:
        return np.zeros(0, dtype=np.intp)
    return np.sort(np.unique(_voxel_of(points, size_m), return_index=True)[1])


def _voxel_of(points: F64, size_m: float) -> I64:
    """(N,) number of the voxel that each point (N, 3), N > 0, lies in; voxels begin at the points' lowest corner."""
    cells = np.floor((points - points.min(axis=0)) / size_m).astype(np.int64)
    spans = cells.max(axis=0) + 1
    return np.asarray((cells[:, 0] * spans[1] + cells[:, 1]) * spans[2] + cells[:, 2])


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
    """All surface points of a scene with their owner, prepared once per scene: sorted by column, in it by voxel, so
    that what lies around a target is read off in one pass."""

    points: F64
    """(N, 3)"""
    owner: I64
    """(N,) instance id, 0 for occupied space without an owner."""
    confidence: F64
    column: I64
    """(N,) as PointGrid numbers them."""
    voxel: I64
    """(N, 2) which voxel a point lies in, of those that firm and weak surface is thinned to."""
    origin: F64
    """(2,) of the columns."""
    shape: tuple[int, int]

    @staticmethod
    def of(scene: Scene, totes: tuple[ToteRoom, ...], config: ClearanceConfig) -> SceneObstacles:
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
        return SceneObstacles._sorted(
            np.concatenate([known, extra]),
            np.concatenate([*owners, np.zeros(len(extra))]).astype(np.int64),
            np.concatenate([*confidences, np.ones(len(extra))]),
            config.obstacle_voxel_m,
        )

    @staticmethod
    def _sorted(points: F64, owner: I64, confidence: F64, voxel_m: float) -> SceneObstacles:
        if len(points) == 0:
            none = np.zeros(0, dtype=np.int64)
            return SceneObstacles(points, owner, confidence, none, np.zeros((0, 2), np.int64), np.zeros(2), (1, 1))
        column, origin, shape = columns_of(points)
        voxel = np.column_stack([_voxel_of(points, size) for size in (voxel_m, SOFTER * voxel_m)])
        order = np.lexsort((voxel[:, 0], voxel[:, 1], column))
        return SceneObstacles(points[order], owner[order], confidence[order], column[order], voxel[order], origin, shape)

    def around(self, target: Instance, radius_m: float, config: ClearanceConfig) -> Obstacles:
        """The points of everything but the target within ``radius_m`` of its bounding ball."""
        own = finite_rows(target.visible.points)
        body = finite_rows(target.shape.cloud.points)
        both = np.concatenate([own, body])
        center = 0.5 * (both.min(axis=0) + both.max(axis=0))
        reach = radius_m + 0.5 * float(np.linalg.norm(both.max(axis=0) - both.min(axis=0)))
        surface = own if len(own) else body
        low, high = surface.min(axis=0) - config.bleed_m, surface.max(axis=0) + config.bleed_m
        near = np.zeros(len(self.points), dtype=np.bool_)
        close = _near(self.points, self.owner, target.id, center, reach, low, high, near)
        if len(close):
            gap = cKDTree(surface).query(self.points[close], distance_upper_bound=config.bleed_m)[0]
            near[close[np.isfinite(gap)]] = False
        hard, hard_thin, soft = _split(self.confidence, self.voxel, near, config.hard_confidence)
        return Obstacles(self._grid(hard), self._grid(hard_thin), self._grid(soft))

    def _grid(self, rows: I64) -> PointGrid:
        return PointGrid.of_sorted(self.points[rows], self.column[rows], self.origin, self.shape)


@njit(cache=True)
def _near(
    points: F64, owner: I64, target_id: int, center: F64, reach: float, low: F64, high: F64, near: NDArray[np.bool_]
) -> I64:
    """Mark in ``near`` (N,) what is not the target's and, seen from above, within ``reach`` of ``center``; the rows of those
    inside the box ``low`` .. ``high``."""
    close = np.empty(len(points), np.int64)
    count = 0
    for i in range(len(points)):
        dx, dy = points[i, 0] - center[0], points[i, 1] - center[1]
        if owner[i] == target_id or dx * dx + dy * dy >= reach * reach:
            continue
        near[i] = True
        inside = True
        for k in range(3):
            inside &= low[k] < points[i, k] < high[k]
        if inside:
            close[count] = i
            count += 1
    return close[:count].copy()


@njit(cache=True)
def _split(confidence: F64, voxel: I64, near: NDArray[np.bool_], hard_confidence: float) -> tuple[I64, I64, I64]:
    """Rows of the firm points among those that are ``near`` (N,), of one firm point per voxel, and of one weak point per
    coarser voxel. Points of a voxel stand together."""
    n = len(near)
    hard, hard_thin, soft = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    a, b, c = 0, 0, 0
    last_hard, last_soft = -1, -1
    for i in range(n):
        if not near[i]:
            continue
        if confidence[i] >= hard_confidence:
            hard[a] = i
            a += 1
            if voxel[i, 0] != last_hard:
                last_hard = voxel[i, 0]
                hard_thin[b] = i
                b += 1
        elif voxel[i, 1] != last_soft:
            last_soft = voxel[i, 1]
            soft[c] = i
            c += 1
    return hard[:a].copy(), hard_thin[:b].copy(), soft[:c].copy()


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
