"""Inverse kinematics: residuals, limits, success rate, distinct solutions, free turn, straight lines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_cells import ARMS, cell, robot

from pickcell.geometry import make_pose, rotation_angle
from pickcell.motion import IkSolver

SOLVERS = {arm: IkSolver(robot(arm), "tcp_pinch") for arm in ARMS}


@pytest.mark.parametrize("arm", ARMS)
def test_random_reachable_poses_are_solved_within_limits(arm):
    r, solver = robot(arm), SOLVERS[arm]
    qs = np.random.default_rng(0).uniform(r.lower, r.upper, (200, r.n))
    targets = r.fk_many(qs, "tcp_pinch")
    found = solver.solve(targets, cell(arm).arm.home, seeds=16, count=6)
    solved = [len(s) > 0 for s in found]
    assert np.mean(solved) >= 0.98
    for X, solutions in zip(targets, found):
        for q in solutions:
            assert np.all(q >= r.lower) and np.all(q <= r.upper)
            np.testing.assert_allclose(r.fk(q, "tcp_pinch"), X, atol=2e-6)


@pytest.mark.parametrize("arm", ARMS)
def test_every_place_over_the_source_tote_is_reachable_from_above(arm):
    X_base_tote, inner = cell(arm).X_base_tote("source"), np.array(cell(arm).totes["source"].inner)
    rng = np.random.default_rng(1)
    targets = []
    for _ in range(60):
        xyz = rng.uniform([-0.4, -0.4, 0.1], [0.4, 0.4, 0.9]) * inner
        targets.append(X_base_tote @ make_pose(xyz, (np.pi, 0.0, rng.uniform(-np.pi, np.pi))))
    found = SOLVERS[arm].solve(targets, cell(arm).arm.home, seeds=12)
    assert np.mean([len(s) > 0 for s in found]) >= 0.95


def test_solutions_are_distinct_and_the_nearest_comes_first():
    r, solver = robot("panda"), SOLVERS["panda"]
    home = np.array(cell("panda").arm.home)
    (solutions,) = solver.solve([solver.pose(home)], home, seeds=24, count=8)
    assert len(solutions) >= 3
    np.testing.assert_allclose(solutions[0], home, atol=1e-5)
    for i in range(len(solutions)):
        for j in range(i):
            assert np.max(np.abs(solutions[i] - solutions[j])) > 0.1
    times = np.max(np.abs(solutions - home) / r.velocity, axis=1)
    assert times[0] <= times[1:].min()


def test_an_unreachable_pose_has_no_solution():
    (solutions,) = SOLVERS["panda"].solve([make_pose((3.0, 0.0, 0.5))], cell("panda").arm.home)
    assert solutions.shape == (0, 7)


def test_a_free_turn_keeps_position_and_axis_only():
    r, solver = robot("panda"), SOLVERS["panda"]
    X = make_pose((0.5, 0.1, 0.05), (np.pi, 0.1, 2.0))
    (turned,) = solver.solve([X], cell("panda").arm.home, free_z=True, count=8)
    assert len(turned) > 1
    for q in turned:
        Y = r.fk(q, "tcp_pinch")
        np.testing.assert_allclose(Y[:3, 3], X[:3, 3], atol=1e-5)
        np.testing.assert_allclose(Y[:3, 2], X[:3, 2], atol=1e-5)
    assert max(rotation_angle(np.linalg.inv(r.fk(q, "tcp_pinch")) @ X) for q in turned) > 0.1


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(0.4, 0.6),
    y=st.floats(-0.2, 0.2),
    z=st.floats(-0.1, 0.05),
    yaw=st.floats(-3.1, 3.1),
    length=st.floats(0.0, 0.15),
)
def test_a_line_is_straight_evenly_stepped_and_keeps_its_orientation(x, y, z, yaw, length):
    r, solver = robot("panda"), SOLVERS["panda"]
    X = make_pose((x, y, z), (np.pi, 0.0, yaw))
    (solutions,) = solver.solve([X], cell("panda").arm.home)
    if len(solutions) == 0:
        return
    line = solver.line(solutions[0], (0.0, 0.0, 1.0), length)
    poses = r.fk_many(line.qs, "tcp_pinch")
    np.testing.assert_allclose(poses[:, :2, 3], np.tile([x, y], (len(poses), 1)), atol=2e-6)
    np.testing.assert_allclose(poses[:, 2, 3], z + line.step_m * np.arange(len(poses)), atol=2e-6)
    np.testing.assert_allclose(poses[:, :3, :3], np.tile(X[:3, :3], (len(poses), 1, 1)), atol=5e-6)
    assert not line.complete or line.length_m == pytest.approx(length, abs=1e-6)
    assert np.all(line.qs >= r.lower) and np.all(line.qs <= r.upper)


def test_a_line_ends_where_the_arm_does():
    solver = SOLVERS["panda"]
    line = solver.line(np.array(cell("panda").arm.home), (1.0, 0.0, 0.0), 2.0)
    assert not line.complete
    assert 0.1 < line.length_m < 1.0


@pytest.mark.parametrize(
    ("targets", "references", "said"),
    [
        (np.eye(4), np.zeros(7), "poses"),
        ([np.full((4, 4), np.nan)], np.zeros(7), "finite"),
        ([np.eye(4)], np.zeros(6), "references"),
    ],
)
def test_bad_input_is_refused(targets, references, said):
    with pytest.raises(ValueError, match=said):
        SOLVERS["panda"].solve(targets, references)


def test_a_line_needs_a_direction():
    with pytest.raises(ValueError, match="direction"):
        SOLVERS["panda"].line(np.zeros(7), (0, 0, 0), 0.1)
    assert SOLVERS["panda"].solve(np.zeros((0, 4, 4)), np.zeros(7)) == []
