"""The physics world: furniture as the cell file says, sleeping items, repeatability; and the truth about it."""

from __future__ import annotations

import numpy as np
import pybullet as p
import pytest
from sim_rig import add_block, cell_named, driven

from pickcell.geometry import make_pose
from pickcell.values import JointTrajectory
from pickcell_sim.driver import SimDriver
from pickcell_sim.scoring.scorer import tote_around
from pickcell_sim.scoring.truth import Truth
from pickcell_sim.world import LOST_BELOW_M, SimWorld, tote_boxes


def ray_height(world: SimWorld, x: float, y: float) -> float:
    """Height of the furniture under a point."""
    hit = p.rayTest([x, y, 1.5], [x, y, -0.5], collisionFilterMask=~64, physicsClientId=world.client)[0]
    return float(hit[3][2])


def test_totes_stand_where_the_cell_file_says() -> None:
    with driven() as driver:
        for tote in driver.cell.totes.values():
            centre, inner = np.array(tote.position), tote.inner
            assert ray_height(driver.world, *centre[:2]) == pytest.approx(centre[2], abs=1e-4)
            wall = centre[0] + inner[0] / 2 + tote.wall / 2
            assert ray_height(driver.world, wall, centre[1]) == pytest.approx(centre[2] + inner[2], abs=1e-4)
            assert ray_height(driver.world, centre[0] + inner[0] / 2 - 0.001, centre[1]) == pytest.approx(
                centre[2], abs=1e-4
            )


def test_a_turned_tote_turns_its_walls() -> None:
    cell = cell_named("panda")
    turned = cell.totes["source"].model_copy(update={"yaw": np.pi / 2})
    cell = cell.model_copy(update={"totes": {**cell.totes, "source": turned}})
    with SimWorld(cell) as world:
        x, y, z = turned.position
        wall = turned.inner[0] / 2 + turned.wall / 2  # the short side now lies along y
        assert ray_height(world, x, y + wall) == pytest.approx(z + turned.inner[2], abs=1e-4)


def test_tote_boxes_leave_the_inside_free() -> None:
    tote = cell_named("panda").totes["source"]
    sizes, centres = tote_boxes(tote)
    probe = np.array([0.0, 0.0, tote.inner[2] / 2])
    assert not (np.abs(probe - centres) < sizes / 2).all(axis=1).any()
    low, high = (centres - sizes / 2).min(axis=0), (centres + sizes / 2).max(axis=0)
    np.testing.assert_allclose(high - low, np.array(tote.inner) + tote.wall * np.array([2, 2, 1]))


def test_settled_items_sleep_and_a_touch_wakes_them() -> None:
    with driven() as driver:
        x, y, z = driver.cell.totes["source"].position
        lower = add_block(driver.world, (0.1, 0.1, 0.05), 0.3, (x, y, z + 0.03))
        driver.advance(1.0)
        assert driver.world.item_bodies[1].asleep
        start = p.getBasePositionAndOrientation(lower, physicsClientId=driver.world.client)[0]
        thrown = add_block(driver.world, (0.05, 0.05, 0.05), 0.5, (x, y - 0.15, z + 0.026), item_id=2)
        p.resetBaseVelocity(thrown, [0, 1.2, 0], physicsClientId=driver.world.client)
        driver.advance(0.4)
        end = p.getBasePositionAndOrientation(lower, physicsClientId=driver.world.client)[0]
        assert end[1] - start[1] > 0.01
        driver.advance(1.5)
        assert all(item.asleep for item in driver.world.item_bodies.values())


def test_item_numbers_are_unique() -> None:
    with driven() as driver:
        add_block(driver.world, (0.05, 0.05, 0.05), 0.1, (0.5, 0.0, 0.05))
        with pytest.raises(ValueError, match="item 1 exists"):
            driver.world.add_body(99, 1)
        driver.world.remove_body(1)
        with pytest.raises(KeyError, match="no item 1"):
            driver.world.remove_body(1)


def episode(seed: int) -> np.ndarray:
    """A short run with noise, motion and a falling block; everything a driver shows of it."""
    driver = SimDriver.create(cell_named("panda"), seed, cameras=False)
    try:
        add_block(driver.world, (0.05, 0.04, 0.03), 0.2, (0.5, 0.02, 0.2))
        q = np.array(driver.cell.arm.home)
        path = np.stack([q, q + 0.1])
        driver.follow(JointTrajectory(driver.cell.arm.joints, np.array([0.0, 1.0]), path, np.zeros((2, 7))))
        driver.set_vacuum(True)
        rows = []
        for _ in range(20):
            driver.advance(0.03)
            r = driver.reading()
            rows.append(np.concatenate([r.joints.positions, r.wrench.force_n, [r.pressure_pa, r.jaw.width_m]]))
        return np.array(rows)
    finally:
        driver.close()


def test_everything_repeats_with_the_seed() -> None:
    first, second, other = episode(3), episode(3), episode(4)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0


def test_what_falls_off_the_table_comes_to_rest() -> None:
    """Or physics would never rest again, and the item would fall for ever."""
    with driven() as driver:
        add_block(driver.world, (0.05, 0.05, 0.05), 0.1, (3.0, 0.0, 0.1), item_id=1)
        driver.advance(0.8)
        assert driver.world.item_bodies[1].asleep
        z = Truth(driver).item_pose(1)[2, 3]
        assert -1.5 < z < LOST_BELOW_M
        driver.advance(0.5)
        assert Truth(driver).item_pose(1)[2, 3] == z and driver.world.item_bodies[1].asleep


def test_truth_tells_which_tote_an_item_is_in() -> None:
    with driven() as driver:
        totes = driver.cell.totes
        for number, (x, y, z) in enumerate([totes["source"].position, totes["destination"].position, (0.6, -0.6, 0.0)], 1):
            add_block(driver.world, (0.05, 0.05, 0.05), 0.1, (x, y, z + 0.03), item_id=number)
        driver.advance(0.5)
        truth = Truth(driver)
        assert [truth.tote_of(i) for i in (1, 2, 3)] == ["source", "destination", None]
        assert [tote_around(driver.cell, truth.item_pose(i)).value for i in (1, 2, 3)] == [
            "source",
            "destination",
            "elsewhere",
        ]
        assert truth.items_in("source") == (1,)
        assert truth.speed(1) < 0.01
        assert truth.hand().items == ()
        x, y, z = totes["source"].position
        rim = z + totes["source"].inner[2]
        for number, above in ((4, 0.05), (5, 0.09)):  # long items stand out of a tote
            add_block(driver.world, (0.02, 0.02, 0.02), 0.1, (x, y, rim + above), item_id=number)
        assert [truth.tote_of(i) for i in (4, 5)] == ["source", None]
        with pytest.raises(KeyError, match="no item 9"):
            truth.item_pose(9)


def test_the_robot_stands_on_its_riser_with_the_base_where_the_cell_says() -> None:
    with driven("iiwa") as driver:
        np.testing.assert_allclose(driver.world.X_world_link("base_link"), make_pose(driver.cell.base_position))
        with pytest.raises(KeyError, match="no link 'elbow'"):
            driver.world.X_world_link("elbow")
        riser = driver.world.robot.link("riser_link")
        low, high = p.getAABB(driver.world.robot.body, riser, physicsClientId=driver.world.client)
        assert low[2] == pytest.approx(0.0, abs=0.005) and high[2] == pytest.approx(0.10, abs=0.005)
