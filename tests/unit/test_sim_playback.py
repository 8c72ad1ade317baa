"""Playing trajectories: interpolation, fading in, braking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell_sim.robot.playback import Playback

LIMITS = np.array([15.0, 7.5])
STEP_S = 1 / 240
floats = st.floats(-1.5, 1.5)


def cubic() -> tuple[Playback, np.ndarray]:
    """A trajectory that is a cubic in time, which Hermite interpolation reproduces exactly."""
    times = np.array([0.0, 0.3, 0.7, 1.0])
    c = np.array([[0.1, -0.2], [0.5, 0.1], [-0.8, 0.6], [0.4, -0.3]])
    positions = sum(c[k] * times[:, None] ** k for k in range(4))
    velocities = sum(k * c[k] * times[:, None] ** (k - 1) for k in range(1, 4))
    return Playback(times, positions, velocities), c


def test_a_cubic_is_reproduced_between_its_points() -> None:
    playback, c = cubic()
    for t in (0.0, 0.05, 0.44, 0.69, 0.999):
        position, velocity = playback.sample(t)
        np.testing.assert_allclose(position, sum(c[k] * t**k for k in range(4)), atol=1e-12)
        np.testing.assert_allclose(velocity, sum(k * c[k] * t ** (k - 1) for k in range(1, 4)), atol=1e-11)


def test_ends_at_rest_on_the_last_point() -> None:
    playback, _ = cubic()
    position, velocity = playback.sample(5.0)
    np.testing.assert_allclose(position, playback.sample(0.999999)[0], atol=1e-5)
    assert not velocity.any()


@settings(max_examples=50)
@given(st.lists(floats, min_size=2, max_size=2), st.lists(floats, min_size=2, max_size=2))
def test_fading_in_starts_at_the_given_state_and_stays_within_the_limits(gap: list[float], speed: list[float]) -> None:
    still = Playback(np.array([0.0, 1.0]), np.zeros((2, 2)), np.zeros((2, 2)))
    still.fade(0.05 * np.array(gap), np.array(speed), LIMITS)
    position, velocity = still.advance(0.0)
    np.testing.assert_allclose(position, 0.05 * np.array(gap), atol=1e-9)
    np.testing.assert_allclose(velocity, speed, atol=1e-9)
    last = velocity
    while not still.finished:
        position, velocity = still.advance(STEP_S)
        assert (np.abs(velocity - last) / STEP_S <= 0.5 * LIMITS + 1e-6).all()
        last = velocity
    assert np.abs(position).max() < 1e-3 and np.abs(velocity).max() < 0.05


@settings(max_examples=50)
@given(st.lists(floats, min_size=2, max_size=2))
def test_braking_stands_within_the_acceleration_limits(speed: list[float]) -> None:
    playback = Playback.braking(np.zeros(2), np.array(speed), LIMITS)
    last, position = np.array(speed), np.zeros(2)
    while not playback.standing:
        position, velocity = playback.advance(STEP_S)
        assert (np.abs(velocity - last) / STEP_S <= LIMITS + 1e-6).all()
        last = velocity
    assert not last.any()
    assert np.abs(position).max() <= np.max(np.square(speed) / (2 * 0.9 * LIMITS)) * 2 + 0.05


def test_braking_keeps_to_the_path() -> None:
    """Both joints keep the proportion of the straight line while slowing down."""
    times = np.linspace(0, 2, 201)
    path = times[:, None] * np.array([0.8, 0.4])
    playback = Playback(times, path, np.tile([0.8, 0.4], (201, 1)))
    for _ in range(100):
        playback.advance(STEP_S)
    playback.brake(LIMITS)
    while not playback.standing:
        position, _ = playback.advance(STEP_S)
        assert position[0] == pytest.approx(2 * position[1], rel=1e-9)


def test_can_be_entered_in_the_middle_but_not_before_its_start() -> None:
    times = np.array([0.0, 1.0])
    path = np.array([[0.0], [1.0]])
    late = Playback(times, path, np.ones((2, 1)), elapsed_s=0.5)
    assert late.sample(0.1)[0][0] == pytest.approx(0.6)
    with pytest.raises(ValueError, match="elapsed_s"):
        Playback(times, path, np.ones((2, 1)), elapsed_s=-1.0)
