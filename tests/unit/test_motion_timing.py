"""Timed motions: limits, rest at both ends, the tool's cap, time-domain shortcuts, straight lines, sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_cells import cell, planner, robot

from pickcell.motion import resample, sample
from pickcell.motion.straight import Speeds, straight_motion
from pickcell.motion.timing import (
    DT_S,
    along_vertices,
    join_states,
    peak_tool_acceleration,
    shorten,
    standstill,
)
from pickcell.values import JointTrajectory, Tool

CORE = planner("panda").core
LOAD = CORE.empty_hand(Tool.PINCH, 0.1, False)
TOOL = CORE.tool(LOAD)
HOME = np.array(cell("panda").arm.home)


def assert_within_limits(motion, cap=None, slack=1e-6):
    limits = CORE.limits
    assert np.all(motion.position >= limits.lower - slack) and np.all(motion.position <= limits.upper + slack)
    assert np.all(np.abs(motion.velocity) <= limits.velocity + slack)
    assert np.all(np.abs(motion.acceleration) <= limits.acceleration + slack)
    for end in (0, -1):
        np.testing.assert_allclose(motion.velocity[end], 0.0, atol=1e-9)
    if len(motion.position) > 1:  # the stored velocities and accelerations are those of the positions
        mean = 0.5 * (motion.velocity[1:] + motion.velocity[:-1])
        np.testing.assert_allclose(np.diff(motion.position, axis=0) / DT_S, mean, atol=0.01)
    if cap is not None:
        assert peak_tool_acceleration(TOOL, motion.position, DT_S) <= cap * 1.001


def random_path(seed, count):
    rng = np.random.default_rng(seed)
    middle, half = 0.5 * (CORE.limits.lower + CORE.limits.upper), 0.45 * (CORE.limits.upper - CORE.limits.lower)
    return middle + half * rng.uniform(-1, 1, (count, 7))


def open_space_checker():
    """Nothing is ever in the way."""
    checker = CORE.checker(LOAD, CORE.worlds.empty)
    margins = checker.margins
    far = [np.full_like(m, -100.0) for m in (margins.fixed, margins.seen, margins.own)]
    return checker._replace(margins=type(margins)(*far))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 5), cap=st.sampled_from([1.0, 5.0, 10.0]))
def test_stopping_at_vertices_keeps_all_limits(seed, count, cap):
    path = random_path(seed, count)
    motion = along_vertices(path, CORE.limits, TOOL, cap)
    assert_within_limits(motion, cap)
    np.testing.assert_array_equal(motion.position[0], path[0])
    np.testing.assert_array_equal(motion.position[-1], path[-1])
    jerk = np.diff(motion.acceleration, axis=0) / DT_S
    assert np.all(np.abs(jerk) <= CORE.limits.jerk * 1.001)
    for vertex in path:
        assert np.min(np.max(np.abs(motion.position - vertex), axis=1)) < 1e-6


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), cap=st.sampled_from([2.0, 5.0, 20.0]))
def test_shortening_keeps_ends_and_limits_and_is_never_slower(seed, cap):
    path = random_path(seed, 4)
    before = along_vertices(path, CORE.limits, TOOL, cap)
    after = shorten(before, CORE.limits, TOOL, cap, open_space_checker(), 70, np.random.default_rng(seed))
    assert_within_limits(after, cap)
    np.testing.assert_array_equal(after.position[[0, -1]], before.position[[0, -1]])
    assert after.duration_s < before.duration_s
    jerk = np.diff(after.acceleration, axis=0) / DT_S
    assert np.all(np.abs(jerk) <= CORE.limits.jerk * 1.001)


def test_a_wrist_that_turns_fast_while_the_tool_is_capped_keeps_its_velocity_limit():
    """Joins with a lowered jerk overshot the velocity of a joint that moves the tool little; seen with panda_joint7."""
    start = np.array([0.53, 0.28, -0.37, -2.10, 0.14, 2.38, 1.64])
    end = np.array([1.25, 0.12, 0.10, -2.29, -0.02, 2.41, 2.83])
    for seed in range(12):
        via = 0.5 * (start + end) + np.random.default_rng(seed).uniform(-0.2, 0.2, 7)
        before = along_vertices(np.array([start, via, end]), CORE.limits, TOOL, 4.0)
        after = shorten(before, CORE.limits, TOOL, 4.0, open_space_checker(), 70, np.random.default_rng(seed))
        assert_within_limits(after, 4.0)


def test_states_that_cannot_be_joined_are_refused():
    z, nowhere = np.zeros(7), np.full(7, np.nan)
    limits = (CORE.limits.velocity, CORE.limits.acceleration, CORE.limits.jerk)
    assert join_states((z, z, z), (nowhere, z, z), limits) is None


def test_a_slower_tool_takes_longer():
    path = np.array([HOME, HOME + np.array([1.0, 0.2, 0, 0.3, 0, 0, 0])])
    durations = [along_vertices(path, CORE.limits, TOOL, cap).duration_s for cap in (0.5, 2.0, 50.0)]
    assert durations[0] > 1.5 * durations[1] > 1.5 * durations[2]


@settings(max_examples=25, deadline=None)
@given(
    length=st.floats(0.004, 0.2),
    acceleration=st.floats(0.3, 8.0),
    free=st.floats(0.05, 1.5),
    contact=st.sampled_from([None, 0.02, 0.08]),
    slow=st.floats(0.0, 0.05),
)
def test_straight_lines_keep_limits_speeds_and_stay_straight(length, acceleration, free, contact, slow):
    solver = CORE.solvers[Tool.PINCH]
    line = solver.line(HOME, (0.0, 0.0, -1.0), length)
    motion = straight_motion(line.qs, line.step_m, CORE.limits, Speeds(acceleration, free, contact, slow))
    assert_within_limits(motion, acceleration * 1.05)
    track = robot("panda").fk_many(motion.position, "tcp_pinch")[:, :3, 3]
    assert np.max(np.abs(track[:, :2] - track[0, :2])) < 2e-4
    way = track[0, 2] - track[:, 2]
    assert way[-1] == pytest.approx(line.length_m, abs=1e-5)
    speed = np.abs(np.diff(way)) / DT_S
    assert speed.max() <= free * 1.02
    if contact is not None:
        late = way[:-1] > line.length_m - slow + 1e-6
        assert np.all(speed[late] <= contact * 1.02)


def test_a_line_of_one_point_is_a_standstill():
    motion = straight_motion(HOME[None, :], 0.005, CORE.limits, Speeds(5.0))
    assert motion.duration_s == 0.0
    trajectory = standstill(HOME).trajectory(robot("panda").joint_names)
    assert trajectory.duration_s == 0.0
    q, v = sample(trajectory, [0.0, 1.0])
    np.testing.assert_array_equal(q, [HOME, HOME])
    np.testing.assert_array_equal(v, 0.0)


def test_sampling_hits_the_stored_states_and_stands_still_outside():
    motion = along_vertices(random_path(1, 2), CORE.limits, TOOL, 5.0)
    trajectory = motion.trajectory(robot("panda").joint_names)
    q, v = sample(trajectory, trajectory.times_s)
    np.testing.assert_allclose(q, trajectory.positions, atol=1e-12)
    np.testing.assert_allclose(v, trajectory.velocities, atol=1e-9)
    before, after = (sample(trajectory, t) for t in (-1.0, trajectory.duration_s + 1.0))
    np.testing.assert_array_equal(before[0], trajectory.positions[0])
    np.testing.assert_array_equal(after[0], trajectory.positions[-1])
    assert not before[1].any() and not after[1].any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), step=st.floats(0.001, 0.5))
def test_resampling_keeps_the_motion(seed, step):
    motion = along_vertices(random_path(seed, 2), CORE.limits, TOOL, 5.0)
    trajectory = motion.trajectory(robot("panda").joint_names)
    again = resample(trajectory, step)
    np.testing.assert_array_equal(again.positions[[0, -1]], trajectory.positions[[0, -1]])
    assert again.duration_s == trajectory.duration_s
    if step <= 0.008:
        t = np.linspace(0, trajectory.duration_s, 50)
        np.testing.assert_allclose(sample(again, t)[0], sample(trajectory, t)[0], atol=1e-5)


def test_sampled_velocity_is_the_derivative():
    t = np.array([0.0, 0.1, 0.3])
    trajectory = JointTrajectory(("a",), t, np.array([[0.0], [0.2], [0.1]]), np.array([[0.0], [1.0], [0.0]]))
    for at in (0.03, 0.1001, 0.25):
        h = 1e-6
        slope = (sample(trajectory, at + h)[0] - sample(trajectory, at - h)[0]) / (2 * h)
        np.testing.assert_allclose(sample(trajectory, at)[1], slope, atol=1e-5)


def test_bad_times_are_refused():
    trajectory = standstill(HOME).trajectory(robot("panda").joint_names)
    with pytest.raises(ValueError, match="finite"):
        sample(trajectory, np.nan)
    with pytest.raises(ValueError, match="step"):
        resample(trajectory, 0.0)
