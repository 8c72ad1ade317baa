"""The ChArUco board: a chessboard whose white squares carry markers, so that each corner is known by its number.

Markers say which corner is which, also when half of the board is hidden; chessboard corners are found to a tenth of a pixel
or better, which corners of markers are not (Garrido-Jurado et al. 2014, "Automatic generation and detection of highly
reliable fiducial markers under occlusion"; detection by OpenCV's aruco module).

Frame ``board``: origin in the middle of the printed squares, +x to the right as printed, +y up as printed, +z out of the
paper towards who looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.outcome import Code, Outcome

CORNERS_MIN = 6
"""Fewer corners in a picture say little and may all lie on one line."""
SHARP_WINDOW = 0.11
"""Half the side of the window in which a corner is refined, as a share of a square's side in the picture: as many pixels
as can be had without those of the markers, which leave a tenth of the square free. (Errors measured in drawn pictures at
0.9 m: 0.03 px; with twice as much 0.05 px.)"""
WINDOW_MAX_PX = 11


class BoardError(ValueError):
    """A board that cannot be: the message says what is wrong and which boards there are."""


@dataclass(frozen=True)
class Board:
    """A printed board. Lengths in metres, as printed."""

    columns: int
    """Squares to the right."""
    rows: int
    """Squares upwards."""
    square_m: float
    marker_m: float
    """Side of a marker: smaller than a square."""
    paper: str = ""
    """Name of the paper size it is printed on; empty for boards of one's own."""
    first_marker: int = 0
    """Number of the first marker: boards with different numbers cannot be taken for each other."""
    dictionary: str = "DICT_4X4_50"
    """OpenCV's name of the markers' dictionary. Few, large cells are seen from farther away."""

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3:
            raise BoardError(f"a board has at least 3 x 3 squares, got {self.columns} x {self.rows}")
        if not 0.0 < self.marker_m < self.square_m < 1.0:
            raise BoardError(f"needs 0 < marker < square < 1 m, got marker {self.marker_m}, square {self.square_m}")
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            names = [name for name in dir(cv2.aruco) if name.startswith("DICT_")]
            raise BoardError(f"no dictionary '{self.dictionary}'; there are {', '.join(names)}")
        last = self.first_marker + self.markers
        there = len(self._dictionary.bytesList)
        if self.first_marker < 0 or last > there:
            raise BoardError(
                f"{self.dictionary} has {there} markers, this board needs numbers {self.first_marker}..{last - 1}"
            )

    @property
    def markers(self) -> int:
        """How many markers it carries: one in each white square."""
        return self.columns * self.rows // 2

    @property
    def corners(self) -> int:
        """How many inner corners it has."""
        return (self.columns - 1) * (self.rows - 1)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the printed squares."""
        return self.columns * self.square_m, self.rows * self.square_m

    @property
    def text(self) -> str:
        """One line that tells it from other boards."""
        side, marker = 1e3 * self.square_m, 1e3 * self.marker_m
        numbers = f"markers {self.first_marker}..{self.first_marker + self.markers - 1} of {self.dictionary}"
        return f"ChArUco {self.columns} x {self.rows} squares of {side:g} mm, {numbers}, {marker:g} mm"

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(corners, 3) inner corners in the frame ``board``, metres; row k is the corner with number k."""
        width, height = self.size_m
        points = np.asarray(self.opencv.getChessboardCorners(), np.float64)
        return np.column_stack([points[:, 0] - 0.5 * width, 0.5 * height - points[:, 1], np.zeros(len(points))])

    @property
    def _dictionary(self) -> Any:
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    @cached_property
    def opencv(self) -> Any:
        """OpenCV's description of it (there the origin is the upper left corner, y down)."""
        numbers = np.arange(self.first_marker, self.first_marker + self.markers)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m, self._dictionary, numbers)

    @cached_property
    def _detector(self) -> Any:
        return cv2.aruco.CharucoDetector(self.opencv, cv2.aruco.CharucoParameters(), cv2.aruco.DetectorParameters())


BOARDS = {
    "a3": Board(5, 7, 0.054, 0.042, "a3", 0),
    "a4": Board(4, 5, 0.048, 0.036, "a4", 30),
}
"""Boards by the paper they fill. Large squares: the highest camera sees a cell of a marker with two to three pixels."""


def board_by_name(name: str) -> Board:
    """A board of :data:`BOARDS`. Raises BoardError listing them."""
    if name.lower() not in BOARDS:
        raise BoardError(f"no board '{name}'; there are {', '.join(BOARDS)}")
    return BOARDS[name.lower()]


@dataclass(frozen=True)
class Corners:
    """Corners of one board in one picture."""

    numbers: NDArray[np.int64]
    """(N,) rows of :attr:`Board.points`."""
    pixels: NDArray[np.float64]
    """(N, 2) column, row; the centre of the upper left pixel is (0, 0)."""

    def __len__(self) -> int:
        return len(self.numbers)


def find_corners(board: Board, picture: NDArray[np.uint8], corners_min: int = CORNERS_MIN) -> Outcome[Corners]:
    """The board's corners in a picture: (H, W, 3) RGB or (H, W) grey, without lens distortion.

    Fails with BOARD_NOT_SEEN, saying how many markers and corners there were. Raises ValueError for other arrays.
    """
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
        raise ValueError(f"a picture is (H, W, 3) or (H, W) of uint8, got {picture.shape} of {picture.dtype}")
    grey = np.asarray(picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    pixels, numbers, _, markers = board._detector.detectBoard(grey)
    seen = 0 if markers is None else len(markers)
    if numbers is None or len(numbers) < corners_min:
        found = 0 if numbers is None else len(numbers)
        return Outcome.failure(Code.BOARD_NOT_SEEN, _why_not(board, seen, found, corners_min))
    known = np.asarray(numbers, np.int64).reshape(-1)
    return Outcome.success(Corners(known, _refined(board, grey, known, np.asarray(pixels, np.float64).reshape(-1, 2))))


def _why_not(board: Board, markers: int, corners: int, needed: int) -> str:
    if markers == 0:
        return f"No marker of it is in the picture ({board.text}): is this the board, in view, lit and in focus?"
    return f"{markers} of {board.markers} markers and {corners} corners were found, {needed} are needed: what hides it?"


def _refined(
    board: Board, grey: NDArray[np.uint8], numbers: NDArray[np.int64], pixels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Corners to a part of a pixel (Förstner and Gülch 1987), in a window as large as the squares allow."""
    side = _side_px(board, numbers, pixels)
    half = int(np.clip(SHARP_WINDOW * side, 2, WINDOW_MAX_PX))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-3)
    points = np.ascontiguousarray(pixels, np.float32).reshape(-1, 1, 2)
    moved = np.asarray(cv2.cornerSubPix(grey, points.copy(), (half, half), (-1, -1), stop), np.float64).reshape(-1, 2)
    far = np.linalg.norm(moved - pixels, axis=1) > half  # ran away to another edge
    moved[far] = pixels[far]
    return moved


def _side_px(board: Board, numbers: NDArray[np.int64], pixels: NDArray[np.float64]) -> float:
    """Smallest distance in the picture between neighbouring corners, pixels."""
    gap = np.linalg.norm(board.points[numbers][:, None] - board.points[numbers][None], axis=2)
    near = np.abs(gap - board.square_m) < 1e-6
    apart = np.linalg.norm(pixels[:, None] - pixels[None], axis=2)
    return float(apart[near].min()) if near.any() else 10.0
