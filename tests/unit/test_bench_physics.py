"""The physics benchmark: tours that dip into the tote without touching anything, costs that add up, an honest slope."""

from __future__ import annotations

import numpy as np
import pybullet as p
import pytest
from sim_rig import cell_named

from pickcell.geometry import make_pose
from pickcell_sim.bench.arm_tour import ArmTour, height_below
from pickcell_sim.bench.physics import PhysicsBenchConfig, _measured, _rate, _tours, growth_per_1000
from pickcell_sim.driver import SimDriver
from pickcell_sim.items.spawn import item_pose, sleep_items, spawn_item
from pickcell_sim.robot.arm import ArmState
from pickcell_sim.scoring.scorer import Scorer

CELL = cell_named("panda")


def test_a_tour_dips_into_the_tote_touches_nothing_and_repeats() -> None:
    driver = SimDriver.create(CELL, 0, cameras=False)
    try:
        world = driver.world
        floor = CELL.totes["source"].position[2]
        for k, sku in enumerate(("box-022", "cylinder-001", "card-006")):
            spawn_item(world, sku, make_pose((0.42 + 0.08 * k, -0.1 + 0.1 * k, floor + 0.1)))
        driver.step(240)
        sleep_items(world)
        before = {i.item_id: item_pose(world, i) for i in world.item_bodies.values()}
        tour = ArmTour(CELL)
        trajectory = tour.through(world, 3, 2)
        again = tour.through(world, 3, 2)
        np.testing.assert_array_equal(again.positions, trajectory.positions)
        assert not np.array_equal(tour.through(world, 4, 2).positions[: len(trajectory.positions)], trajectory.positions)
        driver.follow(trajectory)
        lowest = np.inf
        while not driver.arm_status.done:
            driver.step(12)
            lowest = min(lowest, world.X_world_link("tcp_pinch")[2, 3])
            contacts = p.getContactPoints(world.robot.body, physicsClientId=world.client)
            assert not [c for c in contacts if c[2] != world.robot.body and c[8] <= 0.0], driver.now_s
        assert driver.arm_status.state is ArmState.SUCCEEDED
        assert floor + 0.03 < lowest < floor + CELL.totes["source"].inner[2], "it went down into the tote"
        for item in world.item_bodies.values():
            np.testing.assert_allclose(item_pose(world, item), before[item.item_id], atol=1e-3)
    finally:
        driver.close()


def test_the_height_below_looks_past_the_robot() -> None:
    driver = SimDriver.create(CELL, 0, cameras=False)
    try:
        tcp = driver.world.X_world_link("tcp_pinch")
        assert height_below(driver.world, tcp[:2, 3]) < tcp[2, 3] - 0.1
        item = spawn_item(driver.world, "box-022", make_pose((tcp[0, 3], tcp[1, 3], 0.1)))
        top = p.getAABB(item.body, physicsClientId=driver.world.client)[1][2]
        assert height_below(driver.world, tcp[:2, 3]) == pytest.approx(top, abs=0.003)
    finally:
        driver.close()


def test_costs_cover_physics_and_every_controller() -> None:
    driver = SimDriver.create(CELL, 0, cameras=False)
    try:
        Scorer(driver.world, driver)
        costs = _measured(driver)
        driver.step(20)
        assert {"physics", "arm", "jaw", "cup", "sensors", "damage"} <= set(costs.ms)
        assert all(ms > 0 for ms in costs.ms.values())
    finally:
        driver.close()


def test_growth_is_a_slope_per_thousand_picks() -> None:
    picks = np.arange(8.0, 400.0, 8.0)
    noise = np.random.default_rng(0).normal(0.0, 0.3, len(picks))
    value, low, high = growth_per_1000(np.column_stack([picks, 900.0 + 0.02 * picks + noise]))
    assert low < value < high and value == pytest.approx(20.0, abs=2.0)
    flat = growth_per_1000(np.column_stack([picks, 900.0 + noise]))
    assert flat[0] == pytest.approx(0.0, abs=2.0)
    assert np.isnan(growth_per_1000(np.array([[8.0, 900.0], [16.0, 901.0]]))).all()


@pytest.mark.slow
def test_a_full_tote_runs_five_times_faster_than_it_happens() -> None:
    """On one core, the arm moving above the tote and into it."""
    rows, costs, _ = _tours(PhysicsBenchConfig(totes=2, dips=3), awake=False)
    assert _rate(rows)[0] >= 5.0
    assert costs.ms["physics"] > 0.0 and sum(costs.ms.values()) < 1.0
