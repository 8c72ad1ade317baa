"""The aside tray: where neighbours go that are in the way. No camera looks there; the cell remembers what it has put down.

The tray is empty when the cell starts with nothing booked as aside. What is on it goes back into the source tote with the
next tote change: a person or a conveyor tips it in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from pickcell.geometry import inverse, transform_points
from pickcell.values import HeldItem, PlacePlan, Scene

ASIDE = "aside"
"""Name of the tote in the cell file. A cell without one moves neighbours to elsewhere in the source tote."""
ROOM_CELLS = 1
"""How far around what lies there the map counts as covered: placing is not exact."""


class AsideTray:
    """What is believed to lie on the tray, as a height map."""

    def __init__(self) -> None:
        self._height_m: NDArray[np.float32] | None = None
        self.count = 0
        """Items put down since it was empty."""

    def clear(self) -> None:
        """It has been emptied."""
        self._height_m, self.count = None, 0

    def shown_in(self, scene: Scene) -> Scene:
        """The scene with what is believed of the tray, where nothing is seen of it. Unchanged without a tray."""
        seen = scene.heightmaps.get(ASIDE)
        if seen is None:
            return scene
        believed = self._believed(seen.height_m.shape)
        height = np.where(np.isfinite(seen.height_m), np.fmax(seen.height_m, believed), believed)
        return replace(scene, heightmaps={**scene.heightmaps, ASIDE: replace(seen, height_m=height.astype(np.float32))})

    def put(self, scene: Scene, held: HeldItem, plan: PlacePlan) -> None:
        """Something has been set down as planned."""
        tray = scene.heightmaps[ASIDE]
        believed = self._believed(tray.height_m.shape)
        X_map_item = inverse(tray.X_base_map) @ plan.X_base_tcp @ inverse(held.X_base_tcp_at_grasp)
        points = transform_points(X_map_item, np.asarray(held.shape.cloud.points, dtype=np.float64))
        cells = np.floor(points[:, :2] / tray.resolution_m).astype(int)
        inside = np.all((cells >= 0) & (cells < believed.shape), axis=1)
        covered = np.zeros(believed.shape, dtype=bool)
        covered[cells[inside, 0], cells[inside, 1]] = True
        covered = binary_dilation(covered, iterations=ROOM_CELLS)
        top = float(points[:, 2].max(initial=0.0))
        self._height_m = np.where(covered, np.maximum(believed, top), believed).astype(np.float32)
        self.count += 1

    def _believed(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if self._height_m is None or self._height_m.shape != shape:
            return np.zeros(shape, dtype=np.float32)
        return self._height_m
