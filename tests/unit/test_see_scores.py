"""Scores of seeing, on hand-made labels and shapes; scene files and their failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.geometry import make_pose
from pickcell.values import CameraModel, JointState, PointCloud, RgbdFrame, ShapeEstimate
from pickcell_sim.bench.see.instances import VISIBLE_PIXELS, InstanceTally, match_scene
from pickcell_sim.bench.see.shapes import ShapeTally, score_shape
from pickcell_sim.data.scene_file import (
    ItemTruth,
    LabelledScene,
    SceneFileError,
    read_scene,
    scene_files,
    scene_path,
    write_scene,
)

N = VISIBLE_PIXELS


def tally(truth: np.ndarray, predicted: np.ndarray, score: list[float] | None = None) -> InstanceTally:
    count = int(predicted.max())
    score = score or [1.0] * count
    return InstanceTally([match_scene(truth, predicted, score, score)])


def blocks(*labels: int) -> np.ndarray:
    """One run of N pixels per label."""
    return np.repeat(np.array(labels), N)


def test_the_truth_itself_is_right() -> None:
    t = tally(blocks(0, 1, 2), blocks(0, 2, 1))
    assert t.found(0.75) == t.right(0.75) == t.top(0.75) == (2, 2)
    assert t.average_precision() == pytest.approx(1.0)
    assert t.torn() == t.joined() == (0, 2)


def test_an_item_torn_apart_is_neither_found_nor_right() -> None:
    t = tally(blocks(1, 1), blocks(1, 2))
    assert t.found(0.5) == (0, 1) and t.right(0.5) == (0, 2) and t.torn() == (1, 1)


def test_items_run_together_are_one_wrong_instance() -> None:
    t = tally(blocks(1, 2), blocks(1, 1))
    assert t.right(0.75) == (0, 1) and t.joined() == (1, 1) and t.found(0.75) == (0, 2)


def test_small_items_are_not_expected_and_no_error_when_found() -> None:
    truth = np.concatenate([blocks(1), np.full(N // 2, 2)])
    predicted = np.concatenate([blocks(1), np.full(N // 2, 2)])
    t = tally(truth, predicted)
    assert t.found(0.75) == (1, 1) and t.right(0.75) == (1, 1)


def test_an_instance_of_nothing_is_wrong_and_costs_precision_by_its_confidence() -> None:
    truth, predicted = blocks(1, 0), blocks(1, 2)
    assert tally(truth, predicted).right(0.5) == (1, 2)
    assert tally(truth, predicted, [0.9, 0.1]).average_precision() == pytest.approx(1.0)
    assert tally(truth, predicted, [0.1, 0.9]).average_precision() == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=30))
def test_nothing_is_found_more_often_than_it_is_there(runs: list[tuple[int, int]]) -> None:
    truth = np.repeat([a for a, _ in runs], N // 3)
    predicted = np.repeat([b for _, b in runs], N // 3)
    t = tally(truth, predicted, [1.0] * 5)
    for overlap in (0.5, 0.75):
        assert t.found(overlap)[0] <= t.found(overlap)[1] and t.right(overlap)[0] <= t.right(overlap)[1]
    assert t.found(0.5)[0] <= t.right(0.5)[0], "above .5 an instance can be one item's only"
    assert 0.0 <= t.average_precision() <= 1.0


# -- shapes ---------------------------------------------------------------------------------------------------------------


def box_surface(half: np.ndarray, step: float = 0.003) -> tuple[np.ndarray, np.ndarray]:
    """Even samples of a box about the origin with outward normals."""
    points, normals = [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        a, b = np.meshgrid(*(np.arange(-half[k] + step / 2, half[k], step) for k in (u, v)))
        for sign in (-1.0, 1.0):
            face, normal = np.zeros((a.size, 3)), np.zeros((a.size, 3))
            face[:, u], face[:, v], face[:, axis], normal[:, axis] = a.ravel(), b.ravel(), sign * half[axis], sign
            points.append(face)
            normals.append(normal)
    return np.vstack(points), np.vstack(normals)


def box_item(half: np.ndarray) -> ItemTruth:
    points, normals = box_surface(half)
    planes = np.vstack([np.column_stack([sign * np.eye(3), half]) for sign in (1.0, -1.0)])
    return ItemTruth(1, "box-001", (planes,), points.astype(np.float32), normals.astype(np.float32))


def estimate(half: np.ndarray, shift: float = 0.0, confidence: float = 1.0) -> ShapeEstimate:
    points, normals = box_surface(half)
    points = points + np.array([shift, 0.0, 0.0])
    cloud = PointCloud(points.astype(np.float32), normals.astype(np.float32), np.zeros((len(points), 3), np.uint8))
    return ShapeEstimate(cloud, np.full(len(points), confidence, np.float32), make_pose((0, 0, 0)), 2.0 * half)


HALF = np.array([0.03, 0.04, 0.05])


def test_a_perfect_shape_scores_perfectly() -> None:
    score = score_shape(estimate(HALF), box_item(HALF))
    assert score.chamfer_m < 1e-6 and score.iou > 0.95


def test_a_shifted_box_overlaps_by_the_closed_form() -> None:
    shift = 0.012
    score = score_shape(estimate(HALF, shift), box_item(HALF))
    assert score.iou == pytest.approx((0.06 - shift) / (0.06 + shift), abs=0.06)
    assert 0.002 < score.chamfer_m < shift


def test_confidence_is_held_against_what_is_right() -> None:
    good, bad = ShapeTally(), ShapeTally()
    good.add(estimate(HALF, confidence=0.95), box_item(HALF))
    bad.add(estimate(HALF, shift=0.05, confidence=0.95), box_item(HALF))
    assert good.calibration_error() == pytest.approx(0.05, abs=0.01)
    assert bad.calibration_error() > 0.2


# -- scene files ----------------------------------------------------------------------------------------------------------


def made_up_scene() -> LabelledScene:
    rng = np.random.default_rng(0)
    camera = CameraModel("cam", 40, 30, 50.0, 50.0, 20.0, 15.0, "cam_color_optical_frame")
    depth = rng.uniform(0.5, 1.0, (30, 40)).astype(np.float32)
    depth[0] = np.nan
    frame = RgbdFrame(camera, 1.5, rng.integers(0, 255, (30, 40, 3)).astype(np.uint8), depth, make_pose((0, 0, 1)))
    joints = JointState(1.5, ("a",), np.array([0.1]), np.zeros(1), np.zeros(1))
    pixels = {"cam": rng.integers(0, 2, (30, 40)).astype(np.uint8)}
    return LabelledScene("tote-test-000000", [frame], joints, {"box-001": 1}, pixels, (box_item(HALF),))


def test_a_scene_survives_its_file(tmp_path: Path) -> None:
    scene = made_up_scene()
    again = read_scene(write_scene(tmp_path, scene))
    assert (again.name, again.manifest, again.skus, again.suite) == (scene.name, scene.manifest, {1: "box-001"}, "tote")
    assert np.array_equal(again.frames[0].color, scene.frames[0].color)
    assert np.array_equal(np.isnan(again.frames[0].depth_m), np.isnan(scene.frames[0].depth_m))
    assert np.nanmax(np.abs(again.frames[0].depth_m - scene.frames[0].depth_m)) < 1e-4
    assert np.array_equal(again.item_pixels["cam"], scene.item_pixels["cam"])
    inside = again.items[0].inside(np.array([[0.0, 0.0, 0.0], [0.031, 0.0, 0.0]]))
    assert inside.tolist() == [True, False]
    assert scene_files(tmp_path) == [scene_path(tmp_path, scene.name)] and not list(tmp_path.glob("*.tmp"))


def test_a_damaged_scene_is_named(tmp_path: Path) -> None:
    path = write_scene(tmp_path, made_up_scene())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SceneFileError, match="tote-test-000000"):
        read_scene(path)


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(SceneFileError, match=r"\./cell data"):
        scene_files(tmp_path)
