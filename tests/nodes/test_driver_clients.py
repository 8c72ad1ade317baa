"""The clients of the drivers against hand-made topics and services, in this process: what goes wrong in the field."""

from __future__ import annotations

import pytest

pytest.importorskip("pickcell_drivers.cameras", reason="needs the built workspace")

import threading
import time

import numpy as np
from geometry_msgs.msg import WrenchStamped
from rclpy.action import ActionServer
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_processes import CELL_FILE, free_domain, spinning_node, wait_until
from sensor_msgs.msg import CameraInfo, FluidPressure, Image, JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from control_msgs.action import ParallelGripperCommand
from pickcell.cell import load_cell
from pickcell.outcome import Code
from pickcell_conversions.drivers import camera_info_to_msg, color_to_msg, depth_to_msg
from pickcell_drivers.action_calls import wait_future, wait_server
from pickcell_drivers.cameras import CameraSource, CameraSourceConfig
from pickcell_drivers.hand import GRIPPER_ACTION, VACUUM_SERVICE, RosHand
from pickcell_drivers.readings import RobotReadings
from pickcell_drivers.transforms import TransformBuffer
from pickcell_node.action_client import ThreadedActionClient

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(60)]

CELL = load_cell(CELL_FILE)


@pytest.fixture
def node():
    with spinning_node(free_domain(), "driver_client", sim_time=False) as node:
        yield node


class FakeCamera:
    """Publishes one frame of a camera when told to."""

    def __init__(self, node, config, buffer: TransformBuffer) -> None:
        self._node, self._model = node, config.model
        buffer.set_static("base_link", config.model.frame_id, np.eye(4))
        qos, name = QoSProfile(depth=2), config.name
        self.color = node.create_publisher(Image, f"/{name}/color/image_raw", qos)
        self.depth = node.create_publisher(Image, f"/{name}/depth/image_rect_raw", qos)
        self.info = node.create_publisher(CameraInfo, f"/{name}/color/camera_info", qos)

    @property
    def listeners(self) -> int:
        return min(publisher.get_subscription_count() for publisher in (self.color, self.depth, self.info))

    def publish(self) -> None:
        stamp_s = self._node.get_clock().now().nanoseconds * 1e-9
        shape, frame = (self._model.height, self._model.width), self._model.frame_id
        self.info.publish(camera_info_to_msg(self._model, stamp_s))
        self.color.publish(color_to_msg(np.full((*shape, 3), 90, np.uint8), stamp_s, frame))
        self.depth.publish(depth_to_msg(np.full(shape, 0.8, np.float32), stamp_s, frame))


def test_the_cameras_are_not_left_in_the_middle_of_a_wait(node):
    """A loaded machine may take longer to draw a frame than idle topics linger."""
    config, buffer = CELL.cameras[0], TransformBuffer()
    camera = FakeCamera(node, config, buffer)
    source = CameraSource(node, [config], buffer, CameraSourceConfig(linger_s=0.3))
    listeners_when_published = []

    def publish_late() -> None:
        time.sleep(1.0)
        listeners_when_published.append(camera.listeners)
        camera.publish()

    late = threading.Thread(target=publish_late)
    late.start()
    frames, gaps = source.frames(0.0, 5.0)
    late.join()
    assert listeners_when_published == [1]
    assert set(frames) == {config.name} and gaps == ()
    wait_until(lambda: camera.listeners == 0, 5.0, "the topics are left when nobody waits any more")


def test_a_frame_from_before_the_first_transform_is_passed_over(node):
    """Who has just joined may hear of a frame before the first transform: it has no pose, the next one has."""
    config, buffer = CELL.cameras[0], TransformBuffer()
    camera = FakeCamera(node, config, buffer)
    source = CameraSource(node, [config], buffer, CameraSourceConfig(linger_s=0.0))
    source.listen()
    wait_until(lambda: camera.listeners == 1, 5.0, "the source listens")
    camera.publish()
    wait_until(lambda: source.newest_stamps().get(config.name), 5.0, "the first frame has arrived")
    first_s = source.newest_stamps()[config.name]
    frame_id = config.model.frame_id
    for k in range(60):
        buffer.set("base_link", frame_id, first_s + 0.03 + 0.1 * k, np.eye(4))
    late = threading.Timer(0.5, camera.publish)
    late.start()
    frames, gaps = source.frames(0.0, 5.0)
    late.join()
    assert gaps == () and frames[config.name].stamp_s > first_s
    for k in range(300):  # the history moves on, no frame follows: that one has lost its pose for good
        buffer.set("base_link", frame_id, first_s + 100.0 + 0.1 * k, np.eye(4))
    _, gaps = source.frames(0.0, 0.3)
    assert [gap.code for gap in gaps] == [Code.NODE_LOST] and "known from" in gaps[0].text
    source.leave()


