"""The parallel jaw: two force-limited pads that a gear keeps symmetric, with the stall detection of a real driver."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
import pybullet as p

from pickcell.values import JawState
from pickcell_sim.robot.body import RobotBody
from pickcell_sim.world import StepClock

PAD_STIFFNESS = 3e4
PAD_DAMPING = 120.0
PAD_FRICTION = 1.0
"""PyBullet multiplies this with the item's coefficient."""
SPEED_MPS = 0.15
"""Largest speed of each pad."""
APPROACH_S = 0.02
"""The pads slow down towards the commanded width with this time constant."""
STALL_SPEED_MPS = 0.003
STALL_S = 0.08
WIDTH_TOLERANCE_M = 0.001
GEAR_FORCE_N = 2000.0
FORCE_MIN_N = 2.0
OPENING_FORCE_MAX_N = 10.0
"""The firmware opens with no more, so that opening against a wall does not push the arm away."""
WIDTH_NOISE_M = 5e-5
FORCE_FILTER_S = 0.025
"""Time constant of the force estimate."""
WIDTH_FILTER_S = 0.0145
"""Time constant of the width by which a stall is judged, so that the jitter of a contact does not count as motion."""
FORCE_NOISE = 0.03
"""Relative error of the force estimate, drawn anew for each reading."""


@dataclass(frozen=True)
class JawCommand:
    width_m: float
    force_n: float


class Jaw:
    """Call :meth:`control` before and :meth:`observe` after each physics step."""

    def __init__(self, robot: RobotBody, clock: StepClock, rng: np.random.Generator) -> None:
        self._robot = robot
        self._clock = clock
        self._rng = rng
        hand = robot.cell.hand
        self._indices = [robot.joints[n] for n in hand.jaw_joints]
        self.width_max_m = hand.opening_max_m
        self.force_max_n = hand.pinch_force_max_n
        self.command = JawCommand(self.width_max_m, self.force_max_n)
        self._still_s = 0.0
        self._pad_force_n = 0.0
        self._slow_width_m = 0.0
        self._gear()
        for name, index in zip(("finger_left_link", "finger_right_link"), self._indices):
            p.resetJointState(robot.body, index, 0.5 * self.width_max_m, physicsClientId=robot.client)
            p.changeDynamics(
                robot.body,
                robot.links[name],
                lateralFriction=PAD_FRICTION,
                contactStiffness=PAD_STIFFNESS,
                contactDamping=PAD_DAMPING,
                physicsClientId=robot.client,
            )
        self.width_m = self.width_max_m
        self.speed_mps = 0.0

    def _gear(self) -> None:
        """Both pads at the same distance from the centre plane: without it they drift off together under any side load."""
        left, right = self._indices
        body, client = self._robot.body, self._robot.client
        gear = p.createConstraint(
            body, left, body, right, p.JOINT_GEAR, [1, 0, 0], [0, 0, 0], [0, 0, 0], physicsClientId=client
        )
        p.changeConstraint(gear, gearRatio=-1, erp=0.3, maxForce=GEAR_FORCE_N, physicsClientId=client)

    # -- commands ----------------------------------------------------------------------------------------------------
    def move(self, width_m: float, force_n: float) -> None:
        """Go to a width with at most this force per pad. Out-of-range values are clipped, as grippers' firmware does."""
        if not (np.isfinite(width_m) and np.isfinite(force_n)):
            raise ValueError(f"the jaw needs a finite width and force, got {width_m} m and {force_n} N")
        width = float(np.clip(width_m, 0.0, self.width_max_m))
        limit = OPENING_FORCE_MAX_N if width > self.width_m else self.force_max_n
        self.command = JawCommand(width, float(np.clip(force_n, FORCE_MIN_N, limit)))
        self._still_s = 0.0

    @property
    def at_goal(self) -> bool:
        return abs(self.width_m - self.command.width_m) <= WIDTH_TOLERANCE_M

    @property
    def stalled(self) -> bool:
        return self._still_s >= STALL_S and not self.at_goal

    @property
    def moving(self) -> bool:
        return self._still_s < STALL_S and not (self.at_goal and abs(self.speed_mps) < 2 * STALL_SPEED_MPS)

    def state(self, stamp_s: float) -> JawState:
        """What the driver reports: width with encoder noise, force estimated from the motor current."""
        width = self.width_m + self._rng.normal(0.0, WIDTH_NOISE_M)
        force = self._pad_force_n * (1.0 + self._rng.normal(0.0, FORCE_NOISE))
        return JawState(stamp_s, max(0.0, float(width)), max(0.0, float(force)), self.moving, self.stalled)

    # -- each step ---------------------------------------------------------------------------------------------------
    def control(self) -> None:
        """Velocity-limited motion to the commanded width, at most with the commanded force per pad."""
        target = 0.5 * self.command.width_m
        speeds = []
        for index in self._indices:
            position = self._robot.states[index][0]
            speeds.append(max(-SPEED_MPS, min(SPEED_MPS, (target - position) / APPROACH_S)))
        p.setJointMotorControlArray(
            self._robot.body,
            self._indices,
            p.VELOCITY_CONTROL,
            targetVelocities=speeds,
            forces=[self.command.force_n] * 2,
            physicsClientId=self._robot.client,
        )

    def observe(self) -> None:
        """Width, speed, stall and force after a step."""
        left, right = (self._robot.states[index] for index in self._indices)
        self.width_m = left[0] + right[0]
        self.speed_mps = left[1] + right[1]
        # The motors push with their limit when stalled and next to nothing when free, like the current of a real drive.
        effort = 0.5 * (abs(left[3]) + abs(right[3]))
        self._pad_force_n += self._share(FORCE_FILTER_S) * (effort - self._pad_force_n)
        before = self._slow_width_m
        self._slow_width_m += self._share(WIDTH_FILTER_S) * (self.width_m - self._slow_width_m)
        if abs(self._slow_width_m - before) / self._clock.step_s < STALL_SPEED_MPS:
            self._still_s += self._clock.step_s
        else:
            self._still_s = 0.0

    def _share(self, time_s: float) -> float:
        """What a filter of this time constant takes over in one physics step, whatever its length."""
        return 1.0 - exp(-self._clock.step_s / time_s)
