"""Join what is seen of one item in several places: segments that do not touch, but vote for one middle.

Something that lies across an item, or a surface that no camera got depth from, leaves two parts of it that no chain of
touching patches joins. What speaks for one item: their pixels vote for one middle, colours are alike, and no space that was
looked through lies between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.identity.appearance import BINS
from pickcell.segmentation.agglomerate import agglomerate
from pickcell.segmentation.graph import SignedDistance
from pickcell.segmentation.patch_scene import PatchScene
from pickcell.segmentation.votes import PatchVotes

REUNITE_FEATURES = (
    "bias", "vote_gap", "vote_sure", "vote_spread", "color", "gap", "open", "touching", "touching_evidence", "small",
)  # fmt: skip
"""Per pair of segments: 1; distance between the middles that they vote for, in units of 3 cm, at most 3; the same against
how much the votes disagree, at most 4; that disagreement, in units of 3 cm, at most 2; difference of their colours, 0..1;
distance between them, in units of 5 cm, at most 3; share of the straight line between them that was looked through; 1 where
they touch, and the mean evidence there, at most 4 either way; 1 / (1 + points of the smaller one / 100)."""
FARTHEST_VOTE_M = 0.09
"""Segments whose votes are further apart are not one item."""
LEAST_POINTS = 15
LINE_SAMPLES = 7


@dataclass(frozen=True)
class SegmentPairs:
    """Pairs of segments that may be one item."""

    pairs: NDArray[np.int64]
    """(K, 2) segments, first < second."""
    features: NDArray[np.float64]
    """(K, len(REUNITE_FEATURES))."""
    size: NDArray[np.int64]
    """(S,) points of each segment."""
    centre: NDArray[np.float64]
    """(S, 3) mean of its patches' centres."""


def segment_pairs(
    segment: NDArray[np.int64],
    scene: PatchScene,
    votes: PatchVotes,
    evidence: NDArray[np.float64],
    distance: SignedDistance,
) -> SegmentPairs:
    """``segment``: (P,) of each patch; ``evidence``: (E,) of the touching pairs of patches."""
    patches, graph = scene.patches, scene.graph
    count = int(segment.max()) + 1
    size = np.bincount(segment, patches.sizes, count)
    weight = votes.count
    ballots = np.bincount(segment, weight, count)
    n = np.maximum(ballots, 1.0)
    middle = np.column_stack([np.bincount(segment, weight * votes.middle[:, k], count) for k in range(3)]) / n[:, None]
    second = np.bincount(segment, weight * (votes.spread**2 + np.sum(votes.middle**2, axis=1)), count) / n
    spread = np.sqrt(np.maximum(second - np.sum(middle**2, axis=1), 0.0))
    total = np.column_stack([np.bincount(segment, patches.centres[:, k], count) for k in range(3)])
    centre = np.asarray(total / np.bincount(segment, minlength=count)[:, None], np.float64)
    gap = np.linalg.norm(middle[:, None] - middle[None], axis=2)
    able = (size >= LEAST_POINTS) & (ballots > 0)
    a, b = np.nonzero(np.triu((gap < FARTHEST_VOTE_M) & able[:, None] & able[None], 1))
    apart, is_open = _between(segment, patches.centres, a, b, distance)
    links, sums = _touching(segment, graph.pairs, graph.links, evidence, count)
    key = a * count + b
    touching = links[key] > 0
    both = np.sqrt(spread[a] ** 2 + spread[b] ** 2)
    features = np.column_stack(
        [
            np.ones(len(a)),
            np.minimum(gap[a, b] / 0.03, 3.0),
            np.minimum(gap[a, b] / (both + 0.01), 4.0),
            np.minimum(both / 0.03, 2.0),
            _color_difference(segment, scene, count, a, b),
            np.minimum(apart / 0.05, 3.0),
            is_open,
            touching,
            np.clip(np.where(touching, sums[key] / np.maximum(links[key], 1.0), 0.0), -4.0, 4.0),
            1.0 / (1.0 + np.minimum(size[a], size[b]) / 100.0),
        ]
    )
    return SegmentPairs(np.column_stack([a, b]), features, size.astype(np.int64), centre)


def reunite(
    segment: NDArray[np.int64], pairs: SegmentPairs, weights: NDArray[np.float64], scene: PatchScene, limit_m: float
) -> NDArray[np.int64]:
    """(P,) segments, 0-based, with those joined that are one item; none longer than ``limit_m`` becomes so by it."""
    if len(pairs.pairs) == 0:
        return segment
    worth = pairs.features @ weights
    links = np.minimum(pairs.size[pairs.pairs[:, 0]], pairs.size[pairs.pairs[:, 1]])
    joined = agglomerate(pairs.centre, pairs.pairs, np.maximum(links, 1), worth, limit_m)
    return _within(segment, joined, scene.patches.centres, limit_m)


def _within(
    segment: NDArray[np.int64], joined: NDArray[np.int64], centres: NDArray[np.float64], limit_m: float
) -> NDArray[np.int64]:
    """Take back joins that make an item longer than any is."""
    out = joined[segment]
    for group in np.unique(out):
        members = out == group
        if len(np.unique(segment[members])) > 1 and np.linalg.norm(np.ptp(centres[members], axis=0)) > limit_m:
            out[members] = out.max() + 1 + segment[members]
    return np.unique(out, return_inverse=True)[1].astype(np.int64)


def _between(
    segment: NDArray[np.int64],
    centres: NDArray[np.float64],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    distance: SignedDistance,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance (K,) between the nearest patches of two segments; share (K,) of the line between them that is free."""
    rows = [np.flatnonzero(segment == s) for s in range(int(segment.max()) + 1)]
    apart, start, way = np.zeros(len(first)), np.zeros((len(first), 3)), np.zeros((len(first), 3))
    for k, (a, b) in enumerate(zip(first, second)):
        d = np.linalg.norm(centres[rows[a]][:, None] - centres[rows[b]][None], axis=2)
        i, j = np.unravel_index(int(d.argmin()), d.shape)
        apart[k], start[k] = d[i, j], centres[rows[a][i]]
        way[k] = centres[rows[b][j]] - start[k]
    along = np.linspace(0.0, 1.0, LINE_SAMPLES + 2)[1:-1]
    line = start[:, None] + along[None, :, None] * way[:, None]
    free = distance(line.reshape(-1, 3)).reshape(len(first), LINE_SAMPLES) > 0.5 if len(first) else np.zeros((0, 1))
    return apart, free.mean(axis=1)


def _touching(
    segment: NDArray[np.int64],
    pairs: NDArray[np.int64],
    links: NDArray[np.int64],
    evidence: NDArray[np.float64],
    count: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Length of the boundary between segments, and evidence summed along it, at [first * count + second]."""
    a, b = segment[pairs[:, 0]], segment[pairs[:, 1]]
    key = np.minimum(a, b) * count + np.maximum(a, b)
    length, total = (np.bincount(key, w, count * count) for w in (links.astype(np.float64), links * evidence))
    return np.asarray(length, np.float64), np.asarray(total, np.float64)


def _color_difference(
    segment: NDArray[np.int64], scene: PatchScene, count: int, a: NDArray[np.intp], b: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Half the L1 distance of the colour histograms of two segments."""
    items = scene.items
    known = items.patch >= 0
    owner = segment[items.patch[known]]
    table = np.zeros((count, BINS))
    np.add.at(table, (owner, items.color_cells[known]), 1.0)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(0.5 * np.abs(table[a] - table[b]).sum(axis=1))
