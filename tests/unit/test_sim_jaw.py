"""The parallel jaw: width, stall, force and symmetry, and what friction holds."""

from __future__ import annotations

import numpy as np
import pybullet as p
import pytest
from sim_rig import add_block, driven, height

from pickcell_sim.driver import SimDriver
from pickcell_sim.hand.jaw import PAD_STIFFNESS
from pickcell_sim.ports import SimPorts


def block_between_the_pads(
    driver: SimDriver, width: float, mass: float, sideways: float = 0.0, friction: float = 0.6
) -> int:
    """A block floating between the pads, ``width`` along the closing axis; gravity is off until it is held."""
    X = driver.world.X_world_link("tcp_pinch")
    centre = X[:3, 3] + sideways * X[:3, 0]
    p.setGravity(0, 0, 0, physicsClientId=driver.world.client)
    return add_block(driver.world, (0.04, width, 0.04), mass, tuple(centre), friction=friction)  # closing axis: world y


def gravity_on(driver: SimDriver) -> None:
    p.setGravity(0, 0, -9.81, physicsClientId=driver.world.client)


@pytest.mark.parametrize("width", [0.015, 0.04, 0.08])
def test_stalls_at_the_width_of_a_block(width: float) -> None:
    with driven() as driver:
        block_between_the_pads(driver, width, 0.2)
        state = SimPorts(driver).set_jaw(0.0, 20.0).unwrap()
        assert state.stalled and not state.moving
        assert state.width_m == pytest.approx(width, abs=0.0015)
        driver.advance(0.2)
        assert driver.jaw_state().force_n == pytest.approx(20.0, rel=0.15)


def test_closes_on_nothing_without_stalling() -> None:
    with driven() as driver:
        state = SimPorts(driver).set_jaw(0.0, 20.0).unwrap()
        assert not state.stalled and state.width_m < 0.002


def test_the_pads_press_with_the_commanded_force() -> None:
    with driven() as driver:
        block = block_between_the_pads(driver, 0.05, 0.2)
        for force in (8.0, 40.0):
            driver.move_jaw(0.0, force)
            driver.advance(0.5)
            contacts = p.getContactPoints(block, driver.world.robot.body, physicsClientId=driver.world.client)
            pads: dict[int, float] = {}
            for contact in contacts:
                pads[contact[4]] = pads.get(contact[4], 0.0) + contact[9]
            assert len(pads) == 2
            np.testing.assert_allclose(list(pads.values()), force, rtol=0.05)


def test_the_gear_keeps_the_pads_symmetric_under_a_side_load() -> None:
    with driven() as driver:
        block = block_between_the_pads(driver, 0.05, 0.2)
        SimPorts(driver).set_jaw(0.0, 30.0)
        closing = driver.world.X_world_link("tcp_pinch")[:3, 0]
        for _ in range(240):
            centre = p.getBasePositionAndOrientation(block, physicsClientId=driver.world.client)[0]
            pull = (15.0 * closing).tolist()
            p.applyExternalForce(block, -1, pull, centre, p.WORLD_FRAME, physicsClientId=driver.world.client)
            driver.step()
        left, right = driver.world.robot.positions(driver.cell.hand.jaw_joints)
        assert abs(left - right) < 1e-3


@pytest.mark.parametrize(("force", "holds"), [(12.0, True), (3.0, False)])
def test_friction_holds_what_coulomb_allows(force: float, holds: bool) -> None:
    """Two pads hold 2 mu F: 0.5 kg (4.9 N) at mu = 0.6 needs 4.1 N per pad."""
    with driven() as driver:
        block = block_between_the_pads(driver, 0.05, 0.5)
        SimPorts(driver).set_jaw(0.0, force)
        gravity_on(driver)
        before = height(driver.world, block)
        driver.advance(1.0)
        fallen = before - height(driver.world, block)
        assert (fallen < 0.002) if holds else (fallen > 0.1)


