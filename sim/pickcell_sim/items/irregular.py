"""Irregular items: the blobs of pybullet_data's ``random_urdfs``, given a sane size, mass and inertia.

Their URDFs claim 0.1 kg and an inertia of 1 kg m^2 each, and most are as wide as the jaw opens. Here each one is scaled
by a factor drawn from the seed, weighed by its volume and an assumed density, and recentred on its centre of mass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pybullet_data
import trimesh
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from pickcell_sim.items.spec import SEED, ItemSpec

COUNT = 1000
LARGEST_M = 0.25
SMALLEST_M = 0.012
"""Thinner ones are shards of a failed decomposition."""
_UNIT_M = 0.015
_SCALES = (0.55, 1.0)
"""Range of the drawn scale: at 1 the median blob measures 12 x 9 x 8 cm."""
_SAMPLES = 20_000


@dataclass(frozen=True)
class Blob:
    """A union of convex parts with its mass properties for density 1."""

    parts: tuple[trimesh.Trimesh, ...]
    """Convex parts in metres; the origin is the centre of mass and the axes are those of the bounding box."""
    extents_m: NDArray[np.float64]
    volume_m3: float
    inertia_unit: NDArray[np.float64]
    """(3,) moments about the axes divided by the mass, m^2."""
    rgb: tuple[float, float, float]


@cache
def load_blob(number: int, scale: float) -> Blob:
    """Read blob ``number`` and work out its mass properties. Raises ValueError when it has no usable solid."""
    folder = Path(pybullet_data.getDataPath()) / "random_urdfs" / f"{number:03d}"
    parts = [part * scale * _UNIT_M for part in _read_parts(folder / f"{number:03d}.obj")]
    hulls = [trimesh.convex.convex_hull(part) for part in parts if _solid(part)]
    if not hulls:
        raise ValueError(f"blob {number:03d} has no solid part")
    to_box, _ = trimesh.bounds.oriented_bounds(np.vstack([h.vertices for h in hulls]))
    for hull in hulls:
        hull.apply_transform(to_box)
    volume, center, inertia_unit = _mass_properties(hulls, np.random.default_rng([SEED, 0, number]))
    for hull in hulls:
        hull.apply_translation(-center)
    vertices = np.vstack([h.vertices for h in hulls])
    extents = vertices.max(axis=0) - vertices.min(axis=0)
    return Blob(tuple(hulls), extents, volume, inertia_unit, _color(folder / f"{number:03d}.urdf"))


def irregular_spec(number: int) -> ItemSpec:
    """The SKU made of blob ``number``. Raises ValueError, saying why, when it makes no usable item."""
    rng = np.random.default_rng([SEED, 4, number])
    scale = round(float(rng.uniform(*_SCALES)), 3)
    blob = load_blob(number, scale)
    if blob.extents_m.max() > LARGEST_M:
        raise ValueError(f"blob {number:03d} is {blob.extents_m.max():.3f} m long, more than {LARGEST_M} m")
    if blob.extents_m.min() < SMALLEST_M:
        raise ValueError(f"blob {number:03d} is {blob.extents_m.min():.3f} m thin, less than {SMALLEST_M} m")
    mass = round(float(np.clip(blob.volume_m3 * rng.uniform(200.0, 900.0), 0.02, 0.5)), 4)
    x, y, z = (round(float(v), 4) for v in blob.extents_m)
    friction = round(float(rng.uniform(0.45, 0.8)), 2)
    return ItemSpec(
        f"irregular-{number:03d}", f"Irregular {number:03d}", "irregular", (x, y, z), mass, friction, False, 4000 + number,
        source=number, scale=scale,
    )  # fmt: skip


def _read_parts(path: Path) -> list[NDArray[np.float64]]:
    """Vertices (N, 3) of each convex part of an OBJ file, in file units."""
    parts: list[list[list[float]]] = []
    for line in path.read_text().splitlines():
        if line.startswith("o "):
            parts.append([])
        elif line.startswith("v "):
            parts[-1].append([float(x) for x in line.split()[1:4]])
    return [np.asarray(part) for part in parts if len(part) >= 4]


def _solid(points: NDArray[np.float64]) -> bool:
    try:
        return bool(ConvexHull(points).volume > 1e-9)
    except QhullError:
        return False


def _mass_properties(
    hulls: list[trimesh.Trimesh], rng: np.random.Generator
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Volume, centre of mass (3,) and per-mass moments (3,) of a union of convex parts, by sampling its bounding box.

    The parts overlap, so adding their own properties would count shared volume twice.
    """
    vertices = np.vstack([h.vertices for h in hulls])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    points = rng.uniform(low, high, (_SAMPLES, 3))
    inside = np.zeros(_SAMPLES, bool)
    for hull in hulls:
        normals = hull.face_normals
        offsets = np.einsum("ij,ij->i", normals, hull.triangles[:, 0])
        inside |= np.all(points @ normals.T <= offsets + 1e-9, axis=1)
    solid = points[inside]
    volume = float(np.prod(high - low) * inside.mean())
    center = solid.mean(axis=0)
    squares = ((solid - center) ** 2).mean(axis=0)
    return volume, center, squares.sum() - squares


def _color(path: Path) -> tuple[float, float, float]:
    match = re.search(r'<color rgba="([\d. ]+)"', path.read_text())
    if match is None:
        raise ValueError(f"{path} names no colour")
    r, g, b = (float(v) for v in match.group(1).split()[:3])
    return r, g, b
