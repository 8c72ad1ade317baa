"""Driver-level messages to values and back: images, camera models, joints, trajectories, wrenches, transforms.

Times are seconds as float (cell time); positions in rad or m as the joint has it. A message that cannot be used
(unknown encoding, wrong size) raises :class:`MessageError`, which says what was expected: nodes report it as the
driver's fault.
"""

from __future__ import annotations

import sys

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Transform, TransformStamped, WrenchStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from sensor_msgs.msg import JointState as JointStateMsg
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg
from trajectory_msgs.msg import JointTrajectoryPoint

from pickcell.geometry import Pose, pose_from_quat_xyzw, quat_xyzw_from_pose
from pickcell.values import CameraModel, JointState, JointTrajectory, Wrench

DEPTH_ENCODINGS = ("16UC1", "32FC1")
"""REP 118: whole millimetres with 0 for no measurement, or metres with NaN."""
_COLOR_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0)}
_PINHOLE_MODELS = ("", "plumb_bob", "rational_polynomial")


class MessageError(ValueError):
    """A driver's message that cannot be used; the text says what was expected."""


# --- time ------------------------------------------------------------------------------------------------------------


def seconds(stamp: Time | Duration) -> float:
    """A stamp or duration in seconds."""
    return stamp.sec + 1e-9 * stamp.nanosec


def nanoseconds(stamp: Time | Duration) -> int:
    """A stamp or duration in whole nanoseconds, for exact comparison."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def time_msg(stamp_s: float) -> Time:
    """Seconds as a stamp, to the nearest nanosecond."""
    sec, nanosec = _split(stamp_s)
    return Time(sec=sec, nanosec=nanosec)


def duration_msg(duration_s: float) -> Duration:
    sec, nanosec = _split(duration_s)
    return Duration(sec=sec, nanosec=nanosec)


def _split(value_s: float) -> tuple[int, int]:
    if not np.isfinite(value_s):
        raise ValueError(f"a time must be finite, got {value_s}")
    return divmod(round(value_s * 1e9), 1_000_000_000)


# --- images ----------------------------------------------------------------------------------------------------------


def _pixels(msg: Image, dtype: np.dtype, channels: int) -> NDArray:
    """(H, W, channels) view of an image's data, whatever its row padding and byte order."""
    dtype = dtype.newbyteorder(">" if msg.is_bigendian else "<") if dtype.itemsize > 1 else dtype
    row = msg.width * channels * dtype.itemsize
    if msg.step < row or len(msg.data) < msg.step * msg.height:
        raise MessageError(
            f"image {msg.width}x{msg.height} {msg.encoding}: step {msg.step} and {len(msg.data)} bytes are too short, "
            f"a row needs {row} bytes"
        )
    data = np.frombuffer(msg.data, np.uint8, msg.step * msg.height).reshape(msg.height, msg.step)
    if msg.step != row:
        data = np.ascontiguousarray(data[:, :row])
    return data.view(dtype).reshape(msg.height, msg.width, channels)


def color_from_msg(msg: Image) -> NDArray[np.uint8]:
    """(H, W, 3) RGB. Accepts rgb8, bgr8, rgba8, bgra8."""
    order = _COLOR_CHANNELS.get(msg.encoding)
    if order is None:
        raise MessageError(f"colour encoding '{msg.encoding}' is not known; valid: {sorted(_COLOR_CHANNELS)}")
    pixels = _pixels(msg, np.dtype(np.uint8), 4 if "a" in msg.encoding else 3)
    return pixels if order == (0, 1, 2) and pixels.shape[2] == 3 else np.ascontiguousarray(pixels[:, :, order])


def depth_from_msg(msg: Image) -> NDArray[np.float32]:
    """(H, W) metres along the optical axis, NaN where nothing was measured. Accepts 16UC1, mono16 (mm) and 32FC1 (m)."""
    if msg.encoding in ("16UC1", "mono16"):
        mm = _pixels(msg, np.dtype(np.uint16), 1)[:, :, 0]
        depth = mm.astype(np.float32)
        depth *= np.float32(1e-3)
        depth[mm == 0] = np.nan
        return depth
    if msg.encoding == "32FC1":
        raw = _pixels(msg, np.dtype(np.float32), 1)[:, :, 0]
        depth = np.array(raw, np.float32)  # own copy, native byte order
        # Drivers disagree on "nothing": REP 118 has NaN and +-inf (out of range), many publish 0.
        depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
        return depth
    raise MessageError(f"depth encoding '{msg.encoding}' is not known; valid: {list(DEPTH_ENCODINGS)}")


