"""A client of the cell: one ROS node, spun in the background, every wait bounded."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from pickcell_interfaces.msg import CellStats, PickState
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions

POLL_S = 0.05


class NotRunningError(RuntimeError):
    """The cell does not answer; the text says how to start it."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(
            f"The cell is not running{f' ({detail})' if detail else ''}. Start it with './cell up' "
            "(or 'ros2 launch pickcell_bringup pick.launch.yaml'); './cell doctor' says what is missing."
        )


class InterruptedByUserError(Exception):
    """Ctrl-C or SIGTERM."""


class Connection:
    """Use as a context manager: the node and its thread end with it."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()
        self._last: dict[str, Any] = {}
        self._arrived: dict[str, float] = {}

    def __enter__(self) -> Connection:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._interrupted.set())
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("operator", enable_rosout=False, start_parameter_services=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name="ros", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(timeout_sec=0.5)
        self._thread.join(1.0)
        self.node.destroy_node()
        rclpy.try_shutdown()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, ShutdownException):
            pass

    # --- waiting -----------------------------------------------------------------------------------------------------

    @property
    def interrupted(self) -> bool:
        return self._interrupted.is_set()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """True once ``condition`` holds, False after ``timeout_s``. Raises InterruptedByUserError on Ctrl-C."""
        end = time.monotonic() + timeout_s
        while not condition():
            if self.interrupted:
                raise InterruptedByUserError
            if time.monotonic() >= end:
                return False
            time.sleep(POLL_S)
        return True

    # --- topics ------------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Subscribe to the cell's state, statistics (both latched)."""
        for message, topic in ((PickState, "pick/state"), (CellStats, "stats")):
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self.node.create_subscription(message, topic, lambda msg, topic=topic: self._take(topic, msg), qos)

    def _take(self, topic: str, msg: Any) -> None:
        self._last[topic] = msg
        self._arrived[topic] = time.monotonic()

    @property
    def stats_age_s(self) -> float:
        """Wall time since the newest statistics, which a living cell publishes once a second; infinite before the first."""
        arrived = self._arrived.get("stats")
        return float("inf") if arrived is None else time.monotonic() - arrived

    @property
    def state(self) -> PickState | None:
        return self._last.get("pick/state")

    @property
    def stats(self) -> CellStats | None:
        return self._last.get("stats")

    # --- services ----------------------------------------------------------------------------------------------------

    def call(self, service: Any, name: str, request: Any, timeout_s: float = 10.0) -> Any:
        """The response. Raises NotRunningError when the cell does not answer."""
        client = self.node.create_client(service, name)
        try:
            if not self.wait_until(client.service_is_ready, timeout_s=5.0):
                raise NotRunningError(f"nobody offers the service '{name}'")
            future = client.call_async(request)
            if not self.wait_until(future.done, timeout_s):
                raise NotRunningError(f"the service '{name}' does not answer")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def offers(self, service: str) -> bool:
        """Whether somebody offers this service now."""
        return any(name == service for name, _ in self.node.get_service_names_and_types())
