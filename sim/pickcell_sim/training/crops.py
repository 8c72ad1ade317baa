"""Crops of labelled scenes for the affinity network, kept beside the scenes so that they are cut out once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pickcell.cell import CellConfig
from pickcell.fusion.frames import project
from pickcell.fusion.tsdf import DepthView
from pickcell.geometry import inverse, transform_points
from pickcell.learning.affinity_net import CropSet
from pickcell.segmentation import crop as crop_module
from pickcell.segmentation.crop import CHANNELS, HEIGHT, WIDTH, Crop, crop_input, tote_crop
from pickcell.segmentation.offsets import VOTES
from pickcell_sim.data.scene_file import LabelledScene, read_scene
from pickcell_sim.data.views import SceneViews

MIN_ITEM_PIXELS = 60
"""A crop that shows fewer pixels of items is left out."""


def crop_set(files: Sequence[Path], say: Callable[[str], None] = print) -> CropSet:
    """All crops of the scenes; read from the cache when it is of the same files and the same way of cutting."""
    source = Path(crop_module.__file__).read_bytes() + Path(__file__).read_bytes()
    key = hashlib.sha256(source + "\n".join(str(f) for f in files).encode()).hexdigest()[:16]
    parts = {name: files[0].parent / "crops" / f"{key}-{name}.npy" for name in ("color", "geometry", "item", "middle")}
    if not all(path.exists() for path in parts.values()):
        _cut(files, parts, say)
    return CropSet(*(np.load(parts[name]) for name in ("color", "geometry", "item", "middle")))


def _cut(files: Sequence[Path], parts: dict[str, Path], say: Callable[[str], None]) -> None:
    color, geometry, item, middle = [], [], [], []
    for number, path in enumerate(files, 1):
        for one in scene_crops(read_scene(path)):
            color.append(one[0])
            geometry.append(one[1])
            item.append(one[2])
            middle.append(one[3])
        if number % 50 == 0 or number == len(files):
            say(f"cut {number} of {len(files)} scenes: {len(item)} crops")
    parts["color"].parent.mkdir(parents=True, exist_ok=True)
    np.save(parts["color"], np.array(color, np.uint8).reshape(-1, HEIGHT, WIDTH, 3))
    np.save(parts["geometry"], np.array(geometry, np.float16).reshape(-1, CHANNELS - 3, HEIGHT, WIDTH))
    np.save(parts["item"], np.array(item, np.uint8).reshape(-1, HEIGHT, WIDTH))
    np.save(parts["middle"], np.array(middle, np.float32).reshape(-1, 256, VOTES))


def scene_crops(scene: LabelledScene) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(color, geometry, item, middle) of each camera that shows the tote, see :class:`CropSet`."""
    views, out = SceneViews.of(scene), []
    for frame, view in zip(scene.frames, views.depth_views(scene)):
        crop = tote_crop(view, views.cell)
        if crop is None:
            continue
        item = crop.warp(scene.item_pixels[frame.camera.name], nearest=True)
        if np.count_nonzero(item) < MIN_ITEM_PIXELS:
            continue
        values = crop_input(view, frame.color, views.cell, crop)
        middle = _middles(scene, view, views.cell, crop)
        out.append((crop.warp(frame.color, nearest=False), values[3:].astype(np.float16), item, middle))
    return out


def _middles(scene: LabelledScene, view: DepthView, cell: CellConfig, crop: Crop) -> np.ndarray:
    """(256, 3) by item number: column and row of the crop, and height above the tote's floor, of its shape's middle."""
    out = np.zeros((256, VOTES), np.float32)
    for item in scene.items:
        middle = 0.5 * (item.points.min(axis=0) + item.points.max(axis=0)).astype(np.float64)[None]
        u, v, _ = project(view.camera, view.X_base_camera, middle)
        height = transform_points(inverse(cell.X_base_tote("source")), middle)[0, 2]
        out[item.number] = (u[0] - crop.u0) * crop.scale, (v[0] - crop.v0) * crop.scale, height
    return out
