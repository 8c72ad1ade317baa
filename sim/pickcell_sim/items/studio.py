"""Pictures of single items on white: the reference strips of the catalogue."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import look_at
from pickcell.values import CameraModel
from pickcell_sim.items.assets import ensure_item
from pickcell_sim.items.spawn import outline
from pickcell_sim.vision.looks import IDENTITY, ORIGIN, UrdfModel, read_looks
from pickcell_sim.vision.rendering import Lighting
from pickcell_sim.vision.visuals import Placement, VisualPool, parts_at

VIEW_PX = 96
VIEW_DIRECTIONS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
"""Where the camera stands for each picture of the strip, in the item's frame."""

_SUPERSAMPLE = 4
_DISTANCE_M = 1.5  # far, with a long lens: nearly parallel projection
_FILL = 0.92  # share of the picture's side that the item's largest extent takes


class Studio:
    """Photographs items alone. Use it as a context manager."""

    def __init__(self) -> None:
        self._pool = VisualPool.shared()

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to give back: the pool stays for the cameras."""

    def strip(self, sku: str) -> NDArray[np.uint8]:
        """(96, 576, 3) RGB: six pictures side by side, all to the same scale, seen from +x, -x, +y, -y, +z, -z."""
        item = parts_at(read_looks(UrdfModel(str(ensure_item(sku)))), 0, (ORIGIN, IDENTITY))
        points = outline(sku)
        center = (points.min(axis=0) + points.max(axis=0)) / 2.0
        return np.hstack([self._picture(item, direction, points, center) for direction in VIEW_DIRECTIONS])

    def _picture(
        self,
        item: list[Placement],
        direction: tuple[int, int, int],
        points: NDArray[np.float64],
        center: NDArray[np.float64],
    ) -> NDArray[np.uint8]:
        """One square picture, drawn large and averaged down, on white."""
        largest = float((points.max(axis=0) - points.min(axis=0)).max())
        toward = np.asarray(direction, float)
        distance = _DISTANCE_M + largest / 2.0
        side = VIEW_PX * _SUPERSAMPLE
        fov = 2.0 * np.arctan(0.5 * largest / _FILL / _DISTANCE_M)
        up = (0.0, 1.0, 0.0) if direction[2] else (0.0, 0.0, 1.0)
        # Light from the camera, so that every side shows its colours; a slanting lamp would streak flat faces with shadow.
        camera = CameraModel.from_fov("studio", side, side, float(fov))
        X = look_at(center + distance * toward, center, up)
        view = self._pool.draw(item, camera, X, lighting=Lighting(direction=direction))
        color = view.color.astype(np.float32)
        color[~np.isfinite(view.depth_m)] = 255.0
        return np.rint(cv2.resize(color, (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_AREA)).astype(np.uint8)
