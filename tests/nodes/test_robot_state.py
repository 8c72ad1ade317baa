"""Node robot_state: transforms from joint states, the cell's fixed frames, the description; late joiners get all of it."""

from __future__ import annotations

import time

import numpy as np
import pinocchio as pin
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_processes import CELL_FILE, STOP_S, NodeProcess, free_domain, spinning_node, start_robot_state, wait_until
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from pickcell.cell import load_cell
from pickcell.description import expand_urdf
from pickcell.geometry import inverse
from pickcell_conversions.drivers import time_msg
from pickcell_drivers.transforms import TransformBuffer, TransformListener
from tf2_msgs.msg import TFMessage

pytestmark = pytest.mark.nodes

CELL = load_cell(CELL_FILE)
NAMES = [*CELL.arm.joints, *CELL.hand.jaw_joints, CELL.hand.cup_joint]
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module")
def domain():
    return free_domain()


@pytest.fixture(scope="module")
def node(domain):
    process = start_robot_state(domain)
    try:
        with spinning_node(domain, sim_time=False) as node:
            node.joints = node.create_publisher(JointState, "/joint_states", 10)
            wait_until(lambda: node.joints.get_subscription_count() > 0, 20.0, process.output)
            node.process = process
            yield node
    finally:
        process.stop()


def publish(node, stamp_s, positions):
    msg = JointState(name=NAMES, position=[float(p) for p in positions])
    msg.header.stamp = time_msg(stamp_s)
    node.joints.publish(msg)


def test_every_link_is_where_pinocchio_says(node):
    buffer = TransformBuffer()
    listener = TransformListener(node, buffer)
    wait_until(lambda: "world" in buffer.frames(), 10.0, "static frames")
    q = np.random.default_rng(1).uniform(-0.5, 0.5, len(NAMES))
    q[7:] = [0.02, 0.03, 0.05]
    publish(node, 10.0, q)
    model = pin.buildModelFromXML(expand_urdf(CELL))
    data = model.createData()
    full = pin.neutral(model)
    for name, value in zip(NAMES, q):
        full[model.joints[model.getJointId(name)].idx_q] = value
    pin.framesForwardKinematics(model, data, full)
    links = [f for f in model.frames if f.type == pin.BODY and f.name != "universe"]
    for frame in links:
        if frame.name == "base_link":
            continue
        X = buffer.wait("base_link", frame.name, 10.0, 5.0)
        np.testing.assert_allclose(X, data.oMf[model.getFrameId(frame.name)].homogeneous, atol=1e-6, err_msg=frame.name)
    listener.destroy()


def test_fixed_frames_of_the_cell(node):
    buffer = TransformBuffer()
    listener = TransformListener(node, buffer)
    wait_until(lambda: "world" in buffer.frames(), 10.0, "static frames reach a late joiner")
    np.testing.assert_allclose(buffer.lookup("world", "base_link", 0.0), CELL.X_world_base, atol=1e-9)
    for tote in CELL.totes:
        np.testing.assert_allclose(buffer.lookup("base_link", f"tote_{tote}", 5.0), CELL.X_base_tote(tote), atol=1e-9)
    for camera in CELL.fixed_cameras:
        expected = inverse(CELL.X_world_base) @ camera.X_parent_camera
        np.testing.assert_allclose(buffer.lookup("base_link", camera.model.frame_id, 5.0), expected, atol=1e-9)
    wrist = CELL.camera("cam_wrist")
    np.testing.assert_allclose(buffer.lookup("tool0", wrist.model.frame_id, 5.0), wrist.X_parent_camera, atol=1e-9)
    listener.destroy()


def test_description_is_latched(node):
    got = []
    subscription = node.create_subscription(String, "/robot_description", got.append, LATCHED)
    wait_until(lambda: bool(got), 10.0, "description")
    assert got[0].data == expand_urdf(CELL)
    node.destroy_subscription(subscription)


def test_a_resting_robot_needs_few_transforms(node):
    got = []
    subscription = node.create_subscription(TFMessage, "/tf", got.append, QoSProfile(depth=200))
    time.sleep(0.3)
    q = np.full(len(NAMES), 0.1)
    for i in range(100):
        publish(node, 20.0 + 0.01 * i, q)
        time.sleep(0.01)
    time.sleep(0.3)
    resting = len(got)
    for i in range(100):
        publish(node, 21.0 + 0.01 * i, q + 0.01 * i)
        time.sleep(0.01)
    wait_until(lambda: len(got) - resting > 60, 5.0, "a moving robot is followed at its full rate")
    assert 8 <= resting <= 35, resting
    node.destroy_subscription(subscription)


def test_broken_joint_states_are_left_out(node):
    node.joints.publish(JointState(name=["panda_joint1"], position=[]))
    node.joints.publish(JointState(name=["panda_joint1"], position=[float("nan")]))
    wait_until(lambda: "left out" in node.process.output, 5.0, "a word about it in the log")
    assert node.process.process.poll() is None


def test_ctrl_c_and_wrong_cells(domain):
    process = start_robot_state(free_domain())
    wait_until(lambda: "fixed frames" in process.output, 20.0, "up")
    assert process.interrupt() < STOP_S
    assert process.process.returncode == 0, process.output
    process.stop()
    wrong = NodeProcess("pickcell_description", "robot_state", free_domain(), {"cell": "nowhere.yaml"})
    wrong.process.wait(15.0)
    assert wrong.process.returncode == 2 and "cannot read cell file nowhere.yaml" in wrong.output
    wrong.stop()
