"""A moving arm and something in its way: it stops or goes round, from the very state that it is in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from motion_cells import cell, planner

from pickcell.motion import made_up
from pickcell.motion.ahead import way_ahead
from pickcell.motion.replan import braking, replan
from pickcell.motion.sweep import samples_free
from pickcell.motion.timing import DT_S, Motion, peak_tool_acceleration
from pickcell.outcome import Code
from pickcell.values import GraspCandidate, Tool, Voxel

NOBODY = np.zeros((0, 4))
TRIES = 30


def _moving(seed: int = 0):
    """A motion from over the source tote to over the destination, and what it was planned with."""
    core, panda, rng = planner("panda").core, cell("panda"), np.random.default_rng(seed)
    scene = made_up.make_scene(panda, made_up.random_boxes(panda, 6, rng))
    load = core.empty_hand(Tool.PINCH, 0.06, False)
    checker = core.checker(load, core.worlds.full(scene, NOBODY))
    solver = core.solvers[Tool.PINCH]
    over = solver.pose(core.home)
    over[:2, 3] = panda.X_base_tote("destination")[:2, 3]
    goal = solver.solve(over[None], [core.home], count=1)[0]
    motion, _ = core.free_motion(core.home, goal, load, checker).unwrap()
    return core, scene, load, checker, goal, motion


def _state(motion: Motion, share: float):
    k = int(share * (len(motion.position) - 1))
    return motion.position[k], motion.velocity[k], motion.acceleration[k]


def _with_cube(scene, at, side=0.10):
    grid = scene.occupancy
    state = grid.state.copy()
    low = np.floor((at - 0.5 * side - grid.origin) / grid.resolution_m).astype(int)
    state[tuple(slice(a, a + round(side / grid.resolution_m)) for a in low)] = Voxel.OCCUPIED
    return replace(scene, occupancy=replace(grid, state=state))


def test_braking_ends_at_rest_within_all_limits():
    core, _, load, _, _, motion = _moving()
    for share in (0.1, 0.4, 0.7):
        stop = braking(_state(motion, share), core.limits, core.tool(load), load.acceleration)
        assert np.abs(stop.velocity[-1]).max() == 0.0
        assert np.all(np.abs(stop.velocity) <= core.limits.velocity * 1.001)
        assert np.all(np.abs(np.diff(stop.position, axis=0)) <= core.limits.velocity * DT_S * 1.001)
        np.testing.assert_allclose(stop.position[0], _state(motion, share)[0])
        assert peak_tool_acceleration(core.tool(load), stop.position, DT_S) < 3.0 * load.acceleration


@pytest.mark.parametrize("share", [0.15, 0.35])
def test_what_comes_up_on_the_way_is_gone_round_without_a_jerk(share):
    core, scene, load, _, goal, motion = _moving()
    at = core.solvers[load.tool].pose(motion.position[int(0.7 * len(motion.position))])[:3, 3]
    checker = core.checker(load, core.worlds.full(_with_cube(scene, at), NOBODY))
    state = _state(motion, share)
    k = int(share * (len(motion.position) - 1))
    assert not samples_free(checker, motion.position[k:]), "the cube must be in the way"
    found = replan(core, state, goal, load, checker, TRIES)
    assert found.ok, found.text
    new, which = found.unwrap()
    assert samples_free(checker, new.position) and which == 0
    np.testing.assert_allclose(new.position[0], state[0], atol=1e-9)
    np.testing.assert_allclose(new.velocity[0], state[1], atol=1e-9)
    np.testing.assert_allclose(new.position[-1], goal[0], atol=1e-9)
    assert np.all(np.abs(new.velocity) <= core.limits.velocity * 1.001)
    steps = np.abs(np.diff(new.velocity, axis=0)) / DT_S
    assert np.all(steps <= core.limits.acceleration * 1.05), "joint accelerations stay within their limits across the change"


def test_without_anything_in_the_way_the_goal_is_reached_as_before():
    core, _, load, checker, goal, motion = _moving()
    new, _ = replan(core, _state(motion, 0.3), goal, load, checker, TRIES).unwrap()
    assert samples_free(checker, new.position)
    assert new.duration_s <= 0.7 * motion.duration_s + 0.3


def test_a_goal_that_is_taken_up_ends_in_a_stop():
    core, scene, load, _, goal, motion = _moving()
    at = core.solvers[load.tool].pose(goal[0])[:3, 3]
    checker = core.checker(load, core.worlds.full(_with_cube(scene, at, 0.16), NOBODY))
    found = replan(core, _state(motion, 0.3), goal, load, checker, TRIES)
    assert found.code is Code.NO_PATH and found.value is not None
    stop, which = found.value
    assert which == -1 and np.abs(stop.velocity[-1]).max() == 0.0 and samples_free(checker, stop.position)


def test_too_late_to_stop_says_so_and_stops_all_the_same():
    core, scene, load, _, goal, motion = _moving()
    now = int(0.4 * len(motion.position))
    ahead = core.solvers[load.tool].pose(motion.position[now + 12])[:3, 3]
    checker = core.checker(load, core.worlds.full(_with_cube(scene, ahead, 0.14), NOBODY))
    state = (motion.position[now], motion.velocity[now], motion.acceleration[now])
    found = replan(core, state, goal, load, checker, TRIES)
    assert found.code is Code.UNEXPECTED_CONTACT and found.value is not None and found.value[1] == -1


def test_a_stop_stays_within_the_joints_ranges_or_says_that_it_cannot():
    core, _, load, checker, goal, motion = _moving()
    q, v, a = _state(motion, 0.5)
    q, v, a = q.copy(), v.copy(), np.zeros_like(a)
    v[6] = core.limits.velocity[6]
    q[6] = core.limits.upper[6] - 0.02
    found = replan(core, (q, v, a), goal, load, checker, TRIES)
    assert not found.ok and found.value is not None and found.value[1] == -1
    q[6] = core.limits.upper[6] - 0.6
    slow = braking((q, v, a), core.limits, core.tool(load), 0.5)
    assert np.all(slow.position <= core.limits.upper)


def test_the_way_ahead_is_blocked_by_what_comes_up_on_it_and_by_nothing_else():
    core, scene, load, _, _, motion = _moving()
    trajectory = motion.trajectory(core.robot.joint_names)
    grasp = GraspCandidate(load.tool, 1, np.eye(4), 0.9, 0.04, load.opening_m, 15.0)
    assert way_ahead(core, trajectory, 0.0, scene.occupancy, grasp).ok
    at = core.solvers[load.tool].pose(motion.position[int(0.7 * len(motion.position))])[:3, 3]
    now = _with_cube(scene, at).occupancy
    blocked = way_ahead(core, trajectory, 0.2, now, grasp)
    assert blocked.code is Code.PATH_BLOCKED and "against items" in blocked.text
    behind = core.solvers[load.tool].pose(motion.position[0])[:3, 3] - np.array([0.0, 0.35, 0.0])
    assert way_ahead(core, trajectory, 0.2, _with_cube(scene, behind).occupancy, grasp).ok
    assert way_ahead(core, trajectory, trajectory.duration_s + 1.0, now, grasp).ok, "what is over cannot be blocked"
