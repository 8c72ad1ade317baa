"""Coarse maps for planning: free, occupied and unknown space of the whole cell, and height maps of the totes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.config import FusionConfig
from pickcell.fusion.frames import project
from pickcell.fusion.furniture import FurnitureBox
from pickcell.fusion.tsdf import DepthView
from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell.values import HeightMap, Voxel, VoxelGrid

MIN_HITS = 2
"""Depth pixels (of every second row and column) that make a voxel occupied: one alone may be noise."""

CEILING_M = 0.25
"""Points higher than this above a tote's rim are no content (an arm, a hand)."""


def workspace_bounds(cell: CellConfig, config: FusionConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corner in ``base_link`` of the box around totes and robot base, from below the table's top up."""
    corners = [np.zeros((1, 3))]
    for name, tote in cell.totes.items():
        half = 0.5 * np.asarray(tote.inner) + tote.wall
        box = np.array([[x, y, 0.0] for x in (-1, 1) for y in (-1, 1)]) * half
        corners.append(transform_points(cell.X_base_tote(name), box))
    xy = np.vstack(corners)[:, :2]
    table_z = -cell.base_position[2]
    low = np.array([*(xy.min(axis=0) - config.workspace_margin_m), table_z - 2 * config.planning_voxel_m])
    high = np.array([*(xy.max(axis=0) + config.workspace_margin_m), table_z + config.workspace_height_m])
    return low, high


class Workspace:
    """Builds the planning grid; the furniture's voxels are worked out once."""

    def __init__(self, cell: CellConfig, config: FusionConfig, boxes: list[FurnitureBox]) -> None:
        low, high = workspace_bounds(cell, config)
        self._resolution = config.planning_voxel_m
        self._origin = low
        shape = tuple(int(n) for n in np.ceil((high - low) / self._resolution))
        self._furniture = _rasterise(boxes, low, self._resolution, (shape[0], shape[1], shape[2]))

    def observe(
        self, views: list[DepthView], source_region: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    ) -> NDArray[np.uint8]:
        """What the single images say of each voxel (nx, ny, nz): everything seen is occupied, what a camera looked through
        is free, the rest is unknown. Of the inside of ``source_region`` (grid pose inverse, lower and upper corner in it)
        they say only what is free."""
        hits = np.zeros(self._furniture.shape, np.uint8)
        seen_through = np.zeros(self._furniture.shape, np.bool_)
        X_region_base, low, high = source_region
        for view in views:
            k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
            X = np.ascontiguousarray(view.X_base_camera)
            _count_hits(hits, view.depth_m, k, X, self._origin, self._resolution, X_region_base, low, high)
            _mark_free(seen_through, self._furniture, view.depth_m, k, inverse(X), self._origin, self._resolution)
        state = np.full(hits.shape, Voxel.UNKNOWN, np.uint8)
        state[seen_through] = Voxel.FREE
        state[hits >= MIN_HITS] = Voxel.OCCUPIED
        return state

    def build(
        self, observed: NDArray[np.uint8], surface: NDArray[np.float32], robot_spheres: NDArray[np.float64]
    ) -> VoxelGrid:
        """The planning grid: what was ``observed``, the fused ``surface`` (N, 3) of the source tote, and furniture. The
        robot's own space is free: nothing else can be there."""
        state = observed.copy()
        if len(surface):
            ijk = np.floor((surface - self._origin) / self._resolution).astype(np.int64)
            inside = np.all((ijk >= 0) & (ijk < np.array(state.shape)), axis=1)
            state[tuple(ijk[inside].T)] = Voxel.OCCUPIED
        _free_spheres(state, robot_spheres, self._origin, self._resolution)
        state[self._furniture] = Voxel.OCCUPIED
        return VoxelGrid(self._origin, self._resolution, state)


def _rasterise(
    boxes: list[FurnitureBox], origin: NDArray[np.float64], resolution: float, shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Voxels that a box touches: their centre within half a voxel of it, so that thin walls are not missed."""
    out = np.zeros(shape, bool)
    axes = [origin[a] + (np.arange(shape[a]) + 0.5) * resolution for a in range(3)]
    reach = 0.5 * resolution
    for box in boxes:
        R, c = box.X_base_box[:3, :3], box.X_base_box[:3, 3]
        bound = np.abs(R) @ box.half + reach
        picks = [np.flatnonzero(np.abs(axes[a] - c[a]) <= bound[a]) for a in range(3)]
        if any(len(p) == 0 for p in picks):
            continue
        grid = np.stack(np.meshgrid(*[axes[a][picks[a]] for a in range(3)], indexing="ij"), axis=-1)
        touch = np.all(np.abs((grid - c) @ R) <= box.half + reach - 1e-6, axis=-1)
        out[np.ix_(*picks)] |= touch
    return out


@njit(cache=True, nogil=True)
def _count_hits(hits, depth, k, X, origin, res, X_region, low, high):  # type: ignore[no-untyped-def]
    """Count the depth points in each voxel, outside the region that the fused surface describes."""
    nx, ny, nz = hits.shape
    for v in range(0, depth.shape[0], 2):
        for u in range(0, depth.shape[1], 2):
            z = depth[v, u]
            if z <= 0:
                continue
            x, y = (u - k[2]) / k[0] * z, (v - k[3]) / k[1] * z
            a = X[0, 0] * x + X[0, 1] * y + X[0, 2] * z + X[0, 3]
            b = X[1, 0] * x + X[1, 1] * y + X[1, 2] * z + X[1, 3]
            c = X[2, 0] * x + X[2, 1] * y + X[2, 2] * z + X[2, 3]
            inside = True
            for axis in range(3):
                r = X_region[axis, 0] * a + X_region[axis, 1] * b + X_region[axis, 2] * c + X_region[axis, 3]
                inside = inside and low[axis] < r < high[axis]
            if inside:
                continue
            i, j, m = int((a - origin[0]) / res), int((b - origin[1]) / res), int((c - origin[2]) / res)
            if a < origin[0] or b < origin[1] or c < origin[2] or i >= nx or j >= ny or m >= nz:
                continue
            if hits[i, j, m] < 255:
                hits[i, j, m] += 1


@njit(cache=True, nogil=True, fastmath=True)
def _mark_free(free, furniture, depth, k, X, origin, res):  # type: ignore[no-untyped-def]
    """Mark voxels whose centre lies in front of the measured depth by more than a voxel. ``X``: base in camera."""
    nx, ny, nz = free.shape
    h, w = depth.shape
    sx, sy, sz = X[0, 2] * res, X[1, 2] * res, X[2, 2] * res
    margin = res
    for i in range(nx):
        gx = origin[0] + (i + 0.5) * res
        for j in range(ny):
            gy = origin[1] + (j + 0.5) * res
            gz = origin[2] + 0.5 * res
            x = X[0, 0] * gx + X[0, 1] * gy + X[0, 2] * gz + X[0, 3] - sx
            y = X[1, 0] * gx + X[1, 1] * gy + X[1, 2] * gz + X[1, 3] - sy
            z = X[2, 0] * gx + X[2, 1] * gy + X[2, 2] * gz + X[2, 3] - sz
            for m in range(nz):
                x += sx
                y += sy
                z += sz
                if z < 0.05 or free[i, j, m] or furniture[i, j, m]:
                    continue
                u, v = int(k[0] * x / z + k[2] + 0.5), int(k[1] * y / z + k[3] + 0.5)
                if u < 0 or u >= w or v < 0 or v >= h:
                    continue
                if depth[v, u] - z > margin:
                    free[i, j, m] = True


@njit(cache=True, nogil=True)
def _free_spheres(state, spheres, origin, res):  # type: ignore[no-untyped-def]
    for s in range(len(spheres)):
        r = spheres[s, 3]
        lo = np.empty(3, np.int64)
        hi = np.empty(3, np.int64)
        for a in range(3):
            lo[a] = max(0, int(np.floor((spheres[s, a] - r - origin[a]) / res)))
            hi[a] = min(state.shape[a], int(np.ceil((spheres[s, a] + r - origin[a]) / res)) + 1)
        for i in range(lo[0], hi[0]):
            for j in range(lo[1], hi[1]):
                for m in range(lo[2], hi[2]):
                    dx = origin[0] + (i + 0.5) * res - spheres[s, 0]
                    dy = origin[1] + (j + 0.5) * res - spheres[s, 1]
                    dz = origin[2] + (m + 0.5) * res - spheres[s, 2]
                    if dx * dx + dy * dy + dz * dz < r * r:
                        state[i, j, m] = 0


def height_map(cell: CellConfig, tote: str, views: list[DepthView], resolution: float) -> HeightMap:
    """Height over a tote's inner floor from the depth images: per cell the second-highest of the points in it, as one
    stray point must not raise it. NaN where no pixel fell."""
    inner = np.asarray(cell.totes[tote].inner)
    X_base_map = cell.X_base_tote(tote) @ make_pose((-0.5 * inner[0], -0.5 * inner[1], 0.0))
    shape = (int(np.ceil(inner[0] / resolution - 1e-9)), int(np.ceil(inner[1] / resolution - 1e-9)))
    first = np.full(shape, -np.inf, np.float32)
    second = np.full(shape, -np.inf, np.float32)
    for view in views:
        k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
        X_map_camera = inverse(X_base_map) @ view.X_base_camera
        window = _window(view, X_base_map, inner + np.array([0.0, 0.0, CEILING_M]))
        _raise_cells(first, second, view.depth_m, view.weight, window, k, X_map_camera, resolution, inner[2] + CEILING_M)
    height = np.where(np.isfinite(second), second, first)
    return HeightMap(X_base_map, resolution, np.where(np.isfinite(height), height, np.nan))


def _window(view: DepthView, X_base_box: Pose, size: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """First and last + 1 row, first and last + 1 column of the image that can show a box with a corner at ``X_base_box``;
    the whole image when the box reaches behind the camera."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * size
    u, v, z = project(view.camera, view.X_base_camera, transform_points(X_base_box, corners))
    height, width = view.depth_m.shape
    if not (z > 0.05).all():
        return 0, height, 0, width
    rows = np.clip([v.min() - 1, v.max() + 2], 0, height).astype(int)
    columns = np.clip([u.min() - 1, u.max() + 2], 0, width).astype(int)
    return int(rows[0]), int(rows[1]), int(columns[0]), int(columns[1])


@njit(cache=True, nogil=True)
def _raise_cells(first, second, depth, weight, window, k, X, res, ceiling):  # type: ignore[no-untyped-def]
    nx, ny = first.shape
    for v in range(window[0], window[1]):
        for u in range(window[2], window[3]):
            z = depth[v, u]
            if z <= 0 or weight[v, u] <= 0:
                continue
            x, y = (u - k[2]) / k[0] * z, (v - k[3]) / k[1] * z
            a = X[0, 0] * x + X[0, 1] * y + X[0, 2] * z + X[0, 3]
            b = X[1, 0] * x + X[1, 1] * y + X[1, 2] * z + X[1, 3]
            if a < 0 or b < 0:
                continue
            i, j = int(a / res), int(b / res)
            if i >= nx or j >= ny:
                continue
            c = X[2, 0] * x + X[2, 1] * y + X[2, 2] * z + X[2, 3]
            if c < -0.03 or c > ceiling:
                continue
            if c > first[i, j]:
                second[i, j] = first[i, j]
                first[i, j] = c
            elif c > second[i, j]:
                second[i, j] = c
