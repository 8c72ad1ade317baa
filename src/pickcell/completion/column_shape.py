"""From the column network's answer to a surface: tops, undersides, and the walls between where the item is and is not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
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
    step = columns.step_m
    inside = columns.inside > 0.5
    i, j = np.nonzero(inside)
    parts = []
    for heights, spread, sign in ((columns.top, columns.top_spread, 1.0), (columns.bottom, columns.bottom_spread, -1.0)):
        smooth = np.asarray(cv2.GaussianBlur(heights, (3, 3), 0.8))
        slope_i, slope_j = np.gradient(smooth, step)
        normals = np.column_stack([-slope_i[i, j], -slope_j[i, j], np.ones(len(i))]) * sign
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        points = np.column_stack([(i + 0.5) * step, (j + 0.5) * step, heights[i, j]])
        trust = columns.inside[i, j] * (1.0 - np.exp(-NEAR_M / spread[i, j]))
        parts.append((points, normals, trust))
    parts.append(_walls(columns, spacing_m))
    points, normals, trust = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return points.astype(np.float64), normals.astype(np.float64), trust.astype(np.float64)


def _walls(columns: Columns, spacing_m: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The item's outline, between top and underside, where "inside" crosses one half between neighbouring columns."""
    step, share = columns.step_m, columns.inside
    soft = np.asarray(cv2.GaussianBlur(share, (5, 5), 1.0))
    slope_i, slope_j = np.gradient(soft)
    at, columns_of = [], []
    for axis in (0, 1):
        here, there = (share[:-1], share[1:]) if axis == 0 else (share[:, :-1], share[:, 1:])
        i, j = np.nonzero((here > 0.5) != (there > 0.5))
        way = (0.5 - here[i, j]) / (there[i, j] - here[i, j])
        xy = np.column_stack([i + 0.5, j + 0.5])
        xy[:, axis] += way
        at.append(xy)
        first = here[i, j] > 0.5
        inner = np.column_stack([i, j])
        inner[~first, axis] += 1
        columns_of.append(inner)
    xy, inner = np.concatenate(at), np.concatenate(columns_of)
    if len(xy) == 0:
        return np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)
    a, b = inner.T
    out = -np.column_stack([slope_i[a, b], slope_j[a, b]]).astype(np.float64)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
    reach = NEAR_M / step
    trust = np.clip(_sample(share, xy - 0.5 - reach * out) - _sample(share, xy - 0.5 + reach * out), 0.0, 1.0)
    height = np.maximum(columns.top[a, b] - columns.bottom[a, b], 0.0)
    rows = np.maximum(np.floor(height / spacing_m).astype(int), 0)
    wall = np.repeat(np.arange(len(xy)), rows)
    rank = np.arange(len(wall)) - np.repeat(np.cumsum(rows) - rows, rows)
    z = columns.bottom[a, b][wall] + (rank + 0.5) * spacing_m
    points = np.column_stack([step * xy[wall], z])
    normals = np.column_stack([out[wall], np.zeros(len(wall))])
    return points, normals, trust[wall]


def _sample(values: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear values at (K, 2) (row, column); the border's beyond it."""
    index = at.astype(np.float32)
    out = cv2.remap(values, index[:, 1:], index[:, :1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.float64).ravel()
