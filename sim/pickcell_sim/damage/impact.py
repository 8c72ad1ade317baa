"""Impacts: the normal speed with which an item meets something new, compared with the fall that it bears.

Judged by speed and never by contact force: the force of one and the same drop depends on the length of the physics step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pybullet as p

from pickcell_sim.damage.events import EventRecord
from pickcell_sim.damage.limits import ItemLimits
from pickcell_sim.damage.motion import ZERO, Motion, Vector
from pickcell_sim.world import ItemBody, SimWorld

Contact = tuple[Any, ...]  # as PyBullet reports it
OTHER, LINK, OTHER_LINK, PLACE, NORMAL, DISTANCE, FORCE = 2, 3, 4, 6, 7, 8, 9
"""Fields of a contact: the normal points from the other body to the one asked for."""


class ImpactWatch:
    """Finds new contacts and the speed they began with."""

    def __init__(
        self,
        world: SimWorld,
        motion: Motion,
        record: EventRecord,
        limits_of: Callable[[ItemBody], ItemLimits],
        name_of: Callable[[int, int], str],
        *,
        new_contact_m: float,
        mass_counts: bool,
    ) -> None:
        self._world, self._motion, self._record = world, motion, record
        self._limits_of, self._name_of = limits_of, name_of
        self._new_m2 = new_contact_m**2
        self._mass_counts = mass_counts
        self._touching: dict[int, list[Contact]] = {}
        """Contacts of the step before, by body: of the robot and of fast items."""

    def before_step(self) -> None:
        """Items that have become fast: what do they touch already?"""
        fast = [item.body for item in self._motion.fast]
        known = (world_robot := self._world.robot.body, *fast)
        self._touching = {body: contacts for body, contacts in self._touching.items() if body in known}
        for body in fast:
            if body not in self._touching:
                self._touching[body] = self._bearing(body)
        self._touching.setdefault(world_robot, [])

    def after_step(self, robot_contacts: list[Contact]) -> None:
        """``robot_contacts``: those of the robot with items that bear force, of this step."""
        robot = self._world.robot.body
        for contact in self._new(robot, robot_contacts):
            item = self._world.item_of_body(contact[OTHER])
            if item is not None:
                self._motion.stir(item)
                self._judge_robot(item, contact)
        for item in self._motion.fast:
            contacts = self._bearing(item.body)
            for contact in self._new(item.body, contacts):
                other = self._world.item_of_body(contact[OTHER])
                if other is not None:
                    self._motion.stir(other)
                if contact[OTHER] != robot and other is not item:
                    self._judge(item, other, contact)

    def _bearing(self, body: int) -> list[Contact]:
        """Contacts of a body in the newest step that bear force: near misses are none."""
        contacts = p.getContactPoints(bodyA=body, physicsClientId=self._world.client)
        return [c for c in contacts if c[FORCE] > 0.0]

    def _new(self, body: int, contacts: list[Contact]) -> list[Contact]:
        """Those of the contacts that were not there in the step before, which they become now."""
        before = self._touching.get(body, [])
        self._touching[body] = contacts
        return [c for c in contacts if not any(self._same(c, b) for b in before)]

    def _same(self, one: Contact, other: Contact) -> bool:
        if one[OTHER] != other[OTHER] or one[LINK] != other[LINK] or one[OTHER_LINK] != other[OTHER_LINK]:
            return False
        return sum((a - b) ** 2 for a, b in zip(one[PLACE], other[PLACE])) < self._new_m2

    def _judge_robot(self, item: ItemBody, contact: Contact) -> None:
        """The robot (which asks: the normal points to it) meets an item."""
        place = contact[PLACE]
        of_robot = self._motion.at_robot(contact[LINK], place)
        of_item, acceleration = self._motion.at_item(contact[OTHER], contact[OTHER_LINK], place)
        speed = self._closing(of_robot, of_item, ZERO, acceleration, contact)
        self._note(item, speed, self._name_of(self._world.robot.body, contact[LINK]))

    def _judge(self, item: ItemBody, other: ItemBody | None, contact: Contact) -> None:
        """A fast item (or foreign body) meets furniture or another item; both are judged."""
        place = contact[PLACE]
        of_item, acceleration = self._motion.at_item(item.body, contact[LINK], place)
        of_other, other_acceleration = self._motion.at_item(contact[OTHER], contact[OTHER_LINK], place)
        speed = self._closing(of_item, of_other, acceleration, other_acceleration, contact)
        if other is None:
            self._note(item, speed, self._name_of(contact[OTHER], contact[OTHER_LINK]))
            return
        share = self._mass_share(item, other)
        self._note(item, share * speed, other.name)
        self._note(other, (1.0 - share) * speed if self._mass_counts else speed, item.name)

    def _closing(self, v_a: Vector, v_b: Vector, a_a: Vector, a_b: Vector, contact: Contact) -> float:
        """Normal speed at the moment of touch, from velocities at the beginning of the step.

        The surfaces are still apart then, or already into each other, by ``distance``, and the simulated body is half a
        step's way ahead of the exact parabola: v_touch^2 = v^2 + a (2 d + v dt), so that the speed does not depend on
        the step.
        """
        n, distance = contact[NORMAL], contact[DISTANCE]
        speed = -sum((a - b) * m for a, b, m in zip(v_a, v_b, n))
        if speed <= 0.0:
            return 0.0
        gain = -sum((a - b) * m for a, b, m in zip(a_a, a_b, n))
        return float(max(0.0, speed**2 + gain * (2.0 * distance + speed * self._world.step_s)) ** 0.5)

    def _mass_share(self, item: ItemBody, other: ItemBody) -> float:
        """Share of the approach speed that ``item`` is charged with."""
        if not self._mass_counts:
            return 1.0
        own, others = (self._mass(each) for each in (item, other))
        return others / (own + others) if own + others > 0 else 1.0

    def _mass(self, item: ItemBody) -> float:
        client = self._world.client
        total = 0.0
        for body in item.bodies:
            for link in range(-1, p.getNumJoints(body, physicsClientId=client)):
                total += float(p.getDynamicsInfo(body, link, physicsClientId=client)[0])
        return total

    def _note(self, item: ItemBody, speed: float, by: str) -> None:
        if item.item_id not in self._world.item_bodies:
            return
        limit = self._limits_of(item).impact_mps
        if speed > limit:
            self._record.add(self._world.time_s, item.item_id, item.name, "impact", speed, limit, by)
