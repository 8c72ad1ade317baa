"""Suction candidates: only on seen, flat enough surface, away from edges; and what the seal bears."""

from __future__ import annotations

import numpy as np
import pytest
from grasping_worlds import CELL, FLOOR, box, cylinder, instance, placed, sphere
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.grasping import suction
from pickcell.grasping.config import GraspConfig, SuctionConfig
from pickcell.grasping.hold import suction_acceleration
from pickcell.grasping.surface import Surface, Target, prepare

R = CELL.hand.fitted("30mm").cup_radius_m
CONFIG = GraspConfig.analytic().suction


def places(mesh, **kwargs) -> suction.SuctionBatch:
    target = prepare(instance(mesh, **kwargs), 0.2)
    assert target is not None
    return suction.generate(target, R, CONFIG)


def good(mesh, **kwargs) -> suction.SuctionBatch:
    batch = places(mesh, **kwargs)
    return batch.take(np.flatnonzero(batch.reason == ""))


def test_flat_top_seals_inside_its_edges_only():
    batch = good(placed(box(0.10, 0.08, 0.05)), noise_m=0.0003)
    assert len(batch) > 10
    assert np.all(batch.normal[:, 2] > np.cos(np.deg2rad(4)))
    assert np.allclose(batch.center[:, 2], FLOOR[2] + 0.05, atol=0.001)
    offset = np.abs(batch.center[:, :2] - FLOOR[:2])
    assert np.all(offset[:, 0] <= 0.05 - R + 0.004) and np.all(offset[:, 1] <= 0.04 - R + 0.004)


def test_top_smaller_than_the_cup_is_refused_for_its_edge():
    batch = places(placed(box(0.10, 0.022, 0.05)))
    assert not np.any(batch.reason == "")
    assert suction.OFF_EDGE in batch.reason


@pytest.mark.parametrize("width, seals", [(2.0 * R, False), (2.0 * R + 0.016, True)])
def test_a_face_just_as_wide_as_the_cup_gives_no_seal(width, seals):
    batch = places(placed(box(0.145, width, 0.05)))
    assert bool(np.any(batch.reason == "")) is seals


@pytest.mark.parametrize("radius, seals", [(0.02, False), (0.03, False), (0.12, True)])
def test_curvature_decides_on_a_cylinder(radius, seals):
    """Sagitta over the cup is r^2 / 2R: 5.6 mm at R = 20 mm; the lip follows +-1.5 mm, so 38 mm is the limit."""
    batch = places(placed(cylinder(radius, 0.12), rpy=(np.pi / 2, 0, 0)))
    assert np.any(batch.reason == "") == seals
    if not seals:
        assert suction.CURVED in batch.reason


def test_gap_on_a_sphere_is_none_because_its_rim_is_plane():
    batch = good(placed(sphere(0.06)))
    assert len(batch) > 0 and np.all(batch.gap_m < 0.001)
    assert np.all(batch.tilt_rad <= np.deg2rad(CONFIG.max_tilt_deg) + 1e-9)


def test_steep_face_is_refused():
    batch = places(placed(box(0.10, 0.10, 0.01), rpy=(np.deg2rad(50), 0, 0)))
    assert suction.TILTED in batch.reason
    ok = batch.take(np.flatnonzero(batch.reason == ""))
    assert np.all(ok.normal[:, 2] >= np.cos(np.deg2rad(CONFIG.max_tilt_deg)) - 1e-9)


def test_completed_surface_does_not_count():
    whole = instance(placed(box(0.10, 0.08, 0.05)))
    half_seen = whole.visible.select(whole.visible.points[:, 0] < FLOOR[0])
    import dataclasses

    target = prepare(dataclasses.replace(whole, visible=half_seen), 0.2)
    batch = suction.generate(target, R, CONFIG)
    ok = batch.take(np.flatnonzero(batch.reason == ""))
    assert len(ok) > 0 and np.all(ok.center[:, 0] < FLOOR[0] - R + 0.005)


def test_a_hole_under_the_rim_is_seen():
    whole = instance(placed(box(0.10, 0.08, 0.05)))
    import dataclasses

    hole = np.linalg.norm(whole.visible.points[:, :2] - FLOOR[:2], axis=1) < 0.012
    target = prepare(dataclasses.replace(whole, visible=whole.visible.select(~hole)), 0.2)
    batch = suction.generate(target, R, CONFIG)
    ok = batch.take(np.flatnonzero(batch.reason == ""))
    distance = np.linalg.norm(ok.center[:, :2] - FLOOR[:2], axis=1)
    assert not np.any((distance > 0.010) & (distance < 0.020))  # the rim would lie across the hole


