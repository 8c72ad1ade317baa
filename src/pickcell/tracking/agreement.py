"""How well an item at a supposed place explains what the cameras see now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.fusion.tsdf import DepthView
from pickcell.geometry import Pose, inverse

FLOOR = -1
FLOOR_M = 0.005
COLOR_BLIND = 1e6
"""Scale of colour differences at which colour says nothing."""


@dataclass(frozen=True)
class Sights:
    """The cameras' pictures, stacked for one pass over all of them."""

    X_camera_base: NDArray[np.float64]
    """(V, 4, 4)."""
    intrinsics: NDArray[np.float64]
    """(V, 4) fx, fy, cx, cy."""
    depth: NDArray[np.float32]
    """(V, H, W) metres; 0 where invalid, negative on the robot."""
    lab: NDArray[np.uint8]
    """(V, H, W, 3) CIELAB, 8 bit."""
    owner: NDArray[np.int32]
    """(V, H, W) id of the item that is known to be there, FLOOR on the tote's floor, 0 elsewhere. Items are not looked for
    where others are, nor, by their shape alone, on the bare floor, where any flat thing fits."""


def sights_of(views: Sequence[DepthView], colors: Sequence[NDArray[np.uint8]], X_base_tote: Pose) -> Sights:
    """Stack views and their colour pictures (H, W, 3) RGB; smaller pictures are padded with "invalid". ``X_base_tote``: the
    middle of the tote's floor, z up."""
    height = max(view.depth_m.shape[0] for view in views)
    width = max(view.depth_m.shape[1] for view in views)
    depth = np.zeros((len(views), height, width), np.float32)
    lab = np.zeros((len(views), height, width, 3), np.uint8)
    for i, (view, color) in enumerate(zip(views, colors, strict=True)):
        h, w = view.depth_m.shape
        depth[i, :h, :w] = view.depth_m
        lab[i, :h, :w] = cv2.cvtColor(np.ascontiguousarray(color), cv2.COLOR_RGB2LAB)
    k = np.array([[v.camera.fx, v.camera.fy, v.camera.cx, v.camera.cy] for v in views])
    owner = np.zeros(depth.shape, np.int32)
    X_tote_camera = np.stack([inverse(X_base_tote) @ view.X_base_camera for view in views])
    _mark_floor(owner, depth, k, X_tote_camera, FLOOR_M)
    return Sights(np.stack([inverse(v.X_base_camera) for v in views]), k, depth, lab, owner)


@njit(cache=True, nogil=True)
def _mark_floor(owner, depth, k, X, near):  # type: ignore[no-untyped-def]
    for v in range(len(depth)):
        for r in range(depth.shape[1]):
            for c in range(depth.shape[2]):
                z = depth[v, r, c]
                if z > 0.0:
                    x, y = (c - k[v, 2]) / k[v, 0] * z, (r - k[v, 3]) / k[v, 1] * z
                    if abs(X[v, 2, 0] * x + X[v, 2, 1] * y + X[v, 2, 2] * z + X[v, 2, 3]) < near:
                        owner[v, r, c] = FLOOR


@dataclass(frozen=True)
class Agreement:
    """Of one supposed place."""

    score: float
    """Mean over the points in sight of how well depth and colour agree, 0..1; points that were looked through count 0."""
    in_sight: int
    """Points, summed over the cameras, that are neither hidden nor without depth."""
    hidden: int
    """Points behind something nearer."""
    behind_robot: int


def agreements(
    poses: NDArray[np.float64],
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    lab: NDArray[np.float64],
    sights: Sights,
    item: int,
    near_m: float,
    noise_at_1m: float,
    color_scale: float,
) -> NDArray[np.float64]:
    """(P, 4) score, points in sight, hidden, and behind the robot (see :class:`Agreement`) of each supposed motion ``poses``
    (P, 4, 4) of the points (N, 3), with normals and colours (N, 3), of the item with id ``item``, in ``base_link``."""
    return np.asarray(
        _agreements(
            np.ascontiguousarray(poses), points, normals, lab, sights.X_camera_base, sights.intrinsics, sights.depth,
            sights.lab, sights.owner, item, near_m, noise_at_1m, color_scale,
        )
    )  # fmt: skip


def agreement(
    pose: Pose, points: NDArray[np.float64], normals: NDArray[np.float64], lab: NDArray[np.float64], sights: Sights,
    item: int, near_m: float, noise_at_1m: float, color_scale: float,
) -> Agreement:  # fmt: skip
    """Of one supposed motion, see :func:`agreements`."""
    score, seen, hidden, robot = agreements(
        pose[None], points, normals, lab, sights, item, near_m, noise_at_1m, color_scale
    )[0]
    return Agreement(float(score), int(seen), int(hidden), int(robot))


