"""Which frames may be used: present, fresh, with depth, and looking at the source tote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.config import FusionConfig
from pickcell.geometry import Pose, inverse, transform_points
from pickcell.outcome import Code, Outcome
from pickcell.values import CameraHealth, CameraModel, RgbdFrame


@dataclass(frozen=True)
class JudgedFrames:
    """The frames to fuse and a word on every camera of the cell."""

    used: tuple[RgbdFrame, ...]
    seeing: frozenset[str]
    """Cameras among them that see the source tote."""


def tote_coverage(camera: CameraModel, X_base_camera: Pose, X_base_tote: Pose, inner: NDArray[np.float64]) -> float:
    """Share of a tote's floor that projects into the image, 0..1 (occlusion not considered)."""
    x, y = np.meshgrid(np.linspace(-0.45, 0.45, 9) * inner[0], np.linspace(-0.45, 0.45, 9) * inner[1])
    floor = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    u, v, z = project(camera, X_base_camera, transform_points(X_base_tote, floor))
    return float(np.mean((z > 0.05) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)))


def project(camera: CameraModel, X_base_camera: Pose, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Pixel coordinates u, v and depth z of points (N, 3) in ``base_link``; u, v are NaN behind the camera."""
    p = transform_points(inverse(X_base_camera), points)
    z = p[:, 2]
    safe = np.where(z > 1e-6, z, np.nan)
    return camera.fx * p[:, 0] / safe + camera.cx, camera.fy * p[:, 1] / safe + camera.cy, z


def judge_frames(
    cell: CellConfig, config: FusionConfig, frames: list[RgbdFrame], now_s: float
) -> tuple[Outcome[JudgedFrames], tuple[CameraHealth, ...]]:
    """Sort out the frames. The health of all cameras comes back with failures too.

    Raises ValueError when a frame names a camera that the cell does not have.
    """
    newest = _newest_by_camera(cell, frames)
    inner = np.asarray(cell.totes["source"].inner)
    X_base_tote = cell.X_base_tote("source")
    healths: list[CameraHealth] = []
    used: list[RgbdFrame] = []
    seeing: set[str] = set()
    late, absent, blind = [], [], []
    for spec in cell.cameras:
        frame, extra = newest.get(spec.name, (None, 0))
        if frame is None:
            healths.append(CameraHealth(spec.name, False, float("inf"), 0.0, "no image has arrived"))
            absent.append(spec.name)
            continue
        age = now_s - frame.stamp_s
        problem = _problem(frame)
        if problem:
            healths.append(CameraHealth(spec.name, False, age, 0.0, problem))
            blind.append(f"{spec.name} ({problem})")
            continue
        if not (-config.future_tolerance_s <= age <= spec.max_age_s):
            said = (
                f"captured {age:.2f} s ago, may be {spec.max_age_s:.2f} s"
                if age > 0
                else f"stamped {-age:.2f} s in the future"
            )
            healths.append(CameraHealth(spec.name, False, age, 0.0, said))
            late.append(f"{spec.name} ({said})")
            continue
        coverage = tote_coverage(frame.camera, frame.X_base_camera, X_base_tote, inner)
        valid = _valid_fraction(frame, config, X_base_tote, inner) if coverage > 0 else _share_valid(frame, config)
        note = f"{extra} older images of the same camera ignored" if extra else ""
        if valid < config.min_valid_fraction:
            said = f"only {100 * valid:.0f} % of its pixels have depth"
            healths.append(CameraHealth(spec.name, False, age, valid, said))
            blind.append(f"{spec.name} ({said})")
            continue
        if coverage >= config.min_coverage:
            seeing.add(spec.name)
        used.append(frame)
        healths.append(CameraHealth(spec.name, True, age, valid, note))
    done = tuple(healths)
    if len(seeing) >= config.min_cameras:
        return Outcome.success(JudgedFrames(tuple(used), frozenset(seeing))), done
    need = f"{len(seeing)} of {config.min_cameras} needed cameras see the source tote"
    if blind and len(seeing) + len(blind) >= config.min_cameras:
        return Outcome.failure(Code.DEPTH_INVALID, f"{need}: {', '.join(blind)}."), done
    if late:
        return Outcome.failure(Code.CAMERA_STALE, f"{need}: {', '.join(late)}."), done
    if absent:
        return Outcome.failure(Code.CAMERA_MISSING, f"{need}: no image from {', '.join(absent)}."), done
    return Outcome.failure(Code.DEPTH_INVALID, f"{need}: {', '.join(blind) or 'the others look elsewhere'}."), done


def _newest_by_camera(cell: CellConfig, frames: list[RgbdFrame]) -> dict[str, tuple[RgbdFrame, int]]:
    """The newest frame of each camera, and how many older ones there were."""
    known = {camera.name for camera in cell.cameras}
    newest: dict[str, tuple[RgbdFrame, int]] = {}
    for frame in frames:
        name = frame.camera.name
        if name not in known:
            raise ValueError(f"a frame of camera '{name}', but the cell has {sorted(known)}")
        if name not in newest:
            newest[name] = (frame, 0)
        else:
            old, count = newest[name]
            newest[name] = (frame if frame.stamp_s > old.stamp_s else old, count + 1)
    return newest


def _problem(frame: RgbdFrame) -> str:
    """What makes a frame unusable whatever it shows; empty when nothing does."""
    K = np.array([frame.camera.fx, frame.camera.fy, frame.camera.cx, frame.camera.cy])
    if not np.isfinite(K).all() or frame.camera.fx <= 0 or frame.camera.fy <= 0:
        return "its intrinsics are not usable"
    R = frame.X_base_camera[:3, :3]
    if not np.isfinite(frame.X_base_camera).all() or np.abs(R @ R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(R) < 0:
        return "its pose is not a rigid transform"
    if not np.isfinite(frame.stamp_s):
        return "its stamp is not a number"
    return ""


def _in_range(depth: NDArray[np.float32], config: FusionConfig) -> NDArray[np.bool_]:
    return (depth > config.depth_min_m) & (depth < config.depth_max_m)  # NaN compares false


def _share_valid(frame: RgbdFrame, config: FusionConfig) -> float:
    return float(np.mean(_in_range(frame.depth_m[::4, ::4], config)))


def _valid_fraction(frame: RgbdFrame, config: FusionConfig, X_base_tote: Pose, inner: NDArray[np.float64]) -> float:
    """Share of pixels with depth inside the image rectangle around the source tote."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)]) * inner
    u, v, z = project(frame.camera, frame.X_base_camera, transform_points(X_base_tote, corners))
    if not (z > 0).all():
        return _share_valid(frame, config)
    u0, u1 = np.clip([u.min(), u.max() + 1], 0, frame.camera.width).astype(int)
    v0, v1 = np.clip([v.min(), v.max() + 1], 0, frame.camera.height).astype(int)
    patch = frame.depth_m[v0:v1:3, u0:u1:3]
    return float(np.mean(_in_range(patch, config))) if patch.size else 0.0
