"""Every way in which planning may fail has its code and says what was wrong; starts near obstacles are got out of."""

from dataclasses import replace

import numpy as np
import pytest
from motion_cells import cell, planner, robot, urdf

from pickcell.geometry import inverse, make_pose
from pickcell.motion import MotionConfig, MotionPlanner
from pickcell.motion.checking import group_clearances
from pickcell.motion.config import ApproachConfig
from pickcell.motion.exact import ExactChecker
from pickcell.motion.made_up import Box, make_scene, top_grasps
from pickcell.motion.made_up import held as take
from pickcell.outcome import Code
from pickcell.values import GraspCandidate, HeightMap, Scene, Tool, Voxel, VoxelGrid

CELL = cell("panda")
HOME = np.array(CELL.arm.home)
PLANNER = planner("panda")
BOX = Box(CELL.X_base_tote("source") @ make_pose((0.0, 0.1, 0.03)), np.array([0.08, 0.05, 0.06]))
SCENE = make_scene(CELL, [BOX])
GRASPS = tuple(top_grasps(BOX, 1, Tool.PINCH, np.random.default_rng(0), 4))
PLAN = PLANNER.plan_approach(HOME, SCENE, GRASPS).unwrap()
HELD = take(SCENE, PLAN.candidate)
AT_GRASP = PLAN.contact.positions[-1]
LIFTED = PLANNER.plan_lift(AT_GRASP, SCENE, HELD).unwrap().positions[-1]


def with_slab(z_low, z_high, xy_low=(-1.0, -1.0), xy_high=(1.0, 1.0)):
    """The scene with a solid plate added to its occupancy (base_link)."""
    grid = SCENE.occupancy
    state = grid.state.copy()
    low, high = np.array([*xy_low, z_low]), np.array([*xy_high, z_high])
    i = np.clip(np.floor((low - grid.origin) / grid.resolution_m), 0, state.shape).astype(int)
    j = np.clip(np.ceil((high - grid.origin) / grid.resolution_m), 0, state.shape).astype(int)
    state[i[0] : j[0], i[1] : j[1], i[2] : j[2]] = Voxel.OCCUPIED
    return replace(SCENE, occupancy=VoxelGrid(grid.origin, grid.resolution_m, state))


def moved(candidate: GraspCandidate, X) -> GraspCandidate:
    return replace(candidate, X_base_tcp=X @ candidate.X_base_tcp)


def test_no_grasps_is_no_grasp_found():
    outcome = PLANNER.plan_approach(HOME, SCENE, ())
    assert outcome.code is Code.NO_GRASP_FOUND


def test_a_grasp_out_of_reach_is_unreachable():
    far = tuple(moved(g, make_pose((1.0, 0.0, 0.0))) for g in GRASPS)
    outcome = PLANNER.plan_approach(HOME, SCENE, far)
    assert outcome.code is Code.UNREACHABLE
    assert f"{len(far)} unreachable" in outcome.text


def test_a_grasp_under_a_plate_is_blocked_and_says_by_what():
    top = BOX.X_base_box[2, 3] + 0.04
    outcome = PLANNER.plan_approach(HOME, with_slab(top, top + 0.02, (0.2, -0.2), (0.8, 0.4)), GRASPS)
    assert outcome.code is Code.APPROACH_BLOCKED
    assert "link" in outcome.text and "items" in outcome.text


def test_a_grasp_through_the_totes_wall_is_blocked():
    wall = CELL.X_base_tote("source") @ make_pose((0.0, 0.27, 0.05))
    through = replace(GRASPS[0], X_base_tcp=wall @ make_pose((0, 0, 0), (np.pi, 0, np.pi / 2)))
    outcome = PLANNER.plan_approach(HOME, SCENE, (through,))
    assert outcome.code is Code.APPROACH_BLOCKED
    assert "tote or table" in outcome.text


def test_an_arm_walled_in_finds_no_path():
    stuck = with_slab(0.24, 0.30)  # around the forearm, which cannot move without touching it
    outcome = PLANNER.plan_approach(HOME, stuck, GRASPS)
    assert outcome.code in (Code.NO_PATH, Code.APPROACH_BLOCKED)
    home = PLANNER.plan_home(LIFTED, stuck)
    assert home.code is Code.NO_PATH and "stands too near" in home.text


