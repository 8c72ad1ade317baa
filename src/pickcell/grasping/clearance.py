"""Does the hand fit? Boxes of the hand against points of the scene and against the tote's walls and floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.geometry import Pose

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


CELL_M = 0.02
"""Size of the columns that points are sorted into: a fifth of the hand's width."""


@dataclass(frozen=True)
class PointGrid:
    """Points sorted into vertical columns, so that a pose only looks at the columns under its boxes."""

    points: F64
    """(N, 3) sorted by column."""
    start: I64
    """(nx * ny + 1,) where each column begins."""
    origin: F64
    """(2,) lower corner of column (0, 0)."""
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.points)

    @staticmethod
    def of(points: F64) -> PointGrid:
        """Sort points (N, 3), all finite."""
        points = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
        if len(points) == 0:
            return PointGrid(points, np.zeros(2, dtype=np.int64), np.zeros(2), (1, 1))
        column, origin, shape = columns_of(points)
        order = np.argsort(column, kind="stable")
        return PointGrid.of_sorted(points[order], column[order], origin, shape)

    @staticmethod
    def of_sorted(points: F64, column: I64, origin: F64, shape: tuple[int, int]) -> PointGrid:
        """Points (N, 3) that are in the order of their columns (N,) already, see :func:`columns_of`."""
        start = np.searchsorted(column, np.arange(shape[0] * shape[1] + 1)).astype(np.int64)
        return PointGrid(np.ascontiguousarray(points), start, origin, shape)


def columns_of(points: F64) -> tuple[I64, F64, tuple[int, int]]:
    """Of points (N, 3), N > 0: the number of the column that each stands in (N,), the columns' lower corner (2,), and how
    many there are along x and y."""
    origin = points[:, :2].min(axis=0)
    cell = np.floor((points[:, :2] - origin) / CELL_M).astype(np.int64)
    nx, ny = (int(n) for n in cell.max(axis=0) + 1)
    return cell[:, 0] * ny + cell[:, 1], origin, (nx, ny)


@njit(cache=True)
def _columns(pose: F64, low: F64, high: F64, origin: F64, nx: int, ny: int) -> tuple[int, int, int, int]:
    """Range of columns under the box ``low``..``high`` (3,) of a pose: first and past-last index along x and y."""
    out = np.zeros(4)
    for r in range(2):
        a = pose[r, 3] - origin[r]
        b = a
        for k in range(3):
            u, v = pose[r, k] * low[k], pose[r, k] * high[k]
            a += min(u, v)
            b += max(u, v)
        out[2 * r], out[2 * r + 1] = a / CELL_M, b / CELL_M
    x0, x1 = max(0, int(np.floor(out[0]))), min(nx, int(np.floor(out[1])) + 1)
    y0, y1 = max(0, int(np.floor(out[2]))), min(ny, int(np.floor(out[3])) + 1)
    return x0, x1, y0, y1


@njit(cache=True)
def _box_distances(
    poses: F64,
    boxes: F64,
    points: F64,
    start: I64,
    origin: F64,
    nx: int,
    ny: int,
    ceiling: float,
    reach: float,
    distance: F64,
    inside: I64,
) -> None:
    """Fill ``distance`` (C, B): smallest distance of the points from each box, 0 inside, capped at ``reach``; and
    ``inside`` (C, B): how many points lie in it. ``poses`` (C, 4, 4), ``boxes`` (C, B, 6), points as in PointGrid with
    none above ``ceiling``."""
    n_boxes = boxes.shape[1]
    low, high = np.empty(3), np.empty(3)
    for c in range(poses.shape[0]):
        pose = poses[c]
        low[:], high[:] = np.inf, -np.inf
        for b in range(n_boxes):
            for k in range(3):
                low[k] = min(low[k], boxes[c, b, k] - reach)
                high[k] = max(high[k], boxes[c, b, 3 + k] + reach)
            distance[c, b] = reach * reach
            inside[c, b] = 0
        # What the hand sweeps above the highest point touches nothing: cut it off (for approaches from above).
        if pose[2, 2] < -0.3:
            side = max(abs(low[0]), abs(high[0])) * abs(pose[2, 0]) + max(abs(low[1]), abs(high[1])) * abs(pose[2, 1])
            low[2] = max(low[2], (ceiling - pose[2, 3] + side) / pose[2, 2])
        x0, x1, y0, y1 = _columns(pose, low, high, origin, nx, ny)
        for column_x in range(x0, x1 if y1 > y0 else x0):
            for i in range(start[column_x * ny + y0], start[column_x * ny + y1]):
                dx = points[i, 0] - pose[0, 3]
                dy = points[i, 1] - pose[1, 3]
                dz = points[i, 2] - pose[2, 3]
                z = pose[0, 2] * dx + pose[1, 2] * dy + pose[2, 2] * dz
                if z < low[2] or z > high[2]:
                    continue
                y = pose[0, 1] * dx + pose[1, 1] * dy + pose[2, 1] * dz
                if y < low[1] or y > high[1]:
                    continue
                x = pose[0, 0] * dx + pose[1, 0] * dy + pose[2, 0] * dz
                if x < low[0] or x > high[0]:
                    continue
                for b in range(n_boxes):
                    ez = max(boxes[c, b, 2] - z, 0.0, z - boxes[c, b, 5])
                    ey = max(boxes[c, b, 1] - y, 0.0, y - boxes[c, b, 4])
                    if ez > reach or ey > reach:
                        continue
                    ex = max(boxes[c, b, 0] - x, 0.0, x - boxes[c, b, 3])
                    d = ex * ex + ey * ey + ez * ez
                    if d < distance[c, b]:
                        distance[c, b] = d
                    if d == 0.0:
                        inside[c, b] += 1
        for b in range(n_boxes):
            distance[c, b] = np.sqrt(distance[c, b])


