"""Colours of surface points, taken from the images that see them, and colour spaces."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.fusion.tsdf import DepthView
from pickcell.geometry import inverse

OCCLUSION_TOLERANCE_M = 0.008
"""A view sees a point when its depth there agrees to within this."""


def color_points(
    points: NDArray[np.float32], normals: NDArray[np.float32], views: list[DepthView], images: list[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """(N, 3) RGB of points (N, 3) in ``base_link``: the mean over the views that see the point, head-on views first.
    Points that no view sees (left by noise) are grey."""
    total = np.zeros((len(points), 4), np.float32)
    for view, image in zip(views, images):
        X = inverse(view.X_base_camera)
        k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
        _add(total, points, normals, X, view.X_base_camera[:3, 3].copy(), k, view.depth_m, view.weight, image)
    weight = total[:, 3:]
    mean = np.where(weight > 0, total[:, :3] / np.maximum(weight, 1e-9), 128.0)
    return np.clip(mean + 0.5, 0, 255).astype(np.uint8)


def to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 3) CIELAB of (N, 3) sRGB (D65)."""
    if len(rgb) == 0:
        return np.zeros((0, 3), np.float32)
    scaled = np.ascontiguousarray(rgb, dtype=np.float32).reshape(-1, 1, 3) / np.float32(255.0)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), dtype=np.float32).reshape(-1, 3)


@njit(cache=True, nogil=True)
def _add(total, points, normals, X, eye, k, depth, trust, image):  # type: ignore[no-untyped-def]
    h, w = depth.shape
    for p in range(len(points)):
        a, b, c = points[p]
        z = X[2, 0] * a + X[2, 1] * b + X[2, 2] * c + X[2, 3]
        if z < 0.05:
            continue
        u = int(k[0] * (X[0, 0] * a + X[0, 1] * b + X[0, 2] * c + X[0, 3]) / z + k[2] + 0.5)
        v = int(k[1] * (X[1, 0] * a + X[1, 1] * b + X[1, 2] * c + X[1, 3]) / z + k[3] + 0.5)
        if u < 0 or u >= w or v < 0 or v >= h or depth[v, u] <= 0 or abs(depth[v, u] - z) > OCCLUSION_TOLERANCE_M:
            continue
        rx, ry, rz = eye[0] - a, eye[1] - b, eye[2] - c
        cos = (rx * normals[p, 0] + ry * normals[p, 1] + rz * normals[p, 2]) / np.sqrt(rx * rx + ry * ry + rz * rz)
        t = trust[v, u] * max(cos, 0.05) ** 2
        for ch in range(3):
            total[p, ch] += t * image[v, u, ch]
        total[p, 3] += t
