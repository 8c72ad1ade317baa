"""What segmentation works on: item points in patches, the graph of patches that touch, and what is thought of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pickcell.fusion.fuse import FusedScene
from pickcell.segmentation.graph import FEATURES, PatchGraph, log_odds
from pickcell.segmentation.recognition import ItemPoints
from pickcell.segmentation.supervoxels import Patches
from pickcell.segmentation.votes import PatchVotes


@dataclass(frozen=True)
class PatchScene:
    """The intermediate picture: item points in patches, and the patches' graph."""

    rows: NDArray[np.intp]
    """(M,) rows of the cloud that belong to items."""
    patches: Patches
    graph: PatchGraph
    items: ItemPoints
    """The item points in the tote's frame."""

    @staticmethod
    def empty() -> PatchScene:
        """The scene of a tote without item points."""
        three, numbers = np.zeros((0, 3)), np.zeros(0, np.int32)
        patches = Patches(numbers, three, three, three, np.zeros(0, np.int64))
        graph = PatchGraph(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros((0, len(FEATURES))))
        return PatchScene(np.zeros(0, np.intp), patches, graph, ItemPoints(three, three, np.zeros(0, np.intp), numbers))


@dataclass(frozen=True)
class Evidence:
    """What is thought of the patches."""

    log_odds: NDArray[np.float64]
    """(E,) that each pair of touching patches is one item: positive for, negative against."""
    votes: PatchVotes | None = None
    """Where they say that the middle of their item is, if the judge asks for it ..."""
    reunite: NDArray[np.float64] | None = None
    """... and what it makes of that: weights of :data:`pickcell.segmentation.reunite.REUNITE_FEATURES`."""
    trust: NDArray[np.float64] | None = None
    """Weights of :data:`pickcell.segmentation.trust.TRUST_FEATURES`, unless those for geometry alone are meant."""


class Judgement(Protocol):
    """What is thought of one fused scene."""

    def is_item(self, geometric: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,) which points of the cloud belong to items, given what geometry and colour alone say."""

    def weigh(self, scene: PatchScene) -> Evidence:
        """What speaks for patches being one item."""


class Judge(Protocol):
    """Decides what belongs together."""

    def look(self, fused: FusedScene) -> Judgement:
        """Look at a scene."""


class GeometricJudge:
    """Convexity, colour and nothing else."""

    def look(self, fused: FusedScene) -> GeometricJudge:
        return self

    def is_item(self, geometric: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return geometric

    def weigh(self, scene: PatchScene) -> Evidence:
        return Evidence(log_odds(scene.graph))
