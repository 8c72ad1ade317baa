"""The damage monitor: watches a world step by step and records what exceeds the limits. Reads ground truth; for scoring."""

from __future__ import annotations

import pybullet as p

from pickcell_sim.damage.crush import CrushWatch
from pickcell_sim.damage.events import DamageEvent, EventRecord
from pickcell_sim.damage.impact import FORCE, OTHER, ImpactWatch
from pickcell_sim.damage.limits import DamageLimits, ItemLimits
from pickcell_sim.damage.motion import FOREIGN, Motion
from pickcell_sim.damage.surface import BlisterWatch, OpeningWatch
from pickcell_sim.driver import SimDriver
from pickcell_sim.world import ItemBody, SimWorld


class DamageMonitor:
    """Make it after the tote is filled: what happens before is not watched.

    Works in every physics step and substep, the same at any length of step. Items asleep cost next to nothing.
    """

    def __init__(
        self, world: SimWorld, limits: DamageLimits, *, driver: SimDriver | None = None, watched_share: float = 1.0
    ) -> None:
        """``driver``: whose cup is watched for blisters and pressing; without one only contacts count.

        ``watched_share``: what comes to this share of a limit is a strain; damage is what passes the limit itself."""
        self._world = world
        self.limits = limits
        self._watched = limits.watched_from(watched_share)
        self._cache: dict[str, ItemLimits] = {}
        self._present = (-1, -1)
        self._least_mps = float("inf")
        self._names = {index: name for name, index in world.robot.links.items()}
        self._furniture = {world.table: "table"} | {body: f"tote {name}" for name, body in world.totes.items()}
        rules = limits.rules
        self._record = EventRecord(rules.refractory_s.value, watched_share)
        self._motion = Motion(world)
        self._impact = ImpactWatch(
            world,
            self._motion,
            self._record,
            self.limits_of,
            self._name_of,
            new_contact_m=rules.new_contact_m.value,
            mass_counts=rules.impact_share.value == "velocity_change",
        )
        self._crush = CrushWatch(world, self._record, self.limits_of, self._name_of, rules.crush_window_s.value, driver)
        self._opening = OpeningWatch(world, self._record, self.limits_of)
        self._blister = (
            BlisterWatch(world, self._record, self._watched, self.limits_of, driver) if driver is not None else None
        )
        world.before_step.append(self._before_step)
        world.after_step.append(self._after_step)

    @property
    def events(self) -> tuple[DamageEvent, ...]:
        """All damage since the monitor was made, in order of time; causes are set when a pick is scored."""
        return self._record.events

    @property
    def strains(self) -> tuple[DamageEvent, ...]:
        """Damage and near misses since the monitor was made."""
        return self._record.strains

    @property
    def held(self) -> tuple[int, ...]:
        """Items that the hand holds now, by cup or fingers."""
        return self._crush.held

    def close(self) -> None:
        """Stop watching; calling twice does no harm."""
        if self._before_step in self._world.before_step:
            self._world.before_step.remove(self._before_step)
        if self._after_step in self._world.after_step:
            self._world.after_step.remove(self._after_step)

    def limits_of(self, item: ItemBody) -> ItemLimits:
        """The watched share of what an item bears."""
        limits = self._cache.get(item.name)
        if limits is None:
            limits = self._cache[item.name] = self._watched.for_sku(item.name)
        return limits

    def _name_of(self, body: int, link: int) -> str:
        """What a body that is no item is called in events."""
        if body == self._world.robot.body:
            return self._names.get(link, "robot")
        return self._furniture.get(body, FOREIGN)

    def _before_step(self) -> None:
        # Of two bodies that meet with at least the lowest limit, one is at least half as fast.
        self._motion.read(0.5 * self._lowest_limit())
        self._impact.before_step()

    def _lowest_limit(self) -> float:
        """Lowest impact limit (m/s) of the items there are; looked up again when one comes or goes."""
        items = self._world.item_bodies
        present = (len(items), next(reversed(items), 0))
        if present != self._present:
            self._present = present
            self._least_mps = min((self.limits_of(item).impact_mps for item in items.values()), default=float("inf"))
        return self._least_mps

    def _after_step(self) -> None:
        reported = p.getContactPoints(bodyA=self._world.robot.body, physicsClientId=self._world.client)
        contacts = [c for c in reported if c[FORCE] > 0.0 and self._world.item_of_body(c[OTHER]) is not None]
        self._impact.after_step(contacts)
        self._crush.after_step(contacts)
        self._opening.after_step()
        if self._blister is not None:
            self._blister.after_step()
