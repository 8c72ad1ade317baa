"""How items and robot move right before a physics step: what a contact's approach speed is measured with.

Velocities after the step are of no use: the contact has changed them already. Reading them is cheap, but not for free, so
items asleep are left out, and only fast ones are looked at closely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.world import LOST_BELOW_M, ItemBody, SimWorld

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)
FREE_MPS2 = 12.0
"""Accelerations over this are impacts, not flight: they are not extrapolated."""
RESTING_MPS = 0.02
FOREIGN = "foreign body"
"""What moves, and is neither item nor robot nor furniture: someone's hand that reaches into the cell."""


@dataclass
class Followed:
    """An item that may be fast enough for an impact to matter, before a step. Vectors in world axes."""

    item: ItemBody
    centre: Vector
    """Centre of mass of the base."""
    links: tuple[tuple[Vector, Vector, Vector], ...]
    """Centre of mass, linear and angular velocity of each further link."""
    acceleration: Vector
    """Over the step before, m/s^2; zero where an impact changed the velocity."""


class Motion:
    """Call :meth:`read` right before each physics step."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._robot = world.robot.body
        self._joints = sorted(world.robot.joints.values())
        self._zeros = [0.0] * len(self._joints)
        self._q: list[float] = self._zeros
        self._qd: list[float] = self._zeros
        self._stirred: dict[int, None] = {}
        """Items that the world still holds to be asleep, but that something has touched."""
        self._extents: dict[str, tuple[float, bool]] = {}
        self._velocities: dict[int, tuple[Vector, Vector]] = {}
        """Linear and angular, by PyBullet body: of the bases of all items that are awake."""
        self.followed: dict[int, Followed] = {}
        """By PyBullet body."""
        self._foreign: list[ItemBody] = []
        self._bodies = -1

    @property
    def fast(self) -> list[ItemBody]:
        """Items that are followed."""
        return [each.item for each in self.followed.values()]

    def read(self, fast_mps: float) -> None:
        """Read all velocities. Items of which a point may be faster than ``fast_mps`` are followed closely."""
        client, before = self._world.client, self._velocities
        self._velocities, self.followed = {}, {}
        for item in (*self._world.item_bodies.values(), *self._foreign_bodies()):
            if item.asleep and item.item_id not in self._stirred:
                continue
            body = item.body
            self._velocities[body] = linear, angular = p.getBaseVelocity(body, physicsClientId=client)
            extent, jointed = self._extent(item)
            turning = abs(angular[0]) + abs(angular[1]) + abs(angular[2])
            if jointed:
                turning += _joint_speed(body, client)
            bound = abs(linear[0]) + abs(linear[1]) + abs(linear[2]) + turning * extent
            if bound > fast_mps:
                self.followed[body] = self._look_closely(item, linear, before.get(body))
            elif bound < RESTING_MPS and item.asleep:
                del self._stirred[item.item_id]
        states = p.getJointStates(self._robot, self._joints, physicsClientId=client)
        self._q, self._qd = [s[0] for s in states], [s[1] for s in states]

    def _foreign_bodies(self) -> list[ItemBody]:
        """Bodies that move and that nobody has registered, looked for again when the number of bodies changes."""
        count = p.getNumBodies(physicsClientId=self._world.client)
        if count != self._bodies:
            self._bodies = count
            bodies = sorted(p.getBodyUniqueId(i, physicsClientId=self._world.client) for i in range(count))
            self._foreign = [ItemBody(-body, body, FOREIGN) for body in bodies if self._is_foreign(body)]
        return self._foreign

    def _is_foreign(self, body: int) -> bool:
        world = self._world
        if body in (world.table, self._robot, *world.totes.values()) or world.item_of_body(body) is not None:
            return False
        if p.getDynamicsInfo(body, -1, physicsClientId=world.client)[0] == 0.0:
            return False
        # Bodies that stand in for an item, or that one stands in for, are parked far below.
        return p.getBasePositionAndOrientation(body, physicsClientId=world.client)[0][2] > LOST_BELOW_M

    def stir(self, item: ItemBody) -> None:
        """Something touches an item: follow it, even if the world has not noticed yet that it woke."""
        if item.asleep:
            self._stirred[item.item_id] = None

    def _look_closely(self, item: ItemBody, linear: Vector, before: tuple[Vector, Vector] | None) -> Followed:
        client, body = self._world.client, item.body
        centre = p.getBasePositionAndOrientation(body, physicsClientId=client)[0]
        links: tuple[tuple[Vector, Vector, Vector], ...] = ()
        joints = p.getNumJoints(body, physicsClientId=client)
        if joints:
            states = p.getLinkStates(
                body, list(range(joints)), computeLinkVelocity=1, computeForwardKinematics=1, physicsClientId=client
            )
            links = tuple((s[0], s[6], s[7]) for s in states)
        acceleration = ZERO
        if before is not None:
            rate = 1.0 / self._world.step_s
            x, y, z = (rate * (a - b) for a, b in zip(linear, before[0]))
            acceleration = (x, y, z) if _norm((x, y, z)) < FREE_MPS2 else ZERO
        return Followed(item, centre, links, acceleration)

    def _extent(self, item: ItemBody) -> tuple[float, bool]:
        """Distance from an item's centre that none of its points exceeds, and whether it has joints."""
        known = self._extents.get(item.name)
        if known is not None:
            return known
        spec = _spec(item.name)
        if spec is None:  # a body of a test: measured each time
            low, high = p.getAABB(item.body, physicsClientId=self._world.client)
            joints = p.getNumJoints(item.body, physicsClientId=self._world.client)
            return _norm(tuple(b - a for a, b in zip(low, high))), joints > 0
        jointed = spec.structure in ("book", "sheet")
        self._extents[item.name] = (_norm(spec.size_m) * (1.0 if jointed else 0.5), jointed)
        return self._extents[item.name]

    # -- velocities at a contact -------------------------------------------------------------------------------------
    def at_item(self, body: int, link: int, point: Vector) -> tuple[Vector, Vector]:
        """Velocity and acceleration that a point of an item had before the step; zero for one asleep."""
        if body not in self._velocities:
            return ZERO, ZERO
        linear, angular = self._velocities[body]
        followed = self.followed.get(body)
        if followed is None:  # too slow for the motion of its links to matter
            centre = p.getBasePositionAndOrientation(body, physicsClientId=self._world.client)[0]
            return _at(point, centre, linear, angular), ZERO
        centre = followed.centre
        if 0 <= link < len(followed.links):
            centre, linear, angular = followed.links[link]
        return _at(point, centre, linear, angular), followed.acceleration

    def at_robot(self, link: int, point: Vector) -> Vector:
        """Velocity that a point of a robot's link had before the step, from the joints' velocities then."""
        client = self._world.client
        if link < 0:
            return ZERO
        centre = p.getLinkState(self._robot, link, physicsClientId=client)[0]
        linear, angular = p.calculateJacobian(
            self._robot, link, ZERO, self._q, self._qd, self._zeros, physicsClientId=client
        )
        rates = np.asarray(self._qd)
        return _at(point, centre, _product(linear, rates), _product(angular, rates))


def _product(jacobian: tuple[tuple[float, ...], ...], rates: NDArray[np.float64]) -> Vector:
    x, y, z = (np.asarray(jacobian) @ rates).tolist()
    return x, y, z


def _at(point: Vector, centre: Vector, linear: Vector, angular: Vector) -> Vector:
    """Velocity of a point of a rigid body."""
    x, y, z = point[0] - centre[0], point[1] - centre[1], point[2] - centre[2]
    return (
        linear[0] + angular[1] * z - angular[2] * y,
        linear[1] + angular[2] * x - angular[0] * z,
        linear[2] + angular[0] * y - angular[1] * x,
    )


def _norm(vector: tuple[float, ...]) -> float:
    return float(sum(v * v for v in vector) ** 0.5)


def _joint_speed(body: int, client: int) -> float:
    """Sum of the speeds of all joints, rad/s."""
    joints = p.getNumJoints(body, physicsClientId=client)
    if not joints:
        return 0.0
    return float(sum(abs(s[1]) for s in p.getJointStates(body, list(range(joints)), physicsClientId=client)))


def _spec(sku: str) -> ItemSpec | None:
    try:
        return item_spec(sku)
    except KeyError:
        return None
