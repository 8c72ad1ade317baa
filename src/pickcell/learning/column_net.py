"""The column network and its training: from what was seen around an item to where it is, column by column.

A small U-Net (O. Ronneberger et al., MICCAI 2015) over column maps (:mod:`pickcell.completion.columns`). It says for each
column whether the item is in it, how high its top and its underside are, and how sure it is of both: heights are learned
under a Laplace likelihood with a scale of its own (A. Kendall and Y. Gal, NeurIPS 2017).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.completion.column_shape import LEAST_SPREAD, OFFSET_UNIT_M, OUTPUTS, SPREAD_UNIT_M
from pickcell.completion.columns import CELLS, CHANNELS, HEIGHT_UNIT_M, MAPS

WIDTHS = (32, 48, 72, 96)
"""Channels at 1, 1/2, 1/4 and 1/8 of the map."""
LARGEST_ERROR = 8.0
"""Errors of heights count up to so many SPREAD_UNIT_M."""


@dataclass(frozen=True)
class ColumnFit:
    """How the network is trained."""

    minutes: float = 20.0
    """Wall time in all, over restarts."""
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.03
    checkpoint_s: float = 60.0
    seed: int = 0


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
    import torch
    from torch import nn

    def block(before: int, after: int, stride: int = 1) -> nn.Sequential:
        conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))

    class ColumnNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squeeze = nn.Sequential(nn.Conv2d(CHANNELS, WIDTHS[0], 1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU())
            self.down = nn.ModuleList(
                nn.Sequential(block(before, width, 1 if level == 0 else 2), block(width, width))
                for level, (before, width) in enumerate(zip((WIDTHS[0], *WIDTHS[:-1]), WIDTHS))
            )
            self.narrow = nn.ModuleList(nn.Conv2d(WIDTHS[i + 1], WIDTHS[i], 1) for i in range(len(WIDTHS) - 1))
            self.up = nn.ModuleList(block(width, width) for width in WIDTHS[:-1])
            self.head = nn.Conv2d(WIDTHS[0], OUTPUTS, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.squeeze(x)
            levels = []
            for down in self.down:
                x = down(x)
                levels.append(x)
            for i in reversed(range(len(self.narrow))):
                x = nn.functional.interpolate(self.narrow[i](x), scale_factor=2.0, mode="nearest")
                x = self.up[i](x + levels[i])
            return self.head(x)

    return ColumnNet()


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


def fit(
    data: ColumnSet, held_out: ColumnSet, config: ColumnFit, checkpoint: Path, say: Callable[[str], None] = print
) -> Any:
    """Train for the time given, going on from ``checkpoint`` when there is one. Returns the network.

    Raises ValueError without data.
    """
    import torch

    if len(data) == 0:
        raise ValueError("nothing to train on: no column maps")
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = build_network().to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    spent_s, step = 0.0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        spent_s, step = float(state["spent_s"]), int(state["step"])
        say(f"going on from {checkpoint} at {spent_s / 60:.1f} of {config.minutes:.1f} min, step {step}")
    rng = np.random.default_rng([config.seed, step])
    budget_s, last, kept_s, losses = 60.0 * config.minutes, time.monotonic(), spent_s, []
    while spent_s < budget_s:
        share = spent_s / budget_s
        rate = min(1.0, (share + 1e-3) / config.warm_up) * 0.5 * (1.0 + np.cos(np.pi * share))
        for group in optimiser.param_groups:
            group["lr"] = float(config.learning_rate * rate)
        index = np.sort(rng.choice(len(data), min(config.batch, len(data)), replace=False))
        maps, inside, top, bottom = (t.to(device) for t in batch_of(data, index, rng))
        net.train()
        with torch.autocast(device.type, dtype=torch.bfloat16):
            answer = net(maps.to(memory_format=torch.channels_last))
        loss = column_loss(answer.float(), maps, inside, top, bottom)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        step += 1
        now = time.monotonic()
        spent_s, last = spent_s + now - last, now
        if spent_s - kept_s > config.checkpoint_s or spent_s >= budget_s:
            keep(net, optimiser, spent_s, step, checkpoint)
            value = held_out_loss(net, held_out)
            say(f"{spent_s / 60:5.1f} min, step {step}, loss {np.mean(losses):.4f}, held out {value:.4f}")
            kept_s, losses, last = spent_s, [], time.monotonic()
    return net.to("cpu")


def held_out_loss(net: Any, data: ColumnSet, limit: int = 512) -> float:
    """Loss on maps that were not trained on, as they are; NaN when there are none."""
    import torch

    if len(data) == 0:
        return float("nan")
    device = next(net.parameters()).device
    net.eval()
    index = np.linspace(0, len(data) - 1, min(limit, len(data))).astype(np.intp)
    losses = []
    with torch.no_grad():
        for start in range(0, len(index), 32):
            maps, *truth = (t.to(device) for t in batch_of(data, index[start : start + 32], None))
            losses.append(float(column_loss(net(maps), maps, *truth)))
    return float(np.mean(losses))


def keep(net: Any, optimiser: Any, spent_s: float, step: int, checkpoint: Path) -> None:
    """Write a checkpoint; it appears under its name only when it is complete."""
    import torch

    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    half_way = checkpoint.with_suffix(".tmp")
    torch.save({"net": net.state_dict(), "optimiser": optimiser.state_dict(), "spent_s": spent_s, "step": step}, half_way)
    half_way.replace(checkpoint)


def export(net: Any, path: Path) -> None:
    """Write the network as ONNX, for any number of maps at once."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    net = net.to("cpu").eval()
    torch.onnx.export(
        net, (torch.zeros(1, CHANNELS, CELLS, CELLS),), str(path), input_names=["maps"], output_names=["columns"],
        dynamic_axes={"maps": {0: "n"}, "columns": {0: "n"}}, opset_version=17, dynamo=False,
    )  # fmt: skip
