"""Column maps of labelled scenes with the truth about them, kept beside the scenes so that they are made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.completion import columns as columns_module
from pickcell.completion.columns import CELLS, CHANNELS, ColumnMap, column_map
from pickcell.fusion import FusedScene
from pickcell.geometry import inverse, transform_points, transform_vectors
from pickcell.learning.column_net import ColumnSet
from pickcell.segmentation import PatchSegmenter
from pickcell_sim.bench.see.instances import owners
from pickcell_sim.data.scene_file import ItemTruth, LabelledScene, read_scene
from pickcell_sim.data.views import SceneViews
from pickcell_sim.training.evidence import item_of_points

MIN_POINTS = 60


@dataclass(frozen=True)
class LabelledMap:
    """One map, and where the item is in its columns (all (CELLS, CELLS))."""

    map: ColumnMap
    inside: NDArray[np.bool_]
    top: NDArray[np.float32]
    """Metres above the floor."""
    bottom: NDArray[np.float32]


def columns_of(item: ItemTruth, at: ColumnMap, X_base_tote: NDArray[np.float64]) -> LabelledMap:
    """Where an item is in a map's columns: the vertical line through each column's middle, cut by the item's parts."""
    X_base_map = X_base_tote @ at.X_tote_map
    ij = np.stack(np.meshgrid(np.arange(CELLS), np.arange(CELLS), indexing="ij"), axis=-1).reshape(-1, 2)
    start = transform_points(X_base_map, np.column_stack([(ij + 0.5) * at.cell_m, np.zeros(len(ij))]))
    up = X_base_map[:3, 2]
    top, bottom = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    for planes in item.planes:
        rise = planes[:, :3] @ up
        room = planes[None, :, 3] - start @ planes[:, :3].T
        with np.errstate(divide="ignore", invalid="ignore"):
            cut = room / rise
        high = np.where(rise > 1e-9, cut, np.inf).min(axis=1)
        low = np.where(rise < -1e-9, cut, -np.inf).max(axis=1)
        misses = ((np.abs(rise) <= 1e-9) & (room < 0)).any(axis=1) | (low >= high)
        top, bottom = np.where(misses, top, np.maximum(top, high)), np.where(misses, bottom, np.minimum(bottom, low))
    inside = np.isfinite(top).reshape(CELLS, CELLS)
    as_map = [np.where(np.isfinite(z), z, 0.0).reshape(CELLS, CELLS).astype(np.float32) for z in (top, bottom)]
    return LabelledMap(at, inside, as_map[0], as_map[1])


def scene_maps(scene: LabelledScene, fused: FusedScene) -> Iterator[LabelledMap]:
    """Maps of a scene's items: once by the true labels, once by those of the geometric segmenter, whose faults the network
    has to live with."""
    views = SceneViews.of(scene)
    X_base_tote = views.cell.X_base_tote("source")
    inner = np.asarray(views.cell.totes["source"].inner)
    X = inverse(X_base_tote)
    points, normals = transform_points(X, fused.cloud.points), transform_vectors(X, fused.cloud.normals)
    true = item_of_points(fused, scene, np.arange(len(points))).argmax(axis=1).astype(np.int32)
    found = PatchSegmenter(views.cell).segment(fused, []).labels
    items = {item.number: item for item in scene.items}
    for labels, owner in ((true, dict(zip(items, items))), (found, owners(true, found))):
        sizes = np.bincount(labels)
        for label, number in owner.items():
            if number in items and label < len(sizes) and sizes[label] >= MIN_POINTS:
                at = column_map(label, points, normals, labels, inner, fused.volume, X_base_tote)
                yield columns_of(items[number], at, X_base_tote)


def column_set(files: Sequence[Path], say: Callable[[str], None] = print) -> ColumnSet:
    """All maps of the scenes; read from the cache when it is of the same files and the same way of making them."""
    source = Path(columns_module.__file__).read_bytes() + Path(__file__).read_bytes()
    key = hashlib.sha256(source + "\n".join(str(f) for f in files).encode()).hexdigest()[:16]
    folder = files[0].parent / "columns"
    paths = {name: folder / f"{key}-{name}.npy" for name in ("inside", "top", "bottom")}
    paths["values"] = folder / f"{key}-values.f16"
    if not all(path.exists() for path in paths.values()):
        _make(files, paths, say)
    inside, top, bottom = (np.load(paths[name]) for name in ("inside", "top", "bottom"))
    shape = (len(inside), CHANNELS, CELLS, CELLS)
    values = np.memmap(paths["values"], np.float16, "r", shape=shape) if len(inside) else np.zeros(shape, np.float16)
    return ColumnSet(values, inside, top, bottom)


def _make(files: Sequence[Path], paths: dict[str, Path], say: Callable[[str], None]) -> None:
    inside, top, bottom = [], [], []
    paths["values"].parent.mkdir(parents=True, exist_ok=True)
    with paths["values"].open("wb") as values:  # gigabytes: not held in memory
        for number, path in enumerate(files, 1):
            scene = read_scene(path)
            fused = SceneViews.of(scene).fuse(scene).value
            for each in scene_maps(scene, fused) if fused else ():
                each.map.values.astype(np.float16).tofile(values)
                inside.append(each.inside)
                for heights, out in ((each.top, top), (each.bottom, bottom)):
                    out.append(np.where(each.inside, heights - each.map.middle_m, 0.0).astype(np.float16))
            if number % 50 == 0 or number == len(files):
                say(f"looked at {number} of {len(files)} scenes: {len(inside)} maps")
    np.save(paths["inside"], np.array(inside, bool).reshape(-1, CELLS, CELLS))
    np.save(paths["top"], np.array(top, np.float16).reshape(-1, CELLS, CELLS))
    np.save(paths["bottom"], np.array(bottom, np.float16).reshape(-1, CELLS, CELLS))
