"""The suction cup in the physics world: it seals when pressed on, holds by a spring and a vacuum, and lets go by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet as p
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.geometry import Pose, inverse, pose_from_quat_xyzw
from pickcell_sim.suction import (
    AMBIENT_PA,
    Cup,
    Pump,
    Seal,
    hold_use,
    implicit_spring,
    mobility_at,
    ring_seal,
    vacuum_at_leak,
)
from pickcell_sim.world import SimWorld

SLIDE_FORCE_N = 8.0
"""Thrust of the pneumatic slide: what the cup presses with, over its whole stroke. Overtravel does not crush."""
SLIDE_SPEED_MPS = 0.6
SLIDE_TIME_S = 0.02
PRESS_MIN_N = 1.0
PRESS_STEPS = 2
SEAL_MIN_PA = 5_000.0
"""Below this steady vacuum the lip has not sealed on anything."""
EVACUATE_S = 0.05
VENT_S = 0.02
"""Time constants of the line: sucking the cup empty, and blowing it off."""
BREAK_S = 0.008
RELEASE_PA = 2_000.0
OPEN_LINE_PA = 1_500.0
"""Vacuum that the open line itself keeps up while the pump runs."""
PRESSURE_NOISE_PA = 150.0
OTHERS_MAX = np.array([0.5, 0.5, 0.5, 10.0, 10.0, 10.0])
"""Bound on the velocity change per step (m/s, rad/s) expected from other forces: an impact is not extrapolated."""
RIM_RAYS = 24
RAY_BEHIND_M = 0.006
RAY_AHEAD_M = 0.012
ROBOT_GROUP = 64
"""Collision group of the robot, so that rays from inside the cup see items and furniture only."""


@dataclass
class _Hold:
    """What hangs on the cup."""

    body: int
    X_body_anchor: Pose
    """Where the lip was on the body (its inertial frame) when it sealed."""
    seal: Seal
    inverse_mass: float
    inverse_inertia: NDArray[np.float64]
    """(3,) about the body's principal axes."""
    violated_s: float = 0.0
    others: _OtherForces | None = None
    wrench: NDArray[np.float64] | None = None
    """(6,) what the item pulls with, in the lip's axes."""
    use: tuple[float, float] = (0.0, 0.0)


@dataclass
class _OtherForces:
    """Observes what everything but the spring (gravity, contacts, the moving arm) does to the relative velocity.

    Without it the implicit spring would take a held item that also rests on something for a free one, and be too soft.
    """

    velocity: NDArray[np.float64]
    pull: NDArray[np.float64]
    """(6,) velocity change that the spring was expected to make in the step after ``velocity`` was read."""

    def velocity_change(self, velocity: NDArray[np.float64]) -> NDArray[np.float64]:
        """(6,) change over one step that is not the spring's, from the newest relative velocity; bounded."""
        return np.clip(velocity - self.velocity - self.pull, -OTHERS_MAX, OTHERS_MAX)


