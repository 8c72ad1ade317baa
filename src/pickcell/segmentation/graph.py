"""How much each pair of touching patches speaks for being one item.

Local convexity (Stein et al. 2014, "Object partitioning using local convexity"): items meet each other and the floor in
concave creases, while most items are convex. Colour adds to it: a change of colour on one plane is often print, so it
only says something where the geometry leaves the question open; and like colours excuse a slight concavity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.segmentation.supervoxels import Patches

SignedDistance = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Signed distance (N,) in units of the truncation at points (N, 3): positive outside, 0 where never observed."""


@dataclass(frozen=True)
class PatchGraph:
    """Touching pairs of patches."""

    pairs: NDArray[np.int64]
    """(E, 2) patch indices, first < second."""
    links: NDArray[np.int64]
    """(E,) point neighbourhoods across the boundary: a measure of its length."""
    features: NDArray[np.float64]
    """(E, F) see :data:`FEATURES`."""


FEATURES = (
    "bias",
    "concave",
    "convex",
    "hollow",
    "filled",
    "color",
    "color_flat",
    "color_convex",
    "color_concave",
    "step",
    "narrow",
)
"""``concave``, ``convex``: angle between the normals in radians where the crease is of that kind, else 0. ``hollow``,
``filled``: how far the straight line between the centres runs outside or inside the measured surface (units of the
truncation). ``color``: difference of mean colours (CIELAB / 50, at most 1); ``color_flat``, ``color_convex``,
``color_concave``: the same where the patches lie in one plane, on a convex or on a concave crease. ``step``: offset of
one patch from the other's plane (cm) where their normals agree. ``narrow``: how short the boundary is for patches of
this size, 0..1."""


def build_graph(patches: Patches, neighbours: NDArray[np.int32], distance: SignedDistance) -> PatchGraph:
    """The graph of touching patches; ``neighbours`` (M, 26) of the points that the patches were grown from;
    ``distance`` gives the signed distance to the surface at points in the patches' frame."""
    pairs, links = _boundaries(patches.label, neighbours, len(patches.sizes))
    return PatchGraph(pairs, links, _features(patches, pairs, links, distance))


def _boundaries(
    label: NDArray[np.int32], neighbours: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    keys = _boundary_keys(label, neighbours, count)
    unique, links = np.unique(keys, return_counts=True)
    return np.column_stack([unique // max(count, 1), unique % max(count, 1)]), links.astype(np.int64)


@njit(cache=True, nogil=True)
def _boundary_keys(label, neighbours, count):  # type: ignore[no-untyped-def]
    out = np.empty(label.shape[0] * 26, np.int64)
    n = 0
    for p in range(label.shape[0]):
        a = label[p]
        if a < 0:
            continue
        for q in neighbours[p]:
            if q >= 0:
                b = label[q]
                if b > a:
                    out[n] = np.int64(a) * count + b
                    n += 1
    return out[:n].copy()


def _features(
    patches: Patches, pairs: NDArray[np.int64], links: NDArray[np.int64], distance: SignedDistance
) -> NDArray[np.float64]:
    a, b = pairs[:, 0], pairs[:, 1]
    na, nb = patches.normals[a], patches.normals[b]
    d = patches.centres[b] - patches.centres[a]
    length = np.maximum(np.linalg.norm(d, axis=1), 1e-6)
    angle = np.arccos(np.clip(np.sum(na * nb, axis=1), -1.0, 1.0))
    # convex when the normals spread apart along the line between the centres
    spread = np.sum((nb - na) * d, axis=1) / length
    concave = np.where(spread < 0, angle, 0.0)
    convex = np.where(spread >= 0, angle, 0.0)
    between = np.stack([distance(patches.centres[a] + t * d) for t in (0.3, 0.5, 0.7)])
    hollow = np.clip(between, 0.0, 1.0).mean(axis=0)
    filled = np.clip(-between, 0.0, 1.0).mean(axis=0)
    weights = np.array([0.5, 1.0, 1.0])
    color = np.minimum(np.linalg.norm((patches.lab[a] - patches.lab[b]) * weights, axis=1) / 50.0, 1.0)
    offset = np.minimum(np.abs(np.sum(na * d, axis=1)), np.abs(np.sum(nb * d, axis=1)))
    agree = angle < np.deg2rad(25.0)
    step = np.where(agree, np.minimum(100.0 * offset, 1.0), 0.0)
    flat = agree & (offset < 0.0025)
    boundary = links / np.sqrt(np.maximum(np.minimum(patches.sizes[a], patches.sizes[b]), 1))
    narrow = np.clip(1.0 - boundary / 3.0, 0.0, 1.0)
    creased = angle > 0.3
    return np.column_stack(
        [
            np.ones(len(pairs)), concave, convex, hollow, filled, color, np.where(flat, color, 0.0),
            np.where(creased & (convex > 0), color, 0.0), np.where(creased & (concave > 0), color, 0.0), step, narrow,
        ]
    )  # fmt: skip


DEFAULT_WEIGHTS = np.array([4.43, -1.42, 0.02, -1.93, 1.36, -4.78, 1.67, 0.54, -2.61, -3.04, -0.37])
"""Log-odds of "same item" per feature (logistic regression on labelled captures; see docs/perception.md)."""


def log_odds(graph: PatchGraph, weights: NDArray[np.float64] = DEFAULT_WEIGHTS) -> NDArray[np.float64]:
    """(E,) evidence that each pair belongs to one item: positive for, negative against."""
    return graph.features @ weights
