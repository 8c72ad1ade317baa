"""The hold fails: what is held becomes slippery, something tugs at it, or the lip leaks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pybullet as p

from pickcell_sim.driver import SimDriver
from pickcell_sim.hand.jaw import PAD_FRICTION
from pickcell_sim.hand.suction import Cup
from pickcell_sim.perturbations.act import Missed, Struck, Timed
from pickcell_sim.perturbations.guided import motion_of, push_item
from pickcell_sim.scoring.truth import Truth
from pickcell_sim.world import ItemBody

TUG_S = 0.06
"""Duration of a tug: half a sine, as of an elastic thing that catches and lets go."""
PADS = ("finger_left_link", "finger_right_link")


def item_in_hand(driver: SimDriver) -> ItemBody | None:
    """What is on the cup or between the pads now, None when the hand is empty. Ground truth."""
    items = Truth(driver).hand().items
    return driver.world.item_bodies[items[0]] if items else None


@dataclass
class SlipperyHold(Timed):
    """``slip_in_hand`` as ``friction``: pads and lip grip less for a while."""

    _item: ItemBody | None = None
    _pads: dict[int, float] = field(default_factory=dict)
    _cup: Cup | None = None
    _slick_cup: Cup | None = None
    _start: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def begin(self) -> Struck | Missed:
        driver, factor = self.scene.driver, self.perturbation.magnitude["friction_factor"]
        self._item = item_in_hand(driver)
        if self._item is None:
            return Missed("the hand is empty")
        robot = driver.world.robot
        pads = {
            link: float(p.getDynamicsInfo(robot.body, link, physicsClientId=robot.client)[1])
            for link in map(robot.link, PADS)
        }
        if min(pads.values()) < PAD_FRICTION - 1e-6:
            return Missed("the pads are slippery already")
        self.began_s, self._pads = driver.now_s, pads
        for link, friction in pads.items():
            p.changeDynamics(robot.body, link, lateralFriction=factor * friction, physicsClientId=robot.client)
        self._cup = driver.cup.cup
        self._slick_cup = replace(self._cup, friction=factor * self._cup.friction)
        driver.cup.cup = self._slick_cup
        self._start = self._in_hand()
        return Struck(self._item.body, self._item, note="friction")

    def step(self) -> bool:
        return self.elapsed_s < self.perturbation.magnitude["lasts_s"]

    def end(self) -> None:
        driver = self.scene.driver
        robot = driver.world.robot
        for link, friction in self._pads.items():
            p.changeDynamics(robot.body, link, lateralFriction=friction, physicsClientId=robot.client)
        if self._cup is not None and driver.cup.cup is self._slick_cup:  # else the cup has been exchanged meanwhile
            driver.cup.cup = self._cup
        self.measured = slipped(self.scene.driver, self._item, self._start)

    def _in_hand(self) -> np.ndarray:
        assert self._item is not None
        return place_in_hand(self.scene.driver, self._item)


@dataclass
class Tug(Timed):
    """``slip_in_hand`` as ``tug``: a downward impulse on what is held."""

    _item: ItemBody | None = None
    _spent_s: float = 0.0
    _given_ns: float = 0.0
    _start: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def begin(self) -> Struck | Missed:
        self._item = item_in_hand(self.scene.driver)
        if self._item is None:
            return Missed("the hand is empty")
        self.began_s = self.scene.driver.now_s
        self._start = place_in_hand(self.scene.driver, self._item)
        return Struck(self._item.body, self._item, note="tug")

    def step(self) -> bool:
        """The impulse due in this step, so that the steps' sum is exact whatever their length."""
        assert self._item is not None
        world, total = self.scene.driver.world, self.perturbation.magnitude["impulse_ns"]
        if self._item.item_id not in world.item_bodies:  # somebody took it away
            return False
        self._spent_s += world.step_s
        due = 0.5 * total * (1.0 - float(np.cos(np.pi * min(self._spent_s / TUG_S, 1.0))))
        if due > self._given_ns:
            force = np.array([0.0, 0.0, -(due - self._given_ns) / world.step_s])
            push_item(world, self._item.body, force, np.zeros(3))
            self._given_ns = due
        return self.elapsed_s < max(TUG_S, self.perturbation.magnitude["lasts_s"])

    def end(self) -> None:
        self.measured = {"impulse_ns": self._given_ns, **slipped(self.scene.driver, self._item, self._start)}


@dataclass
class Leak(Timed):
    """``vacuum_leak``: the cup leaks more for a while."""

    _start_pa: float = 0.0
    _lowest_pa: float = np.inf

    def begin(self) -> Struck | Missed:
        cup = self.scene.driver.cup
        if not cup.on:
            return Missed("the vacuum is off")
        if cup.leak_factor != 1.0:
            return Missed("the cup leaks already")
        self.began_s, self._start_pa = self.scene.driver.now_s, cup.vacuum_pa
        self._lowest_pa = self._start_pa
        cup.leak_factor = self.perturbation.magnitude["leak_factor"]
        held = self.scene.driver.world.item_of_body(cup.held_body) if cup.held_body is not None else None
        return Struck(cup.held_body, held)

    def step(self) -> bool:
        self._lowest_pa = min(self._lowest_pa, self.scene.driver.cup.vacuum_pa)
        return self.elapsed_s < self.perturbation.magnitude["lasts_s"]

    def end(self) -> None:
        cup = self.scene.driver.cup
        cup.leak_factor = 1.0
        self.measured = {"vacuum_before_pa": self._start_pa, "vacuum_lowest_pa": min(self._lowest_pa, cup.vacuum_pa)}


def place_in_hand(driver: SimDriver, item: ItemBody) -> np.ndarray:
    """(3,) position of an item's centre in the hand's frame, metres."""
    X_world_hand = driver.world.X_world_link("tool0")
    return np.asarray((motion_of(driver.world, item.body).position - X_world_hand[:3, 3]) @ X_world_hand[:3, :3])


def slipped(driver: SimDriver, item: ItemBody | None, start: np.ndarray) -> dict[str, float]:
    """How far an item has moved in the hand since it was at ``start``, and whether it is still held."""
    if item is None or item.item_id not in driver.world.item_bodies:
        return {}
    held = item_in_hand(driver)
    moved = float(np.linalg.norm(place_in_hand(driver, item) - start))
    return {"slipped_m": moved, "still_held": float(held is item)}
