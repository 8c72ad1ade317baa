"""Readings of the robot as values."""

from __future__ import annotations

import numpy as np
import pytest

from pickcell.values import JointState


def _part(stamp_s: float, **positions: float) -> JointState:
    values = np.array(list(positions.values()))
    return JointState(stamp_s, tuple(positions), values, 10.0 * values, 100.0 * values)


def test_merged_joints_come_from_the_newer_part_with_the_stamp_of_the_oldest() -> None:
    arm, hand = _part(2.0, a=1.0, b=2.0), _part(1.5, b=9.0, jaw=0.02)
    for parts in ([arm, hand], [hand, arm]):
        merged = JointState.merged(parts)
        assert merged.stamp_s == 1.5 and set(merged.names) == {"a", "b", "jaw"}
        np.testing.assert_allclose(merged.select(("a", "b", "jaw")), [1.0, 2.0, 0.02])
        np.testing.assert_allclose(merged.velocities, 10.0 * merged.positions)
        np.testing.assert_allclose(merged.efforts, 100.0 * merged.positions)


def test_one_part_is_itself_and_none_is_a_mistake() -> None:
    arm = _part(2.0, a=1.0)
    assert JointState.merged([arm]) is arm
    with pytest.raises(ValueError, match="at least one"):
        JointState.merged([])