def _image(data: bytes, shape: tuple[int, ...], encoding: str, pixel_bytes: int, stamp_s: float, frame_id: str) -> Image:
    msg = Image()
    msg.header.stamp = time_msg(stamp_s)
    msg.header.frame_id = frame_id
    msg.height, msg.width = int(shape[0]), int(shape[1])
    msg.encoding = encoding
    msg.is_bigendian = int(sys.byteorder == "big")
    msg.step = msg.width * pixel_bytes
    msg.data = data  # bytes: a list, memoryview or array would be copied element by element
    return msg


def color_to_msg(color: NDArray[np.uint8], stamp_s: float, frame_id: str) -> Image:
    """(H, W, 3) RGB as rgb8."""
    if color.ndim != 3 or color.shape[2] != 3 or color.dtype != np.uint8:
        raise ValueError(f"colour must be (H, W, 3) uint8, got {color.shape} {color.dtype}")
    return _image(color.tobytes(), color.shape, "rgb8", 3, stamp_s, frame_id)


def depth_to_msg(depth_m: NDArray[np.float32], stamp_s: float, frame_id: str, encoding: str = "16UC1") -> Image:
    """(H, W) metres, NaN for none, as 16UC1 (rounded to mm, 0 for none or beyond 65 m) or 32FC1."""
    if depth_m.ndim != 2:
        raise ValueError(f"depth must be (H, W), got {depth_m.shape}")
    if encoding == "32FC1":
        return _image(depth_m.astype(np.float32).tobytes(), depth_m.shape, encoding, 4, stamp_s, frame_id)
    if encoding != "16UC1":
        raise ValueError(f"depth encoding '{encoding}' is not known; valid: {list(DEPTH_ENCODINGS)}")
    mm = np.nan_to_num(depth_m * np.float32(1000.0), nan=0.0, posinf=0.0, neginf=0.0)
    mm[(mm < 0) | (mm > 65535)] = 0.0
    return _image((mm + np.float32(0.5)).astype(np.uint16).tobytes(), depth_m.shape, encoding, 2, stamp_s, frame_id)


# --- cameras ---------------------------------------------------------------------------------------------------------


def camera_info_to_msg(model: CameraModel, stamp_s: float) -> CameraInfo:
    """The pinhole model as a CameraInfo without distortion."""
    msg = CameraInfo()
    msg.header.stamp = time_msg(stamp_s)
    msg.header.frame_id = model.frame_id
    msg.height, msg.width = model.height, model.width
    msg.distortion_model = "plumb_bob"
    msg.d = [0.0] * 5
    msg.k = model.K.ravel().tolist()
    msg.r = np.eye(3).ravel().tolist()
    msg.p = np.hstack([model.K, np.zeros((3, 1))]).ravel().tolist()
    return msg


def camera_model_from_msg(msg: CameraInfo, name: str) -> CameraModel:
    """The pinhole model of a rectified image: the projection matrix P where it is set, else K.

    Raises MessageError for an uncalibrated camera (all zero) or one with distortion left in the image.
    """
    P = np.asarray(msg.p, dtype=float).reshape(3, 4)
    K = P[:, :3] if P[0, 0] > 0 else np.asarray(msg.k, dtype=float).reshape(3, 3)
    values = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    if not (np.all(np.isfinite(values)) and K[0, 0] > 0 and K[1, 1] > 0 and msg.width > 0 and msg.height > 0):
        raise MessageError(
            f"camera_info of '{name}' is not calibrated: fx {K[0, 0]}, fy {K[1, 1]}, {msg.width}x{msg.height}"
        )
    distorted = np.any(np.abs(np.asarray(msg.d, dtype=float)) > 1e-9) and not P[0, 0] > 0
    if msg.distortion_model not in _PINHOLE_MODELS or distorted:
        raise MessageError(f"camera_info of '{name}': distortion model '{msg.distortion_model}' needs rectified images")
    return CameraModel(name, int(msg.width), int(msg.height), *map(float, values), msg.header.frame_id)


# --- joints and trajectories -------------------------------------------------------------------------------------------


def joint_state_to_msg(state: JointState) -> JointStateMsg:
    msg = JointStateMsg()
    msg.header.stamp = time_msg(state.stamp_s)
    msg.name = list(state.names)
    msg.position = state.positions.tolist()
    msg.velocity = state.velocities.tolist()
    msg.effort = state.efforts.tolist()
    return msg


