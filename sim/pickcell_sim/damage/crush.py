"""Crush: what the hand presses an item with, averaged over some milliseconds, against what the item bears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pybullet as p

from pickcell_sim.damage.events import EventRecord
from pickcell_sim.damage.impact import FORCE, LINK, NORMAL, OTHER, Contact
from pickcell_sim.damage.limits import ItemLimits
from pickcell_sim.driver import SimDriver
from pickcell_sim.world import ItemBody, SimWorld

FORGOTTEN_N = 1e-3
HELD_N = 0.5
"""Both fingers press an item with at least this: the hand holds it."""
FINGERS = ("finger_left_link", "finger_right_link")
Key = tuple[int, str]
"""Item and what presses on it."""


@dataclass
class _Press:
    """Average force on one item by one thing: in all, and along the item's own axes."""

    total: float = 0.0
    along: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def follow(self, total: float, along: list[float], share: float) -> None:
        self.total += share * (total - self.total)
        self.along = [old + share * (new - old) for old, new in zip(self.along, along)]


class CrushWatch:
    """Averages forces by a first-order filter: an impulse J reads J / window, whatever the step."""

    def __init__(
        self,
        world: SimWorld,
        record: EventRecord,
        limits_of: Callable[[ItemBody], ItemLimits],
        name_of: Callable[[int, int], str],
        window_s: float,
        driver: SimDriver | None,
    ) -> None:
        self._world, self._record, self._driver = world, record, driver
        self._limits_of, self._name_of = limits_of, name_of
        self._window_s = window_s
        self._presses: dict[Key, _Press] = {}

    def force_n(self, item_id: int) -> float:
        """Largest average force that one thing presses an item with now."""
        return max((press.total for (item, _), press in self._presses.items() if item == item_id), default=0.0)

    @property
    def pinched(self) -> tuple[int, ...]:
        """Items that both fingers press on."""
        left, right = (
            {item for (item, by), press in self._presses.items() if by == finger and press.total > HELD_N}
            for finger in FINGERS
        )
        return tuple(sorted(left & right))

    @property
    def held(self) -> tuple[int, ...]:
        """Items that the hand holds: on the cup, or pressed by both fingers."""
        cup = self._driver.cup.held_body if self._driver is not None else None
        if cup is None and not self._presses:
            return ()
        item = self._world.item_of_body(cup) if cup is not None else None
        return self.pinched if item is None else tuple(sorted({item.item_id, *self.pinched}))

    def after_step(self, robot_contacts: list[Contact]) -> None:
        """``robot_contacts``: those of the robot with items that bear force, of this step."""
        if not robot_contacts and not self._presses and (self._driver is None or self._driver.cup.held_body is None):
            return
        now: dict[Key, _Press] = {}
        for contact in robot_contacts:
            item = self._world.item_of_body(contact[OTHER])
            if item is not None:
                self._press(now, item, contact, self._name_of(self._world.robot.body, contact[LINK]))
        self._press_by_cup(now)
        self._press_by_held(now)
        share = float(1.0 - np.exp(-self._world.step_s / self._window_s))
        for key in [*now, *(k for k in self._presses if k not in now)]:
            self._follow(key, now.get(key) or _Press(), share)

    def _press(self, now: dict[Key, _Press], item: ItemBody, contact: Contact, by: str) -> None:
        press = now.setdefault((item.item_id, by), _Press())
        press.total += contact[FORCE]
        if self._limits_of(item).is_plate:
            axes = p.getMatrixFromQuaternion(
                p.getBasePositionAndOrientation(item.body, physicsClientId=self._world.client)[1]
            )
            n = contact[NORMAL]
            for i in range(3):
                press.along[i] += contact[FORCE] * abs(n[0] * axes[i] + n[1] * axes[3 + i] + n[2] * axes[6 + i])

    def _press_by_cup(self, now: dict[Key, _Press]) -> None:
        """A held item is pressed by the cup's spring, which is no contact."""
        if self._driver is None or self._driver.cup.held_body is None:
            return
        item = self._world.item_of_body(self._driver.cup.held_body)
        force = max(0.0, -float(self._driver.cup.held_wrench[2]))
        if item is not None and force > 0.0:
            press = now.setdefault((item.item_id, "cup"), _Press())
            press.total += force
            press.along[2] += force  # the cup seals on faces only

    def _press_by_held(self, now: dict[Key, _Press]) -> None:
        """What the hand holds presses on what it meets."""
        for item_id in self.held:
            held = self._world.item_bodies.get(item_id)
            if held is None:
                continue
            for contact in p.getContactPoints(bodyA=held.body, physicsClientId=self._world.client):
                other = self._world.item_of_body(contact[OTHER])
                if other is not None and other is not held and contact[FORCE] > 0.0:
                    self._press(now, other, contact, held.name)

    def _follow(self, key: Key, press: _Press, share: float) -> None:
        average = self._presses.setdefault(key, _Press())
        average.follow(press.total, press.along, share)
        item = self._world.item_bodies.get(key[0])
        if item is None or (press.total == 0.0 and average.total < FORGOTTEN_N):
            del self._presses[key]
            return
        limits = self._limits_of(item)
        pairs = [(average.total, limits.crush_n)]
        if limits.is_plate:
            pairs = list(zip(average.along, (*limits.edge_n, limits.crush_n)))
        value, limit = max(pairs, key=lambda pair: pair[0] / pair[1])
        if value > limit and press.total > 0.0:
            self._record.add(self._world.time_s, item.item_id, item.name, "crush", value, limit, key[1])
