"""What perception listens to: images with poses, joint states, and how regularly each camera delivers."""

from __future__ import annotations

import threading
import time
from collections import deque

from pickcell_interfaces.msg import CameraRate
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import JointState as JointStateMsg

from pickcell.cell import CellConfig
from pickcell.outcome import Code, Outcome
from pickcell.values import JointState, RgbdFrame
from pickcell_conversions.drivers import MessageError, joint_state_from_msg, seconds
from pickcell_drivers.cameras import CameraGap, CameraSource, CameraSourceConfig

RATE_WINDOW_S = 2.0


class CameraWatch:
    """Rate and age per camera from ``camera_info``, which comes with every image and costs next to nothing."""

    def __init__(self, node: Node, cell: CellConfig) -> None:
        self._clock = node.get_clock()
        self._cameras = cell.cameras
        self._stamps: dict[str, deque[float]] = {camera.name: deque(maxlen=256) for camera in cell.cameras}
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        for camera in cell.cameras:
            node.create_subscription(CameraInfo, f"/{camera.name}/color/camera_info", self._taker(camera.name), qos)

    def _taker(self, name: str):
        return lambda msg: self._stamps[name].append(seconds(msg.header.stamp))

    def rates(self) -> list[CameraRate]:
        """One message per camera."""
        now_s = self._clock.now().nanoseconds * 1e-9
        return [self._rate(camera.name, camera.max_age_s, now_s) for camera in self._cameras]

    def _rate(self, name: str, max_age_s: float, now_s: float) -> CameraRate:
        stamps = list(self._stamps[name])
        if not stamps:
            return CameraRate(camera=name, rate=0.0, age=-1.0, note="has never delivered an image")
        age_s = max(0.0, now_s - stamps[-1])
        recent = [stamp for stamp in stamps if stamp > now_s - RATE_WINDOW_S]
        rate = (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 and recent[-1] > recent[0] else 0.0
        late = age_s > max_age_s
        return CameraRate(camera=name, rate=rate, age=age_s, note=f"silent for {age_s:.1f} s" if late else "")


class JointWatch:
    """The newest joint state, put together where several drivers report parts of the robot."""

    def __init__(self, node: Node) -> None:
        self._parts: dict[tuple[str, ...], JointState] = {}
        self._fault = ""
        self._changed = threading.Condition()
        node.create_subscription(JointStateMsg, "/joint_states", self._take, QoSProfile(depth=5))

    def _take(self, msg: JointStateMsg) -> None:
        try:
            state = joint_state_from_msg(msg)
        except MessageError as error:
            self._fault = str(error)
            return
        with self._changed:
            self._parts[state.names] = state
            self._changed.notify_all()

    def state(self, not_before_s: float, timeout_s: float) -> JointState | None:
        """Joints reported at or after ``not_before_s`` (cell time), the stamp being the oldest part's.

        Waits up to ``timeout_s`` of wall time; None when there is no such state by then.
        """
        end = time.monotonic() + timeout_s
        with self._changed:
            while not self._parts or min(part.stamp_s for part in self._parts.values()) < not_before_s - 1e-6:
                if not self._changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    return None
            return JointState.merged(self._parts.values())


class SceneInputs:
    """All of it on one node, whose executor runs beside the one that answers requests."""

    def __init__(self, node: Node, cell: CellConfig, config: CameraSourceConfig) -> None:
        self.cameras = CameraSource(node, cell.cameras, config=config)
        self.joints = JointWatch(node)
        self.watch = CameraWatch(node, cell)


def gap_outcome(gaps: tuple[CameraGap, ...]) -> Outcome[list[RgbdFrame]]:
    """One failure for several cameras: the code of the first one, everything that is known in the text."""
    if not gaps:
        return Outcome.failure(Code.CAMERA_MISSING, "The cell has no cameras.")
    return Outcome.failure(gaps[0].code, " ".join(gap.text for gap in gaps))
