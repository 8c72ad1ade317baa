"""The simulator's node from outside: its interfaces, time, actions with ros2_control's manners, images, and its end."""

from __future__ import annotations

import json
import time
from collections import Counter

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_processes import CELL_FILE, ROOT, STOP_S, free_domain, spinning_node, start_sim, wait_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from control_msgs.action import FollowJointTrajectory, ParallelGripperCommand
from control_msgs.msg import JointTolerance
from pickcell.cell import load_cell
from pickcell.values import JointTrajectory
from pickcell_conversions.drivers import joint_state_from_msg, seconds, trajectory_to_msg
from pickcell_drivers.action_calls import call_service, wait_future, wait_server

pytestmark = pytest.mark.nodes

CELL = load_cell(CELL_FILE)
HOME = np.array(CELL.arm.home)
TOPICS = {
    "/clock": "rosgraph_msgs/msg/Clock",
    "/joint_states": "sensor_msgs/msg/JointState",
    "/wrist_wrench": "geometry_msgs/msg/WrenchStamped",
    "/vacuum/pressure": "sensor_msgs/msg/FluidPressure",
    "/estop": "std_msgs/msg/Bool",
    "/protective_stop": "std_msgs/msg/Bool",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    **{f"/{c.name}/color/image_raw": "sensor_msgs/msg/Image" for c in CELL.cameras},
    **{f"/{c.name}/depth/image_rect_raw": "sensor_msgs/msg/Image" for c in CELL.cameras},
    **{f"/{c.name}/color/camera_info": "sensor_msgs/msg/CameraInfo" for c in CELL.cameras},
    **{f"/{c.name}/depth/camera_info": "sensor_msgs/msg/CameraInfo" for c in CELL.cameras},
}
ACTIONS = {
    "/arm_controller/follow_joint_trajectory": "control_msgs/action/FollowJointTrajectory",
    "/gripper_controller/gripper_cmd": "control_msgs/action/ParallelGripperCommand",
}


@pytest.fixture(scope="module")
def domain():
    return free_domain()


@pytest.fixture(scope="module")
def sim(domain):
    process = start_sim(domain)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def node(domain, sim):
    with spinning_node(domain) as node:
        arm = ActionClient(node, FollowJointTrajectory, "/arm_controller/follow_joint_trajectory")
        assert wait_server(arm, 25.0), sim.output
        node.arm = arm
        node.gripper = ActionClient(node, ParallelGripperCommand, "/gripper_controller/gripper_cmd")
        assert wait_server(node.gripper, 5.0)
        yield node


class Newest:
    """Keeps what arrives on a topic."""

    def __init__(self, node, kind, topic, qos=10):
        self.messages = []
        self._node = node
        self._subscription = node.create_subscription(kind, topic, self.messages.append, qos)

    def wait(self, timeout_s=5.0):
        count = len(self.messages)
        wait_until(lambda: len(self.messages) > count, timeout_s, f"message on {self._subscription.topic_name}")
        return self.messages[-1]

    def close(self):
        self._node.destroy_subscription(self._subscription)


def swing(start, joint=0, angle=0.4, duration=1.5, n=60) -> JointTrajectory:
    """A smooth motion of one joint from ``start`` by ``angle``: quintic, at rest at both ends."""
    t = np.linspace(0.0, duration, n)
    s = t / duration
    shape, rate = s**3 * (10 - 15 * s + 6 * s**2), 30 * s**2 * (1 - s) ** 2 / duration
    positions = np.tile(start, (n, 1))
    velocities = np.zeros_like(positions)
    positions[:, joint] += angle * shape
    velocities[:, joint] = angle * rate
    return JointTrajectory(CELL.arm.joints, t, positions, velocities)


def arm_now(node):
    topic = Newest(node, JointState, "/joint_states")
    try:
        return joint_state_from_msg(topic.wait())
    finally:
        topic.close()


def arm_positions(node):
    return arm_now(node).select(CELL.arm.joints)


def send(client, goal):
    future = client.send_goal_async(goal)
    assert wait_future(future, 5.0)
    return future.result()


def follow(node, trajectory, **fields):
    return send(node.arm, FollowJointTrajectory.Goal(trajectory=trajectory_to_msg(trajectory), **fields))


def result_of(handle, timeout_s=10.0):
    future = handle.get_result_async()
    assert wait_future(future, timeout_s), "no result"
    return future.result()


