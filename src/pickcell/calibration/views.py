"""What a calibration starts from: where the board is believed to lie, and pictures of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.calibration.board import Board, Corners
from pickcell.cell import CellConfig
from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell.values import CameraModel

PLATE_THICKNESS_M = 0.005
"""Of the plate that the paper is glued on: the print lies so much above the tote's floor."""
PUSHED_SIGMA_M = 0.001
PUSHED_SIGMA_RAD = float(np.deg2rad(0.1))
"""How well a plate pushed into a corner of the tote lies where it should (assumed: a straight plate, a stiff tote)."""
DEPTH_PIXELS_MIN = 50
LEANING_SHARE = 0.9
LEANED_SIGMA_M = 0.01
LEANED_SIGMA_RAD = float(np.deg2rad(3.0))
"""... and one that leans on the rim."""
UNKNOWN_SIGMA_M = 1.0
UNKNOWN_SIGMA_RAD = 1.0


@dataclass(frozen=True)
class BoardPlace:
    """Where a board lies, and how well that is known."""

    X_base_board: Pose
    covariance: NDArray[np.float64]
    """(6, 6) of a shift (m) and a turn (rad) of the board about its own origin, both in axes of ``base_link``."""

    @staticmethod
    def known(X_base_board: Pose, sigma_m: float = PUSHED_SIGMA_M, sigma_rad: float = PUSHED_SIGMA_RAD) -> BoardPlace:
        """A place with standard deviations per axis."""
        return BoardPlace(X_base_board, np.diag([sigma_m**2] * 3 + [sigma_rad**2] * 3))

    @staticmethod
    def unknown() -> BoardPlace:
        """Anywhere: the wrist camera has to find it."""
        return BoardPlace.known(np.eye(4), UNKNOWN_SIGMA_M, UNKNOWN_SIGMA_RAD)

    @property
    def sigma_m(self) -> float:
        """Standard deviation of where it is, per axis (root mean square)."""
        return float(np.sqrt(np.trace(self.covariance[:3, :3]) / 3.0))

    @property
    def is_known(self) -> bool:
        return self.sigma_m < 0.1


@dataclass(frozen=True)
class BoardView:
    """One picture with the board found in it."""

    camera: CameraModel
    corners: Corners
    X_base_parent: Pose
    """What carries the camera at the time of capture: the world's frame, or ``tool0`` by the arm's joints."""
    place: str = "lying"
    """Name of the place at which the board lay."""
    depth_m: NDArray[np.float32] | None = field(default=None, repr=False)
    """(H, W) depth of the same picture, NaN where there is none; None without."""


def lying(cell: CellConfig, size_m: tuple[float, float]) -> BoardPlace:
    """A plate of this width and height that lies on the source tote's floor, pushed into its corner at -x, -y: right edge of
    the page along the tote's +x, upper edge along +y. Raises ValueError when it does not fit."""
    length, width, _ = cell.totes["source"].inner
    if size_m[0] > length or size_m[1] > width:
        said = " x ".join(f"{1e3 * side:.0f}" for side in size_m)
        raise ValueError(f"{said} mm do not fit into the source tote, {1e3 * length:.0f} x {1e3 * width:.0f} mm")
    shift = (0.5 * (size_m[0] - length), 0.5 * (size_m[1] - width), PLATE_THICKNESS_M)
    return BoardPlace.known(cell.X_base_tote("source") @ make_pose(shift))


def leaning(cell: CellConfig, size_m: tuple[float, float]) -> BoardPlace:
    """The same plate with its lower edge on the floor and its upper part on the rim of the tote's wall at +y, pushed against
    the wall at -x. Where exactly it comes to stand is for the arm to find. Raises ValueError when it does not fit."""
    length, width, depth = cell.totes["source"].inner
    reach = LEANING_SHARE * size_m[1]  # from the lower edge to the rim, along the plate
    if size_m[0] > length or not depth < reach < width:
        raise ValueError(f"a plate of {1e3 * size_m[1]:.0f} mm cannot lean on the source tote's rim")
    tilt = float(np.arcsin(depth / reach))
    foot = make_pose((0.5 * (size_m[0] - length), 0.5 * width - reach * np.cos(tilt), 0.0), (tilt, 0.0, 0.0))
    X_base_board = cell.X_base_tote("source") @ foot @ make_pose((0.0, 0.5 * size_m[1], PLATE_THICKNESS_M))
    return BoardPlace.known(X_base_board, LEANED_SIGMA_M, LEANED_SIGMA_RAD)


