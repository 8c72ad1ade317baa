"""The collision world of a cell: its furniture, and what a scene adds to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.geometry import Pose, inverse, make_pose
from pickcell.motion.field import (
    FIXED_LIMIT_M,
    SEEN_LIMIT_M,
    Boxes,
    World,
    box_field,
    distance_transform,
    fixed_distance,
    fixed_on,
)
from pickcell.values import Scene, ShapeEstimate, VoxelGrid

Array = NDArray[np.float64]

FIXED_RESOLUTION_M = 0.01
FURNITURE_SKIN_M = 0.004
"""Seen voxels this close (beyond half a voxel) to furniture are the furniture, seen with the cameras' error."""


@dataclass(frozen=True)
class FurnitureBox:
    """One solid box of the cell's own furniture."""

    name: str
    X_base_box: Pose
    half: Array
    """(3,) half side lengths, metres."""


def tote_boxes(cell: CellConfig) -> tuple[FurnitureBox, ...]:
    """Walls and floors of all totes as boxes. The floor plate reaches down to the table."""
    out = []
    for name, tote in cell.totes.items():
        X, (lx, ly, lz), w = cell.X_base_tote(name), tote.inner, tote.wall
        table = -tote.position[2]  # in the tote's frame
        height = lz - table
        middle = 0.5 * (lz + table)
        for side, sign in (("x+", 1.0), ("x-", -1.0)):
            half = np.array([0.5 * w, 0.5 * ly + w, 0.5 * height])
            out.append(FurnitureBox(f"{name} wall {side}", X @ make_pose((sign * 0.5 * (lx + w), 0.0, middle)), half))
        for side, sign in (("y+", 1.0), ("y-", -1.0)):
            half = np.array([0.5 * lx + w, 0.5 * w, 0.5 * height])
            out.append(FurnitureBox(f"{name} wall {side}", X @ make_pose((0.0, sign * 0.5 * (ly + w), middle)), half))
        thick = max(-table, 0.002)
        half = np.array([0.5 * lx + w, 0.5 * ly + w, 0.5 * thick])
        out.append(FurnitureBox(f"{name} floor", X @ make_pose((0.0, 0.0, -0.5 * thick)), half))
    return tuple(out)


def empty_world(cell: CellConfig) -> World:
    """The table and the totes, nothing else."""
    boxes = tote_boxes(cell)
    corners = []
    for box in boxes:
        reach = np.abs(box.X_base_box[:3, :3]) @ box.half
        corners += [box.X_base_box[:3, 3] - reach, box.X_base_box[:3, 3] + reach]
    low = np.min(corners, axis=0) - FIXED_LIMIT_M
    high = np.max(corners, axis=0) + FIXED_LIMIT_M
    low[2] = -cell.base_position[2] - 0.05  # below the table there is only the table
    shape = np.ceil((high - low) / FIXED_RESOLUTION_M).astype(np.int64)
    packed = Boxes(
        np.ascontiguousarray([inverse(b.X_base_box)[:3] for b in boxes]), np.ascontiguousarray([b.half for b in boxes])
    )
    field = box_field(packed, low, FIXED_RESOLUTION_M, (int(shape[0]), int(shape[1]), int(shape[2])))
    nothing = np.full((1, 1, 1), SEEN_LIMIT_M, np.float32)
    return World(field, low, FIXED_RESOLUTION_M, nothing, np.zeros(3), 0.01, -cell.base_position[2], nothing)


