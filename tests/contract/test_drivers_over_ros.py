"""The same contract, kept over ROS: the simulator's node on one side, the driver ports on the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from driver_contract import DrivenCell, DriverContract
from ros_processes import CELL_FILE, free_domain, spinning_node, start_robot_state, start_sim
from std_srvs.srv import SetBool

from pickcell.cell import load_cell
from pickcell.geometry import inverse
from pickcell.outcome import Code
from pickcell_drivers.action_calls import call_service, wait_server
from pickcell_drivers.arm import RosArm
from pickcell_drivers.cameras import CameraSource, CameraSourceConfig
from pickcell_drivers.clock import RosClock
from pickcell_drivers.hand import RosHand
from pickcell_drivers.readings import RobotReadings

pytestmark = pytest.mark.nodes


@pytest.fixture(scope="module")
def processes():
    """(domain, simulator, robot_state)"""
    domain = free_domain()
    sim, state = start_sim(domain), start_robot_state(domain)
    yield domain, sim, state
    sim.stop()
    state.stop()


@pytest.fixture(scope="module")
def ros_cell(processes) -> Iterator[DrivenCell]:
    domain, sim, _ = processes
    config = load_cell(CELL_FILE)
    with spinning_node(domain) as node:
        clock = RosClock(node)
        readings = RobotReadings(node, config, clock)
        estop = node.create_client(SetBool, "/sim/estop")
        protective = node.create_client(SetBool, "/sim/protective_stop")
        assert wait_server(estop, 25.0), sim.output
        ready = readings.wait_until_complete(10.0)
        assert ready.ok, ready.text
        cell = DrivenCell(
            config,
            clock,
            RosArm(node, config, readings, clock),
            RosHand(node, config, readings, clock),
            readings,
            lambda pressed: call_service(estop, SetBool.Request(data=pressed), 5.0),
            lambda: call_service(protective, SetBool.Request(data=False), 5.0),
        )
        readings.vacuum_commanded(False)
        cell.node = node
        yield cell


class TestOverRos(DriverContract):
    @pytest.fixture
    def cell(self, ros_cell: DrivenCell) -> DrivenCell:
        return ros_cell

    def test_stop_from_another_thread(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        goal = cell.home.copy()
        goal[0] += 0.8
        timer = threading.Timer(0.8, cell.arm.stop)
        timer.start()
        outcome = cell.arm.execute(cell.joint_motion(goal, 3.0))
        timer.join()
        assert outcome.code is Code.CANCELLED
        assert cell.q()[0] < goal[0] - 0.1 and cell.speed() < 0.05

    def test_one_motion_at_a_time(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        motion = cell.joint_motion(cell.home + 0.05, 1.0)
        thread = threading.Thread(target=cell.arm.execute, args=(motion,))
        thread.start()
        time.sleep(0.3)
        with pytest.raises(RuntimeError, match="one motion at a time"):
            cell.arm.execute(motion)
        thread.join()

    def test_frames_come_with_where_the_camera_stood(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        source = CameraSource(cell.node, cell.config.cameras, config=CameraSourceConfig(linger_s=0.0))
        not_before = cell.clock.now_s()
        frames, gaps = source.frames(not_before, 20.0)
        assert not gaps, gaps
        X_base_world = inverse(cell.config.X_world_base)
        for camera in cell.config.cameras:
            frame = frames[camera.name]
            assert frame.stamp_s >= not_before - 1e-6
            assert frame.camera == camera.model
            assert np.isfinite(frame.depth_m).mean() > 0.5
            if camera.parent == "world":
                expected = X_base_world @ camera.X_parent_camera
            else:
                expected = cell.X_base_tool() @ camera.X_parent_camera
            np.testing.assert_allclose(frame.X_base_camera, expected, atol=2e-3)
        start = time.monotonic()
        _, gaps = source.frames(cell.clock.now_s(), 5.0)
        assert not gaps and time.monotonic() - start < 2.0
        source.leave()
        assert source.frames(cell.clock.now_s(), 10.0)[1] == (), "joins again on request"
        with pytest.raises(KeyError, match="cam_left"):
            source.frames(0.0, 0.1, ["cam_nowhere"])
        source.leave()

    def test_wrist_camera_follows_the_arm(self, cell: DrivenCell) -> None:
        """Frames taken while the arm moves carry the pose of their stamp."""
        source = CameraSource(cell.node, cell.config.cameras, config=CameraSourceConfig(linger_s=0.0))
        cell.go(cell.home)
        goal = cell.home.copy()
        goal[0] += 0.6
        taken = []

        def look() -> None:
            while thread_runs.is_set():
                frames, _ = source.frames(cell.clock.now_s(), 3.0, ["cam_wrist"])
                taken.extend(frames.values())

        thread_runs = threading.Event()
        thread_runs.set()
        thread = threading.Thread(target=look)
        thread.start()
        assert cell.arm.execute(cell.joint_motion(goal, 2.0)).ok
        thread_runs.clear()
        thread.join()
        source.leave()
        # The camera turns about the base's z axis: its radius stays, its azimuth rises with the stamps.
        origins = np.array([frame.X_base_camera[:3, 3] for frame in taken])
        radius = np.linalg.norm(origins[:, :2], axis=1)
        assert np.ptp(radius) < 2e-3 and len(taken) > 3
        assert np.all(np.diff(np.unwrap(np.arctan2(origins[:, 1], origins[:, 0]))) > -1e-3)
        cell.go(cell.home)


def test_a_dead_driver_is_a_lost_node() -> None:
    """The simulator is killed: readings fail with a typed code within seconds, although simulated time stands still."""
    domain = free_domain()
    sim = start_sim(domain)
    config = load_cell(CELL_FILE)
    try:
        with spinning_node(domain) as node:
            clock = RosClock(node)
            readings = RobotReadings(node, config, clock)
            missing = readings.reading()
            assert missing.code is Code.NODE_LOST and "/joint_states" in missing.text
            assert readings.wait_until_complete(25.0).ok, sim.output
            arm = RosArm(node, config, readings, clock)
            cell = DrivenCell(config, clock, arm, RosHand(node, config, readings, clock), readings, print, print)
            goal = cell.home.copy()
            goal[0] += 0.8
            killer = threading.Timer(1.0, sim.kill)
            killer.start()
            start = time.monotonic()
            outcome = arm.execute(cell.joint_motion(goal, 4.0))
            killer.join()
            assert outcome.code is Code.NODE_LOST, outcome.text
            assert time.monotonic() - start < 8.0
            assert readings.reading().code is Code.NODE_LOST
            assert cell.hand.set_jaw(0.05, 20.0).code is Code.NODE_LOST
            before = time.monotonic()
            clock.sleep_s(0.1)
            assert time.monotonic() - before < 10.0, "a clock that stands still does not hold the caller for good"
    finally:
        sim.stop()
