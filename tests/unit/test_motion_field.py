"""Distance fields and worlds against brute force, and what counts as an obstacle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_cells import cell, planner

from pickcell.motion.field import FIXED_LIMIT_M, SEEN_LIMIT_M, distance_transform, fixed_distance, seen_distance
from pickcell.motion.made_up import Box, make_scene
from pickcell.motion.world import SceneWorlds, crop, empty_world, tote_boxes
from pickcell.values import Scene, Voxel, VoxelGrid

NO_ROBOT = np.zeros((0, 4))


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 14)),
    density=st.sampled_from([0.0, 0.002, 0.05, 0.5, 1.0]),
    limit=st.sampled_from([0.03, 0.1, 0.2]),
    seed=st.integers(0, 10_000),
)
def test_distance_transform_agrees_with_brute_force(shape, density, limit, seed):
    mask = np.random.default_rng(seed).random(shape) < density
    field = distance_transform(mask, 0.01, limit)
    cells = np.argwhere(np.ones(shape, bool))
    hits = np.argwhere(mask)
    expected = np.full(len(cells), limit)
    if len(hits):
        centre = np.sqrt(((cells[:, None] - hits[None]) ** 2).sum(axis=2)).min(axis=1) * 0.01
        expected = np.minimum(centre - 0.005, limit)
    np.testing.assert_allclose(field.ravel(), expected, atol=1e-6)


def distance_to_boxes(boxes, points):
    out = np.full(len(points), np.inf)
    for box in boxes:
        d = np.abs((points - box.X_base_box[:3, 3]) @ box.X_base_box[:3, :3]) - box.half
        outside = np.linalg.norm(np.maximum(d, 0), axis=1)
        out = np.minimum(out, np.where(np.all(d < 0, axis=1), d.max(axis=1), outside))
    return out


def test_furniture_field_agrees_with_the_boxes():
    c = cell("panda")
    world, boxes = empty_world(c), tote_boxes(c)
    points = np.random.default_rng(0).uniform([-0.4, -0.5, -0.1], [0.9, 0.9, 0.3], (3000, 3))
    floor = points[:, 2] + c.base_position[2]
    exact = np.minimum(np.minimum(distance_to_boxes(boxes, points), floor), FIXED_LIMIT_M)
    found = np.array([fixed_distance(world, *p) for p in points])
    # Interpolation errs by up to half a voxel inside the 6 mm walls, and rounds edges; nowhere by more.
    assert np.max(np.abs(found - exact)) < 0.0065
    assert np.mean(np.abs(found - exact)) < 0.0008


def test_furniture_matches_the_cell_file():
    c = cell("panda")
    world = empty_world(c)
    for name in c.totes:
        X, inner, wall = c.X_base_tote(name), np.array(c.totes[name].inner), c.totes[name].wall
        inside = X @ [0.0, 0.0, 0.5 * inner[2], 1.0]
        assert fixed_distance(world, *inside[:3]) == pytest.approx(0.5 * inner[2], abs=1e-3)
        at_wall = X @ [0.5 * (inner[0] + wall), 0.0, 0.5 * inner[2], 1.0]
        assert fixed_distance(world, *at_wall[:3]) < 0.003
        above = X @ [0.0, 0.0, inner[2] + 0.05, 1.0]
        assert fixed_distance(world, *above[:3]) > 0.1
    assert fixed_distance(world, 5.0, 5.0, 1.0) == FIXED_LIMIT_M
    assert fixed_distance(world, 5.0, 5.0, -c.base_position[2] + 0.01) == pytest.approx(0.01)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), pad=st.integers(0, 3))
def test_cropping_keeps_every_set_voxel(seed, pad):
    rng = np.random.default_rng(seed)
    mask = rng.random((7, 6, 5)) < rng.choice([0.0, 0.02, 0.3])
    small, corner = crop(mask, pad)
    assert small.sum() == mask.sum()
    if mask.any():
        moved = np.argwhere(small) + corner
        assert {tuple(v) for v in moved} == {tuple(v) for v in np.argwhere(mask)}


def scene_of(boxes=(), delivered=()):
    return make_scene(cell("panda"), list(boxes), list(delivered))


def floating_box(height=0.1, size=(0.08, 0.08, 0.05)):
    X = cell("panda").X_base_tote("source").copy()
    X[2, 3] += height
    return Box(X, np.array(size))


def test_seen_walls_are_not_obstacles_twice_but_items_are():
    worlds = planner("panda").core.worlds
    assert worlds.full(scene_of(), NO_ROBOT).seen.shape == (1, 1, 1)  # only the known furniture was seen
    box = floating_box()
    world = worlds.full(scene_of([box]), NO_ROBOT)
    centre = box.X_base_box[:3, 3]
    assert seen_distance(world, *centre) < 0.0
    assert seen_distance(world, *(centre + np.array([0, 0, 0.025 + 0.06]))) == pytest.approx(0.06, abs=0.011)
    assert seen_distance(world, *(centre + np.array([0, 0, 1.0]))) == SEEN_LIMIT_M


def test_an_item_is_taken_out_of_the_world_without_its_neighbour():
    box = floating_box()
    far = floating_box(0.05)
    far.X_base_box[1, 3] += 0.15
    scene = scene_of([box, far])
    worlds = planner("panda").core.worlds
    world = worlds.without(scene, scene.instance(1).shape, NO_ROBOT)
    top = box.X_base_box[:3, 3] + [0, 0, 0.03]
    assert seen_distance(world, *top) > 0.05
    assert seen_distance(world, *far.X_base_box[:3, 3]) < 0.0


def test_what_is_inside_the_robot_is_not_an_obstacle():
    box = floating_box()
    centre = box.X_base_box[:3, 3]
    robot = np.array([[*centre, 0.12]])
    assert planner("panda").core.worlds.full(scene_of([box]), robot).seen.shape == (1, 1, 1)


def test_unknown_space_counts_below_a_seen_surface_inside_a_tote_only():
    box = floating_box(0.10)
    scene = scene_of([box])
    grid = scene.occupancy
    state = np.where(grid.state == Voxel.FREE, Voxel.UNKNOWN, grid.state).astype(np.uint8)
    unknown = Scene(0.0, scene.instances, VoxelGrid(grid.origin, grid.resolution_m, state), scene.heightmaps)
    under = box.X_base_box[:3, 3] - [0, 0, 0.06]
    beside = box.X_base_box[:3, 3] + [0, 0.15, 0]
    c = cell("panda")
    careful, bold = SceneWorlds(c, True), SceneWorlds(c, False)
    assert seen_distance(careful.full(unknown, NO_ROBOT), *under) < 0.0
    assert seen_distance(bold.full(unknown, NO_ROBOT), *under) > 0.0
    assert seen_distance(careful.full(unknown, NO_ROBOT), *beside) > 0.0
    # in contact with an item the unseen does not count: the grasp was chosen knowing it
    assert seen_distance(careful.without(unknown, None, NO_ROBOT), *under) > 0.0


def test_no_scene_is_the_furniture_alone():
    worlds = planner("panda").core.worlds
    assert worlds.full(None, NO_ROBOT) is worlds.empty
