"""Node ``sim``: the simulated cell at the pace of the wall clock, behind the interfaces of a real cell's drivers.

One timer lets simulated time pass and publishes; commands arrive in between, on the same thread. Parameters: see
config/sim.param.yaml. Interfaces: :mod:`robot_topics`, :mod:`camera_topics`, :mod:`arm_action`, :mod:`gripper_action`, the
service ``/vacuum/set``, ``/diagnostics``; for tests :mod:`controls`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Float64
from std_srvs.srv import SetBool

from pickcell.cell import load_cell
from pickcell_node.main import run
from pickcell_node.parameters import read_parameters
from pickcell_node.qos import LATCHED
from pickcell_sim.driver import HandBusyError, SimDriver
from pickcell_sim.filling.fill import FillError, fill_tote
from pickcell_sim.items.stand_ins import StandIns
from pickcell_sim.items.totes import ToteContents, load_tote
from pickcell_sim_bridge.arm_action import ArmAction
from pickcell_sim_bridge.camera_topics import CameraTopics
from pickcell_sim_bridge.controls import offer_controls
from pickcell_sim_bridge.gripper_action import GripperAction
from pickcell_sim_bridge.pacing import Pacer
from pickcell_sim_bridge.rest import Rest
from pickcell_sim_bridge.robot_topics import RobotTopics

MAX_CHUNKS = 4
"""Stretches of simulated time per timer call, so that commands get their turn when the simulator is late."""
SLOW = 0.8
"""Share of the wanted pace below which diagnostics warn."""
EMPTY = "empty"


@dataclass(frozen=True)
class SimParameters:
    """See config/sim.param.yaml."""

    cell: str
    tote_file: str
    seed: int
    headless: bool
    realtime_factor: float
    state_rate_hz: float
    idle_after_s: float
    idle_rate_hz: float
    depth_encoding: str

    def __post_init__(self) -> None:
        for name in ("state_rate_hz", "idle_rate_hz", "idle_after_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")


class SimApp:
    """The simulated cell and its interfaces."""

    def __init__(self) -> None:
        self.node = Node("sim")
        self.parameters = read_parameters(self.node, SimParameters)
        self._cell = load_cell(self.parameters.cell)
        self.manifest: dict[str, int] = {}
        self._stepping = threading.Lock()
        self._closed = False
        with _interruptible():
            self.driver = self._set_up(first_step=0)
        self._rest = Rest()
        self._pacer = Pacer(self.parameters.realtime_factor, 1.0 / self.parameters.state_rate_hz)
        self._robot = RobotTopics(self.node)
        self._cameras = CameraTopics(self.node, self._cell, self.parameters.depth_encoding)
        self._arm = ArmAction(self.node, self)
        self._gripper = GripperAction(self.node, self)
        self.node.create_service(SetBool, "/vacuum/set", self._set_vacuum)
        self.node.create_subscription(Float64, "/vacuum/limit", self._regulate_vacuum, LATCHED)
        offer_controls(self.node, self)
        self._diagnostics = self.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._report_from = (time.monotonic(), self.driver.now_s)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._idle = False
        self._timer = self.node.create_timer(self._period_s, self._tick, clock=steady)
        self.node.create_timer(1.0, self._report, clock=steady)
        self.node.get_logger().info(
            f"{self._cell.name} with {sum(self.manifest.values())} items, seed {self.parameters.seed}"
        )

    def close(self) -> None:
        """Called from another thread than the one that ticks."""
        with self._stepping:
            self._closed = True
            self.driver.close()

    # --- the scene -----------------------------------------------------------------------------------------------------

    def _set_up(self, first_step: int) -> SimDriver:
        """A world with a filled tote, from the parameters as they are now. Its time starts at ``first_step``."""
        seed = int(self.node.get_parameter("seed").value)
        contents = self._contents(str(self.node.get_parameter("tote_file").value))
        # whoever fills the tote anew does not touch the cameras: their errors stay those of the start
        camera_seed = self.parameters.seed
        driver = SimDriver.create(self._cell, seed, window=not self.parameters.headless, camera_seed=camera_seed)
        try:
            driver.world.steps = first_step
            if contents.skus:
                fill_tote(driver.world, contents.skus, contents.seed + seed)
            StandIns(driver.world).attach()
        except BaseException:
            driver.close()
            raise
        self.manifest = dict(contents.manifest)
        return driver

    def _contents(self, tote_file: str) -> ToteContents:
        path = Path(tote_file)
        return ToteContents(0, {}) if path.stem == EMPTY and not path.exists() else load_tote(path)

    def reset_scene(self) -> str:
        """See :mod:`controls`. Time goes on from where it was: a clock that jumps back would upset every node."""
        old = self.driver
        self.driver = self._set_up(first_step=old.world.steps)
        old.close()
        self._arm.reset()
        self._gripper.reset()
        self.wake()
        return f"{sum(self.manifest.values())} items in the source tote"

    # --- time ----------------------------------------------------------------------------------------------------------

    @property
    def _period_s(self) -> float:
        """Wall time between timer calls."""
        if self._idle:
            return 1.0 / self.parameters.idle_rate_hz
        return 1.0 / self.parameters.state_rate_hz if self.parameters.realtime_factor > 0 else 1e-4

    def wake(self) -> None:
        """A command is coming: full rate, with physics."""
        self._rest.wake()
        self._set_idle(False)

    def _set_idle(self, idle: bool) -> None:
        if idle != self._idle:
            self._idle = idle
            self._timer.timer_period_ns = int(self._period_s * 1e9)
            self._timer.reset()

    def _tick(self) -> None:
        with self._stepping:
            if not self._closed:
                self._advance()

    def _advance(self) -> None:
        """Let as much simulated time pass as is due, in stretches after each of which everything is published."""
        due_s = self._pacer.due_s(time.monotonic(), self.driver.now_s)
        chunk_s = max(self._pacer.chunk_s, self._period_s * self._pacer.factor) if self._idle else self._pacer.chunk_s
        # Half a physics step of slack: a timer that is early by a hair must not skip a beat.
        for _ in range(min(MAX_CHUNKS, int((due_s + 0.002) / chunk_s))):
            self._pass_time(chunk_s)
            self._robot.publish(self.driver)
            self._cameras.tick(self.driver)
            self._arm.tick()
            self._gripper.tick()
        still = self._rest.since_s(self.driver.now_s) > self.parameters.idle_after_s
        self._set_idle(still and self._pacer.factor > 0 and not self._cameras.watched)

    def _pass_time(self, duration_s: float) -> None:
        if self._rest.resting(self.driver.now_s):
            self._rest.pass_time(self.driver, duration_s)
        else:
            self.driver.advance(duration_s)
            self._rest.look(self.driver)

    # --- services and reports ------------------------------------------------------------------------------------------

    def _set_vacuum(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.wake()
        try:
            self.driver.set_vacuum(request.data)
            response.success = True
        except HandBusyError as error:
            response.success, response.message = False, str(error)
        return response

    def _regulate_vacuum(self, message: Float64) -> None:
        if message.data > 0.0:
            self.driver.regulate_vacuum(message.data)
        else:
            self.node.get_logger().error(f"/vacuum/limit has to be > 0 Pa, got {message.data}; it stays as it was")

    def _report(self) -> None:
        """Pace and cost, once a second."""
        wall, sim = time.monotonic(), self.driver.now_s
        pace = (sim - self._report_from[1]) / max(wall - self._report_from[0], 1e-6)
        self._report_from = (wall, sim)
        slow = pace < SLOW * self.parameters.realtime_factor
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if slow else DiagnosticStatus.OK,
            name="sim: pace",
            message=f"real-time factor {pace:.2f}",
            hardware_id="simulator",
            values=[
                KeyValue(key="idle", value=str(self._idle)),
                KeyValue(key="time given up, s", value=f"{self._pacer.lost_s:.2f}"),
                KeyValue(key="frames published", value=str(self._cameras.published)),
                KeyValue(key="cameras", value=self.driver.cameras.stats.text() if self.driver.cameras else "none"),
            ],
        )
        msg = DiagnosticArray(status=[status])
        msg.header.stamp = self.node.get_clock().now().to_msg()
        self._diagnostics.publish(msg)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Setting up a scene takes seconds: a signal meanwhile ends the process at once instead of after it."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    raise SystemExit(run("sim", SimApp, (ValueError, OSError, FillError)))


if __name__ == "__main__":
    main()
