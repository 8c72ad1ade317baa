"""Scenes made for training and measuring: their truth fits their pictures, and they can be cut into crops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pickcell.completion.columns import CELLS, HEIGHT_UNIT_M
from pickcell.completion.columns import CHANNELS as COLUMN_CHANNELS
from pickcell.fusion.depth import prepare_depth
from pickcell.geometry import transform_points
from pickcell.segmentation.crop import CHANNELS, HEIGHT, WIDTH
from pickcell_sim.bench.plots import reliability
from pickcell_sim.bench.see.run import METHODS, result_of, run, run_moving
from pickcell_sim.bench.see.tracks import sequences
from pickcell_sim.bench.suites import load_suite
from pickcell_sim.data.generate import SceneJob, Variety
from pickcell_sim.data.scene_file import LabelledScene, read_scene
from pickcell_sim.data.sequence import Movement, SequenceJob
from pickcell_sim.data.views import SceneViews
from pickcell_sim.training.columns import column_set, scene_maps
from pickcell_sim.training.crops import crop_set, scene_crops

PILE = load_suite("pile").model_copy(update={"split": "train"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("scenes")
    job = SceneJob(PILE, 3, Variety(stages=2))
    assert not job.is_done(to)
    job.run(to)
    assert job.is_done(to)
    return to


def scenes(folder: Path) -> list[LabelledScene]:
    return [read_scene(path) for path in sorted(folder.glob("*.npz"))]


def test_items_are_where_their_pixels_are(folder: Path) -> None:
    for scene in scenes(folder):
        near = total = 0
        for frame in scene.frames:
            pixels = scene.item_pixels[frame.camera.name]
            for item in scene.items:
                v, u = np.nonzero((pixels == item.number) & np.isfinite(frame.depth_m))
                z = frame.depth_m[v, u].astype(float)
                rays = np.column_stack([(u - frame.camera.cx) / frame.camera.fx, (v - frame.camera.cy) / frame.camera.fy])
                points = transform_points(frame.X_base_camera, np.column_stack([rays * z[:, None], z]))
                distance = cKDTree(item.points).query(points)[0] if len(points) else np.zeros(0)
                near, total = near + int((distance < 0.012).sum()), total + len(points)
        assert total > 2000 and near / total > 0.95, f"{near} of {total} points lie on their item"


def test_items_are_taken_out_between_the_captures(folder: Path) -> None:
    first, second = scenes(folder)
    assert len(first.items) == 5 and 0 < len(second.items) < 5
    assert set(second.skus.values()) < set(first.skus.values())
    assert sum(second.manifest.values()) == len(second.items)
    assert not np.allclose(first.joints.positions, second.joints.positions), "the arm stands elsewhere"


def test_crops_show_the_items(folder: Path) -> None:
    cut = [crop for scene in scenes(folder) for crop in scene_crops(scene)]
    assert len(cut) >= 4
    for color, geometry, item, middle in cut:
        for number in np.unique(item[item > 0]):
            rows, columns = np.nonzero(item == number)
            off = np.hypot(middle[number, 0] - columns.mean(), middle[number, 1] - rows.mean())
            assert off < max(HEIGHT, WIDTH) / 2 and 0.0 < middle[number, 2] < 0.3, "an item's middle is near its pixels"
        assert color.shape == (HEIGHT, WIDTH, 3) and geometry.shape == (CHANNELS - 3, HEIGHT, WIDTH)
        assert item.shape == (HEIGHT, WIDTH) and item.any()
    files = sorted(folder.glob("*.npz"))
    said: list[str] = []
    crops = crop_set(files, said.append)
    assert len(crops) == len(cut) and said
    said.clear()
    assert np.array_equal(crop_set(files, said.append).item, crops.item) and not said, "the second time from the cache"


def test_column_maps_know_where_the_item_really_is(folder: Path) -> None:
    checked = 0
    for scene in scenes(folder):
        fused = SceneViews.of(scene).fuse(scene).value
        assert fused is not None
        for each in scene_maps(scene, fused):
            own = each.map.values[0] > 0
            seen_top = each.map.middle_m + HEIGHT_UNIT_M * each.map.values[1]
            both = own & each.inside
            assert both.sum() > 0.5 * own.sum(), "most columns with points of the item are in the item"
            assert (each.bottom[each.inside] < each.top[each.inside]).all() and each.bottom[each.inside].min() > -0.01
            checked += int(np.median(np.abs(seen_top - each.top)[both]) < 0.006)
    assert checked >= 4, "what is seen of a top is its top"
    data = column_set(sorted(folder.glob("*.npz")))
    assert len(data) >= checked and data.values.shape[1:] == (COLUMN_CHANNELS, CELLS, CELLS)


def test_a_shoved_item_moves_and_the_arm_crosses_the_view(tmp_path: Path) -> None:
    suite = load_suite("packed").model_copy(update={"split": "train"})
    for movement in Movement:
        job = SequenceJob(suite, 3, movement)
        job.run(tmp_path)
        assert job.is_done(tmp_path)
        first, last = read_scene(tmp_path / f"{job.names[0]}.scene.npz"), read_scene(tmp_path / f"{job.names[-1]}.scene.npz")
        went = [np.linalg.norm(a.points.mean(axis=0) - b.points.mean(axis=0)) for a, b in zip(first.items, last.items)]
        if movement is Movement.SHOVE:
            assert 0.03 < max(went) < 0.15 and last.stamp_s > first.stamp_s
        else:
            assert max(went) < 0.001
            middle = read_scene(tmp_path / f"{job.names[len(job.names) // 2]}.scene.npz")
            assert not np.allclose(middle.joints.positions, first.joints.positions, atol=0.05)
    assert [len(paths) for paths in sequences(tmp_path).values()] == [13, 11]
    tally = run_moving(tmp_path, METHODS)["baseline"]
    kept, items = tally.rate("crossing")
    assert tally.sequences == 2 and tally.refused == 0 and items >= 3 and kept >= items - 1, "nothing moved but the arm"
    assert tally.rate()[1] > items and {"watch_update", "watch_tracking"} <= set(tally.times_ms)


def test_every_method_is_measured_on_the_same_scenes(folder: Path) -> None:
    files = sorted(folder.glob("*.npz"))
    results = run(files, METHODS)
    found = {name: result_of(results, name, 0, folder) for name in METHODS}
    assert all(0.0 <= result.metrics["instance_recall_iou50"].value <= 1.0 for result in found.values())
    assert found["baseline"].metrics["chamfer_mm"].value < 10.0
    assert "unregistered_chamfer_mm" in found["learned"].metrics and "chamfer_mm" not in found["network"].metrics
    drawn = reliability(list(found.values()), folder / "reliability.png")
    assert drawn.stat().st_size > 1000
    with pytest.raises(ValueError, match="baseline, network, learned"):
        run(files[:1], ["magic"])


def test_the_robot_is_left_out_of_prepared_depth(folder: Path) -> None:
    scene = scenes(folder)[0]
    views = SceneViews.of(scene)
    prepared = {view.camera.name: view.depth_m for view in views.depth_views(scene)}
    bare = {f.camera.name: prepare_depth(f, views._config, np.zeros((0, 4)))[0] for f in scene.frames}
    assert any((prepared[name] < 0).any() for name in prepared)
    assert all(((prepared[name] == bare[name]) | (prepared[name] == -1)).all() for name in prepared)


def test_the_same_seed_gives_the_same_scene(folder: Path, tmp_path: Path) -> None:
    SceneJob(PILE, 3, Variety(stages=1)).run(tmp_path)
    (again,), first = scenes(tmp_path), scenes(folder)[0]
    assert again.skus == first.skus
    for one, other in zip(again.frames, first.frames):
        assert np.array_equal(one.color, other.color) and np.array_equal(one.depth_m, other.depth_m, equal_nan=True)


def test_a_plain_scene_is_what_the_cell_sees() -> None:
    job = SceneJob(PILE, 3)
    assert job.names == ("pile-train-000003",)
    assert len(replace(job, variety=Variety(stages=3)).names) == 3
