"""Perception from the truth: the scene that perfect cameras, segmentation, completion and identity would give.

It separates causes: what fails with it is not perception's fault. It needs no picture, so that physics alone can run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pickcell.blas import limit_blas_threads
from pickcell.cell import CellConfig
from pickcell.completion.box import fit_box
from pickcell.fusion.config import FusionConfig
from pickcell.fusion.furniture import furniture_boxes
from pickcell.fusion.workspace import CEILING_M, Workspace
from pickcell.geometry import Pose, inverse, make_pose, transform_points, transform_vectors
from pickcell.outcome import CODES, Code, Outcome
from pickcell.values import (
    CameraHealth,
    CameraModel,
    HeightMap,
    Identity,
    Instance,
    JointState,
    PointCloud,
    RgbdFrame,
    Scene,
    ShapeEstimate,
    Sku,
    Voxel,
    VoxelGrid,
)
from pickcell_sim.driver import SimDriver
from pickcell_sim.oracle.maps import Solids, box_planes, exposures, inside_solids, seen, top_heights
from pickcell_sim.oracle.shapes import ItemSurface, item_surface
from pickcell_sim.scoring.places import Where, tote_around
from pickcell_sim.world import SimWorld

F64 = NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])
COLOR = (150, 150, 150)
"""Of all points: nothing but pictures tells colours."""
REACH_M = 0.9
"""Items further than this from every tote (fallen off the table) are in no map."""


class OraclePerception:
    """Takes the place of :class:`pickcell.perception.PerceptionPipeline` in a simulated cell.

    Instances are numbered like the items of the world. What the arm itself covers is not considered.
    """

    def __init__(
        self,
        source: SimDriver | SimWorld,
        cell: CellConfig,
        catalogue: Mapping[str, Sku],
        *,
        fusion: FusionConfig | None = None,
    ) -> None:
        """``source``: the world whose truth is told. ``catalogue``: what an instance can be recognised as. ``fusion``: gives
        the resolution of the maps. Holds numpy's matrix library to one thread from now on, as perception does."""
        limit_blas_threads(1)
        self.world = source.world if isinstance(source, SimDriver) else source
        self.cell = cell
        self._catalogue = catalogue
        self._config = fusion or FusionConfig()
        self._X_base_world = inverse(cell.X_world_base)
        boxes = furniture_boxes(cell)
        self._workspace = Workspace(cell, self._config, boxes)
        self._furniture = [
            ((box_planes(box.X_base_box, box.half),), np.array([[*box.X_base_box[:3, 3], np.linalg.norm(box.half)]]))
            for box in boxes
        ]

    @property
    def cameras(self) -> tuple[CameraHealth, ...]:
        """No camera takes part."""
        return ()

    def observe(
        self, frames: list[RgbdFrame], joints: JointState, manifest: Mapping[str, int], now_s: float
    ) -> Outcome[Scene]:
        """The true scene now. ``frames`` and ``joints`` are not needed; ``manifest``: SKU -> count in the source tote.

        Fails with SCENE_EMPTY only, with the scene (maps) as value, when no item lies in the source tote.
        """
        start = time.perf_counter()
        surfaces = [self._in_base(surface) for surface in self._surfaces()]
        content = [s for s in surfaces if tote_around(self.cell, self.cell.X_world_base @ s.X_world_item) is Where.SOURCE]
        solids = Solids.pack([*self._furniture, *((s.planes, s.spheres) for s in surfaces)])
        instances = self._instances(content, surfaces, solids, manifest)
        points = np.vstack([s.points for s in surfaces]) if surfaces else np.zeros((0, 3))
        scene = Scene(
            now_s,
            instances,
            self._occupancy(points, surfaces),
            {name: self._heightmap(name, points) for name in self.cell.totes},
            timings_ms={"oracle": 1000.0 * (time.perf_counter() - start)},
        )
        if instances:
            return Outcome.success(scene)
        return replace(Outcome.success(scene), code=Code.SCENE_EMPTY, text=CODES[Code.SCENE_EMPTY].sentence)

    def exposures(self) -> dict[int, float]:
        """By item number: the share of its footprint over which nothing else lies, now."""
        surfaces = [self._in_base(surface) for surface in self._surfaces()]
        return self._exposures(surfaces) if surfaces else {}

    # -- surfaces ----------------------------------------------------------------------------------------------------
    def _surfaces(self) -> list[ItemSurface]:
        """All items near the totes, by number, in the world."""
        items = sorted(self.world.item_bodies.values(), key=lambda item: item.item_id)
        surfaces = (item_surface(self.world.client, item) for item in items)
        return [s for s in surfaces if self._near(s.X_world_item)]

    def _near(self, X_world_item: Pose) -> bool:
        positions = [tote.X_world_tote[:3, 3] for tote in self.cell.totes.values()]
        return min(float(np.linalg.norm(X_world_item[:3, 3] - position)) for position in positions) < REACH_M

    def _in_base(self, s: ItemSurface) -> ItemSurface:
        """The same surface in ``base_link`` (its pose, too)."""
        X = self._X_base_world

        def moved(planes: F64) -> F64:
            normals = transform_vectors(X, planes[:, :3])
            return np.column_stack([normals, planes[:, 3] + normals @ X[:3, 3]])

        return replace(
            s,
            X_world_item=X @ s.X_world_item,
            vertices=transform_points(X, s.vertices),
            planes=tuple(moved(planes) for planes in s.planes),
            spheres=np.column_stack([transform_points(X, s.spheres[:, :3]), s.spheres[:, 3]]),
            points=transform_points(X, s.points),
            normals=transform_vectors(X, s.normals),
        )

    # -- instances ---------------------------------------------------------------------------------------------------
    def _instances(
        self, content: list[ItemSurface], surfaces: list[ItemSurface], solids: Solids, manifest: Mapping[str, int]
    ) -> tuple[Instance, ...]:
        if not content:
            return ()
        points = np.ascontiguousarray(np.vstack([s.points for s in content]))
        normals = np.ascontiguousarray(np.vstack([s.normals for s in content]))
        visible = np.split(seen(points, normals, self._views(), solids), np.cumsum([len(s.points) for s in content])[:-1])
        exposure = self._exposures(surfaces)
        return tuple(
            Instance(
                s.item.item_id,
                _cloud(s.points[mask], s.normals[mask]),
                _shape(s),
                self._identity(s.item.name, manifest),
                exposure[s.item.item_id],
            )
            for s, mask in zip(content, visible)
        )

    def _views(self) -> list[tuple[CameraModel, Pose]]:
        """The cell's cameras where they are now, in ``base_link``."""
        views = []
        for camera in self.cell.cameras:
            X_world_parent = self.world.X_world_link("tool0") if camera.parent == "tool0" else np.eye(4)
            views.append((camera.model, self._X_base_world @ X_world_parent @ camera.X_parent_camera))
        return views

    def _exposures(self, surfaces: list[ItemSurface]) -> dict[int, float]:
        """By item: share of its footprint in the source tote over which nothing else lies."""
        local = [transform_points(inverse(self.cell.X_base_tote("source")), s.points) for s in surfaces]
        owner = np.repeat(np.arange(len(surfaces)), [len(s.points) for s in surfaces])
        size = np.asarray(self.cell.totes["source"].inner[:2], dtype=float)
        shares = exposures(np.vstack(local), owner, len(surfaces), size)
        return {s.item.item_id: float(share) for s, share in zip(surfaces, shares)}

    def _identity(self, sku: str, manifest: Mapping[str, int]) -> Identity:
        """Certain, as long as the manifest lists it and the catalogue knows it."""
        listed = sorted(name for name, count in manifest.items() if count > 0)
        if sku not in listed or sku not in self._catalogue:
            return Identity.unknown()
        return Identity(sku, 1.0, ((sku, 1.0), *((name, 0.0) for name in listed if name != sku)))

    # -- maps --------------------------------------------------------------------------------------------------------
    def _occupancy(self, points: F64, surfaces: list[ItemSurface]) -> VoxelGrid:
        """Furniture and surfaces are occupied, the inside of items is unknown as it is to cameras, all else is free."""
        nothing = (np.eye(4), np.zeros(3), np.zeros(3))
        grid = self._workspace.build(self._workspace.observe([], nothing), points.astype(np.float32), np.zeros((0, 4)))
        solids = Solids.pack([(s.planes, s.spheres) for s in surfaces])
        nx, ny, nz = grid.state.shape
        inside = inside_solids((nx, ny, nz), grid.origin, grid.resolution_m, solids)
        state = grid.state.copy()
        state[(state == Voxel.UNKNOWN) & ~inside] = Voxel.FREE
        return VoxelGrid(grid.origin, grid.resolution_m, state)

    def _heightmap(self, tote: str, points: F64) -> HeightMap:
        inner = np.asarray(self.cell.totes[tote].inner)
        X_base_map = self.cell.X_base_tote(tote) @ make_pose((-0.5 * inner[0], -0.5 * inner[1], 0.0))
        resolution = self._config.heightmap_m
        local = transform_points(inverse(X_base_map), points)
        return HeightMap(X_base_map, resolution, top_heights(local, inner[:2], inner[2] + CEILING_M, resolution))


