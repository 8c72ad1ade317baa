"""Products as simple solids: signed distances, and points on their surface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.values import Sku

BOXES = frozenset({"box", "shrink", "hardcover", "paperback", "card", "ruler", "flat"})
CYLINDERS = frozenset({"cylinder", "can", "jar", "tube"})
"""Kinds whose shape follows from their dimensions; a bag or an irregular thing has none that is known."""
ROUND_WITHIN = 0.1
"""Two sides that differ by less than this share are a diameter."""


@dataclass(frozen=True)
class Solid:
    """A box, or a cylinder about its z axis."""

    half: NDArray[np.float64]
    """(3,) half the side lengths; of a cylinder radius, radius, and half the length."""
    is_round: bool


def solids_of(sku: Sku) -> list[Solid]:
    """The ways in which a product's sides may go along x, y, z; none when its shape is not known."""
    a, b, c = 0.5 * np.asarray(sku.dimensions_m)
    if sku.kind in BOXES:
        return [Solid(np.array(each), False) for each in ((a, b, c), (a, c, b), (b, a, c), (b, c, a), (c, a, b), (c, b, a))]
    if sku.kind in CYLINDERS:
        if a - b < ROUND_WITHIN * a:
            return [Solid(np.array([0.5 * (a + b), 0.5 * (a + b), c]), True)]
        if b - c < ROUND_WITHIN * b:
            return [Solid(np.array([0.5 * (b + c), 0.5 * (b + c), a]), True)]
    return []


def surface_points(solid: Solid, spacing_m: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (N, 3) about ``spacing_m`` apart on a solid's surface, and outward normals, in its frame; not to be written
    to."""
    return _surface_points(tuple(solid.half.tolist()), solid.is_round, spacing_m)


@lru_cache(maxsize=512)
def _surface_points(
    half: tuple[float, ...], is_round: bool, spacing_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points, normals = (_cylinder if is_round else _box)(np.array(half), spacing_m)
    points.flags.writeable = normals.flags.writeable = False  # the products of a tote come again in every look
    return points, normals


def _box(half: NDArray[np.float64], spacing: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points, normals = [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        steps = [np.linspace(-half[k], half[k], max(2, 1 + round(2 * half[k] / spacing))) for k in (u, v)]
        gu, gv = (g.ravel() for g in np.meshgrid(*steps, indexing="ij"))
        for sign in (-1.0, 1.0):
            face = np.zeros((len(gu), 3))
            face[:, axis], face[:, u], face[:, v] = sign * half[axis], gu, gv
            points.append(face)
            normals.append(np.tile(np.eye(3)[axis] * sign, (len(gu), 1)))
    return np.vstack(points), np.vstack(normals)


def _cylinder(half: NDArray[np.float64], spacing: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    radius, length = half[0], half[2]
    angle = np.linspace(0.0, 2.0 * np.pi, max(8, round(2 * np.pi * radius / spacing)), endpoint=False)
    z = np.linspace(-length, length, max(2, 1 + round(2 * length / spacing)))
    ga, gz = (g.ravel() for g in np.meshgrid(angle, z, indexing="ij"))
    out = np.column_stack([np.cos(ga), np.sin(ga), np.zeros(len(ga))])
    points, normals = [np.column_stack([radius * out[:, :2], gz])], [out]
    grid = np.arange(-radius, radius + spacing, spacing)
    gx, gy = (g.ravel() for g in np.meshgrid(grid, grid, indexing="ij"))
    inside = gx**2 + gy**2 < radius**2
    for sign in (-1.0, 1.0):
        points.append(np.column_stack([gx[inside], gy[inside], np.full(inside.sum(), sign * length)]))
        normals.append(np.tile([0.0, 0.0, sign], (int(inside.sum()), 1)))
    return np.vstack(points), np.vstack(normals)


@njit(cache=True, nogil=True)
def signed_distance(x, y, z, half, is_round):  # type: ignore[no-untyped-def]
    """Distance of a point to a solid's surface in its frame, negative inside."""
    if is_round:
        a, b = np.sqrt(x * x + y * y) - half[0], abs(z) - half[2]
        return min(max(a, b), 0.0) + np.sqrt(max(a, 0.0) ** 2 + max(b, 0.0) ** 2)
    a, b, c = abs(x) - half[0], abs(y) - half[1], abs(z) - half[2]
    outside = np.sqrt(max(a, 0.0) ** 2 + max(b, 0.0) ** 2 + max(c, 0.0) ** 2)
    return min(max(a, max(b, c)), 0.0) + outside
