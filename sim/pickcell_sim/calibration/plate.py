"""The calibration board as a thing in the simulated cell: a printed plate that cameras see and nothing passes through."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pybullet as p
from PIL import Image

from pickcell.calibration.board import Board
from pickcell.calibration.page import INCH_M, draw_page, page_size_m
from pickcell.calibration.views import PLATE_THICKNESS_M
from pickcell.geometry import Pose, make_pose, quat_xyzw_from_pose
from pickcell_sim.items.mesh import ObjBuilder
from pickcell_sim.vision.looks import ShapeModel
from pickcell_sim.world import SimWorld

_TEXELS_PER_M = 1200.0
"""About what cameras resolve: the renderer takes single texels of finer prints, where a lens would take their mean."""
_SOFT_M = 0.001
"""Blur of the print, for that of the lens: the renderer has none, and its stairs along edges would shift corners."""
_INK, _PAPER = 24, 232
"""Grey of printed black and of white paper."""
_WHITE_ROWS = 8  # of the texture, for the sides and the back


def add_plate(world: SimWorld, board: Board, X_world_board: Pose) -> int:
    """Lay the plate down with its print at ``X_world_board`` (frame of :class:`Board`). It stays where it is, as if fixed.

    Returns its body. Raises BoardError for a board without a page.
    """
    width, height = page_size_m(board)
    half = (0.5 * width, 0.5 * height, 0.5 * PLATE_THICKNESS_M)
    X = X_world_board @ make_pose((0.0, 0.0, -half[2]))
    shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=world.client)
    body = int(p.createMultiBody(0.0, shape, -1, X[:3, 3], quat_xyzw_from_pose(X), physicsClientId=world.client))
    world.register_visual(body, ShapeModel(p.GEOM_MESH, (1.0, 1.0, 1.0), str(_mesh(board))))
    return body


@cache
def _mesh(board: Board) -> Path:
    """The plate as a mesh file, origin in its middle; kept until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="pickcell_board_")
    atexit.register(folder.cleanup)
    width, height = page_size_m(board)
    page = draw_page(board, dpi=300)
    size = tuple(4 * round(side * _TEXELS_PER_M / 4) for side in (width, height))  # EGL skews rows of other lengths
    page = cv2.GaussianBlur(page, (0, 0), _SOFT_M * 300 / INCH_M)
    small = cv2.resize(page, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    print_ = np.vstack([np.full((_WHITE_ROWS, size[0]), 1.0, np.float32), small])
    grey = np.rint(_INK + (_PAPER - _INK) * print_).astype(np.uint8)
    share = small.shape[0] / grey.shape[0]
    builder = ObjBuilder()
    builder.part("plate")
    half = 0.5 * np.array([width, height, PLATE_THICKNESS_M])
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            up = np.roll(np.array([0.0, 1.0, 0.0]), axis - 2)  # +y for the faces that look along z
            right = np.cross(up, normal)
            points = (normal + square[:, :1] * right + square[:, 1:] * up) * half
            top = axis == 2 and sign > 0
            uv = (square + 1.0) / 2.0 * [1.0, share] if top else np.full((4, 2), 1.0 - 0.5 * (1.0 - share))
            builder.polygon(points, np.tile(normal, (4, 1)), uv)
    builder.write(Path(folder.name), Image.fromarray(grey).convert("RGB"))
    return Path(folder.name) / "model.obj"
