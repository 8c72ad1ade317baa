"""The cup's physics against closed forms and the figures that the simulator was designed to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell_sim.hand.suction import Cup, Pump, hold_use, implicit_spring, mobility_at, ring_seal, vacuum_at_leak

STEP_S = 1 / 240


def test_pump_curve_of_the_60_litre_ejector() -> None:
    """75 kPa with no gap, 21 kPa at .05 mm and 8 kPa at .1 mm under a cup of 40 mm."""
    vacuums = [vacuum_at_leak(gap, 0.02, Pump()) / 1e3 for gap in (0.0, 0.05e-3, 0.1e-3)]
    np.testing.assert_allclose(vacuums, [75.0, 21.0, 8.0], atol=0.5)


@given(st.floats(0, 1e-3), st.floats(0, 1e-3), st.floats(0.005, 0.03))
def test_a_larger_leak_never_holds_a_better_vacuum(gap: float, more: float, radius: float) -> None:
    assert vacuum_at_leak(gap + more, radius, Pump()) <= vacuum_at_leak(gap, radius, Pump()) + 1e-9


def test_leak_balances_the_pump() -> None:
    pump, gap, radius = Pump(), 0.03e-3, 0.015
    vacuum = vacuum_at_leak(gap, radius, pump)
    leak = 0.62 * 2 * np.pi * radius * gap * np.sqrt(2 * vacuum / 1.2)
    assert leak == pytest.approx(pump.flow_m3ps * (1 - vacuum / pump.vacuum_pa), rel=1e-9)


def test_porosity_lowers_the_vacuum_as_darcys_law_says() -> None:
    pump, conductance = Pump(), 1e-8
    vacuum = vacuum_at_leak(0.0, 0.015, pump, conductance)
    assert conductance * vacuum == pytest.approx(pump.flow_m3ps * (1 - vacuum / pump.vacuum_pa), rel=1e-9)


RIM = np.linspace(0, 2 * np.pi, 24, endpoint=False)


def test_a_tilted_plane_seals_and_its_tilt_is_found() -> None:
    radius, tilt = 0.015, 0.1
    seal = ring_seal(np.tan(tilt) * radius * np.cos(RIM - 0.7) + 0.001, radius, 0.0015)
    assert seal.gap_m == pytest.approx(0.0, abs=1e-12)
    assert seal.tilt_rad == pytest.approx(tilt, rel=1e-9)
    assert seal.covered == 1.0


@pytest.mark.parametrize(("diameter", "seals"), [(0.10, True), (0.08, True), (0.05, False), (0.03, False)])
def test_a_lying_can_seals_only_when_it_is_wide_enough(diameter: float, seals: bool) -> None:
    """The sagitta under the rim, r^2 / D, swings by half of itself about the fitted plane; 1.5 mm of it are closed."""
    radius = 0.015
    y = radius * np.sin(RIM)
    with np.errstate(invalid="ignore"):
        heights = diameter / 2 - np.sqrt((diameter / 2) ** 2 - y**2)
    seal = ring_seal(heights, radius, 0.0015)
    assert (seal.gap_m < 1e-6) == seals
    if not seals:
        assert vacuum_at_leak(seal.gap_m, radius, Pump()) < 30_000


def test_an_uncovered_rim_does_not_seal() -> None:
    heights = np.where(np.arange(24) < 4, np.nan, 0.0)
    seal = ring_seal(heights, 0.015, 0.0015)
    assert seal.covered == pytest.approx(20 / 24)
    assert vacuum_at_leak(seal.gap_m, 0.015, Pump()) < 1_000
    assert ring_seal(np.full(24, np.nan), 0.015, 0.0015).covered == 0.0


@given(st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3), st.floats(0.01, 2.0))
def test_mobility_is_the_inverse_of_the_kinetic_energy(arm: list[float], mass: float) -> None:
    inertia = mass * np.diag([2e-4, 5e-4, 4e-4])
    W = mobility_at(1 / mass, np.linalg.inv(inertia), np.array(arm))
    np.testing.assert_allclose(W, W.T, atol=1e-9)
    impulse = np.array([0.1, -0.2, 0.3, 0.01, 0.02, -0.03])
    momentum, turn = impulse[:3], impulse[3:] + np.cross(arm, impulse[:3])
    energy = 0.5 * momentum @ momentum / mass + 0.5 * turn @ np.linalg.inv(inertia) @ turn
    assert 0.5 * impulse @ W @ impulse == pytest.approx(energy, rel=1e-6)


@settings(max_examples=40)
@given(
    st.floats(0.005, 2.0),
    st.lists(st.floats(-0.12, 0.12), min_size=3, max_size=3),
    st.lists(st.floats(-1, 1), min_size=6, max_size=6),
)
def test_the_spring_calms_any_free_item(mass: float, arm: list[float], start: list[float]) -> None:
    """Backward Euler of a linear system: the energy never grows, however light the item and long the lever."""
    W = mobility_at(1 / mass, np.linalg.inv(mass * np.diag([2e-4, 5e-4, 4e-4])), np.array(arm))
    cup = Cup()
    x, v = np.zeros(6), np.array(start) * [0.5, 0.5, 0.5, 5, 5, 5]
    inverse = np.linalg.inv(W)
    energy = 0.5 * v @ inverse @ v
    for _ in range(120):
        force = implicit_spring(cup, x, v, W, STEP_S)
        v = v + STEP_S * W @ force
        x = x + STEP_S * v
        now = 0.5 * v @ inverse @ v + 0.5 * x @ (cup.stiffness * x)
        assert now <= energy * (1 + 1e-6) + 1e-9
        energy = now


def test_peel_of_a_box_under_a_40_mm_cup() -> None:
    """0.9 kg, centre of mass 100 mm below the lip, 60 kPa: .60 and .83 of the peel limit at 4 and 6 m/s^2, over 1 at 8."""
    cup = Cup(radius_m=0.02)
    use = [hold_use(np.array([0.9 * a, 0, 0.9 * 9.81, 0, 0.09 * a, 0]), 60e3, cup)[0] for a in (4.0, 6.0, 8.0)]
    np.testing.assert_allclose(use[:2], [0.60, 0.83], atol=0.01)
    assert use[2] > 1.0


def test_slip_limit_is_friction_times_what_is_left_of_the_grip() -> None:
    cup = Cup()
    grip = 50e3 * cup.area_m2
    pull = 10.0
    limit = cup.friction * (grip - pull)
    assert hold_use(np.array([limit, 0, pull, 0, 0, 0]), 50e3, cup)[1] == pytest.approx(1.0)
    assert hold_use(np.array([0, 0, pull, 0, 0, limit * cup.radius_m]), 50e3, cup)[1] == pytest.approx(1.0)
