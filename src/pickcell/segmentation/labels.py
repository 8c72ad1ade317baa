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
FAR = 99
THREADS = 2


def label_images(
    views: list[DepthView] | tuple[DepthView, ...], volume: TsdfVolume, surface: Surface, labels: NDArray[np.int32]
) -> list[NDArray[np.uint16]]:
    """Per view, (H, W) instance id of each pixel, 0 where it shows none; ``labels`` (N,) of the surface's points."""
    numbers = labels.astype(np.uint16)
    nearest = label_volume(surface.cells, numbers, surface.index.shape)

    def draw(view: DepthView) -> NDArray[np.uint16]:
        X_grid_camera = inverse(volume.X_base_grid) @ view.X_base_camera
        k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
        painted = _paint(view.depth_m, k, X_grid_camera, volume.voxel_m, nearest)
        _splat(painted, view.depth_m, k, inverse(view.X_base_camera), surface.points, numbers, 0.7 * volume.voxel_m)
        # depth noise throws single pixels off the surface: they take the label around them
        return np.asarray(cv2.medianBlur(painted, 5), dtype=np.uint16)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(draw, views))


@njit(cache=True, nogil=True)
def label_volume(cells, labels, shape):  # type: ignore[no-untyped-def]
    """(nx, ny, nz) uint16: each cell within REACH of a surface cell takes the nearest one's label (0 is one, too)."""
    label = np.zeros(shape, np.uint16)
    distance = np.full(shape, FAR, np.uint8)
    nx, ny, nz = shape
    for p in range(len(cells)):
        i, j, m = cells[p]
        for i2 in range(max(i - REACH, 0), min(i + REACH + 1, nx)):
            for j2 in range(max(j - REACH, 0), min(j + REACH + 1, ny)):
                d_ij = (i2 - i) * (i2 - i) + (j2 - j) * (j2 - j)
                for m2 in range(max(m - REACH, 0), min(m + REACH + 1, nz)):
                    d = d_ij + (m2 - m) * (m2 - m)
                    if d < distance[i2, j2, m2]:
                        distance[i2, j2, m2] = d
                        label[i2, j2, m2] = labels[p]
    return label


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
def _paint(depth, k, X, voxel, nearest):  # type: ignore[no-untyped-def]
    """Look up the label at each pixel's point."""
    h, w = depth.shape
    nx, ny, nz = nearest.shape
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
                out[v, u] = nearest[int(a), int(b), int(c)]
    return out
