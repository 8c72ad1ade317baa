"""Full shapes from the catalogue: where an item is known for what it is, its own shape is laid over what was seen of it.

The solid of the product (:mod:`pickcell.completion.solids`) is moved until its surface goes through the measured points and
none of it lies where a camera looked through: a search from the axes of the estimated box, then a climb along and about the
axes. It competes with what the completer made of the item, and wins where it explains what was seen and is trusted more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.completion.box import span
from pickcell.completion.complete import Completed, assemble, extents_seen
from pickcell.completion.config import CompletionConfig
from pickcell.completion.solids import Solid, signed_distance, solids_of, surface_points
from pickcell.fusion.tsdf import FREE_CLEARANCE, TsdfVolume
from pickcell.geometry import Pose, inverse, transform_points, transform_vectors
from pickcell.values import Identity, Sku

SKIN_M = 0.003


@dataclass(frozen=True)
class RegistrationConfig:
    """Lengths in metres."""

    sure_identity: float = 0.6
    """A product is laid over an item that is taken for it with at least this probability."""
    points: int = 160
    """Measured points that it is fitted to."""
    cap_m: float = 0.010
    """A point counts as at most this far from the surface: some are a neighbour's."""
    free_weight: float = 2.0
    """How much it counts, against the mean distance over ``cap_m``, that all of the surface was looked through."""
    max_residual_m: float = 0.0025
    """The solid explains an item when measured points are, in the mean, no further than this from its surface ..."""
    max_free: float = 0.05
    """... and no more of its surface than this was looked through."""
    max_excess_m: float = 0.008
    """What was seen may be this much longer than the product: noise, and a neighbour's points."""
    trust: float = 0.93
    """Share of the unseen points of accepted solids within 5 mm of the true surface, where the identity is right: .928 over
    198 items in held-out scenes of training items."""


