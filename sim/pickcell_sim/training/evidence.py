"""How much each feature of a pair of patches speaks for one item: fitted on labelled scenes of training items.

Logistic regression on pairs of touching patches ("same item" or not), then one number by search: how far the bias is
lowered, as average-linkage merging needs far more caution than a single pair does. The same for geometry alone
(:data:`pickcell.segmentation.graph.DEFAULT_WEIGHTS`) and for geometry and the affinity network together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.fusion import FusedScene
from pickcell.segmentation import PatchSegmenter
from pickcell.segmentation.agglomerate import agglomerate
from pickcell.segmentation.graph import SignedDistance
from pickcell.segmentation.patch_scene import Evidence, PatchScene
from pickcell.segmentation.reunite import REUNITE_FEATURES, reunite, segment_pairs
from pickcell.segmentation.votes import PatchVotes
from pickcell.values import Sku
from pickcell_sim.bench.see.instances import overlaps
from pickcell_sim.data.scene_file import LabelledScene
from pickcell_sim.data.views import items_under

REUNITE_BIASES = (2.0, 1.5, 1.0, 0.5, 0.0, -0.5, -1.0, -2.0, -3.0)
BIASES = (0.5, 0.0, -0.5, -1.0, -1.5, -2.0, -2.5, -3.0, -3.5)
SEEN_WITHIN_M = 0.008
"""A view sees a point when its depth there agrees to within this."""
MIN_PURITY = 0.7
"""Patches with less of their points on one item teach nothing."""
LARGEST_M = 0.35


@dataclass(frozen=True)
class LabelledPatches:
    """A scene's patches with the truth about them."""

    scene: PatchScene
    features: NDArray[np.float64]
    """(E, F) per pair."""
    point_item: NDArray[np.int64]
    """(M,) true item of each item point, 0 for none."""
    patch_item: NDArray[np.int64]
    """(P,) by majority."""
    purity: NDArray[np.float64]
    """(P,) share of the majority."""
    votes: PatchVotes | None = None
    distance: SignedDistance | None = None
    products: tuple[tuple[Sku, int], ...] = ()


def item_of_points(fused: FusedScene, scene: LabelledScene, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """(M, items + 1) votes of the views that see each point of the cloud's ``rows`` for what it is."""
    points = fused.cloud.points[rows].astype(np.float64)
    votes = np.zeros((len(points), max(scene.skus, default=0) + 1), np.int64)
    for view in fused.views:
        pixels = scene.item_pixels[view.camera.name]
        seen = items_under(points, view.camera, view.X_base_camera, view.depth_m, pixels, SEEN_WITHIN_M)
        np.add.at(votes, seen, 1)
    return votes


def label_patches(
    fused: FusedScene, patches: PatchScene, features: NDArray[np.float64], scene: LabelledScene
) -> LabelledPatches:
    """The truth about points and patches: each point asks the views that see it."""
    votes = item_of_points(fused, scene, patches.rows)
    point_item = votes.argmax(axis=1)
    counts = np.zeros((len(patches.patches.sizes), votes.shape[1]))
    known = (patches.patches.label >= 0) & (votes.sum(axis=1) > 0)
    np.add.at(counts, (patches.patches.label[known], point_item[known]), 1)
    purity = counts.max(axis=1) / np.maximum(counts.sum(axis=1), 1)
    return LabelledPatches(patches, features, point_item, counts.argmax(axis=1), purity)


def fit(samples: Sequence[LabelledPatches]) -> NDArray[np.float64]:
    """(F,) logistic regression weights; pairs count by the length of their boundary."""
    X, y, w = [], [], []
    for s in samples:
        pairs, graph = s.scene.graph.pairs, s.scene.graph
        pure = (s.purity[pairs].min(axis=1) > MIN_PURITY) & (s.patch_item[pairs].min(axis=1) > 0)
        X.append(s.features[pure])
        y.append((s.patch_item[pairs[:, 0]] == s.patch_item[pairs[:, 1]])[pure].astype(float))
        w.append(np.minimum(graph.links[pure], 40).astype(float))
    return logistic(np.vstack(X), np.concatenate(y), np.concatenate(w))


def logistic(
    features: NDArray[np.float64], same: NDArray[np.float64], weight: NDArray[np.float64], l2: float = 1.0
) -> NDArray[np.float64]:
    """(F,) weights of a logistic regression with ridge, by Newton's method."""
    weight = weight / weight.mean()
    beta = np.zeros(features.shape[1])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-(features @ beta)))
        gradient = features.T @ (weight * (p - same)) + l2 * beta
        hessian = (features * (weight * p * (1 - p))[:, None]).T @ features + l2 * np.eye(len(beta))
        step = np.linalg.solve(hessian, gradient)
        beta -= step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def f1(samples: Sequence[LabelledPatches], weights: NDArray[np.float64], iou: float = 0.75) -> float:
    """F1 of instances at point IoU over ``iou``, by merging alone."""
    segments = [
        agglomerate(s.scene.patches.centres, s.scene.graph.pairs, s.scene.graph.links, s.features @ weights, LARGEST_M)
        for s in samples
    ]
    return f1_of(samples, segments, iou)


