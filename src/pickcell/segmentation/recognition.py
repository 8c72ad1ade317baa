"""Where to cut the merge tree: at segments that look like products of the manifest.

Geometry alone cannot tell a printed stripe from a gap between two boxes. The manifest can: of all ways to cut the tree
of merges, take the one whose segments, together, look most like products in size and colour, weighed against the
evidence between the patches (a cut of a segmentation hierarchy by dynamic programming, as in Silberman et al. 2014,
"Instance segmentation of indoor scenes using a coverage loss").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.completion.box import fit_box
from pickcell.identity.config import IdentityConfig
from pickcell.identity.size import size_evidence
from pickcell.segmentation.agglomerate import MergeTree
from pickcell.segmentation.config import SegmentationConfig

BOX_POINTS = 150
"""Points that a segment's box is fitted to."""
HIDDEN = IdentityConfig(too_large_m=0.005, too_small_m=0.035, relative=0.08)
"""Sizes of what is visible: much may be hidden, so falling short of a product counts little."""
UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class ProductLook:
    """The products that may be in the tote."""

    dimensions_m: NDArray[np.float64]
    """(S, 3) descending."""
    colors: NDArray[np.float32]
    """(S, BINS) log-density of colour cells."""
    counts: NDArray[np.int64]
    """(S,) how many of each are in the tote."""


@dataclass(frozen=True)
class ItemPoints:
    """Points of items, patch by patch."""

    points: NDArray[np.float64]
    """(M, 3) in a frame with z up."""
    normals: NDArray[np.float64]
    """(M, 3)."""
    color_cells: NDArray[np.intp]
    """(M,) colour cell of each."""
    patch: NDArray[np.int32]
    """(M,) patch of each, -1 for none."""


@dataclass(frozen=True)
class _Claims:
    """A way to cut a subtree: its value, and what each recognised segment in it brings, by product."""

    value: float
    gains: dict[int, tuple[float, ...]]

    def joined(self, other: _Claims, counts: NDArray[np.int64]) -> _Claims:
        """Both together. A product claimed more often than it is there is left to those who gain most by it."""
        value = self.value + other.value
        gains = dict(self.gains)
        for product, theirs in other.gains.items():
            ranked = sorted((*gains.get(product, ()), *theirs), reverse=True)
            kept = int(counts[product])
            value -= sum(ranked[kept:])
            gains[product] = tuple(ranked[:kept])
        return _Claims(value, gains)


def best_cut(tree: MergeTree, items: ItemPoints, products: ProductLook, config: SegmentationConfig) -> NDArray[np.int64]:
    """(P,) segment of each patch, 0-based."""
    n, merges = tree.leaves, len(tree.score)
    above = np.full(n + merges, -np.inf)  # evidence of the merge that took the node up
    for k in range(merges):
        above[tree.children[k]] = tree.score[k]
    look = _Look(tree, items, products, config)
    claims: dict[int, _Claims] = {}
    whole = np.ones(n + merges, bool)
    for node in np.flatnonzero(above < config.split_below).tolist():
        alone = look.claims(node)
        if node < n or tree.score[node - n] >= config.split_below:
            claims[node] = alone
            continue
        left, right = tree.children[node - n].tolist()
        parts = claims[left].joined(claims[right], products.counts)
        parts = _Claims(parts.value - float(tree.score[node - n]), parts.gains)
        whole[node] = alone.value >= parts.value
        claims[node] = alone if whole[node] else parts
    return _segments(tree, whole)


def _segments(tree: MergeTree, whole: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Walk down from the roots to the first nodes that stay whole."""
    n = tree.leaves
    segment = np.full(n + len(tree.score), -1, np.int64)
    count = 0
    for node in range(len(segment) - 1, -1, -1):
        if segment[node] < 0 and whole[node]:
            segment[node] = count
            count += 1
        if node >= n:
            segment[tree.children[node - n]] = segment[node]
    return np.unique(segment[:n], return_inverse=True)[1].astype(np.int64)


def size_of_products(items: ItemPoints, rows: NDArray[np.intp], products: ProductLook) -> NDArray[np.float64]:
    """(S,) log-likelihood of each product's size, given the item points ``rows`` of one segment; some of them do."""
    some = rows[:: max(1, len(rows) // BOX_POINTS)]
    _, extents = fit_box(items.points[some], items.normals[some], UP, trim=0.01)
    return size_evidence(extents, extents, products.dimensions_m, HIDDEN)


class _Look:
    """How much tree nodes look like products."""

    def __init__(self, tree: MergeTree, items: ItemPoints, products: ProductLook, config: SegmentationConfig) -> None:
        self._items, self._products, self._config = items, products, config
        rank, self._first, self._last = _leaf_order(tree)
        in_patch = items.patch >= 0
        position = np.where(in_patch, rank[np.maximum(items.patch, 0)], tree.leaves)
        self._rows = np.argsort(position, kind="stable")
        self._start = np.searchsorted(position[self._rows], np.arange(tree.leaves + 1))
        scores = products.colors[:, items.color_cells[self._rows]]
        self._color_sum = np.concatenate([np.zeros((len(scores), 1)), np.cumsum(scores, axis=1, dtype=np.float64)], axis=1)

    def claims(self, node: int) -> _Claims:
        """The node as one segment: what it gains by the product it looks like most, nothing when it looks like none."""
        config = self._config
        start, end = self._start[self._first[node]], self._start[self._last[node] + 1]
        if end - start < config.fragment_points:
            return _Claims(-config.fragment_cost, {})
        color = (self._color_sum[:, end] - self._color_sum[:, start]) / (end - start)
        size = size_of_products(self._items, self._rows[start:end], self._products)
        evidence = size + HIDDEN.color_samples * color
        product = int(evidence.argmax())
        gain = config.recognition_weight * float(evidence[product] + config.recognition_reward)
        if gain <= 0.0:
            return _Claims(-config.unknown_cost, {})
        return _Claims(gain - config.unknown_cost, {product: (gain,)})


def _leaf_order(tree: MergeTree) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Position (P,) of each patch in an order in which every node is a run of patches; first and last position (P + K,)
    of each node's run."""
    n, merges = tree.leaves, len(tree.score)
    size = np.ones(n + merges, np.int64)
    for k in range(merges):
        size[n + k] = size[tree.children[k, 0]] + size[tree.children[k, 1]]
    first = np.full(n + merges, -1, np.int64)
    free = 0
    for node in range(n + merges - 1, -1, -1):
        if first[node] < 0:  # a root
            first[node] = free
            free += size[node]
        if node >= n:
            left, right = tree.children[node - n]
            first[left], first[right] = first[node], first[node] + size[left]
    return first[:n], first, first + size - 1
