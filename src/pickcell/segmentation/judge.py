"""The learned judge: geometry, colour and the affinity network's view of every picture, weighed together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.fuse import FusedScene
from pickcell.geometry import Pose
from pickcell.network import ModelError
from pickcell.segmentation.affinity import (
    PAIR_FEATURES,
    UNSEEN,
    AffinityNetwork,
    ViewAffinity,
    item_logits,
    pair_features,
    patch_pictures,
)
from pickcell.segmentation.graph import FEATURES
from pickcell.segmentation.patch_scene import Evidence, PatchScene
from pickcell.segmentation.regions import PointItems, fuse_regions
from pickcell.segmentation.reunite import REUNITE_FEATURES
from pickcell.segmentation.trust import TRUST_FEATURES
from pickcell.segmentation.votes import VOTE_FEATURES, PatchVotes, patch_votes, vote_features

FUSED_FEATURES = ("same_item", "other_item", "no_item")
"""Whether most points of two patches are the same item by :func:`pickcell.segmentation.regions.fuse_regions`, or different
ones, each times how much the cameras agree; 1 where it is not known."""
NAMES = (*FEATURES, *PAIR_FEATURES, *FUSED_FEATURES, *VOTE_FEATURES)


@dataclass(frozen=True)
class EvidenceWeights:
    """What is made of the features of a pair: log-odds of "one item"."""

    weights: NDArray[np.float64]
    """(len(NAMES),)."""
    item_above: float
    """Logit of "an item" from which a point is taken for one."""
    reunite: NDArray[np.float64] | None = None
    """(len(REUNITE_FEATURES),), None: what does not touch is never joined."""
    trust: NDArray[np.float64] | None = None
    """(len(TRUST_FEATURES),), None: those for geometry alone."""

    @staticmethod
    def load(path: Path) -> EvidenceWeights:
        """Raises ModelError naming the file and what is wrong with it."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            weights = np.array([float(data["weights"][name]) for name in NAMES])
            reunite = np.array([float(data["reunite"][name]) for name in REUNITE_FEATURES])
            trust = np.array([float(data["trust"][name]) for name in TRUST_FEATURES])
            return EvidenceWeights(weights, float(data["item_above"]), reunite, trust)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise ModelError(f"{path}: no usable weights ({problem!r}); ./cell train segmentation makes them") from None

    def save(self, path: Path) -> None:
        data = {"item_above": self.item_above, "weights": _named(NAMES, self.weights)}
        if self.reunite is not None:
            data["reunite"] = _named(REUNITE_FEATURES, self.reunite)
        if self.trust is not None:
            data["trust"] = _named(TRUST_FEATURES, self.trust)
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _named(names: Sequence[str], weights: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(w), 4) for name, w in zip(names, weights, strict=True)}


class AffinityJudge:
    """Asks the network about every view of a scene."""

    def __init__(self, cell: CellConfig, network: AffinityNetwork, evidence: EvidenceWeights) -> None:
        self._cell = cell
        self._network = network
        self._evidence = evidence

    def look(self, fused: FusedScene) -> AffinityJudgement:
        answers = self._network.look(fused.views, [frame.color for frame in fused.frames], self._cell)
        return AffinityJudgement(fused, answers, self._evidence, self._cell.X_base_tote("source"))


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
    X_base_tote: Pose

    def is_item(self, geometric: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The network's word where a view sees the point, geometry's elsewhere."""
        logit = item_logits(self.fused.cloud.points, self.answers)
        return np.where(logit > UNSEEN, logit > self.evidence.item_above, geometric)

    def read(self, scene: PatchScene) -> tuple[NDArray[np.float64], PatchVotes]:
        """Features (E, len(NAMES)) of touching patches, and the patches' votes."""
        of_point = np.full(len(self.fused.cloud), -1, np.int32)
        of_point[scene.rows] = scene.patches.label
        graph, patches = scene.graph, len(scene.patches.sizes)
        pictures = patch_pictures(self.answers, self.fused.volume, self.fused.surface, of_point)
        learned = pair_features(self.answers, pictures, graph.pairs, patches)
        votes = patch_votes(self.answers, pictures, patches, self.X_base_tote)
        items = fuse_regions(self.fused.cloud.points[scene.rows], self.answers)
        fused = _fused_features(items, scene)
        return np.column_stack([graph.features, learned, fused, vote_features(votes, graph.pairs)]), votes

    def weigh(self, scene: PatchScene) -> Evidence:
        features, votes = self.read(scene)
        return Evidence(features @ self.evidence.weights, votes, self.evidence.reunite, self.evidence.trust)