class SuctionCup:
    """Call :meth:`control` before and :meth:`observe` after each physics step."""

    def __init__(self, world: SimWorld, rng: np.random.Generator, cup: Cup | None = None, pump: Pump | None = None) -> None:
        self._world = world
        self._robot = world.robot
        self._rng = rng
        hand = world.cell.hand
        self.cup = cup or Cup(radius_m=hand.cup_radius_m)
        self.pump = pump or Pump()
        self._link = self._robot.link("cup_link")
        self._slide = self._robot.joints[hand.cup_joint]
        self._stroke = hand.cup_stroke_m
        info = p.getDynamicsInfo(self._robot.body, self._link, physicsClientId=world.client)
        self._slide_mass = float(info[0])
        self.on = False
        self.vacuum_pa = 0.0
        self._hold: _Hold | None = None
        self._pressed_steps = 0
        self.last_break = ""
        """How the last hold ended: ``peel``, ``slip``, ``released``; empty before."""
        for link in range(-1, p.getNumJoints(self._robot.body, physicsClientId=world.client)):
            p.setCollisionFilterGroupMask(self._robot.body, link, ROBOT_GROUP, -1, physicsClientId=world.client)

    # -- commands and readings ---------------------------------------------------------------------------------------
    def set_vacuum(self, on: bool) -> None:
        """Switch the pump; the slide extends with it and retracts after it."""
        self.on = on

    @property
    def slide_m(self) -> float:
        return float(p.getJointState(self._robot.body, self._slide, physicsClientId=self._world.client)[0])

    @property
    def pressure_pa(self) -> float:
        """One reading of the absolute pressure in the line."""
        vacuum = max(self.vacuum_pa, OPEN_LINE_PA if self.on else 0.0)
        return AMBIENT_PA - vacuum + float(self._rng.normal(0.0, PRESSURE_NOISE_PA))

    # -- truth: for the scorer and tests -----------------------------------------------------------------------------
    @property
    def held_body(self) -> int | None:
        """The body on the cup, None when there is none. Ground truth."""
        return self._hold.body if self._hold else None

    @property
    def held_wrench(self) -> NDArray[np.float64]:
        """(6,) load on the cup in the lip's axes, +z away from the cup. Ground truth."""
        return np.zeros(6) if self._hold is None or self._hold.wrench is None else self._hold.wrench

    @property
    def use(self) -> tuple[float, float]:
        """Share of the peel and slip limits in use. Ground truth."""
        return self._hold.use if self._hold else (0.0, 0.0)

    # -- each step ---------------------------------------------------------------------------------------------------
    def control(self) -> None:
        """Drive the slide, let the pressure follow, and pull at what is held."""
        self._drive_slide()
        self._update_pressure()
        if self._hold is not None:
            self._pull(self._hold)

    def observe(self) -> None:
        """After a step: seal on what the cup is pressed on, or give way."""
        if self._hold is not None:
            self._judge(self._hold)
        elif self.on:
            self._try_to_seal()

    def _drive_slide(self) -> None:
        target = self._stroke if self.on or self._hold is not None else 0.0  # a valve lets it retract after the release
        speed = float(np.clip((target - self.slide_m) / SLIDE_TIME_S, -SLIDE_SPEED_MPS, SLIDE_SPEED_MPS))
        p.setJointMotorControl2(
            self._robot.body,
            self._slide,
            p.VELOCITY_CONTROL,
            targetVelocity=speed,
            force=SLIDE_FORCE_N,
            physicsClientId=self._world.client,
        )

    def _update_pressure(self) -> None:
        target, time_s = 0.0, VENT_S
        if self.on:
            gap = self._hold.seal.gap_m if self._hold else np.inf
            target = vacuum_at_leak(gap, self.cup.radius_m, self.pump) if np.isfinite(gap) else 0.0
            time_s = EVACUATE_S if self._hold else VENT_S
        self.vacuum_pa += (1.0 - np.exp(-self._world.step_s / time_s)) * (target - self.vacuum_pa)

    # -- sealing -----------------------------------------------------------------------------------------------------
    def _try_to_seal(self) -> None:
        body = self._pressed_body()
        self._pressed_steps = self._pressed_steps + 1 if body is not None else 0
        if body is None or self._pressed_steps < PRESS_STEPS:
            return
        X_world_lip = self._robot.X_world_link("cup_link")
        seal = ring_seal(self._rim_heights(X_world_lip, body), self.cup.radius_m, self.cup.conformity_m)
        steady = vacuum_at_leak(seal.gap_m, self.cup.radius_m, self.pump)
        if seal.tilt_rad <= self.cup.tilt_max_rad and steady >= SEAL_MIN_PA:
            self._attach(body, X_world_lip, seal)

    def _pressed_body(self) -> int | None:
        """The body that pushes hardest against the cup, if it does so with at least the least pressing force."""
        forces: dict[int, float] = {}
        for contact in p.getContactPoints(self._robot.body, linkIndexA=self._link, physicsClientId=self._world.client):
            forces[contact[2]] = forces.get(contact[2], 0.0) + contact[9]
        body = max(forces, key=forces.__getitem__, default=None)
        return body if body is not None and forces[body] >= PRESS_MIN_N else None

    def _rim_heights(self, X_world_lip: Pose, body: int) -> NDArray[np.float64]:
        """(24,) height of ``body``'s surface over the lip's plane round the rim; NaN where another body or none is hit."""
        angles = np.linspace(0.0, 2 * np.pi, RIM_RAYS, endpoint=False)
        rim = self.cup.radius_m * np.column_stack([np.cos(angles), np.sin(angles), np.zeros(RIM_RAYS)])
        R, t = X_world_lip[:3, :3], X_world_lip[:3, 3]
        starts = (rim - np.array([0, 0, RAY_BEHIND_M])) @ R.T + t
        ends = (rim + np.array([0, 0, RAY_AHEAD_M])) @ R.T + t
        hits = p.rayTestBatch(
            starts.tolist(), ends.tolist(), collisionFilterMask=~ROBOT_GROUP, physicsClientId=self._world.client
        )
        length = RAY_BEHIND_M + RAY_AHEAD_M
        return np.array([h[2] * length - RAY_BEHIND_M if h[0] == body else np.nan for h in hits])

    def _attach(self, body: int, X_world_lip: Pose, seal: Seal) -> None:
        info = p.getDynamicsInfo(body, -1, physicsClientId=self._world.client)
        mass, inertia = float(info[0]), np.array(info[2])
        fixed = mass == 0.0
        self._hold = _Hold(
            body,
            inverse(self._X_world_body(body)) @ X_world_lip,
            seal,
            0.0 if fixed else 1.0 / mass,
            np.zeros(3) if fixed else 1.0 / np.maximum(inertia, 1e-9),
        )
        self._collide(body, False)

    def _collide(self, body: int, active: bool) -> None:
        """While held, the spring alone acts between cup and item."""
        p.setCollisionFilterPair(body, self._robot.body, -1, self._link, int(active), physicsClientId=self._world.client)

    def _X_world_body(self, body: int) -> Pose:
        position, orientation = p.getBasePositionAndOrientation(body, physicsClientId=self._world.client)
        return pose_from_quat_xyzw(position, orientation)

    # -- holding -----------------------------------------------------------------------------------------------------
    def _pull(self, hold: _Hold) -> None:
        """Apply the spring's force to the item and its reaction to the cup."""
        client = self._world.client
        self._world.hold_awake(hold.body)
        state = p.getLinkState(
            self._robot.body, self._link, computeLinkVelocity=True, computeForwardKinematics=True, physicsClientId=client
        )
        X_world_lip = pose_from_quat_xyzw(state[4], state[5])
        X_world_body = self._X_world_body(hold.body)
        X_world_anchor = X_world_body @ hold.X_body_anchor
        R = X_world_lip[:3, :3]
        arm = X_world_anchor[:3, 3] - X_world_body[:3, 3]

        X_lip_anchor = inverse(X_world_lip) @ X_world_anchor
        turn = Rotation.from_matrix(X_lip_anchor[:3, :3]).as_rotvec()
        linear, angular = (np.array(v) for v in p.getBaseVelocity(hold.body, physicsClientId=client))
        cup_linear, cup_angular = np.array(state[6]), np.array(state[7])
        lip_velocity = cup_linear + np.cross(cup_angular, X_world_anchor[:3, 3] - np.array(state[0]))
        velocity = np.concatenate([R.T @ (linear + np.cross(angular, arm) - lip_velocity), R.T @ (angular - cup_angular)])
        R_lip_body = R.T @ X_world_body[:3, :3]
        mobility = mobility_at(hold.inverse_mass, R_lip_body @ np.diag(hold.inverse_inertia) @ R_lip_body.T, R.T @ arm)
        mobility[2, 2] += self._slide_mobility()
        displacement = np.concatenate([X_lip_anchor[:3, 3], turn])
        others = hold.others.velocity_change(velocity) if hold.others else np.zeros(6)
        force = implicit_spring(self.cup, displacement, velocity + others, mobility, self._world.step_s)
        hold.others = _OtherForces(velocity, self._world.step_s * mobility @ force)
        self._apply(hold.body, force, R, X_world_anchor[:3, 3])
        hold.wrench = -force
        hold.use = hold_use(hold.wrench, self.vacuum_pa, self.cup)

    def _slide_mobility(self) -> float:
        """The light slide yields as well as the item, unless it rests against its outer stop."""
        return 0.0 if self.slide_m > self._stroke - 3e-4 else 1.0 / self._slide_mass

    def _apply(self, body: int, force: NDArray[np.float64], R: NDArray[np.float64], point: NDArray[np.float64]) -> None:
        """``force`` (6,) in the lip's axes on the body at ``point``, and the opposite on the cup."""
        client, where = self._world.client, point.tolist()
        push, twist = R @ force[:3], R @ force[3:]
        p.applyExternalForce(body, -1, push.tolist(), where, p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(body, -1, twist.tolist(), p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalForce(self._robot.body, self._link, (-push).tolist(), where, p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(self._robot.body, self._link, (-twist).tolist(), p.WORLD_FRAME, physicsClientId=client)

    def _judge(self, hold: _Hold) -> None:
        """Let go when the vacuum is gone, or when the load has been over a limit for long enough."""
        if not self.on and self.vacuum_pa < RELEASE_PA:
            self._let_go("released")
            return
        hold.violated_s = hold.violated_s + self._world.step_s if max(hold.use) > 1.0 else 0.0
        if hold.violated_s >= BREAK_S:
            if not self.on:
                self._let_go("released")
            else:
                self._let_go("peel" if hold.use[0] > 1.0 else "slip")

    def _let_go(self, why: str) -> None:
        assert self._hold is not None
        self._collide(self._hold.body, True)
        self._world.release(self._hold.body)
        self._hold = None
        self._pressed_steps = 0
        self.last_break = why
