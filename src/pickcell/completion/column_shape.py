"""From the column network's answer to a surface: tops, undersides, and the walls between where the item is and is not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.completion.columns import CELLS, HEIGHT_UNIT_M, ColumnMap

OUTPUTS = 5
"""Channels of the answer: logit of "the item is in this column"; top, as an offset from what was seen of it; thickness;
and how unsure top and underside are."""
OFFSET_UNIT_M = 0.02
SPREAD_UNIT_M = 0.01
LEAST_SPREAD = 0.03
NEAR_M = 0.005
"""Confidence is the probability that the true surface is this near."""
FINE_M = 0.0045
"""The answer's raster is refined to at most this step."""


@dataclass(frozen=True)
class Columns:
    """An item as a stack of columns, in the map's frame."""

    step_m: float
    inside: NDArray[np.float32]
    """(n, n) probability that the item is in a column."""
    top: NDArray[np.float32]
    """(n, n) height above the floor, metres."""
    bottom: NDArray[np.float32]
    top_spread: NDArray[np.float32]
    """(n, n) mean absolute error that the network expects of the top, metres."""
    bottom_spread: NDArray[np.float32]


def read_answer(answer: NDArray[np.float32], at: ColumnMap) -> Columns:
    """Heights in metres from an answer (OUTPUTS, CELLS, CELLS); the counterpart of the training's loss."""
    own, seen_top = at.values[0], at.values[1]
    top = at.middle_m + HEIGHT_UNIT_M * seen_top * own + OFFSET_UNIT_M * answer[1]
    thickness = OFFSET_UNIT_M * np.logaddexp(answer[2], 0.0)
    spread = SPREAD_UNIT_M * (np.logaddexp(answer[3:5], 0.0) + LEAST_SPREAD)
    inside = 1.0 / (1.0 + np.exp(-np.clip(answer[0], -30.0, 30.0)))
    return Columns(at.cell_m, inside, top, top - thickness, spread[0], spread[1])


def refine(columns: Columns, finest_m: float = FINE_M) -> Columns:
    """The same on a raster of at most ``finest_m``; heights beyond the item's edge continue those inside."""
    factor = int(np.ceil(columns.step_m / finest_m))
    filled = [_spread_out(m, columns.inside > 0.5) for m in (columns.top, columns.bottom)]
    maps = [columns.inside, *filled, columns.top_spread, columns.bottom_spread]
    if factor > 1:
        size = (factor * CELLS, factor * CELLS)
        maps = [np.asarray(cv2.resize(m, size, interpolation=cv2.INTER_LINEAR)) for m in maps]
    return Columns(columns.step_m / factor, *maps)


