"""The board as a page to print at true scale: a grey picture, written as PNG or PDF that know their resolution."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pickcell.calibration.board import BOARDS, Board, BoardError

PAPERS_M = {"a3": (0.297, 0.420), "a4": (0.210, 0.297)}
"""Width and height, portrait."""
DPI = 300
INCH_M = 0.0254
RULER_M = 0.100
"""Length of the printed ruler: whoever prints the board lays a real one beside it."""
_EDGE_M = 0.004
_FINE_PER_M = 10_000.0
"""Pixels per metre at which squares, markers and their cells all begin at whole pixels."""
_FORMATS = {".png": "PNG", ".pdf": "PDF"}


def page_size_m(board: Board) -> tuple[float, float]:
    """Width and height of the page. Raises BoardError for a board without a paper size."""
    if board.paper not in PAPERS_M:
        raise BoardError(f"a board of its own has no page ({board.text}); boards with one: {', '.join(BOARDS)}")
    return PAPERS_M[board.paper]


def draw_page(board: Board, dpi: float = DPI) -> NDArray[np.uint8]:
    """(H, W) grey picture of the whole page, the board in its middle, below it a ruler and what to do with it.

    Raises BoardError for a board without a paper size.
    """
    per_m = dpi / INCH_M
    width, height = (round(side * per_m) for side in page_size_m(board))
    page = np.full((height, width), 255, np.uint8)
    columns, rows = (side * per_m for side in board.size_m)
    left, bottom = round(0.5 * (width - columns)), round(0.5 * (height + rows))
    _squares(page, board, per_m)
    _ruler(page, left, bottom + round(0.004 * per_m), per_m)
    _words(page, board, left, per_m)
    return page


def _squares(page: NDArray[np.uint8], board: Board, per_m: float) -> None:
    """The board in the page's middle, to a part of a pixel: whole pixels per square would be off by 0.1 mm across it."""
    fine = board.opencv.generateImage(tuple(round(side * _FINE_PER_M) for side in board.size_m))
    height, width = page.shape
    scale = per_m / _FINE_PER_M
    # The centre of the first pixel is at (0, 0), so edges are half a pixel before it.
    to_page = [[scale, 0.0, 0.5 * (width - scale * fine.shape[1] + scale - 1.0)],
               [0.0, scale, 0.5 * (height - scale * fine.shape[0] + scale - 1.0)]]  # fmt: skip
    cv2.warpAffine(fine, np.array(to_page), (width, height), page, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)


def _ruler(page: NDArray[np.uint8], left: int, row: int, per_m: float) -> None:
    """A bar of :data:`RULER_M` with a tick every centimetre."""
    thick = max(1, round(0.0003 * per_m))
    for tick in range(11):
        column = left + round(tick * RULER_M / 10 * per_m)
        page[row : row + round(0.0025 * per_m), column : column + thick] = 0
    page[row : row + thick, left : left + round(RULER_M * per_m) + thick] = 0


def _words(page: NDArray[np.uint8], board: Board, left: int, per_m: float) -> None:
    """The caption, upper edge and lower edge."""
    low = f"The line is {1e3 * RULER_M:g} mm long, a square {1e3 * board.square_m:g} mm: if not, print at 100 %."
    height = page.shape[0]
    # beside the ruler, and in what is left of the margin above
    _write(page, low, left + round((RULER_M + 0.004) * per_m), height - round(_EDGE_M * per_m) - round(0.006 * per_m), per_m)
    _write(page, "<- this corner of the page: into the tote's corner at -x, -y", left, height - round(0.003 * per_m), per_m)
    _write(page, f"pickcell {board.paper.upper()}: {board.text}", left, round(0.007 * per_m), per_m)


def _write(page: NDArray[np.uint8], text: str, left: int, row: int, per_m: float) -> None:
    """Letters of 2.2 mm, smaller where the page is too narrow for them."""
    scale = 0.0022 * per_m / 21.0
    thick = max(1, round(0.0003 * per_m))
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    scale *= min(1.0, (page.shape[1] - left - 0.004 * per_m) / wide)
    cv2.putText(page, text, (left, row), cv2.FONT_HERSHEY_SIMPLEX, scale, 0, thick, cv2.LINE_AA)


def write_page(board: Board, path: Path, dpi: int = DPI) -> None:
    """Write the page as PNG or PDF, by the file's ending; printed at 100 % it has its true size.

    Raises BoardError for another ending or a board without a paper size, OSError when it cannot be written.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise BoardError(f"{path}: a page is written as {' or '.join(_FORMATS)}")
    picture = Image.fromarray(draw_page(board, dpi))
    if kind == "PNG":
        picture.save(path, kind, dpi=(dpi, dpi), optimize=True)
    else:
        picture.save(path, kind, resolution=float(dpi))
