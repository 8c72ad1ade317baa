"""The affinity network and its training: a small U-Net over crops of a tote (O. Ronneberger et al., MICCAI 2015), with
affinities at short and long offsets (S. Wolf et al., "The Mutex Watershed", ECCV 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.learning import training
from pickcell.learning.training import Fit
from pickcell.learning.unet import unet
from pickcell.segmentation.crop import CHANNELS, HEIGHT, WIDTH
from pickcell.segmentation.offsets import CHANNELS_OUT, LOGITS, OFFSETS, STRIDE, VOTE_HEIGHT_M, VOTE_PX, pixel_centres

WIDTHS = (24, 48, 80, 112, 128)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the crop."""
VOTE_SHARE = 0.3
"""Weight of the votes' error against the mean cross-entropy."""


@dataclass(frozen=True)
class CropSet:
    """Crops with their truth."""

    color: NDArray[np.uint8]
    """(N, HEIGHT, WIDTH, 3) RGB."""
    geometry: NDArray[np.float16]
    """(N, CHANNELS - 3, HEIGHT, WIDTH)."""
    item: NDArray[np.uint8]
    """(N, HEIGHT, WIDTH) number of the item, 0 for none."""
    middle: NDArray[np.float32]
    """(N, 256, 3) by item number: column, row (pixels of the crop) and height (metres above the floor) of its middle."""

    def __len__(self) -> int:
        return len(self.item)

    def first(self, n: int) -> CropSet:
        return CropSet(self.color[:n], self.geometry[:n], self.item[:n], self.middle[:n])


def build_network() -> Any:
    """A new network: (B, CHANNELS, HEIGHT, WIDTH) -> (B, CHANNELS_OUT, HEIGHT / 2, WIDTH / 2)."""
    from torch import nn

    return unet(nn.PixelUnshuffle(STRIDE), CHANNELS * STRIDE * STRIDE, WIDTHS, CHANNELS_OUT)


def affinity_loss(answer: Any, item: Any, votes: Any) -> Any:
    """Mean over channels of the cross-entropy half balanced between same and not same, plus how far votes are off.

    ``answer``: (B, CHANNELS_OUT, h, w); ``item``: (B, h, w) integer numbers, 0 for none; ``votes``: (B, VOTES, h, w), in
    the network's units. Pairs without any item teach nothing, nor do votes there.
    """
    from torch.nn import functional

    logits = answer[:, :LOGITS]

    def balanced(logit: Any, same: Any, counted: Any) -> Any:
        each = functional.binary_cross_entropy_with_logits(logit, same.to(logit.dtype), reduction="none")
        yes, no = (same & counted).to(logit.dtype), (~same & counted).to(logit.dtype)
        # rare pairs count more, but by the root only: full balance makes the network cry "edge" in a wide band
        many, few = (yes.sum() + 1.0) ** 0.5, (no.sum() + 1.0) ** 0.5
        return ((each * yes).sum() / many + (each * no).sum() / few) / (many + few)

    total = balanced(logits[:, 0], item > 0, item >= 0)
    h, w = item.shape[1:]
    for k, (dr, dc) in enumerate(OFFSETS):
        rows, columns = slice(0, h - dr), slice(max(0, -dc), w - max(0, dc))
        there = item[:, dr:, max(0, dc) : w + min(0, dc)]
        here = item[:, rows, columns]
        total = total + balanced(logits[:, 1 + k, rows, columns], (here == there) & (here > 0), (here > 0) | (there > 0))
    shows = (item > 0).unsqueeze(1).to(answer.dtype)
    gap = functional.smooth_l1_loss(answer[:, LOGITS:], votes, reduction="none", beta=0.1)
    return total / LOGITS + VOTE_SHARE * (gap * shows).sum() / (votes.shape[1] * shows.sum() + 1.0)


