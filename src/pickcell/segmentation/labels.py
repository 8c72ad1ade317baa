"""Instance labels of pixels, from the instance labels of surface points."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.fusion.tsdf import DepthView, Surface, TsdfVolume
from pickcell.geometry import inverse

REACH = 2
"""A pixel takes the label of a surface cell at most this many cells from where its depth puts it."""


def label_image(view: DepthView, volume: TsdfVolume, surface: Surface, labels: NDArray[np.int32]) -> NDArray[np.uint16]:
    """(H, W) instance id of each pixel, 0 where it shows none; ``labels`` (N,) of the surface's points."""
    X_grid_camera = inverse(volume.X_base_grid) @ view.X_base_camera
    k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
    cell_label = np.full(surface.index.shape, -1, np.int32)
    if len(labels):
        cell_label[tuple(surface.cells.T)] = labels
    painted = _paint(view.depth_m, k, X_grid_camera, volume.voxel_m, cell_label)
    # depth noise throws single pixels off the surface: they take the label around them
    return np.asarray(cv2.medianBlur(painted, 5), dtype=np.uint16)


@njit(cache=True, nogil=True)
def _paint(depth, k, X, voxel, cell_label):  # type: ignore[no-untyped-def]
    """Look up the label of the surface cell nearest to each pixel's point."""
    h, w = depth.shape
    nx, ny, nz = cell_label.shape
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
            if a < 0 or b < 0 or c < 0 or a >= nx or b >= ny or c >= nz:
                continue
            i, j, m = int(a), int(b), int(c)
            best, found = 1e9, 0
            for di in range(-REACH, REACH + 1):
                for dj in range(-REACH, REACH + 1):
                    for dm in range(-REACH, REACH + 1):
                        i2, j2, m2 = i + di, j + dj, m + dm
                        if i2 < 0 or j2 < 0 or m2 < 0 or i2 >= nx or j2 >= ny or m2 >= nz:
                            continue
                        label = cell_label[i2, j2, m2]
                        if label < 0:
                            continue
                        d = (a - i2 - 0.5) ** 2 + (b - j2 - 0.5) ** 2 + (c - m2 - 0.5) ** 2
                        if d < best:
                            best, found = d, label
            out[v, u] = found
    return out
