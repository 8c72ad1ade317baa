"""Filling a tote: everything inside and still, the same for the same seed, in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pybullet as p
import pytest
from scipy.spatial import ConvexHull

from pickcell.cell import load_cell
from pickcell.geometry import inverse, transform_points
from pickcell_sim.filling.attitudes import separation, standing_axis
from pickcell_sim.filling.fill import WORKSPACE_M, FillError, fill_packed, fill_pile, fill_tote
from pickcell_sim.items import item_spec, random_tote
from pickcell_sim.items.spawn import clear_items, item_pose, item_speed, outline
from pickcell_sim.momentum import momentum
from pickcell_sim.world import ItemBody, SimWorld

CELL = load_cell(Path(__file__).resolve().parents[2] / "config" / "cells" / "panda.yaml", calibrated=False)


@pytest.fixture(autouse=True)
def no_egl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn here, and loading EGL takes a second per world."""
    monkeypatch.setenv("PICKCELL_RENDERER", "tiny")


def poses(world: SimWorld) -> np.ndarray:
    return np.array([item_pose(world, item) for item in world.item_bodies.values()])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_items_lie_inside_still_and_stay_so(seed: int) -> None:
    contents = random_tote(seed, 12, "train")
    with SimWorld(CELL) as world:
        home = {name: world.robot.positions((name,))[0] for name in CELL.arm.joints}
        start = time.process_time()
        items = fill_tote(world, contents.skus, seed)
        assert time.process_time() - start < 10.0
        assert sorted(item.name for item in items) == sorted(contents.skus)
        tote = CELL.totes["source"]
        for item in items:
            points = transform_points(inverse(tote.X_world_tote) @ item_pose(world, item), outline(item.name))
            assert np.all(np.abs(points[:, :2]) < np.asarray(tote.inner[:2]) / 2 + 0.004), item.name
            assert points[:, 2].min() > -0.005 and points[:, 2].max() < tote.inner[2] + 0.031, item.name
            assert item.asleep
        for name, value in home.items():
            assert world.robot.positions((name,))[0] == pytest.approx(value, abs=1e-9), "the robot must not move"
        before = poses(world)
        _hold_robot(world)
        world.step(240)
        assert np.linalg.norm(poses(world)[:, :3, 3] - before[:, :3, 3], axis=1).max() < 0.005
        assert max(item_speed(world, item) for item in items) < 0.05


def test_same_seed_same_tote_and_another_seed_another() -> None:
    contents = random_tote(5, 8, "train")
    found = []
    for seed in (5, 5, 6):
        with SimWorld(CELL) as world:
            fill_tote(world, contents.skus, seed)
            found.append((sorted(item.name for item in world.item_bodies.values()), poses(world)))
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][0] == found[2][0]
    assert np.abs(found[0][1][:, :3, 3] - found[2][1][:, :3, 3]).max() > 0.01


def test_filling_twice_adds_and_clearing_empties() -> None:
    with SimWorld(CELL) as world:
        fill_tote(world, ["box-013"], 0)
        fill_tote(world, ["box-008", "card-006"], 1, tote="destination")
        assert [item.item_id for item in world.item_bodies.values()] == [1, 2, 3]
        X = inverse(CELL.totes["destination"].X_world_tote) @ item_pose(world, world.item_bodies[2])
        assert abs(X[0, 3]) < 0.2 and abs(X[1, 3]) < 0.15
        clear_items(world)
        assert not world.item_bodies
        assert fill_tote(world, [], 0) == []


def test_what_cannot_be_filled_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pickcell_sim.filling.fill._TRIES", 1)  # the tote is far too small however often it is tried
    monkeypatch.setattr("pickcell_sim.filling.fill._SETTLE_STEPS", 200)
    with SimWorld(CELL) as world:
        with pytest.raises(KeyError, match="destination"):
            fill_tote(world, ["box-013"], 0, tote="third")
        with pytest.raises(KeyError, match="no recipe"):
            fill_tote(world, ["soap"], 0)
        clear_items(world)
        with pytest.raises(FillError, match="would not stay"):
            fill_tote(world, ["box-022"] * 14, 0, tote="destination")
        assert not world.before_step, "the robot is let go of even when filling fails"


