"""The outline of an item seen from above, and the walls below it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Footprint:
    """A raster of the visible points seen from above, in the tote's frame."""

    origin: NDArray[np.float64]
    """(2,) corner of cell (0, 0), metres."""
    cell_m: float
    mask: NDArray[np.uint8]
    """(nx, ny) 1 where the item is, with two empty cells around it."""
    top: NDArray[np.float32]
    """(nx, ny) height of the highest point, of the nearest filled cell where there is none."""
    outline: NDArray[np.intp]
    """(K, 2) cells of the mask that touch its outside."""
    outward: NDArray[np.float64]
    """(K, 2) unit directions out of the mask at those cells."""

    @property
    def outline_xy(self) -> NDArray[np.float64]:
        """(K, 2) centres of the outline's cells: points fall on either side of it, so this is unbiased."""
        return self.origin + (self.outline + 0.5) * self.cell_m


def footprint_of(points: NDArray[np.float64], cell_m: float) -> Footprint:
    """Raster of (N, 3) points, N >= 1; small gaps between points are closed."""
    border = 2
    origin = np.floor(points[:, :2].min(axis=0) / cell_m) * cell_m - border * cell_m
    ij = np.floor((points[:, :2] - origin) / cell_m).astype(np.intp)
    shape = tuple(ij.max(axis=0) + 1 + border)
    top = np.full(shape, -np.inf, np.float32)
    np.maximum.at(top, (ij[:, 0], ij[:, 1]), points[:, 2].astype(np.float32))
    hit = np.isfinite(top).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    mask = np.asarray(cv2.morphologyEx(hit, cv2.MORPH_CLOSE, kernel), dtype=np.uint8)
    spread = np.asarray(cv2.dilate(np.where(hit > 0, top, np.float32(-1e3)), kernel))
    top = np.where(hit > 0, top, spread).astype(np.float32)
    inner = np.asarray(cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))))
    outline = np.argwhere((mask > 0) & (inner == 0))
    return Footprint(origin, cell_m, mask, top, outline, _outward(mask, outline))


def _outward(mask: NDArray[np.uint8], outline: NDArray[np.intp]) -> NDArray[np.float64]:
    """Unit directions out of the mask: downhill on the smoothed mask."""
    soft = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (7, 7), 1.6))
    gi, gj = np.gradient(soft)
    down = -np.column_stack([gi[tuple(outline.T)], gj[tuple(outline.T)]]).astype(np.float64)
    length = np.linalg.norm(down, axis=1, keepdims=True)
    return np.where(length > 1e-6, down / np.maximum(length, 1e-6), np.array([1.0, 0.0]))


def walls_below(footprint: Footprint, support_m: float, spacing_m: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and outward normals (W, 3) of vertical walls from the outline's top down to ``support_m``."""
    cells, outward = footprint.outline, footprint.outward
    if len(cells) == 0:
        return np.zeros((0, 3)), np.zeros((0, 3))
    height = footprint.top[tuple(cells.T)].astype(np.float64) - support_m
    steps = np.maximum(np.floor(height / spacing_m).astype(int), 0)
    column = np.repeat(np.arange(len(cells)), steps)
    rank = np.arange(len(column)) - np.repeat(np.cumsum(steps) - steps, steps)
    points = np.column_stack([footprint.outline_xy[column], support_m + (rank + 0.5) * spacing_m])
    normals = np.column_stack([outward[column], np.zeros(len(column))])
    return points, normals
