"""A dense truncated signed distance volume over the source tote.

Curless and Levoy 1996, "A volumetric method for building complex models from range images": each voxel keeps the
weighted mean of its signed distances along the cameras' axes. Surfaces are taken out as one point per surface cell
(Gibson 1998, "Constrained elastic surface nets", without the relaxation). The grid's axes are the tote's, so its walls
and floor are planes of voxels.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse, transform_points
from pickcell.values import CameraModel

FREE_CLEARANCE = 0.6
"""Signed distance, in truncations, from which a voxel that was observed counts as free space."""


@dataclass(frozen=True)
class DepthView:
    """A prepared depth image and where it was taken from."""

    camera: CameraModel
    X_base_camera: Pose
    depth_m: NDArray[np.float32]
    """(H, W), 0 where invalid, -1 on the robot."""
    weight: NDArray[np.float32]
    """(H, W) trust per pixel."""


@dataclass(frozen=True)
class Surface:
    """Points on the zero level, at most one per cell of the grid."""

    points: NDArray[np.float32]
    """(N, 3) in ``base_link``."""
    normals: NDArray[np.float32]
    """(N, 3) unit, towards the observed free side."""
    cells: NDArray[np.int32]
    """(N, 3) grid cell of each point."""
    index: NDArray[np.int32]
    """(nx, ny, nz) row of the cell's point, -1 where there is none."""


