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


class OpeningWatch:
    """Compares the opening of every book that is awake with its limit."""

    def __init__(self, world: SimWorld, record: EventRecord, limits_of: Callable[[ItemBody], ItemLimits]) -> None:
        self._world, self._record, self._limits_of = world, record, limits_of
        self._since_s = 0.0
        found = {item.item_id: self._opening(item) for item in world.item_bodies.values()}
        self._lay_open = {number for number, (angle, limit) in found.items() if angle > limit / record.watched_share}
        """Books that were open before anyone watched, and have not been closed since."""
        self._lay_ajar = {number for number, (angle, limit) in found.items() if angle > limit}
        """The same by the watched share of the limit."""

    def _opening(self, item: ItemBody) -> tuple[float, float]:
        """Angle of a book's widest cover, and the watched share of what it bears (rad)."""
        limit = self._limits_of(item).opening_rad
        return (book_opening_rad(self._world.client, item.body), limit) if limit < float("inf") else (0.0, limit)

    def after_step(self) -> None:
        self._since_s += self._world.step_s
        if self._since_s < SAMPLE_S:
            return
        self._since_s = 0.0
        for item in self._world.item_bodies.values():
            if not item.asleep:
                self._judge(item, *self._opening(item))

    def _judge(self, item: ItemBody, angle: float, limit: float) -> None:
        number = item.item_id
        if angle <= limit:
            self._lay_ajar.discard(number)
        too_wide = angle > limit / self._record.watched_share
        if not too_wide:
            self._lay_open.discard(number)
        blamed = number not in (self._lay_open if too_wide else self._lay_ajar)
        if angle > limit and blamed:
            self._record.add(self._world.time_s, number, item.name, "opened", angle, limit, "own weight")


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
