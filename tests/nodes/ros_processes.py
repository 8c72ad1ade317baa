"""Starts nodes as processes for tests: in a domain of their own, in process groups of their own, and gone afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
from ament_index_python.packages import get_package_prefix
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node

ROOT = Path(__file__).resolve().parents[2]
CELL_FILE = ROOT / "config/cells/panda.yaml"
EMPTY_TOTE = ROOT / "config/totes/empty.yaml"
"""The simulator takes ``empty`` for a tote without items; there need be no such file."""
SHM_PROFILE = ROOT / "config/fastdds_shm16.xml"
STOP_S = 3.0


def free_domain() -> int:
    """A domain that runs of these tests on one machine hardly share (101 is the highest that every system allows)."""
    return random.SystemRandom().randint(10, 101)


class NodeProcess:
    """One node executable. Its output goes to a file that failing tests can show."""

    def __init__(
        self, package: str, executable: str, domain: int, parameters: dict[str, object], files: tuple[Path, ...] = ()
    ):
        path = Path(get_package_prefix(package)) / "lib" / package / executable
        command = [str(path), "--ros-args"]
        for file in files:
            command += ["--params-file", str(file)]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
        env = {**os.environ, "ROS_DOMAIN_ID": str(domain), "FASTRTPS_DEFAULT_PROFILES_FILE": str(SHM_PROFILE)}
        self._log = tempfile.NamedTemporaryFile("w+", prefix=f"{executable}-", suffix=".log")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text()

    def interrupt(self) -> float:
        """Ctrl-C. Returns how long the node took to end, or raises TimeoutExpired after killing it."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_S * 3)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return time.monotonic() - start

    def kill(self) -> None:
        """Gone at once, with everything it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def stop(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            try:
                self.interrupt()
            except subprocess.TimeoutExpired:
                pass
        self._log.close()


def start_sim(domain: int, **parameters: object) -> NodeProcess:
    """The simulator with the reference cell and, unless ``tote_file`` says otherwise, an empty tote."""
    values = {"cell": CELL_FILE, "tote_file": EMPTY_TOTE, "seed": 0, "headless": True, "realtime_factor": 1.0, **parameters}
    return NodeProcess("pickcell_sim_bridge", "sim", domain, values, (ROOT / "config/sim.param.yaml",))


def start_robot_state(domain: int) -> NodeProcess:
    values = {"cell": CELL_FILE}
    return NodeProcess("pickcell_description", "robot_state", domain, values, (ROOT / "config/robot_state.param.yaml",))


@contextmanager
def spinning_node(domain: int, name: str = "test", sim_time: bool = True) -> Iterator[Node]:
    """A node in this process that a thread spins, in a context of its own."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    override = [rclpy.parameter.Parameter("use_sim_time", value=sim_time)]
    node = Node(name, context=context, parameter_overrides=override)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except (ExternalShutdownException, ShutdownException):
            pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown(timeout_sec=1.0)
        rclpy.shutdown(context=context)
        thread.join(2.0)


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str = "") -> None:
    """Poll until ``condition`` holds. Raises AssertionError saying what did not happen."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s:.0f} s: {what or condition}"
        time.sleep(0.01)
