"""The whole pipeline: frames in, a scene out, and one test per way it fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic_cell as synthetic

from pickcell.outcome import Code
from pickcell.perception import PerceptionPipeline
from pickcell.segmentation.overlay import draw_overlay, label_text
from pickcell.values import Identity, JointState, Scene

CELL = synthetic.cell()
JOINTS = synthetic.home_joints(CELL, 10.0)


@pytest.fixture(scope="module")
def capture() -> synthetic.Capture:
    return synthetic.render(CELL, synthetic.random_pieces(CELL, 14, 2), 2)


@pytest.fixture(scope="module")
def pipeline(capture: synthetic.Capture) -> PerceptionPipeline:
    return PerceptionPipeline(CELL, "", synthetic.catalogue_of(capture.pieces))


@pytest.fixture(scope="module")
def scene(pipeline: PerceptionPipeline, capture: synthetic.Capture) -> Scene:
    return pipeline.observe(capture.frames, JOINTS, capture.manifest, 10.1).unwrap()


def test_scene_is_complete(scene: Scene, capture: synthetic.Capture) -> None:
    assert scene.stamp_s == 10.0
    assert abs(len(scene.instances) - len(capture.pieces)) <= 2
    assert [i.id for i in scene.instances] == list(range(1, len(scene.instances) + 1))
    assert set(scene.heightmaps) == {"source", "destination", "aside"}
    assert {v.camera.name for v in scene.views} == {"cam_left", "cam_right", "cam_top"}
    assert len(scene.cameras) == len(CELL.cameras)
    for stage in ("fusion", "segmentation", "completion", "identity"):
        assert 0 < scene.timings_ms[stage] < 60_000
    seen = set(np.unique(np.concatenate([v.labels.ravel() for v in scene.views]))) - {0}
    assert seen <= {i.id for i in scene.instances}
    assert len(seen) >= len(scene.instances) - 1


def test_most_items_get_their_name(scene: Scene, capture: synthetic.Capture) -> None:
    right = wrong = 0
    for instance in scene.instances:
        centre = instance.visible.points.mean(axis=0)
        piece = min(capture.pieces, key=lambda p: float(np.linalg.norm((p.X_base_item[:3, 3] - centre)[:2])))
        right += instance.identity.sku == piece.sku
        wrong += instance.identity.sku not in (piece.sku, None)
    assert right >= 0.4 * len(capture.pieces), "sizes alone should name a good part of them"
    assert right > wrong


def test_empty_tote_is_a_failure_that_carries_the_scene(pipeline: PerceptionPipeline) -> None:
    outcome = pipeline.observe(synthetic.render(CELL, [], 5).frames, JOINTS, {"box_0": 1}, 10.1)
    assert outcome.code is Code.SCENE_EMPTY and not outcome.ok
    assert outcome.value is not None and outcome.value.instances == () and outcome.value.views
    assert abs(np.nanmedian(outcome.value.heightmaps["source"].height_m)) < 0.004


def test_all_nan_depth(pipeline: PerceptionPipeline, capture: synthetic.Capture) -> None:
    blind = [replace(f, depth_m=np.full_like(f.depth_m, np.nan)) for f in capture.frames]
    outcome = pipeline.observe(blind, JOINTS, capture.manifest, 10.1)
    assert outcome.code is Code.DEPTH_INVALID and outcome.value is None
    assert [c.used for c in pipeline.cameras] == [False] * len(CELL.cameras)


def test_missing_and_stale(pipeline: PerceptionPipeline, capture: synthetic.Capture) -> None:
    assert pipeline.observe([], JOINTS, capture.manifest, 10.1).code is Code.CAMERA_MISSING
    assert pipeline.observe(capture.frames, JOINTS, capture.manifest, 20.0).code is Code.CAMERA_STALE


def test_empty_manifest_names_nothing(pipeline: PerceptionPipeline, capture: synthetic.Capture) -> None:
    found = pipeline.observe(capture.frames, JOINTS, {}, 10.1).unwrap()
    assert found.instances and all(i.identity.sku is None for i in found.instances)


def test_sku_missing_from_the_catalogue_is_no_crash(pipeline: PerceptionPipeline, capture: synthetic.Capture) -> None:
    found = pipeline.observe(capture.frames, JOINTS, {"never-heard-of": 3}, 10.1).unwrap()
    assert all(i.identity.sku is None for i in found.instances)


def test_joints_of_another_robot(pipeline: PerceptionPipeline, capture: synthetic.Capture) -> None:
    from pickcell.description import expand_urdf

    with_robot = PerceptionPipeline(CELL, expand_urdf(CELL), {})
    strange = JointState(10.0, ("a",), np.zeros(1), np.zeros(1), np.zeros(1))
    with pytest.raises(KeyError, match="panda_joint1"):
        with_robot.observe(capture.frames, strange, {}, 10.1)


def test_same_frames_same_scene(pipeline: PerceptionPipeline, capture: synthetic.Capture, scene: Scene) -> None:
    again = pipeline.observe(list(reversed(capture.frames)), JOINTS, capture.manifest, 10.1).unwrap()
    assert len(again.instances) == len(scene.instances)
    for a, b in zip(scene.instances, again.instances):
        np.testing.assert_array_equal(a.visible.points, b.visible.points)
        assert a.identity == b.identity


def test_overlay(scene: Scene) -> None:
    view = scene.views[0]
    before = np.array(view.color)
    picture = draw_overlay(view, scene, highlight={1})
    assert picture.shape == view.color.shape and picture.dtype == np.uint8
    np.testing.assert_array_equal(view.color, before)  # the scene itself stays as it was
    changed = (picture != view.color).any(axis=-1)
    assert changed[view.labels > 0].mean() > 0.9
    assert changed.mean() < 0.6


def test_label_text(scene: Scene) -> None:
    instance = scene.instances[0]
    assert label_text(replace(instance, identity=Identity("box-1", 0.873))) == f"{instance.id} box-1 87%"
    assert label_text(replace(instance, identity=Identity.unknown())) == f"{instance.id} ?"
