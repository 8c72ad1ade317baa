"""True surfaces of items: convex parts from the physics bodies, sampled evenly with outward normals.

Rigid items are brought to the exact size of their recipe: physics makes cards thicker and cylinders smaller than they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pybullet as p
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from pickcell.geometry import Pose, pose_from_quat_xyzw, transform_points
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.irregular import load_blob
from pickcell_sim.world import ItemBody

F64 = NDArray[np.float64]

SPACING_M = 0.003
"""Distance of the sampled points: the resolution of fusion's surface."""
INSIDE_M, FACING_M = 2e-4, 4e-4
"""A sample this deep in another part is inside; one this near to a face that looks at it lies against it."""
ROUND_SEGMENTS = 40
"""A cylinder or sphere is a polyhedron with so many sides."""


@dataclass(frozen=True)
class Part:
    """A convex piece of an item, in the inertial frame of its link."""

    link: int
    """PyBullet link, -1 for the base."""
    vertices: F64
    """(V, 3) of the hull, metres."""
    planes: F64
    """(F, 4) outward unit normal and offset: inside, ``normal @ x <= offset``."""
    points: F64
    """(N, 3) even samples of its surface."""
    normals: F64
    """(N, 3) outward."""


def convex_part(link: int, vertices: F64, spacing_m: float = SPACING_M) -> Part:
    """The convex hull of ``vertices`` (V, 3) with its planes and samples. Raises scipy's QhullError for a flat set."""
    hull = ConvexHull(vertices)
    keys = np.round(hull.equations / np.array([1e-3, 1e-3, 1e-3, 1e-5])).astype(np.int64)
    _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    samples, normals = [], []
    for g, row in enumerate(first):
        normal = hull.equations[row, :3]
        corners = vertices[np.unique(hull.simplices[group == g])]
        on_facet = _sample_facet(corners, normal, spacing_m)
        samples.append(on_facet)
        normals.append(np.tile(normal, (len(on_facet), 1)))
    planes = hull.equations[first] * np.array([1.0, 1.0, 1.0, -1.0])
    return Part(link, vertices[hull.vertices], planes, np.vstack(samples), np.vstack(normals))


def _sample_facet(corners: F64, normal: F64, spacing_m: float) -> F64:
    """Centres of a grid of cells (N, 3) on a convex polygon with these corners (C, 3); its middle when it is too small."""
    middle = corners.mean(axis=0)
    flat = corners - middle
    turn = np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))])
    angle = np.arctan2(flat @ np.cross(normal, turn), flat @ turn)
    ring = flat[np.argsort(angle)]
    edges = np.roll(ring, -1, axis=0) - ring
    u = edges[int(np.argmax(np.linalg.norm(edges, axis=1)))]
    u = u / np.linalg.norm(u)
    v = np.cross(normal, u)
    polygon = np.column_stack([ring @ u, ring @ v])
    low, span = polygon.min(axis=0), np.ptp(polygon, axis=0)
    counts = np.maximum(np.round(span / spacing_m), 1).astype(int)
    a, b = (low[k] + (np.arange(counts[k]) + 0.5) * span[k] / counts[k] for k in range(2))
    grid = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    side = np.roll(polygon, -1, axis=0) - polygon
    inside = np.ones(len(grid), bool)
    for corner, (dx, dy) in zip(polygon, side):
        inside &= dx * (grid[:, 1] - corner[1]) - dy * (grid[:, 0] - corner[0]) >= -1e-9
    grid = grid[inside] if inside.any() else np.zeros((1, 2))
    return np.asarray(middle + grid[:, :1] * u + grid[:, 1:] * v)


@dataclass(frozen=True)
class ItemSurface:
    """An item as it lies now, in the world."""

    item: ItemBody
    X_world_item: Pose
    rigid: bool
    """One body without joints."""
    vertices: F64
    """(V, 3) corners of all its parts."""
    planes: tuple[F64, ...]
    """(F, 4) of each convex part."""
    spheres: F64
    """(K, 4) centre and radius around each part."""
    points: F64
    """(N, 3) samples of the surface of the union of its parts."""
    normals: F64
    """(N, 3) outward."""


