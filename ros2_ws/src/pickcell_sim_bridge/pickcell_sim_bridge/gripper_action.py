"""``/gripper_controller/gripper_cmd`` over the simulator's jaw, as ros2_controllers' parallel gripper with stalling allowed.

One joint is commanded: the cell's first jaw joint, whose position is its pad's distance from the centre plane (half the
width between the pads); the other is geared to it. ``effort``: largest force per pad; without one, the hand's largest. The
goal succeeds at the setpoint (``reached_goal``) or when the jaw rests against something (``stalled``); it keeps pressing.
"""

from __future__ import annotations

import math

from rclpy.action import ActionServer, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from sensor_msgs.msg import JointState

from control_msgs.action import ParallelGripperCommand
from pickcell_conversions.drivers import time_msg
from pickcell_sim_bridge.controls import Bridge
from pickcell_sim_bridge.goal_slot import GoalSlot

ACTION = "/gripper_controller/gripper_cmd"
FEEDBACK_HZ = 10.0
MIN_RUN_S = 0.03
"""The jaw needs a moment to get going before its rest means anything."""
Result = ParallelGripperCommand.Result


class GripperAction:
    """The action server. ``tick`` after each stretch of simulated time."""

    def __init__(self, node: Node, bridge: Bridge) -> None:
        self._node = node
        self._bridge = bridge
        self._joint = bridge.driver.cell.hand.jaw_joints[0]
        self._opening_max_m = bridge.driver.cell.hand.opening_max_m
        self._force_max_n = bridge.driver.cell.hand.pinch_force_max_n
        self._started_s = 0.0
        self._feedback_s = 0.0
        self._slot = GoalSlot(self._result)
        self._server = ActionServer(
            node,
            ParallelGripperCommand,
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
            self._slot.release(goal)
            goal.abort(self._result())

    def _check(self, request: ParallelGripperCommand.Goal) -> GoalResponse:
        command = request.command
        values = [*command.position, *command.effort]
        fault = ""
        if len(command.position) != 1 or len(command.effort) > 1:
            fault = f"one position and at most one effort are expected, got {len(command.position)}, {len(command.effort)}"
        elif list(command.name) not in ([], [self._joint]):
            fault = f"joint '{self._joint}' is commanded, got {list(command.name)}"
        elif not all(map(math.isfinite, values)) or any(effort <= 0 for effort in command.effort):
            fault = "position and effort must be finite and the effort positive"
        if fault:
            self._node.get_logger().warning(f"gripper command rejected: {fault}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _start(self, handle: ServerGoalHandle) -> None:
        self._slot.take(handle)
        self._bridge.wake()
        command = handle.request.command
        width = min(max(2.0 * command.position[0], 0.0), self._opening_max_m)
        force = command.effort[0] if len(command.effort) else self._force_max_n
        self._started_s = self._bridge.driver.now_s
        self._bridge.driver.move_jaw(width, min(float(force), self._force_max_n))

    def tick(self) -> None:
        """End the goal when the jaw is there, stalled, or the goal was cancelled."""
        goal = self._slot.current
        if goal is None:
            return
        if goal.handle.is_cancel_requested:
            jaw = self._bridge.driver.jaw_state()
            self._bridge.driver.move_jaw(jaw.width_m, self._force_max_n)  # hold where it is
            self._slot.release(goal)
            goal.cancel(self._result())
            return
        now_s = self._bridge.driver.now_s
        jaw = self._bridge.driver.jaw_state()
        if not jaw.moving and now_s - self._started_s > MIN_RUN_S:
            self._slot.release(goal)
            goal.succeed(self._result(reached=not jaw.stalled, stalled=jaw.stalled))
        elif now_s - self._feedback_s >= 1.0 / FEEDBACK_HZ:
            self._feedback_s = now_s
            goal.handle.publish_feedback(ParallelGripperCommand.Feedback(state=self._joint_state()))

    def _result(self, reached: bool = False, stalled: bool = False) -> Result:
        return Result(state=self._joint_state(), stalled=stalled, reached_goal=reached)

    def _joint_state(self) -> JointState:
        jaw = self._bridge.driver.jaw_state()
        state = JointState(name=[self._joint], position=[0.5 * jaw.width_m], effort=[jaw.force_n])
        state.header.stamp = time_msg(jaw.stamp_s)
        return state
