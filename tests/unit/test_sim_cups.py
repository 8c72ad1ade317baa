"""Exchangeable cups and vacuum sources: what each seals on, what leaks do, what a film bears; by formula and in physics."""

from __future__ import annotations

import numpy as np
import pybullet as p
import pytest
from cup_rig import fitted, hang_block, lip_extended, pedestal, remove, seal_on_block
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sim_rig import add_block, cell_named

from pickcell.cell import CUP_RADII_M, HandConfig
from pickcell_sim.driver import SimDriver
from pickcell_sim.hand.cups import CUPS, SOURCES, blister_limit_pa, cup_of_hand, cup_of_radius
from pickcell_sim.hand.lip import Surface, Waves, rim_points, surface_of
from pickcell_sim.hand.suction import Cup, implicit_spring, lip_opening, ring_seal, slid_by, sliding_spring, vacuum_at_leak
from pickcell_sim.world import ItemBody


# -- what the cell file says ---------------------------------------------------------------------------------------------
def test_the_cell_names_cup_and_source_and_the_radius_follows() -> None:
    assert cell_named("panda").hand.cup == "20mm" and cell_named("iiwa").hand.cup_radius_m == 0.010
    assert HandConfig(cup="40mm").cup_radius_m == 0.020
    assert HandConfig(cup="40mm", cup_radius_m=0.018).cup_radius_m == 0.018
    assert HandConfig(cup="40mm").fitted("20mm", "blower") == HandConfig(cup="20mm", vacuum_source="blower")
    assert HandConfig(vacuum_source="blower").vacuum_max_pa == SOURCES["blower"].vacuum_pa < HandConfig().vacuum_max_pa
    assert set(CUPS) == set(CUP_RADII_M) == {"20mm", "30mm", "40mm"}


def test_unknown_cups_and_sources_are_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="'20mm', '30mm' or '40mm'"):
        HandConfig(cup="25mm")
    with pytest.raises(ValidationError, match="'ejector' or 'blower'"):
        HandConfig().fitted("20mm", "fan")
    with pytest.raises(ValueError, match="radius > 0"):
        cup_of_radius(0.0)


@pytest.mark.parametrize("cup", ["20mm", "40mm"])
def test_the_hand_wears_the_named_cup(cup: str) -> None:
    with fitted(cup, "blower") as driver:
        assert driver.cup.cup == CUPS[cup] and driver.cup.pump == SOURCES["blower"]
        robot = driver.world.robot
        low, high = p.getAABB(robot.body, robot.link("cup_link"), physicsClientId=driver.world.client)
        assert high[0] - low[0] == pytest.approx(2 * CUP_RADII_M[cup], abs=0.007)  # with PyBullet's margins
        driver.set_vacuum(True)
        driver.move_jaw(0.0, 20.0)
        driver.advance(0.6)
        assert driver.jaw_state().width_m > 2 * CUP_RADII_M[cup]


def test_a_radius_of_its_own_scales_the_cup() -> None:
    cup = cup_of_hand(HandConfig(cup="20mm", cup_radius_m=0.012))
    assert cup.radius_m == 0.012 and CUPS["20mm"].axial_n_per_m < cup.axial_n_per_m < CUPS["30mm"].axial_n_per_m
    assert CUPS["30mm"] == Cup()
    small, large = CUPS["20mm"], CUPS["30mm"]
    assert large.axial_n_per_m / small.axial_n_per_m == pytest.approx(1.5)
    assert large.bending_nm_per_rad / small.bending_nm_per_rad == pytest.approx(1.5**3)


# -- leak against pump ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "gap_mm", "kpa"),
    [("ejector", 0.0, 75.0), ("ejector", 0.05, 21.0), ("ejector", 0.1, 8.0), ("blower", 0.1, 19.0)],
)
def test_pump_curves_under_a_cup_of_40_mm(source: str, gap_mm: float, kpa: float) -> None:
    assert vacuum_at_leak(gap_mm * 1e-3, 0.020, SOURCES[source]) / 1e3 == pytest.approx(kpa, rel=0.10)


