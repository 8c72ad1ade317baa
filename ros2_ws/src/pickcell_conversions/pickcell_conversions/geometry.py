"""Poses and vectors to messages and back."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMsg
from numpy.typing import ArrayLike, NDArray

from pickcell.geometry import Pose, pose_from_quat_xyzw, quat_xyzw_from_pose
from pickcell_conversions.drivers import MessageError


def pose_to_msg(X: Pose) -> PoseMsg:
    x, y, z = X[:3, 3].tolist()
    qx, qy, qz, qw = quat_xyzw_from_pose(X).tolist()
    return PoseMsg(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_from_msg(msg: PoseMsg) -> Pose:
    """4x4 pose. Raises MessageError when it is not finite or its quaternion is not a rotation."""
    p, q = msg.position, msg.orientation
    translation, quat = np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w])
    norm = float(np.linalg.norm(quat))
    if not np.all(np.isfinite(translation)) or not np.isfinite(norm) or abs(norm - 1.0) > 1e-3:
        raise MessageError(f"a pose needs a finite position and a unit quaternion, got {translation}, length {norm:.4f}")
    return pose_from_quat_xyzw(translation, quat / norm)


def point_to_msg(vector: ArrayLike) -> Point:
    x, y, z = np.asarray(vector, dtype=float).tolist()
    return Point(x=x, y=y, z=z)


def vector_to_msg(vector: ArrayLike) -> Vector3:
    x, y, z = np.asarray(vector, dtype=float).tolist()
    return Vector3(x=x, y=y, z=z)


def vector_from_msg(msg: Point | Vector3) -> NDArray[np.float64]:
    """(3,) in the message's unit."""
    return np.array([msg.x, msg.y, msg.z])
