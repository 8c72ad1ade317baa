"""Someone reaches over the totes: a hand or a forearm comes in from outside, stays, and leaves again.

It is a body of the world like any other: cameras see it, everything collides with it. It follows its path by a force that
a hand can bear and no more, so that an arm that runs into it pushes it aside.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pybullet as p
from scipy.spatial.transform import Rotation

from pickcell_sim.perturbations.act import Missed, Struck, Timed
from pickcell_sim.perturbations.guided import Array, bounded, follow_law, motion_of, smooth_step
from pickcell_sim.world import SimWorld

MASS_KG = 1.5
"""Of a hand and the part of the forearm that moves with it (ISO/TS 15066: hand 0.6, lower arm 2.0)."""
SKIN_N_PER_M = 75_000.0
"""Effective stiffness of a hand (ISO/TS 15066)."""
SKIN_DAMPING = 300.0
THICKNESS = 0.45
"""Of a flat hand, as a share of its breadth (assumed)."""
REACH_M = 1.0
"""From where it comes into being, beside the table and out of the fixed cameras' pictures, to where it stays."""
SECTOR_RAD = float(np.deg2rad(50.0))
"""It comes from the side away from the robot, up to this much to either side."""
ASIDE_M = 0.05
WRIST_M = 0.05
"""Lever at which the wrist resists being turned: its torque is the force times this (assumed)."""
WIDTH_GRID_M = 0.01
LENGTH_GRID_M = 0.05
COLOR = (0.82, 0.60, 0.48, 1.0)