def f1_of(samples: Sequence[LabelledPatches], segments: Sequence[NDArray[np.int64]], iou: float = 0.75) -> float:
    """F1 of instances at point IoU over ``iou``; ``segments``: per sample the segment (P,) of each patch."""
    found = items = instances = 0
    for s, segment in zip(samples, segments, strict=True):
        patches = s.scene.patches
        label = np.where(patches.label >= 0, segment[np.maximum(patches.label, 0)] + 1, 0)
        large = np.flatnonzero(np.bincount(label) >= 60)
        matched = overlaps(s.point_item, label) > iou
        visible = np.flatnonzero(np.bincount(s.point_item) >= 60)
        items += int((visible > 0).sum())
        instances += int((large > 0).sum())
        found += int(matched[visible[visible > 0], 1:].any(axis=1).sum())
    return 2.0 * found / max(items + instances, 1)


def fit_with_bias(samples: Sequence[LabelledPatches], say: Callable[[str], None] = print) -> NDArray[np.float64]:
    """(F,) weights; the first feature is the bias."""
    beta = fit(samples)
    shift = np.zeros(len(beta))
    scores = {}
    for bias in BIASES:
        shift[0] = bias
        scores[bias] = f1(samples, beta + shift)
    shift[0] = max(scores, key=lambda bias: scores[bias])
    say("F1 at IoU .75 by bias: " + ", ".join(f"{b}: {score:.3f}" for b, score in scores.items()))
    return np.asarray(beta + shift)


def fit_reunion(
    samples: Sequence[LabelledPatches], weights: NDArray[np.float64], segmenter: PatchSegmenter, say: Callable[[str], None]
) -> NDArray[np.float64]:
    """(len(REUNITE_FEATURES),) weights of what joins segments that do not touch, given those of the touching patches."""
    segments, pairs, X, y, w = [], [], [], [], []
    for s in samples:
        assert s.votes is not None and s.distance is not None
        evidence = s.features @ weights
        segment = segmenter.parts(s.scene, Evidence(evidence), s.products)
        found = segment_pairs(segment, s.scene, s.votes, evidence, s.distance)
        counts = np.zeros((segment.max() + 1, int(s.patch_item.max(initial=0)) + 1))
        np.add.at(counts, (segment, s.patch_item), s.scene.patches.sizes)
        item, pure = counts.argmax(axis=1), counts.max(axis=1) / np.maximum(counts.sum(axis=1), 1)
        a, b = found.pairs.T
        clear = (np.minimum(pure[a], pure[b]) > MIN_PURITY) & (item[a] > 0) & (item[b] > 0)
        X.append(found.features[clear])
        y.append((item[a] == item[b])[clear].astype(float))
        w.append(np.sqrt(np.minimum(found.size[a], found.size[b]))[clear])
        segments.append(segment)
        pairs.append(found)
    beta = logistic(np.vstack(X), np.concatenate(y), np.concatenate(w))
    shift, scores = np.zeros(len(beta)), {}
    for bias in REUNITE_BIASES:
        shift[0] = bias
        joined = [reunite(g, p, beta + shift, s.scene, LARGEST_M) for g, p, s in zip(segments, pairs, samples)]
        scores[bias] = f1_of(samples, joined)
    shift[0] = max(scores, key=lambda bias: scores[bias])
    say(
        f"F1 at IoU .75 before reuniting: {f1_of(samples, segments):.3f}; by bias: "
        + ", ".join(f"{b}: {score:.3f}" for b, score in scores.items())
    )
    for name, value in zip(REUNITE_FEATURES, beta + shift):
        say(f"{name:>18} {value:7.2f}")
    return np.asarray(beta + shift)
