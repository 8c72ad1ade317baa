"""Every method on the same frames: fuse once, then segment and complete by each, and compare with the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from pickcell.catalogue import Catalogue, load_catalogue
from pickcell.cell import CellConfig
from pickcell.completion import Completed, Completer
from pickcell.completion.choose import make_completer
from pickcell.completion.registration import CatalogueRegistrar
from pickcell.fusion import FusedScene
from pickcell.identity import ColorGallery, Identifier, SizeAndColorIdentifier
from pickcell.segmentation import Segmenter, label_images
from pickcell.segmentation.choose import GEOMETRIC, LEARNED, make_segmenter
from pickcell.values import Sku
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.see.instances import VISIBLE_PIXELS, InstanceTally, match_scene, owners
from pickcell_sim.bench.see.per_view import PerView
from pickcell_sim.bench.see.shapes import ShapeTally
from pickcell_sim.bench.see.tracks import TrackTally, follow, sequences
from pickcell_sim.bench.statistics import bootstrap, wilson
from pickcell_sim.data.scene_file import LabelledScene, read_scene
from pickcell_sim.data.views import SceneViews
from pickcell_sim.items.spec import REPOSITORY

WARM_UP = 2
"""Scenes whose times are not counted: the first calls compile."""


STAGES = {"baseline": GEOMETRIC, "learned": LEARNED}
"""Segmenter and completer of each method that fuses the cameras."""
PER_VIEW = "network"
METHODS = ("baseline", PER_VIEW, "learned")
"""``network`` cuts each picture into instances by itself: what fusing them is worth."""


@dataclass(frozen=True)
class Way:
    """A method in one cell."""

    segmenter: Segmenter
    completer: Completer
    registrar: CatalogueRegistrar | None = None
    """Lays products over items that are known for what they are."""


def way(
    method: str, cell: CellConfig, catalogue: Catalogue, gallery: ColorGallery, models: Path | None = None
) -> Way | PerView:
    """Raises ValueError for an unknown method, ModelError without a network."""
    if method not in METHODS:
        raise ValueError(f"no method '{method}'; there are {', '.join(METHODS)}")
    if method == PER_VIEW:
        return PerView(cell, models)
    name = STAGES[method]
    registrar = CatalogueRegistrar(cell, catalogue) if name == LEARNED else None
    return Way(make_segmenter(name, cell, gallery, models), make_completer(name, cell, models), registrar)


@dataclass
class Seen:
    """What one method made of scenes of one suite."""

    instances: InstanceTally = field(default_factory=InstanceTally)
    shapes: ShapeTally = field(default_factory=ShapeTally)
    unregistered: ShapeTally = field(default_factory=ShapeTally)
    """Of the same items before products were laid over them; empty where that is not done."""
    times_ms: dict[str, list[float]] = field(default_factory=dict)
    scenes: int = 0
    unseen: int = 0
    """Scenes that fusion refused."""


Results = dict[tuple[str, str], Seen]
"""By method and suite."""


def run(
    files: Sequence[Path],
    names: Sequence[str] = tuple(METHODS),
    models: Path | None = None,
    pictures: Path | None = None,
    on_scene: Callable[[int], None] = lambda done: None,
) -> Results:
    """See every scene by every method. Raises what :func:`way` and reading raise."""
    catalogue = load_catalogue()
    gallery = ColorGallery(catalogue)
    identifier = SizeAndColorIdentifier(catalogue, gallery=gallery)
    ways: dict[tuple[str, str], Way | PerView] = {}
    results: Results = {}
    for done, path in enumerate(files, 1):
        scene = read_scene(path)
        views, suite = SceneViews.of(scene), scene.suite
        start = time.perf_counter()
        fused = views.fuse(scene).value
        fusion_ms = 1e3 * (time.perf_counter() - start)
        products = [(catalogue[sku], n) for sku, n in scene.manifest.items() if sku in catalogue]
        for name in names:
            if (name, views.cell.name) not in ways:
                ways[name, views.cell.name] = way(name, views.cell, catalogue, gallery, models)
            seen = results.setdefault((name, suite), Seen())
            seen.scenes += 1
            if fused is None:
                seen.unseen += 1
                continue
            how = ways[name, views.cell.name]
            if isinstance(how, PerView):
                seen.instances.matches += how.matches(scene, fused)
                continue
            picture = pictures / f"{scene.name}-{name}.png" if pictures else None
            times = _see(seen, how, scene, fused, products, identifier, picture)
            if done > WARM_UP:
                for stage, ms in {"fusion": fusion_ms, **times, "full_update": fusion_ms + sum(times.values())}.items():
                    seen.times_ms.setdefault(stage, []).append(ms)
        on_scene(done)
    return results


def _see(
    seen: Seen,
    how: Way,
    scene: LabelledScene,
    fused: FusedScene,
    products: list[tuple[Sku, int]],
    identifier: Identifier,
    picture: Path | None,
) -> dict[str, float]:
    start = time.perf_counter()
    segmentation = how.segmenter.segment(fused, products)
    labels = label_images(fused.views, fused.volume, fused.surface, segmentation.labels)
    middle = time.perf_counter()
    completed = how.completer.complete_all(fused.cloud, segmentation.labels, fused.volume)
    end = time.perf_counter()
    final, registration_s = completed, 0.0
    if how.registrar is not None:
        identities = identifier.identify(completed, scene.manifest)
        start_of_registration = time.perf_counter()
        final = how.registrar.refine_all(completed, identities, fused.volume)
        registration_s = time.perf_counter() - start_of_registration
    truth = np.concatenate([scene.item_pixels[v.camera.name].ravel() for v in fused.views])
    predicted = np.concatenate([image.ravel() for image in labels])
    rank = [graspable(each, float(sure)) for each, sure in zip(completed, segmentation.confidence, strict=True)]
    seen.instances.matches.append(match_scene(truth, predicted, segmentation.confidence.tolist(), rank))
    instance_of = {number: label for label, number in owners(truth, predicted, VISIBLE_PIXELS).items()}
    for item in scene.items:  # a wrong instance is segmentation's fault: its shape does not count
        if item.number in instance_of:
            index = instance_of[item.number] - 1
            seen.shapes.add(final[index].shape, item)
            if how.registrar is not None:
                seen.unregistered.add(completed[index].shape, item)
    if picture is not None:
        _draw(scene, fused, labels, picture)
    return {"segmentation": 1e3 * (middle - start), "completion": 1e3 * (end - middle + registration_s)}


ROOM_FOR_A_CUP = 100
"""Points, 3 mm apart, on as much surface as a cup of 30 mm and some room around it need."""


def graspable(item: Completed, chance: float) -> float:
    """How graspable an instance seems before any grasp is computed: the chance that it is one item, how free it lies from
    above, and whether as much of it shows as a hand needs."""
    return chance * item.exposure * min(1.0, len(item.visible) / ROOM_FOR_A_CUP)


def _draw(scene: LabelledScene, fused: FusedScene, labels: list[np.ndarray], path: Path) -> None:
    """Each view with the instances in colours above, the truth below."""
    palette = np.random.default_rng(1).integers(60, 255, (65536, 3)).astype(np.uint8)
    palette[0] = 0
    rows = []
    for images in (labels, [scene.item_pixels[v.camera.name] for v in fused.views]):
        row = [(0.45 * frame.color + 0.55 * palette[image]).astype(np.uint8) for frame, image in zip(fused.frames, images)]
        rows.append(np.hstack(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(np.vstack(rows)[..., ::-1]))


def run_moving(
    folder: Path,
    names: Sequence[str],
    models: Path | None = None,
    on_sequence: Callable[[int], None] = lambda done: None,
) -> dict[str, TrackTally]:
    """Follow the items of every sequence in a folder, once per method that fuses. Raises what :func:`run` raises."""
    catalogue = load_catalogue()
    gallery = ColorGallery(catalogue)
    identifier = SizeAndColorIdentifier(catalogue, gallery=gallery)
    out = {name: TrackTally() for name in names if name in STAGES}
    segmenters: dict[tuple[str, str], Segmenter] = {}
    for done, paths in enumerate(sequences(folder).values(), 1):
        cell = SceneViews.of(read_scene(paths[0])).cell
        for name, tally in out.items():
            if (name, cell.name) not in segmenters:
                segmenters[name, cell.name] = make_segmenter(STAGES[name], cell, gallery, models)
            follow(paths, segmenters[name, cell.name], identifier, tally)
        on_sequence(done)
    return out


def result_of(results: Results, method: str, seed: int, scenes: Path, tracks: TrackTally | None = None) -> BenchResult:
    """Figures of one method: over all suites, and per suite with its name in front."""
    suites = sorted({suite for name, suite in results if name == method})
    metrics: dict[str, Metric] = {}
    for suite in suites:
        metrics |= {f"{suite}_{key}": value for key, value in _metrics(results[method, suite]).items()}
    everything = _joined([results[method, suite] for suite in suites])
    metrics = _metrics(everything) | _times(everything.times_ms) | metrics
    if tracks is not None:
        metrics |= _tracking(tracks)
    if "tote_top5_iou75" in metrics:
        metrics["top5_iou75"] = metrics["tote_top5_iou75"]
    config = {
        "method": method, "scenes": {s: results[method, s].scenes for s in suites}, "folder": scenes.name,
        "refused": everything.unseen, "visible_pixels": VISIBLE_PIXELS,
        "reliability": [[round(a, 3), round(b, 3), n] for a, b, n in everything.shapes.reliability()],
    }  # fmt: skip
    name = "see" if method == "learned" else f"see-{method}"
    return BenchResult(name, seed, everything.scenes, config, machine_facts(), commit_id(REPOSITORY), metrics)


def _joined(parts: Sequence[Seen]) -> Seen:
    out = Seen()
    for part in parts:
        out.instances.matches += part.instances.matches
        for mine, theirs in ((out.shapes, part.shapes), (out.unregistered, part.unregistered)):
            mine.scores += theirs.scores
            for name in ("right", "points", "said"):
                setattr(mine, name, getattr(mine, name) + getattr(theirs, name))
        for stage, times in part.times_ms.items():
            out.times_ms.setdefault(stage, []).extend(times)
        out.scenes += part.scenes
        out.unseen += part.unseen
    return out


def _metrics(seen: Seen) -> dict[str, Metric]:
    tally = seen.instances
    metrics = {"top5_iou75": Metric.of(wilson(*tally.top(0.75)), "share of instances")}
    for percent in (50, 75):
        metrics[f"instance_precision_iou{percent}"] = Metric.of(wilson(*tally.right(percent / 100)), "share of instances")
        metrics[f"instance_recall_iou{percent}"] = Metric.of(wilson(*tally.found(percent / 100)), "share of items")
    scenes = np.arange(len(tally.matches))
    ap = bootstrap(scenes, lambda s: InstanceTally([tally.matches[int(i)] for i in s]).average_precision())
    metrics["average_precision"] = Metric.of(ap, "mean over IoU .5 to .95")
    metrics["over_segmentation"] = Metric.of(wilson(*tally.torn()), "share of items")
    metrics["under_segmentation"] = Metric.of(wilson(*tally.joined()), "share of instances")
    for prefix, shapes in (("", seen.shapes), ("unregistered_", seen.unregistered)):
        if shapes.scores:
            chamfer, iou = np.array([1e3 * s.chamfer_m for s in shapes.scores]), np.array([s.iou for s in shapes.scores])
            metrics[f"{prefix}chamfer_mm"] = Metric.of(bootstrap(chamfer, lambda s: float(np.mean(s))), "mm, Chamfer-L1")
            metrics[f"{prefix}completion_iou"] = Metric.of(bootstrap(iou, lambda s: float(np.mean(s))), "share of volume")
    if seen.shapes.scores:
        error = seen.shapes.calibration_error()
        metrics["confidence_calibration_error"] = Metric(error, error, error, "mean gap, no interval")
    return metrics


def _tracking(tally: TrackTally) -> dict[str, Metric]:
    """Kept by the next full look, and, with ``watched`` in the name, until then by watching alone."""
    metrics = {}
    for name, watched in (("track_kept", False), ("watched_kept", True)):
        metrics[f"{name}_rate"] = Metric.of(wilson(*tally.rate(watched=watched)), "share of items")
        for movement in ("shove", "crossing"):
            metrics[f"{name}_{movement}"] = Metric.of(wilson(*tally.rate(movement, watched=watched)), "share of items")
        moved = wilson(*tally.rate(moved=True, watched=watched))
        metrics[f"{name}_moved"] = Metric.of(moved, "share of items that moved over 1 cm")
    return metrics | _times(tally.times_ms)


def _times(times_ms: dict[str, list[float]]) -> dict[str, Metric]:
    out = {}
    for stage, values in times_ms.items():
        sample = np.array(values)
        out[f"{stage}_ms_median"] = Metric.of(bootstrap(sample, lambda s: float(np.median(s))), "ms")
        out[f"{stage}_ms_p95"] = Metric.of(bootstrap(sample, lambda s: float(np.quantile(s, 0.95))), "ms")
    return out
