"""What one pick truly did: delivered, lost, dropped, moved, damaged; from what was true before and after it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from pickcell.geometry import Pose, inverse, rotation_angle, transform_points
from pickcell.task.request import ANY_ITEM
from pickcell_sim.damage.events import DamageEvent, damaged_items
from pickcell_sim.damage.falls import Drop
from pickcell_sim.items.spawn import outline
from pickcell_sim.scoring.places import Where

DISPLACED_M = 0.02
DISPLACED_RAD = float(np.deg2rad(20.0))


class PickResult(str, Enum):
    """What one pick came to. Every pick has exactly one."""

    SUCCESS = "success"  # one piece of the wanted SKU delivered, nothing else
    DOUBLE = "double"  # the wanted SKU delivered, and something with it
    WRONG_ITEM = "wrong_item"  # only other items delivered
    DROPPED = "dropped"  # nothing delivered; an item fell, or lies outside the totes
    HELD = "held"  # nothing delivered; the hand still holds an item
    MISSED = "missed"  # nothing delivered, nothing fell


@dataclass(frozen=True)
class ItemTruth:
    """One item at one moment."""

    item_id: int
    sku: str
    where: Where
    X_world_item: Pose


@dataclass(frozen=True)
class Snapshot:
    """All items at one moment."""

    time_s: float
    items: dict[int, ItemTruth]

    def skus(self, where: Where) -> list[str]:
        """SKUs at a place, sorted, one entry per piece."""
        return sorted(item.sku for item in self.items.values() if item.where is where)


@dataclass(frozen=True)
class Displacement:
    """How far a neighbour that stayed in the source tote was moved."""

    sku: str
    distance_m: float
    angle_rad: float


@dataclass(frozen=True)
class PickScore:
    """What a pick of ``wanted`` truly did, from the snapshots before and after it."""

    wanted: str
    """A SKU, or ``*`` (also empty) for any item."""
    result: PickResult
    delivered: tuple[str, ...]
    """SKUs that came into the destination."""
    lost: tuple[str, ...]
    """SKUs that now lie outside both totes."""
    drops: tuple[Drop, ...]
    """Falls in between, wherever they ended."""
    displaced: tuple[Displacement, ...]
    """Neighbours in the source moved by more than 2 cm or 20 degrees."""
    damage: tuple[DamageEvent, ...] = ()
    """All damage in between, with its cause, also to items that had been damaged before."""
    near_misses: tuple[DamageEvent, ...] = ()
    """What came near to damage in between."""
    damaged_target: bool = False
    """The item that was picked, or was to be, has been damaged, and had not been before."""
    damaged_neighbours: int = 0
    """Other items (in either tote) that have been damaged, and had not been before."""

    @property
    def success(self) -> bool:
        return self.result is PickResult.SUCCESS

    @property
    def double(self) -> bool:
        """The wanted item was delivered, and something with it."""
        return self.result is PickResult.DOUBLE

    @property
    def wrong_item(self) -> bool:
        """Something that was not asked for was delivered, alone or with the wanted item (``double`` tells which)."""
        return self.result in (PickResult.WRONG_ITEM, PickResult.DOUBLE)

    @property
    def dropped(self) -> bool:
        """Something fell or was lost, whether or not the pick succeeded in the end."""
        return bool(self.drops or self.lost)

    @property
    def uncontrolled_drops(self) -> tuple[Drop, ...]:
        """Falls that did not begin over the destination. No damage by themselves: that is counted where it happens."""
        return tuple(drop for drop in self.drops if drop.uncontrolled)

    @property
    def missed(self) -> bool:
        return self.result is PickResult.MISSED

    @property
    def damaged(self) -> bool:
        """An item was damaged that had been whole."""
        return self.damaged_target or self.damaged_neighbours > 0


def score_pick(
    before: Snapshot,
    after: Snapshot,
    wanted: str,
    drops: tuple[Drop, ...] = (),
    damage: tuple[DamageEvent, ...] = (),
    near_misses: tuple[DamageEvent, ...] = (),
    *,
    handled: Collection[int] = (),
    damaged_before: Collection[int] = (),
) -> PickScore:
    """Compare two snapshots. Raises ValueError when they do not hold the same items.

    ``handled``: items that the hand held in between. ``damaged_before``: items that were no longer whole when it began.
    """
    if before.items.keys() != after.items.keys():
        raise ValueError(f"the snapshots hold different items: {sorted(before.items)} and {sorted(after.items)}")
    pairs = [(before.items[i], after.items[i]) for i in before.items]
    delivered = _came_to(pairs, Where.DESTINATION)
    lost = _came_to(pairs, Where.ELSEWHERE)
    result = _result(wanted, delivered, bool(drops or lost), bool(after.skus(Where.HAND)))
    displaced = tuple(d for old, new in pairs if (d := _displacement(old, new)) is not None)
    targets = target_items(before, wanted, handled, result)

    def with_cause(events: tuple[DamageEvent, ...]) -> tuple[DamageEvent, ...]:
        return tuple(replace(e, cause="target" if e.item_id in targets else "neighbour") for e in events)

    newly = damaged_items(damage) - frozenset(damaged_before)
    return PickScore(
        wanted,
        result,
        delivered,
        lost,
        drops,
        displaced,
        with_cause(damage),
        with_cause(near_misses),
        bool(newly & targets),
        len(newly - targets),
    )


def target_items(before: Snapshot, wanted: str, handled: Collection[int], result: PickResult) -> frozenset[int]:
    """The items that a pick was about: of the wanted SKU those that were handled, or all when none was.

    When any item was wanted, or a wrong one was delivered, whatever was handled.
    """
    handled = frozenset(handled)
    if _any(wanted):
        return handled
    pieces = frozenset(item.item_id for item in before.items.values() if item.sku == wanted)
    taken = pieces & handled or pieces
    return taken | handled if result is PickResult.WRONG_ITEM else taken


def _any(wanted: str) -> bool:
    return wanted in ("", ANY_ITEM)


def _result(wanted: str, delivered: tuple[str, ...], fell: bool, holds: bool) -> PickResult:
    if delivered:
        asked_for = _any(wanted) or wanted in delivered
        if not asked_for:
            return PickResult.WRONG_ITEM
        return PickResult.SUCCESS if len(delivered) == 1 else PickResult.DOUBLE
    if fell:
        return PickResult.DROPPED
    return PickResult.HELD if holds else PickResult.MISSED


def _came_to(pairs: list[tuple[ItemTruth, ItemTruth]], where: Where) -> tuple[str, ...]:
    return tuple(sorted(new.sku for old, new in pairs if new.where is where and old.where is not where))


def _displacement(old: ItemTruth, new: ItemTruth) -> Displacement | None:
    """How far an item that stayed in the source was moved; None when it hardly was."""
    if old.where is not Where.SOURCE or new.where is not Where.SOURCE:
        return None
    center = _center(old.sku)
    moved = transform_points(new.X_world_item, center) - transform_points(old.X_world_item, center)
    distance, angle = float(np.linalg.norm(moved)), rotation_angle(inverse(old.X_world_item) @ new.X_world_item)
    return Displacement(old.sku, distance, angle) if distance > DISPLACED_M or angle > DISPLACED_RAD else None


def _center(sku: str) -> np.ndarray:
    """(1, 3) middle of an item's shape in its own frame; the frame's origin for bodies that no catalogue describes."""
    try:
        return np.asarray(outline(sku).mean(axis=0, keepdims=True))
    except KeyError:
        return np.zeros((1, 3))
