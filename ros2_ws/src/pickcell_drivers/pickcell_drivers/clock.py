"""Cell time over ROS: simulation time when the node uses it, the system's otherwise."""

from __future__ import annotations

import time

from rclpy.node import Node

STALL_FACTOR = 20.0
"""A simulation slower than this share of real time counts as standing still."""
STALL_GRACE_S = 5.0
POLL_S = 0.004


class RosClock:
    """:class:`pickcell.ports.ClockPort` over the node's clock."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def now_s(self) -> float:
        """Cell time in seconds; 0 until the first ``/clock`` arrives."""
        return self._node.get_clock().now().nanoseconds * 1e-9

    def sleep_s(self, duration_s: float) -> None:
        """Let cell time pass. Returns early only when cell time stands still (the simulator died), by wall clock.

        What depends on fresh readings then finds them stale; a worker blocked for good could not even say so.
        """
        if duration_s <= 0:
            return
        end_s = self.now_s() + duration_s
        wall_end = time.monotonic() + STALL_GRACE_S + STALL_FACTOR * duration_s
        while self._node.context.ok() and time.monotonic() < wall_end:
            remaining_s = end_s - self.now_s()
            if remaining_s <= 0:
                return
            time.sleep(min(POLL_S, remaining_s))


class Deadline:
    """A time-out in cell time, with a wall-clock fallback for a cell time that stands still."""

    def __init__(self, clock: RosClock, duration_s: float, wall_s: float | None = None) -> None:
        self._clock = clock
        self._end_s = clock.now_s() + duration_s
        self._wall_end = time.monotonic() + (STALL_GRACE_S + STALL_FACTOR * duration_s if wall_s is None else wall_s)

    def passed(self) -> bool:
        return self._clock.now_s() >= self._end_s or time.monotonic() >= self._wall_end