# -- things with moving parts ------------------------------------------------------------------------------------------
MIXED = [
    "hardcover-000", "hardcover-009", "paperback-000", "paperback-002", "mailer-000", "polybag-000", "loose_bag-007",
    "loose_bag-003", "plush-000", "can-000", "bottle-000", "box-013", "box-008", "ruler-000", "card-006", "blister-000",
    "irregular-054", "jar-000", "flat-000", "tube-000", "shrink-002", "card-000", "ruler-002", "flat-002", "cylinder-004",
]  # fmt: skip
"""25 items of all kinds, some 11 l of bounding boxes for the tote's 31 l."""


def energies(world: SimWorld) -> tuple[float, float]:
    """Kinetic energy of all items, and together with that of their heights (J)."""
    found = [momentum(world.client, item.bodies) for item in world.item_bodies.values()]
    kinetic = sum(m.energy_j for m in found)
    return kinetic, kinetic + sum(9.81 * m.mass_kg * float(m.com[2]) for m in found)


def watch_at_rest(skus: list[str], seconds: int) -> tuple[float, float, np.ndarray]:
    """Fill, keep everything awake: largest kinetic energy, largest rise of all energy (J), and drift of each item (m)."""
    with SimWorld(CELL, sleeping=False) as world:
        items = fill_tote(world, skus, 7)
        _hold_robot(world)
        for item in items:
            world.wake(item.body)
        world.step(240)  # what had been stopped in the middle of its creeping starts again
        before, (_, least) = poses(world), energies(world)
        largest = rise = 0.0
        for _ in range(10 * seconds):
            world.step(24)
            kinetic, total = energies(world)
            largest, rise, least = max(largest, kinetic), max(rise, total - least), min(least, total)
        return largest, rise, np.linalg.norm(poses(world)[:, :3, 3] - before[:, :3, 3], axis=1)


def test_no_energy_comes_from_nowhere_in_a_mixed_tote() -> None:
    kinetic, rise, drift = watch_at_rest(MIXED[:12], 2)
    assert kinetic < 5e-3 and rise < 5e-3, "of some 3 J that the heap stands high"
    assert np.median(drift) < 0.002


@pytest.mark.slow
def test_no_energy_comes_from_nowhere_in_ten_seconds_of_25_items() -> None:
    """Kept awake, what leans may creep (the contact solver's friction is that of velocities); nothing speeds up."""
    kinetic, rise, drift = watch_at_rest(MIXED, 10)
    assert kinetic < 5e-3 and rise < 5e-3
    assert np.median(drift) < 0.005


def test_a_full_mixed_tote_lies_still_to_the_micrometre() -> None:
    with SimWorld(CELL) as world:
        items = fill_tote(world, MIXED, 7)
        assert len(items) == 25 and len({item.item_id for item in items}) == 25
        tote = CELL.totes["source"]
        for item in items:
            points = transform_points(inverse(tote.X_world_tote) @ item_pose(world, item), outline(item.name))
            assert np.all(np.abs(points[:, :2]) < np.asarray(tote.inner[:2]) / 2 + 0.006), item.name
            assert points[:, 2].min() > -0.005, item.name
            for joint in range(p.getNumJoints(item.body, physicsClientId=world.client)):
                low, high = p.getJointInfo(item.body, joint, physicsClientId=world.client)[8:10]
                angle = p.getJointState(item.body, joint, physicsClientId=world.client)[0]
                assert low - 0.05 < angle < high + 0.05
                if item_spec(item.name).structure == "book":
                    assert angle < np.radians(45.0), f"{item.name} was damaged by filling"
        assert _deepest(world) < 0.004
        before = poses(world)
        _hold_robot(world)
        world.step(2400)
        assert np.abs(poses(world) - before).max() < 1e-6


