"""How well perception sees: instances, identities and stage times on labelled captures.

python -m pickcell_sim.items frames --seed 0 --seed 1 ... --folder var/captures --split test
python -m pickcell_sim.bench.perception var/captures --json docs/benchmarks/perception.json --pictures var/pictures
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.description import expand_urdf
from pickcell.perception import PerceptionPipeline
from pickcell.segmentation.overlay import draw_overlay
from pickcell.values import Scene
from pickcell_sim.bench.captures import LabelledCapture, capture_files, read_capture
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts, markdown_table
from pickcell_sim.bench.statistics import bootstrap, wilson
from pickcell_sim.items.spec import REPOSITORY

VISIBLE_PIXELS = 400
"""An item with fewer pixels over all views is not expected to be found."""


@dataclass
class Tally:
    """Counts over all captures."""

    items: int = 0
    found: int = 0
    spurious: int = 0
    right: int = 0
    wrong: int = 0
    unsure: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    times_ms: dict[str, list[float]] = field(default_factory=dict)


def overlaps(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> NDArray[np.float64]:
    """(T + 1, P + 1) intersection over union of label images given as flat arrays; row and column 0 mean "none"."""
    shape = (int(truth.max(initial=0)) + 1, int(predicted.max(initial=0)) + 1)
    both = np.bincount(truth.astype(np.int64) * shape[1] + predicted, minlength=shape[0] * shape[1]).reshape(shape)
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    return both / np.maximum(union, 1)


def score_scene(scene: Scene, capture: LabelledCapture, tally: Tally) -> None:
    """Match instances to items by IoU > 0.5 of their pixels over all views, and count."""
    truth = np.concatenate([capture.item_pixels[v.camera.name].ravel() for v in scene.views])
    predicted = np.concatenate([v.labels.ravel() for v in scene.views])
    iou = overlaps(truth, predicted)
    matched = iou > 0.5
    pixels = np.bincount(truth, minlength=len(iou))
    for number, sku in capture.skus.items():
        if number >= len(iou) or pixels[number] < VISIBLE_PIXELS:
            continue
        kind = sku.split("-")[0]
        tally.items += 1
        tally.by_kind[f"{kind} items"] += 1
        if not matched[number, 1:].any():
            continue
        tally.found += 1
        tally.by_kind[f"{kind} found"] += 1
        answer = scene.instance(int(iou[number, 1:].argmax()) + 1).identity.sku
        tally.right += answer == sku
        tally.wrong += answer not in (sku, None)
        tally.unsure += answer is None
    tally.spurious += int((~matched[1:, 1:].any(axis=0)).sum())


def run(files: list[Path], cell_path: Path, pictures: Path | None) -> Tally:
    """Observe every capture (twice: the first call may compile) and score it."""
    cell = load_cell(cell_path)
    pipeline = PerceptionPipeline(cell, expand_urdf(cell), load_catalogue())
    tally = Tally()
    for path in files:
        capture = read_capture(path)
        now = capture.stamp_s + 0.05
        if not tally.times_ms:
            pipeline.observe(capture.frames, capture.joints, capture.manifest, now)
        start, cpu = time.perf_counter(), time.process_time()
        outcome = pipeline.observe(capture.frames, capture.joints, capture.manifest, now)
        total, cpu = 1000.0 * (time.perf_counter() - start), 1000.0 * (time.process_time() - cpu)
        if outcome.value is None:
            print(f"{capture.name}: {outcome.text}")
            tally.items += len(capture.skus)
            continue
        for stage, ms in {**outcome.value.timings_ms, "perception": total, "perception_cpu": cpu}.items():
            tally.times_ms.setdefault(stage, []).append(ms)
        score_scene(outcome.value, capture, tally)
        if pictures is not None:
            _draw(outcome.value, pictures / f"{capture.name}.png")
    return tally


def _draw(scene: Scene, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.hstack([draw_overlay(view, scene) for view in scene.views])
    cv2.imwrite(str(path), np.ascontiguousarray(row[..., ::-1]))


def result_of(tally: Tally, files: list[Path], cell_path: Path) -> BenchResult:
    named = tally.right + tally.wrong
    metrics = {
        "instance_recall": Metric.of(wilson(tally.found, tally.items), "share"),
        "instance_precision": Metric.of(wilson(tally.found, tally.found + tally.spurious), "share"),
        "identity_right": Metric.of(wilson(tally.right, tally.found), "share of found"),
        "identity_wrong_of_named": Metric.of(wilson(tally.wrong, named), "share"),
    }
    for stage, values in tally.times_ms.items():
        sample = np.array(values)
        metrics[f"{stage}_ms_median"] = Metric.of(bootstrap(sample, lambda s: float(np.median(s))), "ms")
        metrics[f"{stage}_ms_p95"] = Metric.of(bootstrap(sample, lambda s: float(np.quantile(s, 0.95))), "ms")
    config = {"cell": cell_path.name, "captures": len(files), "visible_pixels": VISIBLE_PIXELS, "kinds": dict(tally.by_kind)}
    return BenchResult("perception", 0, tally.items, config, machine_facts(), commit_id(REPOSITORY), metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="captures with their truth")
    parser.add_argument("--cell", type=Path, default=REPOSITORY / "config" / "cells" / "panda.yaml")
    parser.add_argument("--json", type=Path, help="keep the result here")
    parser.add_argument("--pictures", type=Path, help="write overlays to this folder")
    arguments = parser.parse_args()
    files = capture_files(arguments.folder)
    result = result_of(run(files, arguments.cell, arguments.pictures), files, arguments.cell)
    print(markdown_table(result))
    print(f"items found by kind: {result.config['kinds']}")
    if arguments.json:
        result.write(arguments.json)


if __name__ == "__main__":
    main()