PLACES = {"lying": lying, "leaning": leaning}
"""Where to put the board: function of the cell and the plate's size."""


def project(camera: CameraModel, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) column and row of points (N, 3) in the camera's optical frame."""
    z = np.maximum(points[:, 2], 1e-6)
    return np.column_stack([camera.fx * points[:, 0] / z + camera.cx, camera.fy * points[:, 1] / z + camera.cy])


def board_in_camera(board: Board, view: BoardView) -> list[tuple[Pose, float]]:
    """``X_camera_board`` from one picture, best first, each with its rms in pixels: the two solutions of a plane
    (IPPE, Collins and Bartoli 2014, "Infinitesimal plane-based pose estimation"). Empty when there is none."""
    points = np.ascontiguousarray(board.points[view.corners.numbers])
    if np.linalg.matrix_rank(points[:, :2] - points[:, :2].mean(axis=0), tol=1e-6) < 2:
        return []  # all on one line
    pixels = np.ascontiguousarray(view.corners.pixels)
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(points, pixels, view.camera.K, None, flags=cv2.SOLVEPNP_IPPE)
    except cv2.error:
        return []
    found = []
    for turn, shift in zip(turns, shifts):
        X = np.eye(4)
        X[:3, :3], X[:3, 3] = cv2.Rodrigues(turn)[0], np.ravel(shift)
        error = project(view.camera, transform_points(X, points)) - pixels
        if np.isfinite(X).all() and X[2, 3] > 0:
            found.append((X, float(np.sqrt((error**2).sum(axis=1).mean()))))
    return sorted(found, key=lambda each: each[1])


@dataclass(frozen=True)
class BoardDepth:
    """Depth of the pixels that show the board between its outermost corners."""

    rays: NDArray[np.float64]
    """(N, 3) directions in the optical frame, z = 1."""
    measured_m: NDArray[np.float64]
    """(N,) along the optical axis, all valid."""

    def ratio(self, X_camera_board: Pose) -> float:
        """Measured over expected depth, median over the pixels."""
        X_board_camera = inverse(X_camera_board)
        expected = -X_board_camera[2, 3] / (self.rays @ X_board_camera[2, :3])
        return float(np.median(self.measured_m / expected))


def board_depth(view: BoardView, pixels_max: int = 120) -> BoardDepth | None:
    """What a view's depth picture has of the board; None without one, or with fewer than 50 valid pixels."""
    if view.depth_m is None:
        return None
    inside = np.zeros(view.depth_m.shape, np.uint8)
    hull = cv2.convexHull(view.corners.pixels.astype(np.float32))
    cv2.fillConvexPoly(inside, np.rint(hull).astype(np.int32), 1)
    rows, columns = np.nonzero((inside > 0) & np.isfinite(view.depth_m) & (view.depth_m > 0))
    if len(rows) < DEPTH_PIXELS_MIN:
        return None
    every = slice(None, None, max(1, len(rows) // pixels_max))
    rows, columns = rows[every], columns[every]
    camera = view.camera
    rays = np.column_stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(len(rows))])
    return BoardDepth(rays, view.depth_m[rows, columns].astype(np.float64))


def depth_ratio(view: BoardView, X_camera_board: Pose) -> float:
    """Measured over expected depth on the board (median over its pixels); NaN where too few pixels have depth.

    Off by more than the camera's depth can be, it tells that the board was not printed at its true scale: the picture alone
    cannot tell a board that is 3 % smaller from one that is 3 % farther away.
    """
    depth = board_depth(view)
    return float("nan") if depth is None else depth.ratio(X_camera_board)
