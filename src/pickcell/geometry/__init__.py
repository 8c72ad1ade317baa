"""Rigid transforms and simple shapes. Poses are 4x4 float64 matrices named ``X_parent_child``."""

from pickcell.geometry.pose import (
    Pose,
    inverse,
    look_at,
    make_pose,
    pose_from_quat_xyzw,
    quat_xyzw_from_pose,
    rotation_angle,
    transform_points,
    transform_vectors,
)

__all__ = [
    "Pose",
    "inverse",
    "look_at",
    "make_pose",
    "pose_from_quat_xyzw",
    "quat_xyzw_from_pose",
    "rotation_angle",
    "transform_points",
    "transform_vectors",
]
