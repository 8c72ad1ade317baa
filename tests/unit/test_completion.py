"""Boxes around points and full shapes, on totes whose geometry is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import synthetic_cell as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pickcell.completion import Completed, GeometricCompleter, fit_box
from pickcell.completion.merge import merge_parts, nearest_measured
from pickcell.fusion import FusedScene, Fusion
from pickcell.geometry import inverse, make_pose, transform_points
from pickcell.segmentation import PatchSegmenter

CELL = synthetic.cell()
UP = np.array([0.0, 0.0, 1.0])


def _box_surface(size: tuple[float, float, float], faces: str = "+x-x+y-y+z-z") -> tuple[np.ndarray, np.ndarray]:
    """Points every 3 mm on the named faces of a box around the origin, and their outward normals."""
    half = 0.5 * np.array(size)
    points, normals = [], []
    for axis, name in enumerate("xyz"):
        others = [a for a in range(3) if a != axis]
        grid = np.meshgrid(*[np.linspace(-half[a], half[a], max(3, int(size[a] / 0.003))) for a in others])
        for sign, mark in ((1.0, "+"), (-1.0, "-")):
            if mark + name in faces:
                face = np.zeros((grid[0].size, 3))
                face[:, others[0]], face[:, others[1]], face[:, axis] = grid[0].ravel(), grid[1].ravel(), sign * half[axis]
                points.append(face)
                normals.append(np.tile(sign * np.eye(3)[axis], (len(face), 1)))
    return np.vstack(points), np.vstack(normals)


def test_box_of_a_box() -> None:
    size = (0.12, 0.07, 0.03)
    points, normals = _box_surface(size)
    X = make_pose((0.4, -0.2, 0.1), (0.5, -0.3, 1.1))
    X_box, extents = fit_box(transform_points(X, points), normals @ X[:3, :3].T, UP)
    np.testing.assert_allclose(extents, size, atol=0.002)
    np.testing.assert_allclose(X_box[:3, 3], X[:3, 3], atol=0.002)
    np.testing.assert_allclose(np.abs(X_box[:3, :3].T @ X[:3, :3]), np.eye(3), atol=0.03)
    assert np.linalg.det(X_box[:3, :3]) == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(*[st.floats(0.02, 0.15)] * 3),
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
    seed=st.integers(0, 99),
)
def test_box_moves_with_the_points(
    size: tuple[float, float, float], angles: tuple[float, float, float], shift: tuple[float, float, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points, normals = _box_surface(size, "+x+y+z")
    points = points + rng.normal(0, 0.0005, points.shape)
    X = np.eye(4)
    X[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    X[:3, 3] = shift
    X_here, here = fit_box(points, normals, UP)
    X_there, there = fit_box(transform_points(X, points), normals @ X[:3, :3].T, X[:3, :3] @ UP)
    assert (np.diff(here) <= 0).all()
    np.testing.assert_allclose(there, here, atol=0.004)
    # all points lie in the box, but for the trimmed ends
    for X_box, extents, cloud in ((X_here, here, points), (X_there, there, transform_points(X, points))):
        local = transform_points(inverse(X_box), cloud)
        assert (np.abs(local) <= 0.5 * extents + 0.003).all(axis=1).mean() > 0.97


@pytest.mark.parametrize("points", [np.zeros((2, 3)), np.full((10, 3), np.nan)])
def test_box_of_nothing(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least 3 finite points"):
        fit_box(points, points, UP)


@given(st.integers(4, 300), st.integers(0, 10_000))
@settings(max_examples=30)
def test_box_of_a_sheet_is_the_smallest_rectangle(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.zeros((count, 3))
    points[:, :2] = rng.uniform(-0.1, 0.1, (count, 2)) * rng.uniform(0.2, 1.0, 2)
    _, extents = fit_box(points, np.tile(UP, (count, 1)), UP, trim=0.0)
    _, sides, _ = cv2.minAreaRect(points[:, :2].astype(np.float32))
    assert extents[0] * extents[1] == pytest.approx(sides[0] * sides[1], rel=1e-3)


def test_the_surest_point_of_each_cell_stays() -> None:
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.02, 0.02, (400, 3))
    confidence = rng.integers(0, 4, 400) / 4.0  # many are equal
    measured = np.array([[1.0, 1.0, 1.0]])
    up = np.tile(UP, (400, 1))
    merged, _, kept, _ = merge_parts([(measured, up[:1], np.ones(1)), (points, up, confidence)], 0.006, 0.01)
    best: dict[tuple[int, ...], int] = {}
    for row, cell in enumerate(map(tuple, np.floor(points / 0.01).astype(int).tolist())):
        if cell not in best or confidence[row] > confidence[best[cell]]:
            best[cell] = row
    assert sorted(merged[1:].tolist()) == sorted(points[list(best.values())].tolist())
    assert kept[1:].tolist() == [confidence[np.flatnonzero((points == p).all(axis=1))[0]] for p in merged[1:]]


def test_nearest_measured_agrees_with_brute_force() -> None:
    rng = np.random.default_rng(1)
    measured, points = rng.uniform(0, 0.1, (300, 3)), rng.uniform(-0.05, 0.15, (200, 3))
    distance, row = nearest_measured(measured, points, 0.02)
    brute = np.linalg.norm(points[:, None] - measured[None], axis=2)
    near = brute.min(axis=1) < 0.02
    assert near.any() and not near.all()
    np.testing.assert_allclose(distance[near], brute.min(axis=1)[near])
    np.testing.assert_array_equal(row[near], brute.argmin(axis=1)[near])
    assert (distance[~near] >= 0.02).all()


@pytest.fixture(scope="module")
def scene() -> tuple[FusedScene, list[Completed], synthetic.Capture]:
    capture = synthetic.render(CELL, synthetic.random_pieces(CELL, 14, 6), 6)
    fused = Fusion(CELL).fuse(capture.frames, np.zeros((0, 4)), 10.1)[0].unwrap()
    labels = PatchSegmenter(CELL).segment(fused, []).labels
    return fused, GeometricCompleter(CELL).complete_all(fused.cloud, labels, fused.volume), capture


def _piece_of(item: Completed, capture: synthetic.Capture) -> synthetic.Piece | None:
    centre = item.visible.points.mean(axis=0)
    best = min(capture.pieces, key=lambda p: float(np.linalg.norm((p.X_base_item[:3, 3] - centre)[:2])))
    return best if np.linalg.norm((best.X_base_item[:3, 3] - centre)[:2]) < 0.02 and len(item.visible) > 200 else None


def test_completed_boxes_have_the_items_size(scene: tuple[FusedScene, list[Completed], synthetic.Capture]) -> None:
    checked = 0
    for item in scene[1]:
        piece = _piece_of(item, scene[2])
        if piece is None or piece.kind != "box":
            continue
        checked += 1
        np.testing.assert_allclose(item.shape.extents_m, np.sort(piece.size)[::-1], atol=0.010)
        assert np.linalg.norm(item.shape.X_base_box[:3, 3] - piece.X_base_item[:3, 3]) < 0.008
        assert (item.seen_extents_m <= item.shape.extents_m + 1e-9).all()
    assert checked >= 4


def test_hidden_sides_are_filled_in(scene: tuple[FusedScene, list[Completed], synthetic.Capture]) -> None:
    """Down to the floor there is surface on all four sides of a box, with normals that point outwards."""
    checked = 0
    for item in scene[1]:
        piece = _piece_of(item, scene[2])
        if piece is None or piece.kind != "box" or piece.size[2] < 0.03:
            continue
        local = transform_points(inverse(piece.X_base_item), item.shape.cloud.points)
        normals = item.shape.cloud.normals @ piece.X_base_item[:3, :3]
        half = 0.5 * np.array(piece.size)
        for axis in range(2):
            for sign in (-1.0, 1.0):
                side = (np.abs(local[:, axis] - sign * half[axis]) < 0.007) & (local[:, 2] < 0.0)
                assert side.sum() > 5, (piece.sku, axis, sign)
                assert np.median(sign * normals[side, axis]) > 0.5, (piece.sku, axis, sign)
                checked += 1
    assert checked >= 8


def test_confidence_and_normals(scene: tuple[FusedScene, list[Completed], synthetic.Capture]) -> None:
    fused, items, _ = scene
    for item in items:
        confidence = item.shape.confidence
        n = len(item.visible)
        assert (confidence[:n] == 1.0).all() and (confidence[n:] < 1.0).all() and (confidence > 0).all()
        np.testing.assert_allclose(np.linalg.norm(item.shape.cloud.normals, axis=1), 1.0, atol=1e-3)
        assert 0.0 <= item.exposure <= 1.0
        inferred = item.shape.cloud.points[n:]
        # none but those that rounding to float32 moves across a voxel's border
        assert fused.volume.observed_free(inferred).mean() < 0.03, "a camera looked through these points"


def test_no_instances_no_shapes(scene: tuple[FusedScene, list[Completed], synthetic.Capture]) -> None:
    fused = scene[0]
    assert GeometricCompleter(CELL).complete_all(fused.cloud, np.zeros(len(fused.cloud), np.int32), fused.volume) == []


def test_exposure_tells_what_is_covered() -> None:
    X = CELL.X_base_tote("source")
    below = synthetic.Piece("a", "box", (0.14, 0.10, 0.03), X @ make_pose((0.0, 0.0, 0.015)), (0.9, 0.3, 0.2))
    above = synthetic.Piece("b", "box", (0.09, 0.09, 0.04), X @ make_pose((0.04, 0.0, 0.05)), (0.2, 0.6, 0.9))
    capture = synthetic.render(CELL, [below, above], 0)
    fused = Fusion(CELL).fuse(capture.frames, np.zeros((0, 4)), 10.1)[0].unwrap()
    labels = PatchSegmenter(CELL).segment(fused, []).labels
    items = sorted(GeometricCompleter(CELL).complete_all(fused.cloud, labels, fused.volume), key=lambda i: -len(i.visible))[
        :2
    ]
    low, high = sorted(items, key=lambda i: float(i.visible.points[:, 2].max()))
    assert high.exposure > 0.9 and low.exposure < 0.8
    # the upper box stands on the lower one, not on the floor
    bottom = transform_points(inverse(X), high.shape.cloud.points)[:, 2].min()
    assert bottom == pytest.approx(0.03, abs=0.008)