class TsdfVolume:
    """Signed distances (in units of the truncation, 1 = free) and weights on an oriented grid."""

    def __init__(self, X_base_grid: Pose, shape: tuple[int, int, int], voxel_m: float) -> None:
        """``X_base_grid``: lower corner of voxel (0, 0, 0) and the grid's axes; ``shape``: voxels per axis."""
        if voxel_m <= 0 or min(shape) < 2:
            raise ValueError(f"a volume needs a positive voxel size and 2 voxels per axis, got {voxel_m} and {shape}")
        self.X_base_grid = np.array(X_base_grid, dtype=np.float64)
        self.voxel_m = float(voxel_m)
        self.tsdf = np.zeros(shape, np.float32)
        self.weight = np.zeros(shape, np.float32)

    def integrate(self, views: list[DepthView], front_m: float, back_m: float, threads: int = 1) -> None:
        """Fuse all views. Slabs of the grid go to threads; each voxel is summed in the views' order of camera name, so
        the result does not depend on the order of the list."""
        views = sorted(views, key=lambda view: view.camera.name)
        slabs = np.array_split(np.arange(self.tsdf.shape[0]), max(1, threads))

        def work(slab: NDArray[np.intp]) -> None:
            for view in views:
                X_camera_grid = inverse(view.X_base_camera) @ self.X_base_grid
                k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
                _integrate(
                    self.tsdf, self.weight, int(slab[0]), int(slab[-1]) + 1, X_camera_grid, self.voxel_m,
                    view.depth_m, view.weight, k, front_m, back_m,
                )  # fmt: skip

        if len(slabs) == 1:
            work(slabs[0])
            return
        with ThreadPoolExecutor(len(slabs)) as pool:
            list(pool.map(work, slabs))

    def surface(self, min_weight: float = 0.05) -> Surface:
        """The zero level where both sides were observed."""
        points, normals, cells, index = _extract(self.tsdf, self.weight, min_weight)
        points = transform_points(self.X_base_grid, (points + 0.5) * self.voxel_m).astype(np.float32)
        normals = (normals @ self.X_base_grid[:3, :3].T).astype(np.float32)
        return Surface(points, normals, cells, index)

    def voxel_of(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """(N, 3) voxel indices of points in ``base_link``, possibly outside the grid."""
        local = transform_points(inverse(self.X_base_grid), points)
        return np.floor(local / self.voxel_m).astype(np.int64)

    def distance(self, points: NDArray[np.floating], X_base_points: Pose | None = None) -> NDArray[np.float64]:
        """(N,) signed distance in units of the truncation at points (N, 3); 0 outside the grid and where never observed.
        ``X_base_points``: the frame that the points are given in, unless it is ``base_link``."""
        X = inverse(self.X_base_grid) if X_base_points is None else inverse(self.X_base_grid) @ X_base_points
        return _sample(self.tsdf, self.weight, np.asarray(points, dtype=np.float64), X, self.voxel_m)

    def observed_free(
        self, points: NDArray[np.floating], X_base_points: Pose | None = None, clearance: float = FREE_CLEARANCE
    ) -> NDArray[np.bool_]:
        """(N,) whether each point (N, 3) lies in space that was looked through, ``clearance`` truncations off any
        surface. Points outside the grid are not known to be free. ``X_base_points``: see :meth:`distance`."""
        return self.distance(points, X_base_points) > clearance


@njit(cache=True, nogil=True)
def _sample(tsdf, weight, points, X, voxel):  # type: ignore[no-untyped-def]
    """Value of the voxel that each point lies in; 0 outside and where the weight is 0."""
    out = np.zeros(len(points))
    for p in range(len(points)):
        a, b, c = points[p]
        i = int(np.floor((X[0, 0] * a + X[0, 1] * b + X[0, 2] * c + X[0, 3]) / voxel))
        j = int(np.floor((X[1, 0] * a + X[1, 1] * b + X[1, 2] * c + X[1, 3]) / voxel))
        m = int(np.floor((X[2, 0] * a + X[2, 1] * b + X[2, 2] * c + X[2, 3]) / voxel))
        if 0 <= i < tsdf.shape[0] and 0 <= j < tsdf.shape[1] and 0 <= m < tsdf.shape[2] and weight[i, j, m] > 0:
            out[p] = tsdf[i, j, m]
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _integrate(  # type: ignore[no-untyped-def]
    tsdf, weight, i0, i1, X, voxel, depth, trust, k, front, back
):
    """Add one view to the slab [i0, i1). ``X``: grid in camera."""
    h, w = depth.shape
    _, ny, nz = tsdf.shape
    sx, sy, sz = X[0, 2] * voxel, X[1, 2] * voxel, X[2, 2] * voxel
    for i in range(i0, i1):
        gx = (i + 0.5) * voxel
        for j in range(ny):
            gy = (j + 0.5) * voxel
            x = X[0, 0] * gx + X[0, 1] * gy + X[0, 3] + 0.5 * sx
            y = X[1, 0] * gx + X[1, 1] * gy + X[1, 3] + 0.5 * sy
            z = X[2, 0] * gx + X[2, 1] * gy + X[2, 3] + 0.5 * sz
            for m in range(nz):
                if z > 0.05:
                    u = int(k[0] * x / z + k[2] + 0.5)
                    v = int(k[1] * y / z + k[3] + 0.5)
                    if u >= 0 and u < w and v >= 0 and v < h:
                        d = depth[v, u]
                        t = trust[v, u]
                        if d > 0.0 and t > 0.0:
                            sdf = d - z
                            if sdf > -back:
                                value = min(1.0, sdf / front)
                                if sdf < 0.0:  # what lies behind the surface is a guess that fades with depth
                                    t = t * (1.0 + sdf / back)
                                elif sdf > 2.0 * front:  # free space; noise hardly matters there
                                    t = 0.5 * t
                                total = weight[i, j, m] + t
                                tsdf[i, j, m] = (tsdf[i, j, m] * weight[i, j, m] + value * t) / total
                                weight[i, j, m] = total
                x += sx
                y += sy
                z += sz


@njit(cache=True, nogil=True)
def _crossing(tsdf, weight, i, j, m, axis, min_weight):  # type: ignore[no-untyped-def]
    """Where the level is zero between a voxel and the next one along an axis, 0..1 of the way; -1 where it is not."""
    i2, j2, m2 = i + (axis == 0), j + (axis == 1), m + (axis == 2)
    a, b = tsdf[i, j, m], tsdf[i2, j2, m2]
    if (a < 0.0) == (b < 0.0) or a >= 1.0 or b >= 1.0 or weight[i2, j2, m2] < min_weight:
        return -1.0
    return a / (a - b)


@njit(cache=True, nogil=True)
def _surface_cells(tsdf, weight, min_weight):  # type: ignore[no-untyped-def]
    """(N, 3) voxels with a crossing on one of their three upward edges."""
    nx, ny, nz = tsdf.shape
    cells = np.empty((32768, 3), np.int32)
    count = 0
    for i in range(1, nx - 2):
        for j in range(1, ny - 2):
            for m in range(1, nz - 2):
                if weight[i, j, m] < min_weight or tsdf[i, j, m] >= 1.0:
                    continue
                for axis in range(3):
                    if _crossing(tsdf, weight, i, j, m, axis, min_weight) >= 0.0:
                        if count == len(cells):
                            grown = np.empty((2 * count, 3), np.int32)
                            grown[:count] = cells
                            cells = grown
                        cells[count, 0], cells[count, 1], cells[count, 2] = i, j, m
                        count += 1
                        break
    return cells[:count].copy()


@njit(cache=True, nogil=True)
def _extract(tsdf, weight, min_weight):  # type: ignore[no-untyped-def]
    """Per surface cell the mean of its crossings, in voxel-centre coordinates, and the direction of the gradient."""
    cells = _surface_cells(tsdf, weight, min_weight)
    index = np.full(tsdf.shape, -1, np.int32)
    points = np.empty(cells.shape, np.float32)
    normals = np.empty(cells.shape, np.float32)
    for p in range(len(cells)):
        i, j, m = cells[p]
        index[i, j, m] = p
        shift = np.zeros(3)
        slope = np.empty(3)
        n = 0
        for axis in range(3):
            f = _crossing(tsdf, weight, i, j, m, axis, min_weight)
            if f >= 0.0:
                shift[axis] += f
                n += 1
            slope[axis] = _slope(tsdf, weight, i, j, m, axis, min_weight)
        length = np.sqrt(slope[0] ** 2 + slope[1] ** 2 + slope[2] ** 2)
        if length < 1e-6:
            slope[2], length = 1.0, 1.0
        for axis in range(3):
            points[p, axis] = cells[p, axis] + shift[axis] / n
            normals[p, axis] = slope[axis] / length
    return points, normals, cells, index


@njit(cache=True, nogil=True)
def _slope(tsdf, weight, i, j, m, axis, min_weight):  # type: ignore[no-untyped-def]
    """Change of the distance along an axis across +-1 voxel, one-sided at the border of the observed."""
    di, dj, dm = axis == 0, axis == 1, axis == 2
    a = tsdf[i, j, m]
    has_next = weight[i + di, j + dj, m + dm] >= min_weight
    has_last = weight[i - di, j - dj, m - dm] >= min_weight
    if has_next and has_last:
        return 0.5 * (tsdf[i + di, j + dj, m + dm] - tsdf[i - di, j - dj, m - dm])
    if has_next:
        return tsdf[i + di, j + dj, m + dm] - a
    if has_last:
        return a - tsdf[i - di, j - dj, m - dm]
    return 0.0
