"""Small scenes for the tests of grasping: primitives standing in the source tote, sampled as perception would see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trimesh

from pickcell.cell import CellConfig, load_cell
from pickcell.geometry import make_pose
from pickcell.outcome import Code, Outcome
from pickcell.values import (
    BASE_FRAME,
    Identity,
    Instance,
    PointCloud,
    Scene,
    ShapeEstimate,
    Sku,
    Voxel,
    VoxelGrid,
)

ROOT = Path(__file__).resolve().parents[2]
assert BASE_FRAME == "base_link"


def cell() -> CellConfig:
    return load_cell(ROOT / "config/cells/panda.yaml", calibrated=False)


CELL = cell()
FLOOR = CELL.X_base_tote("source")[:3, 3]


class Shelf:
    """A catalogue of a few SKUs."""

    def __init__(self, *skus: Sku) -> None:
        self.skus = {sku.sku: sku for sku in skus}

    def find(self, sku: str) -> Outcome[Sku]:
        if sku not in self.skus:
            return Outcome.failure(Code.ITEM_UNKNOWN, sku)
        return Outcome.success(self.skus[sku])


def sku(name: str, kind: str, dimensions: Sequence[float], mass_kg: float) -> Sku:
    return Sku(name, name, kind, np.sort(np.array(dimensions))[::-1], mass_kg)


def instance(
    mesh: trimesh.Trimesh,
    number: int = 1,
    seed: int = 0,
    noise_m: float = 0.0,
    spacing_m: float = 0.002,
    hidden_confidence: float = 0.6,
    exposure: float = 1.0,
    identity: Identity | None = None,
) -> Instance:
    """An instance whose upward surface is seen and whose other surface is completed, with ``hidden_confidence``."""
    rng = np.random.default_rng(seed)
    count = int(np.clip(mesh.area / spacing_m**2, 200, 20000))
    points, face = trimesh.sample.sample_surface(mesh, count, seed=seed)
    normals = mesh.face_normals[face]
    points = points + rng.normal(0.0, noise_m, points.shape) if noise_m else np.asarray(points)
    seen = normals[:, 2] > 0.15
    color = np.full((count, 3), 128, np.uint8)
    cloud = PointCloud(points, normals, color)
    to_origin, extents = trimesh.bounds.oriented_bounds(mesh)
    order = np.argsort(-extents)
    X = np.linalg.inv(to_origin)
    R = X[:3, :3][:, order]
    if np.linalg.det(R) < 0:
        R[:, 2] = -R[:, 2]
    X_base_box = np.eye(4)
    X_base_box[:3, :3], X_base_box[:3, 3] = R, X[:3, 3]
    shape = ShapeEstimate(cloud, np.where(seen, 1.0, hidden_confidence), X_base_box, extents[order])
    return Instance(number, cloud.select(seen), shape, identity or Identity.unknown(), exposure)


def placed(
    mesh: trimesh.Trimesh, x: float = 0.0, y: float = 0.0, z: float = 0.0, rpy: Sequence[float] = (0, 0, 0)
) -> trimesh.Trimesh:
    """The mesh turned by ``rpy``, standing ``z`` above the source tote's floor, at x, y from its centre; in base_link."""
    mesh = mesh.copy()
    mesh.apply_transform(make_pose((0, 0, 0), rpy))
    low, high = mesh.bounds
    mesh.apply_translation(FLOOR + np.array([x, y, z - low[2]]) - np.array([*(0.5 * (low + high))[:2], 0.0]))
    return mesh


def box(length: float, width: float, height: float) -> trimesh.Trimesh:
    return trimesh.creation.box((length, width, height))


def cylinder(radius: float, height: float) -> trimesh.Trimesh:
    return trimesh.creation.cylinder(radius, height, sections=48)


def sphere(radius: float) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=4, radius=radius)


def scene(*instances: Instance, occupied: np.ndarray | None = None) -> Scene:
    """A scene of these instances in otherwise free space; ``occupied`` (N, 3) marks voxels."""
    res = 0.01
    inner = np.array(CELL.totes["source"].inner)
    origin = FLOOR - np.array([inner[0] / 2 + 0.05, inner[1] / 2 + 0.05, 0.02])
    state = np.full(np.ceil((inner + np.array([0.1, 0.1, 0.3])) / res).astype(int), Voxel.FREE, np.uint8)
    if occupied is not None:
        i = np.floor((occupied - origin) / res).astype(int)
        state[i[:, 0], i[:, 1], i[:, 2]] = Voxel.OCCUPIED
    return Scene(0.0, instances, VoxelGrid(origin, res, state), {})
