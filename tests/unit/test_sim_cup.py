"""The suction cup in physics: when it seals, what it bears, and how it lets go, against the closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pybullet as p
import pytest
from cup_rig import OVERTRAVEL_M, lip_extended, pedestal, remove, seal_on_block
from sim_rig import driven, height

from pickcell_sim.driver import SimDriver


def ramp(driver: SimDriver, block: int, force: Callable[[float], np.ndarray], rate: float, until: float) -> float:
    """Pull at the block's centre of mass with a growing force (world axes) until the cup lets go; that magnitude."""
    pull = 0.0
    while pull < until and driver.cup.held_body is not None:
        pull += rate / 240
        centre = p.getBasePositionAndOrientation(block, physicsClientId=driver.world.client)[0]
        p.applyExternalForce(block, -1, force(pull).tolist(), centre, p.WORLD_FRAME, physicsClientId=driver.world.client)
        driver.step()
    return pull


def test_holds_a_block_with_exactly_its_weight() -> None:
    with driven() as driver:
        block, stand = seal_on_block(driver, (0.1, 0.08, 0.06), 0.5)
        assert driver.cup.held_body == block
        assert driver.reading().vacuum_pa > 70e3
        remove(driver, stand)
        driver.advance(1.0)
        np.testing.assert_allclose(driver.cup.held_wrench, [0, 0, 0.5 * 9.81, 0, 0, 0], atol=0.03)
        hanging = height(driver.world, block)
        driver.advance(1.0)
        assert abs(height(driver.world, block) - hanging) < 2e-4


def test_the_regulator_lets_no_more_vacuum_through_than_it_is_set_to() -> None:
    with driven() as driver:
        driver.regulate_vacuum(25e3)
        seal_on_block(driver, (0.1, 0.08, 0.06), 0.2)
        driver.advance(0.5)
        assert driver.reading().vacuum_pa == pytest.approx(25e3, abs=1e3)
        assert driver.cup.peak_vacuum_pa <= 25e3
        driver.regulate_vacuum(float("inf"))
        driver.advance(0.5)
        assert driver.reading().vacuum_pa > 70e3
        with pytest.raises(ValueError, match="> 0"):
            driver.regulate_vacuum(0.0)


def test_sags_by_the_axial_stiffness() -> None:
    with driven() as driver:
        block, stand = seal_on_block(driver, (0.1, 0.08, 0.06), 0.3)
        remove(driver, stand)
        driver.advance(0.7)
        before = height(driver.world, block)
        p.changeDynamics(block, -1, mass=0.8, physicsClientId=driver.world.client)
        driver.advance(0.7)
        assert before - height(driver.world, block) == pytest.approx(0.5 * 9.81 / 8000, rel=0.08)


def test_presses_with_the_thrust_of_the_slide_not_with_the_arm() -> None:
    with driven() as driver:
        still = driver.arm.position.copy()
        block, _ = seal_on_block(driver, (0.1, 0.08, 0.06), 0.5)
        slide_weight = 0.12 * 9.81
        assert driver.cup.held_wrench[2] == pytest.approx(-(8.0 + slide_weight), abs=0.5)
        assert height(driver.world, block) > 0
        np.testing.assert_allclose(driver.arm.position, still, atol=1e-4)


@pytest.mark.parametrize("mass", [0.02, 0.05])
def test_a_light_thing_feels_the_whole_thrust(mass: float) -> None:
    """A card between cup and floor: what the floor does to it in a step is far more than its own weight does."""
    with driven() as driver:
        card, _ = seal_on_block(driver, (0.08, 0.05, 0.003), mass)
        assert driver.cup.held_body == card
        assert driver.cup.held_wrench[2] == pytest.approx(-(8.0 + 0.12 * 9.81), abs=0.7)


