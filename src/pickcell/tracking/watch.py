"""The watching update: between two full looks, where the followed items are and which space is free, at camera rate.

It works on every second row and column of the depth pictures, in the poses to which the last full look corrected the
cameras, and builds no new surface: the planning grid comes straight from the pictures.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion import FusedScene, FusionConfig
from pickcell.fusion.depth import prepare_depth
from pickcell.fusion.frames import judge_frames
from pickcell.fusion.furniture import furniture_boxes
from pickcell.fusion.tsdf import DepthView
from pickcell.fusion.workspace import Workspace
from pickcell.geometry import Pose, inverse
from pickcell.outcome import Code, Outcome
from pickcell.tracking.agreement import sights_of
from pickcell.tracking.config import TrackingConfig
from pickcell.tracking.tracker import Tracker
from pickcell.values import CameraHealth, CameraModel, Instance, RgbdFrame, Watched

SKIP = 2
"""Every so many-th row and column of the pictures is used."""
_NOWHERE = (np.eye(4), np.ones(3), np.zeros(3))
"""No region for which anything but the pictures speaks."""


class Watch:
    """Watches one cell. Not thread-safe: one call at a time."""

    def __init__(self, cell: CellConfig, fusion: FusionConfig | None = None, tracking: TrackingConfig | None = None) -> None:
        self.cell = cell
        self._config = fusion or FusionConfig()
        self._workspace = Workspace(cell, self._config, furniture_boxes(cell))
        self._X_base_tote = cell.X_base_tote("source")
        self._corrections: dict[str, Pose] = {}
        """Camera -> its corrected pose in its calibrated one."""
        self.tracker = Tracker(tracking)
        self.cameras: tuple[CameraHealth, ...] = ()
        """Health of all cameras at the last update, also when it failed."""

    def start(self, fused: FusedScene, raw_poses: dict[str, Pose], instances: Sequence[Instance]) -> None:
        """Follow the instances of a full look from now on. ``raw_poses``: camera -> its pose as calibrated, before the look
        corrected it."""
        self._corrections = {
            frame.camera.name: inverse(raw_poses[frame.camera.name]) @ frame.X_base_camera for frame in fused.frames
        }
        views = [_thinned(view) for view in fused.views]
        colors = [np.ascontiguousarray(frame.color[::SKIP, ::SKIP]) for frame in fused.frames]
        self.tracker.start(instances, sights_of(views, colors, self._X_base_tote))

    def update(
        self,
        frames: list[RgbdFrame],
        robot_spheres: NDArray[np.float64],
        now_s: float,
        only: Iterable[int] | None = None,
    ) -> Outcome[Watched]:
        """Look at new frames. ``robot_spheres``: (N, 4) x, y, z, radius in ``base_link``; ``only``: ids to follow.

        Cameras that the last full look did without are left out. Fails with CAMERA_MISSING, CAMERA_STALE or DEPTH_INVALID.
        Raises ValueError for a frame of an unknown camera, and KeyError for an id that is not followed.
        """
        start = time.perf_counter()
        judged, cameras = judge_frames(self.cell, self._config, frames, now_s)
        cameras = self.cameras = tuple(self._as_in_the_look(health) for health in cameras)
        if not judged.ok:
            return judged.failed_as()
        believed = [frame for frame in judged.unwrap().used if frame.camera.name in self._corrections]
        if len(believed) < self._config.min_cameras:
            said = ", ".join(f"{c.camera} ({c.note})" for c in cameras if not c.used)
            need = f"{len(believed)} of {self._config.min_cameras} needed cameras are good"
            return Outcome.failure(Code.DEPTH_INVALID, f"{need}: {said}.")
        used = sorted(believed, key=lambda frame: frame.camera.name)
        spheres = np.ascontiguousarray(np.asarray(robot_spheres, dtype=np.float64).reshape(-1, 4))
        with ThreadPoolExecutor(self._config.threads) as pool:
            prepared = list(pool.map(lambda frame: self._prepare(frame, spheres), used))
        views, colors = [view for view, _ in prepared], [color for _, color in prepared]
        at = time.perf_counter()
        timings = {"watch_prepare": 1e3 * (at - start)}
        occupancy = self._workspace.build(self._workspace.observe(views, _NOWHERE), np.zeros((0, 3), np.float32), spheres)
        timings["watch_space"] = 1e3 * (time.perf_counter() - at)
        at = time.perf_counter()
        tracks = self.tracker.update(sights_of(views, colors, self._X_base_tote), only)
        timings["watch_tracking"] = 1e3 * (time.perf_counter() - at)
        return Outcome.success(Watched(min(f.stamp_s for f in used), tracks, occupancy, cameras, timings))

    def pose_of(self, frame: RgbdFrame) -> Pose:
        """A frame's camera in ``base_link``, corrected as the last full look corrected it: on its mount, so that the
        correction of a camera on the wrist turns with the wrist."""
        return np.asarray(frame.X_base_camera @ self._corrections.get(frame.camera.name, np.eye(4)))

    def _as_in_the_look(self, health: CameraHealth) -> CameraHealth:
        """Not used when the last full look did without it: it may have been knocked."""
        if health.camera in self._corrections or not health.used:
            return health
        note = "; ".join(part for part in (health.note, "the last look did without it") if part)
        return replace(health, used=False, note=note)

    def _prepare(self, frame: RgbdFrame, spheres: NDArray[np.float64]) -> tuple[DepthView, NDArray[np.uint8]]:
        X = self.pose_of(frame)
        small = replace(
            frame,
            camera=_skipped(frame.camera),
            color=np.ascontiguousarray(frame.color[::SKIP, ::SKIP]),
            depth_m=np.ascontiguousarray(frame.depth_m[::SKIP, ::SKIP]),
            X_base_camera=X,
        )
        depth, weight = prepare_depth(small, self._config, spheres)
        return DepthView(small.camera, X, depth, weight), np.asarray(small.color)


def _thinned(view: DepthView) -> DepthView:
    depth, weight = (np.ascontiguousarray(each[::SKIP, ::SKIP]) for each in (view.depth_m, view.weight))
    return DepthView(_skipped(view.camera), view.X_base_camera, depth, weight)


def _skipped(camera: CameraModel) -> CameraModel:
    """The camera of every SKIP-th row and column."""
    return replace(
        camera,
        width=-(-camera.width // SKIP),
        height=-(-camera.height // SKIP),
        fx=camera.fx / SKIP,
        fy=camera.fy / SKIP,
        cx=camera.cx / SKIP,
        cy=camera.cy / SKIP,
    )
