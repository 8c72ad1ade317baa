"""Which surface points belong to items: not floor, not walls.

The tote stands where the cell file says (cameras were aligned to it), so walls are planes. The floor needs more care: a
card is thinner than the noise of a point. Mean height over a small neighbourhood and the difference to the floor's own
colour decide there.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.cell import ToteConfig
from pickcell.segmentation.config import SegmentationConfig

LIGHTNESS_WEIGHT = 0.6
"""Lightness counts less than hue and chroma: shadows change it."""


def foreground(
    points: NDArray[np.floating],
    normals: NDArray[np.floating],
    lab: NDArray[np.float32],
    tote: ToteConfig,
    config: SegmentationConfig,
    cell_m: float,
) -> NDArray[np.bool_]:
    """(N,) True for points of items. ``points``, ``normals``: (N, 3) in the tote's frame; ``lab``: (N, 3)."""
    half = 0.5 * np.asarray(tote.inner[:2])
    inside = np.all(np.abs(points[:, :2]) < half + 0.001, axis=1) & (points[:, 2] > -config.floor_band_m)
    for axis in range(2):
        for sign in (-1.0, 1.0):
            distance = half[axis] - sign * points[:, axis]
            near = distance < config.wall_m
            facing = -sign * normals[:, axis] > config.wall_facing
            inside &= ~(near & facing) & (distance > 0.25 * config.wall_m)
    above_rim = points[:, 2] > tote.inner[2] + 0.004
    low = (points[:, 2] < config.floor_band_m) & ~above_rim
    return inside & (~low | _on_floor(points, normals, lab, low & inside, tote, config, cell_m))


def _on_floor(
    points: NDArray[np.floating],
    normals: NDArray[np.floating],
    lab: NDArray[np.float32],
    low: NDArray[np.bool_],
    tote: ToteConfig,
    config: SegmentationConfig,
    cell_m: float,
) -> NDArray[np.bool_]:
    """(N,) True for low points whose neighbourhood is risen, or coloured unlike the floor."""
    out = np.zeros(len(points), bool)
    index = np.flatnonzero(low)
    if len(index) == 0:
        return out
    shape = (int(tote.inner[0] / cell_m) + 3, int(tote.inner[1] / cell_m) + 3)
    ij = np.floor((points[index, :2] + 0.5 * np.asarray(tote.inner[:2])) / cell_m).astype(int) + 1
    ij = np.clip(ij, 0, np.array(shape) - 1)
    flat = ij[:, 0] * shape[1] + ij[:, 1]
    count = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float32)

    def mean_map(values: NDArray[np.floating], size: int) -> NDArray[np.float32]:
        total = np.bincount(flat, weights=values, minlength=count.size).reshape(shape).astype(np.float32)
        norm = cv2.boxFilter(count, -1, (size, size), normalize=False)
        return np.asarray(cv2.boxFilter(total, -1, (size, size), normalize=False) / np.maximum(norm, 1e-6), np.float32)

    height = mean_map(points[index, 2], 5)
    weights = np.array([LIGHTNESS_WEIGHT, 1.0, 1.0])
    floor_lab = floor_color(lab[index], points[index, 2], config)
    color = np.stack([mean_map(lab[index, c], 3) for c in range(3)], axis=-1)
    difference = np.linalg.norm((color - floor_lab) * weights, axis=-1)
    # cells without points among cells with some (depth is missing on gloss) follow their neighbours
    known = np.asarray(cv2.boxFilter(count, -1, (3, 3), normalize=False)) > 0
    thing = ((height > config.floor_rise_m) | (difference > config.floor_color)) & known
    # one opening and closing: single cells of noise are no card, single holes in a card are no floor
    kernel = np.ones((3, 3), np.uint8)
    mask = cv2.morphologyEx(thing.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    out[index] = mask[ij[:, 0], ij[:, 1]] > 0
    return out


def floor_color(lab: NDArray[np.float32], height: NDArray[np.floating], config: SegmentationConfig) -> NDArray[np.float64]:
    """(3,) the floor's colour: the most frequent colour among the points that lie lowest."""
    flat = lab[height < 0.5 * config.floor_band_m]
    if len(flat) < 50:
        flat = lab
    bins = np.round(flat / 6.0).astype(np.int64)
    keys = (bins[:, 0] * 1000 + bins[:, 1] + 200) * 1000 + bins[:, 2] + 200
    values, counts = np.unique(keys, return_counts=True)
    mode = np.median(flat[keys == values[counts.argmax()]], axis=0)
    near = np.linalg.norm(flat - mode, axis=1) < 12.0
    return np.median(flat[near], axis=0).astype(np.float64)
