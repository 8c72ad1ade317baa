"""Rendered RGB-D captures of a filled tote with their ground truth, for perception tests that need no simulator.

Boxes, cylinders and cards of printed faces stand in the source tote, apart from each other or stacked; Open3D casts the
rays. Depth carries range-squared noise and lost edges, and the cameras stand a little beside where the frames say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from pickcell.cell import CellConfig, load_cell
from pickcell.fusion.furniture import FURNITURE_COLORS, furniture_boxes
from pickcell.geometry import Pose, make_pose
from pickcell.values import JointState, RgbdFrame, Sku

CELL_FILE = Path(__file__).parents[2] / "config" / "cells" / "panda.yaml"


@dataclass(frozen=True)
class Piece:
    """One item of the synthetic tote."""

    sku: str
    kind: str
    """``box``, ``cylinder`` (axis along z) or ``card`` (a flat box)."""
    size: tuple[float, float, float]
    X_base_item: Pose
    color: tuple[float, float, float]


@dataclass(frozen=True)
class Capture:
    """Frames with the truth that only a test may see."""

    frames: list[RgbdFrame]
    labels: list[NDArray[np.uint16]]
    """(H, W) index of the piece + 1, 0 elsewhere, one image per frame."""
    pieces: list[Piece] = field(default_factory=list)

    @property
    def manifest(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for piece in self.pieces:
            counts[piece.sku] = counts.get(piece.sku, 0) + 1
        return counts


def cell() -> CellConfig:
    return load_cell(CELL_FILE, calibrated=False)


def home_joints(config: CellConfig, stamp_s: float) -> JointState:
    n = len(config.arm.joints)
    return JointState(stamp_s, config.arm.joints, np.asarray(config.arm.home), np.zeros(n), np.zeros(n))


def catalogue_of(pieces: list[Piece]) -> dict[str, Sku]:
    """SKUs with true dimensions and masses, without reference pictures."""
    out = {}
    for piece in pieces:
        size = (piece.size[0] * 2, piece.size[0] * 2, piece.size[2]) if piece.kind == "cylinder" else piece.size
        out[piece.sku] = Sku(piece.sku, piece.sku, piece.kind, np.sort(np.asarray(size))[::-1], 0.2)
    return out


def _footprint_radius(kind: str, size: tuple[float, float, float]) -> float:
    return size[0] if kind == "cylinder" else 0.5 * float(np.hypot(size[0], size[1]))


def random_pieces(config: CellConfig, count: int, seed: int) -> list[Piece]:
    """Up to ``count`` pieces, footprints apart by 4 mm or more, a fifth of them on top of a large box."""
    rng = np.random.default_rng(seed)
    X_base_tote = config.X_base_tote("source")
    half = 0.5 * np.asarray(config.totes["source"].inner[:2])
    pieces: list[Piece] = []
    taken: list[tuple[float, float, float]] = []
    for i in range(count):
        kind = ("box", "cylinder", "card", "box")[i % 4]
        if kind == "box":
            size = tuple(np.sort(rng.uniform(0.03, 0.11, 3))[::-1])
        elif kind == "cylinder":
            radius = float(rng.uniform(0.018, 0.035))
            size = (radius, radius, float(rng.uniform(0.05, 0.12)))
        else:
            size = (float(rng.uniform(0.07, 0.1)), float(rng.uniform(0.05, 0.065)), float(rng.uniform(0.001, 0.003)))
        radius = _footprint_radius(kind, size)
        for _ in range(300):
            x, y = rng.uniform(-half + radius + 0.004, half - radius - 0.004)
            if all(np.hypot(x - a, y - b) > radius + r + 0.004 for a, b, r in taken):
                taken.append((x, y, radius))
                X = X_base_tote @ make_pose((x, y, 0.5 * size[2]), (0, 0, float(rng.uniform(0, np.pi))))
                pieces.append(Piece(f"{kind}_{i}", kind, size, X, tuple(rng.uniform(0.15, 0.95, 3))))
                break
    return pieces


def _mesh(piece: Piece) -> o3d.geometry.TriangleMesh:
    if piece.kind == "cylinder":
        mesh = o3d.geometry.TriangleMesh.create_cylinder(piece.size[0], piece.size[2], resolution=40)
    else:
        mesh = o3d.geometry.TriangleMesh.create_box(*piece.size).translate(-0.5 * np.asarray(piece.size))
    return mesh.transform(piece.X_base_item)


def _printed(piece: Piece, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour of the surface at points (N, 3) in the item's frame: a base colour, a darker band and a white patch."""
    color = np.tile(np.asarray(piece.color), (len(points), 1))
    extent = max(piece.size)
    color[np.abs(points[:, 0] / extent - 0.12) < 0.05] *= 0.55
    patch = (np.abs(points[:, 0] / extent + 0.15) < 0.1) & (np.abs(points[:, 1]) / extent < 0.12)
    color[patch] = 0.5 * color[patch] + 0.5
    return color


