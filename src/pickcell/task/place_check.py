"""Did the item arrive? Compares the destination's height map before and after."""

from __future__ import annotations

import numpy as np

from pickcell.outcome import Code, Outcome
from pickcell.values import HeldItem, Scene

THIN_M = 0.015
"""Flatter items barely change a height map: for those the empty hand is the only evidence."""
RISE_M = 0.008
"""Rise that counts as something new."""
SHARE = 0.15
"""Share of the item's smallest face that must have risen."""


def risen_area_m2(before: Scene, after: Scene, tote: str) -> float | None:
    """Area of ``tote`` that rose by more than RISE_M between two looks; None when either did not see it."""
    a, b = before.heightmaps.get(tote), after.heightmaps.get(tote)
    if a is None or b is None or a.height_m.shape != b.height_m.shape:
        return None
    both = np.isfinite(a.height_m) & np.isfinite(b.height_m)
    if not both.any():
        return None
    return float(np.count_nonzero((b.height_m - a.height_m > RISE_M) & both)) * b.resolution_m**2


def check_placed(before: Scene, after: Scene, held: HeldItem, tote: str) -> Outcome[None]:
    """PLACE_UNVERIFIED when an item thick enough to be seen has not raised the destination's surface."""
    extents = held.shape.extents_m
    if extents[2] < THIN_M:
        return Outcome.success(None, "It left the hand; too flat to be seen by its height.")
    area = risen_area_m2(before, after, tote)
    if area is None:
        return Outcome.success(None, "It left the hand; the destination was not seen.")
    needed = SHARE * float(extents[1] * extents[2])
    if area < needed:
        return Outcome.failure(
            Code.PLACE_UNVERIFIED, f"The destination rose over {area * 1e4:.0f} cm2, {needed * 1e4:.0f} were expected."
        )
    return Outcome.success(None, f"The destination rose over {area * 1e4:.0f} cm2.")
