"""Whether items stay who they are while things move: a full look at rest, the watching update frame by frame, and a full
look at the end that numbers its instances as before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.catalogue import load_catalogue
from pickcell.completion import GeometricCompleter
from pickcell.fusion import FusedScene
from pickcell.identity import Identifier
from pickcell.segmentation import Segmenter, label_images
from pickcell.tracking import IdentityKeeper, Track, TrackState, Watch
from pickcell.values import Instance
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
    watched: bool
    """The track lies on it when the movement ends."""
    kept: bool
    """The instance of the next full look that bears its id is it; where none bears it, the track lies on it."""
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

    def rate(self, movement: str | None = None, moved: bool | None = None, watched: bool = False) -> tuple[int, int]:
        """Items that were kept (or were until the movement ended: ``watched``), and all; of one kind of movement, and those
        that moved, or did not, alone."""
        chosen = [
            each.watched if watched else each.kept
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


@dataclass(frozen=True)
class Look:
    """A full look at one frame of a sequence."""

    scene: LabelledScene
    fused: FusedScene
    instances: list[Instance]
    """Numbered 1.. as segmentation found them."""
    pixels: list[NDArray[np.uint16]]
    """Per view of ``fused``, which instance each pixel shows."""

    def item_of(self, number: int) -> int:
        """Item (0: none) that most pixels of instance ``number`` show."""
        shown = [self.scene.item_pixels[v.camera.name][p == number] for v, p in zip(self.fused.views, self.pixels)]
        return int(np.bincount(np.concatenate(shown), minlength=1).argmax())

    def owners(self) -> dict[int, int]:
        """Item of each instance that is one."""
        truth = np.concatenate([self.scene.item_pixels[v.camera.name].ravel() for v in self.fused.views])
        return owners(truth, np.concatenate([image.ravel() for image in self.pixels]), VISIBLE_PIXELS)


def look(scene: LabelledScene, views: SceneViews, segmenter: Segmenter, identifier: Identifier) -> Look | None:
    """Look at a frame in full; None when its cameras do not allow it."""
    fused = views.fuse(scene).value
    if fused is None:
        return None
    catalogue = load_catalogue()
    products = [(catalogue[sku], n) for sku, n in scene.manifest.items() if sku in catalogue]
    segmentation = segmenter.segment(fused, products)
    completed = GeometricCompleter(views.cell).complete_all(fused.cloud, segmentation.labels, fused.volume)
    identities = identifier.identify(completed, scene.manifest)
    instances = [
        Instance(i, each.visible, each.shape, identity, each.exposure)
        for i, (each, identity) in enumerate(zip(completed, identities, strict=True), 1)
    ]
    return Look(scene, fused, instances, label_images(fused.views, fused.volume, fused.surface, segmentation.labels))


def follow(paths: Sequence[Path], segmenter: Segmenter, identifier: Identifier, tally: TrackTally) -> None:
    """Add one sequence. Its first and its last frame are looked at in full, by a segmenter of its cell."""
    first = read_scene(paths[0])
    views = SceneViews.of(first)
    before = look(first, views, segmenter, identifier)
    if before is None:
        return
    keeper, watch = IdentityKeeper(), Watch(views.cell)
    assert keeper.assign(before.instances) == [each.id for each in before.instances]
    watch.start(before.fused, {frame.camera.name: frame.X_base_camera for frame in first.frames}, before.instances)
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
    after = look(last, SceneViews.of(last), segmenter, identifier)
    tracks = {track.id: track for track in watch.tracker.tracks}
    found = {t.id: t.X_base_start for t in tracks.values() if t.state is not TrackState.LOST}
    ids = keeper.assign(after.instances, found) if after is not None else []
    movement = paths[0].name.rsplit("-", 2)[1]
    for label, item in before.owners().items():
        if label in tracks and (kept := _kept(before, last, watch, tracks[label], item, movement)) is not None:
            if after is not None and label in ids:
                kept = replace(kept, kept=after.item_of(ids.index(label) + 1) == item)
            tally.items.append(kept)


def _kept(before: Look, last: LabelledScene, watch: Watch, track: Track, number: int, movement: str) -> Kept | None:
    """As far as watching goes; None when too little of the item is in sight at the end."""
    first = next((item for item in before.scene.items if item.number == number), None)
    after = next((item for item in last.items if item.number == number), None)
    if first is None or after is None or sum(np.sum(p == number) for p in last.item_pixels.values()) < VISIBLE_PIXELS:
        return None
    middle, went = first.points.mean(axis=0), after.points.mean(axis=0) - first.points.mean(axis=0)
    moved = float(np.linalg.norm(went))
    if track.state is TrackState.LOST:
        return Kept(movement, False, False, moved, float("nan"))
    X = track.X_base_start
    off = float(np.linalg.norm(X[:3, :3] @ middle + X[:3, 3] - after.points.mean(axis=0)))
    votes = _votes(watch, track.id, last)
    right = off < 2 * NEAR_M if votes.sum() < SEEN_POINTS else int(votes.argmax()) == number
    return Kept(movement, right, right, moved, off)


def _votes(watch: Watch, track_id: int, scene: LabelledScene) -> NDArray[np.int64]:
    """Item numbers of the pixels that show a track's points."""
    votes, points = np.zeros(256, np.int64), watch.tracker.cloud(track_id)
    for frame in scene.frames:
        pixels = scene.item_pixels[frame.camera.name]
        np.add.at(votes, items_under(points, frame.camera, watch.pose_of(frame), frame.depth_m, pixels, NEAR_M)[1], 1)
    return votes
