"""Blocking use of ROS futures, action servers and services from a worker thread, while an executor spins elsewhere."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar

from rclpy.client import Client
from rclpy.task import Future

T = TypeVar("T")
POLL_S = 0.02


def wait_future(future: Future, timeout_s: float) -> bool:
    """True once ``future`` is done, False after ``timeout_s`` of wall time. Never spins."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return future.done() or done.wait(timeout_s)


def wait_server(client: Any, timeout_s: float) -> bool:
    """True once the server of an action client (``server_is_ready``) or service client is there; wall time.

    rclpy's own ``wait_for_server`` polls four times a second; a server that is there answers here at once.
    """
    ready = client.server_is_ready if hasattr(client, "server_is_ready") else client.service_is_ready
    end = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_S)
    return True


def call_service(client: Client, request: Any, timeout_s: float) -> Any | None:
    """The response, or None when the service is not there or does not answer within ``timeout_s`` of wall time."""
    end = time.monotonic() + timeout_s
    if not wait_server(client, timeout_s):
        return None
    future = client.call_async(request)
    if not wait_future(future, max(0.05, end - time.monotonic())):
        client.remove_pending_request(future)
        return None
    return future.result()
