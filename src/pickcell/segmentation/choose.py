"""Segmenters by name: the learned one with the shipped network, and geometry alone, the yardstick."""

from __future__ import annotations

from pathlib import Path

from pickcell.cell import CellConfig
from pickcell.identity.appearance import ColorGallery
from pickcell.network import models_directory
from pickcell.segmentation.affinity import AffinityNetwork
from pickcell.segmentation.judge import AffinityJudge, EvidenceWeights
from pickcell.segmentation.segment import PatchSegmenter

LEARNED, GEOMETRIC = "learned", "geometric"
SEGMENTERS = (LEARNED, GEOMETRIC)
NETWORK, WEIGHTS = "affinity.onnx", "affinity_evidence.json"


def make_segmenter(
    name: str, cell: CellConfig, gallery: ColorGallery | None = None, models: Path | None = None
) -> PatchSegmenter:
    """``models``: folder of the network, :func:`models_directory` unless given.

    Raises ValueError for a name that is not of SEGMENTERS, ModelError when the network is missing or unusable.
    """
    if name == GEOMETRIC:
        return PatchSegmenter(cell, gallery=gallery)
    if name != LEARNED:
        raise ValueError(f"no segmenter '{name}'; there are {', '.join(SEGMENTERS)}")
    folder = models or models_directory()
    judge = AffinityJudge(cell, AffinityNetwork(folder / NETWORK), EvidenceWeights.load(folder / WEIGHTS))
    return PatchSegmenter(cell, gallery=gallery, judge=judge)
