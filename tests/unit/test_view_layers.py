"""A look as layers: nothing is lost, everything can be drawn, and what is said of it is true."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import synthetic_cell as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.fusion.furniture import furniture_boxes
from pickcell.geometry import make_pose, transform_points
from pickcell.outcome import CODES, Code, Outcome
from pickcell.values import (
    CameraHealth,
    Identity,
    Instance,
    PointCloud,
    RgbdFrame,
    Scene,
    SceneView,
    ShapeEstimate,
    Sku,
    VoxelGrid,
)
from pickcell.view.draw import draw
from pickcell.view.layers import (
    box_segments,
    confidence_colors,
    frustum_of_frame,
    furniture_layer,
    item_points,
    layers_of,
    surface_layer,
)
from pickcell.view.look import Look, Onlooker
from pickcell.view.marks import Drawing, Edges, Frustum, Label, Layer, Points
from pickcell.view.words import cameras_text, items_table, summary, timings_text

CELL = synthetic.cell()
PER_INSTANCE = ("instances", "names", "shapes", "boxes")


def cloud(n: int, seed: int, spoilt: int = 0) -> PointCloud:
    """``spoilt`` of the points are not finite."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0.0, 0.1, (n, 3)).astype(np.float32)
    points[:spoilt, 1] = (np.nan, np.inf, -np.inf)[seed % 3]
    return PointCloud(points, np.tile([0.0, 0.0, 1.0], (n, 1)), rng.integers(0, 256, (n, 3)))


def instance(number: int, n: int, spoilt: int = 0, sku: str | None = "box-001") -> Instance:
    confidence = np.linspace(-0.5, 1.5, n)
    confidence[:spoilt] = np.nan
    shape = ShapeEstimate(cloud(n, number + 1, spoilt), confidence, make_pose((0.5, 0.0, 0.0)), np.array([0.1, 0.08, 0.02]))
    return Instance(number, cloud(n, number, spoilt), shape, Identity(sku, 0.87 if sku else 0.0), 0.5)


def scene(instances: tuple[Instance, ...], health: tuple[CameraHealth, ...] = ()) -> Scene:
    camera = CELL.cameras[0].model
    picture = np.zeros((camera.height, camera.width, 3), np.uint8)
    view = SceneView(camera, make_pose((0.5, 0.0, 1.0), (np.pi, 0.0, 0.0)), picture, picture[..., 0])
    grid = VoxelGrid(np.zeros(3), 0.01, np.zeros((1, 1, 1)))
    return Scene(10.0, instances, grid, {}, (view,), health, {"fusion": 60.0, "fusion_maps": 20.0, "segmentation": 40.0})


def look(seen: Scene | None, surface: PointCloud | None = None) -> Look:
    if seen is None:
        outcome: Outcome[Scene] = Outcome.failure(Code.CAMERA_MISSING, "cam_left")
    elif seen.instances:
        outcome = Outcome.success(seen)
    else:
        outcome = Outcome(Code.SCENE_EMPTY, CODES[Code.SCENE_EMPTY].sentence, seen)
    return Look((frame(),), outcome, surface or PointCloud.empty(), seen.cameras if seen else ())


def frame() -> RgbdFrame:
    camera = CELL.cameras[0].model
    shape = (camera.height, camera.width)
    return RgbdFrame(camera, 10.0, np.zeros((*shape, 3), np.uint8), np.full(shape, np.nan), make_pose((0.5, 0.0, 1.0)))


def by_name(layers: tuple[Layer, ...]) -> dict[str, Layer]:
    return {layer.name: layer for layer in layers}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans()), max_size=8))