def _cloud(points: F64, normals: F64) -> PointCloud:
    colors = np.tile(np.array(COLOR, np.uint8), (len(points), 1))
    return PointCloud(points.astype(np.float32), normals.astype(np.float32), colors)


def _shape(surface: ItemSurface) -> ShapeEstimate:
    """The full surface, certain everywhere, with the item's own box; with joints, a fitted one when that is smaller."""
    X, extents = _own_box(surface)
    if not surface.rigid:
        fitted, sides = fit_box(surface.points, surface.normals, UP, trim=0.0)
        if np.prod(np.maximum(sides, 1e-4)) < 0.97 * np.prod(np.maximum(extents, 1e-4)):
            X, extents = fitted, sides
    cloud = _cloud(surface.points, surface.normals)
    return ShapeEstimate(cloud, np.ones(len(cloud), np.float32), X, extents)


def _own_box(surface: ItemSurface) -> tuple[Pose, F64]:
    """Bounding box along the axes of the item's own frame: centre and axes (x longest, z shortest), extents (3,)."""
    R = surface.X_world_item[:3, :3]
    local = surface.vertices @ R
    low, extents = local.min(axis=0), np.ptp(local, axis=0)
    order = np.argsort(-extents, kind="stable")
    X = np.eye(4)
    X[:3, :3] = R[:, order]
    if np.linalg.det(X[:3, :3]) < 0:
        X[:3, 2] = -X[:3, 2]
    X[:3, 3] = R @ (low + 0.5 * extents)
    return X, extents[order]
