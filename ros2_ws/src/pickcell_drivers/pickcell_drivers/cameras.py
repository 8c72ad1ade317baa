"""RGB-D cameras over their driver topics: colour and depth paired by stamp, with where the camera stood at that moment."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from pickcell.cell import CameraConfig
from pickcell.outcome import Code
from pickcell.values import BASE_FRAME, CameraModel, RgbdFrame
from pickcell_conversions.drivers import (
    MessageError,
    camera_model_from_msg,
    color_from_msg,
    depth_from_msg,
    nanoseconds,
    seconds,
)
from pickcell_drivers.clock import RosClock
from pickcell_drivers.transforms import StampError, TransformBuffer, TransformError, TransformListener

IDLE_LOOK_S = 0.25
AFTER_S = 1e-3
"""A frame counts as another than one of this much earlier."""


@dataclass(frozen=True)
class CameraSourceConfig:
    """How frames are collected."""

    linger_s: float = 1.0
    """Wall time without a request after which the image topics are left: an idle cell moves no images, and the simulator
    draws none while the arm moves (joining again takes 0.2 s). 0: stay subscribed."""
    reliable: bool = True
    """Ask for reliable delivery (our simulator offers it). False for drivers that publish best effort only."""
    transform_wait_s: float = 0.3
    """Wall time to wait for the transform at a frame's stamp."""
    pending: int = 8
    """Colour or depth images kept while their partner is awaited."""


@dataclass(frozen=True)
class CameraGap:
    """Why a camera contributed no frame. ``code``: CAMERA_MISSING (never a frame), CAMERA_STALE (none that is new enough),
    DEPTH_INVALID (unusable message), NODE_LOST (no transform)."""

    camera: str
    code: Code
    text: str


@dataclass
class _Stream:
    """What has arrived of one camera. Messages are kept raw; only frames that somebody asks for are converted."""

    config: CameraConfig
    info: CameraInfo | None = None
    color: OrderedDict[int, Image] = field(default_factory=OrderedDict)
    depth: OrderedDict[int, Image] = field(default_factory=OrderedDict)
    newest: tuple[Image, Image] | None = None
    pairs: int = 0
    subscriptions: list = field(default_factory=list)


