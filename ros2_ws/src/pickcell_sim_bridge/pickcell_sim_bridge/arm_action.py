"""``/arm_controller/follow_joint_trajectory`` over the simulator's arm controller, with ros2_control's manners.

A new goal replaces the running one, which ends as aborted. Cancelling brakes the arm along its path; the goal ends as
cancelled once it stands. Tolerances of the goal come on top of the controller's own, which are the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.action import ActionServer, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectoryPoint

from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from pickcell.values import JointTrajectory
from pickcell_conversions.drivers import MessageError, duration_msg, seconds, time_msg, trajectory_from_msg
from pickcell_sim.robot.arm import ArmState, GoalRejectedError
from pickcell_sim_bridge.controls import Bridge
from pickcell_sim_bridge.goal_slot import GoalSlot, RunningGoal

ACTION = "/arm_controller/follow_joint_trajectory"
FEEDBACK_HZ = 20.0
Result = FollowJointTrajectory.Result


class ToleranceError(ValueError):
    """Tolerances that cannot be used: an unknown joint, a value that is not finite."""


def tolerances(messages: list[JointTolerance], joints: tuple[str, ...]) -> NDArray[np.float64]:
    """(n, 2) largest position and velocity error per joint; infinite where none is set.

    0 leaves the controller's own tolerance, which stays in force anyway; -1 lifts what the goal says (control_msgs).
    """
    out = np.full((len(joints), 2), np.inf)
    for message in messages:
        if message.name not in joints:
            raise ToleranceError(f"tolerance for '{message.name}'; the arm has {list(joints)}")
        for column, value in enumerate((message.position, message.velocity)):
            if not np.isfinite(value):
                raise ToleranceError(f"tolerance of '{message.name}' is not finite")
            if value > 0:
                out[joints.index(message.name), column] = value
    return out


def violation(
    limits: NDArray[np.float64], error: NDArray[np.float64], error_velocity: NDArray[np.float64], joints: tuple[str, ...]
) -> str:
    """Which joint is outside its tolerance and by how much; empty when none is."""
    excess = np.stack([np.abs(error), np.abs(error_velocity)], axis=1) - limits
    if not (excess > 0).any():
        return ""
    joint, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
    value = (error, error_velocity)[column][joint]
    kind, unit = (("position", "rad"), ("velocity", "rad/s"))[column]
    return f"{joints[joint]}: {kind} error {abs(value):.4f} {unit}, {limits[joint, column]:.4f} allowed"


@dataclass
class _Motion:
    """What the running goal asked for."""

    number: int
    trajectory: JointTrajectory
    start_s: float
    path: NDArray[np.float64]
    goal: NDArray[np.float64]
    goal_time_s: float
    feedback_s: float = 0.0
    fault: tuple[int, str] | None = None
    """Error code and text of a tolerance the bridge itself found violated."""
    settling_since_s: float | None = None


class ArmAction:
    """The action server. ``tick`` after each stretch of simulated time."""

    def __init__(self, node: Node, bridge: Bridge) -> None:
        self._node = node
        self._bridge = bridge
        self._joints = bridge.driver.cell.arm.joints
        self._slot = GoalSlot(
            lambda: Result(error_code=Result.INVALID_GOAL, error_string="replaced by a newer goal, as in ros2_control")
        )
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            ACTION,
            execute_callback=self._slot.execute,
            goal_callback=self._check,
            handle_accepted_callback=self._start,
            cancel_callback=self._slot.accept_cancel,
            result_timeout=60,
        )

    def reset(self) -> None:
        """The world was set up anew: a goal that was running in the old one ends."""
        goal = self._slot.current
        if goal is not None:
            self._end(goal, Result(error_code=Result.INVALID_GOAL, error_string="the scene was reset"), ArmState.ABORTED)

    def _check(self, request: FollowJointTrajectory.Goal) -> GoalResponse:
        """Reject what the controller could never follow, saying why in the log (an action cannot tell its client)."""
        try:
            if request.multi_dof_trajectory.points:
                raise MessageError("the arm has no joints with several degrees of freedom")
            trajectory = trajectory_from_msg(request.trajectory)
            if set(trajectory.joint_names) != set(self._joints):
                raise MessageError(f"the trajectory moves {list(trajectory.joint_names)}, the arm has {list(self._joints)}")
            tolerances(request.path_tolerance, self._joints)
            tolerances(request.goal_tolerance, self._joints)
            elapsed_s = self._elapsed_s(request)
            if elapsed_s >= trajectory.duration_s > 0 or elapsed_s < -0.05:
                raise MessageError(f"it starts {-elapsed_s:.2f} s from now: neither in the past nor ahead can be followed")
        except ValueError as error:
            self._node.get_logger().warning(f"trajectory rejected: {error}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _elapsed_s(self, request: FollowJointTrajectory.Goal) -> float:
        """How far into the trajectory the arm should be now. A zero stamp means: starts on receipt."""
        stamp_s = seconds(request.trajectory.header.stamp)
        return 0.0 if stamp_s == 0.0 else self._bridge.driver.now_s - stamp_s

    def _start(self, handle: ServerGoalHandle) -> None:
        goal = self._slot.take(handle)
        self._bridge.wake()
        request = handle.request
        trajectory = trajectory_from_msg(request.trajectory)
        elapsed_s = max(0.0, self._elapsed_s(request))
        try:
            number = self._bridge.driver.follow(trajectory, elapsed_s)
        except GoalRejectedError as error:
            self._bridge.driver.stop()  # the goal this one was to replace has ended: nobody follows its motion any more
            self._end(goal, Result(error_code=Result.INVALID_GOAL, error_string=str(error)), ArmState.ABORTED)
            return
        goal.data = _Motion(
            number=number,
            trajectory=trajectory,
            start_s=self._bridge.driver.now_s - elapsed_s,
            path=tolerances(request.path_tolerance, self._joints),
            goal=tolerances(request.goal_tolerance, self._joints),
            goal_time_s=max(0.0, seconds(request.goal_time_tolerance)),
        )

    def tick(self) -> None:
        """Pass a cancel request on, watch the tolerances, end the goal when the controller has."""
        goal = self._slot.current
        if goal is None or goal.data is None:
            return
        motion: _Motion = goal.data
        if goal.handle.is_cancel_requested and not goal.cancel_passed_on:
            goal.cancel_passed_on = True
            self._bridge.driver.stop()
        status = self._bridge.driver.arm_status
        if not status.done:
            self._watch(motion)
            self._feedback(goal.handle, motion)
            return
        self._judge(goal, motion, status.state, status.text)

    def _watch(self, motion: _Motion) -> None:
        """Stop the arm when it leaves the goal's path tolerance; the controller's own tolerance aborts by itself."""
        if motion.fault is None and np.isfinite(motion.path).any():
            desired, actual, velocity, desired_velocity = self._state(motion)
            if text := violation(motion.path, actual - desired, velocity - desired_velocity, self._joints):
                motion.fault = (Result.PATH_TOLERANCE_VIOLATED, text)
                self._bridge.driver.stop()

    def _judge(self, goal: RunningGoal, motion: _Motion, state: ArmState, text: str) -> None:
        """The controller is done with the goal: translate how."""
        if motion.fault is not None:
            self._end(goal, Result(error_code=motion.fault[0], error_string=motion.fault[1]), ArmState.ABORTED)
        elif state is ArmState.SUCCEEDED:
            self._judge_goal(goal, motion)
        elif state is ArmState.STOPPED:
            self._end(goal, Result(error_code=Result.SUCCESSFUL, error_string="cancelled; the arm stands still"), state)
        else:
            code = Result.GOAL_TOLERANCE_VIOLATED if "short of the goal" in text else Result.PATH_TOLERANCE_VIOLATED
            self._end(goal, Result(error_code=code, error_string=text), ArmState.ABORTED)

    def _judge_goal(self, goal: RunningGoal, motion: _Motion) -> None:
        """Within the controller's tolerance; the goal may ask for more, within its own time."""
        desired, actual, velocity, _ = self._state(motion)
        text = violation(motion.goal, actual - desired, velocity, self._joints)
        if not text:
            self._end(goal, Result(error_code=Result.SUCCESSFUL), ArmState.SUCCEEDED)
            return
        now_s = self._bridge.driver.now_s
        motion.settling_since_s = motion.settling_since_s or now_s
        if now_s - motion.settling_since_s >= motion.goal_time_s:
            self._end(goal, Result(error_code=Result.GOAL_TOLERANCE_VIOLATED, error_string=text), ArmState.ABORTED)

    def _end(self, goal: RunningGoal, result: Result, state: ArmState) -> None:
        self._slot.release(goal)
        if state is ArmState.SUCCEEDED and not goal.handle.is_cancel_requested:
            goal.succeed(result)
        else:
            goal.abort(result)

    def _state(self, motion: _Motion) -> tuple[NDArray[np.float64], ...]:
        """Desired and actual position, actual and desired velocity, in the arm's joint order."""
        joints = self._bridge.driver.joint_states()
        index = [joints.names.index(name) for name in self._joints]
        desired, desired_velocity = self._bridge.driver.arm_setpoint
        return desired, joints.positions[index], joints.velocities[index], desired_velocity

    def _feedback(self, handle: ServerGoalHandle, motion: _Motion) -> None:
        now_s = self._bridge.driver.now_s
        if now_s - motion.feedback_s < 1.0 / FEEDBACK_HZ:
            return
        motion.feedback_s = now_s
        desired, actual, velocity, desired_velocity = self._state(motion)
        since = duration_msg(now_s - motion.start_s)

        def point(position: NDArray[np.float64], speed: NDArray[np.float64]) -> JointTrajectoryPoint:
            return JointTrajectoryPoint(positions=position.tolist(), velocities=speed.tolist(), time_from_start=since)

        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._joints))
        feedback.header.stamp = time_msg(now_s)
        feedback.desired = point(desired, desired_velocity)
        feedback.actual = point(actual, velocity)
        feedback.error = point(desired - actual, desired_velocity - velocity)
        handle.publish_feedback(feedback)
