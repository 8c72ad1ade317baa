"""Calibration from exact or noisy corners: poses come back, doubtful ones are refused, saying what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.calibration.board import BOARDS, Corners
from pickcell.calibration.page import page_size_m
from pickcell.calibration.reprojection import moved
from pickcell.calibration.routine import calibrate
from pickcell.calibration.views import BoardPlace, BoardView, leaning, lying, project
from pickcell.calibration.wrist_camera import hand_eye, turned_rad
from pickcell.cell import load_cell
from pickcell.geometry import Pose, inverse, look_at, rotation_angle, transform_points
from pickcell.outcome import Code

ROOT = Path(__file__).resolve().parents[2]
CELL = load_cell(ROOT / "config/cells/panda.yaml", calibrated=False)
BOARD = BOARDS["a3"]
SIZE = page_size_m(BOARD)
LYING, LEANING = lying(CELL, SIZE), leaning(CELL, SIZE)
OFF = np.array([0.004, -0.003, 0.005, 0.008, -0.010, 0.006])
"""How far cameras stand from their design: m, rad."""


def seen(
    camera: str, X_base_parent: Pose, X_base_board: Pose, off: NDArray[np.float64] = OFF, *, noise: float = 0.05,
    keep: slice = slice(None), place: str = "lying", seed: int = 0, depth: float | None = None,
) -> BoardView:  # fmt: skip
    """What a camera sees that truly stands ``off`` its design."""
    config = CELL.camera(camera)
    X_camera_board = inverse(X_base_parent @ moved(config.X_parent_camera, off)) @ X_base_board
    pixels = project(config.model, transform_points(X_camera_board, BOARD.points))
    pixels = pixels + np.random.default_rng(seed).normal(0.0, noise, pixels.shape)
    numbers = np.arange(BOARD.corners)[keep]
    X_board_camera = inverse(X_camera_board)
    rows, columns = np.mgrid[: config.height, : config.width]
    m = config.model
    rays = np.stack([(columns - m.cx) / m.fx, (rows - m.cy) / m.fy, np.ones(rows.shape)], axis=-1)
    plane = -X_board_camera[2, 3] / (rays @ X_board_camera[2, :3])
    picture = None if depth is None else (depth * plane).astype(np.float32)
    return BoardView(m, Corners(numbers, pixels[numbers]), X_base_parent, place, picture)


def fixed(X_base_board: Pose = LYING.X_base_board, camera: str = "cam_left", **options) -> BoardView:  # type: ignore[no-untyped-def]
    return seen(camera, inverse(CELL.X_world_base), X_base_board, **options)


def wrist(count: int, X_base_board: Pose = LYING.X_base_board, tilt: float = 0.4, place: str = "lying") -> list[BoardView]:
    """Pictures from around the board; ``tilt`` 0: all straight from above, turned about the line of sight only."""
    rng = np.random.default_rng(5)
    views = []
    X_tool_camera = CELL.camera("cam_wrist").X_parent_camera
    for k in range(count):
        around = 2.0 * np.pi * k / count
        lean = 0.5 * np.array([np.sin(tilt) * np.cos(around), np.sin(tilt) * np.sin(around), np.cos(tilt)])
        eye = X_base_board[:3, 3] + lean
        X = look_at(eye, X_base_board[:3, 3], (1.0, rng.uniform(-0.6, 0.6), 0.0)) @ inverse(X_tool_camera)
        views.append(seen("cam_wrist", X, X_base_board, seed=k, place=place))
    return views


def error(camera: str, found: Pose) -> tuple[float, float]:
    """Of the source tote's middle (m) for a fixed camera, of the camera itself for the wrist's; and rad."""
    true = moved(CELL.camera(camera).X_parent_camera, OFF)
    off = found @ inverse(true)
    point = CELL.totes["source"].X_world_tote[:3, 3] if camera != "cam_wrist" else true[:3, 3]
    return float(np.linalg.norm(transform_points(off, point[None])[0] - point)), rotation_angle(off)


def test_a_fixed_camera_is_found_by_one_picture_of_a_board_at_a_known_place() -> None:
    found = calibrate(CELL, BOARD, [fixed()], {"lying": LYING}).cameras["cam_left"].unwrap()
    shift, turn = error("cam_left", found.X_parent_camera)
    assert shift < 0.001 and turn < np.deg2rad(0.2)
    assert 0.02 < found.rms_px < 0.15 and found.corners == BOARD.corners and found.pictures == 1
    assert shift < 3.0 * found.uncertainty_m and found.change_m > 0.005


def test_wrist_camera_and_board_are_found_when_nothing_is_known_of_its_place() -> None:
    result = calibrate(CELL, BOARD, [*wrist(10), fixed()], {"lying": BoardPlace.unknown()})
    for camera in ("cam_wrist", "cam_left"):
        shift, turn = error(camera, result.cameras[camera].unwrap().X_parent_camera)
        assert shift < 0.001 and turn < np.deg2rad(0.15), camera
    assert np.linalg.norm(result.places["lying"].X_base_board[:3, 3] - LYING.X_base_board[:3, 3]) < 0.001


def test_the_arm_corrects_a_board_that_slipped_and_fixed_cameras_profit() -> None:
    slipped = moved(LYING.X_base_board, np.array([0.002, -0.0015, 0.0, 0.0, 0.0, 0.004]))
    views = [*wrist(10, slipped), fixed(slipped)]
    found = calibrate(CELL, BOARD, views, {"lying": LYING}).cameras["cam_left"].unwrap()
    assert error("cam_left", found.X_parent_camera)[0] < 0.001
    alone = calibrate(CELL, BOARD, [fixed(slipped)], {"lying": LYING}).cameras["cam_left"].unwrap()
    assert error("cam_left", alone.X_parent_camera)[0] > 0.0015


def test_depth_that_agrees_takes_part_and_depth_that_does_not_is_left_out() -> None:
    for depth, limit in ((1.0, 0.0010), (0.99, 0.0015)):
        views = [fixed(noise=0.1, depth=depth)]
        found = calibrate(CELL, BOARD, views, {"lying": LYING}).cameras["cam_left"].unwrap()
        assert error("cam_left", found.X_parent_camera)[0] < limit
        assert found.depth_ratio == pytest.approx(depth, abs=0.002)
    for pictures in (3, 10):  # of the same place, each with the same bias: many together are believed no more than one
        biased = [fixed(depth=0.994, seed=k) for k in range(pictures)]
        found = calibrate(CELL, BOARD, biased, {"lying": LYING}).cameras["cam_left"].unwrap()
        assert error("cam_left", found.X_parent_camera)[0] < 0.0015
    nothing = [fixed(depth=float("nan"))]
    assert calibrate(CELL, BOARD, nothing, {"lying": LYING}).cameras["cam_left"].ok


@settings(max_examples=10, deadline=None)
@given(off=st.lists(st.floats(-0.02, 0.02), min_size=6, max_size=6))
def test_without_noise_the_pose_comes_back_exactly(off: list[float]) -> None:
    change = np.array(off)
    views = [fixed(off=change, noise=0.0), fixed(LEANING.X_base_board, off=change, noise=0.0, place="leaning")]
    places = {n: BoardPlace.known(p.X_base_board, 1e-6, 1e-6) for n, p in (("lying", LYING), ("leaning", LEANING))}
    found = calibrate(CELL, BOARD, views, places).cameras["cam_left"].unwrap()
    np.testing.assert_allclose(found.X_parent_camera, moved(CELL.camera("cam_left").X_parent_camera, change), atol=2e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_hand_eye_is_exact_without_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def pose() -> Pose:
        X = np.eye(4)
        X[:3, :3], X[:3, 3] = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix(), rng.normal(0.0, 0.5, 3)
        return X

    X_tool_camera, X_base_board = pose(), pose()
    tools = [pose() for _ in range(5)]
    boards = [inverse(X_base_tool @ X_tool_camera) @ X_base_board for X_base_tool in tools]
    np.testing.assert_allclose(hand_eye(tools, boards), X_tool_camera, atol=1e-6)
    with pytest.raises(ValueError, match="3 pairs"):
        hand_eye(tools[:2], boards[:2])


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("upside down", "way round"),
        ("blurred", "px"),
        ("one line", "known place"),
        ("a corner only", "whole board"),
        ("other scale", "ruler"),
        ("too few", "too few"),
        ("one axis", "two axes"),
        ("place unknown", "give its place"),
        ("wrong joints", "joints"),
    ],
)
def test_what_says_too_little_is_refused_with_what_to_do(case: str, said: str) -> None:
    places = {"lying": LYING}
    turned = moved(LYING.X_base_board, np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.pi]))
    views = {
        "upside down": [fixed(turned)],
        "blurred": [fixed(noise=1.5)],
        "one line": [fixed(keep=slice(0, 4))],
        "a corner only": [fixed(keep=slice(0, 6), noise=0.1)],
        "other scale": [fixed(depth=0.97)],
        "too few": wrist(2),
        "one axis": wrist(8, tilt=0.0),
        "place unknown": [fixed()],
        "wrong joints": wrist(8),
    }[case]
    if case in ("too few", "one axis", "place unknown"):
        places = {"lying": BoardPlace.unknown()}
    if case == "wrong joints":
        poses = [view.X_base_parent for view in views]
        views = [BoardView(v.camera, v.corners, X, v.place) for v, X in zip(views, [*poses[1:], poses[0]])]
    (outcome,) = calibrate(CELL, BOARD, views, places).cameras.values()
    assert outcome.code is Code.CALIBRATION_REFUSED
    assert said in outcome.text, outcome.text


def test_a_camera_that_was_mounted_anew_may_change_much() -> None:
    far = np.array([0.06, 0.05, -0.05, 0.0, 0.0, 0.0])
    views, places = [fixed(off=far)], {"lying": LYING}
    assert calibrate(CELL, BOARD, views, places).cameras["cam_left"].code is Code.CALIBRATION_REFUSED
    found = calibrate(CELL, BOARD, views, places, moved=frozenset({"cam_left"})).cameras["cam_left"].unwrap()
    assert found.change_m > 0.08


def test_a_callers_mistakes_raise_with_the_choices() -> None:
    with pytest.raises(KeyError, match="lying"):
        calibrate(CELL, BOARD, [fixed(place="shelf")], {"lying": LYING})
    with pytest.raises(ValueError, match="do not fit"):
        lying(CELL, (0.5, 0.5))
    with pytest.raises(ValueError, match="lean"):
        leaning(CELL, (0.2, 0.1))
    assert turned_rad(wrist(8)) > 0.1 > turned_rad(wrist(8, tilt=0.0))
