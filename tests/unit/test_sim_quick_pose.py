"""The fast poses of the physics loop against the general ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pickcell.geometry import pose_from_quat_xyzw
from pickcell_sim.quick_pose import cross, pose_of, poses_of, rotation_vector

VECTOR = st.lists(st.floats(-1.6, 1.6), min_size=3, max_size=3).map(np.array)


@given(VECTOR, VECTOR)
def test_poses_agree_with_the_general_ones(turn: np.ndarray, place: np.ndarray) -> None:
    quat = Rotation.from_rotvec(turn).as_quat()
    expected = pose_from_quat_xyzw(place, quat)
    np.testing.assert_allclose(pose_of(place, quat), expected, atol=1e-12)
    np.testing.assert_allclose(poses_of(np.array([place, -place]), np.array([quat, -quat]))[0], expected, atol=1e-12)


@given(VECTOR)
def test_rotation_vectors_return(turn: np.ndarray) -> None:
    np.testing.assert_allclose(rotation_vector(Rotation.from_rotvec(turn).as_matrix()), turn, atol=1e-7)


@given(VECTOR, VECTOR)
def test_cross_product(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(cross(a, b), np.cross(a, b), atol=1e-12)
