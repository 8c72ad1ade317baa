"""Fusion: frames of several cameras in, one surface with free space, planning grid and height maps out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.align import FurnitureAligner
from pickcell.fusion.calibration import CalibrationMonitor, Drift
from pickcell.fusion.color import color_points
from pickcell.fusion.config import FusionConfig
from pickcell.fusion.depth import prepare_depth
from pickcell.fusion.frames import judge_frames
from pickcell.fusion.furniture import furniture_boxes
from pickcell.fusion.tsdf import DepthView, Surface, TsdfVolume
from pickcell.fusion.workspace import Workspace, height_map
from pickcell.geometry import inverse, make_pose
from pickcell.outcome import Code, Outcome
from pickcell.values import CameraHealth, HeightMap, PointCloud, RgbdFrame, VoxelGrid


@dataclass(frozen=True)
class FusedScene:
    """What the cameras saw together."""

    stamp_s: float
    """Capture time of the oldest frame."""
    cloud: PointCloud
    """Surface of the source tote's content, floor and walls included, one point per voxel cell."""
    surface: Surface
    """The same points with their grid cells."""
    volume: TsdfVolume
    occupancy: VoxelGrid
    heightmaps: dict[str, HeightMap]
    frames: tuple[RgbdFrame, ...]
    """The frames that were fused, with corrected poses."""
    views: tuple[DepthView, ...]
    """Their prepared depth, in the same order."""
    cameras: tuple[CameraHealth, ...]
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Prepared:
    frame: RgbdFrame
    """With its corrected pose."""
    view: DepthView
    note: str
    knocked: bool


ODD_SHIFT_M = 0.008
"""A calibration further off than this is mentioned: the camera may have been knocked."""


