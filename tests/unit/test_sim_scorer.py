"""The scorer: each result of a pick from made-up moves of items, falls noticed, the hand's load recognised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pybullet as p
import pytest

from pickcell.cell import load_cell
from pickcell.geometry import Pose, make_pose
from pickcell_sim.items.spawn import place_item, spawn_item
from pickcell_sim.scorer import DROP_HEIGHT_M, PickResult, Scorer, Where, score_pick
from pickcell_sim.world import SimWorld

CELL = load_cell(Path(__file__).resolve().parents[2] / "config" / "cells" / "panda.yaml")
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
