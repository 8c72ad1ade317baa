"""The target's surface made ready for grasping: clean, thinned, with what every generator asks of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.grasping.obstacles import thin
from pickcell.values import Instance

F64 = NDArray[np.float64]

MIN_POINTS = 12
"""Fewer points are no surface."""


@dataclass(frozen=True)
class Surface:
    """Points with outward normals and confidence in ``base_link``."""

    points: F64
    """(N, 3) metres."""
    normals: F64
    """(N, 3) unit."""
    confidence: F64
    """(N,) 0..1."""
    spacing_m: float
    """Size of the voxels that it was thinned with."""

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Target:
    """One instance as the generators see it."""

    instance_id: int
    body: Surface
    """Seen and completed surface."""
    seen: Surface
    """Measured surface only."""
    center: F64
    """(3,) estimated centre of mass."""
    axes: F64
    """(3, 3) unit axes of the bounding box as columns, longest extent first."""
    extents_m: F64
    """(3,) along the axes."""
    mass_kg: float


def clean(
    points: NDArray[np.float32], normals: NDArray[np.float32], confidence: NDArray[np.float32], size_m: float
) -> Surface:
    """Drop what is not finite or has no normal, make normals unit, and keep one point per voxel of ``size_m``."""
    p = np.asarray(points, dtype=np.float64)
    n = np.asarray(normals, dtype=np.float64)
    c = np.asarray(confidence, dtype=np.float64)
    length = np.linalg.norm(n, axis=1)
    good = np.isfinite(p).all(axis=1) & np.isfinite(length) & (length > 1e-6) & np.isfinite(c)
    p, n, c = p[good], n[good] / length[good, None], np.clip(c[good], 0.0, 1.0)
    # Measured points come first, so that each voxel is represented by what was seen where something was seen.
    order = np.argsort(-c, kind="stable")
    p, n, c = p[order], n[order], c[order]
    keep = thin(p, size_m)
    return Surface(np.ascontiguousarray(p[keep]), np.ascontiguousarray(n[keep]), np.ascontiguousarray(c[keep]), size_m)


def body_size_m(extents_m: F64) -> float:
    """Voxel size for thinning: 3 mm for small items, more for large ones so that about 2,000 points stay."""
    a, b, c = np.maximum(extents_m, 1e-3)
    area = 2.0 * (a * b + b * c + c * a)
    return float(np.clip(np.sqrt(area / 2000.0), 0.003, 0.008))


def prepare(instance: Instance, mass_kg: float) -> Target | None:
    """The target, or None when there is too little surface to grasp."""
    shape = instance.shape
    cloud, visible = shape.cloud, instance.visible
    seen = clean(visible.points, visible.normals, np.ones(len(visible), dtype=np.float32), 0.003)
    raw = clean(cloud.points, cloud.normals, shape.confidence, body_size_m(_finite_extents(shape.extents_m)))
    body = raw if len(raw) >= MIN_POINTS else seen
    if len(body) < MIN_POINTS:
        return None
    box = np.asarray(shape.X_base_box, dtype=np.float64)
    extents = _finite_extents(shape.extents_m)
    axes, center = box[:3, :3], box[:3, 3]
    spread = 0.5 * (body.points.min(axis=0) + body.points.max(axis=0))
    if not np.isfinite(box).all() or not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        axes, center = np.eye(3), spread
    # Box centre (right for convex bodies) and mean of the surface (right for lopsided ones) err in different ways.
    mass_center = 0.5 * (center + body.points.mean(axis=0))
    return Target(instance.id, body, seen, mass_center, np.ascontiguousarray(axes), extents, mass_kg)


def _finite_extents(extents_m: NDArray[np.float64]) -> F64:
    return np.maximum(np.nan_to_num(np.asarray(extents_m, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0), 1e-4)