def go_home(node):
    """Back to where each test begins."""
    start = arm_positions(node)
    t = np.linspace(0.0, 1.0, 40)
    s = t[:, None]
    positions = start + (HOME - start) * (s**3 * (10 - 15 * s + 6 * s**2))
    velocities = (HOME - start) * (30 * s**2 * (1 - s) ** 2)
    assert result_of(follow(node, JointTrajectory(CELL.arm.joints, t, positions, velocities))).status == 4


def test_offers_every_driver_interface(node):
    wait_until(lambda: set(TOPICS) <= {name for name, _ in node.get_topic_names_and_types()}, 5.0, "all topics")
    types = dict(node.get_topic_names_and_types())
    for topic, kind in TOPICS.items():
        assert types[topic] == [kind], topic
        publishers = node.get_publishers_info_by_topic(topic)
        assert len(publishers) == 1, topic
        qos = publishers[0].qos_profile
        assert qos.reliability == ReliabilityPolicy.RELIABLE, topic
        latched = topic in ("/estop", "/protective_stop")
        assert (qos.durability == DurabilityPolicy.TRANSIENT_LOCAL) == latched, topic
    services = dict(node.get_service_names_and_types())
    assert services["/vacuum/set"] == ["std_srvs/srv/SetBool"]
    for action, kind in ACTIONS.items():
        assert services[f"{action}/_action/send_goal"] == [f"{kind}_SendGoal"]


def test_joint_states_and_clock_run_at_their_rate(node):
    clock = Newest(node, Clock, "/clock", QoSProfile(depth=100))
    joints = Newest(node, JointState, "/joint_states", QoSProfile(depth=100))
    go_home(node)  # a cell that moves publishes at its full rate
    stamps = [seconds(m.header.stamp) for m in joints.messages]
    times = [seconds(m.clock) for m in clock.messages]
    clock.close()
    joints.close()
    assert np.all(np.diff(times) > 0), "time never goes back"
    moving = np.diff(stamps)[-80:]
    assert np.median(moving) == pytest.approx(0.01, abs=0.003)
    names = joints.messages[-1].name
    assert names == [*CELL.arm.joints, *CELL.hand.jaw_joints, CELL.hand.cup_joint]


def test_follows_a_trajectory(node):
    go_home(node)
    handle = follow(node, swing(HOME))
    assert handle.accepted
    answer = result_of(handle)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.error_code == FollowJointTrajectory.Result.SUCCESSFUL
    assert arm_positions(node)[0] == pytest.approx(HOME[0] + 0.4, abs=0.005)


def test_a_new_goal_replaces_the_running_one(node):
    go_home(node)
    first = follow(node, swing(HOME, angle=0.8, duration=4.0))
    first_result = first.get_result_async()
    time.sleep(1.5)
    here = arm_positions(node)
    second = follow(node, swing(here, angle=0.0, duration=1.5))
    assert second.accepted
    assert wait_future(first_result, 2.0), "the replaced goal ends at once"
    old = first_result.result()
    assert old.status == GoalStatus.STATUS_ABORTED
    assert "replaced" in old.result.error_string
    assert result_of(second).status == GoalStatus.STATUS_SUCCEEDED
    assert np.abs(arm_positions(node) - here).max() < 0.02, "it obeys the second goal, not the first"


def test_cancel_brakes_the_arm(node):
    go_home(node)
    handle = follow(node, swing(HOME, angle=0.8, duration=4.0))
    result = handle.get_result_async()
    time.sleep(2.0)
    assert wait_future(handle.cancel_goal_async(), 2.0)
    assert wait_future(result, 3.0)
    assert result.result().status == GoalStatus.STATUS_CANCELED
    stopped = arm_now(node)
    assert np.abs(stopped.velocities[:7]).max() < 0.02
    assert HOME[0] + 0.05 < stopped.select(CELL.arm.joints)[0] < HOME[0] + 0.75, "on its way, not at an end"


def test_goal_tolerances_of_the_goal_count(node):
    go_home(node)
    tight = [JointTolerance(name=CELL.arm.joints[0], position=1e-9)]
    handle = follow(node, swing(HOME, angle=0.2, duration=0.8), path_tolerance=tight)
    answer = result_of(handle)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == FollowJointTrajectory.Result.PATH_TOLERANCE_VIOLATED
    assert CELL.arm.joints[0] in answer.result.error_string and "allowed" in answer.result.error_string