def test_a_search_that_is_too_short_finds_no_path():
    impatient = MotionPlanner(CELL, urdf("panda"), MotionConfig(rrt_nodes=1))
    between = with_slab(0.04, 0.3, (0.0, 0.25), (0.9, 0.31))  # a wall between the totes: no straight joint motion
    start = HOME.copy()
    start[0] = 1.5
    assert PLANNER.plan_home(start, between).ok
    outcome = impatient.plan_home(start, between)
    assert outcome.code is Code.NO_PATH and "1 nodes" in outcome.text


def test_worse_grasps_are_tried_and_the_reasons_kept():
    far = moved(GRASPS[0], make_pose((1.0, 0.0, 0.0)))
    wall = CELL.X_base_tote("source") @ make_pose((0.0, 0.27, 0.05))
    through = replace(GRASPS[0], X_base_tcp=wall @ make_pose((0, 0, 0), (np.pi, 0, np.pi / 2)))
    plan = PLANNER.plan_approach(HOME, SCENE, (far, through, *GRASPS)).unwrap()
    assert plan.index == 2
    assert [i for i, _ in plan.tried] == [0, 1]
    assert plan.tried[0][1].startswith("unreachable") and plan.tried[1][1].startswith("approach_blocked")


def test_the_code_is_that_of_the_grasp_that_got_furthest():
    far = moved(GRASPS[0], make_pose((1.0, 0.0, 0.0)))
    wall = CELL.X_base_tote("source") @ make_pose((0.0, 0.27, 0.05))
    through = replace(GRASPS[0], X_base_tcp=wall @ make_pose((0, 0, 0), (np.pi, 0, np.pi / 2)))
    outcome = PLANNER.plan_approach(HOME, SCENE, (far, through))
    assert outcome.code is Code.APPROACH_BLOCKED
    assert "1 approach_blocked, 1 unreachable" in outcome.text


def test_a_pinch_may_be_turned_by_half_a_turn():
    core = PLANNER.core
    q = np.array([0.0, 0.2, 0.0, -2.3, 0.0, 2.5, 0.785])
    X = core.solvers[Tool.PINCH].pose(q)
    one = replace(GRASPS[0], X_base_tcp=X, instance_id=9)
    plan = PLANNER.plan_approach(HOME, SCENE, (one,))
    assert plan.ok
    turn = inverse(X) @ plan.unwrap().candidate.X_base_tcp
    assert abs(abs(turn[0, 0]) - 1.0) < 1e-9


def test_a_lift_under_a_plate_has_no_path():
    top = BOX.X_base_box[2, 3] + 0.06
    outcome = PLANNER.plan_lift(AT_GRASP, with_slab(top, top + 0.03, (0.42, -0.2), (0.8, 0.4)), HELD)
    assert outcome.code is Code.NO_PATH and "lift" in outcome.text


def test_a_lift_beyond_reach_is_unreachable():
    config = MotionConfig(approach=ApproachConfig(lift_clearance_m=0.9, lift_least_m=0.9))
    outcome = MotionPlanner(CELL, urdf("panda"), config).plan_lift(AT_GRASP, SCENE, HELD)
    assert outcome.code is Code.UNREACHABLE and "short" in outcome.text


def test_a_lift_that_is_done_is_a_standstill():
    outcome = PLANNER.plan_lift(LIFTED, SCENE, HELD)
    assert outcome.ok and outcome.unwrap().duration_s == 0.0


def replaced_map(value):
    m = SCENE.heightmaps["destination"]
    height = np.full(m.height_m.shape, value, np.float32)
    return replace(SCENE, heightmaps={**SCENE.heightmaps, "destination": HeightMap(m.X_base_map, m.resolution_m, height)})


def test_a_full_tote_is_place_blocked():
    outcome = PLANNER.plan_place(LIFTED, replaced_map(0.15), HELD, "destination")
    assert outcome.code is Code.PLACE_BLOCKED and "no room" in outcome.text


def test_a_tote_without_a_map_is_place_blocked():
    scene = Scene(0.0, SCENE.instances, SCENE.occupancy, {})
    assert PLANNER.plan_place(LIFTED, scene, HELD, "destination").code is Code.PLACE_BLOCKED


def test_a_covered_tote_is_place_blocked():
    outcome = PLANNER.plan_place(LIFTED, with_slab(-0.05, -0.02, (-0.2, 0.38), (0.3, 0.75)), HELD, "destination")
    assert outcome.code is Code.PLACE_BLOCKED