@given(st.floats(0.0, 0.002), st.floats(0.0, 0.003), st.integers(0, 50))
def test_lifting_a_lip_never_closes_a_leak(wrinkle: float, opening: float, seed: int) -> None:
    cup = CUPS["30mm"]
    fine, steepened = Waves.draw(wrinkle, (seed,)).heights(rim_points(cup.radius_m), cup.radius_m)
    seal = ring_seal(fine, cup.radius_m, cup.conformity_m, steepened)
    lifted = opening * np.clip(np.cos(np.linspace(0, 2 * np.pi, 24, endpoint=False)), 0.0, None)
    assert seal.gap_when_open(lifted) >= seal.gap_m >= 0.0


def test_the_lip_opens_where_the_load_pulls_more_than_the_vacuum_presses() -> None:
    """Peel limit F_z + 2 M / r = dP A: nothing opens up to it; beyond, the far side of the moment does."""
    cup, vacuum = CUPS["30mm"], 50e3
    limit = vacuum * cup.area_m2
    moment = 0.5 * (limit - 5.0) * cup.radius_m
    assert not lip_opening(np.array([0, 0, 5.0, 0, -0.999 * moment, 0]), vacuum, cup, 24).any()
    opening = lip_opening(np.array([0, 0, 5.0, 0, -1.1 * moment, 0]), vacuum, cup, 24)
    assert np.argmax(opening) == 0 and opening[0] == pytest.approx(0.1 * (limit - 5.0) / cup.axial_n_per_m)
    assert not opening[6:18].any()


# -- sliding -------------------------------------------------------------------------------------------------------------
@given(
    st.lists(st.floats(-3e-3, 3e-3), min_size=3, max_size=3),
    st.lists(st.floats(-0.3, 0.3), min_size=6, max_size=6),
    st.floats(0.0, 60.0),
)
def test_a_lip_bears_no_more_than_its_friction(shift: list[float], v: list[float], grip: float) -> None:
    cup = CUPS["30mm"]
    mobility = np.diag([5.0, 5.0, 5.0, 1500.0, 1500.0, 1500.0])
    x = np.array([shift[0], shift[1], 0.0, 0.0, 0.0, 30 * shift[2]])
    force, demand = sliding_spring(cup, x, np.array(v), mobility, 1 / 240, grip)
    tangential = np.hypot(np.hypot(force[0], force[1]), force[5] / cup.radius_m)
    bearable = cup.friction * max(grip + force[2], 0.0)
    if demand <= 1.0:
        np.testing.assert_array_equal(force, implicit_spring(cup, x, np.array(v), mobility, 1 / 240))
        assert tangential <= bearable * (1 + 1e-9) + 1e-9
    else:
        assert tangential == pytest.approx(bearable, rel=0.02, abs=0.05)


@given(st.lists(st.floats(-5e-3, 5e-3), min_size=3, max_size=3), st.floats(0.0, 60.0))
def test_what_a_lip_has_slid_leaves_the_spring_at_its_friction(shift: list[float], normal: float) -> None:
    cup = CUPS["30mm"]
    x = np.array([shift[0], shift[1], 1e-4, 0.01, 0.0, 30 * shift[2]])
    left = x.copy()
    left[[0, 1, 5]] -= slid_by(cup, x, normal)
    before, after = (np.hypot(np.hypot(f[0], f[1]), f[5] / cup.radius_m) for f in (cup.stiffness * x, cup.stiffness * left))
    assert after == pytest.approx(min(before, cup.friction * normal), rel=1e-6, abs=1e-9)


def test_short_overloads_make_the_lip_creep_and_a_long_one_ends_the_hold() -> None:
    """Held at 80 % of the slip limit: jolts of 4 ms shift the item on the lip for good, one of 17 ms loses it."""
    for steps, holds in ((1, True), (4, False)):
        with fitted() as driver:
            block = hang_block(driver, (0.1, 0.1, 0.012), 0.4)
            limit = driver.cup.cup.friction * (driver.cup.vacuum_pa * driver.cup.cup.area_m2 - 0.4 * 9.81)
            push_at_lip(driver, block, [0.8 * limit * min(1.0, i / 120) for i in range(200)])
            before = in_lip(driver, block)
            push_at_lip(driver, block, ([1.5 * limit] * steps + [0.8 * limit] * 40) * 3)
            assert (driver.cup.held_body == block) == holds
            if holds:
                moved = np.linalg.norm(in_lip(driver, block)[:3, 3] - before[:3, 3])
                assert moved == pytest.approx(driver.cup.slid_m, rel=0.1) and 1e-4 < moved < 3e-3
            else:
                assert driver.cup.last_break == "slip"


