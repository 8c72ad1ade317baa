"""Physics against closed forms: what the cup bears, Coulomb friction, free fall and impacts."""

from __future__ import annotations

import numpy as np
import pybullet as p
import pytest
from cup_rig import fitted, hang_block, load_until_it_breaks
from sim_rig import add_block, cell_named, driven

from pickcell_sim.driver import SimDriver
from pickcell_sim.world import SimWorld

G = 9.81
PLATE = (0.10, 0.10, 0.012)
PLATE_KG = 0.1
VACUUM_PA = {"20mm": 75e3, "30mm": 75e3, "40mm": 40e3}
"""At 75 kPa the largest cup bears more than the arm: a load near its limit would set off the protective stop."""


def grip_n(driver: SimDriver) -> float:
    """dP A of the present hold."""
    return driver.cup.vacuum_pa * driver.cup.cup.area_m2


# -- the cup -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cup", ["20mm", "30mm", "40mm"])
def test_static_holding_force(cup: str) -> None:
    """F = dP A within 2 %."""
    with fitted(cup, vacuum_pa=VACUUM_PA[cup]) as driver:
        block = hang_block(driver, PLATE, PLATE_KG)
        expected = grip_n(driver) - PLATE_KG * G
        assert grip_n(driver) == pytest.approx(VACUUM_PA[cup] * np.pi * driver.cup.cup.radius_m**2, rel=0.01)
        _, pull = load_until_it_breaks(driver, block, lambda f: (np.array([0, 0, -f]), np.zeros(3)), expected)
        assert driver.cup.last_break == "peel"
        assert pull == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("cup", "lever_m", "direction"), [("30mm", 0.02, 0.0), ("30mm", 0.05, 2.0), ("40mm", 0.03, 0.7)])
def test_peel_limit_of_an_offset_load(cup: str, lever_m: float, direction: float) -> None:
    """F_z + 2 M / r <= dP A with M = F d, whichever way the load lies, within 2 %."""
    with fitted(cup, vacuum_pa=VACUUM_PA[cup]) as driver:
        block = hang_block(driver, PLATE, PLATE_KG)
        side = lever_m * np.array([np.cos(direction), np.sin(direction), 0.0])
        expected = (grip_n(driver) - PLATE_KG * G) / (1.0 + 2.0 * lever_m / driver.cup.cup.radius_m)

        def load(f: float) -> tuple[np.ndarray, np.ndarray]:
            down = np.array([0.0, 0.0, -f])
            return down, np.cross(side, down)

        _, pull = load_until_it_breaks(driver, block, load, expected)
        assert driver.cup.last_break == "peel"
        assert pull == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("cup", ["20mm", "40mm"])
@pytest.mark.parametrize(
    ("sideways", "twist", "down"), [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.6, 0.8, 0.3), (-0.8, -0.6, 0.5)]
)
def test_slip_limit_sideways_and_by_torsion(cup: str, sideways: float, twist: float, down: float) -> None:
    """sqrt(F_t^2 + (T_z / r)^2) <= mu (dP A - F_z) within 2 %; ``down``: F_z in proportion to the tangential load."""
    with fitted(cup, vacuum_pa=VACUUM_PA[cup]) as driver:
        block = hang_block(driver, PLATE, PLATE_KG)
        radius, mu = driver.cup.cup.radius_m, driver.cup.cup.friction
        expected = mu * (grip_n(driver) - PLATE_KG * G) / (1.0 + mu * down)

        def load(f: float) -> tuple[np.ndarray, np.ndarray]:
            return f * np.array([0.6 * sideways, 0.8 * sideways, -down]), np.array([0, 0, f * twist * radius])

        slides_at, lost_at = load_until_it_breaks(driver, block, load, expected)
        assert driver.cup.last_break == "slip"
        assert slides_at == pytest.approx(expected, rel=0.02)
        assert slides_at < lost_at < 1.05 * slides_at  # it creeps some millimetres first


