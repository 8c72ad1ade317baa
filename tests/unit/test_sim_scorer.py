"""The scorer: each result of a pick from made-up moves of items, falls and damage noticed, loads recognised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pybullet as p
import pytest
from sim_rig import ToolMotion, driven

from pickcell.cell import load_cell
from pickcell.geometry import Pose, make_pose
from pickcell_sim.damage import DamageEvent, load_damage_limits
from pickcell_sim.items.spawn import place_item, spawn_item
from pickcell_sim.ports import SimPorts
from pickcell_sim.scoring.pick_score import target_items
from pickcell_sim.scoring.places import tote_below
from pickcell_sim.scoring.scorer import DROP_HEIGHT_M, PickResult, Scorer, Where, score_pick
from pickcell_sim.world import SimWorld

CELL = load_cell(Path(__file__).resolve().parents[2] / "config" / "cells" / "panda.yaml", calibrated=False)
FLOOR = 0.006
SOURCE_A = make_pose((0.45, -0.15, FLOOR + 0.037))
SOURCE_B = make_pose((0.55, 0.15, FLOOR + 0.018))
SOURCE_C = make_pose((0.5, 0.0, FLOOR + 0.002))
DESTINATION = make_pose((0.05, 0.56, FLOOR + 0.04))
TABLE = make_pose((0.4, -0.5, 0.04))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimWorld]:
    monkeypatch.setenv("PICKCELL_RENDERER", "tiny")
    with SimWorld(CELL) as made:
        joints = list(made.robot.joints.values())
        stand = [s[0] for s in p.getJointStates(made.robot.body, joints, physicsClientId=made.client)]

        def hold() -> None:
            for joint, position in zip(joints, stand):
                p.resetJointState(made.robot.body, joint, position, 0.0, physicsClientId=made.client)

        made.before_step.append(hold)
        spawn_item(made, "box-008", SOURCE_A)
        spawn_item(made, "box-019", SOURCE_B)
        spawn_item(made, "card-006", SOURCE_C)
        made.step(120)
        yield made


def move(world: SimWorld, number: int, X_world_item: Pose) -> None:
    place_item(world, world.item_bodies[number], X_world_item)


def between_the_fingers(world: SimWorld) -> Pose:
    return world.X_world_link("tcp_pinch") @ make_pose((0.052, 0.0, 0.0))  # its side at the open right pad


def test_where_items_are(world: SimWorld) -> None:
    scorer = Scorer(world)
    assert scorer.snapshot().skus(Where.SOURCE) == ["box-008", "box-019", "card-006"]
    move(world, 1, DESTINATION)
    move(world, 2, TABLE)
    move(world, 3, between_the_fingers(world))
    now = scorer.snapshot()
    assert now.skus(Where.DESTINATION) == ["box-008"]
    assert now.skus(Where.ELSEWHERE) == ["box-019"]
    assert now.skus(Where.HAND) == ["card-006"]


def test_what_rides_on_a_held_item_is_in_the_hand_and_what_lies_in_the_tote_is_not(world: SimWorld) -> None:
    scorer = Scorer(world)
    held = between_the_fingers(world)
    move(world, 1, make_pose(held[:3, 3] + [0.03, 0.0, 0.0]))
    move(world, 3, make_pose(held[:3, 3] + [0.03, 0.0, 0.0371]))  # the card lies on the box that the pad touches
    now = scorer.snapshot()
    assert now.items[1].where is Where.HAND and now.items[3].where is Where.HAND
    assert now.items[2].where is Where.SOURCE


@pytest.mark.parametrize(
    ("moves", "result"),
    [
        ({1: DESTINATION}, PickResult.SUCCESS),
        ({2: DESTINATION}, PickResult.WRONG_ITEM),
        ({1: DESTINATION, 3: make_pose((0.12, 0.5, 0.01))}, PickResult.DOUBLE),
        ({1: TABLE}, PickResult.DROPPED),
        ({2: TABLE}, PickResult.DROPPED),
        ({}, PickResult.MISSED),
        ({1: make_pose((0.45, -0.05, FLOOR + 0.037))}, PickResult.MISSED),
    ],
)
def test_results_of_picks(world: SimWorld, moves: dict[int, Pose], result: PickResult) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    for number, X in moves.items():
        move(world, number, X)
    score = scorer.score(before, "box-008")
    assert score.result is result
    assert score.success == (result is PickResult.SUCCESS) and score.missed == (result is PickResult.MISSED)
    assert score.wrong_item == (result in (PickResult.WRONG_ITEM, PickResult.DOUBLE))
    assert score.dropped == (result is PickResult.DROPPED)


def test_an_item_still_in_the_hand_is_held(world: SimWorld) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    move(world, 3, between_the_fingers(world))
    assert scorer.score(before, "card-006").result is PickResult.HELD


def test_falls_are_noticed_and_gentle_placing_is_not(world: SimWorld) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    move(world, 1, make_pose((0.45, -0.15, FLOOR + 0.037 + 0.02)))  # let go of 2 cm above the floor
    world.step(120)
    assert scorer.drops == () and scorer.score(before, "box-008").result is PickResult.MISSED
    move(world, 1, make_pose((0.45, -0.15, 0.35)))
    world.step(240)
    (drop,) = scorer.drops
    assert drop.sku == "box-008" and drop.speed_mps**2 / (2 * 9.81) >= DROP_HEIGHT_M
    score = scorer.score(before, "box-008")
    assert score.result is PickResult.DROPPED and score.dropped, "it fell back into the tote: still a drop"
    later = scorer.snapshot()
    assert scorer.score(later, "box-008").result is PickResult.MISSED, "falls before the pick do not count"
    scorer.close()
    move(world, 1, make_pose((0.45, -0.15, 0.35)))
    world.step(120)
    assert len(scorer.drops) == 1, "a closed scorer watches no more"


def test_displaced_neighbours_are_listed(world: SimWorld) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    move(world, 1, DESTINATION)
    move(world, 2, make_pose((0.55, 0.11, FLOOR + 0.018), (0.0, 0.0, 0.5)))
    (moved,) = scorer.score(before, "box-008").displaced
    assert moved.sku == "box-019"
    assert moved.distance_m == pytest.approx(0.04, abs=0.005) and moved.angle_rad > 0.4


def test_snapshots_of_different_worlds_do_not_compare(world: SimWorld) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    world.remove_body(3)
    with pytest.raises(ValueError, match="different items"):
        score_pick(before, scorer.snapshot(), "box-008")


# -- falls -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("substeps", [1, 4])
@pytest.mark.parametrize("height", [0.04, 0.07, 0.3])
def test_the_height_of_a_fall_is_measured_from_where_support_was_lost(world: SimWorld, height: float, substeps: int) -> None:
    world.set_substeps(substeps)
    scorer = Scorer(world)
    move(world, 1, make_pose((0.45, -0.15, FLOOR + 0.037 + height)))
    world.step(240)
    if height < DROP_HEIGHT_M:
        assert scorer.drops == ()
        return
    (drop,) = scorer.drops
    assert drop.height_m == pytest.approx(height, abs=0.010) and drop.over is Where.SOURCE and drop.uncontrolled


def test_an_item_that_the_hand_carries_down_quickly_has_not_fallen_and_one_let_go_has() -> None:
    with driven() as driver:
        world = driver.world
        p.setGravity(0, 0, 0, physicsClientId=world.client)
        spawn_item(world, "box-008", make_pose(world.X_world_link("tcp_pinch")[:3, 3]))
        SimPorts(driver).set_jaw(0.0, 50.0)
        p.setGravity(0, 0, -9.81, physicsClientId=world.client)
        scorer = Scorer(world, driver)
        down = ToolMotion(CELL).line(driver.joint_states().select(CELL.arm.joints), (0.0, 0.0, -0.12), 9.0)
        driver.follow(down)
        driver.advance(float(down.times_s[-1]) + 0.1)
        assert scorer.drops == () and scorer.snapshot().skus(Where.HAND) == ["box-008"]
        driver.move_jaw(0.1, 10.0)
        driver.advance(0.6)
        (drop,) = scorer.drops
        assert drop.over is Where.SOURCE and 0.10 < drop.height_m < 0.15


def test_what_slides_down_slowly_has_not_fallen(world: SimWorld) -> None:
    """Let go for an instant, and from then on lowered at 0.3 m/s."""
    scorer = Scorer(world)
    move(world, 1, make_pose((0.45, -0.15, 0.4)))
    body = world.item_bodies[1].body
    world.step(9)
    for _ in range(120):
        p.resetBaseVelocity(body, (0.0, 0.0, -0.3), (0.0, 0.0, 0.0), physicsClientId=world.client)
        world.step()
    assert scorer.drops == ()


def test_a_fall_over_the_destination_is_not_uncontrolled(world: SimWorld) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    move(world, 1, make_pose((0.05, 0.56, FLOOR + 0.04 + 0.12)))
    world.step(240)
    score = scorer.score(before, "box-008")
    assert [d.over for d in score.drops] == [Where.DESTINATION] and score.success
    assert score.uncontrolled_drops == () and score.dropped, "a fall it is all the same"
    before = scorer.snapshot()
    move(world, 2, make_pose((0.4, -0.5, 0.3)))
    world.step(240)
    assert [d.sku for d in scorer.score(before, "box-008").uncontrolled_drops] == ["box-019"]


def test_what_a_place_lies_over() -> None:
    assert tote_below(CELL, (0.5, 0.0, 0.9)) is Where.SOURCE
    assert tote_below(CELL, (0.05, 0.56, 0.4)) is Where.DESTINATION
    assert tote_below(CELL, (0.05, 0.1, 0.4)) is Where.ELSEWHERE


# -- damage ----------------------------------------------------------------------------------------------------------
def test_damage_is_told_by_whether_it_befell_the_target_or_a_neighbour(world: SimWorld) -> None:
    scorer = Scorer(world, limits=load_damage_limits().scaled(impact=0.25))  # cartons bear a fall of 10 cm
    before = scorer.snapshot()
    move(world, 1, make_pose((0.42, -0.2, FLOOR + 0.037 + 0.2)))
    world.step(240)
    as_target, as_neighbour = scorer.score(before, "box-008"), scorer.score(before, "card-006")
    assert [(e.item_id, e.kind, e.cause) for e in as_target.damage] == [(1, "impact", "target")]
    assert as_target.damaged_target and as_target.damaged_neighbours == 0 and as_target.damaged
    assert [e.cause for e in as_neighbour.damage] == ["neighbour"]
    assert not as_neighbour.damaged_target and as_neighbour.damaged_neighbours == 1
    assert as_target.uncontrolled_drops, "reported beside the damage"
    later = scorer.snapshot()
    assert scorer.score(later, "box-008").damage == () and not scorer.score(later, "box-008").damaged
    scorer.close()


def test_an_item_is_damaged_only_once(world: SimWorld) -> None:
    scorer = Scorer(world, limits=load_damage_limits().scaled(impact=0.25))
    for expected in (True, False):
        before = scorer.snapshot()
        move(world, 1, make_pose((0.42, -0.2, FLOOR + 0.037 + 0.2)))
        world.step(240)
        score = scorer.score(before, "box-008")
        assert len(score.damage) == 1 and score.damaged_target is expected


def event(item_id: int) -> DamageEvent:
    return DamageEvent(1.0, item_id, "", "impact", 3.0, 2.0, "m/s")


@pytest.mark.parametrize(
    ("wanted", "moves", "handled", "targets"),
    [
        ("box-008", {1: DESTINATION}, [1], {1}),
        ("box-008", {}, [], {1}),
        ("box-008", {1: DESTINATION, 2: DESTINATION}, [1, 2], {1}),
        ("box-008", {2: DESTINATION}, [2], {1, 2}),
        ("*", {2: DESTINATION}, [2], {2}),
        ("*", {}, [], set()),
    ],
    ids=["delivered", "missed", "double", "wrong item", "any", "any, missed"],
)
def test_whose_damage_counts_as_the_targets(
    world: SimWorld, wanted: str, moves: dict[int, Pose], handled: list[int], targets: set[int]
) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    for number, X in moves.items():
        move(world, number, X)
    score = score_pick(before, scorer.snapshot(), wanted, damage=tuple(map(event, (1, 2, 3))), handled=handled)
    assert target_items(before, wanted, handled, score.result) == targets
    assert {e.item_id for e in score.damage if e.cause == "target"} == targets
    assert score.damaged_neighbours == 3 - len(targets)
    assert score.double == (score.result is PickResult.DOUBLE)


def test_of_two_pieces_of_a_sku_the_one_that_was_handled_is_the_target(world: SimWorld) -> None:
    spawn_item(world, "box-008", make_pose((0.55, -0.15, FLOOR + 0.037)))
    before = Scorer(world).snapshot()
    assert target_items(before, "box-008", [4], PickResult.HELD) == {4}
    assert target_items(before, "box-008", [], PickResult.MISSED) == {1, 4}


@pytest.mark.parametrize(("wanted", "result"), [("*", PickResult.SUCCESS), ("", PickResult.SUCCESS)])
def test_any_item_will_do_when_any_is_wanted(world: SimWorld, wanted: str, result: PickResult) -> None:
    scorer = Scorer(world)
    before = scorer.snapshot()
    move(world, 2, DESTINATION)
    assert scorer.score(before, wanted).result is result
    move(world, 1, make_pose((0.12, 0.5, FLOOR + 0.04)))
    assert scorer.score(before, wanted).result is PickResult.DOUBLE


def test_what_the_jaw_crushes_while_it_holds_it_is_the_targets_damage() -> None:
    with driven() as driver:
        world = driver.world
        p.setGravity(0, 0, 0, physicsClientId=world.client)
        X = make_pose(world.X_world_link("tcp_pinch")[:3, 3])
        held = spawn_item(world, "box-008", X)
        scorer = Scorer(world, driver, load_damage_limits().scaled(crush=0.5))
        before = scorer.snapshot()
        SimPorts(driver).set_jaw(0.0, 40.0)
        driver.advance(0.3)
        score = scorer.score(before, "*")
        assert score.result is PickResult.HELD
        assert [(e.item_id, e.kind, e.cause) for e in score.damage] == [(held.item_id, "crush", "target")]


def test_items_of_several_bodies_are_one_item(world: SimWorld) -> None:
    """A book lifted by its cover and a bag with loose content lie, fall and are held as one thing."""
    scorer = Scorer(world)
    bag = spawn_item(world, "loose_bag-000", make_pose((0.42, 0.1, FLOOR + 0.03)))
    book = spawn_item(world, "hardcover-000", make_pose((0.58, -0.1, FLOOR + 0.016)))
    world.step(120)
    now = scorer.snapshot()
    assert now.items[bag.item_id].where is Where.SOURCE and now.items[book.item_id].where is Where.SOURCE
    tip = between_the_fingers(world)[:3, 3]
    move(world, book.item_id, make_pose((tip[0] + 0.06, tip[1], tip[2])))  # the finger touches a cover
    assert scorer.snapshot().items[book.item_id].where is Where.HAND
    assert len(scorer.snapshot().items) == 5