def push_at_lip(driver: SimDriver, block: int, forces: list[float]) -> None:
    """Push along x at the lip's centre, one force (N) per step, until the block is lost."""
    for force in forces:
        if driver.cup.held_body is not None:
            lip = driver.world.X_world_link("cup_link")[:3, 3].tolist()
            p.applyExternalForce(block, -1, [force, 0, 0], lip, p.WORLD_FRAME, physicsClientId=driver.world.client)
        driver.step()


def in_lip(driver: SimDriver, block: int) -> np.ndarray:
    place, turn = p.getBasePositionAndOrientation(block, physicsClientId=driver.world.client)
    X = np.eye(4)
    X[:3, :3] = np.array(p.getMatrixFromQuaternion(turn)).reshape(3, 3)
    X[:3, 3] = place
    return np.linalg.inv(driver.world.X_world_link("cup_link")) @ X


# -- what seals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("width_mm", "beside_mm"), [(25, 1), (30, 3), (38, 4), (45, 6)])
def test_a_small_cup_seals_on_rulers_where_a_large_one_cannot(width_mm: int, beside_mm: int) -> None:
    """Some millimetres beside the middle, as an estimated pose is: a rim of 40 mm hangs over, one of 20 mm does not."""
    for cup, seals in (("20mm", True), ("40mm", False)):
        with fitted(cup) as driver:
            x, y, z = lip_extended(driver)
            pedestal(driver, z - 0.003)
            ruler = add_block(driver.world, (0.30, width_mm * 1e-3, 0.003), 0.04, (x, y + beside_mm * 1e-3, z - 0.0015))
            driver.set_vacuum(True)
            driver.advance(0.6)
            assert (driver.cup.held_body == ruler) == seals


def sealed_pa(surface: Surface, cup: str = "30mm", source: str = "ejector", seed: int = 0) -> float:
    """Vacuum half a second after pressing on a block with this surface; 0 when it is not held."""
    with fitted(cup, source, seed=seed) as driver:
        driver.cup.surface_of = lambda item: surface if item is not None else Surface()
        block, _ = seal_on_block(driver, (0.12, 0.12, 0.03), 0.2)
        return driver.cup.vacuum_pa if driver.cup.held_body == block else 0.0


def test_flat_film_seals_and_loose_bags_do_not() -> None:
    """Folds of 3 mm defeat an ejector; a blower bears them. Film that lies flat (0.1 mm) seals."""
    bags = [sealed_pa(Surface(wrinkle_m=0.003), seed=seed) for seed in range(4)]
    assert np.mean(np.array(bags) < 8e3) >= 0.75
    assert sealed_pa(Surface(wrinkle_m=0.003), source="blower") > 10e3
    assert sealed_pa(Surface(wrinkle_m=0.0001)) > 70e3


def test_a_porous_plush_seals_with_neither_source_and_kraft_paper_does() -> None:
    plush = Surface(permeance_m_per_s_pa=3e-3)
    assert sealed_pa(plush) == 0.0 and sealed_pa(plush, source="blower") == 0.0
    assert 50e3 < sealed_pa(Surface(permeance_m_per_s_pa=4e-6)) < 65e3


def test_folds_repeat_with_the_seed_and_change_with_the_attempt() -> None:
    points = rim_points(0.015)
    one, other = (Waves.draw(1e-3, (7, 1, attempt)).heights(points, 0.015)[0] for attempt in (1, 2))
    np.testing.assert_array_equal(one, Waves.draw(1e-3, (7, 1, 1)).heights(points, 0.015)[0])
    assert np.abs(one - other).max() > 1e-4
    assert sealed_pa(Surface(wrinkle_m=0.001), seed=3) == sealed_pa(Surface(wrinkle_m=0.001), seed=3)


def test_folds_have_the_height_that_the_surface_says() -> None:
    spans = [np.ptp(Waves.draw(2e-3, (seed,)).heights(rim_points(0.02), 0.02)[0]) for seed in range(300)]
    assert np.mean(spans) == pytest.approx(2e-3, rel=0.15)


def test_surfaces_come_from_the_sku() -> None:
    assert surface_of(None) == surface_of(ItemBody(1, 1, "")) == surface_of(ItemBody(1, 1, "no-such-sku")) == Surface()
    assert surface_of(ItemBody(1, 1, "plush-000")).permeance_m_per_s_pa > 1e-4
    assert surface_of(ItemBody(1, 1, "loose_bag-000")).wrinkle_m > 1e-3


