"""What stands around a target: everything near that is not the target, whatever order it is sorted into."""

from __future__ import annotations

import numpy as np
import pytest
from grasping_worlds import CELL, FLOOR, box, instance, placed, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.grasping.clearance import CELL_M, PointGrid, box_distances, totes_of
from pickcell.grasping.config import ClearanceConfig
from pickcell.grasping.obstacles import SOFTER, SceneObstacles

CONFIG = ClearanceConfig()


def rows(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(point) for point in np.round(points, 9)}


def three(seed: int, spread_m: float, confidence: float):
    rng = np.random.default_rng(seed)
    return scene(
        *(
            instance(
                placed(box(*rng.uniform(0.03, 0.08, 3)), *rng.uniform(-spread_m, spread_m, 2)),
                number,
                seed=seed,
                spacing_m=0.006,
                hidden_confidence=confidence,
            )
            for number in (1, 2, 3)
        )
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.0, 0.15), st.sampled_from([0.3, 0.6]), st.floats(0.02, 0.2))
def test_around_a_target_is_everything_near_that_is_not_its_own(seed, spread_m, confidence, radius_m):
    seen = three(seed, spread_m, confidence)
    obstacles = SceneObstacles.of(seen, totes_of(CELL), CONFIG)
    target = seen.instances[0]
    found = obstacles.around(target, radius_m, CONFIG)
    own = np.concatenate([target.visible.points, target.shape.cloud.points]).astype(float)
    center, half = 0.5 * (own.min(axis=0) + own.max(axis=0)), 0.5 * np.linalg.norm(np.ptp(own, axis=0))
    near = np.linalg.norm(obstacles.points[:, :2] - center[:2], axis=1) < radius_m + half
    near &= obstacles.owner != target.id
    surface = target.visible.points.astype(float)
    gap = np.array([np.linalg.norm(surface - point, axis=1).min() for point in obstacles.points[near]])
    points, firm = obstacles.points[near], obstacles.confidence[near] >= CONFIG.hard_confidence
    apart = gap > CONFIG.bleed_m if len(gap) else np.zeros(0, bool)
    assert rows(found.hard.points) == rows(points[apart & firm])
    assert rows(found.hard_thin.points) <= rows(found.hard.points)
    assert rows(found.soft.points) <= rows(points[apart & ~firm])


@pytest.mark.parametrize("name", ["hard", "soft"])
def test_thinned_points_stand_for_all_of_them(name):
    confidence = 0.6 if name == "hard" else 0.3
    found = SceneObstacles.of(three(3, 0.1, confidence), totes_of(CELL), CONFIG).around(
        three(3, 0.1, confidence).instances[0], 0.2, CONFIG
    )
    thin = found.hard_thin if name == "hard" else found.soft
    size = CONFIG.obstacle_voxel_m * (1 if name == "hard" else SOFTER)
    assert 0 < len(thin)
    cells = np.floor((thin.points - np.concatenate([thin.origin, [thin.points[:, 2].min()]])) / size)
    assert len(np.unique(cells, axis=0)) > 0.6 * len(thin), "hardly two in one voxel"
    if name == "hard":
        distance = np.linalg.norm(found.hard.points[:, None] - thin.points[None], axis=2).min(axis=1)
        assert distance.max() <= np.sqrt(3) * size


def test_its_grids_say_the_same_as_grids_made_of_their_points():
    found = SceneObstacles.of(three(5, 0.1, 0.6), totes_of(CELL), CONFIG).around(
        three(5, 0.1, 0.6).instances[0], 0.2, CONFIG
    )
    poses = np.tile(np.diag([1.0, -1.0, -1.0, 1.0]), (20, 1, 1))
    poses[:, :3, 3] = FLOOR + np.random.default_rng(0).uniform((-0.15, -0.15, 0.0), (0.15, 0.15, 0.1), (20, 3))
    boxes = np.array([[-0.02, -0.02, -0.1, 0.02, 0.02, 0.01]])
    one, other = (box_distances(poses, boxes, grid, 0.05) for grid in (found.hard, PointGrid.of(found.hard.points)))
    np.testing.assert_allclose(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_voxels_fit_into_columns():
    """So that what is sorted by column and then by voxel has the points of a voxel together."""
    for size in (CONFIG.obstacle_voxel_m, SOFTER * CONFIG.obstacle_voxel_m):
        assert CELL_M / size == pytest.approx(round(CELL_M / size))


def test_an_empty_scene_holds_nothing():
    nothing = SceneObstacles.of(scene(), totes_of(CELL), CONFIG)
    found = nothing.around(three(1, 0.1, 0.6).instances[0], 0.2, CONFIG)
    assert len(found.hard) == len(found.hard_thin) == len(found.soft) == 0
