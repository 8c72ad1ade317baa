"""Where a held item fits into a tote: support, walls, neighbours, unseen floor, fullness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pickcell.geometry import make_pose, transform_points
from pickcell.motion.config import PlaceConfig
from pickcell.motion.placement import aligned_yaw, coarse_heights, rank_places, sink, underside, upright, without_item
from pickcell.values import HeightMap

CONFIG = PlaceConfig()
DEPTH = 0.16
RES = 0.005
X_BASE_MAP = make_pose((0.2, -0.1, -0.134), (0, 0, 0.3))
DOWN = make_pose((0.4, 0.0, 0.2), (np.pi, 0, 0))


def heights(nx=80, ny=60, value=0.0):
    return np.full((nx, ny), value, np.float32)


def block(size=(0.10, 0.06, 0.04), grid=0.004):
    """Surface of a box that hangs below the tool: points in the tool frame, whose z points down at release."""
    axes = [np.arange(-0.5 * s, 0.5 * s + 1e-9, grid) for s in size]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points + np.array([0.0, 0.0, 0.5 * size[2]])


def places(height, item=None, config=CONFIG, now=DOWN):
    item = block() if item is None else item
    return rank_places(HeightMap(X_BASE_MAP, RES, height), DEPTH, item, now, now, config), item


def in_map(X_base_tcp, item):
    return transform_points(np.linalg.inv(X_BASE_MAP) @ X_base_tcp, item)


def test_on_an_empty_floor_every_place_is_level_inside_and_just_above():
    found, item = places(heights())
    assert len(found.cost) > 50 and found.note == ""
    assert np.all(np.diff(found.cost) >= 0)
    for X in found.X_base_tcp[::10]:
        p = in_map(X, item)
        assert p[:, 2].min() == pytest.approx(CONFIG.drop_m, abs=1e-6)
        edge = CONFIG.wall_clearance_m - 0.009  # cells of the coarsened map
        assert p[:, 0].min() > edge and p[:, 0].max() < 0.4 - edge
        assert p[:, 1].min() > edge and p[:, 1].max() < 0.3 - edge


def test_the_lowest_floor_is_preferred_to_the_top_of_an_item():
    h = heights()
    h[:45] = 0.08
    found, item = places(h)
    p = in_map(found.X_base_tcp[0], item)
    assert p[:, 2].min() == pytest.approx(CONFIG.drop_m, abs=1e-6)
    assert p[:, 0].min() > 45 * RES


def test_a_hollow_is_worse_than_a_level_surface_a_little_higher():
    h = heights()
    h[44::8] = 0.020  # ribs: the item would stand on their tops
    h[:20], h[20:44] = 0.15, 0.024  # a level shelf, 4 mm higher than the ribs
    found, item = places(h)
    p = in_map(found.X_base_tcp[0], item)
    assert p[:, 0].max() < 46 * RES


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_place_cuts_into_what_is_there(seed):
    rng = np.random.default_rng(seed)
    h = heights()
    for _ in range(6):
        i, j = rng.integers(0, 60), rng.integers(0, 40)
        h[i : i + 16, j : j + 12] = rng.uniform(0.02, 0.12)
    found, item = places(h)
    for X in found.X_base_tcp[:: max(1, len(found.cost) // 10)]:
        p = in_map(X, item)
        i, j = np.floor(p[:, 0] / RES).astype(int), np.floor(p[:, 1] / RES).astype(int)
        assert np.all(p[:, 2] > h[i, j] + CONFIG.drop_m - 1e-6)


def test_a_full_tote_has_no_place():
    found, _ = places(heights(value=0.15))
    assert len(found.cost) == 0 and found.X_base_tcp.shape == (0, 4, 4)


def test_an_item_larger_than_the_tote_has_no_place():
    found, _ = places(heights(), block((0.45, 0.35, 0.05), 0.02))
    assert len(found.cost) == 0


def test_unseen_floor_is_avoided():
    h = heights()
    h[:40] = np.nan
    found, item = places(h)
    assert found.note == "" and len(found.cost)
    for X in found.X_base_tcp[::10]:
        assert in_map(X, item)[:, 0].min() > 39 * RES


def test_small_holes_do_not_matter():
    h = heights()
    h[::9, ::7] = np.nan
    assert len(places(h)[0].cost) > 50 and places(h)[0].note == ""


def test_one_tall_thing_does_not_fill_all_that_is_unseen():
    """Shadows all over the floor, and a bottle in a corner: only what is beside the bottle is as high as it."""
    h = heights()
    for k in range(12, len(h), 14):
        h[k : k + 7] = np.nan
    h[:10, :10] = 0.19
    found, item = places(h)
    assert len(found.cost) and "unseen" in found.note
    assert all(in_map(X, item)[:, 2].min() < 0.05 for X in found.X_base_tcp[:20])


def test_unseen_floor_is_used_with_a_note_when_all_else_is_full():
    h = heights(value=0.15)
    h[10:70, 10:50] = np.nan
    full, _ = places(h)
    assert len(full.cost) == 0  # taken as high as what is around it: full too
    h[np.isfinite(h)] = 0.06
    h[:8] = 0.06
    found, _ = places(h)
    assert "unseen" in found.note and len(found.cost)


def test_an_unknown_tote_is_used_in_its_middle_with_a_note():
    found, item = places(heights(value=np.nan))
    assert "middle" in found.note
    middle = in_map(found.X_base_tcp[0], item)[:, :2].mean(axis=0)
    assert np.linalg.norm(middle - [0.2, 0.15]) < 0.06


def test_a_tilted_tool_is_set_upright_first():
    tilted = make_pose((0.4, 0.0, 0.2), (np.pi - 0.4, 0.2, 0.5))
    found, _ = places(heights(), now=tilted)
    np.testing.assert_allclose(found.X_base_tcp[0][:3, 2], [0, 0, -1], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(-3, 3)))
def test_upright_points_down_and_stays_a_rotation(rpy):
    R = make_pose((0, 0, 0), rpy)[:3, :3]
    U = upright(R)
    np.testing.assert_allclose(U @ U.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(U) == pytest.approx(1.0)
    np.testing.assert_allclose(U[:, 2], [0, 0, -1], atol=1e-9)
    tilt = np.arccos(np.clip(-R[2, 2], -1, 1))
    assert Rotation.from_matrix(U @ R.T).magnitude() == pytest.approx(tilt, abs=1e-6)  # no turn that is not needed


def test_the_yaw_aligns_a_rectangle():
    xy = block()[:, :2]
    for turn in (-0.6, 0.2, 0.7):
        R = make_pose((0, 0, 0), (0, 0, turn))[:2, :2]
        yaw = aligned_yaw(xy @ R.T)
        assert abs((turn + yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4) < np.deg2rad(2)


def test_coarsening_takes_the_maximum():
    h = heights(8, 8)
    h[3, 5] = 0.1
    coarse, cell = coarse_heights(HeightMap(X_BASE_MAP, RES, h), 0.010)
    assert cell == pytest.approx(0.010) and coarse.shape == (4, 4)
    assert coarse[1, 2] == pytest.approx(0.1) and np.count_nonzero(coarse) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sinking_touches_and_never_enters(seed):
    rng = np.random.default_rng(seed)
    h = rng.uniform(0, 0.1, (12, 10))
    bottom = np.where(rng.random((4, 3)) < 0.7, rng.uniform(-0.03, 0.0, (4, 3)), np.inf)
    bottom[0, 0] = -0.03
    touch, gap = sink(h, bottom)
    for i in range(touch.shape[0]):
        for j in range(touch.shape[1]):
            room = touch[i, j] + bottom - h[i : i + 4, j : j + 3]
            assert np.min(room) == pytest.approx(0.0, abs=1e-12)
    assert np.all(gap >= -1e-12)


def test_the_underside_is_the_lowest_point_per_cell_widened_by_a_ring():
    points = np.array([[0.0, 0.0, -0.02], [0.0, 0.0, 0.05], [0.021, 0.0, -0.01]])
    bottom, corner = underside(points, 0.01, 0.01)
    assert bottom.shape == (5, 3)
    np.testing.assert_allclose(corner, [-0.01, -0.01])
    assert bottom[1, 1] == -0.02 and bottom[4, 1] == -0.01


def test_an_item_may_go_back_to_where_it_came_from():
    """A full tote with one item taken out of a hollow in its middle: that hollow is the only place."""
    rest_z, size = 0.10, (0.10, 0.06, 0.04)
    corner = np.array([0.15, 0.12, rest_z])  # lower corner of the item, in the map's frame
    grid = np.stack(np.meshgrid(*[np.linspace(0, s, 1 + round(s / 0.004)) for s in size], indexing="ij"), -1).reshape(-1, 3)
    seen = heights(value=0.15)
    i, j = (np.arange(int(c / RES), int((c + s) / RES)) for c, s in zip(corner[:2], size))
    seen[np.ix_(i, j)] = rest_z + size[2]
    heightmap = HeightMap(X_BASE_MAP, RES, seen)
    points = transform_points(X_BASE_MAP, grid + corner)
    left = without_item(heightmap, points).height_m
    assert np.allclose(left[np.ix_(i, j)], rest_z, atol=1e-4)
    outside = np.ones(left.shape, bool)
    outside[np.ix_(np.arange(i[0], i[-1] + 2), np.arange(j[0], j[-1] + 2))] = False
    assert (left[outside] == seen[outside]).all(), "what the item was not over stays as it was seen"


def test_what_lies_over_an_item_stays_when_the_item_goes():
    seen = heights(value=0.10)
    sheet = transform_points(X_BASE_MAP, np.array([[0.2, 0.15, 0.03], [0.2, 0.15, 0.05], [0.21, 0.15, 0.05]]))
    assert (without_item(HeightMap(X_BASE_MAP, RES, seen), sheet).height_m == seen).all()
    assert (without_item(HeightMap(X_BASE_MAP, RES, seen), np.zeros((0, 3))).height_m == seen).all()