# -- leaks while held ----------------------------------------------------------------------------------------------------
def test_a_leaking_line_holds_with_what_is_left_and_then_lets_go() -> None:
    with fitted() as driver:
        block = hang_block(driver, (0.1, 0.1, 0.03), 0.3)
        driver.cup.leak_factor = 5.0
        driver.advance(0.4)
        assert driver.cup.held_body == block and 30e3 < driver.cup.vacuum_pa < 65e3
        driver.cup.leak_factor = 1.0
        driver.advance(0.4)
        assert driver.cup.vacuum_pa > 74e3
        driver.cup.leak_factor = 100.0
        driver.advance(0.4)
        assert driver.cup.held_body is None and driver.cup.last_break == "leak"


def test_leak_factors_that_are_none_are_refused() -> None:
    with fitted() as driver:
        for wrong in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="leak factor"):
                driver.cup.leak_factor = wrong


def test_an_item_taken_out_of_the_world_is_forgotten() -> None:
    with fitted() as driver:
        hang_block(driver, (0.1, 0.1, 0.03), 0.3)
        driver.world.remove_body(1)
        driver.advance(0.1)
        assert driver.cup.held_body is None and driver.cup.held_link is None


# -- film ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("film_um", "kpa"), [(19.0, 17.0), (30.0, 27.0), (50.0, 46.0)])
def test_blister_limits_of_film_under_a_cup_of_40_mm(film_um: float, kpa: float) -> None:
    assert blister_limit_pa(film_um, 0.020) / 1e3 == pytest.approx(kpa, rel=0.03)
    assert blister_limit_pa(film_um, 0.010) == pytest.approx(2 * blister_limit_pa(film_um, 0.020))
    assert blister_limit_pa(0.0, 0.020) == np.inf


def test_the_blister_formula_agrees_with_the_membranes_equations() -> None:
    """Foeppl's membrane solved by Hencky's series: N = sum b_n rho^2n, clamped edge; its strain at the centre is 5 %."""
    modulus, poisson, thickness, radius = 2.7e8, 0.3, 30e-6, 0.020
    pressure = blister_limit_pa(30.0, radius)

    def series(b0: float) -> np.ndarray:
        b = [
            b0,
            -1.0 / b0**2,
            -2.0 / (3.0 * b0**5),
            -13.0 / (18.0 * b0**8),
            -17.0 / (18.0 * b0**11),
            -37.0 / (27.0 * b0**14),
        ]
        b += [-1205.0 / (567.0 * b0**17), -219241.0 / (63504.0 * b0**20)]
        return np.array(b)

    def edge_displacement(b0: float) -> float:
        b = series(b0)
        return float(sum((2 * n + 1 - poisson) * bn for n, bn in enumerate(b)))

    low, high = 1.5, 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if edge_displacement(middle) < 0.0 else (low, middle)
    stress = low / 4.0 * (modulus * pressure**2 * radius**2 / thickness**2) ** (1 / 3)
    assert (1 - poisson) * stress / modulus == pytest.approx(0.05, rel=0.01)


def test_peak_vacuum_is_kept_per_hold_and_per_body() -> None:
    with fitted() as driver:
        block = hang_block(driver, (0.1, 0.1, 0.012), 0.1)
        assert driver.cup.peak_vacuum_pa == pytest.approx(75e3, rel=0.02)
        driver.set_vacuum(False)
        driver.advance(0.3)
        assert driver.cup.held_body is None
        assert driver.cup.peak_vacuum_pa == driver.cup.peak_vacuum_of(block) == pytest.approx(75e3, rel=0.02)
        assert driver.cup.peak_vacuum_of(block + 100) == 0.0


def test_the_blower_spares_film_that_the_ejector_blisters() -> None:
    """30 um under a cup of 40 mm: 27 kPa. The sources reach 75 and 22."""
    for source, blisters in (("ejector", True), ("blower", False)):
        with fitted("40mm", source) as driver:
            block, stand = seal_on_block(driver, (0.1, 0.1, 0.03), 0.2)
            remove(driver, stand)
            driver.advance(0.2)
            assert driver.cup.held_body == block
            assert (driver.cup.peak_vacuum_pa > blister_limit_pa(30.0, 0.020)) == blisters
