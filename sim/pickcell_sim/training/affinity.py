"""``./cell train segmentation``: scenes in; a network, the weights of its evidence, and a card out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pickcell.learning.affinity_net import export, fit, held_out_loss
from pickcell.learning.training import Fit
from pickcell.segmentation.affinity import AffinityNetwork
from pickcell.segmentation.choose import NETWORK, WEIGHTS
from pickcell_sim.bench.result import commit_id, machine_facts
from pickcell_sim.data.scene_file import scene_files
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.training.crops import crop_set
from pickcell_sim.training.split import split_fills, spread
from pickcell_sim.training.weigh import fit_learned

EVIDENCE_SCENES = 60
"""Scenes that the evidence is weighed on: all those watched with, and some, at least one, of those trained on."""


@dataclass(frozen=True)
class AffinityTraining:
    """What is trained on, and where it goes."""

    scenes: Path
    models: Path
    checkpoint: Path
    fit: Fit


def train(job: AffinityTraining, say: Callable[[str], None] = print) -> None:
    """Train, weigh the evidence, write network, weights and card. Raises SceneFileError without scenes."""
    training, watched = split_fills(scene_files(job.scenes))
    crops = crop_set(training, say)
    held_out = crop_set(watched, say) if watched else crops.first(0)
    say(f"{len(crops)} crops of {len(training)} scenes to train on, {len(held_out)} to watch with")
    net = fit(crops, held_out, job.fit, job.checkpoint, say)
    export(net, job.models / NETWORK)
    say("weighing the evidence ...")
    weigh(job.scenes, job.models, say)
    loss = held_out_loss(net, held_out)
    (job.models / "affinity.md").write_text(_card(job, len(crops), len(training), loss), encoding="utf-8")
    say(f"kept in {job.models}: {NETWORK}, {WEIGHTS}, affinity.md. Measure it: ./cell eval see")


def weigh(scenes: Path, models: Path, say: Callable[[str], None] = print) -> None:
    """Weigh the evidence of the network that is there. Raises SceneFileError without scenes or items found in them,
    ModelError without a network."""
    training, watched = split_fills(scene_files(scenes))
    known = spread(training, EVIDENCE_SCENES - len(watched))
    fit_learned(known, watched, AffinityNetwork(models / NETWORK), say).save(models / WEIGHTS)


def _card(job: AffinityTraining, crops: int, scenes: int, loss: float) -> str:
    machine = ", ".join(f"{key} {value}" for key, value in machine_facts().items())
    command = f"./cell train segmentation {job.fit.options()}"
    return f"""# Affinity network

Which pixels of a tote's picture belong to an item, and which pairs of pixels to one item. Used by
`pickcell.segmentation.judge`; how: docs/perception.md.

| | |
|---|---|
| files | `{NETWORK}` (ONNX), `{WEIGHTS}` (what its answers count beside geometry) |
| data | {scenes} scenes of {job.scenes.name}, {crops} crops; how they are made: `./cell data`, docs/perception.md |
| training | `{command}`, commit {commit_id(REPOSITORY)} |
| machine | {machine} |
| loss on held-out fills of training items | {loss:.4f} (mean of balanced cross-entropies) |
| scores on test items | `./cell eval see`; kept in docs/benchmarks/see.json |
| limits | rendered pictures only; the cell's own totes; no item was seen under coloured light |
"""
