"""Instance labels of pixels, from the instance labels of surface points."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.fusion.tsdf import DepthView, Surface, TsdfVolume
from pickcell.geometry import inverse

REACH = 2
"""A pixel takes the label of a surface cell at most this many cells from where its depth puts it."""
THREADS = 2


def _shells() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps (K, 3) to the cells within REACH, the nearest first, and where those of one distance begin (S + 1,)."""
    side = np.arange(-REACH, REACH + 1)
    steps = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = (steps**2).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    starts = np.unique(squares[order], return_index=True)[1]
    return steps[order].astype(np.int64), np.append(starts, len(steps)).astype(np.int64)


_STEPS, _STARTS = _shells()


def label_images(
    views: list[DepthView] | tuple[DepthView, ...], volume: TsdfVolume, surface: Surface, labels: NDArray[np.int32]
) -> list[NDArray[np.uint16]]:
    """Per view, (H, W) instance id of each pixel, 0 where it shows none; ``labels`` (N,) of the surface's points."""
    numbers = labels.astype(np.uint16)

    def draw(view: DepthView) -> NDArray[np.uint16]:
        X_grid_camera = inverse(volume.X_base_grid) @ view.X_base_camera
        k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
        painted = _paint(view.depth_m, k, X_grid_camera, volume.voxel_m, surface.index, numbers)
        _splat(painted, view.depth_m, k, inverse(view.X_base_camera), surface.points, numbers, 0.7 * volume.voxel_m)
        # depth noise throws single pixels off the surface: they take the label around them
        return np.asarray(cv2.medianBlur(painted, 5), dtype=np.uint16)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(draw, views))


@njit(cache=True, nogil=True)
def nearest_row(index, i, j, m):  # type: ignore[no-untyped-def]
    """Row of the surface point whose cell is nearest to cell (i, j, m), within REACH; the first of equals, -1 for none.
    ``index``: see :class:`pickcell.fusion.tsdf.Surface`."""
    nx, ny, nz = index.shape
    for shell in range(len(_STARTS) - 1):
        best = -1
        for k in range(_STARTS[shell], _STARTS[shell + 1]):
            i2, j2, m2 = i + _STEPS[k, 0], j + _STEPS[k, 1], m + _STEPS[k, 2]
            if 0 <= i2 < nx and 0 <= j2 < ny and 0 <= m2 < nz:
                row = index[i2, j2, m2]
                if row >= 0 and (best < 0 or row < best):
                    best = row
        if best >= 0:
            return best
    return -1


@njit(cache=True, nogil=True)
def _splat(out, depth, k, X, points, labels, radius):  # type: ignore[no-untyped-def]
    """Pixels without depth (gloss, shadows of the second imager) take the label of the nearest surface point whose
    square of half side ``radius`` metres covers them: other cameras may have seen what this one did not."""
    h, w = out.shape
    buffer = np.full((h, w), np.inf, np.float32)
    for p in range(len(points)):
        a, b, c = points[p]
        z = X[2, 0] * a + X[2, 1] * b + X[2, 2] * c + X[2, 3]
        if z < 0.05:
            continue
        u = k[0] * (X[0, 0] * a + X[0, 1] * b + X[0, 2] * c + X[0, 3]) / z + k[2]
        v = k[1] * (X[1, 0] * a + X[1, 1] * b + X[1, 2] * c + X[1, 3]) / z + k[3]
        r = radius * k[0] / z
        for v2 in range(max(0, int(np.ceil(v - r))), min(h - 1, int(v + r)) + 1):
            for u2 in range(max(0, int(np.ceil(u - r))), min(w - 1, int(u + r)) + 1):
                if depth[v2, u2] == 0 and z < buffer[v2, u2]:
                    buffer[v2, u2] = z
                    out[v2, u2] = labels[p]


@njit(cache=True, nogil=True)
def _paint(depth, k, X, voxel, index, labels):  # type: ignore[no-untyped-def]
    """Look up the label at each pixel's point."""
    h, w = depth.shape
    nx, ny, nz = index.shape
    out = np.zeros((h, w), np.uint16)
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if z <= 0:
                continue
            x, y = (u - k[2]) / k[0] * z, (v - k[3]) / k[1] * z
            # crossings lie between voxel centres, so cell (i, j, m) is centred half a voxel further
            a = (X[0, 0] * x + X[0, 1] * y + X[0, 2] * z + X[0, 3]) / voxel - 0.5
            b = (X[1, 0] * x + X[1, 1] * y + X[1, 2] * z + X[1, 3]) / voxel - 0.5
            c = (X[2, 0] * x + X[2, 1] * y + X[2, 2] * z + X[2, 3]) / voxel - 0.5
            if a >= 0 and b >= 0 and c >= 0 and a < nx and b < ny and c < nz:
                i, j, m = int(a), int(b), int(c)
                row = index[i, j, m]
                if row < 0:  # a call costs more than the look
                    row = nearest_row(index, i, j, m)
                if row >= 0:
                    out[v, u] = labels[row]
    return out
