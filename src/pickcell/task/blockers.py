"""What is in the way of an item: its neighbours, by how much moving each would help to take it.

Seen from above, a neighbour is in the way where it lies over the item, and, less, where it stands so close beside it that no
finger fits between. What is in the way of a neighbour is in the item's way, too, only less: so the one that can be taken
first is found wherever it lies in the heap. Of an item that nobody sees it is only known that something lies over it: then
the larger and the higher a thing, the more it may hide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from pickcell.geometry import inverse, transform_points
from pickcell.values import HeightMap, Instance, Scene

CELL_M = 0.006
FINGER_ROOM_CELLS = 4
"""How far around an item a finger needs room: its thickness, clearance on both sides, and margins."""
FINGER_REACH_M = 0.012
"""A neighbour beside the item is in a finger's way when it rises this much above the item's underside."""
LEVEL_M = 0.004
"""A neighbour lies over the item where it is higher by more than this."""
BESIDE_WEIGHT = 0.35
"""Share of a free ring, against share of a covered top: a covered item cannot be taken at all."""
INDIRECT = 0.6
"""How much being in the way of something that is in the way counts."""
DEPTH = 3
"""Links of such chains that are followed."""
LEAST = 0.03
"""Less in the way than this is not in the way."""
KEEP_OUT_CELLS = 4
"""How far from the item nothing is to be put down."""


@dataclass(frozen=True)
class Blocker:
    """A neighbour, and how much it is in the way: 1 when it alone covers the item."""

    instance: Instance
    weight: float


@dataclass(frozen=True)
class _Raster:
    """Instances seen from above on one raster in the source map's frame."""

    top: NDArray[np.float64]
    """(K, nx, ny) height of each instance over the floor, -inf where it is not."""
    low: NDArray[np.float64]
    """(K,) height of its underside."""


def blockers(scene: Scene, wanted: int | None) -> list[Blocker]:
    """Neighbours in the way of the instance with id ``wanted``, the worst first; None: of an item that is not seen."""
    others = [i for i in scene.instances if i.id != wanted]
    if not others or "source" not in scene.heightmaps:
        return []
    source = scene.heightmaps["source"]
    if wanted is None:
        top = _raster(others, source).top
        hides = np.where(np.isfinite(top), np.maximum(top, 0.0), 0.0).sum(axis=(1, 2))
        weight = hides / max(float(hides.max()), 1e-9)
    else:
        weight = _in_the_way(_raster([scene.instance(wanted), *others], source))[1:]
    found = [Blocker(instance, float(w)) for instance, w in zip(others, weight) if w > LEAST]
    return sorted(found, key=lambda blocker: -blocker.weight)


def without_room_over(scene: Scene, instance_id: int) -> Scene:
    """The scene with the place over and around an instance taken out of the source tote's height map: nothing is put down
    there as long as there is room elsewhere."""
    source = scene.heightmaps["source"]
    chosen = [i for i in scene.instances if i.id == instance_id]
    if not chosen:
        return scene
    covered = binary_dilation(np.isfinite(_raster(chosen, source).top).any(axis=0), iterations=KEEP_OUT_CELLS)
    height = np.array(source.height_m)
    rows = np.minimum((np.arange(height.shape[0]) + 0.5) * source.resolution_m / CELL_M, covered.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(height.shape[1]) + 0.5) * source.resolution_m / CELL_M, covered.shape[1] - 1).astype(int)
    height[covered[np.ix_(rows, columns)]] = np.nan
    return replace(scene, heightmaps={**scene.heightmaps, "source": replace(source, height_m=height)})


def _raster(instances: list[Instance], source: HeightMap) -> _Raster:
    X_map_base = inverse(source.X_base_map)
    size = np.array(source.height_m.shape) * source.resolution_m
    shape = (len(instances), *np.ceil(size / CELL_M).astype(int))
    top, low = np.full(shape, -np.inf), np.zeros(len(instances))
    for k, instance in enumerate(instances):
        points = transform_points(X_map_base, instance.shape.cloud.points)
        if len(points) == 0:
            continue
        cells = np.clip((points[:, :2] / CELL_M).astype(int), 0, np.array(shape[1:]) - 1)
        np.maximum.at(top[k], (cells[:, 0], cells[:, 1]), points[:, 2])
        low[k] = np.quantile(points[:, 2], 0.05)
    return _Raster(top, low)


def _in_the_way(raster: _Raster) -> NDArray[np.float64]:
    """(K,) how much each instance is in the way of the first."""
    direct = _direct(raster.top, raster.low, FINGER_ROOM_CELLS, LEVEL_M, FINGER_REACH_M, BESIDE_WEIGHT)
    weight = np.zeros(len(raster.low))
    weight[0] = 1.0
    share = 1.0
    for _ in range(DEPTH):
        reached = (direct * weight[:, None]).max(axis=0) * share
        weight, share = np.maximum(weight, reached), INDIRECT
    return weight


@njit(cache=True, nogil=True)
def _direct(top, low, room, level, reach, beside):  # type: ignore[no-untyped-def]
    """(K, K) how much instance b (column) is in the way of a (row) without anything between."""
    count, nx, ny = top.shape
    out = np.zeros((count, count))
    for a in range(count):
        over, near = np.zeros(count), np.zeros(count)
        own, ring = 0, 0
        for i in range(nx):
            for j in range(ny):
                if top[a, i, j] > -np.inf:
                    own += 1
                    for b in range(count):
                        if b != a and top[b, i, j] > top[a, i, j] + level:
                            over[b] += 1.0
                    continue
                beside_a = False
                for i2 in range(max(i - room, 0), min(i + room + 1, nx)):
                    for j2 in range(max(j - room, 0), min(j + room + 1, ny)):
                        beside_a = beside_a or top[a, i2, j2] > -np.inf
                if beside_a:
                    ring += 1
                    for b in range(count):
                        if top[b, i, j] > low[a] + reach:
                            near[b] += 1.0
        for b in range(count):
            out[a, b] = over[b] / max(own, 1) + beside * near[b] / max(ring, 1)
    return out
