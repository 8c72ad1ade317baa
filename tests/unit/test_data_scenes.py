"""Scenes made for training and measuring: their truth fits their pictures, and they can be cut into crops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pickcell.fusion.depth import prepare_depth
from pickcell.geometry import transform_points
from pickcell.segmentation.crop import CHANNELS, HEIGHT, WIDTH
from pickcell_sim.bench.suites import load_suite
from pickcell_sim.data.generate import SceneJob, Variety
from pickcell_sim.data.scene_file import LabelledScene, read_scene
from pickcell_sim.training.crops import crop_set, scene_crops
from pickcell_sim.training.views import SceneViews

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
    for color, geometry, item in cut:
        assert color.shape == (HEIGHT, WIDTH, 3) and geometry.shape == (CHANNELS - 3, HEIGHT, WIDTH)
        assert item.shape == (HEIGHT, WIDTH) and item.any()
    files = sorted(folder.glob("*.npz"))
    said: list[str] = []
    crops = crop_set(files, said.append)
    assert len(crops) == len(cut) and said
    said.clear()
    assert np.array_equal(crop_set(files, said.append).item, crops.item) and not said, "the second time from the cache"


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
