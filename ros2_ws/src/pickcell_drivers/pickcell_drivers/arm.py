"""The arm over ``/arm_controller/follow_joint_trajectory``, watched while it moves."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from rclpy.node import Node

from control_msgs.action import FollowJointTrajectory
from pickcell.cell import CellConfig
from pickcell.outcome import Code, Outcome
from pickcell.ports import StopWhen
from pickcell.values import JointTrajectory, RobotReading
from pickcell_conversions.drivers import duration_msg, trajectory_to_msg
from pickcell_drivers.action_calls import call_service, wait_future, wait_server
from pickcell_drivers.clock import Deadline, RosClock
from pickcell_drivers.readings import RobotReadings
from pickcell_node.action_client import ThreadedActionClient

ACTION = "/arm_controller/follow_joint_trajectory"


@dataclass(frozen=True)
class ArmLimits:
    """Times in seconds, speeds in rad/s."""

    server_wait_s: float = 2.0
    """Wall time to wait for the controller to be there and to accept."""
    goal_time_tolerance_s: float = 1.0
    """Cell time the controller gets to settle after the last point."""
    overtime_s: float = 2.0
    """Cell time after that, in which it must have answered."""
    stop_s: float = 2.0
    """Cell time within which a stopped arm must stand still."""
    still_speed: float = 0.01
    """Largest joint speed of an arm that stands still."""
    still_readings: int = 3
    """As many readings in a row must be that slow."""
    silence_s: float = 0.1
    """Wall time without any reading after which their age is checked again."""


class RosArm:
    """:class:`pickcell.ports.ArmPort`. One motion at a time: a second ``execute`` meanwhile is a caller's mistake."""

    def __init__(
        self,
        node: Node,
        cell: CellConfig,
        readings: RobotReadings,
        clock: RosClock | None = None,
        limits: ArmLimits | None = None,
    ) -> None:
        self._node = node
        self._joints = cell.arm.joints
        self._readings = readings
        self._clock = clock or RosClock(node)
        self.limits = limits or ArmLimits()
        self._client = ThreadedActionClient(node, FollowJointTrajectory, ACTION)
        self._cancel_client = node.create_client(CancelGoal, f"{ACTION}/_action/cancel_goal")
        self._moving = threading.Lock()
        self._stop_asked = threading.Event()

    def execute(self, trajectory: JointTrajectory, stop_when: StopWhen | None = None) -> Outcome[str]:
        """See :meth:`pickcell.ports.ArmPort.execute`. ``stop_when`` sees every new reading, 100 times a second and more."""
        if set(trajectory.joint_names) != set(self._joints):
            raise ValueError(f"trajectory moves {list(trajectory.joint_names)}; the arm has {list(self._joints)}")
        if not self._moving.acquire(blocking=False):
            raise RuntimeError("execute() while another motion runs: one motion at a time")
        try:
            self._stop_asked.clear()
            blocked = self._blocked(self._readings.reading())
            if not blocked.ok:
                return blocked.failed_as()
            return self._run(trajectory, stop_when)
        finally:
            self._moving.release()

    def stop(self) -> None:
        """Stop whatever the controller is doing, also a motion that somebody else started. Returns once it was told."""
        self._stop_asked.set()
        self._cancel_all()

    def _cancel_all(self) -> bool:
        """Cancel every goal of the controller (goal id and stamp zero, see action_msgs/CancelGoal)."""
        return call_service(self._cancel_client, CancelGoal.Request(), 0.5) is not None

    def _run(self, trajectory: JointTrajectory, stop_when: StopWhen | None) -> Outcome[str]:
        goal = FollowJointTrajectory.Goal()
        goal.trajectory = trajectory_to_msg(trajectory)
        goal.goal_time_tolerance = duration_msg(self.limits.goal_time_tolerance_s)
        if not wait_server(self._client, self.limits.server_wait_s):
            return Outcome.failure(Code.NODE_LOST, f"Nobody offers {ACTION}.")
        sending = self._client.send_goal_async(goal)
        if not wait_future(sending, self.limits.server_wait_s):
            self._cancel_all()  # it may have been accepted after all
            return Outcome.failure(Code.NODE_LOST, f"{ACTION} did not answer.")
        handle = sending.result()
        if not handle.accepted:
            return Outcome.failure(Code.MOTION_ABORTED, "The controller rejected the trajectory.")
        result = handle.get_result_async()
        finished = threading.Event()
        result.add_done_callback(lambda _: finished.set())
        verdict = self._watch(trajectory, stop_when, finished)
        if verdict is None:
            return self._judge(result.result())
        handle.cancel_goal_async()
        finished.wait(self.limits.stop_s)
        if not self._wait_still() and verdict.code is not Code.NODE_LOST:
            return Outcome.failure(Code.MOTION_ABORTED, f"The arm did not come to rest. {verdict.text}")
        return verdict

    def _watch(
        self, trajectory: JointTrajectory, stop_when: StopWhen | None, finished: threading.Event
    ) -> Outcome[str] | None:
        """Follow the motion. None when the controller has finished by itself, else why the arm must stop now."""
        limits = self.limits
        deadline = Deadline(self._clock, trajectory.duration_s + limits.goal_time_tolerance_s + limits.overtime_s)
        sequence = -1
        while not finished.is_set():
            sequence = self._readings.wait(sequence, limits.silence_s)
            if self._stop_asked.is_set():
                return Outcome.failure(Code.CANCELLED, "The arm was told to stop.")
            outcome = self._readings.reading()
            blocked = self._blocked(outcome)
            if not blocked.ok:
                return blocked.failed_as()
            said = stop_when(outcome.unwrap()) if stop_when is not None else None
            if said is not None:
                return Outcome.success(said)
            if deadline.passed() and not finished.is_set():
                return Outcome.failure(Code.MOTION_ABORTED, "The controller did not finish in time.")
        return None

    @staticmethod
    def _blocked(outcome: Outcome[RobotReading]) -> Outcome[None]:
        """A failure when the arm must not move: no fresh readings, or a stop is active."""
        if not outcome.ok:
            return outcome.failed_as()
        reading = outcome.unwrap()
        if reading.estop:
            return Outcome.failure(Code.ESTOP)
        if reading.protective_stop:
            return Outcome.failure(Code.PROTECTIVE_STOP)
        return Outcome.success(None)

    def _judge(self, response: FollowJointTrajectory.Impl.GetResultService.Response | None) -> Outcome[str]:
        """The controller's answer as an outcome; a stop that came with it says so."""
        if response is not None and response.status == GoalStatus.STATUS_SUCCEEDED:
            return Outcome.success("")
        self._wait_still()
        blocked = self._blocked(self._readings.reading())
        if not blocked.ok:
            return blocked.failed_as()
        if self._stop_asked.is_set() or (response is not None and response.status == GoalStatus.STATUS_CANCELED):
            return Outcome.failure(Code.CANCELLED, "The motion was cancelled.")
        detail = response.result.error_string if response is not None else ""
        return Outcome.failure(Code.MOTION_ABORTED, detail)

    def _wait_still(self) -> bool:
        """Wait until the arm stands still. False when it does not in time, or nothing is heard of it."""
        deadline = Deadline(self._clock, self.limits.stop_s, wall_s=self.limits.stop_s * 4)
        sequence, still, stamp = -1, 0, -np.inf
        while not deadline.passed():
            sequence = self._readings.wait(sequence, self.limits.silence_s)
            outcome = self._readings.reading()
            if not outcome.ok:
                return False
            joints = outcome.unwrap().joints
            if joints.stamp_s <= stamp:
                continue
            stamp = joints.stamp_s
            index = [joints.names.index(name) for name in self._joints]
            slow = bool(np.all(np.abs(np.nan_to_num(joints.velocities[index])) < self.limits.still_speed))
            still = still + 1 if slow else 0
            if still >= self.limits.still_readings:
                return True
            time.sleep(0)
        return False