def transport(acceleration: float) -> tuple[np.ndarray, float]:
    """(N,) acceleration at 240 Hz of a 0.8 m move with this peak, s(u) = 10 u^3 - 15 u^4 + 6 u^5, and of 0.5 s after it."""
    duration = np.sqrt(5.774 * 0.8 / acceleration)
    u = np.arange(0.0, duration, 1 / 240) / duration
    moving = 0.8 / duration**2 * (60 * u - 180 * u**2 + 120 * u**3)
    return np.concatenate([moving, np.zeros(120)]), duration


def peel_use_when_moved(size: tuple[float, float, float], mass: float, acceleration: float) -> tuple[float, str]:
    """Largest share of the peel limit of a 40 mm cup at 60 kPa in a transport, and how the hold broke, if it did.

    The hand stands still and the item's inertia acts on it instead, so that no arm's dynamics are mixed in.
    """
    with fitted("40mm", vacuum_pa=60e3) as driver:
        block = hang_block(driver, size, mass)
        largest = 0.0
        for a in transport(acceleration)[0]:
            centre = p.getBasePositionAndOrientation(block, physicsClientId=driver.world.client)[0]
            inertia = [0.0, -mass * a, 0.0]
            p.applyExternalForce(block, -1, inertia, centre, p.WORLD_FRAME, physicsClientId=driver.world.client)
            driver.step()
            largest = max(largest, driver.cup.use[0])
            if driver.cup.held_body is None:
                break
        return largest, driver.cup.last_break


@pytest.mark.parametrize(("acceleration", "use"), [(2.0, 0.46), (4.0, 0.60), (6.0, 0.83)])
def test_a_tall_box_uses_up_the_peel_limit_with_acceleration(acceleration: float, use: float) -> None:
    """0.9 kg, centre of mass 100 mm under the lip. The swing on the compliant cup counts, so the shape of the move does."""
    largest, broke = peel_use_when_moved((0.08, 0.08, 0.20), 0.9, acceleration)
    assert broke == "" and largest == pytest.approx(use, abs=0.07)


def test_the_tall_box_peels_at_8_and_a_flat_one_holds_at_12() -> None:
    assert peel_use_when_moved((0.08, 0.08, 0.20), 0.9, 8.0)[1] == "peel"
    largest, broke = peel_use_when_moved((0.20, 0.15, 0.02), 0.9, 12.0)
    assert broke == "" and largest < 0.5


# -- friction ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("angle_deg", [20.0, 24.0, 28.0, 35.0, 45.0])
def test_coulomb_slip_on_an_incline(angle_deg: float) -> None:
    """At rest up to atan mu (25.6 degrees at .8 x .6), beyond it s = g (sin - mu cos) t^2 / 2."""
    mu, angle = 0.8 * 0.6, np.deg2rad(angle_deg)
    with SimWorld(cell_named("panda"), sleeping=False) as world:
        client = world.client
        turn = p.getQuaternionFromEuler([0.0, angle, 0.0])
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[1.0, 0.5, 0.01], physicsClientId=client)
        plane = p.createMultiBody(0.0, shape, -1, [0.0, 0.0, 2.0], turn, physicsClientId=client)
        p.changeDynamics(plane, -1, lateralFriction=0.8, physicsClientId=client)
        normal = np.array([np.sin(angle), 0.0, np.cos(angle)])
        start = np.array([0.0, 0.0, 2.0]) + (0.01 + 0.02) * normal
        block = add_block(world, (0.08, 0.08, 0.04), 0.5, tuple(start), friction=0.6)
        p.resetBasePositionAndOrientation(block, start.tolist(), turn, physicsClientId=client)
        world.step(120)
        slid = np.linalg.norm(np.array(p.getBasePositionAndOrientation(block, physicsClientId=client)[0]) - start)
    expected = 0.5 * G * (np.sin(angle) - mu * np.cos(angle)) * 0.5**2
    if expected <= 0.0:
        assert slid < 1e-3
    else:
        assert slid == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("force_n", "holds"), [(8.0, False), (10.0, True)])
