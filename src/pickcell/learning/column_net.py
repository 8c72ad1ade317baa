"""The column network and its training: from what was seen around an item to where it is, column by column.

A small U-Net (O. Ronneberger et al., MICCAI 2015) over column maps (:mod:`pickcell.completion.columns`). It says for each
column whether the item is in it, how high its top and its underside are, and how sure it is of both: heights are learned
under a Laplace likelihood with a scale of its own (A. Kendall and Y. Gal, NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.completion.column_shape import LEAST_SPREAD, OFFSET_UNIT_M, OUTPUTS, SPREAD_UNIT_M
from pickcell.completion.columns import CELLS, CHANNELS, HEIGHT_UNIT_M, MAPS
from pickcell.learning import training
from pickcell.learning.training import Fit
from pickcell.learning.unet import unet

WIDTHS = (32, 48, 72, 96)
"""Channels at 1, 1/2, 1/4 and 1/8 of the map."""
LARGEST_ERROR = 8.0
"""Errors of heights count up to so many SPREAD_UNIT_M."""


@dataclass(frozen=True)
class ColumnSet:
    """Column maps with the truth about them."""

    values: NDArray[np.float16]
    """(N, CHANNELS, CELLS, CELLS)."""
    inside: NDArray[np.bool_]
    """(N, CELLS, CELLS) whether the item is in a column."""
    top: NDArray[np.float16]
    """(N, CELLS, CELLS) metres from the height that the map's heights are relative to; 0 where it is not."""
    bottom: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.inside)

    def first(self, n: int) -> ColumnSet:
        return ColumnSet(self.values[:n], self.inside[:n], self.top[:n], self.bottom[:n])


def build_network() -> Any:
    """A new network: (B, CHANNELS, CELLS, CELLS) -> (B, OUTPUTS, CELLS, CELLS)."""
    from torch import nn

    squeeze = nn.Sequential(nn.Conv2d(CHANNELS, WIDTHS[0], 1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU())
    return unet(squeeze, WIDTHS[0], WIDTHS, OUTPUTS)


def column_loss(answer: Any, maps: Any, inside: Any, top: Any, bottom: Any) -> Any:
    """Cross-entropy of "inside" plus the Laplace likelihood of top and underside where the item is.

    ``answer``: (B, OUTPUTS, h, w); ``maps``: (B, CHANNELS, h, w); ``inside``, ``top``, ``bottom``: (B, h, w).
    """
    from torch.nn import functional

    here = inside.to(answer.dtype)
    is_in = functional.binary_cross_entropy_with_logits(answer[:, 0], here)
    own, seen_top = maps[:, 0], maps[:, 1]
    said_top = HEIGHT_UNIT_M * seen_top * own + OFFSET_UNIT_M * answer[:, 1]
    said_bottom = said_top - OFFSET_UNIT_M * functional.softplus(answer[:, 2])
    total = 0.0
    for said, true, spread in ((said_top, top, answer[:, 3]), (said_bottom, bottom, answer[:, 4])):
        scale = functional.softplus(spread) + LEAST_SPREAD
        error = ((said - true).abs() / SPREAD_UNIT_M).clamp(max=LARGEST_ERROR)
        total = total + ((error / scale + scale.log()) * here).sum() / (here.sum() + 1.0)
    return 4.0 * is_in + 0.5 * total


def batch_of(data: ColumnSet, index: NDArray[np.intp], rng: np.random.Generator | None) -> tuple[Any, ...]:
    """Maps and truth as tensors; with ``rng`` turned and mirrored, with points and looks lost."""
    import torch

    x = data.values[index].astype(np.float32)
    truth = [data.inside[index], data.top[index].astype(np.float32), data.bottom[index].astype(np.float32)]
    if rng is not None:
        for b in range(len(index)):
            if rng.random() < 0.5:
                x[b] = x[b].transpose(0, 2, 1)
                x[b, [3, 4]] = x[b, [4, 3]]
                for t in truth:
                    t[b] = t[b].T
            for axis, normal in ((1, 3), (2, 4)):
                if rng.random() < 0.5:
                    x[b] = np.flip(x[b], axis)
                    x[b, normal] *= -1.0
                    for t in truth:
                        t[b] = np.flip(t[b], axis - 1)
            if rng.random() < 0.3:
                _lose_points(x[b], rng)
    return torch.from_numpy(x), *(torch.from_numpy(np.ascontiguousarray(t)) for t in truth)


def _lose_points(x: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Blank the item's points in a random rectangle, as if segmentation had missed a part of it."""
    rows, columns = np.nonzero(x[0])
    if len(rows) < 30:
        return
    k = int(rng.integers(len(rows)))
    dr, dc = rng.integers(2, 10, 2)
    part = (slice(max(rows[k] - dr, 0), rows[k] + dr), slice(max(columns[k] - dc, 0), columns[k] + dc))
    if np.count_nonzero(x[0][part]) > 0.4 * len(rows):
        return
    own_levels = slice(len(MAPS) + (CHANNELS - len(MAPS)) // 3, len(MAPS) + 2 * (CHANNELS - len(MAPS)) // 3)
    for channels in (slice(0, 6), own_levels):
        x[(channels, *part)] = 0.0


def fit(data: ColumnSet, held_out: ColumnSet, config: Fit, checkpoint: Path, say: Callable[[str], None] = print) -> Any:
    """Train for the time given, see :func:`pickcell.learning.training.fit`. Returns the network."""

    def loss_of(net: Any, index: NDArray[np.intp], rng: np.random.Generator) -> Any:
        maps, *truth = batch_of(data, index, rng)
        said = training.answer(net, maps)
        return column_loss(said, maps.to(said.device), *(each.to(said.device) for each in truth))

    return training.fit(
        build_network(), len(data), loss_of, lambda net: held_out_loss(net, held_out), config, checkpoint,
        lambda index: batch_of(data, index, None)[0], say,
    )  # fmt: skip


def held_out_loss(net: Any, data: ColumnSet, limit: int = 512) -> float:
    """Loss on maps that were not trained on, as they are; NaN when there are none."""

    def loss_of(net: Any, index: NDArray[np.intp]) -> Any:
        device = next(net.parameters()).device
        maps, *truth = (each.to(device) for each in batch_of(data, index, None))
        return column_loss(net(maps), maps, *truth)

    return training.mean_loss(net, len(data), limit, 32, loss_of)


def export(net: Any, path: Path) -> None:
    """Write the network as ONNX, for any number of maps at once."""
    training.export(net, path, (CHANNELS, CELLS, CELLS), "maps", "columns")
