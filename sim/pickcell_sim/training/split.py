"""Which scenes are trained on, and which only watched with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HELD_OUT = 20
"""Every so many-th fill is held out to watch the training with."""


def split_fills(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Scenes to train on and scenes to watch with; those of one fill stay together."""
    fills = sorted({_fill(path) for path in files})
    watched = set(fills[HELD_OUT - 1 :: HELD_OUT])
    return [f for f in files if _fill(f) not in watched], [f for f in files if _fill(f) in watched]


def _fill(path: Path) -> str:
    return path.name.removesuffix(".scene.npz").rsplit("-", 1)[0]


def spread(files: list[Path], count: int) -> list[Path]:
    """At most ``count`` of the files, at least one of any, spread over all."""
    return [files[int(i)] for i in np.linspace(0, len(files) - 1, min(max(count, 1), len(files)))]
