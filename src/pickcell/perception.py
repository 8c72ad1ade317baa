"""Perception of one cell: frames in, a :class:`Scene` out. Fusion, segmentation, completion and identity in a row.

Each stage can be replaced by anything with the same methods (see the protocols in the stages' packages).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pickcell.blas import limit_blas_threads
from pickcell.cell import CellConfig
from pickcell.completion import Completer
from pickcell.completion.choose import LEARNED, make_completer
from pickcell.completion.registration import CatalogueRegistrar
from pickcell.fusion import FusedScene, Fusion, FusionConfig
from pickcell.fusion.calibration import CalibrationMonitor
from pickcell.geometry import Pose
from pickcell.identity import ColorGallery, Identifier, SizeAndColorIdentifier
from pickcell.motion import RobotModel
from pickcell.outcome import CODES, Code, Outcome
from pickcell.segmentation import Segmenter, label_images
from pickcell.segmentation.choose import GEOMETRIC, make_segmenter
from pickcell.tracking import IdentityKeeper, TrackState, Watch, Watched
from pickcell.values import CameraHealth, Instance, JointState, PointCloud, RgbdFrame, Scene, SceneView, Sku

RobotSpheres = Callable[[JointState], NDArray[np.float64]]
"""Spheres (N, 4: x, y, z, radius in ``base_link``) that cover the robot at the given joints."""


@dataclass(frozen=True)
class _Look:
    """What watching goes on from."""

    fused: FusedScene
    raw_poses: dict[str, Pose]
    """Camera -> its pose as calibrated."""
    instances: tuple[Instance, ...]
    followed: bool = False


class PerceptionPipeline:
    """Looks at a cell. Not thread-safe: one call at a time."""

    def __init__(
        self,
        cell: CellConfig,
        urdf: str,
        catalogue: Mapping[str, Sku],
        *,
        fusion: FusionConfig | None = None,
        segmenter: Segmenter | None = None,
        segmentation: str = GEOMETRIC,
        completer: Completer | None = None,
        completion: str = GEOMETRIC,
        identifier: Identifier | None = None,
        robot_spheres: RobotSpheres | None = None,
    ) -> None:
        """``urdf``: the robot's description, for leaving the arm out of the images; ``robot_spheres`` replaces what
        would be made of it. ``catalogue``: SKU -> product. ``segmentation``, ``completion``: name of a segmenter
        (SEGMENTERS) and of a completer (COMPLETERS), unless one is given; with ``learned`` completion an item that is known
        for what it is gets its product's own shape where that explains it better.

        Raises ModelError when a network that it needs is missing or unusable. Holds numpy's matrix library to one thread
        from now on."""
        limit_blas_threads(1)
        self.cell = cell
        self._catalogue = catalogue
        monitor = CalibrationMonitor(cell.X_base_tote("source")[:3, 3])
        self._fusion = Fusion(cell, fusion, monitor)
        gallery = ColorGallery(catalogue)
        self._segmenter = segmenter or make_segmenter(segmentation, cell, gallery)
        self._completer = completer or make_completer(completion, cell)
        self._registrar = CatalogueRegistrar(cell, catalogue) if completer is None and completion == LEARNED else None
        self._identifier = identifier or SizeAndColorIdentifier(catalogue, gallery=gallery)
        self._spheres = robot_spheres or _spheres_of(urdf, cell)
        self._cameras: tuple[CameraHealth, ...] = ()
        self._keeper = IdentityKeeper()
        self._manifest: dict[str, int] = {}
        self._watch = Watch(cell, fusion)
        self._look: _Look | None = None

    @property
    def cameras(self) -> tuple[CameraHealth, ...]:
        """Health of all cameras at the last call, also when it failed."""
        return self._cameras

    @property
    def surface(self) -> PointCloud:
        """All that the last look fused, floor and walls of the source tote included; empty when it could not be fused."""
        return self._look.fused.cloud if self._look is not None else PointCloud.empty()

    @property
    def ids(self) -> tuple[int, ...]:
        """Of the instances of the last look."""
        return tuple(instance.id for instance in self._look.instances) if self._look is not None else ()

    def observe(
        self, frames: list[RgbdFrame], joints: JointState, manifest: Mapping[str, int], now_s: float
    ) -> Outcome[Scene]:
        """Look at the cell. ``joints``: where the arm was at capture; ``manifest``: SKU -> count in the source tote.

        Fails with CAMERA_MISSING, CAMERA_STALE, DEPTH_INVALID, or SCENE_EMPTY; the last still carries the scene (views,
        maps), without instances. Raises ValueError for a frame of a camera that the cell does not have, and KeyError
        when ``joints`` lacks a joint of the arm.
        """
        before, self._look = self._look, None  # after a look that fails there is nothing to follow
        start = time.perf_counter()
        spheres = self._spheres(joints)
        fused, self._cameras = self._fusion.fuse(frames, spheres, now_s)
        if not fused.ok:
            return fused.failed_as()
        scene = fused.unwrap()
        timings = {"fusion": _ms(start), **scene.timings_ms}
        start = time.perf_counter()
        segmentation = self._segmenter.segment(scene, self._products(manifest))
        labels = segmentation.labels
        images = label_images(scene.views, scene.volume, scene.surface, labels)
        timings["segmentation"] = _ms(start)
        start = time.perf_counter()
        completed = self._completer.complete_all(scene.cloud, labels, scene.volume)
        timings["completion"] = _ms(start)
        start = time.perf_counter()
        identities = self._identifier.identify(completed, manifest)
        timings["identity"] = _ms(start)
        if self._registrar is not None:
            start = time.perf_counter()
            completed = self._registrar.refine_all(completed, identities, scene.volume)
            timings["completion"] += _ms(start)
        instances = [
            Instance(i, item.visible, item.shape, identity, item.exposure, float(sure))
            for i, (item, identity, sure) in enumerate(zip(completed, identities, segmentation.confidence, strict=True), 1)
        ]
        start = time.perf_counter()
        ids = self._ids(instances, manifest, before)
        timings["numbering"] = _ms(start)
        out = _scene(scene, images, instances, ids, timings)
        self._look = _Look(scene, {frame.camera.name: frame.X_base_camera for frame in frames}, out.instances)
        return _outcome(out)

    def watch(
        self, frames: list[RgbdFrame], joints: JointState, now_s: float, only: Iterable[int] | None = None
    ) -> Outcome[Watched]:
        """Where the items of the last look are now, and which space is free: the watching update, at camera rate. ``only``:
        ids to follow, all unless given. The next look goes on from where items were followed to.

        Fails with CAMERA_MISSING, CAMERA_STALE, DEPTH_INVALID, and with SCENE_EMPTY when there was no look to go on from.
        Raises ValueError and KeyError as :meth:`observe` does, and KeyError for an id that is not followed.
        """
        if self._look is None:
            return Outcome.failure(Code.SCENE_EMPTY, "There is nothing to follow: look at the cell first.")
        if not self._look.followed:
            self._watch.start(self._look.fused, self._look.raw_poses, self._look.instances)
            self._look = replace(self._look, followed=True)
        watched = self._watch.update(frames, self._spheres(joints), now_s, only)
        self._cameras = self._watch.cameras
        return watched

    def _ids(self, instances: list[Instance], manifest: Mapping[str, int], before: _Look | None) -> list[int]:
        """Ids as before for what was there before, as far as can be told. More of anything than before means that this is
        another tote. ``before``: the last look, if it saw anything."""
        if any(count > self._manifest.get(sku, 0) for sku, count in manifest.items()):
            self._keeper.forget()
        self._manifest = dict(manifest)
        followed = self._watch.tracker.tracks if before is not None and before.followed else ()
        return self._keeper.assign(instances, {t.id: t.X_base_start for t in followed if t.state is not TrackState.LOST})

    def _products(self, manifest: Mapping[str, int]) -> list[tuple[Sku, int]]:
        """What is in the tote, with counts; nothing when a part of it is not in the catalogue, as that could look like
        anything."""
        listed = {sku: n for sku, n in sorted(manifest.items()) if n > 0}
        if not all(sku in self._catalogue for sku in listed):
            return []
        return [(self._catalogue[sku], n) for sku, n in listed.items()]


def _scene(
    fused: FusedScene, images: list[NDArray[np.uint16]], found: list[Instance], ids: list[int], timings: dict[str, float]
) -> Scene:
    """``images``: labels by place in ``found``, from 1, whose ids they get."""
    instances = tuple(replace(instance, id=i) for instance, i in zip(found, ids, strict=True))
    id_of = np.array([0, *ids], np.uint16)
    views = tuple(
        SceneView(frame.camera, frame.X_base_camera, frame.color, id_of[image]) for frame, image in zip(fused.frames, images)
    )
    return Scene(fused.stamp_s, instances, fused.occupancy, fused.heightmaps, views, fused.cameras, timings)


def _outcome(scene: Scene) -> Outcome[Scene]:
    if scene.instances:
        return Outcome.success(scene)
    return replace(Outcome.success(scene), code=Code.SCENE_EMPTY, text=CODES[Code.SCENE_EMPTY].sentence)


def _ms(start: float) -> float:
    return 1000.0 * (time.perf_counter() - start)


def _spheres_of(urdf: str, cell: CellConfig) -> RobotSpheres:
    """The robot's sphere model from its URDF; nothing to leave out of the images when the URDF is empty."""
    if not urdf:
        return lambda joints: np.zeros((0, 4))
    jaws, cup = cell.hand.jaw_joints, cell.hand.cup_joint
    model = RobotModel(urdf, cell.arm.joints, jaws, cup)

    def spheres(joints: JointState) -> NDArray[np.float64]:
        known = dict(zip(joints.names, joints.positions))
        # a hand whose joints are not reported is taken at its widest and longest
        opening = float(sum(known.get(jaw, 0.5 * cell.hand.opening_max_m) for jaw in jaws))
        extended = known.get(cup, cell.hand.cup_stroke_m) > 0.1 * cell.hand.cup_stroke_m
        return model.spheres(joints.select(cell.arm.joints), opening, extended)

    return spheres