class CameraSource:
    """The newest frame of each camera. Asked from a worker thread; an executor spins the node elsewhere.

    The image topics are subscribed to on the first request and left when nobody has asked for a while.
    """

    def __init__(
        self,
        node: Node,
        cameras: Sequence[CameraConfig],
        buffer: TransformBuffer | None = None,
        config: CameraSourceConfig | None = None,
        base_frame: str = BASE_FRAME,
    ) -> None:
        """``buffer``: a buffer that somebody else fills; None: this source listens to ``/tf`` itself."""
        self._node = node
        self._clock = RosClock(node)
        self._base_frame = base_frame
        self.config = config or CameraSourceConfig()
        self._streams = {camera.name: _Stream(camera) for camera in cameras}
        self._changed = threading.Condition()
        self._asked = time.monotonic()
        self._waiting = 0  # requests that wait for a frame right now
        self._listening = False
        self.buffer = buffer or TransformBuffer()
        self._listener = TransformListener(node, self.buffer) if buffer is None else None
        self._idle_timer = node.create_timer(IDLE_LOOK_S, self._leave_when_idle, clock=_wall_clock())
        self._idle_timer.cancel()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._streams)

    def pair_counts(self) -> dict[str, int]:
        """Colour-depth pairs received so far, per camera."""
        with self._changed:
            return {name: stream.pairs for name, stream in self._streams.items()}

    def newest_stamps(self) -> dict[str, float]:
        """Capture stamp of the newest pair per camera that has one, without converting or asking for images."""
        with self._changed:
            return {n: seconds(s.newest[0].header.stamp) for n, s in self._streams.items() if s.newest is not None}

    def frames(
        self, not_before_s: float, timeout_s: float, names: Sequence[str] | None = None
    ) -> tuple[dict[str, RgbdFrame], tuple[CameraGap, ...]]:
        """The newest frame of each camera captured at or after ``not_before_s`` (cell time), and who has none and why.

        Waits up to ``timeout_s`` of wall time for all of them. Raises KeyError for a camera that is not in the cell.
        """
        wanted = tuple(names) if names is not None else self.names
        for name in wanted:
            if name not in self._streams:
                raise KeyError(f"no camera '{name}'; there are {list(self._streams)}")
        end = time.monotonic() + timeout_s
        with self._changed:
            self.listen()
            self._waiting += 1  # frames may take longer than the topics linger: nobody leaves them meanwhile
        frames: dict[str, RgbdFrame] = {}
        gaps: list[CameraGap] = []
        try:
            with self._changed:
                self._changed.wait_for(lambda: all(self._fresh(n, not_before_s) for n in wanted), timeout_s)
            for name in wanted:
                result = self._frame(name, not_before_s, end)
                if isinstance(result, CameraGap):
                    gaps.append(result)
                else:
                    frames[name] = result
        finally:
            with self._changed:
                self._waiting -= 1
                self._asked = time.monotonic()
        return frames, tuple(gaps)

    def listen(self) -> None:
        """Subscribe now rather than on the first request, for instance to watch the cameras' health."""
        with self._changed:
            self._asked = time.monotonic()
            if self._listening:
                return
            self._listening = True
            if self.config.linger_s > 0:
                self._idle_timer.reset()
            policy = ReliabilityPolicy.RELIABLE if self.config.reliable else ReliabilityPolicy.BEST_EFFORT
            qos = QoSProfile(depth=2, reliability=policy)
            for name, stream in self._streams.items():
                stream.color.clear()
                stream.depth.clear()
                topics = (
                    (Image, f"/{name}/color/image_raw", self._taker(stream, "color")),
                    (Image, f"/{name}/depth/image_rect_raw", self._taker(stream, "depth")),
                    (CameraInfo, f"/{name}/color/camera_info", self._info_taker(stream)),
                )
                stream.subscriptions = [self._node.create_subscription(*topic, qos) for topic in topics]

    def leave(self) -> None:
        """Leave the image topics; the next request joins them again."""
        with self._changed:
            self._listening = False
            self._idle_timer.cancel()
            for stream in self._streams.values():
                for subscription in stream.subscriptions:
                    self._node.destroy_subscription(subscription)
                stream.subscriptions = []

    def _leave_when_idle(self) -> None:
        with self._changed:
            lingered = time.monotonic() - self._asked > self.config.linger_s
            if self._listening and not self._waiting and lingered:
                self.leave()

    # --- subscriptions -----------------------------------------------------------------------------------------------

    def _taker(self, stream: _Stream, kind: str):
        mine, other = (stream.color, stream.depth) if kind == "color" else (stream.depth, stream.color)

        def take(msg: Image) -> None:
            stamp = nanoseconds(msg.header.stamp)
            with self._changed:
                partner = other.pop(stamp, None)
                if partner is None:
                    mine[stamp] = msg
                    while len(mine) > self.config.pending:
                        mine.popitem(last=False)
                    return
                stream.newest = (msg, partner) if kind == "color" else (partner, msg)
                stream.pairs += 1
                self._changed.notify_all()

        return take

    def _info_taker(self, stream: _Stream):
        def take(msg: CameraInfo) -> None:
            with self._changed:
                stream.info = msg
                self._changed.notify_all()

        return take

    # --- answers -----------------------------------------------------------------------------------------------------

    def _fresh(self, name: str, not_before_s: float) -> bool:
        stream = self._streams[name]
        # A microsecond of slack: a frame taken at the very moment asked for must count, see nanoseconds -> float.
        return (
            stream.info is not None
            and stream.newest is not None
            and seconds(stream.newest[0].header.stamp) >= not_before_s - 1e-6
        )

    def _gap(self, name: str) -> CameraGap:
        stream = self._streams[name]
        if stream.newest is None:
            half = "colour without depth" if stream.color else "depth without colour" if stream.depth else "nothing"
            return CameraGap(name, Code.CAMERA_MISSING, f"{name}: {half} has arrived.")
        if stream.info is None:
            return CameraGap(name, Code.CAMERA_MISSING, f"{name}: images, but no camera_info have arrived.")
        age_s = self._clock.now_s() - seconds(stream.newest[0].header.stamp)
        return CameraGap(name, Code.CAMERA_STALE, f"{name}: the newest image is {age_s:.2f} s old.")

    def _frame(self, name: str, not_before_s: float, end: float) -> RgbdFrame | CameraGap:
        """The newest frame of one camera, waited for until ``end`` (monotonic).

        Who has only just joined may hear of a frame before the first transform: such a frame has no pose and never gets
        one, the next has.
        """
        after_s, poseless = not_before_s, None
        while (arrived := self._await(name, after_s, end)) is not None:
            try:
                return self._convert(name, *arrived, end)
            except TransformError as error:
                poseless = CameraGap(name, Code.NODE_LOST, f"{name}: {error}")
                if not isinstance(error, StampError) or error.too_new:
                    break
                after_s = seconds(arrived[0].header.stamp) + AFTER_S
            except (MessageError, ValueError) as error:
                return CameraGap(name, Code.DEPTH_INVALID, f"{name}: {error}")
        return poseless or self._gap(name)

    def _await(self, name: str, not_before_s: float, end: float) -> tuple[Image, Image, CameraInfo] | None:
        """Colour, depth and camera_info of a camera, once new enough; None: not before ``end``."""
        stream = self._streams[name]
        with self._changed:
            self._changed.wait_for(lambda: self._fresh(name, not_before_s), max(0.0, end - time.monotonic()))
            if not self._fresh(name, not_before_s) or stream.newest is None or stream.info is None:
                return None
            return *stream.newest, stream.info

    def _convert(self, name: str, color: Image, depth: Image, info: CameraInfo, end: float) -> RgbdFrame:
        stamp_s = seconds(color.header.stamp)
        model: CameraModel = camera_model_from_msg(info, name)
        wait_s = min(self.config.transform_wait_s, max(0.0, end - time.monotonic()) + 0.05)
        X_base_camera = self.buffer.wait(self._base_frame, color.header.frame_id, stamp_s, wait_s)
        return RgbdFrame(model, stamp_s, color_from_msg(color), depth_from_msg(depth), X_base_camera)


def _wall_clock() -> Clock:
    """A clock that runs on when simulation time stands still."""
    return Clock(clock_type=ClockType.STEADY_TIME)
