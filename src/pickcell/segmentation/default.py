"""The segmenter that a cell uses: the learned one where its network is installed, geometry alone otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from pickcell.cell import CellConfig
from pickcell.identity.appearance import ColorGallery
from pickcell.segmentation.affinity import AffinityNetwork
from pickcell.segmentation.judge import AffinityJudge, EvidenceWeights
from pickcell.segmentation.segment import PatchSegmenter

NETWORK, WEIGHTS = "affinity.onnx", "affinity_evidence.json"


def models_directory() -> Path:
    """The shipped networks: ``$PICKCELL_MODELS``, else ``models/`` of the working tree."""
    given = os.environ.get("PICKCELL_MODELS")
    return Path(given) if given else Path(__file__).resolve().parents[3] / "models"


def learned_segmenter(cell: CellConfig, gallery: ColorGallery | None, models: Path | None = None) -> PatchSegmenter:
    """Raises ModelError when the network or its weights are missing or unusable."""
    folder = models or models_directory()
    judge = AffinityJudge(cell, AffinityNetwork(folder / NETWORK), EvidenceWeights.load(folder / WEIGHTS))
    return PatchSegmenter(cell, gallery=gallery, judge=judge)
