"""Pinch candidates on primitives: what is found, what is measured, and what stays the same when everything is turned."""

from __future__ import annotations

import numpy as np
import pytest
from grasping_worlds import CELL, FLOOR, box, cylinder, instance, placed, sphere
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.geometry import make_pose, transform_points
from pickcell.grasping import pinch
from pickcell.grasping.config import PinchConfig
from pickcell.grasping.hand import HandGeometry
from pickcell.grasping.hold import buckling_force_n, pinch_hold
from pickcell.grasping.surface import Surface, Target, prepare

HAND = HandGeometry(CELL.hand)
CONFIG = PinchConfig()


def target_of(mesh, **kwargs) -> Target:
    target = prepare(instance(mesh, **kwargs), 0.2)
    assert target is not None
    return target


def good(target: Target, floor: bool = True) -> pinch.PinchBatch:
    batch = pinch.generate(target, HAND, CONFIG, FLOOR[2] if floor else None, 0.0025)
    return batch.take(np.flatnonzero(batch.reason == ""))


def test_box_is_pinched_across_the_sides_that_fit():
    batch = good(target_of(placed(box(0.15, 0.06, 0.05), rpy=(0, 0, 0.5))))
    assert len(batch) > 20
    assert np.all(np.abs(batch.width_m - 0.06) < 0.004)
    across = np.array([-np.sin(0.5), np.cos(0.5), 0.0])
    assert np.all(np.abs(batch.poses[:, :3, 0] @ across) > np.cos(np.deg2rad(8)))


@pytest.mark.parametrize("mesh, width", [(sphere(0.03), 0.06), (cylinder(0.025, 0.08), 0.05)])
def test_round_things_are_pinched_across_their_diameter(mesh, width):
    batch = good(target_of(placed(mesh)))
    assert len(batch) > 10
    best = batch.width_m[np.argsort(batch.cone)[:10]]
    assert np.all(np.abs(best - width) < 0.004)


def test_too_wide_box_names_the_reason():
    batch = pinch.generate(target_of(placed(box(0.15, 0.13, 0.12))), HAND, CONFIG, FLOOR[2], 0.0025)
    assert not np.any(batch.reason == "")
    reasons, counts = np.unique(batch.reason, return_counts=True)
    assert reasons[np.argmax(counts)] == pinch.TOO_WIDE


def test_card_lying_flat_cannot_be_pinched():
    batch = pinch.generate(target_of(placed(box(0.085, 0.055, 0.001))), HAND, CONFIG, FLOOR[2], 0.0025)
    assert not np.any(batch.reason == "")
    assert pinch.ON_FLOOR in batch.reason


def test_card_standing_on_its_edge_can():
    batch = good(target_of(placed(box(0.085, 0.004, 0.055))))
    across = batch.width_m < 0.008
    assert across.sum() > 20
    assert batch.patch[across].min() > batch.patch[~across].max(initial=0.0)  # its faces offer more than its edges


def test_wedge_steeper_than_the_friction_cone_is_refused():
    """A cone with 40 degrees to its axis offers no opposed contacts within the friction cones of mu = 0.5 (26.6)."""
    import trimesh

    wedge = trimesh.creation.cone(radius=0.04, height=0.04 / np.tan(np.deg2rad(40)), sections=64)
    batch = good(target_of(placed(wedge)))
    assert len(batch) == 0


def test_finger_tips_stay_off_the_floor():
    batch = good(target_of(placed(box(0.08, 0.05, 0.02))))
    assert len(batch) > 0
    y = CELL.hand.pad_width_m / 2
    for pose in batch.poses:
        corners = [[s * 0.06, t * y, CELL.hand.pad_to_tip_m] for s in (-1, 1) for t in (-1, 1)]
        assert transform_points(pose, corners)[:, 2].min() >= FLOOR[2] + 0.002


def _two_plates(gap: float, lean_deg: float) -> Surface:
    """Two facing square faces ``gap`` apart along x, the second leaning by an angle about y."""
    u = np.linspace(-0.02, 0.02, 21)
    y, z = (a.ravel() for a in np.meshgrid(u, u))
    left = np.column_stack([np.full(y.size, -gap / 2), y, z])
    lean = np.tan(np.deg2rad(lean_deg))
    right = np.column_stack([gap / 2 + lean * z, y, z])
    n_right = np.array([1.0, 0.0, -lean]) / np.hypot(1.0, lean)
    normals = np.vstack([np.tile([-1.0, 0.0, 0.0], (y.size, 1)), np.tile(n_right, (y.size, 1))])
    return Surface(np.vstack([left, right]), normals, np.ones(2 * y.size), 0.002)


