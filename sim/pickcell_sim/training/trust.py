"""How far instances are to be trusted: fitted on what segmentation makes of labelled scenes of training items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pickcell.segmentation import PatchSegmenter
from pickcell.segmentation.patch_scene import Evidence
from pickcell.segmentation.trust import TRUST_FEATURES, trust_features
from pickcell_sim.bench.see.instances import overlaps
from pickcell_sim.training.evidence import LabelledPatches, logistic

RIGHT_IOU = 0.75
VISIBLE_POINTS = 60
"""An item of which less is seen is not expected to be found, nor is it an error to find it."""


def fit_trust(
    samples: Sequence[LabelledPatches],
    evidence: Sequence[Evidence],
    segmenter: PatchSegmenter,
    say: Callable[[str], None] = print,
) -> NDArray[np.float64]:
    """(len(TRUST_FEATURES),) weights of a logistic regression on the instances of all samples, "right" or not.

    ``evidence``: per sample, what its patches are joined by. The scenes are to be such that the network was not trained on.
    Each counts twice, with its manifest and as if nobody knew what is in the tote.
    """
    X, y = [], []
    unknown = [replace(s, products=()) for s in samples]
    for s, e in zip((*samples, *unknown), (*evidence, *evidence), strict=True):
        assert s.distance is not None
        instance = segmenter.instances(s.scene, e, s.products, s.distance)
        right, counted = _right(s, instance)
        X.append(trust_features(instance, s.scene, e, segmenter.look(s.products))[counted])
        y.append(right[counted].astype(np.float64))
    features, right = np.vstack(X), np.concatenate(y)
    weights = logistic(features, right, np.ones(len(right)))
    said = 1.0 / (1.0 + np.exp(-features @ weights))
    worth = np.where(right > 0, said, 1.0 - said)
    score = np.log(worth).mean()
    say(f"trust in {len(right)} instances, {100 * right.mean():.0f} % of them right: mean log-likelihood {score:.3f}")
    for name, value in zip(TRUST_FEATURES, weights):
        say(f"{name:>18} {value:7.2f}")
    return weights


def _right(s: LabelledPatches, instance: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(K,) whether each instance is an item at RIGHT_IOU, and whether it counts."""
    label = np.where(s.scene.patches.label >= 0, instance[np.maximum(s.scene.patches.label, 0)], 0)
    iou = overlaps(s.point_item, label)
    if len(iou) < 2:
        return np.zeros(iou.shape[1] - 1, bool), np.ones(iou.shape[1] - 1, bool)
    best, of = iou[1:, 1:].max(axis=0), iou[1:, 1:].argmax(axis=0) + 1
    small = (best >= 0.5) & (np.bincount(s.point_item, minlength=len(iou))[of] < VISIBLE_POINTS)
    return best > RIGHT_IOU, ~small
