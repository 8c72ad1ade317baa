"""The calibration board: found where it is, by numbers, or a typed failure that says why not; printed at true scale."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from board_pictures import CAMERA, draw_board
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pickcell.calibration.board import BOARDS, Board, BoardError, board_by_name, find_corners
from pickcell.calibration.fixed_camera import guesses
from pickcell.calibration.page import PAPERS_M, draw_page, page_size_m, write_page
from pickcell.calibration.reprojection import fit
from pickcell.calibration.views import BoardPlace, BoardView, board_in_camera, depth_ratio, project
from pickcell.geometry import Pose, inverse, look_at, rotation_angle, transform_points
from pickcell.outcome import Code

A3 = BOARDS["a3"]


def seen_from(eye: tuple[float, float, float], up: tuple[float, float, float] = (0.0, 1.0, 0.0)) -> Pose:
    """``X_camera_board`` of a camera at ``eye`` (board frame) that looks at the board's middle."""
    return inverse(look_at(eye, (0.0, 0.0, 0.0), up))


def view(X_camera_board: Pose, board: Board = A3, seed: int = 0) -> BoardView:
    corners = find_corners(board, draw_board(board, X_camera_board, seed=seed)).unwrap()
    return BoardView(CAMERA, corners, np.eye(4))


@settings(max_examples=15, deadline=None)
@given(
    x=st.floats(-0.35, 0.35), y=st.floats(-0.35, 0.35), z=st.floats(0.6, 0.95), roll=st.floats(-3.1, 3.1),
    name=st.sampled_from(sorted(BOARDS)),
)  # fmt: skip
def test_corners_and_pose_are_found_from_any_side(x: float, y: float, z: float, roll: float, name: str) -> None:
    board = BOARDS[name]
    X = seen_from((x, y, z), (np.sin(roll), np.cos(roll), 0.0))
    seen = view(X, board)
    expected = project(CAMERA, transform_points(X, board.points[seen.corners.numbers]))
    assert np.linalg.norm(seen.corners.pixels - expected, axis=1).max() < 0.5
    place = {seen.place: BoardPlace.known(np.eye(4), 1e-6, 1e-6)}
    found = fit(board, [seen], guesses(board, [seen], place)[0], place)
    assert found.rms_px < 0.25
    X_camera_board = inverse(found.X_parent_camera)
    assert np.linalg.norm(X_camera_board[:3, 3] - X[:3, 3]) < 0.002  # the board's middle, mostly along the line of sight
    assert np.linalg.norm((X_camera_board[:3, 3] - X[:3, 3])[:2]) < 0.0003  # and across it
    assert rotation_angle(inverse(X) @ X_camera_board) < np.deg2rad(1.5)  # least when seen at a right angle


def test_one_steep_picture_gives_the_place_to_half_a_millimetre() -> None:
    X = seen_from((0.3, -0.25, 0.6))
    found, _ = board_in_camera(A3, view(X))[0]
    assert np.linalg.norm(found[:3, 3] - X[:3, 3]) < 0.0005
    assert rotation_angle(inverse(X) @ found) < np.deg2rad(0.1)


def test_upside_down_the_numbers_stay_with_their_corners() -> None:
    X = seen_from((0.1, -0.2, 0.8), (0.0, -1.0, 0.0))
    seen = view(X)
    assert len(seen.corners) == A3.corners
    expected = project(CAMERA, transform_points(X, A3.points[seen.corners.numbers]))
    np.testing.assert_allclose(seen.corners.pixels, expected, atol=0.3)


def test_half_hidden_it_is_still_known_which_corners_are_left() -> None:
    X = seen_from((0.1, -0.2, 0.8))
    picture = draw_board(A3, X)
    picture[:, 320:] = 90
    corners = find_corners(A3, picture).unwrap()
    assert 6 <= len(corners) < A3.corners
    np.testing.assert_allclose(corners.pixels, project(CAMERA, transform_points(X, A3.points[corners.numbers])), atol=0.5)