class CatalogueRegistrar:
    """Lays products over the items of one cell's source tote."""

    def __init__(
        self,
        cell: CellConfig,
        catalogue: Mapping[str, Sku],
        config: RegistrationConfig | None = None,
        completion: CompletionConfig | None = None,
    ) -> None:
        self._X_base_tote = cell.X_base_tote("source")
        self._catalogue = catalogue
        self._completion = completion or CompletionConfig()
        self.config = config or RegistrationConfig()

    def refine_all(self, items: Sequence[Completed], identities: Sequence[Identity], volume: TsdfVolume) -> list[Completed]:
        """Each item as it was, or with the shape of the product that it is taken for. Raises ValueError when there are not
        as many identities as items."""
        if len(items) != len(identities):
            raise ValueError(f"{len(items)} items, but {len(identities)} identities")
        with ThreadPoolExecutor(self._completion.threads) as pool:
            return list(pool.map(lambda item, identity: self._refine(item, identity, volume), items, identities))

    def _refine(self, item: Completed, identity: Identity, volume: TsdfVolume) -> Completed:
        sku = self._catalogue.get(identity.sku) if identity.sku else None
        inferred = np.asarray(item.shape.confidence)[len(item.visible) :]
        trust = self.config.trust * identity.confidence
        if sku is None or identity.confidence < self.config.sure_identity or len(item.visible) < 20:
            return item
        if len(inferred) and float(inferred.mean()) > trust:
            return item
        return self.register(item, sku, volume, trust) or item

    def register(self, item: Completed, sku: Sku, volume: TsdfVolume, trust: float) -> Completed | None:
        """The item with the product's shape, its unseen points with confidence ``trust``; None when that explains badly what
        was seen, or the product has no shape that is known."""
        X_tote_base = inverse(self._X_base_tote)
        points = transform_points(X_tote_base, item.visible.points)
        fits = [self._fit(item, solid, points, volume) for solid in solids_of(sku)]
        best = min(fits, key=lambda fit: fit[0], default=None)
        if best is None or best[2] > self.config.max_residual_m or best[3] > self.config.max_free:
            return None
        _, (X, solid), _, _ = best
        surface, outward = surface_points(solid, self._completion.spacing_m)
        measured = (points, transform_vectors(X_tote_base, item.visible.normals), np.ones(len(points)))
        inferred = (transform_points(X, surface), transform_vectors(X, outward), np.full(len(surface), trust))
        box = _sorted_box(X, solid)
        shape, _ = assemble(item.visible, [measured, inferred], box, self._X_base_tote, self._completion)
        return replace(item, shape=shape, seen_extents_m=extents_seen(points, *box))

    def _fit(
        self, item: Completed, solid: Solid, points: NDArray[np.float64], volume: TsdfVolume
    ) -> tuple[float, tuple[Pose, Solid], float, float]:
        """Cost, pose in the tote's frame, mean distance of the points, and share of the surface that was looked through."""
        config = self.config
        sample = np.ascontiguousarray(points[:: max(1, len(points) // config.points)])
        starts = self._starts(inverse(self._X_base_tote) @ item.shape.X_base_box, solid, points)
        if len(starts) == 0:
            return np.inf, (np.eye(4), solid), np.inf, 1.0
        # a little inside: along edges a camera looks past a surface that is where it should be
        inner = replace(solid, half=np.maximum(solid.half - SKIN_M, 0.0005))
        skin = surface_points(inner, max(0.008, 0.25 * float(solid.half.max())))[0]
        X_grid_tote = inverse(volume.X_base_grid) @ self._X_base_tote
        args = (sample, skin, solid.half, solid.is_round, X_grid_tote, volume.tsdf, volume.weight, volume.voxel_m,
                config.cap_m, config.free_weight)  # fmt: skip
        X, cost, residual, free = _climb(starts, *args)
        return cost, (X, solid), residual, free

    def _starts(self, X_tote_box: Pose, solid: Solid, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, 4, 4) poses from which to climb: the box's axes, and the solid at either end of what was seen along each."""
        frames = [np.roll(np.arange(3), -k) for k in range(3)] if solid.is_round else [np.arange(3)]
        out = []
        for axes in frames:
            R = X_tote_box[:3, :3][:, axes]
            low, length = span(points, R, 0.02)
            if (length > 2 * solid.half + self.config.max_excess_m).any():
                continue
            middle = low + 0.5 * length
            slack = np.maximum(solid.half - 0.5 * length, 0.0)
            ends = [(0.0,) if s < 0.004 else (-s, 0.0, s) for s in slack]
            for dx in ends[0]:
                for dy in ends[1]:
                    for dz in ends[2]:
                        X = np.eye(4)
                        X[:3, :3], X[:3, 3] = R, R @ (middle + np.array([dx, dy, dz]))
                        out.append(X)
        return np.array(out).reshape(-1, 4, 4)


def _sorted_box(X: Pose, solid: Solid) -> tuple[Pose, NDArray[np.float64]]:
    """The solid's bounding box, longest side along x, shortest along z, right-handed."""
    order = np.argsort(-solid.half, kind="stable")
    out = X.copy()
    out[:3, :3] = X[:3, :3][:, order]
    if np.linalg.det(out[:3, :3]) < 0:
        out[:3, 2] = -out[:3, 2]
    return out, 2.0 * solid.half[order]


@njit(cache=True, nogil=True)
def _cost(X, points, skin, half, is_round, G, tsdf, weight, voxel, cap, free_weight):  # type: ignore[no-untyped-def]
    """Cost, mean distance of the points to the surface (each at most ``cap``), share of the surface that was looked through
    or lies below the floor. ``X``: solid in tote; ``G``: tote in grid."""
    total = 0.0
    for p in range(len(points)):
        dx, dy, dz = points[p, 0] - X[0, 3], points[p, 1] - X[1, 3], points[p, 2] - X[2, 3]
        x = X[0, 0] * dx + X[1, 0] * dy + X[2, 0] * dz
        y = X[0, 1] * dx + X[1, 1] * dy + X[2, 1] * dz
        z = X[0, 2] * dx + X[1, 2] * dy + X[2, 2] * dz
        total += min(abs(signed_distance(x, y, z, half, is_round)), cap)
    mean = total / len(points)
    free = 0
    for s in range(len(skin)):
        a, b, c = skin[s]
        x = X[0, 0] * a + X[0, 1] * b + X[0, 2] * c + X[0, 3]
        y = X[1, 0] * a + X[1, 1] * b + X[1, 2] * c + X[1, 3]
        z = X[2, 0] * a + X[2, 1] * b + X[2, 2] * c + X[2, 3]
        if z < -0.003:
            free += 1
            continue
        i = int(np.floor((G[0, 0] * x + G[0, 1] * y + G[0, 2] * z + G[0, 3]) / voxel))
        j = int(np.floor((G[1, 0] * x + G[1, 1] * y + G[1, 2] * z + G[1, 3]) / voxel))
        k = int(np.floor((G[2, 0] * x + G[2, 1] * y + G[2, 2] * z + G[2, 3]) / voxel))
        if 0 <= i < tsdf.shape[0] and 0 <= j < tsdf.shape[1] and 0 <= k < tsdf.shape[2]:
            if weight[i, j, k] > 0.0 and tsdf[i, j, k] > FREE_CLEARANCE:
                free += 1
    share = free / len(skin)
    return mean / cap + free_weight * share, mean, share


@njit(cache=True, nogil=True)
def _moved(X, way, shift, turn):  # type: ignore[no-untyped-def]
    """``X`` moved along (0..2) or turned about (3..5) an axis of the frame, the other way from 6 on."""
    out = X.copy()
    sign = 1.0 if way < 6 else -1.0
    k = way % 6
    if k < 3:
        out[k, 3] += sign * shift
        return out
    c, s = np.cos(turn), sign * np.sin(turn)
    a, b = (k - 3 + 1) % 3, (k - 3 + 2) % 3
    for col in range(3):
        out[a, col] = c * X[a, col] - s * X[b, col]
        out[b, col] = s * X[a, col] + c * X[b, col]
    return out


@njit(cache=True, nogil=True)
def _climb(starts, points, skin, half, is_round, G, tsdf, weight, voxel, cap, free_weight):  # type: ignore[no-untyped-def]
    """The best of the two best starts, after climbing with halving steps."""
    costs = np.empty(len(starts))
    for k in range(len(starts)):
        costs[k] = _cost(starts[k], points, skin, half, is_round, G, tsdf, weight, voxel, cap, free_weight)[0]
    order = np.argsort(costs)
    best, X_best = np.inf, starts[order[0]].copy()
    for k in order[:2]:
        X, cost = starts[k].copy(), costs[k]
        shift, turn = 0.004, 0.06
        for _ in range(4):
            for _ in range(8):
                way_best, cost_best = -1, cost - 1e-4
                for way in range(12):
                    there = _moved(X, way, shift, turn)
                    value = _cost(there, points, skin, half, is_round, G, tsdf, weight, voxel, cap, free_weight)[0]
                    if value < cost_best:
                        way_best, cost_best = way, value
                if way_best < 0:
                    break
                X, cost = _moved(X, way_best, shift, turn), cost_best
            shift, turn = 0.5 * shift, 0.5 * turn
        if cost < best:
            best, X_best = cost, X
    cost, mean, share = _cost(X_best, points, skin, half, is_round, G, tsdf, weight, voxel, cap, free_weight)
    return X_best, cost, mean, share