@pytest.mark.parametrize("fault", ["joints", "nan", "tolerance", "empty"])
def test_rejects_what_it_cannot_follow(node, fault):
    goal = FollowJointTrajectory.Goal(trajectory=trajectory_to_msg(swing(HOME)))
    if fault == "joints":
        goal.trajectory.joint_names[0] = "elbow"
    elif fault == "nan":
        goal.trajectory.points[3].positions[2] = float("nan")
    elif fault == "tolerance":
        goal.path_tolerance = [JointTolerance(name="elbow", position=0.1)]
    else:
        goal.trajectory.points = []
    assert not send(node.arm, goal).accepted


def test_a_trajectory_that_starts_elsewhere_aborts_with_a_reason(node):
    go_home(node)
    handle = follow(node, swing(HOME + 0.5, angle=0.1))
    answer = result_of(handle)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "rad away" in answer.result.error_string


def jaw_goal(width, effort=20.0):
    goal = ParallelGripperCommand.Goal()
    goal.command.name = [CELL.hand.jaw_joints[0]]
    goal.command.position = [width / 2]
    goal.command.effort = [effort]
    return goal


def test_gripper_reaches_its_setpoint(node):
    for width in (0.03, 0.08):
        answer = result_of(send(node.gripper, jaw_goal(width)))
        assert answer.status == GoalStatus.STATUS_SUCCEEDED
        assert answer.result.reached_goal and not answer.result.stalled
        assert answer.result.state.name == [CELL.hand.jaw_joints[0]]
        assert 2 * answer.result.state.position[0] == pytest.approx(width, abs=0.002)


def test_gripper_rejects_nonsense(node):
    wrong = jaw_goal(0.05)
    wrong.command.position = [0.01, 0.02]
    assert not send(node.gripper, wrong).accepted
    assert not send(node.gripper, jaw_goal(float("nan"))).accepted
    assert not send(node.gripper, jaw_goal(0.05, effort=-1.0)).accepted


def test_estop_aborts_and_blocks_and_is_latched(node):
    go_home(node)
    button = node.create_client(SetBool, "/sim/estop")
    handle = follow(node, swing(HOME, angle=0.8, duration=4.0))
    result = handle.get_result_async()
    time.sleep(1.0)
    assert call_service(button, SetBool.Request(data=True), 5.0).success
    try:
        assert wait_future(result, 3.0)
        assert result.result().status == GoalStatus.STATUS_ABORTED
        assert "emergency" in result.result().result.error_string
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        late = Newest(node, Bool, "/estop", latched)  # subscribes after the event and still gets it
        wait_until(lambda: late.messages and late.messages[-1].data, 5.0, "estop seen")
        late.close()
        again = result_of(follow(node, swing(arm_positions(node))))
        assert again.status == GoalStatus.STATUS_ABORTED
    finally:
        assert call_service(button, SetBool.Request(data=False), 5.0).success
    go_home(node)


def test_three_cameras_at_10_hz_arrive_without_loss(node):
    names = [camera.name for camera in CELL.cameras][:3]
    color, depth, infos = {}, {}, {}
    qos = QoSProfile(depth=2)
    for name in names:
        color[name] = Newest(node, Image, f"/{name}/color/image_raw", qos)
        depth[name] = Newest(node, Image, f"/{name}/depth/image_rect_raw", qos)
        infos[name] = Newest(node, CameraInfo, f"/{name}/color/camera_info", qos)
    wait_until(lambda: all(len(c.messages) >= 3 for c in color.values()), 20.0, "first images")
    start = max(seconds(c.messages[-1].header.stamp) for c in color.values())
    wait_until(
        lambda: all(seconds(d.messages[-1].header.stamp) > start + 5.0 for d in depth.values()), 30.0, "5 s of images"
    )
    for name in names:
        stamps = [seconds(m.header.stamp) for m in color[name].messages if seconds(m.header.stamp) >= start]
        gaps = np.diff(stamps)
        assert gaps.max() < 0.15, f"{name} lost a frame: {gaps.max():.3f} s between two"
        assert np.mean(gaps) == pytest.approx(0.1, abs=0.005)
        of_depth = Counter(m.header.stamp.nanosec for m in depth[name].messages)
        assert all(of_depth[m.header.stamp.nanosec] for m in color[name].messages[3:-1]), "colour and depth share stamps"
        image = color[name].messages[-1]
        assert (image.encoding, image.width, image.height) == ("rgb8", 640, 480)
        assert depth[name].messages[-1].encoding == "16UC1"
        assert image.header.frame_id == f"{name}_color_optical_frame"
    for topic in (*color.values(), *depth.values(), *infos.values()):
        topic.close()


