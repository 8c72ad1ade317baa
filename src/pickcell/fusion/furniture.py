"""What stands in the cell by design: table and totes as boxes in ``base_link``, straight from the cell file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.cell import CellConfig, ToteConfig
from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell.values import CameraModel

TABLE_MARGIN_M = 0.2
"""The table is only believed this far beyond totes and robot: the cell file does not say where it ends."""
TABLE_THICKNESS_M = 0.03

FURNITURE_COLORS = {"table": (0.55, 0.52, 0.48), "floor": (0.30, 0.34, 0.40), "wall": (0.30, 0.34, 0.40)}
"""RGB for drawings, by kind."""


@dataclass(frozen=True)
class FurnitureBox:
    """A solid box of the cell."""

    name: str
    kind: str
    """``table``, ``floor`` or ``wall``."""
    X_base_box: Pose
    """Centre and axes."""
    half: NDArray[np.float64]
    """(3,) half side lengths, metres."""


def tote_boxes(name: str, tote: ToteConfig, X_base_tote: Pose) -> list[FurnitureBox]:
    """The floor and the four walls of a tote; all have thickness ``wall`` and lie outside the inner volume."""
    lx, ly, lz = tote.inner
    t = tote.wall
    wall_z, wall_half_z = 0.5 * (lz - t), 0.5 * (lz + t)
    parts = [("floor", (0.0, 0.0, -0.5 * t), (0.5 * lx + t, 0.5 * ly + t, 0.5 * t))]
    for sign in (-1.0, 1.0):
        parts.append(("wall", (sign * 0.5 * (lx + t), 0.0, wall_z), (0.5 * t, 0.5 * ly + t, wall_half_z)))
        parts.append(("wall", (0.0, sign * 0.5 * (ly + t), wall_z), (0.5 * lx + t, 0.5 * t, wall_half_z)))
    return [
        FurnitureBox(f"{name}_{i}", kind, X_base_tote @ make_pose(c), np.array(h)) for i, (kind, c, h) in enumerate(parts)
    ]


def furniture_boxes(cell: CellConfig) -> list[FurnitureBox]:
    """The table and all totes of a cell, in ``base_link``."""
    X_base_world = inverse(cell.X_world_base)
    corners = [cell.X_world_base[None, :2, 3]]
    for tote in cell.totes.values():
        half_tote = 0.5 * np.asarray(tote.inner) + tote.wall
        outline = np.array([[x, y, 0.0] for x in (-1, 1) for y in (-1, 1)]) * half_tote
        corners.append(transform_points(tote.X_world_tote, outline)[:, :2])
    low = np.vstack(corners).min(axis=0) - TABLE_MARGIN_M
    high = np.vstack(corners).max(axis=0) + TABLE_MARGIN_M
    middle = (*(0.5 * (low + high)), -0.5 * TABLE_THICKNESS_M)
    half = np.array([*(0.5 * (high - low)), 0.5 * TABLE_THICKNESS_M])
    boxes = [FurnitureBox("table", "table", X_base_world @ make_pose(middle), half)]
    for name, tote in cell.totes.items():
        boxes += tote_boxes(name, tote, cell.X_base_tote(name))
    return boxes


@dataclass(frozen=True)
class PredictedFaces:
    """Where the rays of some pixels first meet the furniture."""

    pixels: NDArray[np.int32]
    """(N, 2) row, column."""
    depth_m: NDArray[np.float64]
    """(N,) expected depth; NaN where the ray meets nothing, or the rim of a face."""
    normals: NDArray[np.float64]
    """(N, 3) outward normal of the face in ``base_link``."""
    offsets: NDArray[np.float64]
    """(N,) plane offset: points x of the face satisfy ``normal @ x = offset``."""


def predict_faces(
    boxes: list[FurnitureBox], camera: CameraModel, X_base_camera: Pose, step: int, border_m: float = 0.006
) -> PredictedFaces:
    """Cast the rays of every ``step``-th pixel at the furniture. Faces are left out within ``border_m`` of their edges,
    where a small pose error would confuse one face with another."""
    rows, cols = np.mgrid[step // 2 : camera.height : step, step // 2 : camera.width : step]
    pixels = np.column_stack([rows.ravel(), cols.ravel()]).astype(np.int32)
    rotations = np.stack([b.X_base_box[:3, :3] for b in boxes])
    centres = np.stack([b.X_base_box[:3, 3] for b in boxes])
    halves = np.stack([b.half for b in boxes])
    intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    depth, normals, offsets = _cast(
        pixels, intrinsics, np.ascontiguousarray(X_base_camera), rotations, centres, halves, border_m
    )
    return PredictedFaces(pixels, depth, normals, offsets)


@njit(cache=True, nogil=True)
def _cast(pixels, intrinsics, X, rotations, centres, halves, border):  # type: ignore[no-untyped-def]
    """Slab test (Kay and Kajiya 1986) of each pixel's ray against each box; the nearest entry wins."""
    n = pixels.shape[0]
    depth = np.full(n, np.nan)
    normals = np.zeros((n, 3))
    offsets = np.zeros(n)
    rotation = np.ascontiguousarray(X[:3, :3])
    local_eye = np.empty((len(halves), 3))
    for b in range(len(halves)):
        local_eye[b] = rotations[b].T @ (X[:3, 3] - centres[b])
    for p in range(n):
        cam = np.array([(pixels[p, 1] - intrinsics[2]) / intrinsics[0], (pixels[p, 0] - intrinsics[3]) / intrinsics[1], 1.0])
        direction = rotation @ cam
        best, best_box, best_axis = np.inf, -1, -1
        for b in range(len(halves)):
            d = rotations[b].T @ direction
            near, far, axis = -np.inf, np.inf, -1
            for a in range(3):
                inv = 1.0 / d[a] if abs(d[a]) > 1e-12 else 1e12
                t0, t1 = (-halves[b, a] - local_eye[b, a]) * inv, (halves[b, a] - local_eye[b, a]) * inv
                if t0 > t1:
                    t0, t1 = t1, t0
                if t0 > near:
                    near, axis = t0, a
                far = min(far, t1)
            if near < far and near > 0.0 and near < best:
                best, best_box, best_axis = near, b, axis
        if best_box < 0:
            continue
        b, axis = best_box, best_axis
        d = rotations[b].T @ direction
        hit = local_eye[b] + best * d
        on_face = True
        for a in range(3):
            if a != axis and abs(hit[a]) > halves[b, a] - border:
                # thin faces (rims) have no inside; their edges are everywhere
                on_face = False
        if not on_face:
            continue
        sign = -1.0 if d[axis] > 0 else 1.0
        normals[p] = sign * rotations[b][:, axis]
        offsets[p] = np.dot(normals[p], X[:3, 3] + best * direction)
        depth[p] = best
    return depth, normals, offsets