def _spread_out(values: NDArray[np.float32], known: NDArray[np.bool_], rings: int = 2) -> NDArray[np.float32]:
    """Each unknown cell within ``rings`` of known ones gets the mean of its known neighbours."""
    values, weight = np.where(known, values, 0.0).astype(np.float32), known.astype(np.float32)
    for _ in range(rings):
        total = cv2.boxFilter(values * weight, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        count = cv2.boxFilter(weight, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        new = (weight == 0) & (count > 0)
        values = np.where(new, total / np.maximum(count, 1.0), values).astype(np.float32)
        weight = np.where(new, 1.0, weight).astype(np.float32)
    return values


def surface_of(columns: Columns, spacing_m: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Points (M, 3), outward normals (M, 3), confidence (M,) in the map's frame; ``spacing_m`` between points of walls."""
    parts = []
    for heights, spread, sign in ((columns.top, columns.top_spread, 1.0), (columns.bottom, columns.bottom_spread, -1.0)):
        smooth = np.asarray(cv2.GaussianBlur(heights, (3, 3), 0.8))
        parts.append(_face(columns.inside, heights, smooth, spread, columns.step_m, sign))
    soft = np.asarray(cv2.GaussianBlur(columns.inside, (5, 5), 1.0))
    parts.append(_walls(columns.inside, soft, columns.top, columns.bottom, columns.step_m, spacing_m))
    points, normals, trust = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return points, normals, trust


@njit(cache=True, nogil=True)
def _face(inside, heights, smooth, spread, step, sign):  # type: ignore[no-untyped-def]
    """The item's top (``sign`` 1) or underside (-1), a point per column that it is in."""
    n = inside.shape[0]
    points, normals, trust = np.empty((n * n, 3)), np.empty((n * n, 3)), np.empty(n * n)
    count = 0
    for i in range(n):
        for j in range(n):
            if inside[i, j] <= 0.5:
                continue
            a, b = _slopes(smooth, i, j)
            a, b = a / step, b / step
            scale = sign / np.sqrt(a * a + b * b + 1.0)
            normals[count, 0], normals[count, 1], normals[count, 2] = -a * scale, -b * scale, scale
            points[count, 0], points[count, 1], points[count, 2] = (i + 0.5) * step, (j + 0.5) * step, heights[i, j]
            trust[count] = inside[i, j] * (1.0 - np.exp(-NEAR_M / spread[i, j]))
            count += 1
    return points[:count].copy(), normals[:count].copy(), trust[:count].copy()


@njit(cache=True, nogil=True)
def _walls(inside, soft, top, bottom, step, spacing):  # type: ignore[no-untyped-def]
    """The item's outline, between top and underside, where "inside" crosses one half between neighbouring columns."""
    n = inside.shape[0]
    points, normals, trust = np.empty((256, 3)), np.empty((256, 3)), np.empty(256)
    count = 0
    for axis in range(2):
        for i in range(n - (axis == 0)):
            for j in range(n - (axis == 1)):
                here, there = inside[i, j], inside[i + (axis == 0), j + (axis == 1)]
                if (here > 0.5) == (there > 0.5):
                    continue
                way = (0.5 - here) / (there - here)
                x, y = i + (way if axis == 0 else 0.0), j + (way if axis == 1 else 0.0)
                a, b = i + (axis == 0 and here <= 0.5), j + (axis == 1 and here <= 0.5)
                slope_i, slope_j = _slopes(soft, a, b)
                length = max(np.sqrt(slope_i * slope_i + slope_j * slope_j), 1e-9)
                out_i, out_j = -slope_i / length, -slope_j / length
                reach = NEAR_M / step
                fall = _sample(inside, x - reach * out_i, y - reach * out_j) - _sample(
                    inside, x + reach * out_i, y + reach * out_j
                )
                rows = int(max(top[a, b] - bottom[a, b], 0.0) / spacing)
                if count + rows > len(trust):
                    more = len(trust) + rows
                    points = np.concatenate((points, np.empty((more, 3))))
                    normals = np.concatenate((normals, np.empty((more, 3))))
                    trust = np.concatenate((trust, np.empty(more)))
                for row in range(rows):
                    points[count, 0], points[count, 1] = step * (x + 0.5), step * (y + 0.5)
                    points[count, 2] = bottom[a, b] + (row + 0.5) * spacing
                    normals[count, 0], normals[count, 1], normals[count, 2] = out_i, out_j, 0.0
                    trust[count] = min(max(fall, 0.0), 1.0)
                    count += 1
    return points[:count].copy(), normals[:count].copy(), trust[:count].copy()


@njit(cache=True, nogil=True)
def _slopes(values, i, j):  # type: ignore[no-untyped-def]
    """Change per cell along rows and columns: central, one-sided at the border."""
    n, m = values.shape
    up, down = min(i + 1, n - 1), max(i - 1, 0)
    right, left = min(j + 1, m - 1), max(j - 1, 0)
    return (values[up, j] - values[down, j]) / (up - down), (values[i, right] - values[i, left]) / (right - left)


@njit(cache=True, nogil=True)
def _sample(values, row, column):  # type: ignore[no-untyped-def]
    """Bilinear value at (row, column); the border's beyond it."""
    n, m = values.shape
    row, column = min(max(row, 0.0), n - 1.0), min(max(column, 0.0), m - 1.0)
    i, j = min(int(row), n - 2), min(int(column), m - 2)
    a, b = row - i, column - j
    near = (1.0 - b) * values[i, j] + b * values[i, j + 1]
    far = (1.0 - b) * values[i + 1, j] + b * values[i + 1, j + 1]
    return (1.0 - a) * near + a * far