def test_camera_faults_are_switched_by_parameter(node):
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters

    client = node.create_client(SetParameters, "/sim/set_parameters")

    def set_faults(*faults):
        value = ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=list(faults))
        request = SetParameters.Request(parameters=[Parameter(name="camera_faults", value=value)])
        return call_service(client, request, 5.0).results[0]

    refused = set_faults("cam_left:melted")
    assert not refused.successful and "silent" in refused.reason
    images = Newest(node, Image, "/cam_left/color/image_raw", QoSProfile(depth=2))
    images.wait(10.0)
    assert set_faults("cam_left:silent").successful
    time.sleep(0.5)
    count = len(images.messages)
    time.sleep(1.0)
    assert len(images.messages) == count, "silent"
    assert set_faults().successful
    images.wait(10.0)
    images.close()


def test_perturbations_are_struck_by_parameter(node):
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters

    client = node.create_client(SetParameters, "/sim/set_parameters")

    def strike(text):
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
        request = SetParameters.Request(parameters=[Parameter(name="perturbation", value=value)])
        return call_service(client, request, 5.0).results[0]

    images = Newest(node, Image, "/cam_left/color/image_raw", QoSProfile(depth=2))

    def brightness():
        return float(np.frombuffer(images.messages[-1].data, np.uint8).mean())

    refused = strike("earthquake")
    assert not refused.successful and "lights_dimmed" in refused.reason
    images.wait(10.0)
    bright = brightness()
    assert strike("lights_dimmed:3").successful
    wait_until(lambda: brightness() < 0.5 * bright, 10.0, "dimmed pictures")
    assert strike("").successful
    wait_until(lambda: brightness() > 0.9 * bright, 10.0, "bright pictures")
    images.close()

    depths = Newest(node, Image, "/cam_top/depth/image_rect_raw", QoSProfile(depth=2))

    def depth_mm():
        return np.frombuffer(depths.messages[-1].data, np.uint16).astype(float)

    depths.wait(10.0)
    before = depth_mm()
    nearer = lambda: np.count_nonzero((depth_mm() < before - 100) & (depth_mm() > 0))
    assert strike("intruder:1").successful
    wait_until(lambda: nearer() > 1000, 15.0, "someone over the totes")
    # nothing else moves in this cell: physics must not rest before the hand is gone
    wait_until(lambda: nearer() < 200, 20.0, "nobody over the totes")
    depths.close()


def test_reset_keeps_time_going(node):
    clock = Newest(node, Clock, "/clock", QoSProfile(depth=100))
    before = seconds(clock.wait().clock)
    answer = call_service(node.create_client(Trigger, "/sim/reset_scene"), Trigger.Request(), 20.0)
    assert answer.success, answer.message
    assert seconds(clock.wait().clock) >= before
    assert np.all(np.diff([seconds(m.clock) for m in clock.messages]) >= 0)
    clock.close()
    manifest = call_service(node.create_client(Trigger, "/sim/manifest"), Trigger.Request(), 5.0)
    assert json.loads(manifest.message) == {}
    go_home(node)


def test_idle_publishes_slowly_and_a_command_wakes_it(node):
    joints = Newest(node, JointState, "/joint_states", QoSProfile(depth=100))
    time.sleep(5.0)
    before = len(joints.messages)
    time.sleep(2.0)
    rate = (len(joints.messages) - before) / 2.0
    joints.close()
    assert 5.0 < rate < 20.0, f"{rate:.0f} Hz while idle"
    start = time.monotonic()
    assert result_of(follow(node, swing(arm_positions(node), angle=0.05, duration=0.3))).status == 4
    assert time.monotonic() - start < 3.0


def test_ctrl_c_ends_it_quickly_and_leaves_nothing():
    process = start_sim(free_domain())
    wait_until(lambda: "items, seed" in process.output, 25.0, "the simulator is up")
    assert process.interrupt() < STOP_S
    assert process.process.returncode == 0, process.output
    process.stop()


def test_ctrl_c_while_the_scene_is_being_set_up():
    process = start_sim(free_domain(), tote_file=ROOT / "config/totes/demo.yaml")
    time.sleep(3.0)  # filling a tote takes longer than that
    assert process.interrupt() < STOP_S
    process.stop()


def test_a_wrong_cell_file_is_explained():
    process = start_sim(free_domain(), cell="nowhere.yaml")
    process.process.wait(15.0)
    assert process.process.returncode == 2
    assert "cannot read cell file nowhere.yaml" in process.output
    process.stop()
