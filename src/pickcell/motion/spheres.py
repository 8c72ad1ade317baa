"""Collision shapes as few spheres: every surface point lies within a slack of a sphere, no sphere bulges far out.

Candidates are lattice points inside the shape with the radius of their inscribed ball plus an allowed bulge; a greedy set
cover (Chvatal 1979) of surface samples picks few of them. The planner's margin pays for the slack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from pickcell.geometry import inverse, make_pose, transform_points
from pickcell.motion.urdf import Shape

MAX_CANDIDATES, MAX_SAMPLES = 1500, 2000
SAMPLE_SPACING_M = 0.012
SHARP_RAD, EDGE_SPACING_M = 0.5, 0.006

Array = NDArray[np.float64]
DIRECTIONS: Array = np.asarray(trimesh.creation.icosphere(subdivisions=1).vertices, dtype=float)
"""(42, 3) unit vectors spread over the sphere."""
Depth = Callable[[Array], Array]


@dataclass(frozen=True)
class Fit:
    """How closely spheres follow a shape. Closer takes more of them."""

    slack_m: float = 0.004
    """Every surface point lies within this of a sphere: the planner's margin pays for it."""
    bulge_min_m: float = 0.0035
    bulge_max_m: float = 0.018
    """No sphere stands out further than this."""
    bulge_share: float = 0.15
    """Of a shape's middle side: how far spheres may stand out of it, within those two."""


COMMON_FIT = Fit()
CLOSE_FIT = Fit(slack_m=0.0025, bulge_min_m=0.002, bulge_max_m=0.006, bulge_share=0.06)
"""For tight places, at a few times the cost of a check."""


def _box(size: Array) -> tuple[Depth, Array, Array]:
    half = 0.5 * size
    mesh = trimesh.creation.box(extents=size)
    return (lambda p: np.min(half - np.abs(p), axis=1)), half, _surface(mesh, -half, half)


def _cylinder(radius: float, length: float) -> tuple[Depth, Array, Array]:
    half = np.array([radius, radius, 0.5 * length])
    mesh = trimesh.creation.cylinder(radius=radius, height=length, sections=48)
    return (
        (lambda p: np.minimum(radius - np.hypot(p[:, 0], p[:, 1]), 0.5 * length - np.abs(p[:, 2]))),
        half,
        _surface(mesh, -half, half),
    )


def _ball(radius: float) -> tuple[Depth, Array, Array]:
    half = np.full(3, radius)
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return (lambda p: radius - np.linalg.norm(p, axis=1)), half, np.asarray(mesh.vertices)


def _surface(mesh: trimesh.Trimesh, low: Array, high: Array) -> Array:
    """Evenly spread surface points, plus points along all sharp edges: those are the points hardest to cover."""
    count = int(np.clip(mesh.area / SAMPLE_SPACING_M**2, 200, MAX_SAMPLES))
    points = trimesh.sample.sample_surface_even(mesh, count, seed=0)[0]  # seeded: one robot, one set of spheres
    edges = mesh.vertices[mesh.face_adjacency_edges[mesh.face_adjacency_angles > SHARP_RAD]]
    along: list[Array] = [np.asarray(mesh.vertices)]
    for a, b in edges:
        along.append(np.linspace(a, b, 2 + int(np.linalg.norm(b - a) / EDGE_SPACING_M)))
    return np.clip(np.vstack([*along, points]), low, high)


def _hull(shape: Shape) -> tuple[Depth, Array, Array, Array]:
    points = mesh_points(shape)
    hull = ConvexHull(points)
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    A, b = hull.equations[:, :3], hull.equations[:, 3] + hull.equations[:, :3] @ centre
    mesh = trimesh.convex.convex_hull(points - centre)
    half = 0.5 * (points.max(axis=0) - points.min(axis=0))
    return (lambda p: np.min(-(p @ A.T + b), axis=1)), half, _surface(mesh, -half, half), centre


def mesh_points(shape: Shape) -> Array:
    """Scaled vertices (N, 3) of a mesh file."""
    loaded = trimesh.load_mesh(str(shape.mesh))
    return np.asarray(loaded.vertices) * np.asarray(shape.size)


def _mesh_centre(shape: Shape) -> Array:
    """Middle of the bounding box of a mesh in its own frame; primitives are centred."""
    if shape.kind != "mesh":
        return np.zeros(3)
    points = mesh_points(shape)
    return 0.5 * (points.min(axis=0) + points.max(axis=0))


