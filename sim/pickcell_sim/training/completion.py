"""``./cell train completion``: scenes in; a network, what its confidence is worth, and a card out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from pickcell.completion.choose import CALIBRATION, NETWORK
from pickcell.completion.learned import Calibration, ColumnNetwork, LearnedCompleter
from pickcell.learning.column_net import export, fit, held_out_loss
from pickcell.learning.training import Fit
from pickcell_sim.bench.result import commit_id, machine_facts
from pickcell_sim.bench.see.shapes import NEAR_M
from pickcell_sim.data.scene_file import scene_files
from pickcell_sim.data.views import fused_scenes
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.training.columns import MIN_POINTS, column_set
from pickcell_sim.training.evidence import item_of_points
from pickcell_sim.training.split import split_fills, spread

SCENES, WATCHED_SCENES = 560, 56
"""As many scenes, spread over all there are, are trained on, and watched and calibrated with: maps are large."""
KNOTS = 9
PRIOR_POINTS = 200
"""Points by which each knot is drawn to what the network says."""


@dataclass(frozen=True)
class CompletionTraining:
    """What is trained on, and where it goes."""

    scenes: Path
    models: Path
    checkpoint: Path
    fit: Fit


def train(job: CompletionTraining, say: Callable[[str], None] = print) -> None:
    """Train, calibrate, write network, calibration and card. Raises SceneFileError without scenes."""
    training, watched = split_fills(scene_files(job.scenes))
    training, watched = spread(training, SCENES), spread(watched, WATCHED_SCENES)
    data = column_set(training, say)
    held_out = column_set(watched, say) if watched else data.first(0)
    say(f"{len(data)} maps of {len(training)} scenes to train on, {len(held_out)} to watch with")
    net = fit(data, held_out, job.fit, job.checkpoint, say)
    export(net, job.models / NETWORK)
    say("calibrating the confidence ...")
    network = ColumnNetwork(job.models / NETWORK)
    calibrate(watched or training, network).save(job.models / CALIBRATION)
    card = _card(job, len(data), len(training), held_out_loss(net, held_out))
    (job.models / "columns.md").write_text(card, encoding="utf-8")
    say(f"kept in {job.models}: {NETWORK}, {CALIBRATION}, columns.md. Measure it: ./cell eval see")


def calibrate(files: Sequence[Path], network: ColumnNetwork) -> Calibration:
    """Shares of inferred points within NEAR_M of the true surface, by what the network said; never falling (pooled)."""
    said, right = [], []
    for scene, views, fused in fused_scenes(files):
        number = item_of_points(fused, scene, np.arange(len(fused.cloud))).argmax(axis=1)
        large = [item for item in scene.items if np.count_nonzero(number == item.number) >= MIN_POINTS]
        labels = np.zeros(len(number), np.int32)
        for label, item in enumerate(large, 1):
            labels[number == item.number] = label
        shapes = LearnedCompleter(views.cell, network).complete_all(fused.cloud, labels, fused.volume)
        for item, each in zip(large, shapes, strict=True):
            confidence = np.asarray(each.shape.confidence)
            inferred = np.asarray(each.shape.cloud.points)[confidence < 1.0]
            said.append(confidence[confidence < 1.0])
            right.append(cKDTree(item.points).query(inferred)[0] < NEAR_M)
    return _monotone(np.concatenate(said), np.concatenate(right).astype(np.float64))


def _monotone(said: np.ndarray, right: np.ndarray) -> Calibration:
    edges = np.linspace(0.0, 1.0, KNOTS + 1)
    index = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, KNOTS - 1)
    middle = 0.5 * (edges[:-1] + edges[1:])
    count = np.bincount(index, minlength=KNOTS)
    share = (np.bincount(index, right, KNOTS) + PRIOR_POINTS * middle) / (count + PRIOR_POINTS)
    weight = count + PRIOR_POINTS
    blocks = [[float(s), float(w), 1] for s, w in zip(share, weight)]  # pool adjacent violators
    k = 0
    while k < len(blocks) - 1:
        if blocks[k][0] > blocks[k + 1][0]:
            a, b = blocks[k], blocks.pop(k + 1)
            blocks[k] = [(a[0] * a[1] + b[0] * b[1]) / (a[1] + b[1]), a[1] + b[1], a[2] + b[2]]
            k = max(k - 1, 0)
        else:
            k += 1
    return Calibration(middle, np.concatenate([np.full(int(n), s) for s, _, n in blocks]))


def _card(job: CompletionTraining, maps: int, scenes: int, loss: float) -> str:
    machine = ", ".join(f"{key} {value}" for key, value in machine_facts().items())
    command = f"./cell train completion {job.fit.options()}"
    return f"""# Column network

Where an item is, column by column, from what was seen of it and around it. Used by `pickcell.completion.learned`; how:
docs/perception.md.

| | |
|---|---|
| files | `{NETWORK}` (ONNX), `{CALIBRATION}` (what its confidence is worth) |
| data | {scenes} scenes of {job.scenes.name}, {maps} column maps; how they are made: `./cell data`, docs/perception.md |
| training | `{command}`, commit {commit_id(REPOSITORY)} |
| machine | {machine} |
| loss on held-out fills of training items | {loss:.4f} |
| scores on test items | `./cell eval see`; kept in docs/benchmarks/see.json |
| limits | one stretch from underside to top per column: the inside of a cup is filled; the cell's own totes |
"""
