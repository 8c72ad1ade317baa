"""Places of the cell as the truth counts them: in which tote an item is, or above which."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from pickcell.cell import CellConfig, ToteConfig
from pickcell.geometry import Pose, inverse

_ABOVE_RIM_M = 0.06
"""A centre this far above a tote's rim still counts as in it: long items stand out of it."""


class Where(str, Enum):
    """Where an item is."""

    SOURCE = "source"
    DESTINATION = "destination"
    ASIDE = "aside"
    HAND = "hand"  # off the ground, touched by fingers or cup, or riding on what is
    ELSEWHERE = "elsewhere"  # on the table, the floor, a wall


_TOTES = {Where.SOURCE.value, Where.DESTINATION.value, Where.ASIDE.value}


def tote_around(cell: CellConfig, X_world_item: Pose) -> Where:
    """The tote whose inside (and a little above it) holds the item's centre of mass, or ELSEWHERE."""
    place = X_world_item[:3, 3]
    for name, tote in cell.totes.items():
        x, y, z = _in_tote(tote, place)
        if name in _TOTES and _over(tote, x, y) and -0.01 < z < tote.inner[2] + _ABOVE_RIM_M:
            return Where(name)
    return Where.ELSEWHERE


def tote_below(cell: CellConfig, place: ArrayLike) -> Where:
    """The tote over whose inside a point (3,) of the world is, at any height, or ELSEWHERE."""
    for name, tote in cell.totes.items():
        x, y, _ = _in_tote(tote, place)
        if name in _TOTES and _over(tote, x, y):
            return Where(name)
    return Where.ELSEWHERE


def _in_tote(tote: ToteConfig, place: ArrayLike) -> tuple[float, float, float]:
    X = inverse(tote.X_world_tote)
    x, y, z = X[:3, :3] @ np.asarray(place, dtype=float) + X[:3, 3]
    return float(x), float(y), float(z)


def _over(tote: ToteConfig, x: float, y: float) -> bool:
    return abs(x) < tote.inner[0] / 2 and abs(y) < tote.inner[1] / 2
