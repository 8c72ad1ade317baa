"""Poses as 4x4 homogeneous matrices: ``X_a_b`` is the pose of frame b in frame a, so ``X_a_c = X_a_b @ X_b_c``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Pose = NDArray[np.float64]
"""A 4x4 homogeneous transform."""


def make_pose(translation: ArrayLike = (0.0, 0.0, 0.0), rpy: ArrayLike = (0.0, 0.0, 0.0)) -> Pose:
    """Pose from a translation (m) and fixed-axis roll, pitch, yaw (rad), as URDF's ``origin`` defines them."""
    X = np.eye(4)
    X[:3, :3] = Rotation.from_euler("xyz", np.asarray(rpy, dtype=float)).as_matrix()
    X[:3, 3] = np.asarray(translation, dtype=float)
    return X


def pose_from_quat_xyzw(translation: ArrayLike, quat_xyzw: ArrayLike) -> Pose:
    """Pose from a translation (m) and a unit quaternion in x, y, z, w order (ROS, scipy, PyBullet)."""
    X = np.eye(4)
    X[:3, :3] = Rotation.from_quat(np.asarray(quat_xyzw, dtype=float)).as_matrix()
    X[:3, 3] = np.asarray(translation, dtype=float)
    return X


def quat_xyzw_from_pose(X: Pose) -> NDArray[np.float64]:
    """The rotation of ``X`` as a unit quaternion (x, y, z, w)."""
    return np.asarray(Rotation.from_matrix(X[:3, :3]).as_quat(), dtype=np.float64)


def inverse(X: Pose) -> Pose:
    """``X_b_a`` from ``X_a_b``."""
    out = np.eye(4)
    out[:3, :3] = X[:3, :3].T
    out[:3, 3] = -X[:3, :3].T @ X[:3, 3]
    return out


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> Pose:
    """Pose of a camera's optical frame (+z forward, +x right, +y down; REP 103) at ``eye`` looking at ``target``."""
    eye, target, up = (np.asarray(v, dtype=float) for v in (eye, target, up))
    z = target - eye
    norm = np.linalg.norm(z)
    if norm < 1e-9:
        raise ValueError("look_at needs an eye and a target apart from each other")
    z = z / norm
    x = np.cross(z, up)
    if np.linalg.norm(x) < 1e-6:  # looking straight along `up`: any image rotation will do, so fix one
        x = np.cross(z, np.array([0.0, 1.0, 0.0]))
    x = x / np.linalg.norm(x)
    X = np.eye(4)
    X[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    X[:3, 3] = eye
    return X


def transform_points(X: Pose, points: ArrayLike) -> NDArray[np.float64]:
    """Apply ``X_a_b`` to points (N, 3) given in b; returns them in a."""
    points = np.asarray(points, dtype=np.float64)  # mixed types would multiply without BLAS, four times slower
    return points @ X[:3, :3].T + X[:3, 3]


def transform_vectors(X: Pose, vectors: ArrayLike) -> NDArray[np.float64]:
    """Rotate vectors (N, 3) given in b into a with ``X_a_b``."""
    return np.asarray(vectors, dtype=np.float64) @ X[:3, :3].T


def rotation_angle(X: Pose) -> float:
    """Angle of the rotation of ``X`` in radians, 0..pi."""
    return float(np.arccos(np.clip((np.trace(X[:3, :3]) - 1.0) / 2.0, -1.0, 1.0)))