def joint_state_from_msg(msg: JointStateMsg) -> JointState:
    """Velocities and efforts that a driver leaves out are NaN: unknown, not zero.

    Raises MessageError for uneven lengths and for positions that are not finite.
    """
    n = len(msg.name)
    if len(msg.position) != n:
        raise MessageError(f"joint state has {n} names and {len(msg.position)} positions")
    position = np.asarray(msg.position, dtype=float)
    if not np.all(np.isfinite(position)):
        raise MessageError(f"no finite position of {[msg.name[i] for i in np.flatnonzero(~np.isfinite(position))]}")
    unknown = np.full(n, np.nan)
    velocity = np.asarray(msg.velocity, dtype=float) if len(msg.velocity) == n else unknown
    effort = np.asarray(msg.effort, dtype=float) if len(msg.effort) == n else unknown
    velocity, effort = (np.where(np.isfinite(values), values, np.nan) for values in (velocity, effort))
    return JointState(seconds(msg.header.stamp), tuple(msg.name), position, velocity, effort)


def trajectory_to_msg(trajectory: JointTrajectory) -> JointTrajectoryMsg:
    """A trajectory that starts when it is received (header stamp zero)."""
    msg = JointTrajectoryMsg()
    msg.joint_names = list(trajectory.joint_names)
    for t, q, v in zip(trajectory.times_s, trajectory.positions.tolist(), trajectory.velocities.tolist()):
        msg.points.append(JointTrajectoryPoint(positions=q, velocities=v, time_from_start=duration_msg(float(t))))
    return msg


def trajectory_from_msg(msg: JointTrajectoryMsg) -> JointTrajectory:
    """Raises MessageError for an unusable one: no points, uneven lengths, times that do not increase, NaN.

    Velocities that are left out become finite differences of the positions.
    """
    n = len(msg.joint_names)
    if n == 0 or not msg.points:
        raise MessageError("the trajectory has no joints or no points")
    for i, point in enumerate(msg.points):
        if len(point.positions) != n or len(point.velocities) not in (0, n):
            raise MessageError(
                f"point {i} has {len(point.positions)} positions and {len(point.velocities)} velocities for {n} joints"
            )
    times = np.array([seconds(point.time_from_start) for point in msg.points])
    if times[0] < 0 or np.any(np.diff(times) <= 0):
        raise MessageError("time_from_start must increase from point to point and not be negative")
    positions = np.array([point.positions for point in msg.points], dtype=float)
    if all(len(point.velocities) == n for point in msg.points):
        velocities = np.array([point.velocities for point in msg.points], dtype=float)
    elif len(times) > 1:
        velocities = np.gradient(positions, times, axis=0)
    else:
        velocities = np.zeros_like(positions)
    if not (np.all(np.isfinite(positions)) and np.all(np.isfinite(velocities))):
        raise MessageError("the trajectory holds values that are not finite")
    return JointTrajectory(tuple(msg.joint_names), times, positions, velocities)


# --- wrench and transforms ---------------------------------------------------------------------------------------------


def wrench_to_msg(wrench: Wrench, frame_id: str = "tool0") -> WrenchStamped:
    msg = WrenchStamped()
    msg.header.stamp = time_msg(wrench.stamp_s)
    msg.header.frame_id = frame_id
    force, torque = msg.wrench.force, msg.wrench.torque
    force.x, force.y, force.z = wrench.force_n.tolist()
    torque.x, torque.y, torque.z = wrench.torque_nm.tolist()
    return msg


def wrench_from_msg(msg: WrenchStamped) -> Wrench:
    """Raises MessageError when it is not finite: every comparison with NaN is false, so no limit would ever hold."""
    force = np.array([msg.wrench.force.x, msg.wrench.force.y, msg.wrench.force.z])
    torque = np.array([msg.wrench.torque.x, msg.wrench.torque.y, msg.wrench.torque.z])
    if not (np.all(np.isfinite(force)) and np.all(np.isfinite(torque))):
        raise MessageError(f"the wrench is not finite: force {force.tolist()} N, torque {torque.tolist()} Nm")
    return Wrench(seconds(msg.header.stamp), force, torque)


def transform_to_msg(X: Pose, parent: str, child: str, stamp: Time) -> TransformStamped:
    """``X_parent_child`` as a stamped transform."""
    msg = TransformStamped()
    msg.header.stamp = stamp
    msg.header.frame_id = parent
    msg.child_frame_id = child
    t, q = msg.transform.translation, msg.transform.rotation
    t.x, t.y, t.z = X[:3, 3].tolist()
    q.x, q.y, q.z, q.w = quat_xyzw_from_pose(X).tolist()
    return msg


def pose_from_transform(msg: Transform) -> Pose:
    """The 4x4 pose of a transform. Raises MessageError when its quaternion is not a rotation."""
    t, q = msg.translation, msg.rotation
    quat = np.array([q.x, q.y, q.z, q.w])
    norm = float(np.linalg.norm(quat))
    if not np.isfinite(norm) or abs(norm - 1.0) > 1e-2:
        raise MessageError(f"quaternion of a transform has length {norm:.3f} instead of 1")
    return pose_from_quat_xyzw([t.x, t.y, t.z], quat / norm)