def render(
    config: CellConfig,
    pieces: list[Piece],
    seed: int,
    *,
    stamp_s: float = 10.0,
    noise: bool = True,
    cameras: tuple[str, ...] = ("cam_left", "cam_right", "cam_top"),
) -> Capture:
    """One capture of the tote by the fixed cameras. Noise: sigma = 1.2 mm/m^2 * z^2, lost edges, 2 mm and 0.2 deg of
    calibration error; ``noise=False`` switches all of it off."""
    rng = np.random.default_rng(seed + 1000)
    boxes = furniture_boxes(config)
    scene = o3d.t.geometry.RaycastingScene()
    for box in boxes:
        mesh = o3d.geometry.TriangleMesh.create_box(*(2 * box.half)).translate(-box.half).transform(box.X_base_box)
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(mesh))
    for piece in pieces:
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(_mesh(piece)))
    frames, labels = [], []
    for name in cameras:
        camera = config.camera(name)
        X_base_camera = np.linalg.inv(config.X_world_base) @ camera.X_parent_camera
        frame, label = _render_view(scene, boxes, pieces, camera.model, X_base_camera, stamp_s, rng if noise else None)
        frames.append(frame)
        labels.append(label)
    return Capture(frames, labels, pieces)


def _render_view(scene, boxes, pieces, model, X_base_camera, stamp_s, rng):
    v, u = np.mgrid[0 : model.height, 0 : model.width].astype(np.float32)
    d_cam = np.stack([(u - model.cx) / model.fx, (v - model.cy) / model.fy, np.ones_like(u)], -1)
    d = d_cam @ X_base_camera[:3, :3].T
    origin = np.broadcast_to(X_base_camera[:3, 3], d.shape)
    hit = scene.cast_rays(o3d.core.Tensor(np.concatenate([origin, d], -1).astype(np.float32)))
    depth = hit["t_hit"].numpy()  # directions have unit z in the camera, so t is the depth
    ids = hit["geometry_ids"].numpy().astype(np.int64)
    normals = hit["primitive_normals"].numpy()
    ids[~np.isfinite(depth)] = -1
    color = np.full(d.shape, 0.5)
    points = X_base_camera[:3, 3] + d * np.where(np.isfinite(depth), depth, 0)[..., None]
    for i, box in enumerate(boxes):
        color[ids == i] = FURNITURE_COLORS[box.kind]
    label = np.where(ids >= len(boxes), ids - len(boxes) + 1, 0).astype(np.uint16)
    for i, piece in enumerate(pieces):
        mask = label == i + 1
        local = (points[mask] - piece.X_base_item[:3, 3]) @ piece.X_base_item[:3, :3]
        color[mask] = _printed(piece, local)
    shade = 0.45 + 0.55 * np.abs(normals @ np.array([0.25, 0.2, 0.947]))
    color = np.clip(color * shade[..., None], 0, 1)
    depth = np.where(np.isfinite(depth), depth, np.nan).astype(np.float32)
    X_reported = X_base_camera
    if rng is not None:
        step = np.nan_to_num(np.hypot(*np.gradient(np.nan_to_num(depth, nan=9.0))))
        depth = depth + rng.normal(0, 1, depth.shape).astype(np.float32) * 0.0012 * depth**2
        depth[(step > 0.012) & (rng.random(depth.shape) < 0.6)] = np.nan
        color = np.clip(color + rng.normal(0, 0.015, color.shape), 0, 1)
        X_reported = X_base_camera @ make_pose(rng.normal(0, 0.0012, 3), rng.normal(0, np.deg2rad(0.12), 3))
    return RgbdFrame(model, stamp_s, (color * 255).astype(np.uint8), depth, X_reported), label
