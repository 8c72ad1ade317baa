"""The scorer: where every item truly is, what a pick truly did. The only reader of ground truth; no stage imports it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import pybullet as p

from pickcell.cell import CellConfig
from pickcell.geometry import Pose, inverse, rotation_angle, transform_points
from pickcell_sim.items.spawn import item_pose, outline
from pickcell_sim.world import ItemBody, SimWorld

HAND_LINKS = ("finger_left_link", "finger_right_link", "cup_link")
TOUCH_M = 0.004
"""An item this close to a finger or the cup is touched (a cup's lip yields by some millimetres)."""
DROP_HEIGHT_M = 0.05
"""A free fall of at least this is a drop. Placing lets go a centimetre or two above the ground."""
DISPLACED_M = 0.02
DISPLACED_RAD = float(np.deg2rad(20.0))
_ABOVE_RIM_M = 0.06
"""A centre this far above a tote's rim still counts as in it: long items stand out of it."""
_WATCH_EVERY = 4


class Where(str, Enum):
    """Where an item is."""

    SOURCE = "source"
    DESTINATION = "destination"
    HAND = "hand"  # off the ground, touched by fingers or cup, or riding on what is
    ELSEWHERE = "elsewhere"  # on the table, the floor, a wall


class PickResult(str, Enum):
    """What one pick came to."""

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
class Drop:
    """A fall of an item, free of the hand."""

    time_s: float
    item_id: int
    sku: str
    speed_mps: float
    """Downward speed when it was noticed: the height fallen is at least speed^2 / 2g."""


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
    result: PickResult
    delivered: tuple[str, ...]
    """SKUs that came into the destination."""
    lost: tuple[str, ...]
    """SKUs that now lie outside both totes."""
    drops: tuple[Drop, ...]
    """Falls in between, wherever they ended."""
    displaced: tuple[Displacement, ...]
    """Neighbours in the source moved by more than 2 cm or 20 degrees."""

    @property
    def success(self) -> bool:
        return self.result is PickResult.SUCCESS

    @property
    def wrong_item(self) -> bool:
        """Something that was not asked for was delivered."""
        return self.result in (PickResult.WRONG_ITEM, PickResult.DOUBLE)

    @property
    def dropped(self) -> bool:
        """Something fell or was lost, whether or not the pick succeeded in the end."""
        return bool(self.drops or self.lost)

    @property
    def missed(self) -> bool:
        return self.result is PickResult.MISSED


class Scorer:
    """Watches a world for falls, and tells where items are. Make it after the tote is filled."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._hand = [world.robot.links[link] for link in HAND_LINKS]
        self._drops: list[Drop] = []
        self._falling: set[int] = set()
        world.after_step.append(self._watch)

    def close(self) -> None:
        """Stop watching."""
        if self._watch in self._world.after_step:
            self._world.after_step.remove(self._watch)

    @property
    def drops(self) -> tuple[Drop, ...]:
        """All falls since the scorer was made, in order of time."""
        return tuple(self._drops)

    def snapshot(self) -> Snapshot:
        """Where every item is now."""
        world = self._world
        held = self._held()
        items = {}
        for item in world.item_bodies.values():
            X = item_pose(world, item)
            where = Where.HAND if item.body in held else tote_around(world.cell, X)
            items[item.item_id] = ItemTruth(item.item_id, item.name, where, X)
        return Snapshot(world.time_s, items)

    def score(self, before: Snapshot, wanted: str) -> PickScore:
        """What has happened since ``before``, when the pick of a piece of SKU ``wanted`` began."""
        drops = tuple(d for d in self._drops if d.time_s >= before.time_s)
        return score_pick(before, self.snapshot(), wanted, drops)

    def _held(self) -> set[int]:
        """Bodies in the hand, and those that ride on them."""
        world = self._world
        lifted = [item for item in world.item_bodies.values() if not self._on_furniture(item)]
        held = {item.body for item in lifted if self._touches_hand(item.body)}
        grown = True
        while grown:  # something that touches only what is held is lifted with it
            riders = {
                item.body
                for item in lifted
                if item.body not in held and (touching := self._touching(item.body)) and touching <= held
            }
            grown = bool(riders)
            held |= riders
        return held

    def _touches_hand(self, body: int) -> bool:
        world = self._world
        return any(
            p.getClosestPoints(body, world.robot.body, TOUCH_M, -1, link, physicsClientId=world.client)
            for link in self._hand
        )

    def _on_furniture(self, item: ItemBody) -> bool:
        """Whether the item rests on a tote or the table (resting on other items is followed by :meth:`_held`)."""
        world = self._world
        furniture = (world.table, *world.totes.values())
        return any(p.getClosestPoints(item.body, body, 0.001, physicsClientId=world.client) for body in furniture)

    def _touching(self, body: int) -> set[int]:
        """Items that an item touches."""
        world = self._world
        return {
            other.body
            for other in world.item_bodies.values()
            if other.body != body and p.getClosestPoints(body, other.body, 0.001, physicsClientId=world.client)
        }

    def _watch(self) -> None:
        """Notice items that fall freely (not with the hand) faster than a drop of DROP_HEIGHT_M makes them."""
        world = self._world
        if world.steps % _WATCH_EVERY:
            return
        fast = float(np.sqrt(2.0 * 9.81 * DROP_HEIGHT_M))
        for item in world.item_bodies.values():
            if item.asleep:
                self._falling.discard(item.item_id)
                continue
            down = -p.getBaseVelocity(item.body, physicsClientId=world.client)[0][2]
            if down < 0.3 * fast:
                self._falling.discard(item.item_id)
            elif down > fast and item.item_id not in self._falling and not self._touches_hand(item.body):
                self._falling.add(item.item_id)
                self._drops.append(Drop(world.time_s, item.item_id, item.name, down))


def tote_around(cell: CellConfig, X_world_item: Pose) -> Where:
    """The tote whose inside (and a little above it) holds the item's centre of mass, or ELSEWHERE."""
    for name, tote in cell.totes.items():
        x, y, z = (inverse(tote.X_world_tote) @ X_world_item)[:3, 3]
        inside = abs(x) < tote.inner[0] / 2 and abs(y) < tote.inner[1] / 2
        if inside and -0.01 < z < tote.inner[2] + _ABOVE_RIM_M and name in (Where.SOURCE.value, Where.DESTINATION.value):
            return Where(name)
    return Where.ELSEWHERE


def score_pick(before: Snapshot, after: Snapshot, wanted: str, drops: tuple[Drop, ...] = ()) -> PickScore:
    """Compare two snapshots. Raises ValueError when they do not hold the same items."""
    if before.items.keys() != after.items.keys():
        raise ValueError(f"the snapshots hold different items: {sorted(before.items)} and {sorted(after.items)}")
    pairs = [(before.items[i], after.items[i]) for i in before.items]
    delivered = _came_to(pairs, Where.DESTINATION)
    lost = _came_to(pairs, Where.ELSEWHERE)
    held = after.skus(Where.HAND)
    if delivered == (wanted,):
        result = PickResult.SUCCESS
    elif delivered:
        result = PickResult.DOUBLE if wanted in delivered else PickResult.WRONG_ITEM
    elif drops or lost:
        result = PickResult.DROPPED
    else:
        result = PickResult.HELD if held else PickResult.MISSED
    displaced = tuple(d for old, new in pairs if (d := _displacement(old, new)) is not None)
    return PickScore(wanted, result, delivered, lost, drops, displaced)


def _came_to(pairs: list[tuple[ItemTruth, ItemTruth]], where: Where) -> tuple[str, ...]:
    return tuple(sorted(new.sku for old, new in pairs if new.where is where and old.where is not where))


def _displacement(old: ItemTruth, new: ItemTruth) -> Displacement | None:
    """How far an item that stayed in the source was moved; None when it hardly was."""
    if old.where is not Where.SOURCE or new.where is not Where.SOURCE:
        return None
    center = outline(old.sku).mean(axis=0, keepdims=True)
    moved = transform_points(new.X_world_item, center) - transform_points(old.X_world_item, center)
    distance, angle = float(np.linalg.norm(moved)), rotation_angle(inverse(old.X_world_item) @ new.X_world_item)
    return Displacement(old.sku, distance, angle) if distance > DISPLACED_M or angle > DISPLACED_RAD else None
