"""Which frames are used, and what is said when there are too few: one test per code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic_cell as synthetic

from pickcell.fusion import Fusion
from pickcell.geometry import make_pose
from pickcell.outcome import Code
from pickcell.values import CameraModel, RgbdFrame

NO_ROBOT = np.zeros((0, 4))
CELL = synthetic.cell()


@pytest.fixture(scope="module")
def frames() -> list[RgbdFrame]:
    return synthetic.render(CELL, synthetic.random_pieces(CELL, 5, 1), 1).frames


@pytest.fixture(scope="module")
def fusion() -> Fusion:
    return Fusion(CELL)


def _blind(frame: RgbdFrame, value: float = np.nan) -> RgbdFrame:
    return replace(frame, depth_m=np.full(frame.depth_m.shape, value, np.float32))


def test_no_frames(fusion: Fusion) -> None:
    outcome, cameras = fusion.fuse([], NO_ROBOT, 10.0)
    assert outcome.code is Code.CAMERA_MISSING
    assert all(camera.name in outcome.text for camera in CELL.cameras)
    assert [c.used for c in cameras] == [False] * len(CELL.cameras)


def test_two_cameras_are_enough_and_the_others_are_named(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    outcome, cameras = fusion.fuse(frames[:2], NO_ROBOT, 10.1)
    assert outcome.ok
    health = {c.camera: c for c in cameras}
    assert health["cam_left"].used and health["cam_right"].used
    assert not health["cam_top"].used and "no image" in health["cam_top"].note


def test_one_camera_is_not_enough(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    outcome, _ = fusion.fuse(frames[:1], NO_ROBOT, 10.1)
    assert outcome.code is Code.CAMERA_MISSING and "cam_right" in outcome.text


def test_stale_cameras(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    stale = [replace(frame, stamp_s=8.0) for frame in frames[1:]]
    outcome, cameras = fusion.fuse([frames[0], *stale], NO_ROBOT, 10.1)
    assert outcome.code is Code.CAMERA_STALE and "cam_right" in outcome.text
    assert {c.camera: c.age_s for c in cameras}["cam_right"] == pytest.approx(2.1)


def test_one_stale_camera_is_left_out(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    outcome, cameras = fusion.fuse([*frames[:2], replace(frames[2], stamp_s=5.0)], NO_ROBOT, 10.1)
    assert outcome.ok and outcome.unwrap().stamp_s == 10.0
    assert not {c.camera: c for c in cameras}["cam_top"].used


def test_stamp_from_the_future(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    outcome, cameras = fusion.fuse([replace(f, stamp_s=99.0) for f in frames], NO_ROBOT, 10.1)
    assert outcome.code is Code.CAMERA_STALE and "future" in cameras[0].note


@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf, 800.0, -3.0])
def test_no_valid_depth(fusion: Fusion, frames: list[RgbdFrame], value: float) -> None:
    """Also depth in millimetres (800.0): out of any range."""
    outcome, cameras = fusion.fuse([_blind(frame, value) for frame in frames], NO_ROBOT, 10.1)
    assert outcome.code is Code.DEPTH_INVALID
    assert all(c.valid_fraction == 0.0 for c in cameras)


def test_one_blind_camera_is_left_out(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    outcome, cameras = fusion.fuse([_blind(frames[0]), *frames[1:]], NO_ROBOT, 10.1)
    assert outcome.ok
    assert "depth" in {c.camera: c.note for c in cameras}["cam_left"]


def test_same_camera_twice_counts_once_and_the_newest_wins(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    older = replace(frames[0], stamp_s=9.8)
    outcome, cameras = fusion.fuse([frames[0], older], NO_ROBOT, 10.1)
    assert outcome.code is Code.CAMERA_MISSING  # still only one camera
    outcome, cameras = fusion.fuse([older, frames[0], frames[1]], NO_ROBOT, 10.1)
    assert outcome.unwrap().stamp_s == 10.0
    assert "older" in {c.camera: c.note for c in cameras}["cam_left"]


def test_unknown_camera_is_a_callers_mistake(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    stranger = replace(frames[0], camera=replace(frames[0].camera, name="webcam"))
    with pytest.raises(ValueError, match=r"webcam.*cam_left"):
        fusion.fuse([stranger], NO_ROBOT, 10.1)


def test_image_of_another_size_than_its_camera(frames: list[RgbdFrame]) -> None:
    with pytest.raises(ValueError, match="depth_m"):
        replace(frames[0], depth_m=frames[0].depth_m[:-1])


def test_another_resolution_than_the_cell_file_says(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    """The frame's own intrinsics count: a driver set to half the size works."""

    def halved(frame: RgbdFrame) -> RgbdFrame:
        c = frame.camera
        camera = CameraModel(
            c.name, c.width // 2, c.height // 2, c.fx / 2, c.fy / 2, c.cx / 2 - 0.25, c.cy / 2 - 0.25, c.frame_id
        )
        return RgbdFrame(camera, frame.stamp_s, frame.color[::2, ::2], frame.depth_m[::2, ::2], frame.X_base_camera)

    outcome, _ = fusion.fuse([halved(f) for f in frames], NO_ROBOT, 10.1)
    assert outcome.ok and len(outcome.unwrap().cloud) > 10_000


