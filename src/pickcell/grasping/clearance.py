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


@njit(cache=True)
def _box_distances(poses: F64, boxes: F64, points: F64, reach: float, distance: F64, inside: I64) -> None:
    """Fill ``distance`` (C, B): smallest distance of the points from each box, 0 inside, capped at ``reach``; and
    ``inside`` (C, B): how many points lie in it. ``poses`` (C, 4, 4), ``boxes`` (C, B, 6), ``points`` (P, 3)."""
    n_boxes = boxes.shape[1]
    for c in range(poses.shape[0]):
        pose = poses[c]
        low = np.array([np.inf, np.inf, np.inf])
        high = np.array([-np.inf, -np.inf, -np.inf])
        for b in range(n_boxes):
            for k in range(3):
                low[k] = min(low[k], boxes[c, b, k] - reach)
                high[k] = max(high[k], boxes[c, b, 3 + k] + reach)
            distance[c, b] = reach * reach
            inside[c, b] = 0
        for i in range(points.shape[0]):
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
                ex = max(boxes[c, b, 0] - x, 0.0, x - boxes[c, b, 3])
                ey = max(boxes[c, b, 1] - y, 0.0, y - boxes[c, b, 4])
                ez = max(boxes[c, b, 2] - z, 0.0, z - boxes[c, b, 5])
                d = ex * ex + ey * ey + ez * ez
                if d < distance[c, b]:
                    distance[c, b] = d
                if d == 0.0:
                    inside[c, b] += 1
        for b in range(n_boxes):
            distance[c, b] = np.sqrt(distance[c, b])


def box_distances(poses: F64, boxes: F64, points: F64, reach_m: float) -> tuple[F64, I64]:
    """Distances (C, B) of the nearest point from each box, capped at ``reach_m``, and counts (C, B) of points inside.

    ``poses`` (C, 4, 4) TCPs; ``boxes`` (C, B, 6) or (B, 6) in the TCP frames; ``points`` (P, 3) in the poses' frame.
    """
    poses = np.ascontiguousarray(poses, dtype=np.float64)
    boxes = np.broadcast_to(boxes, (len(poses), *boxes.shape[-2:]))
    boxes = np.ascontiguousarray(boxes, dtype=np.float64)
    points = np.ascontiguousarray(points, dtype=np.float64)
    distance = np.full(boxes.shape[:2], reach_m)
    inside = np.zeros(boxes.shape[:2], dtype=np.int64)
    _box_distances(poses, boxes, points, reach_m, distance, inside)
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
