"""Knocked cameras are noticed from look to look; bad frames of every kind get a word, and never a wrong scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic_cell as synthetic
from hypothesis import given
from hypothesis import strategies as st

from pickcell.fusion import Fusion
from pickcell.fusion.calibration import CalibrationMonitor, Drift
from pickcell.geometry import Pose, make_pose
from pickcell.outcome import Code
from pickcell.values import RgbdFrame

CELL = synthetic.cell()
PLACE = CELL.X_base_tote("source")[:3, 3]
NO_ROBOT = np.zeros((0, 4))
RNG_SEEDS = st.integers(0, 10_000)


def poses(offsets: dict[str, Pose]) -> dict[str, tuple[Pose, Pose]]:
    """Three cameras whose calibration is off by fixed small errors, and what they were knocked by."""
    out = {}
    for i, name in enumerate(("left", "right", "top")):
        X = make_pose((0.5, 0.3 * i - 0.3, 0.8), (3.0, 0.1 * i, 0.0))
        error = make_pose((0.001 * i, -0.001, 0.002), (0.002, 0.0, -0.001 * i))
        out[name] = (X, X @ error @ offsets.get(name, np.eye(4)))
    return out


def looked(monitor: CalibrationMonitor, offsets: dict[str, Pose], looks: int) -> dict[str, Drift]:
    drifts: dict[str, Drift] = {}
    for _ in range(looks):
        drifts = monitor.judge(poses(offsets))
    return drifts


def test_a_camera_that_nobody_touches_is_never_knocked() -> None:
    monitor = CalibrationMonitor(PLACE)
    rng = np.random.default_rng(0)
    for _ in range(50):
        jitter = {n: make_pose(rng.normal(0, 0.0003, 3), rng.normal(0, 0.0004, 3)) for n in ("left", "right", "top")}
        assert not any(drift.quarantined for drift in monitor.judge(poses(jitter)).values())


@given(RNG_SEEDS, st.booleans())
def test_three_millimetres_or_half_a_degree_are_noticed_and_forgiven(seed: int, by_angle: bool) -> None:
    rng = np.random.default_rng(seed)
    way = rng.normal(size=3)
    way /= np.linalg.norm(way)
    knock = make_pose((0, 0, 0), way * np.deg2rad(0.5)) if by_angle else make_pose(way * 0.003)
    monitor = CalibrationMonitor(PLACE)
    looked(monitor, {}, 3)
    first = looked(monitor, {"left": knock}, 1)
    assert not first["left"].quarantined, "one look may be wrong"
    second = looked(monitor, {"left": knock}, 1)
    assert second["left"].quarantined and not second["right"].quarantined and not second["top"].quarantined
    assert looked(monitor, {"left": knock}, 5)["left"].quarantined, "it stays so"
    assert not looked(monitor, {}, 2)["left"].quarantined, "it was set right"


def test_a_new_calibration_starts_anew() -> None:
    monitor = CalibrationMonitor(PLACE)
    knock = make_pose((0.02, 0, 0))
    looked(monitor, {}, 2)
    assert looked(monitor, {"top": knock}, 2)["top"].quarantined
    calibrated = poses({"top": knock})
    calibrated["top"] = (calibrated["top"][1], calibrated["top"][1])
    assert not monitor.judge(calibrated)["top"].quarantined


def test_when_all_drift_at_once_it_is_the_tote_that_moved() -> None:
    monitor = CalibrationMonitor(PLACE)
    looked(monitor, {}, 3)
    shift = make_pose((0.006, 0, 0))
    for drifts in (looked(monitor, {"left": shift, "right": shift, "top": shift}, 1) for _ in range(4)):
        assert not any(drift.quarantined for drift in drifts.values())


def _off(frame: RgbdFrame, knock: Pose) -> RgbdFrame:
    """As if the camera had been moved after calibration: the calibration is now off the other way."""
    return replace(frame, X_base_camera=frame.X_base_camera @ knock)


def test_fusion_quarantines_what_the_monitor_calls_knocked() -> None:
    """By pictures: the same scene with new noise at each look, one camera 4 mm off from the third look on."""
    fusion = Fusion(CELL, monitor=CalibrationMonitor(PLACE))
    pieces = synthetic.random_pieces(CELL, 5, 1)
    captures = [synthetic.render(CELL, pieces, 1).frames for _ in range(5)]
    moved = captures[2][0].X_base_camera @ make_pose((0.004, 0.0, 0.0))
    used = []
    for number, frames in enumerate(captures):
        if number >= 2:  # the picture shifts; the calibration that comes with it stays
            frames = [_shifted(frames[0], moved), *frames[1:]]
        outcome, cameras = fusion.fuse(frames, NO_ROBOT, 10.1)
        assert outcome.ok
        used.append({c.camera: c for c in cameras}["cam_left"])
    assert [c.used for c in used] == [True, True, True, False, False]
    assert "knocked by about" in used[-1].note and "deg" in used[-1].note


def _shifted(frame: RgbdFrame, X_moved: Pose) -> RgbdFrame:
    """What the camera would deliver from ``X_moved``: its points, seen from there."""
    v, u = np.mgrid[0 : frame.camera.height, 0 : frame.camera.width]
    k, z = frame.camera, np.asarray(frame.depth_m, np.float64)
    points = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z], axis=-1)
    change = np.linalg.inv(X_moved) @ frame.X_base_camera
    p = points @ change[:3, :3].T + change[:3, 3]
    depth = np.full(z.shape, np.nan, np.float32)
    with np.errstate(invalid="ignore"):
        column, row = np.round(p[..., 0] / p[..., 2] * k.fx + k.cx), np.round(p[..., 1] / p[..., 2] * k.fy + k.cy)
        seen = np.isfinite(z) & (column >= 0) & (column < k.width) & (row >= 0) & (row < k.height)
    depth[row[seen].astype(int), column[seen].astype(int)] = p[..., 2][seen]
    return replace(frame, depth_m=depth)


def _blind(frame: RgbdFrame, value: float) -> RgbdFrame:
    return replace(frame, depth_m=np.full(frame.depth_m.shape, value, np.float32))


def _noisy(frame: RgbdFrame, seed: int) -> RgbdFrame:
    """Ten times the usual noise: 15 mm at 1 m."""
    z = np.asarray(frame.depth_m)
    noise = np.random.default_rng(seed).normal(0.0, 0.015, z.shape) * z * z
    return replace(frame, depth_m=(z + noise).astype(np.float32))


def _swapped(frames: list[RgbdFrame]) -> list[RgbdFrame]:
    """The left camera's pictures arrive under the right one's name, and the other way round."""
    left, right, *others = frames
    return [
        replace(left, color=right.color, depth_m=right.depth_m),
        replace(right, color=left.color, depth_m=left.depth_m),
        *others,
    ]


FAR = make_pose((0.05, 0.0, 0.0))
ONE = {
    "NaN depth": (lambda f: _blind(f, np.nan), "pixels have depth"),
    "zero depth": (lambda f: _blind(f, 0.0), "pixels have depth"),
    "depth in millimetres": (lambda f: replace(f, depth_m=1000.0 * f.depth_m), "pixels have depth"),
    "pose off by 5 cm": (lambda f: _off(f, FAR), "knocked"),
    "ten times the noise": (lambda f: _noisy(f, 1), "noise"),
    "NaN pose": (lambda f: replace(f, X_base_camera=np.full((4, 4), np.nan)), "rigid"),
    "silent": (None, "no image"),
    "late": (lambda f: replace(f, stamp_s=1.0), "ago"),
}


@pytest.fixture(scope="module")
def frames() -> list[RgbdFrame]:
    return synthetic.render(CELL, synthetic.random_pieces(CELL, 6, 2), 2).frames


@pytest.mark.parametrize("kind", ONE)
def test_one_bad_camera_is_left_out_with_a_word(kind: str, frames: list[RgbdFrame]) -> None:
    spoil, said = ONE[kind]
    mixed = ([spoil(frames[0])] if spoil else []) + frames[1:]
    outcome, cameras = Fusion(CELL).fuse(mixed, NO_ROBOT, 10.1)
    left = {c.camera: c for c in cameras}["cam_left"]
    assert outcome.ok and not left.used and said in left.note, left
    assert {f.camera.name for f in outcome.unwrap().frames} == {"cam_right", "cam_top"}
    assert np.isfinite(outcome.unwrap().cloud.points).all()


@pytest.mark.parametrize("kind", ONE)
def test_nothing_but_bad_cameras_is_a_typed_failure(kind: str, frames: list[RgbdFrame]) -> None:
    spoil, said = ONE[kind]
    outcome, cameras = Fusion(CELL).fuse([spoil(f) for f in frames] if spoil else [], NO_ROBOT, 10.1)
    expected = {"silent": Code.CAMERA_MISSING, "late": Code.CAMERA_STALE}.get(kind, Code.DEPTH_INVALID)
    assert outcome.code is expected and not any(c.used for c in cameras)
    assert said in outcome.text or any(said in c.note for c in cameras)


def test_swapped_cameras_are_both_left_out(frames: list[RgbdFrame]) -> None:
    outcome, cameras = Fusion(CELL).fuse(_swapped(frames), NO_ROBOT, 10.1)
    health = {c.camera: c for c in cameras}
    assert not health["cam_left"].used and not health["cam_right"].used
    assert outcome.code is Code.DEPTH_INVALID and "knocked" in outcome.text
