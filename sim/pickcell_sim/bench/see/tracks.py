"""Whether items stay who they are while things move: a full look at rest, then the watching update frame by frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.catalogue import load_catalogue
from pickcell.completion import GeometricCompleter
from pickcell.fusion import FusedScene
from pickcell.segmentation import Segmenter, label_images
from pickcell.tracking import Track, TrackState, Watch
from pickcell.values import Identity, Instance
from pickcell_sim.bench.see.instances import VISIBLE_PIXELS, owners
from pickcell_sim.data.scene_file import LabelledScene, read_scene, scene_files
from pickcell_sim.data.views import SceneViews, items_under

SEEN_POINTS = 10
"""Points of a track that must be in sight at the end to say whose they are."""
NEAR_M = 0.012
MOVED_M = 0.01


@dataclass(frozen=True)
class Kept:
    """One item through one sequence."""

    movement: str
    """"shove" or "crossing"."""
    kept: bool
    moved_m: float
    """How far it really went."""
    off_m: float
    """How far the track's motion is from the item's, at the item's middle; NaN when the track is lost."""


@dataclass
class TrackTally:
    """Over many sequences."""

    items: list[Kept] = field(default_factory=list)
    times_ms: dict[str, list[float]] = field(default_factory=dict)
    sequences: int = 0
    refused: int = 0
    """Updates that were refused, for want of cameras for instance."""

    def rate(self, movement: str | None = None, moved: bool | None = None) -> tuple[int, int]:
        """Items that were kept, and all; of one kind of movement, and those that moved, or did not, alone."""
        chosen = [
            each.kept
            for each in self.items
            if (movement is None or each.movement == movement) and (moved is None or (each.moved_m > MOVED_M) == moved)
        ]
        return sum(chosen), len(chosen)


def sequences(folder: Path) -> dict[str, list[Path]]:
    """Frames of each sequence, in order. Raises SceneFileError when there are none."""
    out: dict[str, list[Path]] = {}
    for path in scene_files(folder):
        stem, number = path.name.removesuffix(".scene.npz").rsplit("-", 1)
        if number.isdecimal() and len(number) == 2:
            out.setdefault(stem, []).append(path)
    return out


def follow(paths: Sequence[Path], segmenter: Segmenter, tally: TrackTally) -> None:
    """Add one sequence. Its first frame is looked at in full, by a segmenter of its cell."""
    first = read_scene(paths[0])
    views = SceneViews.of(first)
    fused = views.fuse(first).value
    if fused is None:
        return
    catalogue = load_catalogue()
    products = [(catalogue[sku], n) for sku, n in first.manifest.items() if sku in catalogue]
    labels = segmenter.segment(fused, products).labels
    completed = GeometricCompleter(views.cell).complete_all(fused.cloud, labels, fused.volume)
    instances = [
        Instance(i, each.visible, each.shape, Identity.unknown(), each.exposure) for i, each in enumerate(completed, 1)
    ]
    owner = _owners(first, fused, labels)
    watch = Watch(views.cell)
    watch.start(fused, {frame.camera.name: frame.X_base_camera for frame in first.frames}, instances)
    tally.sequences += 1
    last = first
    for number, path in enumerate(paths[1:]):
        last = read_scene(path)
        start = time.perf_counter()
        seen = watch.update(last.frames, views.spheres(last), last.stamp_s + 0.05)
        if number:  # the first call compiles
            times = {"watch_update": 1e3 * (time.perf_counter() - start)} | (seen.value.timings_ms if seen.value else {})
            for stage, ms in times.items():
                tally.times_ms.setdefault(stage, []).append(ms)
        tally.refused += not seen.ok
    movement = paths[0].name.rsplit("-", 2)[1]
    tracks = {track.id: track for track in watch.tracker.tracks}
    for label, number in owner.items():
        if label in tracks and (found := _kept(first, last, fused, watch, tracks[label], number, movement)) is not None:
            tally.items.append(found)


def _owners(scene: LabelledScene, fused: FusedScene, labels: NDArray[np.int32]) -> dict[int, int]:
    """Item of each instance that is one."""
    images = label_images(fused.views, fused.volume, fused.surface, labels)
    truth = np.concatenate([scene.item_pixels[v.camera.name].ravel() for v in fused.views])
    return owners(truth, np.concatenate([image.ravel() for image in images]), VISIBLE_PIXELS)


def _kept(
    first: LabelledScene, last: LabelledScene, fused: FusedScene, watch: Watch, track: Track, number: int, movement: str
) -> Kept | None:
    """None when too little of the item is in sight at the end."""
    before = next((item for item in first.items if item.number == number), None)
    after = next((item for item in last.items if item.number == number), None)
    if before is None or after is None or sum(np.sum(p == number) for p in last.item_pixels.values()) < VISIBLE_PIXELS:
        return None
    middle, went = before.points.mean(axis=0), after.points.mean(axis=0) - before.points.mean(axis=0)
    moved = float(np.linalg.norm(went))
    if track.state is TrackState.LOST:
        return Kept(movement, False, moved, float("nan"))
    X = track.X_base_start
    off = float(np.linalg.norm(X[:3, :3] @ middle + X[:3, 3] - after.points.mean(axis=0)))
    votes = _votes(watch.tracker.cloud(track.id), last, fused)
    if votes.sum() < SEEN_POINTS:
        return Kept(movement, off < 2 * NEAR_M, moved, off)
    return Kept(movement, int(votes.argmax()) == number, moved, off)


def _votes(points: NDArray[np.float64], scene: LabelledScene, fused: FusedScene) -> NDArray[np.int64]:
    """Item numbers of the pixels that show a track's points."""
    votes = np.zeros(256, np.int64)
    corrected = {frame.camera.name: frame.X_base_camera for frame in fused.frames}
    for frame in scene.frames:
        X = corrected.get(frame.camera.name, frame.X_base_camera)
        pixels = scene.item_pixels[frame.camera.name]
        np.add.at(votes, items_under(points, frame.camera, X, frame.depth_m, pixels, NEAR_M)[1], 1)
    return votes
