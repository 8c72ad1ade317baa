"""Small rotations and poses for what runs in every physics step; scipy's general ones take ten times as long.

Same conventions as :mod:`pickcell.geometry`: 4x4 poses, quaternions xyzw as PyBullet gives them (unit length).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, sqrt

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose

Array = NDArray[np.float64]


def pose_of(position: Sequence[float], quat_xyzw: Sequence[float]) -> Pose:
    """(4, 4) from a position (3,) and a unit quaternion (4,)."""
    x, y, z, w = quat_xyzw
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), position[0]],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), position[1]],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), position[2]],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def poses_of(positions: Array, quats_xyzw: Array) -> Array:
    """(N, 4, 4) from positions (N, 3) and unit quaternions (N, 4)."""
    x, y, z, w = quats_xyzw.T
    X = np.zeros((len(positions), 4, 4))
    X[:, 0, 0], X[:, 0, 1], X[:, 0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
    X[:, 1, 0], X[:, 1, 1], X[:, 1, 2] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
    X[:, 2, 0], X[:, 2, 1], X[:, 2, 2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)
    X[:, :3, 3] = positions
    X[:, 3, 3] = 1.0
    return X


def rotation_vector(R: Array) -> Array:
    """(3,) axis times angle of a rotation matrix (3, 3) that turns by clearly less than half a turn."""
    (_, a01, a02), (a10, _, a12), (a20, a21, _) = R[:3, :3].tolist()
    x, y, z = a21 - a12, a02 - a20, a10 - a01  # 2 sin(angle) axis
    twice_sine = sqrt(x * x + y * y + z * z)
    twice_cosine = float(R[0, 0] + R[1, 1] + R[2, 2]) - 1.0
    scale = 0.5 if twice_sine < 1e-9 else atan2(twice_sine, twice_cosine) / twice_sine
    return np.array([scale * x, scale * y, scale * z])


def cross(a: Array, b: Array) -> Array:
    """(3,) cross product of two vectors."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
