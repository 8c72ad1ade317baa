# ruff: noqa: E402
"""Driver messages to values and back, and the ways in which drivers get them wrong."""

from __future__ import annotations

import numpy as np
import pytest

drivers = pytest.importorskip("pickcell_conversions.drivers", reason="needs the built workspace")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from sensor_msgs.msg import JointState as JointStateMsg

from pickcell.geometry import make_pose
from pickcell.values import CameraModel, JointState, JointTrajectory, Wrench

MessageError = drivers.MessageError
few = settings(max_examples=40, deadline=None)


def over_the_wire(msg):
    """The message as a subscriber would get it."""
    return deserialize_message(serialize_message(msg), type(msg))


@given(st.floats(0, 2e9))
@few
def test_time_round_trip(t) -> None:
    assert drivers.seconds(drivers.time_msg(t)) == pytest.approx(t, abs=1e-6)


def test_time_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        drivers.time_msg(float("nan"))


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
@few
def test_color_round_trip(color) -> None:
    msg = over_the_wire(drivers.color_to_msg(color, 1.5, "cam"))
    assert (msg.encoding, msg.header.frame_id, msg.step) == ("rgb8", "cam", 3 * color.shape[1])
    np.testing.assert_array_equal(drivers.color_from_msg(msg), color)


def test_bgr_and_row_padding() -> None:
    color = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    rows = np.zeros((2, 12), np.uint8)  # three padding bytes per row
    rows[:, :9] = color[:, :, ::-1].reshape(2, 9)
    msg = Image(height=2, width=3, encoding="bgr8", step=12, data=rows.tobytes())
    np.testing.assert_array_equal(drivers.color_from_msg(msg), color)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.floats(0.0625, 60, width=32)),
    st.sampled_from(["16UC1", "32FC1"]),
    st.integers(0, 63),
)
@few
def test_depth_round_trip_keeps_holes(depth, encoding, hole) -> None:
    depth = depth.copy()
    depth.flat[hole % depth.size] = np.nan
    back = drivers.depth_from_msg(over_the_wire(drivers.depth_to_msg(depth, 0.0, "cam", encoding)))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(depth))
    np.testing.assert_allclose(back, depth, atol=0.00051 if encoding == "16UC1" else 0.0)


def test_depth_beyond_the_format_is_a_hole() -> None:
    depth = np.array([[70.0, -1.0, np.inf, 1.0]], np.float32)
    back = drivers.depth_from_msg(drivers.depth_to_msg(depth, 0.0, "cam", "16UC1"))
    np.testing.assert_array_equal(np.isnan(back[0]), [True, True, True, False])


def test_big_endian_and_zero_metres() -> None:
    depth = np.array([[0.0, 1.25, np.inf]], ">f4")
    msg = Image(height=1, width=3, encoding="32FC1", is_bigendian=1, step=12, data=depth.tobytes())
    np.testing.assert_array_equal(drivers.depth_from_msg(msg), np.array([[np.nan, 1.25, np.nan]], np.float32))


@pytest.mark.parametrize(
    ("msg", "says"),
    [
        (Image(height=1, width=1, encoding="mono8", step=1, data=b"x"), "mono8"),
        (Image(height=2, width=3, encoding="rgb8", step=9, data=bytes(17)), "too short"),
        (Image(height=2, width=3, encoding="rgb8", step=8, data=bytes(16)), "too short"),
    ],
)
def test_unusable_color_is_explained(msg, says) -> None:
    with pytest.raises(MessageError, match=says):
        drivers.color_from_msg(msg)


def test_unknown_depth_encoding_lists_the_valid_ones() -> None:
    with pytest.raises(MessageError, match="16UC1"):
        drivers.depth_from_msg(Image(height=1, width=1, encoding="8UC1", step=1, data=b"x"))
    with pytest.raises(ValueError, match="32FC1"):
        drivers.depth_to_msg(np.ones((1, 1), np.float32), 0.0, "cam", "64FC1")


def test_camera_model_round_trip() -> None:
    model = CameraModel.from_fov("cam_left", 640, 480, 1.0)
    msg = over_the_wire(drivers.camera_info_to_msg(model, 2.0))
    assert drivers.camera_model_from_msg(msg, "cam_left") == model