@given(
    gap=st.floats(0.01, 0.08),
    lean=st.floats(-20.0, 20.0),
    yaw=st.floats(-np.pi, np.pi),
    shift=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
)
@settings(max_examples=40, deadline=None)
def test_measures_do_not_change_under_a_rigid_motion(gap, lean, yaw, shift):
    surface = _two_plates(gap, lean)
    X = make_pose(shift, (0.0, 0.0, yaw))
    moved = Surface(transform_points(X, surface.points), surface.normals @ X[:3, :3].T, surface.confidence, 0.002)
    down = make_pose((0.001, 0.0002, 0.0003), (np.pi, 0.0, 0.0))
    a, b = down[None].copy(), (X @ down)[None].copy()
    here = pinch.measure(a, surface, HAND, CONFIG)
    there = pinch.measure(b, moved, HAND, CONFIG)
    assert np.allclose(here[0, [0, 1, 2, 5, 6, 7]], there[0, [0, 1, 2, 5, 6, 7]], atol=1e-6)
    assert np.allclose(X @ a[0], b[0], atol=1e-7)  # also the centring moves along
    # The second face's angle is what it was built with, and the first is square to the closing axis.
    angles = np.rad2deg(np.arccos(np.clip(np.sort(here[0, 1:3]), -1, 1)))
    assert np.allclose(angles, [abs(lean), 0.0], atol=0.2)


@given(length=st.floats(0.03, 0.14), width=st.floats(0.02, 0.12), height=st.floats(0.02, 0.10), yaw=st.floats(0.0, np.pi))
@settings(max_examples=15, deadline=None)
def test_bounds_hold_on_any_box(length, width, height, yaw):
    batch = good(target_of(placed(box(length, width, height), rpy=(0, 0, yaw)), spacing_m=0.003))
    assert np.all(batch.width_m <= CELL.hand.opening_max_m)
    assert np.all(batch.tilt_rad <= np.deg2rad(CONFIG.max_tilt_deg) + 1e-6)
    assert np.all(-batch.poses[:, 2, 2] >= np.cos(np.deg2rad(CONFIG.max_tilt_deg)) - 1e-9)
    assert np.all((batch.cone >= 0) & (batch.cone <= 1))
    R = batch.poses[:, :3, :3]
    assert np.allclose(np.einsum("nij,nik->njk", R, R), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(R), 1.0) if len(R) else True
    if min(length, width) < 0.08 and height > 0.025:
        assert len(batch) > 0


def test_force_follows_coulomb_and_grows_with_the_moment():
    """0.5 kg at 12 m/s^2 with mu 1: 10 N held and 8 N slipped in simulation; the formula without safety asks for 5.5 N
    per pad, and the safety factor of 2 lands above both."""
    config = PinchConfig(friction=1.0, squeeze_safety=1.0, min_force_n=0.0)
    zero, r, most = np.zeros(1), np.full(1, 0.01), np.full(1, 60.0)
    plain = pinch_hold(0.5, zero, r, zero, most, 12.0, config)
    assert plain.force_n[0] == pytest.approx(0.5 * (9.81 + 12.0) / 2.0)
    safe = pinch_hold(0.5, zero, r, zero, most, 12.0, PinchConfig(friction=1.0))
    assert safe.force_n[0] > 10.0
    offset = pinch_hold(0.5, np.full(1, 0.03), r, zero, most, 12.0, config)
    assert offset.force_n[0] > plain.force_n[0]
    assert offset.max_acceleration[0] <= 12.0
    sloped = pinch_hold(0.5, zero, r, np.full(1, 0.2), most, 12.0, config)
    assert sloped.force_n[0] == pytest.approx(plain.force_n[0] / np.tan(np.pi / 4 - 0.2))


def test_buckling_matches_measured_plates():
    """facts: a 0.4 mm card 0.3 N, a 2 mm ruler hundreds of newtons (both across their length or width)."""
    assert 0.1 < buckling_force_n(0.0004, 0.085, 0.054, 2e9) < 1.5
    assert buckling_force_n(0.002, 0.03, 0.3, 2e9) > 300.0
