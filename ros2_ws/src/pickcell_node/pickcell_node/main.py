"""The main loop of a node: SIGINT and SIGTERM end it within a moment, a configuration that cannot be used with code 2."""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Protocol

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

STOP_POLL_S = 0.2
CLOSE_S = 1.5


class App(Protocol):
    """What a process runs: a node for the executor, and what must be done before it goes."""

    node: Node

    def close(self) -> None:
        """Stop what moves, end threads. Called once, with the node still alive."""


def run(name: str, create: Callable[[], App], config_errors: tuple[type[Exception], ...] = (ValueError, OSError)) -> int:
    """Create the app and spin its node until a signal. Returns the exit code: 0, 2 for
    ``config_errors`` at the start, 1 after a fault."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        app = create()
    except config_errors as error:
        print(f"{name}: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(app.node)
    try:
        return _spin(name, app, executor, stopping)
    finally:
        executor.shutdown(timeout_sec=0.5)
        app.node.destroy_node()
        rclpy.try_shutdown()


def _spin(name: str, app: App, executor: SingleThreadedExecutor, stopping: threading.Event) -> int:
    code = 0
    try:
        while not stopping.is_set():
            executor.spin_once(timeout_sec=STOP_POLL_S)
    except Exception:  # a fault in a callback: stop what moves, then end, so that the launch file starts it anew
        print(f"{name}: {traceback.format_exc()}", file=sys.stderr)
        code = 1
    closing = threading.Thread(target=app.close, daemon=True)
    closing.start()
    end = time.monotonic() + CLOSE_S
    while closing.is_alive() and time.monotonic() < end:  # stopping the arm needs answers, which somebody must receive
        try:
            executor.spin_once(timeout_sec=0.02)
        except Exception:  # the arm's stop must still get through
            print(f"{name}: {traceback.format_exc()}", file=sys.stderr)
            code = 1
    return code