@pytest.mark.parametrize("kind", ["nan", "sheared", "mirrored"])
def test_pose_that_is_none(fusion: Fusion, frames: list[RgbdFrame], kind: str) -> None:
    X = np.array(frames[0].X_base_camera)
    if kind == "nan":
        X[0, 3] = np.nan
    elif kind == "sheared":
        X[0, 0] += 0.2
    else:
        X[:3, 0] *= -1
    outcome, cameras = fusion.fuse([replace(frames[0], X_base_camera=X), *frames[1:]], NO_ROBOT, 10.1)
    assert outcome.ok
    assert "rigid" in {c.camera: c.note for c in cameras}["cam_left"]


def test_cameras_that_look_elsewhere_do_not_count(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    away = []
    for frame in frames:
        X = np.array(frame.X_base_camera)
        X[:3, :3] = X[:3, :3] @ np.diag([1.0, -1.0, -1.0])  # turned to look at the ceiling
        away.append(replace(frame, X_base_camera=X))
    outcome, _ = fusion.fuse(away, NO_ROBOT, 10.1)
    assert not outcome.ok and "0 of 2" in outcome.text


def _knocked(frame: RgbdFrame) -> RgbdFrame:
    """The same picture, from a camera that says it stands 25 mm and 2 degrees from where it does."""
    return replace(frame, X_base_camera=frame.X_base_camera @ make_pose((0.015, -0.015, 0.01), np.deg2rad((1.2, 1.2, -1.0))))


def test_a_knocked_camera_is_left_out_and_named(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    outcome, cameras = fusion.fuse([_knocked(frames[0]), *frames[1:]], NO_ROBOT, 10.1)
    health = {c.camera: c for c in cameras}
    assert outcome.ok and [f.camera.name for f in outcome.unwrap().frames] == ["cam_right", "cam_top"]
    assert not health["cam_left"].used and "knocked" in health["cam_left"].note
    assert health["cam_right"].note == ""


def test_too_many_knocked_cameras(fusion: Fusion, frames: list[RgbdFrame]) -> None:
    outcome, _ = fusion.fuse([_knocked(f) for f in frames], NO_ROBOT, 10.1)
    assert outcome.code is Code.DEPTH_INVALID and "knocked" in outcome.text and "0 of 2" in outcome.text


def test_a_frozen_picture_is_noted(frames: list[RgbdFrame]) -> None:
    fusion = Fusion(CELL)
    fusion.fuse(frames, NO_ROBOT, 10.1)
    _, same = fusion.fuse(frames, NO_ROBOT, 10.1)
    assert all("frozen" not in c.note for c in same)  # the same frame again is no news
    moved_on = [replace(frames[0], stamp_s=11.0), *(replace(f, stamp_s=11.0, depth_m=f.depth_m + 1e-4) for f in frames[1:])]
    _, cameras = fusion.fuse(moved_on, NO_ROBOT, 11.1)
    notes = {c.camera: c.note for c in cameras}
    assert "frozen" in notes["cam_left"] and "frozen" not in notes["cam_right"]
