"""Instances against the truth: precision and recall at an overlap, average precision, items torn apart and run together.

Overlaps are of pixels, over all cameras of a scene at once: an item that is one instance in each view but another number in
each is not one instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

VISIBLE_PIXELS = 400
"""An item with fewer pixels over all views is not expected to be found, nor is it an error to find it."""
SUBSTANTIAL = 0.2
"""An item is torn apart when two instances hold this share of it each; two items are run together when an instance holds
this share of each."""
AP_OVERLAPS = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2))
"""As in the COCO challenge (T.-Y. Lin et al., ECCV 2014)."""
TOP = 5
SAME_IOU = 0.5


def overlaps(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> NDArray[np.float64]:
    """(T + 1, P + 1) intersection over union of label images given as flat arrays; row and column 0 mean "none"."""
    both = shared_pixels(truth, predicted)
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    return both / np.maximum(union, 1)


def shared_pixels(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> NDArray[np.int64]:
    """(T + 1, P + 1) pixels that each pair of labels has in common."""
    shape = (int(truth.max(initial=0)) + 1, int(predicted.max(initial=0)) + 1)
    flat = truth.astype(np.int64) * shape[1] + predicted
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


def owners(truth: NDArray[np.integer], predicted: NDArray[np.integer], least: int = 0) -> dict[int, int]:
    """Item of each instance that is one at SAME_IOU, from flat label arrays; items of fewer than ``least`` pixels are
    nobody's. Over one half no item has two instances, and no instance two items."""
    iou = overlaps(truth, predicted)
    pixels = np.bincount(truth, minlength=len(iou))
    found = np.argwhere((iou > SAME_IOU) & (pixels >= least)[:, None])
    return {int(label): int(number) for number, label in found if number > 0 and label > 0}


@dataclass(frozen=True)
class SceneMatch:
    """Instances of one scene against its items."""

    iou: NDArray[np.float64]
    """(P,) best overlap of each instance with any item."""
    counted: NDArray[np.bool_]
    """(P,) whether an instance counts: its best item is large enough to be expected, or it matches none."""
    score: NDArray[np.float64]
    """(P,) how sure the segmenter was."""
    rank: NDArray[np.float64]
    """(P,) how graspable it seems."""
    item_iou: NDArray[np.float64]
    """(T,) best overlap of each expected item with any instance."""
    torn: int
    """Expected items torn apart."""
    joined: int
    """Instances that run items together."""


def match_scene(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], score: Sequence[float], rank: Sequence[float]
) -> SceneMatch:
    """``truth``, ``predicted``: labels of all pixels, flat; ``score``, ``rank``: of instances 1.."""
    count = len(score)
    both = shared_pixels(truth, np.minimum(predicted, count))
    if both.shape[1] < count + 1:
        both = np.pad(both, ((0, 0), (0, count + 1 - both.shape[1])))
    of_item, of_instance = both.sum(axis=1), both.sum(axis=0)
    iou = both / np.maximum(of_item[:, None] + of_instance[None] - both, 1)
    expected = np.flatnonzero(of_item >= VISIBLE_PIXELS)
    expected = expected[expected > 0]
    inner = iou[1:, 1:] if len(iou) > 1 else np.zeros((0, count))
    best = inner.max(axis=0) if len(inner) else np.zeros(count)
    best_item = inner.argmax(axis=0) + 1 if len(inner) else np.zeros(count, int)
    small = (best >= 0.5) & (of_item[best_item] < VISIBLE_PIXELS) if len(inner) else np.zeros(count, bool)
    shown = of_instance[1:] > 0
    shares = both[expected][:, 1:] / np.maximum(of_item[expected, None], 1)
    torn = int(((shares >= SUBSTANTIAL).sum(axis=1) >= 2).sum())
    joined = int(((shares >= SUBSTANTIAL).sum(axis=0) >= 2).sum())
    item_iou = iou[expected][:, 1:].max(axis=1, initial=0.0)
    return SceneMatch(best, shown & ~small, np.asarray(score, float), np.asarray(rank, float), item_iou, torn, joined)


@dataclass
class InstanceTally:
    """Over many scenes."""

    matches: list[SceneMatch] = field(default_factory=list)

    def found(self, overlap: float) -> tuple[int, int]:
        """Expected items found at this overlap, and all expected."""
        return sum(int((m.item_iou > overlap).sum()) for m in self.matches), sum(len(m.item_iou) for m in self.matches)

    def right(self, overlap: float) -> tuple[int, int]:
        """Instances that are an item at this overlap, and all that count."""
        return (
            sum(int(((m.iou > overlap) & m.counted).sum()) for m in self.matches),
            sum(int(m.counted.sum()) for m in self.matches),
        )

    def top(self, overlap: float) -> tuple[int, int]:
        """Of the TOP instances of each scene that seem most graspable: right at this overlap, and all."""
        right = total = 0
        for m in self.matches:
            index = np.flatnonzero(m.counted)
            index = index[np.argsort(-m.rank[index], kind="stable")][:TOP]
            right += int((m.iou[index] > overlap).sum())
            total += len(index)
        return right, total

    def torn(self) -> tuple[int, int]:
        """Items torn apart, of all expected."""
        return sum(m.torn for m in self.matches), sum(len(m.item_iou) for m in self.matches)

    def joined(self) -> tuple[int, int]:
        """Instances that run items together, of all that count."""
        return sum(m.joined for m in self.matches), sum(int(m.counted.sum()) for m in self.matches)

    def average_precision(self) -> float:
        """Area under the precision-recall curve, mean over AP_OVERLAPS; 0 without expected items."""
        items = sum(len(m.item_iou) for m in self.matches)
        if items == 0:
            return 0.0
        score = np.concatenate([m.score[m.counted] for m in self.matches])
        iou = np.concatenate([m.iou[m.counted] for m in self.matches])[np.argsort(-score, kind="stable")]
        values = []
        for overlap in AP_OVERLAPS:
            hits = np.cumsum(iou > overlap)
            precision = hits / np.arange(1, len(hits) + 1)
            envelope = np.maximum.accumulate(precision[::-1])[::-1] if len(precision) else precision
            values.append(float((envelope * (iou > overlap)).sum()) / items)
        return float(np.mean(values))