@pytest.mark.parametrize("case", ["nothing", "another board", "mostly hidden", "out of focus", "mirrored"])
def test_a_board_that_is_not_seen_is_said_so(case: str) -> None:
    X = seen_from((0.1, -0.2, 0.9))
    picture = draw_board(BOARDS["a4"] if case == "another board" else A3, X)
    if case == "nothing":
        picture[:] = 128
    elif case == "mostly hidden":
        picture[:, 270:] = 90
    elif case == "out of focus":
        picture = cv2.GaussianBlur(picture, (0, 0), 9.0)
    elif case == "mirrored":
        picture = np.ascontiguousarray(picture[:, ::-1])
    outcome = find_corners(A3, picture)
    assert outcome.code is Code.BOARD_NOT_SEEN
    assert "marker" in outcome.text


def test_a_little_blur_costs_little() -> None:
    X = seen_from((0.1, -0.2, 0.8))
    corners = find_corners(A3, cv2.GaussianBlur(draw_board(A3, X), (0, 0), 1.5)).unwrap()
    np.testing.assert_allclose(corners.pixels, project(CAMERA, transform_points(X, A3.points[corners.numbers])), atol=0.4)


def test_only_pictures_are_taken() -> None:
    with pytest.raises(ValueError, match="uint8"):
        find_corners(A3, np.zeros((4, 4), np.float32))  # type: ignore[arg-type]


def test_depth_tells_a_board_at_another_scale_and_bears_holes() -> None:
    X = seen_from((0.1, -0.2, 0.8))
    seen = view(X)
    rows, columns = np.mgrid[: CAMERA.height, : CAMERA.width]
    rays = np.stack([(columns - CAMERA.cx) / CAMERA.fx, (rows - CAMERA.cy) / CAMERA.fy, np.ones(rows.shape)], axis=-1)
    X_board_camera = inverse(X)
    depth = (-X_board_camera[2, 3] / (rays @ X_board_camera[2, :3])).astype(np.float32)
    depth[::3] = np.nan
    seen_deep = BoardView(seen.camera, seen.corners, seen.X_base_parent, depth_m=depth)
    assert depth_ratio(seen_deep, X) == pytest.approx(1.0, abs=1e-4)
    smaller = BoardView(seen.camera, seen.corners, seen.X_base_parent, depth_m=0.97 * depth)
    assert depth_ratio(smaller, X) == pytest.approx(0.97, abs=1e-3)
    nothing = BoardView(seen.camera, seen.corners, seen.X_base_parent, depth_m=np.full_like(depth, np.nan))
    assert np.isnan(depth_ratio(nothing, X))
    assert np.isnan(depth_ratio(seen, X))


def test_boards_that_cannot_be_are_refused_with_the_choices() -> None:
    with pytest.raises(BoardError, match="a3"):
        board_by_name("a5")
    with pytest.raises(BoardError, match="3 x 3"):
        Board(2, 5, 0.05, 0.04)
    with pytest.raises(BoardError, match="marker"):
        Board(5, 5, 0.04, 0.05)
    with pytest.raises(BoardError, match="DICT_4X4_50"):
        Board(5, 5, 0.05, 0.04, dictionary="none")
    with pytest.raises(BoardError, match="50 markers"):
        Board(12, 12, 0.02, 0.015)
    with pytest.raises(BoardError, match="page"):
        page_size_m(Board(5, 5, 0.05, 0.04))


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_the_printed_page_has_its_true_scale(name: str, tmp_path: Path) -> None:
    """Corners found in the page itself lie where the board says, to a fiftieth of a millimetre."""
    board = BOARDS[name]
    page = draw_page(board)
    corners = find_corners(board, page).unwrap()
    assert len(corners) == board.corners
    width, height = page_size_m(board)
    places = (corners.pixels + 0.5) / [page.shape[1], page.shape[0]] * [width, -height] + [-0.5 * width, 0.5 * height]
    np.testing.assert_allclose(places, board.points[corners.numbers][:, :2], atol=2e-5)
    write_page(board, tmp_path / "board.png")
    with Image.open(tmp_path / "board.png") as picture:
        dpi = picture.info["dpi"][0]
        assert picture.width / dpi * 0.0254 == pytest.approx(PAPERS_M[name][0], abs=1e-4)
    write_page(board, tmp_path / "board.pdf")
    assert (tmp_path / "board.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(BoardError, match=r"\.pdf"):
        write_page(board, tmp_path / "board.gif")


def test_no_board_is_taken_for_another() -> None:
    used = [set(range(b.first_marker, b.first_marker + b.markers)) for b in BOARDS.values()]
    assert sum(map(len, used)) == len(set.union(*used))