def test_peels_straight_off_at_the_vacuum_force() -> None:
    """F_z = dP A, here 75 kPa on a lip of 15 mm: 53.0 N."""
    with driven() as driver:
        block, stand = seal_on_block(driver, (0.1, 0.08, 0.02), 0.2)
        remove(driver, stand)
        driver.advance(0.5)
        limit = driver.cup.vacuum_pa * np.pi * 0.015**2
        pull = ramp(driver, block, lambda f: np.array([0, 0, -f]), rate=30.0, until=100.0)
        assert driver.cup.last_break == "peel"
        assert pull + 0.2 * 9.81 == pytest.approx(limit, rel=0.04)


def test_slips_sideways_at_the_friction_limit() -> None:
    """F_t = mu (dP A - F_z) on a thin plate, whose centre of mass is too near for the pull to peel it."""
    with driven() as driver:
        block, stand = seal_on_block(driver, (0.1, 0.08, 0.004), 0.1)
        remove(driver, stand)
        driver.advance(0.5)
        limit = 0.5 * (driver.cup.vacuum_pa * np.pi * 0.015**2 - 0.1 * 9.81)
        pull = ramp(driver, block, lambda f: np.array([f, 0, 0]), rate=20.0, until=60.0)
        assert driver.cup.last_break == "slip"
        assert pull == pytest.approx(limit, rel=0.06)


def test_an_off_centre_load_peels_at_the_moment_limit() -> None:
    """m g + 2 m g d / r <= dP A: 0.32 kg holds at d = 50 mm (24 N of 53), 0.9 kg does not (68 N)."""
    for mass, holds in ((0.32, True), (0.9, False)):
        with driven() as driver:
            _, stand = seal_on_block(driver, (0.16, 0.06, 0.03), mass, offset=0.05)
            assert driver.cup.held_body is not None
            remove(driver, stand)
            driver.advance(1.0)
            assert (driver.cup.held_body is not None) == holds
            assert holds or driver.cup.last_break == "peel"


def test_lets_go_when_the_vacuum_is_switched_off_and_only_then_retracts() -> None:
    with driven() as driver:
        block, _ = seal_on_block(driver, (0.1, 0.08, 0.06), 0.2)
        resting = height(driver.world, block)
        driver.set_vacuum(False)
        highest = resting
        for _ in range(120):
            driver.step()
            highest = max(highest, height(driver.world, block))
        assert driver.cup.held_body is None and driver.cup.last_break == "released"
        assert highest - resting < 1e-3
        assert driver.cup.slide_m < 0.002
        assert driver.reading().vacuum_pa < 1_000


def test_does_not_seal_unless_pressed_on() -> None:
    with driven() as driver:
        z = lip_extended(driver)[2]
        pedestal(driver, z - OVERTRAVEL_M - 0.003)  # 3 mm beyond reach
        driver.set_vacuum(True)
        driver.advance(0.6)
        assert driver.cup.held_body is None
        assert driver.reading().vacuum_pa < 5_000


def test_does_not_seal_over_an_edge() -> None:
    with driven() as driver:
        seal_on_block(driver, (0.1, 0.08, 0.06), 0.5, offset=0.042)  # the rim hangs over by 7 mm
        assert driver.cup.held_body is None
        assert driver.reading().vacuum_pa < 5_000


@pytest.mark.parametrize(("diameter", "least_pa", "most_pa"), [(0.09, 60e3, 76e3), (0.05, 0.0, 30e3)])
def test_seals_on_a_can_as_far_as_its_lip_follows(diameter: float, least_pa: float, most_pa: float) -> None:
    with driven() as driver:
        size = (0.12, diameter, diameter)
        _, _, z = lip_extended(driver)
        can, _ = seal_on_block(driver, size, 0.3, cylinder=True)
        assert least_pa <= driver.reading().vacuum_pa <= most_pa
        assert height(driver.world, can) == pytest.approx(z - diameter / 2, abs=0.003)


def test_a_sealed_line_shows_in_the_pressure_only() -> None:
    """The reading carries noise, and no trace of what the cup holds."""
    with driven() as driver:
        seal_on_block(driver, (0.1, 0.08, 0.06), 0.5)
        values = [driver.pressure_pa() for _ in range(200)]
        assert np.std(values) == pytest.approx(150.0, rel=0.25)
        assert not any("held" in name or "body" in name for name in dir(driver.reading()))