@njit(cache=True, nogil=True)
def _obstacles(state, origin, resolution, world, skin, totes, sizes, unknown_below):  # type: ignore[no-untyped-def]
    """Voxels that are obstacles: occupied and not furniture; unknown ones under a seen surface inside a tote, if asked."""
    nx, ny, nz = state.shape
    out = np.zeros((nx, ny, nz), np.bool_)
    for i in range(nx):
        x = origin[0] + (i + 0.5) * resolution
        for j in range(ny):
            y = origin[1] + (j + 0.5) * resolution
            tote, rim = -1, -1e9
            for t in range(totes.shape[0]):
                X = totes[t]
                u, v = X[0, 0] * x + X[0, 1] * y + X[0, 3], X[1, 0] * x + X[1, 1] * y + X[1, 3]
                if abs(u) < 0.5 * sizes[t, 0] and abs(v) < 0.5 * sizes[t, 1]:
                    tote, rim = t, sizes[t, 2] - X[2, 3]
            covered = False
            for k in range(nz - 1, -1, -1):
                z = origin[2] + (k + 0.5) * resolution
                occupied = state[i, j, k] == 2
                if occupied and fixed_distance(world, x, y, z) > 0.5 * resolution + skin:
                    out[i, j, k] = True
                    covered = True
                elif unknown_below and tote >= 0 and covered and z < rim and state[i, j, k] == 1:
                    out[i, j, k] = True
    return out


@njit(cache=True, nogil=True)
def clear_spheres(mask, origin, resolution, spheres):  # type: ignore[no-untyped-def]
    """Unset voxels whose centre lies inside one of ``spheres`` (N, 4), in place."""
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for s in range(spheres.shape[0]):
        r = spheres[s, 3]
        for a in range(3):
            low[a] = max(0, int(np.floor((spheres[s, a] - r - origin[a]) / resolution)))
            high[a] = min(mask.shape[a], int(np.ceil((spheres[s, a] + r - origin[a]) / resolution)) + 1)
        for i in range(low[0], high[0]):
            x = origin[0] + (i + 0.5) * resolution - spheres[s, 0]
            for j in range(low[1], high[1]):
                y = origin[1] + (j + 0.5) * resolution - spheres[s, 1]
                for k in range(low[2], high[2]):
                    z = origin[2] + (k + 0.5) * resolution - spheres[s, 2]
                    if x * x + y * y + z * z < r * r:
                        mask[i, j, k] = False


@njit(cache=True, nogil=True)
def clear_box(mask, origin, resolution, X_box_base, half):  # type: ignore[no-untyped-def]
    """Unset voxels whose centre lies inside a box, in place."""
    R, t = X_box_base[:3, :3], X_box_base[:3, 3]
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for a in range(3):
        centre, reach = 0.0, 0.0
        for b in range(3):
            centre -= R[b, a] * t[b]
            reach += abs(R[b, a]) * half[b]
        low[a] = min(max(0, int(np.floor((centre - reach - origin[a]) / resolution))), mask.shape[a])
        high[a] = min(mask.shape[a], int(np.ceil((centre + reach - origin[a]) / resolution)) + 1)
    for i in range(low[0], high[0]):
        x = origin[0] + (i + 0.5) * resolution
        for j in range(low[1], high[1]):
            y = origin[1] + (j + 0.5) * resolution
            for k in range(low[2], high[2]):
                z = origin[2] + (k + 0.5) * resolution
                inside = True
                for a in range(3):
                    inside = inside and abs(R[a, 0] * x + R[a, 1] * y + R[a, 2] * z + t[a]) <= half[a]
                if inside:
                    mask[i, j, k] = False


