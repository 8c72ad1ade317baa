"""Perception of one cell: frames in, a :class:`Scene` out. Fusion, segmentation, completion and identity in a row.

Each stage can be replaced by anything with the same methods (see the protocols in the stages' packages).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pickcell.blas import limit_blas_threads
from pickcell.cell import CellConfig
from pickcell.completion import Completed, Completer
from pickcell.completion.choose import LEARNED, make_completer
from pickcell.completion.registration import CatalogueRegistrar
from pickcell.fusion import FusedScene, Fusion, FusionConfig
from pickcell.fusion.calibration import CalibrationMonitor
from pickcell.identity import ColorGallery, Identifier, SizeAndColorIdentifier
from pickcell.motion import RobotModel
from pickcell.outcome import CODES, Code, Outcome
from pickcell.segmentation import Segmenter, label_images
from pickcell.segmentation.choose import GEOMETRIC, make_segmenter
from pickcell.values import CameraHealth, Identity, Instance, JointState, RgbdFrame, Scene, SceneView, Sku

RobotSpheres = Callable[[JointState], NDArray[np.float64]]
"""Spheres (N, 4: x, y, z, radius in ``base_link``) that cover the robot at the given joints."""


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

    @property
    def cameras(self) -> tuple[CameraHealth, ...]:
        """Health of all cameras at the last call, also when it failed."""
        return self._cameras

    def observe(
        self, frames: list[RgbdFrame], joints: JointState, manifest: Mapping[str, int], now_s: float
    ) -> Outcome[Scene]:
        """Look at the cell. ``joints``: where the arm was at capture; ``manifest``: SKU -> count in the source tote.

        Fails with CAMERA_MISSING, CAMERA_STALE, DEPTH_INVALID, or SCENE_EMPTY; the last still carries the scene (views,
        maps), without instances. Raises ValueError for a frame of a camera that the cell does not have, and KeyError
        when ``joints`` lacks a joint of the arm.
        """
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
        return _outcome(_scene(scene, images, completed, identities, segmentation.confidence, timings))

    def _products(self, manifest: Mapping[str, int]) -> list[tuple[Sku, int]]:
        """What is in the tote, with counts; nothing when a part of it is not in the catalogue, as that could look like
        anything."""
        listed = {sku: n for sku, n in sorted(manifest.items()) if n > 0}
        if not all(sku in self._catalogue for sku in listed):
            return []
        return [(self._catalogue[sku], n) for sku, n in listed.items()]


def _scene(
    fused: FusedScene,
    images: list[NDArray[np.uint16]],
    completed: list[Completed],
    identities: list[Identity],
    confidence: NDArray[np.float32],
    timings: dict[str, float],
) -> Scene:
    instances = tuple(
        Instance(i, item.visible, item.shape, identity, item.exposure, float(sure))
        for i, (item, identity, sure) in enumerate(zip(completed, identities, confidence, strict=True), 1)
    )
    views = tuple(
        SceneView(frame.camera, frame.X_base_camera, frame.color, image) for frame, image in zip(fused.frames, images)
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