@pytest.mark.parametrize("gap_m, plain, known", [(0.0010, True, True), (0.0020, False, True), (0.0030, False, False)])
def test_a_face_known_to_be_plane_may_look_rougher(gap_m, plain, known):
    """A saddle deviates by ``gap_m`` along the rim; shiny cards are measured with waves of some 2 mm."""
    u = np.arange(-0.022, 0.0221, 0.002)
    x, y = (a.ravel() for a in np.meshgrid(u, u))
    points = FLOOR + np.column_stack([x, y, 0.05 + gap_m * (x**2 - y**2) / R**2])
    normals = np.column_stack([-2 * gap_m * x / R**2, 2 * gap_m * y / R**2, np.ones_like(x)])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    surface = Surface(points, normals, np.ones(len(x)), 0.002)
    target = Target(1, surface, surface, FLOOR + np.array([0, 0, 0.03]), np.eye(3), np.full(3, 0.04), 0.1)
    for known_flat, seals in ((False, plain), (True, known)):
        batch = suction.generate(target, R, CONFIG, known_flat)
        middle = np.linalg.norm(batch.center[:, :2] - FLOOR[:2], axis=1) < 0.002
        assert middle.any()
        assert np.allclose(batch.gap_m[middle], gap_m, rtol=0.25)
        assert np.all((batch.reason[middle] == "") == seals)


def test_noise_of_depth_images_does_not_forbid_a_plane_face():
    target = prepare(instance(placed(box(0.12, 0.085, 0.004)), noise_m=0.0017), 0.05)
    assert (suction.generate(target, R, CONFIG).reason == "").sum() > 5


def test_rim_shape_keeps_a_ledge_and_drops_noise():
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ledge = np.where(np.abs(angle - np.pi) < 0.8, 0.004, 0.0)
    noise = np.random.default_rng(0).normal(0.0, 0.0005, 24)
    holes = np.where(np.arange(24) % 12 == 0, np.nan, 0.0)
    coverage, middle, gap = suction.rim_shape(np.stack([ledge, noise, holes]))
    assert gap[0] > 0.0015 and gap[1] < np.ptp(noise) / 2 and abs(gap[2]) < 1e-9
    assert np.allclose(coverage, [1.0, 1.0, 22 / 24]) and abs(middle[2]) < 1e-9


@given(roll=st.floats(-0.5, 0.5), pitch=st.floats(-0.4, 0.4), yaw=st.floats(-3.1, 3.1))
@settings(max_examples=15, deadline=None)
def test_the_cup_stands_square_on_a_tilted_plate(roll, pitch, yaw):
    mesh = placed(box(0.10, 0.08, 0.02), rpy=(roll, pitch, yaw))
    batch = good(mesh, noise_m=0.0003, spacing_m=0.003)
    from pickcell.geometry import make_pose

    up = make_pose((0, 0, 0), (roll, pitch, yaw))[:3, 2]
    if up[2] > np.cos(np.deg2rad(36)):
        assert len(batch) > 0
    assert np.all(batch.normal @ up > np.cos(np.deg2rad(5)))
    poses = suction.cup_poses(batch.center, batch.normal, np.deg2rad(CONFIG.yaws_deg)).reshape(-1, 4, 4)
    rotation = poses[:, :3, :3]
    assert np.allclose(np.einsum("nij,nik->njk", rotation, rotation), np.eye(3), atol=1e-9)
    assert np.allclose(poses[:, :3, 2], -np.repeat(batch.normal, 8, axis=0))


def test_peel_limits_follow_the_measured_box():
    """facts: 0.9 kg, centre of mass 100 mm under a 40 mm cup at 60 kPa uses .46/.60/.83 of the peel limit at 2/4/6 m/s^2
    and peels at 8; the formula without a safety factor puts the limit between 4 and 8."""
    config = SuctionConfig(seal_safety=1.0)
    limit = suction_acceleration(0.9, np.zeros(1), np.full(1, 0.1), 0.02, np.zeros(1), config)[0]
    assert 4.0 < limit < 8.0
    flat = suction_acceleration(0.9, np.zeros(1), np.full(1, 0.005), 0.02, np.zeros(1), config)[0]
    assert flat > 12.0


@given(m=st.floats(0.02, 0.9), d=st.floats(0.0, 0.05), h=st.floats(0.0, 0.1), leak=st.floats(0.0, 0.8))
@settings(max_examples=60, deadline=None)
def test_more_offset_leak_or_mass_never_holds_better(m, d, h, leak):
    def bears(m, d, h, leak):
        return suction_acceleration(m, np.full(1, d), np.full(1, np.hypot(d, h)), R, np.full(1, leak), CONFIG)[0]

    base = bears(m, d, h, leak)
    assert bears(1.1 * m, d, h, leak) <= base + 1e-9
    assert bears(m, d + 0.005, h, leak) <= base + 1e-9
    assert bears(m, d, h, min(leak + 0.1, 1.0)) <= base + 1e-9