def crop(mask: NDArray[np.bool_], pad: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """The set part of ``mask`` with ``pad`` free voxels all around, and the index of its corner in the original."""
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if len(hit) == 0:
            return np.zeros((1, 1, 1), bool), np.zeros(3, np.int64)
        spans.append((int(hit[0]), int(hit[-1]) + 1))
    shape = tuple(b - a + 2 * pad for a, b in spans)
    out = np.zeros(shape, bool)
    inner = tuple(slice(pad, pad + b - a) for a, b in spans)
    out[inner] = mask[tuple(slice(a, b) for a, b in spans)]
    return out, np.array([a - pad for a, _ in spans], np.int64)


class SceneWorlds:
    """Builds worlds from scenes. Two kinds: the full one for free motion, and one for motions in contact with an item,
    from which that item is taken out and in which unseen space does not count (the grasp was chosen knowing it)."""

    def __init__(self, cell: CellConfig, unknown_below_surface: bool = True) -> None:
        self.empty = empty_world(cell)
        self._unknown = unknown_below_surface
        self._furniture: tuple[tuple[float, ...], NDArray[np.float32]] | None = None
        self._totes = np.ascontiguousarray([inverse(cell.X_base_tote(name))[:3] for name in cell.totes])
        self._sizes = np.ascontiguousarray([cell.totes[name].inner for name in cell.totes], dtype=float)

    def _mask(self, grid: VoxelGrid, unknown: bool) -> NDArray[np.bool_]:
        return _obstacles(
            grid.state, grid.origin, grid.resolution_m, self.empty, FURNITURE_SKIN_M, self._totes, self._sizes, unknown
        )

    def _world(self, grid: VoxelGrid, mask: NDArray[np.bool_]) -> World:
        small, corner = crop(mask, int(np.ceil(SEEN_LIMIT_M / grid.resolution_m)))
        if small.shape == (1, 1, 1):
            return self.empty
        field = distance_transform(small, grid.resolution_m, SEEN_LIMIT_M)
        origin = grid.origin + corner * grid.resolution_m
        both = np.minimum(field, self._furniture_on(grid, corner, field.shape))
        return self.empty._replace(seen=field, seen_origin=origin, seen_resolution=float(grid.resolution_m), both=both)

    def _furniture_on(self, grid: VoxelGrid, corner: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Distance to the furniture on a part of a scene's padded grid: the same from scene to scene, so kept."""
        pad = int(np.ceil(SEEN_LIMIT_M / grid.resolution_m))
        lattice = (*grid.origin, grid.resolution_m, *grid.state.shape)
        kept = self._furniture
        if kept is None or kept[0] != lattice:
            origin, padded = grid.origin - pad * grid.resolution_m, [n + 2 * pad for n in grid.state.shape]
            on = fixed_on(self.empty, origin, grid.resolution_m, (padded[0], padded[1], padded[2]))
            self._furniture = kept = (lattice, on)
        first = corner + pad
        return kept[1][tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))]

    def full(self, scene: Scene | None, robot: Array) -> World:
        """Everything seen is an obstacle, but what lies inside the robot itself (``robot`` spheres (N, 4)) cannot be."""
        if scene is None:
            return self.empty
        mask = self._mask(scene.occupancy, self._unknown)
        clear_spheres(mask, scene.occupancy.origin, scene.occupancy.resolution_m, robot)
        return self._world(scene.occupancy, mask)

    def seen_now(self, grid: VoxelGrid, robot: Array) -> World:
        """What is seen to be occupied, less the robot; unseen space does not count."""
        mask = self._mask(grid, False)
        clear_spheres(mask, grid.origin, grid.resolution_m, robot)
        return self._world(grid, mask)

    def without(self, scene: Scene | None, shape: ShapeEstimate | None, robot: Array, unknown: bool = False) -> World:
        """As :meth:`full`, less the voxels of an item given by its shape. ``unknown``: unseen space counts here too."""
        if scene is None:
            return self.empty
        grid = scene.occupancy
        mask = self._mask(grid, unknown and self._unknown)
        clear_spheres(mask, grid.origin, grid.resolution_m, robot)
        if shape is not None and len(shape.cloud):
            # A point's voxel and its neighbours: the cameras' error moves an item's surface by up to a voxel.
            points = np.asarray(shape.cloud.points, dtype=float)
            reach = np.full((len(points), 1), 1.3 * grid.resolution_m)
            clear_spheres(mask, grid.origin, grid.resolution_m, np.hstack([points, reach]))
            clear_box(mask, grid.origin, grid.resolution_m, inverse(shape.X_base_box), 0.5 * shape.extents_m)
        return self._world(grid, mask)
