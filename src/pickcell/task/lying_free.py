"""Would it help to dig an item out? What the choice would say of it if it lay in the tote alone, on its largest side."""

from __future__ import annotations

import numpy as np

from pickcell.completion.solids import Solid, surface_points
from pickcell.geometry import transform_points, transform_vectors
from pickcell.values import (
    IMAGINED_S,
    HeightMap,
    Identity,
    Instance,
    PointCloud,
    Scene,
    ShapeEstimate,
    Sku,
    Voxel,
    VoxelGrid,
)

NO_BOX = ("irregular", "plush")
"""Kinds of which a box says nothing."""
SPACING_M = 0.003
MARGIN_M = 0.05
ABOVE_M = 0.30
VOXEL_M = 0.01
STANDS_BELOW = float(np.sqrt(0.5))


def stands(instance: Instance) -> bool:
    """Whether an instance stands or leans rather than lies: its thickness is nearer to level than to upright."""
    return bool(abs(instance.shape.X_base_box[2, 2]) < STANDS_BELOW)


def alone(product: Sku, floor: HeightMap) -> Scene | None:
    """A scene with nothing but a box of the product's size in the middle of the tote that ``floor`` is the map of, all but
    its underside seen; None for kinds that are no box at all. The scene is ``imagined``."""
    if product.kind in NO_BOX:
        return None
    extents = np.asarray(product.dimensions_m, dtype=np.float64)
    X_base_box = np.array(floor.X_base_map)
    size = floor.resolution_m * np.array(floor.height_m.shape)
    X_base_box[:3, 3] = transform_points(X_base_box, np.array([[*(0.5 * size), 0.5 * extents[2]]]))[0]
    if size[1] > size[0]:  # lengthwise
        X_base_box[:3, :3] = X_base_box[:3, :3] @ np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    points, normals = surface_points(Solid(0.5 * extents, False), SPACING_M)
    seen = normals[:, 2] > -0.5
    cloud = PointCloud(
        transform_points(X_base_box, points).astype(np.float32),
        transform_vectors(X_base_box, normals).astype(np.float32),
        np.full((len(points), 3), 128, np.uint8),
    )
    shape = ShapeEstimate(cloud, np.ones(len(points), np.float32), X_base_box, extents)
    identity = Identity(product.sku, 1.0, ((product.sku, 1.0),))
    return Scene(IMAGINED_S, (Instance(1, cloud.select(seen), shape, identity, 1.0),), _free(floor), {})


def _free(floor: HeightMap) -> VoxelGrid:
    """Nothing but seen, free space over the tote."""
    size = np.array([*(floor.resolution_m * np.array(floor.height_m.shape)), ABOVE_M])
    beside = np.array([MARGIN_M, MARGIN_M, 0.0])
    least, most = -beside, size + beside
    corners = np.array(np.meshgrid(*zip(least, most))).reshape(3, -1).T
    corners = transform_points(floor.X_base_map, corners)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return VoxelGrid(low, VOXEL_M, np.full(np.ceil((high - low) / VOXEL_M).astype(int), Voxel.FREE, np.uint8))