def test_coulomb_slip_in_the_jaw(force_n: float, holds: bool) -> None:
    """0.5 kg at 12 m/s^2 is a load of 7.75 N: two pads of 8 N at mu = .45 bear 7.2, of 10 N they bear 9."""
    mass, mu, acceleration, lasts_s = 0.5, 0.45, 12.0, 0.1
    with driven() as driver:
        client = driver.world.client
        X = driver.world.X_world_link("tcp_pinch")
        p.setGravity(0, 0, 0, physicsClientId=client)
        block = add_block(driver.world, (0.04, 0.05, 0.04), mass, tuple(X[:3, 3]), friction=mu)
        driver.move_jaw(0.0, force_n)
        driver.advance(0.8)
        p.setGravity(0, 0, -G, physicsClientId=client)
        driver.advance(0.2)
        start = np.array(p.getBasePositionAndOrientation(block, physicsClientId=client)[0])
        for _ in range(round(lasts_s * 240)):
            centre = p.getBasePositionAndOrientation(block, physicsClientId=client)[0]
            p.applyExternalForce(block, -1, [mass * acceleration, 0, 0], centre, p.WORLD_FRAME, physicsClientId=client)
            driver.step()
        slid = np.linalg.norm(np.array(p.getBasePositionAndOrientation(block, physicsClientId=client)[0]) - start)
    load = mass * np.hypot(G, acceleration)
    if holds:
        assert load < 2 * mu * force_n and slid < 5e-4
    else:
        assert 0.002 < slid < 0.010
        assert load - 2 * mass * slid / lasts_s**2 == pytest.approx(2 * mu * force_n, rel=0.05)


# -- falling and hitting -------------------------------------------------------------------------------------------------
def fall(rate_hz: float, height_m: float) -> tuple[np.ndarray, np.ndarray]:
    """(N,) times and (N, 2) height of the centre and vertical speed of a cube that falls this far onto the table."""
    with SimWorld(cell_named("panda"), sleeping=False, step_s=1 / rate_hz) as world:
        cube = add_block(world, (0.06, 0.06, 0.06), 0.4, (0.9, -0.6, 0.03 + height_m))
        # PyBullet slows every body down by .04 /s and more, far more than air would: not part of the closed form.
        p.changeDynamics(cube, -1, linearDamping=0.0, angularDamping=0.0, physicsClientId=world.client)
        motion = []
        for _ in range(round(0.6 * rate_hz)):
            world.step()
            place = p.getBasePositionAndOrientation(cube, physicsClientId=world.client)[0]
            speed = p.getBaseVelocity(cube, physicsClientId=world.client)[0]
            motion.append((place[2], speed[2]))
    return np.arange(1, len(motion) + 1) / rate_hz, np.array(motion)


@pytest.mark.parametrize("rate_hz", [120, 240, 960])
def test_free_fall(rate_hz: float) -> None:
    """g t^2 / 2; an integrator that updates speeds first is ahead of it by g t h / 2."""
    times, motion = fall(rate_hz, 1.0)
    at = int(np.searchsorted(times, 0.4))
    t = times[at]
    assert 1.03 - motion[at, 0] == pytest.approx(0.5 * G * t**2, rel=0.002 + 1.0 / (rate_hz * t))
    assert -motion[at, 1] == pytest.approx(G * t, rel=0.002)


def test_delta_v_of_an_impact_does_not_depend_on_the_step() -> None:
    """What an impact changes of the speed (as in ASTM D3332): sqrt(2 g h) and a rebound of 5 %, from 120 to 960 Hz."""
    height_m = 0.15
    changes = []
    for rate_hz in (120, 240, 480, 960):
        _, motion = fall(rate_hz, height_m)
        hit = int(np.argmin(motion[:, 1]))
        changes.append(motion[hit : hit + rate_hz // 20 + 1, 1].max() - motion[hit, 1])
    np.testing.assert_allclose(changes, 1.04 * np.sqrt(2 * G * height_m), rtol=0.04)
    assert np.ptp(changes) / np.mean(changes) < 0.05
