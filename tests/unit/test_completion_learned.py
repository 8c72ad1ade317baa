"""Column maps, surfaces from columns, and the shipped network on a made-up tote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_cell as synthetic

from pickcell.completion import Completed
from pickcell.completion.choose import make_completer
from pickcell.completion.column_shape import OUTPUTS, Columns, read_answer, refine, surface_of
from pickcell.completion.columns import CELLS, CHANNELS, LEVELS, MAPS, column_map
from pickcell.completion.learned import Calibration, ColumnNetwork, LearnedCompleter
from pickcell.fusion import FusedScene, Fusion
from pickcell.geometry import inverse, transform_points, transform_vectors
from pickcell.network import ModelError
from pickcell.segmentation import PatchSegmenter
from pickcell.task.shape_picture import BACKGROUND, SIZE, draw_shapes
from pickcell.values import Identity, Instance
from pickcell.values import Scene as WholeScene

CELL = synthetic.cell()
INNER = np.asarray(CELL.totes["source"].inner)
X_BASE_TOTE = CELL.X_base_tote("source")
Scene = tuple[FusedScene, np.ndarray, list[Completed], synthetic.Capture]


@pytest.fixture(scope="module")
def scene() -> Scene:
    capture = synthetic.render(CELL, synthetic.random_pieces(CELL, 10, 6), 6)
    fused = Fusion(CELL).fuse(capture.frames, np.zeros((0, 4)), 10.1)[0].unwrap()
    labels = PatchSegmenter(CELL).segment(fused, []).labels
    return fused, labels, make_completer("learned", CELL).complete_all(fused.cloud, labels, fused.volume), capture


def test_a_map_holds_the_item_its_neighbours_and_free_space(scene: Scene) -> None:
    fused, labels, _, _ = scene
    X = inverse(X_BASE_TOTE)
    points, normals = transform_points(X, fused.cloud.points), transform_vectors(X, fused.cloud.normals)
    at = column_map(1, points, normals, labels, INNER, fused.volume, X_BASE_TOTE)
    assert at.values.shape == (CHANNELS, CELLS, CELLS) and np.isfinite(at.values).all()
    own = at.values[MAPS.index("own")] > 0
    assert own.sum() > 50 and not own[[0, -1]].any() and not own[:, [0, -1]].any(), "there is room around the item"
    assert (at.values[MAPS.index("top")][own] >= at.values[MAPS.index("low")][own] - 1e-6).all()
    free = at.values[len(MAPS) : len(MAPS) + LEVELS]
    assert free[-1][own].mean() > 0.9, "above the item was looked through"
    assert free[0].sum() == 0, "below the floor was not"
    with pytest.raises(ValueError, match="instance 99"):
        column_map(99, points, normals, labels, INNER, fused.volume, X_BASE_TOTE)


def _block(step_m: float) -> Columns:
    """A block of 60 x 40 x 30 mm that floats 10 mm above the floor."""
    inside = np.full((CELLS, CELLS), 0.01, np.float32)
    nx, ny = round(0.06 / step_m), round(0.04 / step_m)
    inside[10 : 10 + nx, 12 : 12 + ny] = 0.99
    flat = np.ones((CELLS, CELLS), np.float32)
    return Columns(step_m, inside, 0.040 * flat, 0.010 * flat, 0.0005 * flat, 0.004 * flat)


@pytest.mark.parametrize("step_m", [0.003, 0.004, 0.009])
def test_a_block_gets_six_faces_where_they_are(step_m: float) -> None:
    points, normals, confidence = surface_of(refine(_block(step_m)), 0.004)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-6)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    top, bottom = normals[:, 2] > 0.9, normals[:, 2] < -0.9
    np.testing.assert_allclose(points[top, 2], 0.040, atol=1e-6)
    np.testing.assert_allclose(points[bottom, 2], 0.010, atol=1e-6)
    walls = np.abs(normals[:, 2]) < 0.1
    size = np.ptp(points[walls, :2], axis=0)
    np.testing.assert_allclose(size, [round(0.06 / step_m) * step_m, round(0.04 / step_m) * step_m], atol=0.5 * step_m)
    middle = points[walls].mean(axis=0)
    assert (np.sum((points[walls] - middle)[:, :2] * normals[walls][:, :2], axis=1) > 0).mean() > 0.95, "walls face outwards"
    assert confidence[top].mean() > confidence[bottom].mean(), "the network said that it is surer of the top"


def test_nothing_inside_gives_no_surface() -> None:
    points, normals, confidence = surface_of(
        refine(replace(_block(0.004), inside=np.zeros((CELLS, CELLS), np.float32))), 0.004
    )
    assert len(points) == len(normals) == len(confidence) == 0


def test_an_answer_of_zeros_keeps_the_tops_that_were_seen(scene: Scene) -> None:
    fused, labels, _, _ = scene
    X = inverse(X_BASE_TOTE)
    points, normals = transform_points(X, fused.cloud.points), transform_vectors(X, fused.cloud.normals)
    at = column_map(1, points, normals, labels, INNER, fused.volume, X_BASE_TOTE)
    columns = read_answer(np.zeros((OUTPUTS, CELLS, CELLS), np.float32), at)
    own = at.values[0] > 0
    np.testing.assert_allclose(columns.top[own].max(), points[labels == 1, 2].max(), atol=1e-4)
    assert (columns.bottom < columns.top).all() and (columns.inside == 0.5).all()


def test_hidden_sides_get_surface_that_no_camera_contradicts(scene: Scene) -> None:
    fused, _, shapes, capture = scene
    checked = 0
    for item in shapes:
        confidence, n = np.asarray(item.shape.confidence), len(item.visible)
        assert (confidence[:n] == 1.0).all() and (confidence[n:] < 1.0).all() and (confidence > 0).all()
        assert fused.volume.observed_free(item.shape.cloud.points[n:]).mean() < 0.03
        centre = item.visible.points.mean(axis=0)
        for piece in capture.pieces:
            if piece.kind == "box" and np.linalg.norm((piece.X_base_item[:3, 3] - centre)[:2]) < 0.02 and n > 200:
                local = transform_points(inverse(piece.X_base_item), item.shape.cloud.points)
                below = np.abs(local[:, 2] + 0.5 * piece.size[2]) < 0.008
                assert below.sum() > 20, "its underside is there, though nobody saw it"
                np.testing.assert_allclose(item.shape.extents_m, np.sort(piece.size)[::-1], atol=0.02)
                checked += 1
    assert checked >= 3


def test_no_instances_no_shapes(scene: Scene) -> None:
    fused = scene[0]
    nothing = np.zeros(len(fused.cloud), np.int32)
    assert make_completer("learned", CELL).complete_all(fused.cloud, nothing, fused.volume) == []


def test_a_calibration_survives_a_file_and_never_leaves_0_to_1(tmp_path: Path) -> None:
    one = Calibration(np.array([0.1, 0.9]), np.array([0.3, 0.8]))
    one.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    said = np.linspace(0.0, 1.0, 11)
    np.testing.assert_allclose(again(said), one(said))
    assert (again(said) >= 0.3).all() and (again(said) <= 0.8).all() and (np.diff(again(said)) >= 0).all()


@pytest.mark.parametrize("text", [None, "", "{}", '{"said": [0.5, 0.1], "right": [0, 1]}', '{"said": [0.5], "right": [1]}'])
def test_an_unusable_calibration_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "c.json").write_text(text)
    with pytest.raises(ModelError, match=r"c\.json.*train completion"):
        Calibration.load(tmp_path / "c.json")


def test_a_network_of_another_kind_is_refused() -> None:
    other = Path(__file__).parents[2] / "models" / "affinity.onnx"
    with pytest.raises(ModelError, match=r"affinity\.onnx.*train completion"):
        ColumnNetwork(other)


def test_an_unknown_or_missing_completer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="learned, geometric"):
        make_completer("magic", CELL)
    with pytest.raises(ModelError, match="train completion"):
        make_completer("learned", CELL, tmp_path)


def test_confidence_without_calibration_is_the_networks_own(scene: Scene) -> None:
    fused, labels, shapes, _ = scene
    network = ColumnNetwork(Path(__file__).parents[2] / "models" / "columns.onnx")
    plain = LearnedCompleter(CELL, network).complete_all(fused.cloud, labels, fused.volume)
    assert len(plain) == len(shapes)
    assert any(not np.array_equal(a.shape.confidence, b.shape.confidence) for a, b in zip(plain, shapes))


def test_the_picture_shows_what_was_measured_beside_what_is_believed(scene: Scene) -> None:
    fused, _, shapes, _ = scene
    instances = tuple(Instance(i, s.visible, s.shape, Identity.unknown(), s.exposure) for i, s in enumerate(shapes, 1))
    seen = WholeScene(fused.stamp_s, instances, fused.occupancy, fused.heightmaps)
    picture = draw_shapes(seen)
    assert picture.shape == (SIZE[0], 2 * SIZE[1], 3)
    left, right = (picture[:, part] != BACKGROUND for part in (slice(0, SIZE[1]), slice(SIZE[1], None)))
    assert 0.02 < left.any(axis=2).mean() < right.any(axis=2).mean(), "full shapes fill more than what was seen"
    empty = draw_shapes(replace(seen, instances=()))
    assert (empty == BACKGROUND).all()
