"""The hybrid hand over ``/gripper_controller/gripper_cmd``, ``/vacuum/set`` and ``/vacuum/limit``.

The gripper command follows ros2_controllers' parallel gripper: one joint is commanded, the other is geared to it.
``command.name`` is the first jaw joint, ``position`` its distance from the centre plane (half the width), ``effort`` the
largest force per pad. A jaw that stalls on something ends the goal with success and ``stalled`` set, and keeps pressing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Float64
from std_srvs.srv import SetBool

from control_msgs.action import ParallelGripperCommand
from pickcell.cell import CellConfig
from pickcell.outcome import Code, Outcome
from pickcell.values import JawState
from pickcell_drivers.action_calls import call_service, wait_future, wait_server
from pickcell_drivers.clock import Deadline, RosClock
from pickcell_drivers.readings import RobotReadings
from pickcell_node.action_client import ThreadedActionClient
from pickcell_node.qos import LATCHED

GRIPPER_ACTION = "/gripper_controller/gripper_cmd"
VACUUM_SERVICE = "/vacuum/set"
VACUUM_LIMIT_TOPIC = "/vacuum/limit"
"""std_msgs/Float64, latched: most vacuum below ambient that the regulator lets through, Pa; inf: all that there is."""


@dataclass(frozen=True)
class HandLimits:
    """Times in seconds."""

    answer_s: float = 2.0
    """Wall time for the gripper to accept, and for the vacuum's valve to answer."""
    jaw_s: float = 4.0
    """Cell time for a jaw motion."""
    vented_pa: float = 2_000.0
    """Vacuum below which the cup lets go."""
    vent_s: float = 0.5
    """Cell time after which the line counts as vented whatever the sensor says."""


class RosHand:
    """:class:`pickcell.ports.HandPort`."""

    def __init__(
        self,
        node: Node,
        cell: CellConfig,
        readings: RobotReadings,
        clock: RosClock | None = None,
        limits: HandLimits | None = None,
    ) -> None:
        self._hand = cell.hand
        self._readings = readings
        self._clock = clock or RosClock(node)
        self.limits = limits or HandLimits()
        self._gripper = ThreadedActionClient(node, ParallelGripperCommand, GRIPPER_ACTION)
        self._vacuum = node.create_client(SetBool, VACUUM_SERVICE)
        self._limit = node.create_publisher(Float64, VACUUM_LIMIT_TOPIC, LATCHED)

    def set_jaw(self, width_m: float, force_n: float) -> Outcome[JawState]:
        """Move the jaw to ``width_m`` with at most ``force_n`` per pad; ends when there, or stalled on something.

        Widths beyond the hand's range are clipped to it, forces to the hand's largest. NODE_LOST when the gripper does not
        answer, TIMEOUT when it does not come to rest, ESTOP, MOTION_ABORTED when it gives up. Raises ValueError for a value
        that is not finite, or a force <= 0.
        """
        if not (np.isfinite(width_m) and np.isfinite(force_n) and force_n > 0):
            raise ValueError(f"set_jaw needs a finite width and a positive force, got {width_m} m, {force_n} N")
        width = float(np.clip(width_m, 0.0, self._hand.opening_max_m))
        before = self._readings.reading()
        if not before.ok:
            return before.failed_as()
        if before.unwrap().estop:
            return Outcome.failure(Code.ESTOP)
        self._readings.jaw_commanded(width, busy=True)
        try:
            moved = self._move_jaw(width, min(float(force_n), self._hand.pinch_force_max_n))
            if moved.ok and not moved.unwrap().stalled:
                width = moved.unwrap().width_m  # the driver may stop short of the command on its own account
            return moved
        finally:
            self._readings.jaw_commanded(width, busy=False)

    def _move_jaw(self, width_m: float, force_n: float) -> Outcome[JawState]:
        goal = ParallelGripperCommand.Goal()
        goal.command.name = [self._hand.jaw_joints[0]]
        goal.command.position = [0.5 * width_m]
        goal.command.effort = [force_n]
        if not wait_server(self._gripper, self.limits.answer_s):
            return Outcome.failure(Code.NODE_LOST, f"Nobody offers {GRIPPER_ACTION}.")
        sending = self._gripper.send_goal_async(goal)
        if not wait_future(sending, self.limits.answer_s):
            return Outcome.failure(Code.NODE_LOST, f"{GRIPPER_ACTION} did not answer.")
        handle = sending.result()
        if not handle.accepted:
            return Outcome.failure(Code.MOTION_ABORTED, "The gripper rejected the command.")
        result = handle.get_result_async()
        deadline = Deadline(self._clock, self.limits.jaw_s)
        while not wait_future(result, 0.05):
            alive = self._readings.reading()
            if not alive.ok:
                return alive.failed_as()
            if alive.unwrap().estop:
                handle.cancel_goal_async()
                return Outcome.failure(Code.ESTOP)
            if deadline.passed():
                handle.cancel_goal_async()
                return Outcome.failure(Code.TIMEOUT, f"The jaw still moves {self.limits.jaw_s:.0f} s after its command.")
        answer = result.result().result
        if not (answer.reached_goal or answer.stalled):
            return Outcome.failure(Code.MOTION_ABORTED, "The gripper gave up before it was there or stalled.")
        return self._state(stalled=bool(answer.stalled))

    def _state(self, stalled: bool) -> Outcome[JawState]:
        """The jaw from a reading taken after the driver's answer."""
        since_s = self._clock.now_s()
        deadline = Deadline(self._clock, 0.5, wall_s=2.0)
        sequence = -1
        while True:
            sequence = self._readings.wait(sequence, 0.1)
            outcome = self._readings.reading()
            if not outcome.ok:
                return outcome.failed_as()
            jaw = outcome.unwrap().jaw
            if jaw.stamp_s > since_s or deadline.passed():
                return Outcome.success(JawState(jaw.stamp_s, jaw.width_m, jaw.force_n, moving=False, stalled=stalled))

    def set_vacuum(self, on: bool, most_pa: float = math.inf) -> Outcome[None]:
        """Switch the vacuum, regulated to at most ``most_pa`` below ambient; the cup's slide extends with it and retracts
        after it, without being waited for.

        Off ends when the line is vented: the next motion would tear at the item before. NODE_LOST when the valve does not
        answer, BUSY when the hand refuses (the text says why).
        """
        self._limit.publish(Float64(data=float(most_pa)))  # obeyed all the time; there long before the cup meets anything
        before = self._readings.reading()
        response = call_service(self._vacuum, SetBool.Request(data=bool(on)), self.limits.answer_s)
        if response is None:
            return Outcome.failure(Code.NODE_LOST, f"{VACUUM_SERVICE} did not answer.")
        if not response.success:
            return Outcome.failure(Code.BUSY, f"{response.message}.")
        self._readings.vacuum_commanded(bool(on))
        if not on:
            self._wait_vented(before.unwrap().ambient_pa if before.ok else None)
        return Outcome.success(None)

    def _wait_vented(self, ambient_pa: float | None) -> None:
        """``ambient_pa`` from before the switch: the readings' own estimate follows the rising pressure from now on."""
        deadline, sequence = Deadline(self._clock, self.limits.vent_s), -1
        while not deadline.passed():
            outcome = self._readings.reading()
            if outcome.ok:
                reading = outcome.unwrap()
                vacuum_pa = (reading.ambient_pa if ambient_pa is None else ambient_pa) - reading.pressure_pa
                if vacuum_pa < self.limits.vented_pa:
                    return
            sequence = self._readings.wait(sequence, 0.05)
