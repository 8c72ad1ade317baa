"""Filling a tote: everything inside and still, the same for the same seed, in seconds."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pybullet as p
import pytest

from pickcell.cell import load_cell
from pickcell.geometry import inverse, transform_points
from pickcell_sim.fill import FillError, fill_tote
from pickcell_sim.items import random_tote
from pickcell_sim.items.spawn import clear_items, item_pose, item_speed, outline
from pickcell_sim.world import SimWorld

CELL = load_cell(Path(__file__).resolve().parents[2] / "config" / "cells" / "panda.yaml")


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
    monkeypatch.setattr("pickcell_sim.fill._TRIES", 1)  # the tote is far too small however often it is tried
    monkeypatch.setattr("pickcell_sim.fill._SETTLE_STEPS", 200)
    with SimWorld(CELL) as world:
        with pytest.raises(KeyError, match="destination"):
            fill_tote(world, ["box-013"], 0, tote="third")
        with pytest.raises(KeyError, match="no recipe"):
            fill_tote(world, ["soap"], 0)
        clear_items(world)
        with pytest.raises(FillError, match="would not stay"):
            fill_tote(world, ["box-022"] * 14, 0, tote="destination")
        assert not world.before_step, "the robot is let go of even when filling fails"


def _hold_robot(world: SimWorld) -> None:
    """Freeze the limp robot, which nothing controls in these tests."""
    joints = list(world.robot.joints.values())
    positions = [s[0] for s in p.getJointStates(world.robot.body, joints, physicsClientId=world.client)]

    def hold() -> None:
        for joint, position in zip(joints, positions):
            p.resetJointState(world.robot.body, joint, position, 0.0, physicsClientId=world.client)

    world.before_step.append(hold)
