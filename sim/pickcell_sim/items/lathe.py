"""Bodies of revolution: their visible mesh, their mass properties, and points that span them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell_sim.items.mesh import Atlas, ObjBuilder

Array = NDArray[np.float64]

SEGMENTS = 28
"""A multiple of four, so that the widest points lie on the axes."""


@dataclass(frozen=True)
class Band:
    """A stretch of the profile that shows one picture around it."""

    points: tuple[tuple[float, float], ...]
    """(radius, z) in metres from the bottom up; z may repeat (a step in the profile)."""
    picture: int
    """Of the atlas."""
    density: float = 1.0
    """Relative to the other bands: what a cap or an empty neck weighs against the content."""


@dataclass(frozen=True)
class Solid:
    """A body of revolution about z; bands from the bottom up, then pictures of the two ends."""

    bands: tuple[Band, ...]
    bottom: int
    top: int

    @property
    def profile(self) -> Array:
        """(N, 2) radius and z of all bands."""
        return np.array([point for band in self.bands for point in band.points])


def add_solid(builder: ObjBuilder, solid: Solid, atlas: Atlas, shift_z: float) -> None:
    """Add the visible mesh, moved along z by ``shift_z``."""
    angles = np.linspace(0.0, 2.0 * np.pi, SEGMENTS + 1)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    builder.part("solid")
    for band in solid.bands:
        _add_band(builder, band, ring, atlas, shift_z)
    disc = ring[:-1]
    flat = np.tile([0.0, 0.0, 1.0], (SEGMENTS, 1))
    profile = solid.profile
    (r_low, z_low), (r_high, z_high) = profile[0], profile[-1]
    top = np.column_stack([r_high * disc, np.full(SEGMENTS, z_high + shift_z)])
    builder.polygon(top, flat, atlas.uv(solid.top, 0.5 + 0.5 * disc))
    bottom = np.column_stack([r_low * disc[::-1], np.full(SEGMENTS, z_low + shift_z)])
    builder.polygon(bottom, -flat, atlas.uv(solid.bottom, 0.5 + 0.5 * disc[::-1] * [-1.0, 1.0]))


def _add_band(builder: ObjBuilder, band: Band, ring: Array, atlas: Atlas, shift_z: float) -> None:
    """Quads around the axis, shaded as one smooth surface; the picture runs once around and from the bottom to the top."""
    points = np.asarray(band.points)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    v = along / along[-1]
    tangent = np.gradient(points, along, axis=0)
    slope = np.column_stack([tangent[:, 1], -tangent[:, 0]])  # outward in the (radius, z) plane
    slope /= np.linalg.norm(slope, axis=1, keepdims=True)
    for i in range(len(points) - 1):
        for k in range(SEGMENTS):
            corner = [(i, k), (i, k + 1), (i + 1, k + 1), (i + 1, k)]
            position = [[*(points[a, 0] * ring[b]), points[a, 1] + shift_z] for a, b in corner]
            normal = [[*(slope[a, 0] * ring[b]), slope[a, 1]] for a, b in corner]
            uv = np.array([[b / SEGMENTS, v[a]] for a, b in corner])
            builder.polygon(np.array(position), np.array(normal), atlas.uv(band.picture, uv))


def mass_properties(solid: Solid) -> tuple[float, Array]:
    """Height of the centre of mass, and (3,) moments about it per kg; each band filled evenly with its density."""
    z, weight, spread = [], [], []
    for band in solid.bands:
        points = np.asarray(band.points)
        for (r0, z0), (r1, z1) in itertools.pairwise(points):
            t = (np.arange(24) + 0.5) / 24.0
            r = r0 + t * (r1 - r0)
            z.append(z0 + t * (z1 - z0))
            weight.append(band.density * r**2 * max(z1 - z0, 0.0))
            spread.append(r**2)
    heights, weights, squares = (np.concatenate(v) for v in (z, weight, spread))
    weights = weights / weights.sum()
    centre = float(weights @ heights)
    about_axis = 0.5 * float(weights @ squares)
    across = 0.25 * float(weights @ squares) + float(weights @ (heights - centre) ** 2)
    return centre, np.array([across, across, about_axis])


def span(profile: Sequence[tuple[float, float]] | Array, shift_z: float) -> Array:
    """(N, 3) points on the rings of a profile: their convex hull is the solid's."""
    angles = np.linspace(0.0, 2.0 * np.pi, SEGMENTS, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    rows = [np.column_stack([r * ring, np.full(SEGMENTS, z + shift_z)]) for r, z in np.asarray(profile)]
    return np.vstack(rows)
