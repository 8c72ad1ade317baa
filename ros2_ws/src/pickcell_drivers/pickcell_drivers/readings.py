"""Gathers what the drivers of arm and hand report into :class:`RobotReading`, and knows when that is too old."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import WrenchStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import FluidPressure
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import Bool

from pickcell.cell import CellConfig
from pickcell.outcome import Code, Outcome
from pickcell.values import JawState, JointState, RobotReading, Wrench
from pickcell_conversions.drivers import MessageError, joint_state_from_msg, seconds, wrench_from_msg
from pickcell_drivers.clock import RosClock
from pickcell_node.qos import LATCHED


@dataclass(frozen=True)
class ReadingLimits:
    """When readings are too old, and how the jaw's and cup's state is read off its joints and pressure."""

    max_age_s: float = 0.3
    """By capture stamp, in cell time."""
    max_wall_age_s: float = 2.0
    """By arrival, wall clock: notices a driver that died together with the clock it published."""
    ambient_pa: float = 101_325.0
    """Until the sensor has shown the true one, with the vacuum off."""
    jaw_moving_mps: float = 0.002
    """Pad speed above which the jaw moves."""
    jaw_tolerance_m: float = 0.0015
    """A jaw that rests further than this from its commanded width has stalled."""
    jaw_hold_n: float = 2.0
    """Pad force from which a resting jaw holds something, where the commanded width is not known (after a restart)."""
    vacuum_inferred_pa: float = 3_000.0
    """Vacuum from which the pump is on, where no command is known (after a restart)."""


class RobotReadings:
    """The newest of every driver topic, assembled on request. Implements :class:`pickcell.ports.SensorPort`.

    Joints may come in several messages (an arm driver and a gripper driver); the stamp of the whole is the oldest one.
    """

    def __init__(self, node: Node, cell: CellConfig, clock: RosClock | None = None, limits: ReadingLimits | None = None):
        self._cell = cell
        self._log = node.get_logger()
        self._clock = clock or RosClock(node)
        self.limits = limits or ReadingLimits()
        self._changed = threading.Condition()
        self._joints: dict[tuple[str, ...], JointState] = {}
        self._wrench: Wrench | None = None
        self._pressure: tuple[float, float] | None = None  # stamp, Pa
        self._ambient_pa = self.limits.ambient_pa
        self._stops: dict[str, bool] = {}
        self._arrived: dict[str, float] = {}  # topic -> monotonic time of its newest message
        self._faults: dict[str, str] = {}  # topic -> what is wrong with its messages, until a usable one comes
        self._jaw_command_m: float | None = None
        self._jaw_busy = False
        self._vacuum_command: bool | None = None
        self._sequence = 0
        qos = QoSProfile(depth=10)
        node.create_subscription(JointStateMsg, "/joint_states", self._on_joints, qos)
        node.create_subscription(WrenchStamped, "/wrist_wrench", self._on_wrench, qos)
        node.create_subscription(FluidPressure, "/vacuum/pressure", self._on_pressure, qos)
        for topic in ("/estop", "/protective_stop"):
            node.create_subscription(Bool, topic, lambda msg, topic=topic: self._on_stop(topic, msg), LATCHED)

    # --- subscriptions -----------------------------------------------------------------------------------------------

    def _arrive(self, topic: str) -> None:
        """Call with the condition held."""
        self._arrived[topic] = time.monotonic()
        self._faults.pop(topic, None)
        self._sequence += 1
        self._changed.notify_all()

    def _refuse(self, topic: str, why: str) -> None:
        """Leave an unusable message out: when no better one follows, the reading grows too old and says so."""
        with self._changed:
            self._faults[topic] = why
        self._log.warning(f"{topic}: {why}", throttle_duration_sec=5.0)

    def _on_joints(self, msg: JointStateMsg) -> None:
        try:
            state = joint_state_from_msg(msg)
        except MessageError as error:
            self._refuse("/joint_states", str(error))
            return
        with self._changed:
            before = self._joints.get(state.names)
            if before is not None and np.isnan(state.velocities).any():
                state = _with_difference(state, before)
            self._joints[state.names] = state
            self._arrive("/joint_states")

    def _on_wrench(self, msg: WrenchStamped) -> None:
        try:
            wrench = wrench_from_msg(msg)
        except MessageError as error:
            self._refuse("/wrist_wrench", str(error))
            return
        with self._changed:
            self._wrench = wrench
            self._arrive("/wrist_wrench")

    def _on_pressure(self, msg: FluidPressure) -> None:
        pressure = float(msg.fluid_pressure)
        if not np.isfinite(pressure):  # one such sample would stay in the ambient pressure for ever
            self._refuse("/vacuum/pressure", f"the pressure is {pressure}")
            return
        with self._changed:
            self._pressure = (seconds(msg.header.stamp), pressure)
            if self._vacuum_command is False:
                # Weather and altitude move the ambient pressure by kPa: learn it whenever the pump is off. The line
                # takes a moment to fill, so the value only ever rises quickly.
                gain = 0.2 if pressure > self._ambient_pa else 0.01
                self._ambient_pa += gain * (pressure - self._ambient_pa)
            self._arrive("/vacuum/pressure")

    def _on_stop(self, topic: str, msg: Bool) -> None:
        with self._changed:
            self._stops[topic] = bool(msg.data)
            self._arrive(topic)

    # --- what the hand port tells us ---------------------------------------------------------------------------------

    def jaw_commanded(self, width_m: float, busy: bool) -> None:
        """The hand port sent this width; ``busy`` until the driver has answered."""
        with self._changed:
            self._jaw_command_m, self._jaw_busy = width_m, busy

    def vacuum_commanded(self, on: bool) -> None:
        """The hand port switched the vacuum. The jaw makes way for the cup then: its last command no longer tells."""
        with self._changed:
            self._vacuum_command = on
            if on:
                self._jaw_command_m = None

    # --- readings ----------------------------------------------------------------------------------------------------

    def reading(self) -> Outcome[RobotReading]:
        """The newest readings together. NODE_LOST naming the topic that is missing or too old, and by how much."""
        now_s = self._clock.now_s()
        with self._changed:
            return self._assemble(now_s)

    def wait(self, after: int, timeout_s: float) -> int:
        """Block up to ``timeout_s`` of wall time until something arrived after sequence number ``after``; the newest one."""
        with self._changed:
            self._changed.wait_for(lambda: self._sequence > after, timeout_s)
            return self._sequence

    def wait_until_complete(self, timeout_s: float) -> Outcome[RobotReading]:
        """Wait up to ``timeout_s`` of wall time for a first full reading, as after a start."""
        end = time.monotonic() + timeout_s
        sequence = -1
        while True:
            outcome = self.reading()
            left = end - time.monotonic()
            if outcome.ok or left <= 0:
                return outcome
            sequence = self.wait(sequence, min(left, 0.1))

    def _assemble(self, now_s: float) -> Outcome[RobotReading]:
        joints = self._joint_state()
        if isinstance(joints, str):
            return Outcome.failure(Code.NODE_LOST, joints)
        if self._wrench is None or self._pressure is None:
            topic = "/wrist_wrench" if self._wrench is None else "/vacuum/pressure"
            return Outcome.failure(Code.NODE_LOST, f"Nothing has arrived on {topic}.")
        for topic in ("/estop", "/protective_stop"):
            if topic not in self._stops:
                return Outcome.failure(Code.NODE_LOST, f"Nothing has arrived on {topic}.")
        stamps = {
            "/joint_states": joints.stamp_s,
            "/wrist_wrench": self._wrench.stamp_s,
            "/vacuum/pressure": self._pressure[0],
        }
        if late := self._too_old(stamps, now_s):
            return Outcome.failure(Code.NODE_LOST, late)
        pressure = self._pressure[1]
        vacuum_on = self._vacuum_command
        if vacuum_on is None:
            vacuum_on = self._ambient_pa - pressure > self.limits.vacuum_inferred_pa
        return Outcome.success(
            RobotReading(
                joints=joints,
                jaw=self._jaw(joints),
                wrench=self._wrench,
                pressure_pa=pressure,
                ambient_pa=self._ambient_pa,
                vacuum_on=vacuum_on,
                estop=self._stops["/estop"],
                protective_stop=self._stops["/protective_stop"],
            )
        )

    def _joint_state(self) -> JointState | str:
        """All parts as one, or what is missing."""
        parts = tuple(self._joints.values())
        if not parts:
            return f"Nothing usable has arrived on /joint_states. {self._faults.get('/joint_states', '')}".strip()
        joints = JointState.merged(parts)
        needed = (*self._cell.arm.joints, self._cell.hand.jaw_joints[0])
        missing = [name for name in needed if name not in joints.names]
        return f"/joint_states lacks {missing}." if missing else joints

    def _too_old(self, stamps: dict[str, float], now_s: float) -> str:
        wall = time.monotonic()
        for topic, stamp_s in stamps.items():
            wall_age = wall - self._arrived[topic]
            fault = f" {self._faults[topic]}." if topic in self._faults else ""
            if wall_age > self.limits.max_wall_age_s:
                return f"{topic} has been silent for {wall_age:.1f} s.{fault}"
            if now_s - stamp_s > self.limits.max_age_s:
                return f"{topic} is {now_s - stamp_s:.2f} s old, {self.limits.max_age_s:.2f} s is allowed.{fault}"
        return ""

    def _jaw(self, joints: JointState) -> JawState:
        """Width is the sum of both pads' distances from the centre plane; a mimic joint may be left out by its driver."""
        index = [joints.names.index(name) for name in self._cell.hand.jaw_joints if name in joints.names]
        width = float(joints.positions[index].sum()) * (2.0 / len(index))
        force = float(np.nan_to_num(np.abs(joints.efforts[index])).max())
        speed = float(np.nan_to_num(np.abs(joints.velocities[index])).max())
        moving = self._jaw_busy or speed > self.limits.jaw_moving_mps
        if self._jaw_command_m is None:
            off_command = (
                force >= self.limits.jaw_hold_n and width < self._cell.hand.opening_max_m - self.limits.jaw_tolerance_m
            )
        else:
            off_command = abs(width - self._jaw_command_m) > self.limits.jaw_tolerance_m
        return JawState(joints.stamp_s, width, force, moving, stalled=off_command and not moving)


def _with_difference(state: JointState, before: JointState) -> JointState:
    """Velocities a driver leaves out, from the last two positions."""
    dt = state.stamp_s - before.stamp_s
    if dt <= 0:
        return state
    difference = (state.positions - before.positions) / dt
    velocities = np.where(np.isnan(state.velocities), difference, state.velocities)
    return JointState(state.stamp_s, state.names, state.positions, velocities, state.efforts)
