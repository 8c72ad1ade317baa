"""Merge patches into items, the best pair first.

Signed graph agglomeration with average linkage (Bailoni et al. 2022, "GASP, a generalized framework for agglomerative
clustering of signed graphs"): the evidence between two segments is the boundary-length-weighted mean of the evidence
between their patches; merging stops by itself where the evidence turns against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DIRECTIONS = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1],
     [1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], dtype=np.float64,
)  # fmt: skip
NEVER = -1e5
"""Evidence so far against it never joins anything, whatever the threshold."""
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)


@dataclass(frozen=True)
class MergeTree:
    """The order in which P patches were merged: nodes 0..P-1 are the patches, node P + k is the k-th merge."""

    leaves: int
    children: NDArray[np.int64]
    """(K, 2) nodes that merge k joined."""
    score: NDArray[np.float64]
    """(K,) evidence at which it did; never rises."""

    def cut(self, threshold: float) -> NDArray[np.int64]:
        """(P,) segment of each patch, 0-based, with all merges above ``threshold`` done."""
        parent = np.arange(self.leaves + len(self.score))
        for k in np.flatnonzero(self.score > threshold):
            parent[self.children[k]] = self.leaves + k
        while True:
            higher = parent[parent]
            if np.array_equal(higher, parent):
                break
            parent = higher
        return np.unique(parent[: self.leaves], return_inverse=True)[1].astype(np.int64)


def merge_tree(
    centres: NDArray[np.float64],
    pairs: NDArray[np.int64],
    links: NDArray[np.int64],
    evidence: NDArray[np.float64],
    max_diameter_m: float,
    threshold: float = 0.0,
) -> MergeTree:
    """Merge while the evidence is above ``threshold``. ``centres`` (P, 3); ``pairs`` (E, 2) with ``links`` (E,) and
    ``evidence`` (E,). No segment becomes longer than ``max_diameter_m`` between patch centres in any of 13 directions."""
    if len(centres) == 0:
        return MergeTree(0, np.zeros((0, 2), np.int64), np.zeros(0))
    spans = centres @ _DIRECTIONS.T
    joined, score = _merge(
        spans.copy(),
        spans.copy(),
        pairs.astype(np.int64),
        links.astype(np.float64),
        evidence.astype(np.float64),
        max_diameter_m,
        threshold,
    )
    return MergeTree(len(centres), joined, score)


def agglomerate(
    centres: NDArray[np.float64],
    pairs: NDArray[np.int64],
    links: NDArray[np.int64],
    evidence: NDArray[np.float64],
    max_diameter_m: float,
    threshold: float = 0.0,
) -> NDArray[np.int64]:
    """(P,) segment of each patch, 0-based: see :func:`merge_tree`."""
    return merge_tree(centres, pairs, links, evidence, max_diameter_m, threshold).cut(threshold)


@njit(cache=True, nogil=True)
def _merge(low, high, pairs, links, evidence, max_diameter, threshold):  # type: ignore[no-untyped-def]
    """Average-linkage merging; ``low``, ``high``: (P, 13) extents of each segment along fixed directions.

    Each segment keeps a list of its neighbours, with the sums of evidence and length beside it. The tables are as wide as
    lists may grow, but only the memory that lists really fill is ever touched."""
    n = len(low)
    near = np.empty((n, n), np.int32)  # neighbours of each segment, also such as are no more
    total = np.empty((n, n), np.float32)  # evidence times length
    length = np.empty((n, n), np.float32)
    count = np.zeros(n, np.int64)
    for e in range(len(pairs)):
        a, b = pairs[e]
        for i, j in ((a, b), (b, a)):
            near[i, count[i]], total[i, count[i]], length[i, count[i]] = j, evidence[e] * links[e], links[e]
            count[i] += 1
    node = np.arange(n)  # tree node that each living row stands for
    joined = np.empty((n, 2), np.int64)
    at = np.empty(n)
    merges = 0
    alive = np.ones(n, np.bool_)
    place = np.full(n, -1, np.int64)  # of each segment in the list of the one that grows
    best = np.full(n, -1, np.int64)
    score = np.full(n, -np.inf)
    for a in range(n):
        best[a], score[a] = _best(a, total, length, alive, near, count)
    while n:
        a = np.argmax(score)
        if score[a] <= max(threshold, NEVER):
            break
        b = best[a]
        fits = True
        for k in range(low.shape[1]):
            if max(high[a, k], high[b, k]) - min(low[a, k], low[b, k]) > max_diameter:
                fits = False
        if not fits:  # never again this pair
            for i, j in ((a, b), (b, a)):
                at_j = _find(j, near, count, i)
                total[i, at_j] = 10.0 * NEVER * length[i, at_j]
                best[i], score[i] = _best(i, total, length, alive, near, count)
            continue
        joined[merges, 0], joined[merges, 1], at[merges] = node[a], node[b], score[a]
        node[a] = n + merges
        merges += 1
        alive[b] = False
        score[b] = -np.inf
        for k in range(low.shape[1]):
            high[a, k] = max(high[a, k], high[b, k])
            low[a, k] = min(low[a, k], low[b, k])
        for i in range(count[a]):
            place[near[a, i]] = i
        for i in range(count[b]):
            c = near[b, i]
            if c == a or not alive[c]:
                continue
            if place[c] >= 0:
                k, m = place[c], _find(a, near, count, c)
                total[a, k] += total[b, i]
                length[a, k] += length[b, i]
            else:
                k, m = count[a], count[c]
                near[a, k], near[c, m] = c, a
                total[a, k], length[a, k] = total[b, i], length[b, i]
                count[a] += 1
                count[c] += 1
            total[c, m], length[c, m] = total[a, k], length[a, k]
        for i in range(count[a]):
            place[near[a, i]] = -1
        best[a], score[a] = _best(a, total, length, alive, near, count)
        for i in range(count[a]):
            c = near[a, i]
            if best[c] == a or best[c] == b:
                best[c], score[c] = _best(c, total, length, alive, near, count)
            else:
                mean = total[a, i] / length[a, i]
                if mean > score[c]:
                    best[c], score[c] = a, mean
    return joined[:merges].copy(), at[:merges].copy()


@njit(cache=True, nogil=True)
def _find(b, near, count, a):  # type: ignore[no-untyped-def]
    """Place of ``b`` in the list of ``a``, which it is in."""
    for i in range(count[a]):
        if near[a, i] == b:
            return i
    return -1


@njit(cache=True, nogil=True)
def _best(a, total, length, alive, near, count):  # type: ignore[no-untyped-def]
    """The living neighbour that most speaks for joining, the first of equals; forgets those that are no more."""
    who, value, kept = -1, -np.inf, 0
    for i in range(count[a]):
        c = near[a, i]
        if not alive[c]:
            continue
        near[a, kept], total[a, kept], length[a, kept] = c, total[a, i], length[a, i]
        mean = total[a, kept] / length[a, kept]
        kept += 1
        if mean > value or (mean == value and c < who):
            who, value = c, mean
    count[a] = kept
    return who, value