def item_surface(client: int, item: ItemBody) -> ItemSurface:
    """The true surface of an item with its links as they are posed now."""
    joints = p.getNumJoints(item.body, physicsClientId=client)
    shape = _known_shape(item.name) if joints == 0 else None
    parts = shape or _posed_parts(client, item, joints)
    poses = _link_poses(client, item.body, joints)
    moved = [_moved(part, poses[part.link]) for part in parts]
    points, normals = np.vstack([part.points for part in moved]), np.vstack([part.normals for part in moved])
    if joints:  # of a rigid body it is done once, see _bare
        seen = ~_inside_others(moved)
        points, normals = points[seen], normals[seen]
    return ItemSurface(
        item,
        poses[-1],
        joints == 0,
        np.vstack([part.vertices for part in moved]),
        tuple(part.planes for part in moved),
        np.array([bounding_sphere(part.vertices) for part in moved]),
        points,
        normals,
    )


def bounding_sphere(corners: F64) -> F64:
    """(4,) centre and radius of a sphere around points (V, 3), centred on their bounding box."""
    middle = 0.5 * (corners.min(axis=0) + corners.max(axis=0))
    return np.array([*middle, float(np.linalg.norm(corners - middle, axis=1).max())])


def _moved(part: Part, X: Pose) -> Part:
    turned = part.planes[:, :3] @ X[:3, :3].T
    return Part(
        part.link,
        transform_points(X, part.vertices),
        np.column_stack([turned, part.planes[:, 3] + turned @ X[:3, 3]]),
        transform_points(X, part.points),
        part.normals @ X[:3, :3].T,
    )


def _bare(parts: list[Part]) -> tuple[Part, ...]:
    """Parts of one rigid body, each with those of its samples that lie on the surface of them all."""
    hidden = np.split(_inside_others(parts), np.cumsum([len(part.points) for part in parts])[:-1])
    return tuple(replace(part, points=part.points[~h], normals=part.normals[~h]) for part, h in zip(parts, hidden))


def _inside_others(parts: list[Part]) -> NDArray[np.bool_]:
    """Which samples of all parts, in order, lie inside another part of the same item, or on a face that another one lies
    against."""
    hidden = np.zeros(sum(len(part.points) for part in parts), np.bool_)
    if len(parts) > 1:
        _hide(
            np.ascontiguousarray(np.vstack([part.points for part in parts])),
            np.ascontiguousarray(np.vstack([part.normals for part in parts])),
            np.repeat(np.arange(len(parts)), [len(part.points) for part in parts]),
            np.ascontiguousarray(np.vstack([part.planes for part in parts])),
            np.concatenate([[0], np.cumsum([len(part.planes) for part in parts])]),
            np.array([bounding_sphere(part.vertices) for part in parts]),
            hidden,
        )
    return hidden


@njit(cache=True, nogil=True)
def _hide(points, normals, owner, planes, first, spheres, hidden):  # type: ignore[no-untyped-def]
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for k in range(spheres.shape[0]):
            dx, dy, dz, r = x - spheres[k, 0], y - spheres[k, 1], z - spheres[k, 2], spheres[k, 3] + FACING_M
            if k == owner[n] or dx * dx + dy * dy + dz * dz > r * r:
                continue
            out, nearest = -np.inf, first[k]
            for m in range(first[k], first[k + 1]):
                height = planes[m, 0] * x + planes[m, 1] * y + planes[m, 2] * z - planes[m, 3]
                if height > out:
                    out, nearest = height, m
                if out > FACING_M:
                    break
            facing = normals[n, 0] * planes[nearest, 0]
            facing += normals[n, 1] * planes[nearest, 1] + normals[n, 2] * planes[nearest, 2]
            if out < -INSIDE_M or (out < FACING_M and facing < -0.9):
                hidden[n] = True
                break


def _link_poses(client: int, body: int, joints: int) -> dict[int, Pose]:
    """World poses of the inertial frames of base (-1) and links."""
    position, orientation = p.getBasePositionAndOrientation(body, physicsClientId=client)
    poses = {-1: pose_from_quat_xyzw(position, orientation)}
    if joints:
        for link, state in enumerate(p.getLinkStates(body, list(range(joints)), physicsClientId=client)):
            poses[link] = pose_from_quat_xyzw(state[0], state[1])
    return poses


_POSED: dict[tuple[str, int], tuple[Part, ...]] = {}
"""Parts of items by SKU and number of joints: every piece of a SKU is built alike."""


