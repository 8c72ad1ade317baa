"""Go on from a network that is in use: its ONNX file holds all that training needs, but for the optimiser's state.

Batch normalisation is folded into the convolutions of such a file. It is unfolded here by one pass over data (the reverse of
B. Jacob et al., CVPR 2018, section 3.2): the statistics are measured where each normalisation sits, and its scale and shift
are set so that it changes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pickcell.network import ModelError


def adopt(net: Any, path: Path, sample: Any) -> None:
    """Give ``net`` the weights of the network in ``path``, so that it answers as that one does.

    ``sample``: (B, channels, height, width) tensor of true inputs, on which the statistics are measured.
    Raises ModelError when the file cannot be read or holds a network of another shape.
    """
    import torch
    from torch import nn

    kept = _convolutions(path)
    order: list[nn.Conv2d] = []
    unfolded: dict[nn.BatchNorm2d, Any] = {}

    def take(module: nn.Conv2d, _: Any) -> None:
        if len(order) == len(kept):
            raise ModelError(f"{path} has {len(kept)} convolutions, this network more: it is of another shape")
        weight, bias = kept[len(order)]
        order.append(module)
        if module.weight.shape != weight.shape:
            raise ModelError(f"{path} is of another shape: {tuple(weight.shape)} is not {tuple(module.weight.shape)}")
        module.weight.copy_(torch.from_numpy(weight))
        if module.bias is not None:
            module.bias.copy_(torch.from_numpy(bias))
        else:
            unfolded[follower[module]] = torch.from_numpy(bias)

    def unfold(module: Any, inputs: tuple[Any, ...]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), unbiased=False)
        module.running_mean.copy_(mean)
        module.running_var.copy_(variance)
        module.weight.copy_((variance + module.eps).sqrt())
        module.bias.copy_(unfolded[module] + mean)

    follower = _followers(net)
    hooks = [m.register_forward_pre_hook(take) for m in net.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(unfold) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        with torch.no_grad():
            net.eval()(sample)
    finally:
        for hook in hooks:
            hook.remove()
    if len(order) != len(kept):
        raise ModelError(f"{path} has {len(kept)} convolutions, this network {len(order)}: it is of another shape")


def _convolutions(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of each convolution, in the order in which they are asked."""
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # the parser's own errors have no common ancestor
        raise ModelError(f"{path} is no ONNX network ({error})") from error
    values = {each.name: each for each in graph.initializer}
    names = [node.input for node in graph.node if node.op_type == "Conv"]
    if any(len(name) != 3 or not set(name[1:]) <= values.keys() for name in names):
        raise ModelError(f"{path} was not written by ./cell train: a convolution of it has no weights or no bias")
    return [(np.array(numpy_helper.to_array(values[n[1]])), np.array(numpy_helper.to_array(values[n[2]]))) for n in names]


def _followers(net: Any) -> dict[Any, Any]:
    """The normalisation behind each convolution that has no bias."""
    from torch import nn

    out: dict[Any, Any] = {}
    for block in net.modules():
        if isinstance(block, nn.Sequential):
            out |= {a: b for a, b in zip(block, list(block)[1:]) if isinstance(b, nn.BatchNorm2d)}
    return out
