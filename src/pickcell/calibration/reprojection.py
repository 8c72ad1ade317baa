"""The fit: one camera's pose, and the board's places as far as they are in doubt, from all corners of all pictures.

Minimises the distances in the picture between corners seen and corners expected ("bundle adjustment", Triggs et al. 2000).
A place that is known comes in as a prior: several arm poses may correct it, one fixed camera can not, and its doubt is part
of what is said about the camera's.

Where depth pictures agree with the corners they say how far away the board is: from far away its size in the picture does
not tell to a millimetre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from pickcell.calibration.board import Board
from pickcell.calibration.views import BoardPlace, BoardView, board_depth, project
from pickcell.geometry import Pose, inverse, transform_points

CORNER_SIGMA_PX = 0.15
"""How well a corner is found (assumed when the places' priors are weighed; never believed to be better afterwards)."""
OUTLIER_PX = 1.0
"""A corner farther off is left out when it is also beyond four times what is usual."""

DEPTH_SIGMA = 0.001
"""How well a depth picture knows the distance of the whole board, as a share of it (assumed)."""
DEPTH_BELIEVED = 0.004
"""A depth picture that differs by more from what corners say is not used: it has an error of its own."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A camera's pose and what speaks for it."""

    X_parent_camera: Pose
    covariance: Array
    """(6, 6) of a shift (m) and a turn (rad) of the camera about its own origin, both in axes of the parent."""
    places: dict[str, BoardPlace]
    """As they are now believed to be."""
    with_depth: bool
    """The depth pictures took part."""
    rms_px: float
    """Root mean square distance of the corners that were used, in pixels."""
    corners: int
    """How many were used."""
    left_out: int
    """How many were not, as they contradict the others."""


def moved(X: Pose, change: Array) -> Pose:
    """``X`` shifted by ``change[:3]`` (m) and turned about its own origin by ``change[3:]`` (rad), axes of the parent."""
    out = np.array(X)
    out[:3, :3] = Rotation.from_rotvec(change[3:]).as_matrix() @ X[:3, :3]
    out[:3, 3] += change[:3]
    return out


def _alike(view: BoardView, views: Sequence[BoardView]) -> int:
    """How many pictures show the same: the errors of their corners are the same, so together they count as one."""
    return sum(v.place == view.place and np.allclose(v.X_base_parent, view.X_base_parent, atol=1e-4) for v in views)


class _Problem:
    """Residuals of one camera; parameters are six of the camera and six of each place."""

    def __init__(self, board: Board, views: Sequence[BoardView], X_guess: Pose, places: Mapping[str, BoardPlace]) -> None:
        self.board, self.views, self.X_guess = board, views, X_guess
        self.names = sorted({view.place for view in views})
        self.places = {name: places[name] for name in self.names}
        self._root = {n: np.linalg.inv(np.linalg.cholesky(p.covariance)) for n, p in self.places.items()}
        self.size = 6 + 6 * len(self.names)
        self._depths = [board_depth(view) for view in views]
        weights = [1.0 / np.sqrt(_alike(view, views)) for view in views]
        self._depth_weights = np.array([w for w, depth in zip(weights, self._depths) if depth is not None])
        self._weights = np.concatenate([np.full((len(v.corners), 1), w) for v, w in zip(views, weights)])

    def poses(self, x: Array) -> tuple[Pose, dict[str, Pose]]:
        """The camera in its parent and the board at each place."""
        boards = {n: moved(self.places[n].X_base_board, x[6 + 6 * k : 12 + 6 * k]) for k, n in enumerate(self.names)}
        return moved(self.X_guess, x[:6]), boards

    def errors_px(self, x: Array) -> Array:
        """(N, 2) pixels, all corners of all pictures."""
        X_parent_camera, boards = self.poses(x)
        found = []
        for view in self.views:
            X_camera_board = inverse(view.X_base_parent @ X_parent_camera) @ boards[view.place]
            points = transform_points(X_camera_board, self.board.points[view.corners.numbers])
            found.append(project(view.camera, points) - view.corners.pixels)
        return np.concatenate(found)

    def depth_errors(self, x: Array) -> Array:
        """(views with depth,) by what share depth pictures have the board farther away than it should be."""
        X_parent_camera, boards = self.poses(x)
        return np.array(
            [
                depth.ratio(inverse(view.X_base_parent @ X_parent_camera) @ boards[view.place]) - 1.0
                for view, depth in zip(self.views, self._depths)
                if depth is not None
            ]
        )

    def believes_depth(self, x: Array) -> bool:
        """Depth pictures agree with corners, so that they may say how far away the board is."""
        errors = self.depth_errors(x)
        return bool(len(errors)) and float(np.abs(errors).max()) < DEPTH_BELIEVED

    def residuals(self, x: Array, used: NDArray[np.bool_], with_depth: bool) -> Array:
        priors = [self._root[n] @ x[6 + 6 * k : 12 + 6 * k] for k, n in enumerate(self.names)]
        depth = [self._depth_weights * self.depth_errors(x) / DEPTH_SIGMA] if with_depth else []
        return np.concatenate([((self.errors_px(x) * self._weights)[used] / CORNER_SIGMA_PX).ravel(), *depth, *priors])


def fit(board: Board, views: Sequence[BoardView], X_parent_camera: Pose, places: Mapping[str, BoardPlace]) -> Fit:
    """Refine a guess of ``X_parent_camera``. Raises ValueError without views, KeyError for a view at no known place name."""
    if not views:
        raise ValueError("a fit needs at least one view")
    problem = _Problem(board, views, X_parent_camera, places)
    x = np.zeros(problem.size)
    used = np.ones(sum(len(view.corners) for view in views), bool)
    with_depth = False
    # first with all corners; then without those that contradict the others, and with depth
    for last in (False, False, True):
        solution = least_squares(problem.residuals, x, args=(used, with_depth), method="trf", x_scale=1e-3)
        x = np.asarray(solution.x, np.float64)
        distance = np.linalg.norm(problem.errors_px(x), axis=1)
        keep = distance < max(OUTLIER_PX, 4.0 * float(np.median(distance)))
        believed = problem.believes_depth(x)
        if last or keep.sum() < 6 or (believed == with_depth and np.array_equal(keep, used)):
            break
        used, with_depth = keep, believed
    rms = float(np.sqrt((distance[used] ** 2).mean()))
    scale = max(1.0, rms / np.sqrt(2.0) / CORNER_SIGMA_PX) ** 2
    J = np.asarray(solution.jac)
    covariance = np.linalg.pinv(J.T @ J, hermitian=True) * scale
    X, boards = problem.poses(x)
    kept = {
        n: BoardPlace(boards[n], covariance[6 + 6 * k : 12 + 6 * k, 6 + 6 * k : 12 + 6 * k])
        for k, n in enumerate(problem.names)
    }
    return Fit(X, covariance[:6, :6], {**places, **kept}, with_depth, rms, int(used.sum()), int((~used).sum()))
