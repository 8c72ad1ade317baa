"""All weights of the segmentation's evidence, from labelled scenes and a trained network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pickcell.catalogue import load_catalogue
from pickcell.identity import ColorGallery
from pickcell.segmentation import PatchSegmenter
from pickcell.segmentation.affinity import AffinityNetwork
from pickcell.segmentation.judge import NAMES, AffinityJudge, EvidenceWeights
from pickcell.segmentation.patch_scene import Evidence
from pickcell_sim.data.scene_file import SceneFileError, read_scene
from pickcell_sim.data.views import SceneViews, fused_scenes
from pickcell_sim.training.evidence import LabelledPatches, fit_reunion, fit_with_bias, label_patches
from pickcell_sim.training.trust import fit_trust

Say = Callable[[str], None]
Samples = list[LabelledPatches]
ITEM_ABOVE = 0.0
"""Logit of "an item" from which a point is taken for one."""


def fit_learned(
    trained: Sequence[Path], watched: Sequence[Path], network: AffinityNetwork, say: Say = print
) -> EvidenceWeights:
    """Weights for geometry and the network together, on scenes of training items: some that the network was trained on, and
    all that it was not; trust is fitted on the latter alone, if there are any. Those for geometry alone are only said.
    Raises SceneFileError when the network finds nothing in them."""
    (known, geometric), (new, geometric_too) = _samples(trained, network), _samples(watched, network)
    samples = known + new
    if not samples:
        count = len(trained) + len(watched)
        raise SceneFileError(f"the network finds no item in {count} scenes yet: train it for longer, or on more scenes")
    segmenter = PatchSegmenter(
        SceneViews.of(read_scene((*trained, *watched)[0])).cell, gallery=ColorGallery(load_catalogue())
    )
    _say_geometric(geometric + geometric_too, segmenter, say)
    weights = fit_with_bias(samples, say)
    for name, value in zip(NAMES, weights):
        say(f"{name:>14} {value:7.2f}")
    reunite = fit_reunion(samples, weights, segmenter, say)
    judged = new or known
    evidence = [Evidence(s.features @ weights, s.votes, reunite) for s in judged]
    return EvidenceWeights(weights, ITEM_ABOVE, reunite, fit_trust(judged, evidence, segmenter, say))


def _samples(files: Sequence[Path], network: AffinityNetwork) -> tuple[Samples, Samples]:
    """Scenes in patches, with the truth about them: as the network sees them, and as geometry alone does."""
    start = EvidenceWeights(np.zeros(len(NAMES)), ITEM_ABOVE)
    catalogue = load_catalogue()
    gallery = ColorGallery(catalogue)
    segmenters: dict[str, PatchSegmenter] = {}
    learned: Samples = []
    geometric: Samples = []
    for scene, views, fused in fused_scenes(files):
        segmenter = segmenters.setdefault(views.cell.name, PatchSegmenter(views.cell, gallery=gallery))
        products = tuple((catalogue[sku], n) for sku, n in scene.manifest.items() if sku in catalogue)
        for judgement, samples in ((AffinityJudge(views.cell, network, start).look(fused), learned), (None, geometric)):
            patches = segmenter.patch_scene(fused, judgement)
            if len(patches.rows) and len(patches.graph.pairs):
                features, votes = judgement.read(patches) if judgement else (patches.graph.features, None)
                labelled = label_patches(fused, patches, features, scene)
                samples.append(replace(labelled, votes=votes, distance=segmenter.distance(fused), products=products))
    return learned, geometric


def _say_geometric(samples: Samples, segmenter: PatchSegmenter, say: Say) -> None:
    """The defaults of segmentation without a network: they stand in the code."""
    weights = fit_with_bias(samples, say)
    say("geometry alone: " + ", ".join(f"{w:.2f}" for w in weights))
    trust = fit_trust(samples, [Evidence(s.features @ weights) for s in samples], segmenter, lambda _: None)
    say("trust in geometry alone: " + ", ".join(f"{w:.2f}" for w in trust))
