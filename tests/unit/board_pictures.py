"""Drawn pictures of a calibration board with a known pose: no simulator, a homography and what a camera adds to it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.calibration.board import Board
from pickcell.geometry import Pose
from pickcell.values import CameraModel

CAMERA = CameraModel.from_fov("cam", 640, 480, float(np.deg2rad(52.0)))
_PER_M = 3000.0
_FINE = 4


def draw_board(
    board: Board, X_camera_board: Pose, camera: CameraModel = CAMERA, *, noise: float = 1.8, seed: int = 0
) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, four times finer than a pixel and averaged, with noise; grey around the board."""
    print_ = board.opencv.generateImage(tuple(round(side * _PER_M) for side in board.size_m))
    rows, columns = print_.shape
    width, height = board.size_m
    to_board = np.array(
        [[width / columns, 0.0, 0.5 * width / columns - 0.5 * width],
         [0.0, -height / rows, 0.5 * height - 0.5 * height / rows],
         [0.0, 0.0, 1.0]]
    )  # fmt: skip
    to_picture = camera.K @ X_camera_board[:3][:, [0, 1, 3]]
    finer = np.array([[_FINE, 0.0, 0.5 * (_FINE - 1)], [0.0, _FINE, 0.5 * (_FINE - 1)], [0.0, 0.0, 1.0]])
    size = (camera.width * _FINE, camera.height * _FINE)
    fine = cv2.warpPerspective(print_, finer @ to_picture @ to_board, size, flags=cv2.INTER_LINEAR, borderValue=150)
    picture = cv2.resize(fine, (camera.width, camera.height), interpolation=cv2.INTER_AREA).astype(np.float64)
    picture = 24.0 + 0.8 * picture + np.random.default_rng(seed).normal(0.0, noise, picture.shape)
    return np.repeat(np.clip(np.rint(picture), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