def box_distances(poses: F64, boxes: F64, grid: PointGrid, reach_m: float) -> tuple[F64, I64]:
    """Distances (C, B) of the nearest point from each box, capped at ``reach_m``, and counts (C, B) of points inside.

    ``poses`` (C, 4, 4) TCPs in the points' frame; ``boxes`` (C, B, 6) or (B, 6) in the TCP frames.
    """
    poses = np.ascontiguousarray(poses, dtype=np.float64)
    boxes = np.ascontiguousarray(np.broadcast_to(boxes, (len(poses), *boxes.shape[-2:])), dtype=np.float64)
    distance = np.full(boxes.shape[:2], reach_m)
    inside = np.zeros(boxes.shape[:2], dtype=np.int64)
    if len(grid):
        ceiling = float(grid.points[:, 2].max())
        nx, ny = grid.shape
        _box_distances(poses, boxes, grid.points, grid.start, grid.origin, nx, ny, ceiling, reach_m, distance, inside)
    return distance, inside


@njit(cache=True)
def _tote_room(poses: F64, boxes: F64, X_tote_base: F64, half_x: float, half_y: float, depth: float, room: F64) -> None:
    """Fill ``room`` (C, B, 2): distance to the nearest wall and to the floor of the part of a box below the rim,
    negative when it is through. A box is cut at the rim's plane by cutting its twelve edges."""
    corner = np.zeros((8, 3))
    for c in range(poses.shape[0]):
        X = X_tote_base @ poses[c]
        for b in range(boxes.shape[1]):
            for k in range(8):
                x = boxes[c, b, 0] if k & 1 == 0 else boxes[c, b, 3]
                y = boxes[c, b, 1] if k & 2 == 0 else boxes[c, b, 4]
                z = boxes[c, b, 2] if k & 4 == 0 else boxes[c, b, 5]
                for r in range(3):
                    corner[k, r] = X[r, 0] * x + X[r, 1] * y + X[r, 2] * z + X[r, 3]
            wall = np.inf
            floor = np.inf
            for k in range(8):
                floor = min(floor, corner[k, 2])
                if corner[k, 2] < depth:
                    wall = min(wall, half_x - abs(corner[k, 0]), half_y - abs(corner[k, 1]))
                for bit in (1, 2, 4):
                    j = k ^ bit
                    if j < k:
                        continue
                    below = corner[k, 2] - depth
                    if (below < 0.0) != (corner[j, 2] - depth < 0.0):
                        s = below / (corner[k, 2] - corner[j, 2])
                        px = corner[k, 0] + s * (corner[j, 0] - corner[k, 0])
                        py = corner[k, 1] + s * (corner[j, 1] - corner[k, 1])
                        wall = min(wall, half_x - abs(px), half_y - abs(py))
            room[c, b, 0] = wall
            room[c, b, 1] = floor


@dataclass(frozen=True)
class ToteRoom:
    """The inside of one tote in ``base_link``."""

    name: str
    X_base_tote: Pose
    inner: tuple[float, float, float]

    def contains(self, point: F64) -> bool:
        """Is a point (3,) over the inner floor (a little outside counts) and not far above the rim?"""
        local = np.linalg.inv(self.X_base_tote) @ np.append(point, 1.0)
        half = np.array(self.inner[:2]) / 2 + 0.01
        return bool(np.all(np.abs(local[:2]) <= half) and -0.02 <= local[2] <= self.inner[2] + 0.25)

    def wall_distance(self, points: F64) -> F64:
        """(N,) metres from points (N, 3) inside to the nearest wall; negative beyond one."""
        local = (points - self.X_base_tote[:3, 3]) @ self.X_base_tote[:3, :3]
        return np.asarray((np.array(self.inner[:2]) / 2 - np.abs(local[:, :2])).min(axis=1), dtype=np.float64)

    def room(self, poses: F64, boxes: F64) -> F64:
        """(C, B, 2) metres between the part of each box below the rim and the walls, and between the box and the floor.
        Everything below the rim has to be inside: the walls count as endlessly thick. inf: nothing below the rim."""
        poses = np.ascontiguousarray(poses, dtype=np.float64)
        boxes = np.ascontiguousarray(np.broadcast_to(boxes, (len(poses), *boxes.shape[-2:])), dtype=np.float64)
        room = np.full((*boxes.shape[:2], 2), np.inf)
        X_tote_base = np.ascontiguousarray(np.linalg.inv(self.X_base_tote))
        _tote_room(poses, boxes, X_tote_base, self.inner[0] / 2, self.inner[1] / 2, self.inner[2], room)
        return room


def totes_of(cell: CellConfig) -> tuple[ToteRoom, ...]:
    """The cell's totes in ``base_link``."""
    return tuple(ToteRoom(name, cell.X_base_tote(name), tote.inner) for name, tote in cell.totes.items())
