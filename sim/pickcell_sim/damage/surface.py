"""Books that are opened, and films that are sucked to a blister."""

from __future__ import annotations

from collections.abc import Callable

from pickcell_sim.damage.events import EventRecord
from pickcell_sim.damage.limits import DamageLimits, ItemLimits
from pickcell_sim.driver import SimDriver
from pickcell_sim.items.book import book_opening_rad
from pickcell_sim.world import ItemBody, SimWorld

SAMPLE_S = 0.004
"""Covers swing for tenths of a second: reading their angles more often tells nothing."""
FURTHER_RAD = 0.1
"""A book that lay open has been opened by someone when it is opened further by this."""


class OpeningWatch:
    """Compares the opening of every book that is awake with its limit."""

    def __init__(self, world: SimWorld, record: EventRecord, limits_of: Callable[[ItemBody], ItemLimits]) -> None:
        self._world, self._record, self._limits_of = world, record, limits_of
        self._since_s = 0.0
        found = {item.item_id: self._opening(item) for item in world.item_bodies.values()}
        self._lay_open = {number: angle + FURTHER_RAD for number, (angle, too_wide) in found.items() if too_wide}
        """Of books that were open before anyone watched, and have not been closed since: what they are not blamed on
        anyone up to."""

    def _opening(self, item: ItemBody) -> tuple[float, bool]:
        """Angle of a book's widest cover (rad), and whether that is more than it bears."""
        limit = self._limits_of(item).opening_rad
        if limit == float("inf"):
            return 0.0, False
        angle = book_opening_rad(self._world.client, item.body)
        return angle, angle > limit

    def after_step(self) -> None:
        self._since_s += self._world.step_s
        if self._since_s < SAMPLE_S:
            return
        self._since_s = 0.0
        for item in self._world.item_bodies.values():
            if item.asleep:
                continue
            angle, too_wide = self._opening(item)
            if not too_wide:
                self._lay_open.pop(item.item_id, None)
            elif angle > self._lay_open.get(item.item_id, 0.0):
                limit = self._limits_of(item).opening_rad
                self._record.add(self._world.time_s, item.item_id, item.name, "opened", angle, limit, "own weight")


class BlisterWatch:
    """Compares the vacuum under the cup with what the film of the held item bears."""

    def __init__(
        self,
        world: SimWorld,
        record: EventRecord,
        limits: DamageLimits,
        limits_of: Callable[[ItemBody], ItemLimits],
        driver: SimDriver,
    ) -> None:
        self._world, self._record, self._limits = world, record, limits
        self._limits_of, self._driver = limits_of, driver

    def after_step(self) -> None:
        cup = self._driver.cup
        item = self._world.item_of_body(cup.held_body) if cup.held_body is not None else None
        if item is None:
            return
        film_um = self._limits_of(item).film_um
        if film_um <= 0.0:
            return
        limit = self._limits.blister_pa(film_um, cup.cup.radius_m)
        if cup.vacuum_pa > limit:
            self._record.add(self._world.time_s, item.item_id, item.name, "blister", float(cup.vacuum_pa), limit, "cup")
