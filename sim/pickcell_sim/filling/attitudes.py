"""How items lie and stand: attitudes of things that were dumped, and upright places beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from pickcell.geometry import Pose
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spawn import ROUND_KINDS, outline
from pickcell_sim.items.spec import ItemSpec

Array = NDArray[np.float64]

LYING_KINDS = ("card", "ruler", "flat", "blister")
BOOK_FLAT = 0.75
"""Share of books that are dropped flat; the others stand on an edge, mostly the spine (assumed)."""
PACK_FLAT = 0.9
"""The same of mailers, polybags and bags."""
STANDING_SLENDERNESS = 4.0
"""What is taller than this times its base falls over in a tote that moves, and is not packed upright."""
GAP_M = 0.008
"""Between items that stand beside each other."""
_LAYOUTS = 40
_PLACES = 60


def random_rotation(sku: str, rng: np.random.Generator, tumble: bool) -> Rotation:
    """A random attitude of a dumped item; ``tumble`` False lays it flat, on its largest side.

    Any for blobs and plush; mostly on a side for boxes and round things; mostly flat for cards, books and packs.
    """
    spec = item_spec(sku)
    yaw = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi))
    size = np.asarray(spec.size_m)
    if not tumble:
        return yaw * upright_axis(int(np.argmin(size)))
    if spec.kind == "irregular" or spec.structure == "plush":
        return Rotation.random(random_state=np.random.RandomState(int(rng.integers(2**31))))
    if spec.structure != "rigid":
        return yaw * _soft_attitude(spec, rng)
    if spec.kind in LYING_KINDS:
        tilt = rng.uniform(0.0, 0.35) if rng.random() < 0.8 else rng.uniform(0.35, 1.2)
        flip = Rotation.from_euler("x", np.pi if rng.random() < 0.3 else 0.0)
        return yaw * Rotation.from_euler("x", tilt) * flip
    axis = int(rng.choice(3, p=_side_odds(size)))
    flip = Rotation.from_euler("x", np.pi if rng.random() < 0.5 else 0.0)
    return yaw * Rotation.from_euler("xy", rng.normal(0.0, 0.25, 2)) * flip * upright_axis(axis)


def neat_rotation(sku: str, rng: np.random.Generator) -> Rotation:
    """Flat on the largest side, nearly along the walls; round things lie."""
    size = np.asarray(item_spec(sku).size_m)
    quarter = float(rng.integers(4)) * np.pi / 2
    flip = Rotation.from_euler("x", np.pi if rng.random() < 0.3 else 0.0)
    yaw = Rotation.from_euler("z", quarter + rng.normal(0.0, 0.06))
    return yaw * upright_axis(int(np.argmin(size))) * flip


def _soft_attitude(spec: ItemSpec, rng: np.random.Generator) -> Rotation:
    """Books and packs: flat on either side with a slight tilt, sometimes on edge."""
    flip = Rotation.from_euler("x", np.pi if rng.random() < 0.4 else 0.0)
    flat = BOOK_FLAT if spec.structure == "book" else PACK_FLAT
    if rng.random() < flat:
        return Rotation.from_euler("xy", rng.normal(0.0, 0.08, 2)) * flip
    on_spine = spec.structure == "book" and rng.random() < 0.7
    standing = Rotation.from_euler("y", -np.pi / 2 if on_spine else np.pi / 2)
    return Rotation.from_euler("x", rng.normal(0.0, 0.1)) * standing * flip


def _side_odds(size: Array) -> Array:
    """Odds of standing on each of the three pairs of sides: by their area, as dumped items tend to."""
    areas = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])
    return areas / areas.sum()


def upright_axis(axis: int) -> Rotation:
    """The rotation that turns the item's own axis 0, 1 or 2 up."""
    return (Rotation.from_euler("y", -np.pi / 2), Rotation.from_euler("x", np.pi / 2), Rotation.identity())[axis]


def standing_axis(spec: ItemSpec) -> int:
    """The axis that is up when an item is packed upright: z of round things, else the longest that does not topple."""
    size = np.asarray(spec.size_m)
    if spec.kind in ROUND_KINDS and size[2] <= STANDING_SLENDERNESS * size[0]:
        return 2
    for axis in np.argsort(-size, kind="stable"):
        if size[axis] <= STANDING_SLENDERNESS * np.delete(size, axis).min():
            return int(axis)
    return int(np.argmin(size))


def place_upright(skus: Sequence[str], side: Array, rng: np.random.Generator) -> list[Pose] | None:
    """Poses (in the frame of the middle of the floor) of items standing apart within ``side`` (2,) metres; None: no room."""
    points = []
    for sku in skus:
        turn = upright_axis(standing_axis(item_spec(sku)))
        points.append((turn, outline(sku) @ turn.as_matrix().T))
    order = sorted(range(len(skus)), key=lambda i: -float(np.prod(np.ptp(points[i][1], axis=0)[:2])))
    for _ in range(_LAYOUTS):
        poses: dict[int, Pose] = {}
        taken: list[Array] = []
        for i in order:
            turn, cloud = points[i]
            found = _free_place(cloud, side, taken, rng)
            if found is None:
                break
            yaw, at = found
            taken.append(_footprint(cloud, yaw) + at)
            X = np.eye(4)
            X[:3, :3] = (Rotation.from_euler("z", yaw) * turn).as_matrix()
            X[:3, 3] = (*at, 0.001 - cloud[:, 2].min())
            poses[i] = X
        if len(poses) == len(skus):
            return [poses[i] for i in range(len(skus))]
    return None


def _free_place(cloud: Array, side: Array, taken: list[Array], rng: np.random.Generator) -> tuple[float, Array] | None:
    """A yaw and a place (2,) where a footprint is inside and clear of those taken."""
    for _ in range(_PLACES):
        yaw = float(rng.uniform(-np.pi, np.pi))
        foot = _footprint(cloud, yaw)
        lowest, highest = -side / 2 + 0.002 - foot.min(axis=0), side / 2 - 0.002 - foot.max(axis=0)
        if np.any(lowest > highest):
            continue
        at = rng.uniform(lowest, highest)
        if all(separation(foot + at, other) > GAP_M for other in taken):
            return yaw, at
    return None


def _footprint(cloud: Array, yaw: float) -> Array:
    """(K, 2) convex outline of points seen from above, turned by ``yaw``, counter-clockwise."""
    c, s = np.cos(yaw), np.sin(yaw)
    flat = cloud[:, :2] @ np.array([[c, s], [-s, c]])
    return np.asarray(flat[ConvexHull(flat).vertices])


def separation(a: Array, b: Array) -> float:
    """Largest gap (m) between two convex polygons (K, 2) and (L, 2) over the normals of their edges; negative: they overlap.

    By the separating axis theorem; a lower bound of their distance when positive.
    """
    best = -np.inf
    for polygon in (a, b):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.column_stack([edges[:, 1], -edges[:, 0]]) / np.linalg.norm(edges, axis=1, keepdims=True)
        along_a, along_b = a @ normals.T, b @ normals.T
        gaps = np.maximum(along_b.min(axis=0) - along_a.max(axis=0), along_a.min(axis=0) - along_b.max(axis=0))
        best = max(best, float(gaps.max()))
    return best
