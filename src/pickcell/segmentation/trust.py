"""How far each instance is to be trusted: the chance that it is one item, and all that is seen of it.

What a merge tree is sure of is each single decision. An instance is right only if the weakest decision within it and the
strongest one against its border are; the votes for its middle, the manifest and its size know more. A logistic regression
over all of these, fitted on instances of scenes that the network was not trained on, says it as a probability.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pickcell.segmentation.agglomerate import merge_tree
from pickcell.segmentation.patch_scene import Evidence, PatchScene
from pickcell.segmentation.recognition import HIDDEN, ProductLook, size_of_products

TRUST_FEATURES = (
    "bias", "inside", "weakest_inside", "parts", "outside", "strongest_outside", "alone", "votes_differ", "votes_apart",
    "rival", "no_votes", "size_of_product", "color_of_product", "no_product", "points", "small",
)  # fmt: skip
"""Per instance: 1; mean probability of its inner edges; evidence of the last merge that makes it whole; pieces beyond the
first that touch no other, at most 3; mean probability that its outer edges are ones; the most that speaks for one of its
neighbours being part of it; 1 where nothing touches it; how much the votes for its middle differ, in units of 3 cm, at most
2; share of them that are more than 4 cm off; how near the middle of another instance is, 1 at the same place, 0 from 6 cm
on; 1 without votes; log-likelihoods of its size and colour under the product that it looks like most, at least -3; 1 where
the products are not known; log10 of its points, from 100; 1 / (1 + points / 100)."""
SURE = 4.0
"""Evidence counts up to this, either way."""
FAR_VOTE_M, VOTE_UNIT_M, RIVAL_M = 0.04, 0.03, 0.06
GEOMETRIC_TRUST = np.array(
    [0.44, 0.09, -0.05, 0.00, 0.57, -0.34, -0.30, 0.00, 0.00, 0.00, 0.44, 1.40, -0.02, -1.60, 0.85, -4.45]
)
"""Fitted for geometry alone, by ``./cell train evidence``."""


def trust(instance: NDArray[np.int32], scene: PatchScene, evidence: Evidence, products: ProductLook) -> NDArray[np.float32]:
    """(K,) chance that each of the instances 1..K is right; see :func:`trust_features`."""
    weights = GEOMETRIC_TRUST if evidence.trust is None else evidence.trust
    log_odds = trust_features(instance, scene, evidence, products) @ weights
    return (1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0)))).astype(np.float32)


def trust_features(
    instance: NDArray[np.int32], scene: PatchScene, evidence: Evidence, products: ProductLook
) -> NDArray[np.float64]:
    """(K, len(TRUST_FEATURES)) of instances 1..K. ``instance``: (P,) id of each patch, 0 for none."""
    count = int(instance.max(initial=0))
    points = np.bincount(instance, scene.patches.sizes, count + 1)[1:]
    columns = [
        np.ones(count),
        *_decisions(instance, scene, evidence.log_odds, count),
        *_votes(instance, evidence, count),
        *_likeness(instance, scene, products, count),
        np.log10(np.maximum(points, 1.0) / 100.0),
        1.0 / (1.0 + points / 100.0),
    ]
    return np.column_stack(columns).reshape(count, len(TRUST_FEATURES))


def _decisions(
    instance: NDArray[np.int32], scene: PatchScene, log_odds: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], ...]:
    """What the edges within and around each instance say."""
    graph = scene.graph
    a, b = instance[graph.pairs[:, 0]], instance[graph.pairs[:, 1]]
    links, inner = graph.links.astype(np.float64), (a == b) & (a > 0)
    chance = 1.0 / (1.0 + np.exp(-log_odds))
    inside = _mean(a[inner], chance[inner], links[inner], count, 1.0)
    weakest, parts = _weakest(instance, scene, log_odds, inner, count)
    outer = a != b
    first, second = np.concatenate([a[outer], b[outer]]), np.concatenate([b[outer], a[outer]])
    twice = np.tile(links[outer], 2)
    outside = _mean(first, np.tile(1.0 - chance[outer], 2), twice, count, 1.0)
    key = first.astype(np.int64) * (count + 1) + second
    both, at = np.unique(key, return_inverse=True)
    mean = np.bincount(at, np.tile(log_odds[outer], 2) * twice, len(both)) / np.maximum(np.bincount(at, twice, len(both)), 1)
    strongest = np.full(count + 1, -SURE)
    np.maximum.at(strongest, both // (count + 1), np.clip(mean, -SURE, SURE))
    alone = np.bincount(first, minlength=count + 1)[1:] == 0
    return inside, weakest, parts, outside, strongest[1:], alone.astype(np.float64)


def _weakest(
    instance: NDArray[np.int32], scene: PatchScene, log_odds: NDArray[np.float64], inner: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evidence (K,) of the last merge of each instance, SURE when it is one patch; pieces (K,) beyond the first."""
    edges = np.flatnonzero(inner)
    edges = edges[np.argsort(instance[scene.graph.pairs[edges, 0]], kind="stable")]
    at = np.searchsorted(instance[scene.graph.pairs[edges, 0]], np.arange(1, count + 2))
    place = np.zeros(len(instance), np.int64)
    weakest, parts = np.full(count, SURE), np.zeros(count)
    for k in range(count):
        mine, own = np.flatnonzero(instance == k + 1), edges[at[k] : at[k + 1]]
        place[mine] = np.arange(len(mine))
        tree = merge_tree(
            scene.patches.centres[mine],
            place[scene.graph.pairs[own]],
            scene.graph.links[own],
            log_odds[own],
            np.inf,
            -np.inf,
        )
        parts[k] = min(len(mine) - len(tree.score) - 1, 3)
        weakest[k] = np.clip(tree.score.min(initial=SURE), -SURE, SURE)
    return weakest, parts


