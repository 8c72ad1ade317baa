# ruff: noqa: E402
"""The transform buffer: chains, interpolation, what it refuses."""

from __future__ import annotations

import threading

import numpy as np
import pytest

transforms = pytest.importorskip("pickcell_drivers.transforms", reason="needs the built workspace")

from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from pickcell.geometry import inverse, make_pose, rotation_angle

FrameUnknownError, StampError, TransformBuffer = (
    transforms.FrameUnknownError,
    transforms.StampError,
    transforms.TransformBuffer,
)
angles = st.tuples(*[st.floats(-3.1, 3.1)] * 3)
places = st.tuples(*[st.floats(-2, 2)] * 3)


def test_chain_up_and_down_the_tree() -> None:
    buffer = TransformBuffer()
    X_base_arm = make_pose((0.1, 0.2, 0.3), (0.1, 0.2, 0.3))
    X_arm_tool = make_pose((0.0, 0.0, 0.5), (0.0, 1.0, 0.0))
    X_base_camera = make_pose((1.0, 0.0, 1.0), (2.0, 0.0, 0.0))
    buffer.set("base", "arm", 1.0, X_base_arm)
    buffer.set("arm", "tool", 1.0, X_arm_tool)
    buffer.set_static("base", "camera", X_base_camera)
    np.testing.assert_allclose(buffer.lookup("base", "tool", 1.0), X_base_arm @ X_arm_tool, atol=1e-12)
    expected = inverse(X_base_camera) @ X_base_arm @ X_arm_tool
    np.testing.assert_allclose(buffer.lookup("camera", "tool", 1.0), expected, atol=1e-12)
    np.testing.assert_allclose(buffer.lookup("tool", "camera", 1.0), inverse(expected), atol=1e-12)
    np.testing.assert_allclose(buffer.lookup("tool", "tool", 99.0), np.eye(4), atol=1e-12)


@given(places, angles, places, angles, st.floats(0.0, 1.0))
@settings(deadline=None)
def test_interpolates_like_slerp(p0, r0, p1, r1, ratio) -> None:
    buffer = TransformBuffer()
    X0, X1 = make_pose(p0, r0), make_pose(p1, r1)
    buffer.set("a", "b", 10.0, X0)
    buffer.set("a", "b", 10.5, X1)
    X = buffer.lookup("a", "b", 10.0 + 0.5 * ratio)
    np.testing.assert_allclose(X[:3, 3], (1 - ratio) * X0[:3, 3] + ratio * X1[:3, 3], atol=1e-6)
    half_turn = rotation_angle(inverse(X0) @ X1) > np.pi - 1e-3  # the short way is not unique there
    if not half_turn:
        expected = Slerp([0.0, 1.0], Rotation.from_matrix([X0[:3, :3], X1[:3, :3]]))(ratio).as_matrix()
        np.testing.assert_allclose(X[:3, :3], expected, atol=1e-6)
    np.testing.assert_allclose(X[:3, :3] @ X[:3, :3].T, np.eye(3), atol=1e-9)


def test_out_of_order_samples_are_sorted() -> None:
    buffer = TransformBuffer()
    for stamp in (1.0, 3.0, 2.0):
        buffer.set("a", "b", stamp, make_pose((stamp, 0.0, 0.0)))
    for stamp in (1.25, 2.0, 2.75):
        assert buffer.lookup("a", "b", stamp)[0, 3] == pytest.approx(stamp)


def test_never_extrapolates() -> None:
    buffer = TransformBuffer()
    buffer.set("a", "b", 1.0, np.eye(4))
    buffer.set("a", "b", 2.0, np.eye(4))
    with pytest.raises(StampError, match=r"known up to 2\.000 s") as late:
        buffer.lookup("a", "b", 2.1)
    assert late.value.too_new
    with pytest.raises(StampError, match=r"known from 1\.000 s on") as early:
        buffer.lookup("a", "b", 0.9)
    assert not early.value.too_new


def test_unknown_frames_are_named() -> None:
    buffer = TransformBuffer()
    buffer.set_static("base", "camera", np.eye(4))
    with pytest.raises(FrameUnknownError, match=r"'base' and 'tool'.*'base', 'camera'"):
        buffer.lookup("base", "tool", 0.0)


def test_a_loop_is_an_error_not_a_hang() -> None:
    buffer = TransformBuffer()
    buffer.set_static("a", "b", np.eye(4))
    buffer.set_static("b", "a", np.eye(4))
    with pytest.raises(FrameUnknownError, match="loop"):
        buffer.lookup("a", "b", 0.0)


def test_history_is_bounded_and_a_restarted_clock_is_followed() -> None:
    buffer = TransformBuffer(history_s=1.0)
    for i in range(1000):
        buffer.set("a", "b", 0.01 * i, make_pose((0.01 * i, 0.0, 0.0)))
    assert len(buffer._edges["b"].stamps) < 300
    assert buffer.lookup("a", "b", 9.5)[0, 3] == pytest.approx(9.5)
    with pytest.raises(StampError):
        buffer.lookup("a", "b", 1.0)
    buffer.set("a", "b", 0.5, make_pose((7.0, 0.0, 0.0)))  # the simulation began anew
    assert buffer.lookup("a", "b", 0.5)[0, 3] == pytest.approx(7.0)
    with pytest.raises(StampError):
        buffer.lookup("a", "b", 9.5)


def test_wait_gets_a_transform_that_arrives_later() -> None:
    buffer = TransformBuffer()
    buffer.set("a", "b", 1.0, np.eye(4))
    timer = threading.Timer(0.05, lambda: buffer.set("a", "b", 2.0, make_pose((2.0, 0.0, 0.0))))
    timer.start()
    try:
        assert buffer.wait("a", "b", 1.5, timeout_s=5.0)[0, 3] == pytest.approx(1.0)
    finally:
        timer.join()
    with pytest.raises(StampError):
        buffer.wait("a", "b", 3.0, timeout_s=0.05)


@pytest.mark.parametrize("bad", [np.eye(3), np.full((4, 4), np.nan)])
def test_bad_poses_are_refused(bad) -> None:
    with pytest.raises(ValueError, match="finite 4x4"):
        TransformBuffer().set("a", "b", 0.0, bad)
    with pytest.raises(ValueError, match="finite 4x4"):
        TransformBuffer().set_static("a", "b", bad)