def _posed_parts(client: int, item: ItemBody, joints: int) -> tuple[Part, ...]:
    """Collision shapes of a body as convex parts; brought to the recipe's size when it is one rigid body."""
    key, size = (item.name, joints), _recipe_size(item.name)
    if key in _POSED:
        return _POSED[key]
    pieces: list[tuple[int, F64]] = []
    for link in range(-1, joints):
        for number, shape in enumerate(p.getCollisionShapeData(item.body, link, physicsClientId=client)):
            if shape[2] == p.GEOM_MESH and shape[4] == b"unknown_file":  # a URDF's cylinder, or vertices from memory
                _, corners = p.getMeshData(item.body, link, number, physicsClientId=client)
                pieces.append((link, np.asarray(corners)))
                continue
            X = pose_from_quat_xyzw(shape[5], shape[6])
            pieces += [(link, transform_points(X, v)) for v in _shape_vertices(shape)]
    if not pieces:
        raise ValueError(f"body {item.body} ({item.name}) has no collision shape that its surface could be taken from")
    if _structure(item.name) == "loose":  # a thin shell: what it encloses is not its surface
        pieces = [(-1, np.vstack([v for _, v in pieces]))]
    if joints == 0 and size is not None:
        everything = np.vstack([v for _, v in pieces])
        low, span = everything.min(axis=0), np.ptp(everything, axis=0)
        middle = low + 0.5 * span
        pieces = [(link, middle + (v - middle) * (size / np.maximum(span, 1e-6))) for link, v in pieces]
    made = [convex_part(link, v) for link, v in pieces]
    parts = _bare(made) if joints == 0 else tuple(made)
    if size is not None:  # bodies without a recipe may differ under one name
        _POSED[key] = parts
    return parts


def _structure(sku: str) -> str:
    try:
        return str(getattr(item_spec(sku), "structure", "rigid"))
    except KeyError:
        return "rigid"


def _recipe_size(sku: str) -> F64 | None:
    """Extents (3,) by the recipe; None for a body that is no product (a test's own)."""
    try:
        return np.asarray(item_spec(sku).size_m, dtype=float)
    except KeyError:
        return None


@cache
def _known_shape(sku: str) -> tuple[Part, ...]:
    """Parts of an irregular item, whose collision shapes are smaller than it by Bullet's margin; empty for others."""
    try:
        spec = item_spec(sku)
    except KeyError:
        return ()
    if spec.kind != "irregular":
        return ()
    return _bare([convex_part(-1, np.asarray(part.vertices)) for part in load_blob(spec.source, spec.scale).parts])


def _shape_vertices(shape: tuple) -> list[F64]:  # type: ignore[type-arg]
    """Corners (V, 3) of the convex pieces of one collision shape, in its own frame. Raises ValueError for other kinds."""
    kind, dimensions = shape[2], np.asarray(shape[3], dtype=float)
    if kind == p.GEOM_BOX:
        return [np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * dimensions]
    turn = np.linspace(0.0, 2.0 * np.pi, ROUND_SEGMENTS, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)])
    if kind == p.GEOM_CYLINDER:
        height, radius = dimensions[:2]
        return [np.vstack([np.column_stack([radius * ring, np.full(len(ring), z)]) for z in (-height / 2, height / 2)])]
    if kind in (p.GEOM_SPHERE, p.GEOM_CAPSULE):
        height, radius = (0.0, dimensions[0]) if kind == p.GEOM_SPHERE else dimensions[:2]
        return [_rounded(ring, radius, height)]
    if kind == p.GEOM_MESH:
        return [v * dimensions for v in _obj_parts(Path(shape[4].decode()))]
    raise ValueError(f"a collision shape of PyBullet's kind {kind} has no surface here")


def _rounded(ring: F64, radius: float, height: float) -> F64:
    """Corners of a capsule about z whose straight part is ``height`` long; a sphere for 0."""
    rise = np.linspace(-0.5 * np.pi, 0.5 * np.pi, ROUND_SEGMENTS // 2 + 1)
    lift = np.where(rise >= 0, 0.5 * height, -0.5 * height)
    layers = [np.column_stack([radius * np.cos(a) * ring, np.full(len(ring), radius * np.sin(a) + z)])
              for a, z in zip(rise, lift)]  # fmt: skip
    return np.vstack(layers)


@cache
def _obj_parts(path: Path) -> tuple[F64, ...]:
    """Vertices (V, 3) of each object of a Wavefront file: PyBullet makes each its own convex hull."""
    parts: list[list[list[float]]] = [[]]
    for line in path.read_text().splitlines():
        if line.startswith("o ") and parts[-1]:
            parts.append([])
        elif line.startswith("v "):
            parts[-1].append([float(x) for x in line.split()[1:4]])
    return tuple(np.asarray(part) for part in parts if len(part) >= 4)
