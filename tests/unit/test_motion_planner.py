"""Whole plans on made-up totes: they fit together, keep every limit, and an exact checker finds no collision."""

from functools import cache

import numpy as np
import pytest
from motion_cells import ARMS, cell, planner, robot, urdf

from pickcell.geometry import inverse, make_pose, transform_points
from pickcell.motion.exact import ExactChecker
from pickcell.motion.made_up import Box, make_scene, random_boxes, top_grasps
from pickcell.motion.made_up import held as take
from pickcell.values import Tool

CASES = [("panda", 0, Tool.PINCH), ("panda", 3, Tool.SUCTION), ("panda", 6, Tool.PINCH), ("iiwa", 2, Tool.SUCTION)]
COARSE_RAD = 0.03


@cache
def picked(arm, seed, tool):
    """One whole pick: boxes, scene, approach, held item, lift, place, home."""
    rng = np.random.default_rng(seed)
    boxes = random_boxes(cell(arm), 12, rng)
    scene = make_scene(cell(arm), boxes)
    index = max(range(len(boxes)), key=lambda k: boxes[k].X_base_box[2, 3])
    ranked = tuple(top_grasps(boxes[index], index + 1, tool, rng, 20))
    p = planner(arm)
    approach = p.plan_approach(cell(arm).arm.home, scene, ranked).unwrap()
    held = take(scene, approach.candidate)
    lift = p.plan_lift(approach.contact.positions[-1], scene, held).unwrap()
    place = p.plan_place(lift.positions[-1], scene, held, "destination").unwrap()
    home = p.plan_home(place.retreat.positions[-1], scene).unwrap()
    return boxes, scene, ranked, approach, held, lift, place, home


def legs(case):
    _, _, _, approach, _, lift, place, home = picked(*case)
    return {
        "approach": approach.approach,
        "contact": approach.contact,
        "way out": approach.lift,
        "lift": lift,
        "transfer": place.transfer,
        "lower": place.lower,
        "retreat": place.retreat,
        "home": home,
    }


@pytest.mark.parametrize("case", CASES)
def test_every_trajectory_keeps_the_limits_and_rests_at_both_ends(case):
    limits = planner(case[0]).core.limits
    for name, t in legs(case).items():
        assert t.joint_names == cell(case[0]).arm.joints
        dt = np.diff(t.times_s)
        np.testing.assert_allclose(dt, 0.008, atol=1e-9)
        assert np.all(t.positions >= limits.lower) and np.all(t.positions <= limits.upper), name
        assert np.all(np.abs(t.velocities) <= limits.velocity + 1e-6), name
        measured = np.diff(t.positions, axis=0) / dt[:, None]
        assert np.all(np.abs(measured) <= limits.velocity * 1.001), name
        acceleration = np.diff(t.velocities, axis=0) / dt[:, None]
        assert np.all(np.abs(acceleration) <= limits.acceleration * 1.001), name
        np.testing.assert_allclose(t.velocities[[0, -1]], 0.0, atol=1e-9)
        assert np.all(np.abs(measured - 0.5 * (t.velocities[1:] + t.velocities[:-1])) < 0.02), name


@pytest.mark.parametrize("case", CASES)
def test_the_tool_stays_under_its_acceleration(case):
    arm, tool = case[0], case[2]
    frame = "tcp_pinch" if tool is Tool.PINCH else "tcp_suction"
    held = picked(*case)[4]
    for name, t in legs(case).items():
        track = robot(arm).fk_many(t.positions, "tcp_pinch" if name == "home" else frame)[:, :3, 3]
        peak = np.max(np.linalg.norm(np.diff(track, n=2, axis=0), axis=1)) / 0.008**2
        loaded = name in ("way out", "lift", "transfer", "lower")
        cap = min(cell(arm).arm.tcp_acceleration_max, held.max_acceleration_mps2 if loaded else np.inf)
        assert peak <= cap * 1.03, name