def _deepest(world: SimWorld) -> float:
    """Depth (m) of the deepest contact between two items or an item and a tote."""
    depth = 0.0
    bodies = [item.body for item in world.item_bodies.values()]
    for i, body in enumerate(bodies):
        for other in (*bodies[i + 1 :], *world.totes.values()):
            for contact in p.getClosestPoints(body, other, 0.0, physicsClientId=world.client):
                depth = max(depth, -float(contact[8]))
    return depth


@pytest.mark.slow
def test_crowded_totes_are_filled_neatly() -> None:
    skus = [*MIXED, "polybag-004", "hardcover-002", "mailer-005"]
    volume = sum(np.prod(item_spec(sku).size_m) for sku in skus) / np.prod(CELL.totes["source"].inner)
    assert volume > 0.38
    with SimWorld(CELL) as world:
        assert len(fill_tote(world, skus, 1)) == len(skus)
        assert _deepest(world) < 0.005


# -- packed and piled --------------------------------------------------------------------------------------------------
PACKED = ["box-013", "can-000", "bottle-000", "jar-000", "hardcover-009"]


def test_packed_items_stand_apart_in_the_workspace() -> None:
    with SimWorld(CELL) as world:
        items = fill_packed(world, PACKED, 3)
        assert [item.name for item in items] == PACKED
        X_tote_world = inverse(CELL.totes["source"].X_world_tote)
        feet = []
        for item in items:
            X = X_tote_world @ item_pose(world, item)
            points = transform_points(X, outline(item.name))
            assert np.abs(points[:, :2]).max() < WORKSPACE_M / 2 + 0.003
            axis = X[:3, standing_axis(item_spec(item.name))]
            assert abs(axis[2]) > np.cos(0.1), f"{item.name} stands"
            feet.append(_footprint(points))
        for i, foot in enumerate(feet):
            assert all(separation(foot, other) > 0.002 for other in feet[i + 1 :])
        assert _deepest(world) < 0.002
        with pytest.raises(FillError, match="no room"):
            fill_packed(world, ["polybag-004"] * 4, 0)


def _footprint(points: np.ndarray) -> np.ndarray:
    return points[:, :2][ConvexHull(points[:, :2]).vertices]


def test_piled_items_fall_into_the_workspace_in_any_attitude() -> None:
    with SimWorld(CELL) as world:
        bodies = p.getNumBodies(physicsClientId=world.client)
        items = fill_pile(world, ["irregular-054", "box-013", "can-000", "bottle-000", "plush-000"], 5)
        assert p.getNumBodies(physicsClientId=world.client) == bodies + len(items), "the box they fell through is gone"
        tilts = [np.degrees(np.arccos(abs(item_pose(world, item)[2, 2]))) for item in items]
        assert max(tilts) > 30.0
        places = np.array([(inverse(CELL.totes["source"].X_world_tote) @ item_pose(world, item))[:3, 3] for item in items])
        assert np.abs(places[:, :2]).max() < WORKSPACE_M / 2 + 0.03
        assert all(item.asleep for item in items) and _deepest(world) < 0.003


@pytest.mark.parametrize("how", [fill_packed, fill_pile])
def test_packed_and_piled_scenes_follow_from_their_seed(how: Callable[..., list[ItemBody]]) -> None:
    found = []
    for seed in (1, 1, 2):
        with SimWorld(CELL) as world:
            how(world, PACKED, seed)
            found.append(poses(world))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0][:, :3, 3] - found[2][:, :3, 3]).max() > 0.01


def _hold_robot(world: SimWorld) -> None:
    """Freeze the limp robot, which nothing controls in these tests."""
    joints = list(world.robot.joints.values())
    positions = [s[0] for s in p.getJointStates(world.robot.body, joints, physicsClientId=world.client)]

    def hold() -> None:
        for joint, position in zip(joints, positions):
            p.resetJointState(world.robot.body, joint, position, 0.0, physicsClientId=world.client)

    world.before_step.append(hold)