def _votes(instance: NDArray[np.int32], evidence: Evidence, count: int) -> tuple[NDArray[np.float64], ...]:
    """How far the votes of each instance agree, and how near another instance's middle is."""
    votes = evidence.votes
    if votes is None:
        return np.zeros(count), np.zeros(count), np.zeros(count), np.ones(count)
    ballots = np.bincount(instance, votes.count, count + 1)
    n = np.maximum(ballots, 1.0)
    middle = np.column_stack([np.bincount(instance, votes.count * votes.middle[:, k], count + 1) / n for k in range(3)])
    off = np.linalg.norm(votes.middle - middle[instance], axis=1)
    differ = np.sqrt(np.bincount(instance, votes.count * (votes.spread**2 + off**2), count + 1) / n)
    apart = np.bincount(instance, votes.count * (off > FAR_VOTE_M), count + 1) / n
    gap = np.linalg.norm(middle[1:, None] - middle[None, 1:], axis=2)
    able = ballots[1:] > 0
    gap[:, ~able] = np.inf
    np.fill_diagonal(gap, np.inf)
    rival = np.maximum(1.0 - gap.min(axis=1, initial=np.inf) / RIVAL_M, 0.0) * able
    return np.minimum(differ[1:] / VOTE_UNIT_M, 2.0), apart[1:], rival, (~able).astype(np.float64)


def _likeness(
    instance: NDArray[np.int32], scene: PatchScene, products: ProductLook, count: int
) -> tuple[NDArray[np.float64], ...]:
    """Log-likelihoods of size and of colour of the product that each instance looks like most; whether none is known."""
    size, color = np.zeros(count), np.zeros(count)
    if len(products.dimensions_m) == 0:
        return size, color, np.ones(count)
    items = scene.items
    owner = np.where(items.patch >= 0, instance[np.maximum(items.patch, 0)], 0)
    rows = np.argsort(owner, kind="stable")
    start = np.searchsorted(owner[rows], np.arange(1, count + 2))
    for k in range(count):
        mine = rows[start[k] : start[k + 1]]
        sizes = size_of_products(items, mine, products)
        colors = HIDDEN.color_samples * products.colors[:, items.color_cells[mine]].mean(axis=1)
        best = int((sizes + colors).argmax())
        size[k], color[k] = np.clip([sizes[best], colors[best]], -3.0, 3.0)
    return size, color, np.zeros(count)


def _mean(
    owner: NDArray[np.integer], value: NDArray[np.float64], weight: NDArray[np.float64], count: int, nothing: float
) -> NDArray[np.float64]:
    """(K,) weighted mean of the values of each instance 1..K, ``nothing`` where it has none."""
    total, length = np.bincount(owner, value * weight, count + 1)[1:], np.bincount(owner, weight, count + 1)[1:]
    return np.where(length > 0, total / np.maximum(length, 1e-9), nothing)
