"""The learned judge: geometry, colour and the affinity network's view of every picture, weighed together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.fuse import FusedScene
from pickcell.segmentation.affinity import (
    PAIR_FEATURES,
    UNSEEN,
    AffinityNetwork,
    ModelError,
    ViewAffinity,
    item_logits,
    pair_features,
)
from pickcell.segmentation.graph import FEATURES
from pickcell.segmentation.regions import PointItems, fuse_regions
from pickcell.segmentation.segment import PatchScene

FUSED_FEATURES = ("same_item", "other_item", "no_item")
"""Whether most points of two patches are the same item by :func:`pickcell.segmentation.regions.fuse_regions`, or different
ones, each times how much the cameras agree; 1 where it is not known."""
NAMES = (*FEATURES, *PAIR_FEATURES, *FUSED_FEATURES)


@dataclass(frozen=True)
class EvidenceWeights:
    """What is made of the features of a pair: log-odds of "one item"."""

    weights: NDArray[np.float64]
    """(len(NAMES),)."""
    item_above: float
    """Logit of "an item" from which a point is taken for one."""

    @staticmethod
    def load(path: Path) -> EvidenceWeights:
        """Raises ModelError naming the file and what is wrong with it."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            weights = np.array([float(data["weights"][name]) for name in NAMES])
            return EvidenceWeights(weights, float(data["item_above"]))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise ModelError(f"{path}: no usable weights ({problem!r}); ./cell train segmentation makes them") from None

    def save(self, path: Path) -> None:
        data = {"item_above": self.item_above, "weights": {n: round(float(w), 4) for n, w in zip(NAMES, self.weights)}}
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


class AffinityJudge:
    """Asks the network about every view of a scene."""

    def __init__(self, cell: CellConfig, network: AffinityNetwork, evidence: EvidenceWeights) -> None:
        self._cell = cell
        self._network = network
        self._evidence = evidence

    def look(self, fused: FusedScene) -> AffinityJudgement:
        answers = self._network.look(fused.views, [frame.color for frame in fused.frames], self._cell)
        return AffinityJudgement(fused, answers, self._evidence)


def _fused_features(items: PointItems, scene: PatchScene) -> NDArray[np.float64]:
    """(E, len(FUSED_FEATURES)); see there."""
    patches, known = len(scene.patches.sizes), (items.item > 0) & (scene.patches.label >= 0)
    votes = np.zeros((patches, int(items.item.max(initial=0)) + 1))
    np.add.at(votes, (scene.patches.label[known], items.item[known]), items.agreement[known])
    item, sure = votes.argmax(axis=1), votes.max(axis=1) / np.maximum(scene.patches.sizes, 1)
    a, b = scene.graph.pairs.T
    told, weight = (item[a] > 0) & (item[b] > 0), np.minimum(sure[a], sure[b])
    same = item[a] == item[b]
    return np.column_stack([weight * (told & same), weight * (told & ~same), ~told])


@dataclass(frozen=True)
class AffinityJudgement:
    """What the network and the geometry say of one scene."""

    fused: FusedScene
    answers: list[ViewAffinity]
    evidence: EvidenceWeights

    def is_item(self, geometric: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The network's word where a view sees the point, geometry's elsewhere."""
        logit = item_logits(self.fused.cloud.points, self.answers)
        return np.where(logit > UNSEEN, logit > self.evidence.item_above, geometric)

    def features(self, scene: PatchScene) -> NDArray[np.float64]:
        """(E, len(NAMES))."""
        of_point = np.full(len(self.fused.cloud), -1, np.int32)
        of_point[scene.rows] = scene.patches.label
        graph, patches = scene.graph, len(scene.patches.sizes)
        learned = pair_features(self.answers, self.fused.volume, self.fused.surface, of_point, graph.pairs, patches)
        items = fuse_regions(self.fused.cloud.points[scene.rows], self.answers)
        return np.column_stack([graph.features, learned, _fused_features(items, scene)])

    def log_odds(self, scene: PatchScene) -> NDArray[np.float64]:
        return np.asarray(self.features(scene) @ self.evidence.weights)
