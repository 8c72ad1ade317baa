"""Fusion on rendered totes whose geometry is known exactly."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import synthetic_cell as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.fusion import FusedScene, Fusion, FusionConfig
from pickcell.fusion.align import FurnitureAligner
from pickcell.fusion.depth import prepare_depth
from pickcell.fusion.furniture import furniture_boxes
from pickcell.fusion.tsdf import DepthView, TsdfVolume
from pickcell.geometry import inverse, make_pose, rotation_angle, transform_points
from pickcell.outcome import Code
from pickcell.values import CameraModel, RgbdFrame, Voxel

NO_ROBOT = np.zeros((0, 4))
CELL = synthetic.cell()


@pytest.fixture(scope="module")
def capture() -> synthetic.Capture:
    return synthetic.render(CELL, synthetic.random_pieces(CELL, 10, 3), 3)


@pytest.fixture(scope="module")
def fused(capture: synthetic.Capture) -> FusedScene:
    outcome, _ = Fusion(CELL).fuse(capture.frames, NO_ROBOT, 10.1)
    return outcome.unwrap()


def _in_tote(points: np.ndarray) -> np.ndarray:
    return transform_points(inverse(CELL.X_base_tote("source")), points)


def test_floor_and_box_tops_lie_where_they_are(fused: FusedScene, capture: synthetic.Capture) -> None:
    local = _in_tote(fused.cloud.points)
    floor = local[(np.abs(local[:, 2]) < 0.006) & (np.abs(local[:, :2]) < 0.15).all(axis=1), 2]
    assert abs(np.median(floor)) < 0.001
    boxes = [piece for piece in capture.pieces if piece.kind == "box"]
    assert boxes
    for piece in boxes:
        inside = transform_points(inverse(piece.X_base_item), fused.cloud.points)
        half = 0.5 * np.array(piece.size)
        top = (np.abs(inside[:, :2]) < half[:2] - 0.006).all(axis=1) & (inside[:, 2] > 0.5 * half[2])
        assert top.sum() > 30
        assert abs(np.median(inside[top, 2]) - half[2]) < 0.0012
        normals = fused.cloud.normals[top] @ piece.X_base_item[:3, :3]
        assert np.median(normals[:, 2]) > 0.95


def test_colors_come_from_the_right_items(fused: FusedScene, capture: synthetic.Capture) -> None:
    for piece in capture.pieces:
        near = transform_points(inverse(piece.X_base_item), fused.cloud.points)
        on_top = (np.abs(near[:, :2]) < 0.25 * np.array(piece.size[:2])).all(axis=1) & (near[:, 2] > 0)
        color = np.median(fused.cloud.colors[on_top], axis=0) / 255.0
        direction = np.array(piece.color) / np.linalg.norm(piece.color)
        assert color @ direction / np.linalg.norm(color) > 0.97, piece.sku


def test_result_does_not_depend_on_the_order_of_frames(capture: synthetic.Capture) -> None:
    fusion = Fusion(CELL)
    results = [fusion.fuse(list(order), NO_ROBOT, 10.1)[0].unwrap() for order in list(permutations(capture.frames))[:3]]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].cloud.points, other.cloud.points)
        np.testing.assert_array_equal(results[0].volume.tsdf, other.volume.tsdf)
        np.testing.assert_array_equal(results[0].occupancy.state, other.occupancy.state)


def test_alignment_removes_calibration_error(capture: synthetic.Capture) -> None:
    aligner = FurnitureAligner(furniture_boxes(CELL), 6)
    for frame in capture.frames:
        true = inverse(CELL.X_world_base) @ CELL.camera(frame.camera.name).X_parent_camera
        depth, _ = prepare_depth(frame, FusionConfig(), NO_ROBOT)
        aligned = aligner.align(frame, depth)
        error = inverse(true) @ aligned.X_base_camera
        assert np.linalg.norm(error[:3, 3]) < 0.001 and rotation_angle(error) < np.deg2rad(0.05)
        assert aligned.residual_m < 0.0015


def test_alignment_leaves_a_camera_alone_that_sees_no_furniture(capture: synthetic.Capture) -> None:
    frame = capture.frames[0]
    wall_in_the_air = np.full(frame.depth_m.shape, 0.4, np.float32)
    aligned = FurnitureAligner(furniture_boxes(CELL), 6).align(frame, wall_in_the_air)
    np.testing.assert_array_equal(aligned.X_base_camera, frame.X_base_camera)
    assert np.isnan(aligned.residual_m)


def test_robot_pixels_are_left_out(capture: synthetic.Capture) -> None:
    piece = capture.pieces[0]
    centre = piece.X_base_item[:3, 3]
    sphere = np.array([[*centre, 0.09]])
    fused = Fusion(CELL).fuse(capture.frames, sphere, 10.1)[0].unwrap()
    assert np.linalg.norm(fused.cloud.points - centre, axis=1).min() > 0.085
    i, j, k = np.floor((centre - fused.occupancy.origin) / fused.occupancy.resolution_m).astype(int)
    assert fused.occupancy.state[i, j, k] == Voxel.FREE


def test_planning_grid_knows_furniture_free_and_hidden_space(fused: FusedScene, capture: synthetic.Capture) -> None:
    grid = fused.occupancy

    def state(point_world: tuple[float, float, float]) -> Voxel:
        point = transform_points(inverse(CELL.X_world_base), np.array([point_world]))[0]
        i, j, k = np.floor((point - grid.origin) / grid.resolution_m).astype(int)
        return Voxel(grid.state[i, j, k])

    source, destination = CELL.totes["source"], CELL.totes["destination"]
    assert state((0.5, 0.0, 0.35)) == Voxel.FREE
    assert state((0.25, -0.15, -0.005)) == Voxel.OCCUPIED  # the table
    for tote in (source, destination):
        x, y, z = tote.position
        wall = x + 0.5 * tote.inner[0] + 0.5 * tote.wall
        for height in (0.02, 0.08, 0.15):
            assert state((wall, y, z + height)) == Voxel.OCCUPIED
        assert state((x, y, z - 0.003)) == Voxel.OCCUPIED  # its floor
    tall = max((p for p in capture.pieces if p.kind != "card"), key=lambda p: p.size[2])
    core = transform_points(CELL.X_world_base, tall.X_base_item[:3, 3][None])[0]
    assert state(tuple(core)) != Voxel.FREE  # the inside of an item was never seen


def test_height_maps(fused: FusedScene, capture: synthetic.Capture) -> None:
    source, destination = fused.heightmaps["source"], fused.heightmaps["destination"]
    assert source.height_m.shape == (72, 108) and destination.height_m.shape == (80, 60)
    assert abs(np.nanmedian(destination.height_m)) < 0.003
    for piece in (p for p in capture.pieces if p.kind == "box"):
        xy = transform_points(inverse(source.X_base_map), piece.X_base_item[:3, 3][None])[0, :2]
        i, j = (xy / source.resolution_m).astype(int)
        assert source.height_m[i, j] == pytest.approx(piece.size[2], abs=0.006)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["nan", "zero", "inf", "negative", "far", "speckle"]),
    share=st.floats(0.0, 0.6),
)
def test_fusion_bears_broken_pixels(seed: int, kind: str, share: float) -> None:
    """Whatever stands in the depth image, points stay finite and inside the volume, and broken pixels add no surface."""
    base = _cached_capture()
    rng = np.random.default_rng(seed)
    values = {"nan": np.nan, "zero": 0.0, "inf": np.inf, "negative": -1.0, "far": 50.0}
    frames = []
    for frame in base.frames:
        depth = np.array(frame.depth_m)
        bad = rng.random(depth.shape) < share
        depth[bad] = rng.uniform(0.0, 3.0, int(bad.sum())) if kind == "speckle" else values[kind]
        frames.append(replace(frame, depth_m=depth))
    outcome, cameras = Fusion(CELL).fuse(frames, NO_ROBOT, 10.1)
    assert len(cameras) == len(CELL.cameras)
    if kind == "speckle" and not outcome.ok:  # depths behind the furniture everywhere: no picture to trust
        assert outcome.code is Code.DEPTH_INVALID and share > 0.05
        return
    assert outcome.ok, outcome.text
    scene = outcome.unwrap()
    assert np.isfinite(scene.cloud.points).all() and np.isfinite(scene.cloud.normals).all()
    np.testing.assert_allclose(np.linalg.norm(scene.cloud.normals, axis=1), 1.0, atol=1e-3)
    shape = np.array(scene.volume.tsdf.shape)
    assert ((scene.volume.voxel_of(scene.cloud.points) >= 0) & (scene.volume.voxel_of(scene.cloud.points) < shape)).all()


_CACHE: list[synthetic.Capture] = []


def _cached_capture() -> synthetic.Capture:
    if not _CACHE:
        _CACHE.append(synthetic.render(CELL, synthetic.random_pieces(CELL, 6, 8), 8))
    return _CACHE[0]


def _plane_view(name: str, distance: float) -> DepthView:
    camera = CameraModel.from_fov(name, 64, 48, 1.0)
    depth = np.full((48, 64), distance, np.float32)
    return DepthView(camera, np.eye(4), depth, np.ones_like(depth))


def test_volume_averages_by_weight() -> None:
    near, far = _plane_view("a", 0.500), _plane_view("b", 0.506)
    X_base_grid = make_pose((-0.03, -0.03, 0.46))
    volume = TsdfVolume(X_base_grid, (20, 20, 30), 0.003)
    volume.integrate([near, replace(far, weight=2 * far.weight)], 0.012, 0.012)
    assert np.median(volume.surface().points[:, 2]) == pytest.approx(0.504, abs=0.0006)
    assert volume.observed_free(np.array([[0.0, 0.0, 0.47]])).all()
    assert not volume.observed_free(np.array([[0.0, 0.0, 0.53], [5.0, 0.0, 0.0]])).any()


def test_volume_threads_agree() -> None:
    views = [_plane_view("a", 0.5)]
    one, two = (TsdfVolume(make_pose((-0.03, -0.03, 0.46)), (21, 20, 30), 0.003) for _ in range(2))
    one.integrate(views, 0.012, 0.007, threads=1)
    two.integrate(views, 0.012, 0.007, threads=2)
    np.testing.assert_array_equal(one.tsdf, two.tsdf)


@pytest.mark.parametrize(("shape", "voxel"), [((1, 5, 5), 0.003), ((5, 5, 5), 0.0)])
def test_volume_refuses_impossible_sizes(shape: tuple[int, int, int], voxel: float) -> None:
    with pytest.raises(ValueError, match="volume needs"):
        TsdfVolume(np.eye(4), shape, voxel)


def test_weights_fall_with_range_and_incidence() -> None:
    camera = CameraModel.from_fov("c", 64, 48, 1.0)

    def weight(depth: np.ndarray) -> float:
        frame = RgbdFrame(camera, 0.0, np.zeros((48, 64, 3), np.uint8), depth, np.eye(4))
        return float(prepare_depth(frame, FusionConfig(), NO_ROBOT)[1][24, 32])

    flat = weight(np.full((48, 64), 1.0, np.float32))
    assert flat == pytest.approx(1.0, abs=0.02)
    assert weight(np.full((48, 64), 0.5, np.float32)) == pytest.approx(16 * flat, rel=0.02)
    # a plane tilted by 60 degrees about the vertical: z = 1 / (1 + tan(60) * x / f)
    u = (np.arange(64) - camera.cx) / camera.fx
    tilted = np.tile(1.0 / (1.0 + np.tan(np.deg2rad(60)) * u), (48, 1)).astype(np.float32)
    assert weight(tilted) == pytest.approx(0.5 * flat, rel=0.08)