def _lattice(half: Array, spacing: float) -> Array:
    """Points of a lattice through the centre; an odd count per axis keeps the middle planes of thin shapes."""
    while True:
        counts = [2 * int(np.ceil(h / spacing)) + 1 for h in half]
        if np.prod(counts) <= MAX_CANDIDATES:
            break
        spacing *= 1.15
    axes = [np.linspace(-h, h, c) for h, c in zip(half, counts)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _greedy(centres: Array, radii: Array, samples: Array, lonely_radius: Array, slack_m: float) -> Array:
    """Pick spheres (k, 4) until every sample is within ``slack_m`` of one; samples nobody reaches get their own."""
    covers = cdist(centres, samples) <= (radii + slack_m)[:, None]
    open_ = np.ones(len(samples), dtype=bool)
    gain = covers.sum(axis=1)
    chosen: list[Array] = []
    while open_.any():
        best = int(np.argmax(gain + 1e-6 * radii))
        if gain[best] == 0:
            first = int(np.argmax(open_))
            chosen.append(np.append(samples[first], lonely_radius[first]))
            newly = open_ & (np.linalg.norm(samples - samples[first], axis=1) <= lonely_radius[first] + slack_m)
        else:
            chosen.append(np.append(centres[best], radii[best]))
            newly = open_ & covers[best]
        open_ &= ~newly
        gain = gain - covers[:, newly].sum(axis=1)
    return np.array(chosen)


def _local(shape: Shape) -> tuple[Depth, Array, Array]:
    """Depth below the surface of points in the link frame, half extents, surface samples (link frame) of one shape."""
    centre = np.zeros(3)
    if shape.kind == "box":
        depth, half, samples = _box(np.asarray(shape.size))
    elif shape.kind == "cylinder":
        depth, half, samples = _cylinder(*shape.size)
    elif shape.kind == "sphere":
        depth, half, samples = _ball(shape.size[0])
    elif shape.kind == "mesh":
        depth, half, samples, centre = _hull(shape)
    else:
        raise ValueError(f"shape kind '{shape.kind}' is not one of box, cylinder, sphere, mesh")
    X = shape.X_link_shape @ make_pose(centre)
    X_back = inverse(X)
    return (lambda p: depth(transform_points(X_back, p))), half, transform_points(X, samples)


def cover_link(shapes: Sequence[Shape], fit: Fit = COMMON_FIT) -> Array:
    """Spheres (k, 4) = centre (m, link frame) and radius that cover all collision shapes of a link; meshes by their hull.

    Surface inside another shape of the link needs no cover, and inscribed balls grow through where shapes overlap.
    """
    if len(shapes) == 1 and shapes[0].kind == "sphere":
        return np.append(shapes[0].X_link_shape[:3, 3], shapes[0].size[0])[None, :]
    parts = [_local(s) for s in shapes]
    bulges = [
        float(np.clip(fit.bulge_share * 2.0 * np.sort(half)[1], fit.bulge_min_m, fit.bulge_max_m)) for _, half, _ in parts
    ]
    centres, radii, samples, reach = [], [], [], []
    for k, ((depth, half, surface), bulge) in enumerate(zip(parts, bulges)):
        X = shapes[k].X_link_shape
        points = transform_points(X, _lattice(half, bulge + fit.slack_m) + _mesh_centre(shapes[k]))
        own = depth(points)
        points, own = points[own >= 0.0], own[own >= 0.0]
        inside = np.max([own, *(d(points) for j, (d, _, _) in enumerate(parts) if j != k)], axis=0)
        centres.append(points)
        radii.append(inside + bulge)
        buried = np.max([np.full(len(surface), -1.0), *(d(surface) for j, (d, _, _) in enumerate(parts) if j != k)], axis=0)
        samples.append(surface[buried < 1e-4])
        reach.append(np.full(len(samples[-1]), bulge))
    return _greedy(np.vstack(centres), np.concatenate(radii), np.vstack(samples), np.concatenate(reach), fit.slack_m)


INWARD_SHARES = np.linspace(0.0, 0.9, 7)
"""Shares of the way from a patch of surface to the middle of the cloud at which a sphere's centre is tried."""


def cover_cloud(points: Array, cell_m: float = 0.025, max_spheres: int = 60) -> Array:
    """Spheres (k, 4) that contain all of a surface cloud (N, 3): one per occupied cube of ``cell_m``, coarser when many.

    Each is centred where it bulges least out of the cloud's convex hull: a ball that holds a flat patch from within is
    larger than one centred on it, and stands out less. Raises ValueError for an empty cloud or non-finite points.
    """
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0 or not np.all(np.isfinite(points)):
        raise ValueError(f"a cloud needs finite points (N, 3) with N > 0, got shape {points.shape}")
    while True:
        cells = np.floor((points - points.min(axis=0)) / cell_m).astype(np.int64)
        _, label = np.unique(cells, axis=0, return_inverse=True)
        label = label.ravel()
        count = int(label.max()) + 1
        if count <= max_spheres:
            break
        cell_m *= 1.2
    order = np.argsort(label, kind="stable")
    points, label = points[order], label[order]
    first = np.searchsorted(label, np.arange(count))
    patches = np.add.reduceat(points, first) / np.bincount(label, minlength=count)[:, None]
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    reach = (points @ DIRECTIONS.T).max(axis=0)  # of the convex hull
    best, least = np.zeros((count, 4)), np.full(count, np.inf)
    for share in INWARD_SHARES:
        centres = patches + share * (middle - patches)
        distance = np.linalg.norm(points - centres[label], axis=1)
        radii = np.maximum(np.maximum.reduceat(distance, first), 0.003)
        bulge = (centres @ DIRECTIONS.T + radii[:, None] - reach).max(axis=1)
        better = bulge < least - 1e-4  # of two alike the smaller, which is the one nearer the surface
        best[better] = np.column_stack([centres, radii])[better]
        least[better] = bulge[better]
    return best
