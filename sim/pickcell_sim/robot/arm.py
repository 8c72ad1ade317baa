"""The arm's controller: tracks timed trajectories with force-limited joint motors, as a joint trajectory controller does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.values import JointTrajectory
from pickcell_sim.robot.body import RobotBody
from pickcell_sim.robot.playback import Playback
from pickcell_sim.world import StepClock

Array = NDArray[np.float64]

POSITION_GAIN = 0.25
"""Share of the position error that the motor constraint removes in one step."""
START_TOLERANCE_RAD = 0.10
PATH_TOLERANCE_RAD = 0.05
GOAL_TOLERANCE_RAD = 0.004
GOAL_VELOCITY = 0.03
GOAL_TIME_S = 0.5
EXTERNAL_TORQUE_SHARE = 0.45
EXTERNAL_TORQUE_MIN_NM = 8.0
EXTERNAL_TORQUE_MAX_NM = 40.0
EXTERNAL_TORQUE_STEPS = 5
"""Protective stop: external torque over this share of a joint's rated effort, within the bounds, for so many steps."""

YIELD_RAD_PER_S = 0.1


class ArmState(str, Enum):
    """What has become of the newest goal."""

    IDLE = "idle"  # no goal yet
    RUNNING = "running"
    STOPPING = "stopping"  # slowing down after stop()
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"  # stands still after stop()
    ABORTED = "aborted"  # tolerance violated, emergency or protective stop: see the text


@dataclass(frozen=True)
class ArmStatus:
    """State of a goal, with a sentence for people. ``goal`` counts accepted goals from 1."""

    state: ArmState
    goal: int = 0
    text: str = ""

    @property
    def done(self) -> bool:
        return self.state not in (ArmState.RUNNING, ArmState.STOPPING)


class GoalRejectedError(ValueError):
    """A trajectory that the controller does not accept; the message says why."""