def test_no_instance_is_lost_and_all_of_it_can_be_drawn(kinds: list[tuple[int, int, bool]]) -> None:
    instances = tuple(
        instance(i, n, min(n, spoilt), "box-001" if named else None) for i, (n, spoilt, named) in enumerate(kinds, 1)
    )
    layers = layers_of(CELL, look(scene(instances)))
    for name in PER_INSTANCE:
        marks = by_name(layers)[name].marks
        assert [mark.name for mark in marks] == [f"{each.id:03d}" for each in instances], name
    for layer in layers:
        assert len({mark.name for mark in layer.marks}) == len(layer.marks), "marks of a layer have different names"
        for mark in layer.marks:
            if isinstance(mark, Points):
                assert np.isfinite(mark.points).all() and len(mark.points) == len(mark.colors)
            if isinstance(mark, Label):
                assert np.isfinite(mark.position).all() and mark.text
            if isinstance(mark, Edges):
                assert np.isfinite(mark.segments).all()
    for each, mark in zip(instances, by_name(layers)["instances"].marks, strict=True):
        assert isinstance(mark, Points)
        assert len(mark.points) == np.isfinite(each.visible.points).all(axis=1).sum(), "only what is not finite goes"


def test_neighbouring_instances_differ_in_colour() -> None:
    marks = by_name(layers_of(CELL, look(scene(tuple(instance(i, 50) for i in range(1, 9))))))["instances"].marks
    means = [mark.colors.astype(float).mean(axis=0) for mark in marks if isinstance(mark, Points)]
    assert len(means) == 8 and all(np.linalg.norm(a - b) > 40 for a, b in pairwise(means))


def test_the_surface_keeps_its_colours() -> None:
    seen = cloud(30, 1)
    (mark,) = surface_layer(seen).marks
    assert isinstance(mark, Points) and np.array_equal(mark.colors, seen.colors) and np.array_equal(mark.points, seen.points)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=50))
def test_confidence_colours_are_colours(confidence: list[float]) -> None:
    values = np.array(confidence, np.float32)
    colors = confidence_colors(values)
    assert colors.shape == (len(values), 3) and colors.dtype == np.uint8
    usable = np.clip(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)
    order = np.argsort(usable, kind="stable")
    assert (np.diff(colors[order, 1].astype(int)) >= -1).all(), "the surer, the greener up to yellow"


def test_a_guess_looks_unlike_a_measurement() -> None:
    low, high, nothing = confidence_colors(np.array([0.0, 1.0, np.nan])).astype(float)
    assert np.linalg.norm(low - high) > 150 and np.array_equal(low, nothing)
    assert high[0] > 200 and high[1] > 200 and high[2] < 80, "sure is yellow"


def test_an_empty_tote_and_a_failed_look_have_the_same_layers_without_items() -> None:
    full = layers_of(CELL, look(scene((instance(1, 20),)), cloud(5, 0)))
    for seen in (scene(()), None):
        layers = layers_of(CELL, look(seen))
        assert [layer.name for layer in layers] == [layer.name for layer in full]
        assert all(not by_name(layers)[name].marks for name in PER_INSTANCE)
        assert len(by_name(layers)["cameras"].marks) == 1, "cameras are shown also when they were no use"
        assert by_name(layers)["furniture"].marks


def test_furniture_is_what_the_cell_file_says() -> None:
    layer, boxes = furniture_layer(CELL), furniture_boxes(CELL)
    assert [mark.name for mark in layer.marks] == [box.name for box in boxes]
    assert sum(mark.name.startswith("source") for mark in layer.marks) == 5


def test_a_frustum_has_the_cameras_field_of_view() -> None:
    config = CELL.cameras[0]
    seen = frustum_of_frame(frame())
    assert isinstance(seen, Frustum) and seen.aspect == pytest.approx(config.width / config.height)
    hfov = 2.0 * np.arctan(np.tan(0.5 * seen.vfov_rad) * seen.aspect)
    assert np.rad2deg(hfov) == pytest.approx(config.hfov_deg, abs=0.01)