def test_uncalibrated_or_distorted_cameras_are_refused() -> None:
    msg = drivers.camera_info_to_msg(CameraModel.from_fov("c", 64, 48, 1.0), 0.0)
    msg.k, msg.p = [0.0] * 9, [0.0] * 12
    with pytest.raises(MessageError, match="not calibrated"):
        drivers.camera_model_from_msg(msg, "c")
    msg = drivers.camera_info_to_msg(CameraModel.from_fov("c", 64, 48, 1.0), 0.0)
    msg.p, msg.d = [0.0] * 12, [0.1, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(MessageError, match="rectified"):
        drivers.camera_model_from_msg(msg, "c")


def test_joint_state_round_trip_and_gaps() -> None:
    state = JointState(3.25, ("a", "b"), np.array([1.0, 2.0]), np.array([0.1, 0.2]), np.array([5.0, 6.0]))
    back = drivers.joint_state_from_msg(over_the_wire(drivers.joint_state_to_msg(state)))
    assert (back.names, back.stamp_s) == (state.names, state.stamp_s)
    for name in ("positions", "velocities", "efforts"):
        np.testing.assert_array_equal(getattr(back, name), getattr(state, name))
    bare = drivers.joint_state_from_msg(JointStateMsg(name=["a"], position=[1.0]))
    assert np.isnan(bare.velocities).all() and np.isnan(bare.efforts).all()
    with pytest.raises(MessageError, match="2 names and 1 positions"):
        drivers.joint_state_from_msg(JointStateMsg(name=["a", "b"], position=[1.0]))


@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 2**32 - 1))
@few
def test_trajectory_round_trip(points, joints, seed) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.001, 0.1, points)) - 0.001
    names = tuple(f"j{i}" for i in range(joints))
    out = JointTrajectory(names, times, rng.normal(size=(points, joints)), rng.normal(size=(points, joints)))
    back = drivers.trajectory_from_msg(over_the_wire(drivers.trajectory_to_msg(out)))
    np.testing.assert_allclose(back.times_s, out.times_s, atol=1e-9)
    np.testing.assert_array_equal(back.positions, out.positions)
    np.testing.assert_array_equal(back.velocities, out.velocities)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.points.clear(), "no joints or no points"),
        (lambda m: m.points[1].positions.pop(), "point 1"),
        (lambda m: setattr(m.points[1].time_from_start, "sec", 0), "must increase"),
        (lambda m: m.points[0].positions.__setitem__(0, float("nan")), "not finite"),
    ],
)
def test_broken_trajectories_are_explained(change, says) -> None:
    positions = np.array([[0.0, 0.0], [1.0, 1.0]])
    msg = drivers.trajectory_to_msg(JointTrajectory(("a", "b"), np.array([0.0, 1.0]), positions, np.zeros((2, 2))))
    change(msg)
    with pytest.raises(MessageError, match=says):
        drivers.trajectory_from_msg(msg)


def test_trajectory_without_velocities_gets_differences() -> None:
    positions = np.array([[0.0], [1.0], [3.0]])
    msg = drivers.trajectory_to_msg(JointTrajectory(("a",), np.array([0.0, 1.0, 2.0]), positions, np.zeros((3, 1))))
    for point in msg.points:
        point.velocities = []
    np.testing.assert_allclose(drivers.trajectory_from_msg(msg).velocities[:, 0], [1.0, 1.5, 2.0])


def test_wrench_and_transform_round_trip() -> None:
    wrench = Wrench(1.0, np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    back = drivers.wrench_from_msg(over_the_wire(drivers.wrench_to_msg(wrench)))
    np.testing.assert_array_equal(back.force_n, wrench.force_n)
    np.testing.assert_array_equal(back.torque_nm, wrench.torque_nm)
    X = make_pose((0.1, -0.2, 0.3), (0.4, 0.5, -3.0))
    msg = over_the_wire(drivers.transform_to_msg(X, "a", "b", drivers.time_msg(1.0)))
    assert (msg.header.frame_id, msg.child_frame_id) == ("a", "b")
    np.testing.assert_allclose(drivers.pose_from_transform(msg.transform), X, atol=1e-12)
    msg.transform.rotation.w = 7.0
    with pytest.raises(MessageError, match="length"):
        drivers.pose_from_transform(msg.transform)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_joints_and_wrenches_that_are_not_finite_are_refused(value) -> None:
    with pytest.raises(MessageError, match=r"no finite position of \['b'\]"):
        drivers.joint_state_from_msg(JointStateMsg(name=["a", "b"], position=[0.0, value]))
    unknown = drivers.joint_state_from_msg(JointStateMsg(name=["a"], position=[0.0], velocity=[value], effort=[1.0]))
    assert np.isnan(unknown.velocities).all() and unknown.efforts[0] == 1.0
    msg = drivers.wrench_to_msg(Wrench(0.0, np.zeros(3), np.zeros(3)))
    msg.wrench.torque.y = value
    with pytest.raises(MessageError, match="not finite"):
        drivers.wrench_from_msg(msg)
