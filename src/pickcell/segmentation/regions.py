"""Instances of each picture, and which of them, seen from different cameras, are one item.

A picture's regions are watersheds of the network's affinities. Regions of different pictures are one item when the surface
points that both cameras see agree on it: average linkage over the overlaps (:mod:`pickcell.segmentation.agglomerate`), so
that a region that one camera tears apart, or runs together with its neighbour, is outvoted by the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.segmentation.affinity import ViewAffinity, pixel_of_points
from pickcell.segmentation.agglomerate import agglomerate

REGION_ABOVE = 1.0
"""Logit of "the same item" between neighbours from which a region grows."""
REGION_PIXELS = 12
"""Smaller regions are left to their neighbours."""
AGREE_ABOVE = 0.4
"""Two regions are taken for one item when they share more than this of the points of either that both cameras see."""
ANY_SIZE_M = 10.0


@dataclass(frozen=True)
class PointItems:
    """What the cameras, together, take each point for."""

    item: NDArray[np.int32]
    """(N,) number from 1, 0 where no camera sees the point or none takes it for an item."""
    agreement: NDArray[np.float32]
    """(N,) share of the cameras that see it in some region and agree."""


def fuse_regions(points: NDArray[np.float32], answers: Sequence[ViewAffinity]) -> PointItems:
    """The items of points (N, 3) in ``base_link``."""
    at = np.zeros((len(answers), len(points)), np.int32)
    count = 0
    for v, answer in enumerate(answers):
        region = regions_of(answer.logits)
        region[region > 0] += count
        pixel = pixel_of_points(points, answer)
        at[v] = np.where(pixel >= 0, region.ravel()[pixel], 0)
        count = max(count, int(region.max(initial=0)))
    if count == 0:
        return PointItems(np.zeros(len(points), np.int32), np.zeros(len(points), np.float32))
    cluster = _cluster(at, count)
    return PointItems(*_vote(cluster[at], int(cluster.max()) + 1))


def _cluster(at: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """(count + 1,) item of each region, from 1; 0 for "no region"."""
    pairs, links, evidence = [], [], []
    for v in range(len(at)):
        for w in range(v + 1, len(at)):
            both = (at[v] > 0) & (at[w] > 0)
            key, shared = np.unique(at[v][both].astype(np.int64) * (count + 1) + at[w][both], return_counts=True)
            a, b = key // (count + 1), key % (count + 1)
            of_a, of_b = np.bincount(a, shared, count + 1), np.bincount(b, shared, count + 1)
            union = of_a[a] + of_b[b] - shared
            pairs.append(np.column_stack([a, b]) - 1)
            links.append(union)
            evidence.append(shared / union - AGREE_ABOVE)
    if not pairs or not sum(map(len, pairs)):
        return np.arange(count + 1, dtype=np.int32)
    segment = agglomerate(
        np.zeros((count, 3)), np.vstack(pairs), np.concatenate(links).astype(np.int64), np.concatenate(evidence), ANY_SIZE_M
    )
    return np.concatenate([[0], segment + 1]).astype(np.int32)


@njit(cache=True, nogil=True)
def _vote(item, count):  # type: ignore[no-untyped-def]
    """Per point the most frequent number over the views, and its share of those that are not 0."""
    out, share = np.zeros(item.shape[1], np.int32), np.zeros(item.shape[1], np.float32)
    votes = np.zeros(count, np.int32)
    for p in range(item.shape[1]):
        total, best = 0, 0
        for v in range(item.shape[0]):
            g = item[v, p]
            if g > 0:
                votes[g] += 1
                total += 1
                if votes[g] > votes[best] or best == 0:
                    best = g
        if best > 0:
            out[p] = best
            share[p] = votes[best] / total
        for v in range(item.shape[0]):
            votes[item[v, p]] = 0
    return out, share


def regions_of(logits: NDArray[np.float32]) -> NDArray[np.int32]:
    """(h, w) region of each pixel that shows an item, from 1, 0 for the others.

    Sure regions first; what is unsure (the band along every edge) goes to them over the surest neighbours: a watershed as a
    minimum spanning forest (J. Cousty et al., "Watershed cuts", PAMI 2009), whose borders run along the middle of the bands.
    """
    region = _seeds(logits, REGION_ABOVE, REGION_PIXELS)
    h, w = region.shape
    strength = np.minimum(logits[1:3], 12.0)
    index = np.arange(h * w).reshape(h, w)
    item = logits[0] > 0.0
    right = (item[:, :-1] & item[:, 1:] & ((region[:, :-1] == 0) | (region[:, 1:] == 0))).ravel()
    down = (item[:-1] & item[1:] & ((region[:-1] == 0) | (region[1:] == 0))).ravel()
    first = np.concatenate([index[:, :-1].ravel()[right], index[:-1].ravel()[down]])
    second = np.concatenate([index[:, 1:].ravel()[right], index[1:].ravel()[down]])
    value = np.concatenate([strength[0][:, :-1].ravel()[right], strength[1][:-1].ravel()[down]])
    order = np.argsort(-value, kind="stable")
    return np.asarray(_flood(region.ravel(), first[order], second[order])).reshape(h, w)


@njit(cache=True, nogil=True)
def _flood(region, first, second):  # type: ignore[no-untyped-def]
    """Join pixels along edges in the given order, never two that belong to different regions."""
    n = len(region)
    parent = np.arange(n)
    number = region.copy()
    for e in range(len(first)):
        a, b = first[e], second[e]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a == b or (number[a] > 0 and number[b] > 0):
            continue
        parent[b] = a
        number[a] = max(number[a], number[b])
    out = np.zeros(n, np.int32)
    for p in range(n):
        root = p
        while parent[root] != root:
            root = parent[root]
        out[p] = number[root]
    return out


@njit(cache=True, nogil=True)
def _seeds(logits, above, least):  # type: ignore[no-untyped-def]
    """(h, w) sure connected region of each pixel, from 1; 0 for pixels of no item and of regions below ``least`` pixels."""
    h, w = logits.shape[1:]
    parent = np.arange(h * w)
    for r in range(h):
        for c in range(w):
            if logits[0, r, c] <= 0.0:
                continue
            for o in range(2):
                r2, c2 = r + o, c + 1 - o
                if r2 < h and c2 < w and logits[0, r2, c2] > 0.0 and logits[1 + o, r, c] > above:
                    a, b = r * w + c, r2 * w + c2
                    while parent[a] != a:
                        parent[a] = parent[parent[a]]
                        a = parent[a]
                    while parent[b] != b:
                        parent[b] = parent[parent[b]]
                        b = parent[b]
                    parent[max(a, b)] = min(a, b)
    size = np.zeros(h * w, np.int64)
    for p in range(h * w):
        root = p
        while parent[root] != root:
            root = parent[root]
        parent[p] = root
        size[root] += 1
    number, count = np.zeros(h * w, np.int32), 0
    out = np.zeros((h, w), np.int32)
    for p in range(h * w):
        root = parent[p]
        if size[root] >= least:
            if number[root] == 0:
                count += 1
                number[root] = count
            out[p // w, p % w] = number[root]
    return out
