"""Merge patches into items, the best pair first.

Signed graph agglomeration with average linkage (Bailoni et al. 2022, "GASP, a generalized framework for agglomerative
clustering of signed graphs"): the evidence between two segments is the boundary-length-weighted mean of the evidence
between their patches; merging stops by itself where the evidence turns against it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DIRECTIONS = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1],
     [1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], dtype=np.float64,
)  # fmt: skip
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)


def agglomerate(
    centres: NDArray[np.float64],
    pairs: NDArray[np.int64],
    links: NDArray[np.int64],
    evidence: NDArray[np.float64],
    max_diameter_m: float,
    threshold: float = 0.0,
) -> NDArray[np.int64]:
    """(P,) segment of each patch, 0-based. ``centres`` (P, 3); ``pairs`` (E, 2) with ``links`` (E,) and ``evidence``
    (E,). No segment becomes longer than ``max_diameter_m`` between patch centres in any of 13 directions."""
    if len(centres) == 0:
        return np.zeros(0, np.int64)
    spans = centres @ _DIRECTIONS.T
    root = _merge(
        spans.copy(),
        spans.copy(),
        pairs.astype(np.int64),
        links.astype(np.float64),
        evidence.astype(np.float64),
        max_diameter_m,
        threshold,
    )
    _, out = np.unique(root, return_inverse=True)
    return out.astype(np.int64)


@njit(cache=True, nogil=True)
def _merge(low, high, pairs, links, evidence, max_diameter, threshold):  # type: ignore[no-untyped-def]
    """Dense average-linkage merging; ``low``, ``high``: (P, 13) extents of each segment along fixed directions."""
    n = len(low)
    total = np.zeros((n, n), np.float32)  # evidence times length
    length = np.zeros((n, n), np.float32)
    for e in range(len(pairs)):
        a, b = pairs[e]
        total[a, b] = total[b, a] = evidence[e] * links[e]
        length[a, b] = length[b, a] = links[e]
    parent = np.arange(n)
    alive = np.ones(n, np.bool_)
    best = np.full(n, -1, np.int64)
    score = np.full(n, -np.inf)
    for a in range(n):
        best[a], score[a] = _best(a, total, length, alive)
    while True:
        a = np.argmax(score)
        if score[a] <= threshold:
            break
        b = best[a]
        fits = True
        for k in range(low.shape[1]):
            if max(high[a, k], high[b, k]) - min(low[a, k], low[b, k]) > max_diameter:
                fits = False
        if not fits:  # never again this pair
            total[a, b] = total[b, a] = -1e6 * length[a, b]
            best[a], score[a] = _best(a, total, length, alive)
            best[b], score[b] = _best(b, total, length, alive)
            continue
        alive[b] = False
        score[b] = -np.inf
        for p in range(n):
            if parent[p] == b:
                parent[p] = a
        for k in range(low.shape[1]):
            high[a, k] = max(high[a, k], high[b, k])
            low[a, k] = min(low[a, k], low[b, k])
        for c in range(n):
            if c != a and alive[c] and length[b, c] > 0:
                total[a, c] += total[b, c]
                total[c, a] = total[a, c]
                length[a, c] += length[b, c]
                length[c, a] = length[a, c]
        best[a], score[a] = _best(a, total, length, alive)
        for c in range(n):
            if c != a and alive[c] and length[a, c] > 0:
                if best[c] == a or best[c] == b:
                    best[c], score[c] = _best(c, total, length, alive)
                else:
                    mean = total[c, a] / length[c, a]
                    if mean > score[c]:
                        best[c], score[c] = a, mean
            elif alive[c] and best[c] == b:
                best[c], score[c] = _best(c, total, length, alive)
    return parent


@njit(cache=True, nogil=True)
def _best(a, total, length, alive):  # type: ignore[no-untyped-def]
    who, value = -1, -np.inf
    for c in range(len(alive)):
        if alive[c] and c != a and length[a, c] > 0:
            mean = total[a, c] / length[a, c]
            if mean > value:
                who, value = c, mean
    return who, value
