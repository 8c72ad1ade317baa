"""What the training of every network has in common: a budget of wall time, checkpoints to go on from, ONNX files out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.learning.adopt import adopt
from pickcell.network import ModelError

ADOPT_ON = 48
"""Samples on which the statistics of a network to start from are measured."""


@dataclass(frozen=True)
class Fit:
    """How a network is trained."""

    minutes: float = 30.0
    """Wall time in all, over restarts."""
    batch: int = 8
    learning_rate: float = 2.5e-3
    """At its highest; it falls along half a cosine over the time (I. Loshchilov and F. Hutter, "SGDR", ICLR 2017)."""
    weight_decay: float = 1e-4
    warm_up: float = 0.03
    """Share of the time in which the learning rate rises."""
    checkpoint_s: float = 60.0
    seed: int = 0
    start: Path | None = None
    """An ONNX file of the same kind of network to go on from, at a gentler rate; None starts from nothing."""
    gentler: float = 0.15
    """Share of the learning rate when there is a start."""

    def options(self) -> str:
        """As ``./cell train`` takes them."""
        return f"--minutes {self.minutes:g} --seed {self.seed}" + (f" --start {self.start}" if self.start else "")


LossOfBatch = Callable[[Any, NDArray[np.intp], np.random.Generator], Any]
"""Loss of a network on samples (indices), augmented by a generator."""


def fit(
    net: Any,
    samples: int,
    loss_of: LossOfBatch,
    held_out: Callable[[Any], float],
    config: Fit,
    checkpoint: Path,
    inputs_of: Callable[[NDArray[np.intp]], Any],
    say: Callable[[str], None] = print,
) -> Any:
    """Train ``net`` on so many samples for the time given, going on from ``checkpoint`` when there is one; on a GPU when
    there is one. ``held_out``: loss on what is not trained on; ``inputs_of``: inputs of samples (indices), as they are.
    Returns the network. Raises ValueError without samples, ModelError when the network to start from is of no use."""
    import torch

    if samples == 0:
        raise ValueError("nothing to train on: no samples")
    torch.manual_seed(config.seed)
    if config.start is not None and not checkpoint.exists():
        adopt(net, config.start, inputs_of(np.linspace(0, samples - 1, min(ADOPT_ON, samples)).astype(np.intp)))
        say(f"starting from {config.start}: held out {held_out(net):.4f}")
    highest = config.learning_rate * (config.gentler if config.start else 1.0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = net.to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), highest, weight_decay=config.weight_decay)
    spent_s, step = 0.0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state.get("start", "") != _start_of(config):
            raise ModelError(f"{checkpoint} is of a training that started from something else: --afresh forgets it")
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        spent_s, step = float(state["spent_s"]), int(state["step"])
        say(f"going on from {checkpoint} at {spent_s / 60:.1f} of {config.minutes:.1f} min, step {step}")
    rng = np.random.default_rng([config.seed, step])
    budget_s, last, kept_s, losses = 60.0 * config.minutes, time.monotonic(), spent_s, []
    while spent_s < budget_s:
        for group in optimiser.param_groups:
            group["lr"] = highest * _rate(spent_s / budget_s, config.warm_up)
        index = np.sort(rng.choice(samples, min(config.batch, samples), replace=False))
        net.train()
        loss = loss_of(net, index, rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        step += 1
        now = time.monotonic()
        spent_s, last = spent_s + now - last, now
        if spent_s - kept_s > config.checkpoint_s or spent_s >= budget_s:
            _keep(net, optimiser, spent_s, step, checkpoint, _start_of(config))
            value = held_out(net)
            say(f"{spent_s / 60:5.1f} min, step {step}, loss {np.mean(losses):.4f}, held out {value:.4f}")
            kept_s, losses, last = spent_s, [], time.monotonic()
    return net.to("cpu")


def _rate(share: float, warm_up: float) -> float:
    """Learning rate, as a share of the highest, after that share of the time."""
    return float(min(1.0, (share + 1e-3) / warm_up) * 0.5 * (1.0 + np.cos(np.pi * share)))


def answer(net: Any, x: Any) -> Any:
    """The network's answer in half precision: twice as fast in training where the processor knows bfloat16."""
    import torch

    device = next(net.parameters()).device
    with torch.autocast(device.type, dtype=torch.bfloat16):
        out = net(x.to(device, memory_format=torch.channels_last))
    return out.float()


def mean_loss(net: Any, samples: int, limit: int, batch: int, loss_of: Callable[[Any, NDArray[np.intp]], Any]) -> float:
    """Mean loss on at most ``limit`` samples as they are, spread over all; NaN when there are none."""
    import torch

    if samples == 0:
        return float("nan")
    net.eval()
    index = np.linspace(0, samples - 1, min(limit, samples)).astype(np.intp)
    with torch.no_grad():
        losses = [float(loss_of(net, index[start : start + batch])) for start in range(0, len(index), batch)]
    return float(np.mean(losses))


def _start_of(config: Fit) -> str:
    """What a training starts from, as its checkpoint remembers it."""
    return str(config.start) if config.start else ""


def _keep(net: Any, optimiser: Any, spent_s: float, step: int, checkpoint: Path, start: str) -> None:
    """Write a checkpoint; it appears under its name only when it is complete."""
    import torch

    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    half_way = checkpoint.with_suffix(".tmp")
    state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "spent_s": spent_s, "step": step, "start": start}
    torch.save(state, half_way)
    half_way.replace(checkpoint)


def export(net: Any, path: Path, shape: tuple[int, int, int], asked: str, answered: str) -> None:
    """Write a network as ONNX: input ``asked`` (n, *shape), output ``answered``, for any n."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    net = net.to("cpu").eval()
    torch.onnx.export(
        net, (torch.zeros(1, *shape),), str(path), input_names=[asked], output_names=[answered],
        dynamic_axes={asked: {0: "n"}, answered: {0: "n"}}, opset_version=17, dynamo=False,
    )  # fmt: skip
