"""What only physics knows: where items are and what the hand holds. For the scorer and for tests; never for a node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet as p

from pickcell.geometry import Pose, pose_from_quat_xyzw
from pickcell_sim.driver import SimDriver
from pickcell_sim.scoring.places import Where, tote_around

PAD_FORCE_MIN_N = 0.5
"""Both pads must press on an item with this much for it to count as pinched."""


@dataclass(frozen=True)
class HandLoad:
    """What is in the hand, and how hard the hold is used."""

    sucked: int | None
    """Item on the cup."""
    pinched: tuple[int, ...]
    """Items that both pads press on."""
    pad_force_n: float
    peel_use: float
    slip_use: float
    """Shares of the cup's limits, 1 gives way."""

    @property
    def items(self) -> tuple[int, ...]:
        return (*(() if self.sucked is None else (self.sucked,)), *self.pinched)


class Truth:
    """Ground truth of one driven cell."""

    def __init__(self, driver: SimDriver) -> None:
        self._driver = driver
        self._world = driver.world

    def item_pose(self, item_id: int) -> Pose:
        """Pose of an item's centre of mass in the world. Raises KeyError naming the items there are."""
        if item_id not in self._world.item_bodies:
            raise KeyError(f"no item {item_id}; the world has {sorted(self._world.item_bodies)}")
        body = self._world.item_bodies[item_id].body
        position, orientation = p.getBasePositionAndOrientation(body, physicsClientId=self._world.client)
        return pose_from_quat_xyzw(position, orientation)

    def tote_of(self, item_id: int) -> str | None:
        """The tote that holds an item's centre of mass as the scorer counts it, None when it is in none."""
        where = tote_around(self._world.cell, self.item_pose(item_id))
        return None if where is Where.ELSEWHERE else where.value

    def items_in(self, tote: str) -> tuple[int, ...]:
        """Items in a tote, by number."""
        return tuple(i for i in sorted(self._world.item_bodies) if self.tote_of(i) == tote)

    def speed(self, item_id: int) -> float:
        """Speed of an item's centre of mass, m/s."""
        body = self._world.item_bodies[item_id].body
        return float(np.linalg.norm(p.getBaseVelocity(body, physicsClientId=self._world.client)[0]))

    def hand(self) -> HandLoad:
        """What is on the cup and between the pads now."""
        cup = self._driver.cup
        sucked = self._world.item_of_body(cup.held_body) if cup.held_body is not None else None
        left, right = (self._pad_forces(name) for name in ("finger_left_link", "finger_right_link"))
        pinched = tuple(sorted(i for i in left if left[i] >= PAD_FORCE_MIN_N and right.get(i, 0.0) >= PAD_FORCE_MIN_N))
        force = max((min(left[i], right[i]) for i in pinched), default=0.0)
        return HandLoad(sucked.item_id if sucked else None, pinched, force, *cup.use)

    def _pad_forces(self, link: str) -> dict[int, float]:
        """Normal force (N) between a finger and each item."""
        robot, forces = self._world.robot, {}
        contacts = p.getContactPoints(robot.body, linkIndexA=robot.link(link), physicsClientId=self._world.client)
        for contact in contacts:
            item = self._world.item_of_body(contact[2])
            if item is not None:
                forces[item.item_id] = forces.get(item.item_id, 0.0) + float(contact[9])
        return forces