@pytest.mark.parametrize("case", CASES)
def test_the_legs_join(case):
    arm = case[0]
    _, _, ranked, approach, _, lift, place, home = picked(*case)
    end = lambda t: t.positions[-1]
    start = lambda t: t.positions[0]
    np.testing.assert_array_equal(start(approach.approach), cell(arm).arm.home)
    np.testing.assert_allclose(start(approach.contact), end(approach.approach), atol=1e-9)
    np.testing.assert_allclose(start(approach.lift), end(approach.contact), atol=1e-9)
    np.testing.assert_allclose(start(lift), end(approach.contact), atol=1e-9)
    np.testing.assert_allclose(start(place.transfer), end(lift), atol=1e-9)
    np.testing.assert_allclose(start(place.lower), end(place.transfer), atol=1e-9)
    np.testing.assert_allclose(start(place.retreat), end(place.lower), atol=1e-9)
    np.testing.assert_array_equal(end(home), cell(arm).arm.home)
    assert approach.index == len(approach.tried) or approach.tried == ()
    assert ranked[approach.index].instance_id == approach.candidate.instance_id


@pytest.mark.parametrize("case", CASES)
def test_contact_is_straight_slow_at_its_end_and_reaches_the_grasp(case):
    arm, _, tool = case
    approach = picked(*case)[3]
    frame = "tcp_pinch" if tool is Tool.PINCH else "tcp_suction"
    X = robot(arm).fk_many(approach.contact.positions, frame)
    G = approach.candidate.X_base_tcp
    local = np.einsum("ij,kj->ki", inverse(G)[:3, :3], X[:, :3, 3] - G[:3, 3])
    beyond = 0.010 if tool is Tool.SUCTION else 0.0
    np.testing.assert_allclose(local[-1], [0, 0, beyond], atol=1e-5)
    assert np.max(np.abs(local[:, :2])) < 2e-4
    assert local[0, 2] <= -approach.candidate.standoff_m + 1e-5
    speed = np.linalg.norm(np.diff(X[:, :3, 3], axis=0), axis=1) / 0.008
    last = local[:-1, 2] > -0.03 + 1e-4
    assert np.all(speed[last] <= cell(arm).arm.contact_speed * 1.02)
    for k in (0, len(X) // 2, -1):
        np.testing.assert_allclose(X[k, :3, :3], G[:3, :3], atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_lifts_and_retreats_clear_the_rim(case):
    arm, _, tool = case
    core = planner(arm).core
    _, _, _, approach, held, lift, place, _ = picked(*case)
    load = core.holding(held)
    for t in (lift, approach.lift):
        assert core.lowest_z(t.positions[-1], load) >= core.rim_z("source") + 0.003
    assert core.lowest_z(place.transfer.positions[-1], load) >= core.rim_z("destination") + 0.015
    empty = core.empty_hand(tool, 0.1, tool is Tool.SUCTION)
    assert core.lowest_z(place.retreat.positions[-1], empty) >= core.rim_z("destination")
    frame = "tcp_pinch" if tool is Tool.PINCH else "tcp_suction"
    for t in (lift, place.lower, place.retreat):
        track = robot(arm).fk_many(t.positions, frame)[:, :3, 3]
        assert np.max(np.abs(track[:, :2] - track[0, :2])) < 2e-4


@pytest.mark.parametrize("case", CASES)
def test_the_item_is_released_just_above_the_floor_inside_the_tote(case):
    arm = case[0]
    held, place = picked(*case)[4], picked(*case)[6]
    points = transform_points(inverse(held.X_base_tcp_at_grasp), held.shape.cloud.points)
    in_tote = transform_points(inverse(cell(arm).X_base_tote("destination")) @ place.X_base_tcp, points)
    half = 0.5 * np.array(cell(arm).totes["destination"].inner)
    assert in_tote[:, 2].min() == pytest.approx(0.010, abs=0.002)
    assert np.all(np.abs(in_tote[:, :2]) < half[:2] - 0.005)


@pytest.mark.parametrize("case", CASES)
def test_an_exact_checker_finds_no_collision(case):
    arm, _, tool = case
    boxes, _, _, approach, held, lift, place, home = picked(*case)
    candidate = approach.candidate
    out = tool is Tool.SUCTION
    frame = "tcp_suction" if out else "tcp_pinch"
    solids = [(f"box {k + 1}", b.X_base_box, b.size) for k, b in enumerate(boxes)]
    others = [s for s in solids if s[0] != f"box {candidate.instance_id}"]
    names = [s[0] for s in solids]
    item = transform_points(inverse(held.X_base_tcp_at_grasp), held.shape.cloud.points)
    empty = ExactChecker(cell(arm), urdf(arm), solids)
    loaded = ExactChecker(cell(arm), urdf(arm), others, item, frame)
    closed = candidate.width_m if tool is Tool.PINCH else 0.04
    free = empty.nearest_along(approach.approach.positions, COARSE_RAD, candidate.opening_m, out)
    assert free.distance_m > 0.002, free
    # on the way in and out only the furniture counts: the made-up grasps were not chosen for clear neighbours
    entry = empty.nearest_along(approach.contact.positions, COARSE_RAD, candidate.opening_m, out, names)
    assert entry.distance_m > 0.0, entry
    lifted = loaded.nearest_along(lift.positions, COARSE_RAD, closed, out, [*names, "held item"])
    assert lifted.distance_m > 0.0, lifted
    for t in (place.transfer, place.lower):
        carried = loaded.nearest_along(t.positions, COARSE_RAD, closed, out)
        assert carried.distance_m > 0.0, carried
    left = empty.nearest_along(place.retreat.positions, COARSE_RAD, 0.1 if tool is Tool.PINCH else 0.04, out)
    assert left.distance_m > 0.0, left
    back = empty.nearest_along(home.positions, COARSE_RAD, 0.1, False)
    assert back.distance_m > 0.002, back


def test_the_exact_checker_sees_a_collision():
    checker = ExactChecker(cell("panda"), urdf("panda"))
    home = np.array(cell("panda").arm.home)
    assert checker.nearest(home).distance_m > 0.02
    X = robot("panda").fk(home, "tcp_pinch")
    blocked = ExactChecker(cell("panda"), urdf("panda"), [("brick", X, (0.05, 0.05, 0.05))])
    found = blocked.nearest(home)
    assert found.distance_m < 0.0 and found.other == "brick"
    folded = home.copy()
    folded[3], folded[5] = -3.05, 0.0
    assert checker.nearest(folded).distance_m < checker.nearest(home).distance_m


def test_the_same_input_gives_the_same_plan():
    arm, seed, tool = CASES[0]
    _, scene, ranked, approach, _, _, _, _ = picked(arm, seed, tool)
    again = planner(arm).plan_approach(cell(arm).arm.home, scene, ranked).unwrap()
    np.testing.assert_array_equal(again.approach.positions, approach.approach.positions)
    np.testing.assert_array_equal(again.contact.positions, approach.contact.positions)


@pytest.mark.parametrize("arm", ARMS)
def test_an_item_can_be_returned_to_the_source(arm):
    boxes, scene, _, _, held, lift, _, _ = picked("panda", 0, Tool.PINCH) if arm == "panda" else picked(*CASES[3])
    plan = planner(arm).plan_place(lift.positions[-1], scene, held, "source").unwrap()
    in_tote = inverse(cell(arm).X_base_tote("source")) @ plan.X_base_tcp
    assert np.all(np.abs(in_tote[:2, 3]) < 0.5 * np.array(cell(arm).totes["source"].inner[:2]))
    assert plan.tote == "source" and len(boxes)


def test_a_weak_hold_is_carried_more_gently():
    arm, seed, tool = CASES[0]
    _, scene, _, _, held, lift, place, _ = picked(arm, seed, tool)
    weak = type(held)(held.tool, held.shape, held.X_base_tcp_at_grasp, held.mass_kg, 1.0)
    gentle = planner(arm).plan_place(lift.positions[-1], scene, weak, "destination").unwrap()
    assert gentle.transfer.duration_s > 1.3 * place.transfer.duration_s


def test_a_flat_item_on_the_floor_can_be_sucked():
    arm = "panda"
    card = Box(cell(arm).X_base_tote("source") @ make_pose((0.02, 0.05, 0.0005)), np.array([0.085, 0.055, 0.001]))
    scene = make_scene(cell(arm), [card])
    ranked = tuple(top_grasps(card, 1, Tool.SUCTION, np.random.default_rng(0), 8))
    plan = planner(arm).plan_approach(cell(arm).arm.home, scene, ranked).unwrap()
    np.testing.assert_allclose(plan.lift.positions[0], plan.contact.positions[-1], atol=1e-9)
