"""What perception knows about the totes: points, free and occupied space, instances and their full shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose
from pickcell.values.camera import CameraModel
from pickcell.values.frozen import freeze

BASE_FRAME = "base_link"
IMAGINED_S = 0.0
"""Capture time of scenes that no camera has seen."""


@dataclass(frozen=True)
class PointCloud:
    """Surface points with outward unit normals and colours, in ``base_link``."""

    points: NDArray[np.float32]
    """(N, 3) metres."""
    normals: NDArray[np.float32]
    """(N, 3) unit vectors, pointing out of the surface (towards the camera that saw it)."""
    colors: NDArray[np.uint8]
    """(N, 3) RGB."""

    def __post_init__(self) -> None:
        n = np.asarray(self.points).shape[0]
        freeze(self, "points", (None, 3), np.float32)
        freeze(self, "normals", (n, 3), np.float32)
        freeze(self, "colors", (n, 3), np.uint8)

    def __len__(self) -> int:
        return int(self.points.shape[0])

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> PointCloud:
        return PointCloud(self.points[index], self.normals[index], self.colors[index])

    @staticmethod
    def empty() -> PointCloud:
        return PointCloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))


class Voxel(IntEnum):
    """State of a voxel. FREE has been looked through, OCCUPIED holds a surface, UNKNOWN was never seen."""

    FREE = 0
    UNKNOWN = 1
    OCCUPIED = 2


@dataclass(frozen=True)
class VoxelGrid:
    """Occupancy of an axis-aligned box in ``base_link``; voxel (i, j, k) is centred at origin + (ijk + .5) * resolution."""

    origin: NDArray[np.float64]
    """(3,) lower corner of voxel (0, 0, 0), metres."""
    resolution_m: float
    state: NDArray[np.uint8]
    """(nx, ny, nz) of :class:`Voxel`."""

    def __post_init__(self) -> None:
        freeze(self, "origin", (3,), np.float64)
        freeze(self, "state", (None, None, None), np.uint8)


@dataclass(frozen=True)
class HeightMap:
    """Height of the topmost surface over a tote's inner floor area, axes parallel to the tote's."""

    X_base_map: Pose
    """Frame at the corner of cell (0, 0) on the tote's inner floor, +z up; cell (i, j) is centred at
    ((i, j) + .5) * resolution."""
    resolution_m: float
    height_m: NDArray[np.float32]
    """(nx, ny) metres above the floor; NaN where nothing was seen."""

    def __post_init__(self) -> None:
        freeze(self, "X_base_map", (4, 4), np.float64)
        freeze(self, "height_m", (None, None), np.float32)


@dataclass(frozen=True)
class ShapeEstimate:
    """The full surface of an instance: what was seen, and what is believed of the sides nobody saw."""

    cloud: PointCloud
    confidence: NDArray[np.float32]
    """(N,) 1 for measured points, lower for inferred ones."""
    X_base_box: Pose
    """Centre and axes of the bounding box, longest extent along x, shortest along z."""
    extents_m: NDArray[np.float64]
    """(3,) full side lengths along the box axes, descending."""

    def __post_init__(self) -> None:
        freeze(self, "confidence", (len(self.cloud),), np.float32)
        freeze(self, "X_base_box", (4, 4), np.float64)
        freeze(self, "extents_m", (3,), np.float64)


@dataclass(frozen=True)
class Identity:
    """Which SKU of the manifest an instance is taken for."""

    sku: str | None
    """None: no answer (not on the manifest, or too unsure)."""
    confidence: float
    """Probability that ``sku`` is right, 0..1."""
    ranking: tuple[tuple[str, float], ...] = ()
    """(sku, probability) of the candidates, best first."""

    @staticmethod
    def unknown() -> Identity:
        return Identity(None, 0.0)


@dataclass(frozen=True)
class Instance:
    """One item as perceived."""

    id: int
    """Label in the scene's label images, >= 1; from look to look the same for the same item, as far as can be told."""
    visible: PointCloud
    shape: ShapeEstimate
    identity: Identity
    exposure: float
    """How much of it lies free for a hand from above, 0 (buried) .. 1 (nothing over it)."""
    confidence: float = 1.0
    """How sure it is that this is one item and all of it, 0..1."""


@dataclass(frozen=True)
class SceneView:
    """What one camera saw, with instance labels: for evidence and for people."""

    camera: CameraModel
    X_base_camera: Pose
    color: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    labels: NDArray[np.uint16]
    """(H, W) instance id, 0 where none."""

    def __post_init__(self) -> None:
        freeze(self, "color", (self.camera.height, self.camera.width, 3), np.uint8)
        freeze(self, "labels", (self.camera.height, self.camera.width), np.uint16)
        freeze(self, "X_base_camera", (4, 4), np.float64)


@dataclass(frozen=True)
class CameraHealth:
    """What fusion thinks of one camera's contribution."""

    camera: str
    used: bool
    age_s: float
    """Age of its frame when it was fused."""
    valid_fraction: float
    """Share of pixels with depth."""
    note: str = ""
    """Why it was not used, or what is odd about it."""


@dataclass(frozen=True)
class Scene:
    """Everything later stages need to know about one look at the cell."""

    stamp_s: float
    """Capture time of the oldest frame in it."""
    instances: tuple[Instance, ...]
    occupancy: VoxelGrid
    """The cell's workspace at planning resolution, totes included."""
    heightmaps: dict[str, HeightMap]
    """By tote name: ``source``, ``destination``."""
    views: tuple[SceneView, ...] = ()
    cameras: tuple[CameraHealth, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def imagined(self) -> bool:
        """No camera has seen it: a question what would be if things lay like this."""
        return self.stamp_s == IMAGINED_S

    def instance(self, instance_id: int) -> Instance:
        """The instance with this id. Raises KeyError naming the valid ids."""
        for instance in self.instances:
            if instance.id == instance_id:
                return instance
        raise KeyError(f"no instance {instance_id}; the scene has {[i.id for i in self.instances]}")
