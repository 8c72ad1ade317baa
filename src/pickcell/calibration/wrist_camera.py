"""A first guess for the camera on the wrist: several arm poses look at one board (eye in hand).

With the board at a known place each picture says where the camera is on the wrist, and the mean is taken. At an unknown
place it is hand-eye calibration: between pictures i and j the hand moves by A and the camera by B, and A X = X B for the
wanted X. Rotations first, then translations, both in closed form (Park and Martin 1994, "Robot sensor calibration: solving
AX = XB on the Euclidean group").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.spatial.transform import Rotation

from pickcell.calibration.board import Board
from pickcell.calibration.views import BoardPlace, BoardView, board_in_camera
from pickcell.geometry import Pose, inverse

PICTURES_MIN = 3


def guesses(board: Board, views: Sequence[BoardView], places: Mapping[str, BoardPlace]) -> list[Pose]:
    """``X_tool0_camera``: one guess, or none when the pictures are too few."""
    solved = [(view, found[0][0]) for view in views if (found := board_in_camera(board, view))]
    known = [
        inverse(v.X_base_parent) @ places[v.place].X_base_board @ inverse(X) for v, X in solved if places[v.place].is_known
    ]
    if len(known) >= PICTURES_MIN:
        return [mean_pose(known)]
    best = max((_same_place(solved, name) for name in places), key=len, default=[])
    if len(best) < PICTURES_MIN:
        return []
    return [hand_eye([view.X_base_parent for view, _ in best], [X for _, X in best])]


def _same_place(solved: Sequence[tuple[BoardView, Pose]], place: str) -> list[tuple[BoardView, Pose]]:
    return [each for each in solved if each[0].place == place]


def board_places(
    board: Board, views: Sequence[BoardView], X_tool0_camera: Pose, places: Mapping[str, BoardPlace]
) -> dict[str, BoardPlace]:
    """The places with ``X_base_board`` of the unknown ones filled in from the pictures, still as uncertain as before."""
    found = dict(places)
    for name, place in places.items():
        if place.is_known:
            continue
        seen = [(v, s[0][0]) for v in views if v.place == name and (s := board_in_camera(board, v))]
        if seen:
            mean = mean_pose([v.X_base_parent @ X_tool0_camera @ X for v, X in seen])
            found[name] = BoardPlace(mean, place.covariance)
    return found


def mean_pose(poses: Sequence[Pose]) -> Pose:
    """Mean of poses (4, 4) that are near each other: translations, and rotations in the chordal metric."""
    X = np.eye(4)
    X[:3, :3] = Rotation.from_matrix(np.stack([pose[:3, :3] for pose in poses])).mean().as_matrix()
    X[:3, 3] = np.mean([pose[:3, 3] for pose in poses], axis=0)
    return X


def hand_eye(X_base_tool0: Sequence[Pose], X_camera_board: Sequence[Pose]) -> Pose:
    """``X_tool0_camera`` from pairs of poses of a hand and of what its camera sees, board and base at rest.

    Raises ValueError for fewer than three pairs. Turns about one axis only leave a part of it undetermined, see
    :func:`turned_rad`.
    """
    if len(X_base_tool0) < PICTURES_MIN or len(X_base_tool0) != len(X_camera_board):
        raise ValueError(f"needs {PICTURES_MIN} pairs of poses or more, got {len(X_base_tool0)} and {len(X_camera_board)}")
    hand, eye = [], []
    for i, j in combinations(range(len(X_base_tool0)), 2):
        hand.append(inverse(X_base_tool0[j]) @ X_base_tool0[i])
        eye.append(X_camera_board[j] @ inverse(X_camera_board[i]))
    alpha, beta = (Rotation.from_matrix(np.stack([m[:3, :3] for m in ms])).as_rotvec() for ms in (hand, eye))
    turn, _ = Rotation.align_vectors(alpha, beta)  # alpha = R beta, least squares
    R = turn.as_matrix()
    left = np.concatenate([A[:3, :3] - np.eye(3) for A in hand])
    right = np.concatenate([R @ B[:3, 3] - A[:3, 3] for A, B in zip(hand, eye)])
    X = np.eye(4)
    X[:3, :3], X[:3, 3] = R, np.linalg.lstsq(left, right, rcond=None)[0]
    return X


def turned_rad(views: Sequence[BoardView]) -> float:
    """How far the hand turned about its second axis of turning, root mean square over the pictures.

    Hand-eye calibration needs turns about two axes (Tsai and Lenz 1989): near zero, all pictures turn about one, or none.
    """
    if len(views) < 2:
        return 0.0
    turns = Rotation.from_matrix(np.stack([v.X_base_parent[:3, :3] for v in views]))
    spread = (turns.mean().inv() * turns).as_rotvec()
    return float(np.linalg.svd(spread, compute_uv=False)[1] / np.sqrt(len(views)))