def batch_of(crops: CropSet, index: NDArray[np.intp], rng: np.random.Generator | None) -> tuple[Any, Any, Any]:
    """Network input, and item numbers and votes at the answer's resolution; with ``rng`` augmented: light, colour, noise,
    lost depth, mirrored."""
    import torch

    color = crops.color[index].astype(np.float32) / 255.0
    geometry = crops.geometry[index].astype(np.float32)
    item = crops.item[index]
    middle = crops.middle[index]
    if rng is not None:
        for i in range(len(index)):
            color[i] = _another_light(color[i], rng)
            if rng.random() < 0.5:
                _lose_depth(geometry[i], rng)
            if rng.random() < 0.5:
                color[i], geometry[i], item[i] = color[i][:, ::-1].copy(), geometry[i][..., ::-1].copy(), item[i][:, ::-1]
                middle[i, :, 0] = WIDTH - 1 - middle[i, :, 0]
            if rng.random() < 0.5:
                color[i], geometry[i], item[i] = color[i][::-1].copy(), geometry[i][:, ::-1].copy(), item[i][::-1]
                middle[i, :, 1] = HEIGHT - 1 - middle[i, :, 1]
    x = np.concatenate([np.moveaxis(color, 3, 1) - 0.5, geometry], axis=1)
    small = item[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].astype(np.int64)
    votes = _votes(small, middle)
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)), torch.from_numpy(small), torch.from_numpy(votes)


def _votes(item: NDArray[np.int64], middle: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, 3, h, w) in the network's units, see :data:`pickcell.segmentation.offsets.VOTES`."""
    there = np.moveaxis(np.take_along_axis(middle[:, None], item.reshape(len(item), 1, -1, 1), axis=2)[:, 0], 2, 1)
    there = there.reshape(len(item), 3, *item.shape[1:])
    rows, columns = pixel_centres(item.shape[1], item.shape[2])
    return np.stack(
        [(there[:, 0] - columns) / VOTE_PX, (there[:, 1] - rows) / VOTE_PX, there[:, 2] / VOTE_HEIGHT_M], axis=1
    ).astype(np.float32)


def _another_light(color: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, 3) in 0..1 under another light, with other paint, now and then without colour."""
    if rng.random() < 0.3:
        color = color[..., rng.permutation(3)]
    if rng.random() < 0.15:
        color = np.repeat(color.mean(axis=2, keepdims=True), 3, axis=2)
    gain = np.exp(rng.normal(0.0, 0.25)) * np.exp(rng.normal(0.0, 0.08, 3))
    color = np.clip(color * gain + rng.normal(0.0, 0.03), 0.0, 1.0) ** np.exp(rng.normal(0.0, 0.2))
    return np.clip(color + rng.normal(0.0, 0.01 * rng.random(), color.shape), 0.0, 1.0).astype(np.float32)


def _lose_depth(geometry: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Blank the depth of some rectangles, as gloss and darkness do."""
    h, w = geometry.shape[1:]
    for _ in range(int(rng.integers(1, 8))):
        r, c = int(rng.integers(h)), int(rng.integers(w))
        dr, dc = rng.integers(3, 30, 2)
        geometry[:, r : r + dr, c : c + dc] = 0.0


def fit(crops: CropSet, held_out: CropSet, config: Fit, checkpoint: Path, say: Callable[[str], None] = print) -> Any:
    """Train for the time given, see :func:`pickcell.learning.training.fit`. Returns the network."""

    def loss_of(net: Any, index: NDArray[np.intp], rng: np.random.Generator) -> Any:
        x, item, votes = batch_of(crops, index, rng)
        said = training.answer(net, x)
        return affinity_loss(said, item.to(said.device), votes.to(said.device))

    return training.fit(
        build_network(), len(crops), loss_of, lambda net: held_out_loss(net, held_out), config, checkpoint,
        lambda index: batch_of(crops, index, None)[0], say,
    )  # fmt: skip


def held_out_loss(net: Any, crops: CropSet, limit: int = 96) -> float:
    """Loss on crops that were not trained on, as they are; NaN when there are none."""

    def loss_of(net: Any, index: NDArray[np.intp]) -> Any:
        device = next(net.parameters()).device
        x, item, votes = (each.to(device) for each in batch_of(crops, index, None))
        return affinity_loss(net(x), item, votes)

    return training.mean_loss(net, len(crops), limit, 8, loss_of)


def export(net: Any, path: Path) -> None:
    """Write the network as ONNX, for any number of crops at once."""
    training.export(net, path, (CHANNELS, HEIGHT, WIDTH), "crops", "logits")