class Fusion:
    """Fuses frames for one cell. Keeps nothing between calls but what depends on the cell alone, a fingerprint of the last
    images, and what the monitor keeps."""

    def __init__(
        self, cell: CellConfig, config: FusionConfig | None = None, monitor: CalibrationMonitor | None = None
    ) -> None:
        """``monitor``: watches over the cameras' calibration from look to look; without it each look stands for itself."""
        self.cell = cell
        self._monitor = monitor
        self._fixed = {camera.name for camera in cell.cameras if camera.parent == "world"}
        self.config = config or FusionConfig()
        self._boxes = furniture_boxes(cell)
        self._aligner = FurnitureAligner(self._boxes, self.config.align_step)
        self._workspace = Workspace(cell, self.config, self._boxes)
        self._prints: dict[str, tuple[float, int]] = {}

    def fuse(
        self, frames: list[RgbdFrame], robot_spheres: NDArray[np.float64], now_s: float
    ) -> tuple[Outcome[FusedScene], tuple[CameraHealth, ...]]:
        """``robot_spheres``: (N, 4) x, y, z, radius in ``base_link``, where the robot is; (0, 4) when it is out of sight.

        Fails with CAMERA_MISSING, CAMERA_STALE or DEPTH_INVALID. Raises ValueError for a frame of an unknown camera.
        """
        spheres = np.ascontiguousarray(np.asarray(robot_spheres, dtype=np.float64).reshape(-1, 4))
        clock = _StageClock()
        judged, cameras = judge_frames(self.cell, self.config, frames, now_s)
        if not judged.ok:
            return judged.failed_as(), cameras
        ordered = sorted(judged.unwrap().used, key=lambda frame: frame.camera.name)
        with ThreadPoolExecutor(self.config.threads) as pool:
            prepared = list(pool.map(lambda frame: self._prepare(frame, spheres), ordered))
        prepared = self._quarantine(ordered, prepared)
        cameras = _after_preparation(cameras, {p.frame.camera.name: p for p in prepared})
        prepared = [p for p in prepared if not p.knocked]
        seeing = judged.unwrap().seeing & {p.frame.camera.name for p in prepared}
        if len(seeing) < self.config.min_cameras:
            said = ", ".join(f"{c.camera} ({c.note})" for c in cameras if not c.used)
            need = f"{len(seeing)} of {self.config.min_cameras} needed cameras see the source tote"
            return Outcome.failure(Code.DEPTH_INVALID, f"{need}: {said}."), cameras
        corrected = tuple(p.frame for p in prepared)
        views = [p.view for p in prepared]
        clock.lap("fusion_prepare")
        volume = self.empty_volume()
        config = self.config
        volume.integrate(views, config.truncation_m, config.back_truncation_m, config.threads)
        clock.lap("fusion_integrate")
        images = [frame.color for frame in corrected]
        # the maps need the surface only at their end, and colours need no maps: a thread each
        with ThreadPoolExecutor(1) as pool:
            observing = pool.submit(self._workspace.observe, views, self._region(volume))
            surface = volume.surface()
            cloud = PointCloud(surface.points, surface.normals, color_points(surface.points, surface.normals, views, images))
            clock.lap("fusion_surface")
            heightmaps = {name: height_map(self.cell, name, views, config.heightmap_m) for name in self.cell.totes}
            occupancy = self._workspace.build(observing.result(), surface.points, spheres)
        clock.lap("fusion_maps")
        stamp = min(frame.stamp_s for frame in corrected)
        fused = FusedScene(
            stamp, cloud, surface, volume, occupancy, heightmaps, corrected, tuple(views), cameras, clock.laps
        )  # fmt: skip
        return Outcome.success(fused), cameras

    def _prepare(self, frame: RgbdFrame, spheres: NDArray[np.float64]) -> _Prepared:
        depth, weight = prepare_depth(frame, self.config, spheres)
        notes, knocked = [], False
        if self._is_frozen(frame):
            notes.append("its picture has not changed since the last look: frozen?")
        if self.config.align:
            aligned = self._aligner.align(frame, depth)
            knocked = aligned.beyond > self.config.max_beyond
            if knocked:
                share = f"{100 * aligned.beyond:.0f} % of its pixels lie behind the furniture they should show"
                notes.append(f"{share}: knocked? Calibrate it anew (./cell calibrate)")
            elif aligned.moved_m > ODD_SHIFT_M:
                notes.append(f"its calibration is off by about {1000 * aligned.moved_m:.0f} mm")
            if aligned.residual_m > self.config.max_residual_m:
                noise = f"its depth is off by {1000 * aligned.residual_m:.0f} mm on surfaces that are where they should be"
                notes.append(f"{noise}: noise, heat, or a dirty lens?")
                knocked = True
            frame = replace(frame, X_base_camera=aligned.X_base_camera)
        view = DepthView(frame.camera, np.array(frame.X_base_camera), depth, weight)
        return _Prepared(frame, view, "; ".join(notes), knocked)

    def _quarantine(self, raw: list[RgbdFrame], prepared: list[_Prepared]) -> list[_Prepared]:
        """What the monitor says of fixed cameras that could be aligned."""
        if self._monitor is None or not self.config.align:
            return prepared
        poses = {
            frame.camera.name: (frame.X_base_camera, each.frame.X_base_camera)
            for frame, each in zip(raw, prepared, strict=True)
            if frame.camera.name in self._fixed and not each.knocked
        }
        drifts = self._monitor.judge(poses)
        return [_with_drift(each, drifts.get(each.frame.camera.name)) for each in prepared]

    def _is_frozen(self, frame: RgbdFrame) -> bool:
        """Whether the depth is, to the last bit, that of an older capture: real depth is never twice the same."""
        print_now = crc32(np.ascontiguousarray(frame.depth_m[::8, ::8]).tobytes())
        stamp, print_before = self._prints.get(frame.camera.name, (frame.stamp_s, 0))
        self._prints[frame.camera.name] = (frame.stamp_s, print_now)
        return stamp != frame.stamp_s and print_before == print_now

    def empty_volume(self) -> TsdfVolume:
        """A volume over the source tote's inside, three voxels more on each side, and headroom above the rim."""
        tote = self.cell.totes["source"]
        voxel = self.config.voxel_m
        margin = 3 * voxel
        size = np.array([tote.inner[0] + 2 * margin, tote.inner[1] + 2 * margin, tote.inner[2] + self.config.headroom_m])
        corner = make_pose((-0.5 * size[0], -0.5 * size[1], -margin))
        nx, ny, nz = (int(n) for n in np.ceil(size / voxel))
        return TsdfVolume(self.cell.X_base_tote("source") @ corner, (nx, ny, nz), voxel)

    def _region(self, volume: TsdfVolume) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        high = np.array(volume.tsdf.shape) * volume.voxel_m
        return inverse(volume.X_base_grid), np.zeros(3), high


def _with_drift(prepared: _Prepared, drift: Drift | None) -> _Prepared:
    if drift is None or not drift.quarantined:
        return prepared
    how_far = f"{1000 * drift.translation_m:.1f} mm and {np.rad2deg(drift.rotation_rad):.2f} deg"
    todo = "Calibrate it anew (./cell calibrate), or set it right"
    said = f"knocked by about {how_far} since it was calibrated: left out. {todo}"
    return replace(prepared, note="; ".join(part for part in (prepared.note, said) if part), knocked=True)


class _StageClock:
    """Wall time between laps, in milliseconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = 1000.0 * (now - self._last)
        self._last = now


def _after_preparation(cameras: tuple[CameraHealth, ...], prepared: dict[str, _Prepared]) -> tuple[CameraHealth, ...]:
    """Add what preparation found to what is already said of each camera."""

    def merged(health: CameraHealth) -> CameraHealth:
        found = prepared.get(health.camera)
        if found is None or not found.note:
            return health
        note = "; ".join(part for part in (health.note, found.note) if part)
        return replace(health, note=note, used=health.used and not found.knocked)

    return tuple(merged(health) for health in cameras)