def test_a_boxs_edges_are_its_sides() -> None:
    X, half = make_pose((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)), np.array([0.05, 0.03, 0.01])
    segments = box_segments(X, half).astype(float)
    lengths = np.linalg.norm(segments[:, 0] - segments[:, 1], axis=1)
    assert sorted(np.round(lengths, 5)) == pytest.approx(sorted(np.repeat(2 * half, 4)), abs=1e-4)
    local = transform_points(np.linalg.inv(X), segments.reshape(-1, 3))
    assert np.allclose(np.abs(local), half, atol=1e-6), "ends are corners"


def test_a_solid_is_shaded_by_its_normals() -> None:
    normals = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    mark = item_points("1", np.zeros((3, 3)), normals, (200, 100, 50))
    assert mark.colors[0].sum() > mark.colors[1].sum() > 0


def test_marks_and_drawings_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="finite"):
        Points("p", np.full((2, 3), np.nan), np.zeros((2, 3)), 0.01)
    with pytest.raises(ValueError, match="colors"):
        Points("p", np.zeros((2, 3)), np.zeros((3, 3)), 0.01)
    with pytest.raises(ValueError, match="different names"):
        Drawing((Layer("a", "A", ()), Layer("a", "B", ())), "", "", np.zeros(3))


def test_words_say_what_was_found_and_how_the_cameras_are() -> None:
    health = (
        CameraHealth("cam_left", True, 0.1, 0.9),
        CameraHealth("cam_top", True, 0.1, 0.7, "its calibration is off by about 9 mm"),
        CameraHealth("cam_right", False, 0.0, 0.0, "never sent an image"),
    )
    text = summary(look(scene((instance(1, 5), instance(2, 5, sku=None)), health)))
    assert "2 items found" in text and "1 of them with a name" in text
    assert "2 of 3 used" in text and "depth on 80 %" in text
    assert "cam_right (not used): never sent an image" in text and "- cam_top: its calibration" in text
    assert "- cam_left" not in text, "nothing to say of a camera that is well"
    assert "100 ms (fusion 60, segmentation 40)" in text, "steps inside a stage count once"
    assert cameras_text(()) and timings_text({})


def test_words_of_a_look_that_failed() -> None:
    assert "camera_missing" in summary(look(None)) and "cam_left" in summary(look(None))
    empty = summary(look(scene(())))
    assert "scene_empty" in empty and CODES[Code.SCENE_EMPTY].sentence in empty


def test_the_table_has_a_row_per_item() -> None:
    catalogue = {"box-001": Sku("box-001", "Oats | fine", "box", np.array([0.1, 0.08, 0.02]), 0.2)}
    table = items_table((instance(1, 5), instance(2, 5, sku=None), instance(3, 5, sku="gone-001")), catalogue)
    rows = table.splitlines()[2:]
    assert rows[0] == "| 1 | box-001 Oats / fine | 87 | 100 | 50 |" and rows[1].startswith("| 2 | ? |  |")
    assert rows[2].startswith("| 3 | gone-001 |") and len(rows) == 3
    assert items_table((), catalogue) == "No items."


def test_an_onlooker_keeps_the_whole_surface() -> None:
    capture = synthetic.render(CELL, synthetic.random_pieces(CELL, 6, 2), 2)
    onlooker = Onlooker(CELL, "", synthetic.catalogue_of(capture.pieces))
    joints = synthetic.home_joints(CELL, 10.0)
    seen = onlooker.look(capture.frames, joints, capture.manifest, 10.1)
    found = seen.outcome.unwrap()
    assert found.instances and len(seen.surface) > sum(len(each.visible) for each in found.instances)
    assert len(seen.cameras) == len(CELL.cameras)
    drawing = draw(CELL, seen, {}, (Layer("more", "More", ()),))
    assert drawing.layers[-1].name == "more" and np.allclose(drawing.focus, CELL.X_base_tote("source")[:3, 3])

    failed = onlooker.look(capture.frames[:1], joints, capture.manifest, 10.1)
    assert failed.outcome.code is Code.CAMERA_MISSING and len(failed.surface) == 0, "nothing is left of the look before"
