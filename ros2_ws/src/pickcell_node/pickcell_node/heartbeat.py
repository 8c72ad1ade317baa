"""A node says that it is alive, several times a second, from a thread of its own: also while it works on a request.

Two things are watched by who depends on it: the topic's liveliness, which the middleware's own threads keep up and which
ends within ``LEASE_S`` when the process dies, and the age of the newest heartbeat, which also tells of a process that hangs.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pickcell_interfaces.msg import CameraRate, Heartbeat
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import LivelinessPolicy, QoSProfile

LEASE_S = 1.0
"""A process that says nothing for so long counts as dead."""
PERIOD_S = 0.2


def heartbeat_qos() -> QoSProfile:
    """The profile of both sides."""
    return QoSProfile(depth=1, liveliness=LivelinessPolicy.AUTOMATIC, liveliness_lease_duration=Duration(seconds=LEASE_S))


class HeartbeatPublisher:
    """Publishes ``~/heartbeat`` until :meth:`close`."""

    def __init__(self, node: Node, cameras: Callable[[], list[CameraRate]] = list) -> None:
        """``cameras``: what arrives from the cameras, for the node that reads them."""
        self._node = node
        self._cameras = cameras
        self._boot_id = uuid.uuid4().hex
        self._busy = 0
        self._stop = threading.Event()
        self._publisher = node.create_publisher(Heartbeat, "~/heartbeat", heartbeat_qos())
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    @contextmanager
    def working(self) -> Iterator[None]:
        """While the body runs, heartbeats say ``busy``."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join(1.0)

    def _beat(self) -> None:
        while not self._stop.wait(PERIOD_S):
            if not self._node.context.ok():
                return
            msg = Heartbeat(boot_id=self._boot_id, busy=self._busy > 0, cameras=self._cameras())
            msg.stamp = self._node.get_clock().now().to_msg()
            try:
                self._publisher.publish(msg)
            except Exception:  # the context was shut down between the check and the call
                return