class ArmController:
    """Drives the arm's joints. Call :meth:`control` before and :meth:`observe` after each physics step."""

    def __init__(self, robot: RobotBody, clock: StepClock) -> None:
        self._robot = robot
        self._clock = clock
        self.names = robot.cell.arm.joints
        self._indices = [robot.joints[n] for n in self.names]
        self._effort = np.array([robot.effort_max[n] for n in self.names])
        self._effort_list = self._effort.tolist()
        self._position_gains = [POSITION_GAIN] * len(self.names)
        self._velocity_gains = [1.0] * len(self.names)
        self._velocity_max = np.array([robot.velocity_max[n] for n in self.names])
        self._lower = np.array([robot.lower[n] for n in self.names])
        self._upper = np.array([robot.upper[n] for n in self.names])
        self._acceleration_max = np.array(robot.cell.arm.acceleration_max)
        self._torque_limit = np.clip(EXTERNAL_TORQUE_SHARE * self._effort, EXTERNAL_TORQUE_MIN_NM, EXTERNAL_TORQUE_MAX_NM)
        self.position = robot.positions(self.names)
        self.velocity = np.zeros(len(self.names))
        self.effort = np.zeros(len(self.names))
        self.external_torque = np.zeros(len(self.names))
        """Motor torque that the arm's own weight and motion do not explain, Nm."""
        self.desired = self.position.copy()
        """(n,) what the motors are commanded to do."""
        self.desired_velocity = np.zeros(len(self.names))
        self._playback: Playback | None = None
        self._status = ArmStatus(ArmState.IDLE)
        self._late_s = 0.0
        self._overload_steps = 0
        self.estop = False
        self.protective_stop = False
        self.protective_text = ""
        """What the newest protective stop was about."""

    # -- goals -------------------------------------------------------------------------------------------------------
    @property
    def status(self) -> ArmStatus:
        return self._status

    def follow(self, trajectory: JointTrajectory, elapsed_s: float = 0.0) -> int:
        """Take a goal, replacing a running one; returns its number.

        ``elapsed_s``: how far into the trajectory the arm should be now. What is left of the difference between where the
        arm is commanded to be and the new trajectory is faded out within the joints' acceleration limits, without a jump.
        Raises GoalRejectedError when the trajectory does not fit the arm, its limits, or where the arm is, or in a stop.
        """
        if self.estop or self.protective_stop:
            raise GoalRejectedError(f"the arm is in {'emergency' if self.estop else 'protective'} stop")
        positions, velocities = self._checked(trajectory)
        playback = Playback(trajectory.times_s, positions, velocities, elapsed_s)
        start, start_velocity = playback.sample(0.0)
        gap = self.desired - start
        if np.abs(gap).max() > START_TOLERANCE_RAD:
            worst = int(np.abs(gap).argmax())
            raise GoalRejectedError(
                f"the trajectory starts {abs(gap[worst]):.3f} rad away from where {self.names[worst]} is"
            )
        playback.fade(gap, self.desired_velocity - start_velocity, self._acceleration_max)
        self._playback = playback
        self._late_s = 0.0
        self._status = ArmStatus(ArmState.RUNNING, self._status.goal + 1)
        return self._status.goal

    def stop(self) -> None:
        """Slow down along the path as fast as the joints' acceleration limits allow. No effect on an arm at rest."""
        if self._status.state is ArmState.RUNNING and self._playback is not None:
            self._playback.brake(self._acceleration_max)
            self._status = ArmStatus(ArmState.STOPPING, self._status.goal, "stopped on request")

    def set_estop(self, pressed: bool) -> None:
        """Press or release the emergency stop (stop category 1: a controlled stop, then the brakes)."""
        self.estop = pressed
        if pressed:
            self._abort("emergency stop")

    def clear_protective_stop(self) -> None:
        """A person has looked: hold where the arm is and accept goals again."""
        self.protective_stop = False
        self._hold_here()

    def _checked(self, trajectory: JointTrajectory) -> tuple[Array, Array]:
        """Positions and velocities in the controller's joint order."""
        if set(trajectory.joint_names) != set(self.names) or len(trajectory.joint_names) != len(self.names):
            raise GoalRejectedError(f"joints {list(trajectory.joint_names)} given, the arm has {list(self.names)}")
        order = [trajectory.joint_names.index(n) for n in self.names]
        positions, velocities = trajectory.positions[:, order], trajectory.velocities[:, order]
        if not (np.isfinite(positions).all() and np.isfinite(velocities).all() and np.isfinite(trajectory.times_s).all()):
            raise GoalRejectedError("the trajectory has values that are not finite")
        outside = ((positions < self._lower - 1e-3) | (positions > self._upper + 1e-3)).any(axis=0)
        fast = (np.abs(velocities) > 1.05 * self._velocity_max).any(axis=0)
        for bad, what in ((outside, "position"), (fast, "velocity")):
            if bad.any():
                raise GoalRejectedError(
                    f"the trajectory exceeds the {what} limits of {[n for n, b in zip(self.names, bad) if b]}"
                )
        return positions, velocities

    # -- each step ---------------------------------------------------------------------------------------------------
    def control(self) -> None:
        """Command the motors for the coming step."""
        previous = self.desired
        if self._playback is not None:
            self.desired, self.desired_velocity = self._playback.advance(self._clock.step_s)
        else:
            self.desired_velocity = np.zeros(len(self.names))
            if self.protective_stop:
                self.desired = self.desired - self._yielding()
        p.setJointMotorControlArray(
            self._robot.body,
            self._indices,
            p.POSITION_CONTROL,
            targetPositions=previous.tolist(),  # lists: PyBullet takes numpy arrays apart more slowly
            targetVelocities=((self.desired - previous) / self._clock.step_s).tolist(),
            positionGains=self._position_gains,
            velocityGains=self._velocity_gains,
            forces=self._effort_list,
            physicsClientId=self._robot.client,
        )

    def _yielding(self) -> Array:
        """(n,) rad per step by which a stopped arm gives way to what still presses on it, until half the limit is left."""
        load = self.external_torque / self._torque_limit
        if np.abs(load).max() < 0.5:
            return np.zeros(len(self.names))
        return YIELD_RAD_PER_S * self._clock.step_s * np.clip(load, -1.0, 1.0)

    def observe(self) -> None:
        """Read the joints after a step, and judge the goal and the loads."""
        before, speed_before = self.position, self.velocity
        states = self._robot.states
        self.position, self.velocity, self.effort = np.array(
            [(states[i][0], states[i][1], states[i][3]) for i in self._indices]
        ).T.copy()
        self._watch_loads(before, speed_before)
        if self._playback is None:
            return
        if np.abs(self.position - self.desired).max() > PATH_TOLERANCE_RAD:
            worst = int(np.abs(self.position - self.desired).argmax())
            error = abs(self.position[worst] - self.desired[worst])
            self._abort(f"{self.names[worst]} is {error:.3f} rad off its path")
            self._hold_here()
        elif self._playback.standing:
            self._playback = None
            if self._status.state is ArmState.STOPPING:
                self._status = ArmStatus(ArmState.STOPPED, self._status.goal, self._status.text)
        elif self._playback.finished and self._status.state in (ArmState.RUNNING, ArmState.STOPPING):
            self._judge_goal()

    def _judge_goal(self) -> None:
        error = float(np.abs(self.position - self.desired).max())
        if error < GOAL_TOLERANCE_RAD and np.abs(self.velocity).max() < GOAL_VELOCITY:
            self._playback = None
            self._status = ArmStatus(ArmState.SUCCEEDED, self._status.goal)
            return
        self._late_s += self._clock.step_s
        if self._late_s > GOAL_TIME_S:
            self._abort(f"{error:.4f} rad short of the goal {GOAL_TIME_S:.1f} s after the trajectory's end")
            self._hold_here()

    def _watch_loads(self, before: Array, speed_before: Array) -> None:
        """External torque = motor torque - inverse dynamics of arm and hand; latch a protective stop when it stays high."""
        acceleration = (self.velocity - speed_before) / self._clock.step_s
        model = self._robot.inverse_dynamics(self._indices, before, speed_before, acceleration)
        self.external_torque = self.effort - model
        overloaded = (np.abs(self.external_torque) > self._torque_limit).any()
        self._overload_steps = self._overload_steps + 1 if overloaded else 0
        if self._overload_steps >= EXTERNAL_TORQUE_STEPS and not self.protective_stop:
            worst = int((np.abs(self.external_torque) / self._torque_limit).argmax())
            self.protective_stop = True
            self.protective_text = f"{abs(self.external_torque[worst]):.0f} Nm from outside on {self.names[worst]}"
            self._abort(f"protective stop: {self.protective_text}")
            self._hold_here()

    def _abort(self, text: str) -> None:
        """End the goal as failed; the arm brakes on its path unless it is told to hold at once."""
        if not self._status.done:
            self._status = ArmStatus(ArmState.ABORTED, self._status.goal, text)
        if self._playback is not None:
            self._playback.brake(self._acceleration_max)

    def _hold_here(self) -> None:
        """Brake from where the arm truly is: the commanded position may lie inside an obstacle."""
        self._playback = Playback.braking(self.position, self.velocity, self._acceleration_max)
        self.desired = self.position.copy()
