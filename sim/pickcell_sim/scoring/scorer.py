"""The scorer: where every item truly is, what a pick truly did. The only reader of ground truth; no stage imports it."""

from __future__ import annotations

import pybullet as p

from pickcell_sim.damage import DamageEvent, DamageLimits, DamageMonitor, load_damage_limits
from pickcell_sim.damage.events import damaged_items
from pickcell_sim.damage.falls import Drop, FallWatch
from pickcell_sim.driver import SimDriver
from pickcell_sim.items.spawn import item_pose
from pickcell_sim.scoring.pick_score import (
    DISPLACED_M,
    DISPLACED_RAD,
    Displacement,
    ItemTruth,
    PickResult,
    PickScore,
    Snapshot,
    score_pick,
)
from pickcell_sim.scoring.places import Where, tote_around
from pickcell_sim.world import ItemBody, SimWorld

__all__ = [
    "DISPLACED_M",
    "DISPLACED_RAD",
    "DROP_HEIGHT_M",
    "DamageEvent",
    "Displacement",
    "Drop",
    "ItemTruth",
    "PickResult",
    "PickScore",
    "Scorer",
    "Snapshot",
    "Where",
    "score_pick",
    "tote_around",
]

HAND_LINKS = ("finger_left_link", "finger_right_link", "cup_link")
TOUCH_M = 0.004
"""An item this close to a finger or the cup is touched (a cup's lip yields by some millimetres)."""
WATCHED_SHARE = 0.5
"""Of every limit: what bears at least that much of it is kept as a strain, for what would be damaged at other limits."""
DROP_HEIGHT_M = load_damage_limits().drop_m
"""A free fall of at least this is a drop. Placing lets go a centimetre or two above the ground."""


class Scorer:
    """Watches a world for falls and damage, and tells where items are. Make it after the tote is filled."""

    def __init__(self, world: SimWorld, driver: SimDriver | None = None, limits: DamageLimits | None = None) -> None:
        """``driver``: whose cup is watched; without it blisters go unseen, and what hangs on the cup counts as untouched.

        ``limits``: of damage and drops; those of ``config/damage.yaml`` when not given.
        """
        self._world = world
        self._hand = [world.robot.links[link] for link in HAND_LINKS]
        self.limits = limits if limits is not None else load_damage_limits()
        self._monitor = DamageMonitor(world, self.limits, driver=driver, watched_share=WATCHED_SHARE)
        self._falls = FallWatch(world, self.limits.drop_m, self._in_hand)
        self._last_held_s: dict[int, float] = {}
        world.after_step.append(self._watch)

    def close(self) -> None:
        """Stop watching."""
        self._monitor.close()
        if self._watch in self._world.after_step:
            self._world.after_step.remove(self._watch)

    @property
    def drops(self) -> tuple[Drop, ...]:
        """All falls since the scorer was made, in order of time."""
        return self._falls.drops

    @property
    def damage(self) -> tuple[DamageEvent, ...]:
        """All damage since the scorer was made, in order of time; causes are known only in the score of a pick."""
        return self._monitor.events

    @property
    def strains(self) -> tuple[DamageEvent, ...]:
        """Damage, and what came near to it: from WATCHED_SHARE of a limit on."""
        return self._monitor.strains

    def snapshot(self) -> Snapshot:
        """Where every item is now."""
        world = self._world
        held = self._held()
        items = {}
        for item in world.item_bodies.values():
            X = item_pose(world, item)
            where = Where.HAND if item.item_id in held else tote_around(world.cell, X)
            items[item.item_id] = ItemTruth(item.item_id, item.name, where, X)
        return Snapshot(world.time_s, items)

    def score(self, before: Snapshot, wanted: str) -> PickScore:
        """What has happened since ``before``, when the pick of a piece of SKU ``wanted`` (``*``: of any) began."""
        since = before.time_s
        return score_pick(
            before,
            self.snapshot(),
            wanted,
            tuple(d for d in self.drops if d.time_s >= since),
            tuple(e for e in self.damage if e.time_s >= since),
            tuple(e for e in self.strains if e.time_s >= since and e.severity <= 1.0),
            handled=[item for item, last_s in self._last_held_s.items() if last_s >= since],
            damaged_before=damaged_items(e for e in self.damage if e.time_s < since),
        )

    def _watch(self) -> None:
        self._falls.after_step()
        for item in self._monitor.held:
            self._last_held_s[item] = self._world.time_s

    # -- what the hand holds -----------------------------------------------------------------------------------------
    def _held(self) -> set[int]:
        """Items in the hand, and those that ride on them."""
        lifted = [item for item in self._world.item_bodies.values() if not self._on_furniture(item)]
        held = {item.item_id for item in lifted if self._in_hand(item)}
        grown = True
        while grown:  # something that touches only what is held is lifted with it
            riders = {
                item.item_id
                for item in lifted
                if item.item_id not in held and (touching := self._touching(item)) and touching <= held
            }
            grown = bool(riders)
            held |= riders
        return held

    def _in_hand(self, item: ItemBody) -> bool:
        """Whether fingers or cup touch any part of an item; its content is inside, and touches only itself."""
        world = self._world
        return any(
            p.getClosestPoints(item.body, world.robot.body, TOUCH_M, linkIndexB=link, physicsClientId=world.client)
            for link in self._hand
        )

    def _on_furniture(self, item: ItemBody) -> bool:
        """Whether the item rests on a tote or the table (resting on other items is followed by :meth:`_held`)."""
        world = self._world
        furniture = (world.table, *world.totes.values())
        return any(p.getClosestPoints(item.body, body, 0.001, physicsClientId=world.client) for body in furniture)

    def _touching(self, item: ItemBody) -> set[int]:
        """Items that an item touches."""
        world = self._world
        return {
            other.item_id
            for other in world.item_bodies.values()
            if other is not item and p.getClosestPoints(item.body, other.body, 0.001, physicsClientId=world.client)
        }