def test_an_unseen_tote_is_used_with_a_note():
    outcome = PLANNER.plan_place(LIFTED, replaced_map(np.nan), HELD, "destination")
    assert outcome.ok and "middle" in outcome.text


def test_an_arm_walled_in_finds_no_path_to_the_place():
    outcome = PLANNER.plan_place(LIFTED, with_slab(0.24, 0.30, (0.2, -0.3), (0.9, 0.3)), HELD, "destination")
    assert outcome.code is Code.NO_PATH and "stands too near" in outcome.text


def test_a_retreat_that_cannot_rise_is_unreachable():
    top = PLANNER.plan_retreat(HOME, 5.0).unwrap().positions[-1]
    outcome = PLANNER.plan_retreat(top, 0.3)
    assert outcome.code is Code.UNREACHABLE


def test_a_retreat_goes_as_far_as_it_can():
    outcome = PLANNER.plan_retreat(HOME, 5.0)
    assert outcome.ok
    rise = [robot("panda").fk(q, "tcp_pinch")[2, 3] for q in outcome.unwrap().positions[[0, -1]]]
    assert 0.1 < rise[1] - rise[0] < 1.0
    short = PLANNER.plan_retreat(HOME, 0.1).unwrap()
    rise = [robot("panda").fk(q, "tcp_pinch")[2, 3] for q in short.positions[[0, -1]]]
    assert rise[1] - rise[0] == pytest.approx(0.1, abs=1e-5)


def test_the_way_home_from_inside_the_tote_leads_straight_out_first():
    outcome = PLANNER.plan_home(AT_GRASP, SCENE)
    assert outcome.ok
    track = robot("panda").fk_many(outcome.unwrap().positions, "tcp_pinch")[:, :3, 3]
    rim = PLANNER.core.rim_z("source")
    inside = track[:, 2] < rim - 0.05
    assert inside[0] and np.max(np.abs(track[inside, :2] - track[0, :2])) < 0.15


def test_a_start_within_the_margin_is_left_without_going_deeper():
    solver = PLANNER.core.solvers[Tool.PINCH]
    wall_y = CELL.X_base_tote("source")[1, 3] + 0.27
    finger = CELL.hand.opening_max_m / 2 + CELL.hand.cup_radius_m + 0.011  # the finger's shank stands out beyond its pad
    X = make_pose((0.5, wall_y - finger - 0.003, -0.05), (np.pi, 0.0, np.pi / 2))  # 3 mm from the wall
    (found,) = solver.solve([X], HOME, seeds=20)
    exact = ExactChecker(CELL, urdf("panda"))
    before = exact.nearest(found[0], CELL.hand.opening_max_m, False).distance_m
    assert 0.0 < before < 0.005
    outcome = PLANNER.plan_home(found[0], SCENE)
    assert outcome.ok
    after = exact.nearest_along(outcome.unwrap().positions, 0.03, CELL.hand.opening_max_m, False)
    assert after.distance_m > before - 0.004


def test_a_relaxed_check_never_allows_deeper_than_the_start():
    core = PLANNER.core
    load = core.empty_hand(Tool.PINCH, 0.1, False)
    checker = core.checker(load, core.worlds.empty)
    relaxed = core.relaxed(checker, AT_GRASP)
    gaps = group_clearances(checker, AT_GRASP, False)
    moving = checker.margins.fixed > -50
    assert np.all(relaxed.margins.fixed[moving] <= checker.margins.fixed[moving])
    near = moving & (gaps < checker.margins.fixed)
    np.testing.assert_allclose(relaxed.margins.fixed[near], gaps[near] - core.config.clearance.relax)


@pytest.mark.parametrize("bad", [np.zeros(6), np.full(7, np.nan), np.zeros((1, 7))])
def test_a_bad_start_is_a_callers_mistake(bad):
    with pytest.raises(ValueError, match="7 finite"):
        PLANNER.plan_home(bad)


def test_other_callers_mistakes_name_the_choices():
    with pytest.raises(KeyError, match="destination"):
        PLANNER.plan_place(LIFTED, SCENE, HELD, "nowhere")
    with pytest.raises(ValueError, match="distance"):
        PLANNER.plan_retreat(HOME, -0.1)
    with pytest.raises(ValueError, match="home"):
        MotionPlanner(CELL.model_copy(update={"arm": CELL.arm.model_copy(update={"home": (9.0,) * 7})}), urdf("panda"))
