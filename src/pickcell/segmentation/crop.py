"""What the affinity network sees of one camera: the part of the picture with the source tote, at a fixed size.

Colours, and where each pixel's point lies with respect to the tote: height above its floor, distance along the camera's
axis, and whether it is inside. Heights mean the same for every camera, whatever it looks from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.frames import project
from pickcell.fusion.tsdf import DepthView
from pickcell.geometry import inverse, transform_points

WIDTH, HEIGHT = 320, 256
"""Pixels of a crop."""
CHANNELS = 7
"""Red, green, blue, height, relative depth, validity, inside."""
HEADROOM_M = 0.06
"""The crop shows items that stand out of the tote by so much."""
MARGIN_PX = 6
MIN_SIDE_PX = 40
"""A camera that shows less of the tote than this does not help."""
SCALE_M = 0.1
"""Heights and depths are divided by this."""


@dataclass(frozen=True)
class Crop:
    """A crop of one camera's picture."""

    scale: float
    """Pixels of the crop per pixel of the picture."""
    u0: float
    v0: float
    """Column and row of the picture at the crop's pixel (0, 0)."""

    def warp(self, picture: NDArray[Any], nearest: bool) -> NDArray[Any]:
        """The crop (HEIGHT, WIDTH, ...) of a picture."""
        M = np.array([[1.0 / self.scale, 0.0, self.u0], [0.0, 1.0 / self.scale, self.v0]])
        how = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(picture, M, (WIDTH, HEIGHT), flags=how, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0)
        )


def tote_crop(view: DepthView, cell: CellConfig) -> Crop | None:
    """The crop around the source tote; None when the camera does not show enough of it."""
    tote = cell.totes["source"]
    half = 0.5 * np.asarray(tote.inner[:2])
    corners = np.array(
        [[x, y, z] for x in (-half[0], half[0]) for y in (-half[1], half[1]) for z in (0.0, tote.inner[2] + HEADROOM_M)]
    )
    u, v, z = project(view.camera, view.X_base_camera, transform_points(cell.X_base_tote("source"), corners))
    camera = view.camera
    if not (z > 0.05).all():  # it stands over the tote: everything it shows may be content
        u0, u1, v0, v1 = 0.0, float(camera.width), 0.0, float(camera.height)
    else:
        u0, u1 = np.clip([u.min() - MARGIN_PX, u.max() + MARGIN_PX], 0, camera.width)
        v0, v1 = np.clip([v.min() - MARGIN_PX, v.max() + MARGIN_PX], 0, camera.height)
    if u1 - u0 < MIN_SIDE_PX or v1 - v0 < MIN_SIDE_PX:
        return None
    scale = float(min(WIDTH / (u1 - u0), HEIGHT / (v1 - v0)))
    return Crop(scale, float(0.5 * (u0 + u1) - 0.5 * WIDTH / scale), float(0.5 * (v0 + v1) - 0.5 * HEIGHT / scale))


def crop_input(view: DepthView, color: NDArray[np.uint8], cell: CellConfig, crop: Crop) -> NDArray[np.float32]:
    """(CHANNELS, HEIGHT, WIDTH) of one view; depth channels are 0 where there is no depth, and on the robot.

    ``color``: (H, W, 3) RGB, in the pixels of ``view``.
    """
    out = np.zeros((CHANNELS, HEIGHT, WIDTH), np.float32)
    out[:3] = np.moveaxis(crop.warp(color, nearest=False), 2, 0) * np.float32(1.0 / 255.0) - np.float32(0.5)
    depth = crop.warp(view.depth_m, nearest=True)
    tote = cell.totes["source"]
    X = inverse(cell.X_base_tote("source")) @ view.X_base_camera
    k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
    seen = depth[depth > 0]
    middle = float(np.median(seen)) if len(seen) else 1.0
    _geometry(depth, k, X, crop.scale, crop.u0, crop.v0, 0.5 * tote.inner[0], 0.5 * tote.inner[1], middle, SCALE_M, out)
    return out


@njit(cache=True, nogil=True)
def _geometry(depth, k, X, scale, u0, v0, half_x, half_y, middle, unit, out):  # type: ignore[no-untyped-def]
    """Channels 3 to 6 of the crop from its depth; ``X``: camera in tote."""
    for r in range(depth.shape[0]):
        for c in range(depth.shape[1]):
            z = depth[r, c]
            if z <= 0.0:
                continue
            x, y = (c / scale + u0 - k[2]) / k[0] * z, (r / scale + v0 - k[3]) / k[1] * z
            a = X[0, 0] * x + X[0, 1] * y + X[0, 2] * z + X[0, 3]
            b = X[1, 0] * x + X[1, 1] * y + X[1, 2] * z + X[1, 3]
            h = X[2, 0] * x + X[2, 1] * y + X[2, 2] * z + X[2, 3]
            out[3, r, c] = min(max(h / unit, -1.0), 4.0)
            out[4, r, c] = min(max((z - middle) / unit, -4.0), 4.0)
            out[5, r, c] = 1.0
            if abs(a) < half_x and abs(b) < half_y:
                out[6, r, c] = 1.0
