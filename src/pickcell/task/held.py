"""What the task believes to be in the hand."""

from __future__ import annotations

from dataclasses import dataclass

from pickcell.task.hold import HoldConfig
from pickcell.values import HeldItem, JointTrajectory


@dataclass
class Held:
    """What is believed to be in the hand."""

    item_id: int
    """In the ledger."""
    sku: str
    item: HeldItem
    limits: HoldConfig
    """What counts as still holding it."""
    give_m: float = 0.0
    """How much narrower it is in the closed jaw than it looked: so far it follows the pads when they open."""
    lifted: bool = False
    """It has left the ground. Until then, letting go where it is sets it back where it was."""
    away: bool = False
    """It has begun its way out of the source tote: if it falls now, it may lie anywhere."""
    lift: JointTrajectory | None = None
    """What lifted it, while the arm stands at its end: the way back to where it was taken from."""
