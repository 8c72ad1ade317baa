"""The network that all of ours are: a small U-Net (O. Ronneberger, P. Fischer and T. Brox, MICCAI 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any


def unet(first: Any, channels: int, widths: Sequence[int], outputs: int) -> Any:
    """``first``: a module whose answer has that many ``channels``; ``widths``: channels at each level, every level at half
    the resolution of the one before; ``outputs``: channels of the answer, at the resolution of the first level."""
    import torch
    from torch import nn

    def block(before: int, after: int, stride: int = 1) -> nn.Sequential:
        conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = first
            self.down = nn.ModuleList(
                nn.Sequential(block(before, width, 1 if level == 0 else 2), block(width, width))
                for level, (before, width) in enumerate(zip((channels, *widths[:-1]), widths))
            )
            self.narrow = nn.ModuleList(nn.Conv2d(below, here, 1) for here, below in pairwise(widths))
            self.up = nn.ModuleList(block(width, width) for width in widths[:-1])
            self.head = nn.Conv2d(widths[0], outputs, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            levels = []
            for down in self.down:
                x = down(x)
                levels.append(x)
            for i in reversed(range(len(self.narrow))):
                x = nn.functional.interpolate(self.narrow[i](x), scale_factor=2.0, mode="nearest")
                x = self.up[i](x + levels[i])
            return self.head(x)

    return UNet()