@njit(cache=True, nogil=True, fastmath=True)
def _agreements(poses, points, normals, lab, X, k, depth, image, owner, item, near, noise, color_scale):  # type: ignore[no-untyped-def]
    out = np.zeros((len(poses), 4))
    blind = color_scale >= COLOR_BLIND
    views, height, width = depth.shape
    for p in range(len(poses)):
        score, seen, hidden, robot = 0.0, 0, 0, 0
        for v in range(views):
            Y = np.empty((3, 4))  # start in camera
            for r in range(3):
                for c in range(4):
                    Y[r, c] = X[v, r, 0] * poses[p, 0, c] + X[v, r, 1] * poses[p, 1, c] + X[v, r, 2] * poses[p, 2, c]
                Y[r, 3] += X[v, r, 3]
            for i in range(len(points)):
                a, b, c = points[i, 0], points[i, 1], points[i, 2]
                x = Y[0, 0] * a + Y[0, 1] * b + Y[0, 2] * c + Y[0, 3]
                y = Y[1, 0] * a + Y[1, 1] * b + Y[1, 2] * c + Y[1, 3]
                z = Y[2, 0] * a + Y[2, 1] * b + Y[2, 2] * c + Y[2, 3]
                if z < 0.05:
                    continue
                na, nb, nc = normals[i, 0], normals[i, 1], normals[i, 2]
                facing = (
                    (Y[0, 0] * na + Y[0, 1] * nb + Y[0, 2] * nc) * x
                    + (Y[1, 0] * na + Y[1, 1] * nb + Y[1, 2] * nc) * y
                    + (Y[2, 0] * na + Y[2, 1] * nb + Y[2, 2] * nc) * z
                )
                if facing > -0.25 * np.sqrt(x * x + y * y + z * z):  # seen from behind, or too much aslant
                    continue
                u, w = int(k[v, 0] * x / z + k[v, 2] + 0.5), int(k[v, 1] * y / z + k[v, 3] + 0.5)
                if u < 0 or w < 0 or u >= width or w >= height:
                    continue
                d = depth[v, w, u]
                if d == 0.0:
                    continue
                allowed = near + 2.0 * noise * z * z
                if d < 0.0:
                    robot += 1
                    continue
                if d < z - allowed:
                    hidden += 1
                    continue
                seen += 1
                there = owner[v, w, u]
                if d < z + allowed and (there == 0 or there == item or (there < 0 and not blind)):
                    dl = 0.5 * (image[v, w, u, 0] - lab[i, 0])
                    da, db = image[v, w, u, 1] - lab[i, 1], image[v, w, u, 2] - lab[i, 2]
                    off = (d - z) / allowed
                    score += np.exp(-np.sqrt(dl * dl + da * da + db * db) / color_scale) * (1.0 - 0.5 * off * off)
        out[p, 0] = score / max(seen, 1)
        out[p, 1] = seen
        out[p, 2] = hidden
        out[p, 3] = robot
    return out


def claim(sights: Sights, item: int, points: NDArray[np.float64], near_m: float) -> None:
    """Note in ``sights.owner`` where an item is seen that is at ``points`` (N, 3) in ``base_link``."""
    _claim(sights.owner, item, points, sights.X_camera_base, sights.intrinsics, sights.depth, near_m)


@njit(cache=True, nogil=True)
def _claim(owner, item, points, X, k, depth, near):  # type: ignore[no-untyped-def]
    views, height, width = depth.shape
    for v in range(views):
        for i in range(len(points)):
            a, b, c = points[i]
            z = X[v, 2, 0] * a + X[v, 2, 1] * b + X[v, 2, 2] * c + X[v, 2, 3]
            if z < 0.05:
                continue
            x = X[v, 0, 0] * a + X[v, 0, 1] * b + X[v, 0, 2] * c + X[v, 0, 3]
            y = X[v, 1, 0] * a + X[v, 1, 1] * b + X[v, 1, 2] * c + X[v, 1, 3]
            u, w = int(k[v, 0] * x / z + k[v, 2] + 0.5), int(k[v, 1] * y / z + k[v, 3] + 0.5)
            for w2 in range(max(w - 1, 0), min(w + 2, height)):
                for u2 in range(max(u - 1, 0), min(u + 2, width)):
                    if abs(depth[v, w2, u2] - z) < near:
                        owner[v, w2, u2] = item
