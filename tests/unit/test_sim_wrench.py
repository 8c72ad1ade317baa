"""The wrist sensor: weights at rest, levers, acceleration, noise."""

from __future__ import annotations

import numpy as np
import pybullet as p
import pytest
from sim_rig import ToolMotion, add_block, driven

from pickcell_sim.ports import SimPorts

HAND_KG = 0.70 + 2 * 0.06 + 0.12 + 4 * 1e-4


def mean_wrench(driver, n: int = 100) -> np.ndarray:  # type: ignore[no-untyped-def]
    readings = []
    for _ in range(n):
        driver.step()
        w = driver.wrench()
        readings.append(np.concatenate([w.force_n, w.torque_nm]))
    return np.mean(readings, axis=0)


def test_feels_the_weight_of_the_hand_along_gravity() -> None:
    """With the hand looking down, gravity is along +z of tool0; the bias is a few sensor sigmas at most."""
    with driven() as driver:
        driver.advance(0.5)
        np.testing.assert_allclose(mean_wrench(driver)[:3], [0, 0, HAND_KG * 9.81], atol=0.2)


@pytest.mark.parametrize("mass", [0.1, 0.6])
def test_feels_a_held_mass_within_its_noise(mass: float) -> None:
    with driven() as driver:
        driver.advance(0.3)
        empty = mean_wrench(driver)
        X = driver.world.X_world_link("tcp_pinch")
        p.setGravity(0, 0, 0, physicsClientId=driver.world.client)
        add_block(driver.world, (0.04, 0.04, 0.03), mass, tuple(X[:3, 3]))
        SimPorts(driver).set_jaw(0.0, 30.0)
        p.setGravity(0, 0, -9.81, physicsClientId=driver.world.client)
        driver.advance(0.3)
        change = mean_wrench(driver) - empty
        np.testing.assert_allclose(change[:3], [0, 0, mass * 9.81], atol=0.05)


def test_feels_the_lever_of_a_force_on_the_finger() -> None:
    """5 N along tool0's y at the left finger: torque = r x F about tool0."""
    with driven() as driver:
        driver.advance(0.3)
        X_world_tool = driver.world.X_world_link("tool0")
        point = driver.world.X_world_link("finger_left_link")[:3, 3]
        empty = mean_wrench(driver)
        force = 5.0 * X_world_tool[:3, 1]
        finger, robot = driver.world.robot.link("finger_left_link"), driver.world.robot.body

        def push() -> None:
            p.applyExternalForce(robot, finger, force, point, p.WORLD_FRAME, physicsClientId=driver.world.client)

        driver.world.before_step.append(push)
        driver.advance(0.3)
        change = mean_wrench(driver) - empty
        arm = X_world_tool[:3, :3].T @ (point - X_world_tool[:3, 3])
        np.testing.assert_allclose(change[:3], [0, 5, 0], atol=0.1)
        np.testing.assert_allclose(change[3:], np.cross(arm, [0, 5, 0]), atol=0.02)


def test_feels_the_acceleration_of_the_hand() -> None:
    with driven() as driver:
        driver.advance(0.3)
        rest = mean_wrench(driver)[2]
        motion = ToolMotion(driver.cell).line(np.array(driver.cell.arm.home), (0, 0, 0.2), 3.0)
        driver.follow(motion)
        peak = 0.0
        while not driver.arm_status.done:
            driver.step()
            peak = max(peak, driver.wrench().force_n[2] - rest)
        assert peak == pytest.approx(HAND_KG * 3.0, rel=0.2)


def test_noise_is_what_the_data_sheet_would_say() -> None:
    with driven() as driver:
        driver.advance(0.3)
        readings = [driver.wrench() for _ in range(400)]
        assert np.std([r.force_n for r in readings], axis=0) == pytest.approx(0.05, rel=0.15)
        assert np.std([r.torque_nm for r in readings], axis=0) == pytest.approx(0.005, rel=0.15)
