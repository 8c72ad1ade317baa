"""The whole cell over ROS, as the task receives it: drivers and stage nodes behind the core's ports."""

from __future__ import annotations

import time
from collections.abc import Callable

from pickcell_interfaces.msg import NodeHealth
from rclpy.node import Node

from pickcell.cell import CellConfig
from pickcell.outcome import Code, Outcome
from pickcell_drivers.arm import RosArm
from pickcell_drivers.clock import RosClock
from pickcell_drivers.hand import RosHand
from pickcell_drivers.readings import ReadingLimits, RobotReadings
from pickcell_task.interruptions import Interruptions
from pickcell_task.node_watch import NodeWatch
from pickcell_task.stage_ports import CallLimits, RosGrasp, RosMotion, RosScene, StageCaller

STAGE_NODES = ("scene", "grasp_selector", "motion_planner")


class RosCell:
    """:class:`pickcell.ports.CellPorts`."""

    def __init__(
        self,
        node: Node,
        cell: CellConfig,
        limits: CallLimits,
        heartbeat_max_age_s: float,
        reading_max_age_s: float,
        cancelled: Callable[[], Outcome[None]],
        scene_keeps_s: float,
    ) -> None:
        """``cancelled``: a failure while the running job is to end, :meth:`Dispatcher.interrupted`.

        ``scene_keeps_s``: how long a look at the totes is trusted while the cell stands still.
        """
        self._cancelled = cancelled
        self.clock = RosClock(node)
        self.interruptions = Interruptions(self.clock.now_s, scene_keeps_s)
        self.sensors = RobotReadings(node, cell, self.clock, ReadingLimits(max_age_s=reading_max_age_s))
        self.arm = RosArm(node, cell, self.sensors, self.clock)
        self.hand = RosHand(node, cell, self.sensors, self.clock)
        self.watch = NodeWatch(node, STAGE_NODES, heartbeat_max_age_s)
        caller = StageCaller(node, self._call_interrupted, limits)
        self.scene = RosScene(caller)
        self.grasp = RosGrasp(caller)
        self.motion = RosMotion(caller, self.sensors)

    def interrupted(self) -> Outcome[None]:
        """CANCELLED, TIMEOUT, PAUSED (after a long pause) or NODE_LOST when the pick must not go on.

        Cheap: asked at every reading of a motion. What :class:`Interruptions` has to say comes once only.
        """
        verdict = self._call_interrupted()
        return self.interruptions.verdict() if verdict.ok else verdict

    def _call_interrupted(self) -> Outcome[None]:
        """Calls of stage nodes have time limits of their own: the pick's deadline waits for the next look or motion."""
        cancelled = self._cancelled()
        return self.watch.lost() if cancelled.ok else cancelled

    def health(self) -> list[NodeHealth]:
        """The stage nodes, and the drivers of arm and hand as one."""
        reading = self.sensors.reading()
        drivers = NodeHealth(node="drivers", alive=reading.ok, heartbeat_age=-1.0, note="" if reading.ok else reading.text)
        if reading.ok:
            drivers.heartbeat_age = max(0.0, self.clock.now_s() - reading.unwrap().stamp_s)
        return [*self.watch.health(), drivers]

    def wait_ready(self, timeout_s: float, say: Callable[[str], None]) -> Outcome[None]:
        """Wait up to ``timeout_s`` of wall time until all stage nodes and drivers are there; ``say`` what is missing."""
        end = time.monotonic() + timeout_s
        said = ""
        while True:
            faults = self.watch.faults()
            reading = self.sensors.reading()
            missing = " ".join([*faults, *([] if reading.ok else [reading.text])])
            if not missing:
                self.watch.begin()
                return Outcome.success(None)
            if not (stopped := self._cancelled()).ok:
                return stopped
            if time.monotonic() >= end:
                return Outcome.failure(Code.NODE_LOST, missing)
            if missing != said:
                said = missing
                say(missing)
            time.sleep(0.05)