class FakeSensors:
    """Publishes the robot's readings at 100 Hz; a line without pump fills with a time constant of ``fill_s``."""

    AMBIENT_PA = 98_000.0

    def __init__(self, node) -> None:
        self._node = node
        self.vacuum_pa, self.fill_s, self.force_n, self.first_joint = 0.0, 0.1, 5.0, 0.0
        self.on = False
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._stops = [node.create_publisher(Bool, topic, latched) for topic in ("/estop", "/protective_stop")]
        for publisher in self._stops:
            publisher.publish(Bool(data=False))
        self._joints = node.create_publisher(JointState, "/joint_states", 10)
        self._wrench = node.create_publisher(WrenchStamped, "/wrist_wrench", 10)
        self._pressure = node.create_publisher(FluidPressure, "/vacuum/pressure", 10)
        node.create_service(SetBool, VACUUM_SERVICE, self._switch)
        node.create_timer(0.01, self.publish)

    def _switch(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.on = request.data
        response.success = True
        return response

    def publish(self) -> None:
        self.vacuum_pa = 60_000.0 if self.on else self.vacuum_pa * (1.0 - 0.01 / self.fill_s)
        stamp = self._node.get_clock().now().to_msg()
        joints = JointState(name=[*CELL.arm.joints, *CELL.hand.jaw_joints])
        joints.position = [self.first_joint, *CELL.arm.home[1:], 0.02, 0.02]
        wrench, pressure = WrenchStamped(), FluidPressure(fluid_pressure=self.AMBIENT_PA - self.vacuum_pa)
        wrench.wrench.force.z = self.force_n
        for msg, publisher in ((joints, self._joints), (wrench, self._wrench), (pressure, self._pressure)):
            msg.header.stamp = stamp
            publisher.publish(msg)


@pytest.mark.parametrize(
    ("broken", "topic"), [("first_joint", "/joint_states"), ("force_n", "/wrist_wrench"), ("vacuum_pa", "/vacuum/pressure")]
)
def test_readings_that_are_not_finite_count_as_none(node, broken, topic):
    sensors, readings = FakeSensors(node), RobotReadings(node, CELL)
    readings.vacuum_commanded(False)  # so that the ambient pressure is learnt
    assert readings.wait_until_complete(5.0).ok
    before = getattr(sensors, broken)
    setattr(sensors, broken, float("nan"))
    wait_until(lambda: not readings.reading().ok, 5.0, "the broken sensor is noticed")
    lost = readings.reading()
    assert lost.code is Code.NODE_LOST and topic in lost.text and ("finite" in lost.text or "nan" in lost.text)
    setattr(sensors, broken, before)
    reading = readings.wait_until_complete(5.0).unwrap()
    assert np.isfinite(reading.ambient_pa) and np.isfinite(reading.pressure_pa)


@pytest.mark.parametrize(("fill_s", "least_s", "most_s"), [(0.05, 0.1, 0.45), (10.0, 0.45, 2.0)])
def test_switching_the_vacuum_off_ends_when_the_line_is_vented(node, fill_s, least_s, most_s):
    """Or after half a second, when it does not vent."""
    sensors, readings = FakeSensors(node), RobotReadings(node, CELL)
    sensors.fill_s = fill_s
    readings.vacuum_commanded(False)
    assert readings.wait_until_complete(5.0).ok
    wait_until(lambda: abs(readings.reading().unwrap().ambient_pa - sensors.AMBIENT_PA) < 300.0, 10.0, "ambient is learnt")
    hand = RosHand(node, CELL, readings)
    assert hand.set_vacuum(True).ok
    wait_until(lambda: readings.reading().unwrap().vacuum_pa > 50_000.0, 5.0, "the vacuum is there")
    start = time.monotonic()
    assert hand.set_vacuum(False).ok
    took_s, left_pa = time.monotonic() - start, sensors.vacuum_pa
    assert least_s < took_s < most_s
    assert left_pa < 2_000.0 or took_s >= 0.5


class SlowToRegister:
    """rclpy's handle of an action client, on a core so busy that an answer comes before its request is registered."""

    def __init__(self, handle) -> None:
        self._handle = handle

    def __enter__(self):
        return self._handle.__enter__()

    def __exit__(self, *error: object) -> None:
        self._handle.__exit__(*error)

    def __getattr__(self, name: str):
        method = getattr(self._handle, name)
        if not name.startswith("send_"):
            return method

        def send(request):
            number = method(request)
            time.sleep(0.2)
            return number

        return send


def test_an_answer_that_comes_before_its_request_is_registered_is_not_lost(node):
    def grip(goal) -> ParallelGripperCommand.Result:
        goal.succeed()
        return ParallelGripperCommand.Result(reached_goal=True)

    server = ActionServer(node, ParallelGripperCommand, GRIPPER_ACTION, grip)
    client = ThreadedActionClient(node, ParallelGripperCommand, GRIPPER_ACTION)
    assert wait_server(client, 5.0)
    client._client_handle = SlowToRegister(client._client_handle)
    sending = client.send_goal_async(ParallelGripperCommand.Goal())
    assert wait_future(sending, 3.0) and sending.result().accepted
    result = sending.result().get_result_async()
    assert wait_future(result, 3.0) and result.result().result.reached_goal
    server.destroy()