@pytest.mark.parametrize("force", [5.0, 20.0])
def test_a_soft_thing_is_squeezed_by_both_stiffnesses_in_series(force: float) -> None:
    """Plush of 1.5 kN/m per contact against pads of 30 kN/m: four corners on either side give way by F / 4k each."""
    with driven() as driver:
        block = block_between_the_pads(driver, 0.05, 0.2)
        p.changeDynamics(block, -1, contactStiffness=1500.0, contactDamping=20.0, physicsClientId=driver.world.client)
        assert SimPorts(driver).set_jaw(0.0, force).unwrap().stalled
        driver.advance(0.4)
        squeezed = 0.05 - driver.jaw.width_m
        assert squeezed == pytest.approx(2 * force / (4 / (1 / 1500 + 1 / PAD_STIFFNESS)), rel=0.05)
        assert driver.jaw_state().force_n == pytest.approx(force, rel=0.15)
        assert abs(driver.jaw.speed_mps) < 1e-3


def test_stall_and_force_do_not_depend_on_the_division_of_steps() -> None:
    stalled_after, forces = [], []
    for substeps in (1, 2):
        with driven() as driver:
            driver.world.set_substeps(substeps)
            block_between_the_pads(driver, 0.05, 0.2)
            driver.move_jaw(0.0, 20.0)
            while not driver.jaw.stalled:
                driver.step()
                assert driver.now_s < 2.0
            stalled_after.append(driver.now_s)
            driver.advance(0.2)
            forces.append(driver.jaw_state().force_n)
    assert stalled_after[0] == pytest.approx(stalled_after[1], abs=0.025)
    np.testing.assert_allclose(forces, 20.0, rtol=0.15)


def test_an_off_centre_block_is_centred_and_held() -> None:
    with driven() as driver:
        block = block_between_the_pads(driver, 0.03, 0.1, sideways=0.02)
        state = SimPorts(driver).set_jaw(0.0, 20.0).unwrap()
        assert state.stalled
        X = driver.world.X_world_link("tcp_pinch")
        centre = np.array(p.getBasePositionAndOrientation(block, physicsClientId=driver.world.client)[0])
        assert abs((centre - X[:3, 3]) @ X[:3, 0]) < 0.002


def test_commands_outside_the_range_are_clipped_and_nonsense_is_refused() -> None:
    with driven() as driver:
        state = SimPorts(driver).set_jaw(5.0, 1e6).unwrap()
        assert state.width_m == pytest.approx(driver.cell.hand.opening_max_m, abs=0.002)
        ports = SimPorts(driver)
        ports.set_jaw(-1.0, 1e6)
        assert driver.jaw.command.width_m == 0.0 and driver.jaw.command.force_n == driver.cell.hand.pinch_force_max_n
        ports.set_jaw(0.05, 1e6)
        assert driver.jaw.command.force_n == 10.0  # opening is gentle
        with pytest.raises(ValueError, match="finite width and force"):
            driver.move_jaw(float("nan"), 10.0)


def test_the_jaw_makes_way_for_the_cup_but_not_by_dropping_something() -> None:
    with driven() as driver:
        ports = SimPorts(driver)
        ports.set_jaw(0.0, 20.0)
        assert ports.set_vacuum(True).ok
        driver.advance(0.5)
        assert driver.jaw_state().width_m > 2 * driver.cell.hand.cup_radius_m
        assert ports.set_jaw(0.0, 20.0).unwrap().width_m > 2 * driver.cell.hand.cup_radius_m
    with driven() as driver:
        ports = SimPorts(driver)
        block_between_the_pads(driver, 0.02, 0.1)
        assert ports.set_jaw(0.0, 20.0).unwrap().stalled
        refused = ports.set_vacuum(True)
        assert refused.code.value == "busy" and "open the jaw first" in refused.text
        assert not driver.vacuum_on and driver.jaw_state().stalled
