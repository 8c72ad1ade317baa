"""A first guess for a fixed camera: the board lies at a known place, so one picture of it tells where the camera stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pickcell.calibration.board import Board
from pickcell.calibration.views import BoardPlace, BoardView, board_in_camera
from pickcell.geometry import Pose, inverse


def guesses(board: Board, views: Sequence[BoardView], places: Mapping[str, BoardPlace]) -> list[Pose]:
    """``X_parent_camera`` by single pictures, best first: both solutions of the one that shows most corners.

    ``X_parent_camera = X_parent_base @ X_base_board @ X_board_camera``. Pictures with a board at an unknown place are no
    help. Empty when no picture allows a guess.
    """
    for view in sorted(views, key=lambda v: -len(v.corners)):
        place = places[view.place]
        solved = board_in_camera(board, view)
        if place.is_known and solved:
            return [inverse(view.X_base_parent) @ place.X_base_board @ inverse(X) for X, _ in solved]
    return []