@dataclass
class Intruder(Timed):
    """Kind ``intruder``."""

    _body: int = -1
    _stop: Array = field(default_factory=lambda: np.zeros(3))
    _away: Array = field(default_factory=lambda: np.zeros(3))
    _turn: Rotation = field(default_factory=Rotation.identity)
    _inertia: Array = field(default_factory=lambda: np.zeros(3))
    _spent_s: float = 0.0
    _peak_n: float = 0.0
    _lag_m: float = 0.0

    @property
    def reach_s(self) -> float:
        """Time to reach in, or to draw back: the peak speed of a smooth step is 1.875 times its mean."""
        return 1.875 * REACH_M / self.perturbation.magnitude["speed_mps"]

    def begin(self) -> Struck | Missed:
        world = self.scene.driver.world
        self.began_s = world.time_s
        self._stop, self._away = self._place(world)
        self._turn = Rotation.from_euler("z", float(np.arctan2(self._away[1], self._away[0])))
        self._body = self._make(world)
        self._inertia = np.array(p.getDynamicsInfo(self._body, -1, physicsClientId=world.client)[2])
        return Struck(self._body, note=self.perturbation.variant)

    def _place(self, world: SimWorld) -> tuple[Array, Array]:
        """Where it stays, and the horizontal direction it comes from, in the world."""
        m, rng, cell = self.perturbation.magnitude, self.perturbation.rng(), world.cell
        source, destination = (np.array(cell.totes[name].position) for name in ("source", "destination"))
        stop = source + m["along"] * (destination - source)
        outward = stop - np.array(cell.base_position)
        angle = float(np.arctan2(outward[1], outward[0])) + rng.uniform(-SECTOR_RAD, SECTOR_RAD)
        stop[:2] += rng.uniform(-ASIDE_M, ASIDE_M, 2)
        stop[2] = m["height_m"]
        return stop, np.array([np.cos(angle), np.sin(angle), 0.0])

    def _size(self) -> tuple[float, float]:
        """Width and length, rounded: pictures are drawn from a store of shapes, which must not grow with every script."""
        m = self.perturbation.magnitude
        return round(m["width_m"] / WIDTH_GRID_M) * WIDTH_GRID_M, round(m["length_m"] / LENGTH_GRID_M) * LENGTH_GRID_M

    def _make(self, world: SimWorld) -> int:
        """The body, its long axis (x) along its way. It is no item: it is never asleep, and no scorer counts it."""
        (width, length), client = self._size(), world.client
        lying = Rotation.from_euler("y", np.pi / 2).as_quat().tolist()  # a cylinder's axis is z
        if self.perturbation.variant == "box":
            half = [0.5 * length, 0.5 * width, 0.5 * THICKNESS * width]
            shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=client)
            visual = p.createVisualShape(p.GEOM_BOX, halfExtents=half, rgbaColor=COLOR, physicsClientId=client)
        else:
            shape = p.createCollisionShape(
                p.GEOM_CYLINDER, radius=0.5 * width, height=length, collisionFrameOrientation=lying, physicsClientId=client
            )
            visual = p.createVisualShape(
                p.GEOM_CYLINDER, radius=0.5 * width, length=length, visualFrameOrientation=lying, rgbaColor=COLOR,
                physicsClientId=client,
            )  # fmt: skip
        start, quat = (self._stop + REACH_M * self._away).tolist(), self._turn.as_quat().tolist()
        body = int(p.createMultiBody(MASS_KG, shape, visual, start, quat, physicsClientId=client))
        p.changeDynamics(
            body, -1, lateralFriction=0.6, restitution=0.0, contactStiffness=SKIN_N_PER_M, contactDamping=SKIN_DAMPING,
            activationState=p.ACTIVATION_STATE_DISABLE_SLEEPING, physicsClientId=client,
        )  # fmt: skip
        return body

    def step(self) -> bool:
        """Follow the path, giving way to more than the force that one bears."""
        world, m = self.scene.driver.world, self.perturbation.magnitude
        self._spent_s += world.step_s
        if self._spent_s >= 2.0 * self.reach_s + m["stay_s"]:
            return False
        share, rate = self._progress()
        now = motion_of(world, self._body)
        error = self._stop + (1.0 - share) * REACH_M * self._away - now.position
        push = follow_law(MASS_KG, error, -rate * REACH_M * self._away - now.velocity)
        force = bounded(push, m["force_n"])
        R = now.rotation.as_matrix()
        turn = R.T @ (self._turn * now.rotation.inv()).as_rotvec()
        twist = R @ follow_law(self._inertia, turn, -(R.T @ now.spin))
        torque = bounded(twist, WRIST_M * m["force_n"])
        lifted = force + np.array([0.0, 0.0, 9.81 * MASS_KG])
        place, client = now.position.tolist(), world.client
        p.applyExternalForce(self._body, -1, lifted.tolist(), place, p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(self._body, -1, torque.tolist(), p.WORLD_FRAME, physicsClientId=client)
        self._peak_n = max(self._peak_n, self._contact_n(world))
        self._lag_m = max(self._lag_m, float(np.linalg.norm(error)))
        return True

    def _progress(self) -> tuple[float, float]:
        """Share of the way in that is done, 0 outside and 1 at the stop, and its rate, 1/s."""
        going = self._spent_s / self.reach_s
        leaving = (self._spent_s - self.reach_s - self.perturbation.magnitude["stay_s"]) / self.reach_s
        if leaving <= 0.0:
            share, rate = smooth_step(going)
            return share, rate / self.reach_s
        share, rate = smooth_step(leaving)
        return 1.0 - share, -rate / self.reach_s

    def _contact_n(self, world: SimWorld) -> float:
        """Normal forces between it and the robot, summed."""
        contacts = p.getContactPoints(self._body, world.robot.body, physicsClientId=world.client)
        return float(sum(c[9] for c in contacts))

    def end(self) -> None:
        """It leaves the world; what leaned on it is woken."""
        world = self.scene.driver.world
        for contact in p.getContactPoints(self._body, physicsClientId=world.client):
            if world.item_of_body(contact[2]) is not None:
                world.wake(contact[2])
        p.removeBody(self._body, physicsClientId=world.client)
        self.measured = {"robot_force_n": self._peak_n, "pushed_aside_m": self._lag_m, "seconds": self._spent_s}
