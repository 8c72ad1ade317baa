"""Instance segmentation by geometry: which surface points belong together as one item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.fuse import FusedScene
from pickcell.geometry import inverse, transform_points, transform_vectors
from pickcell.segmentation.agglomerate import agglomerate
from pickcell.segmentation.config import SegmentationConfig
from pickcell.segmentation.foreground import foreground, to_lab
from pickcell.segmentation.graph import FEATURES, PatchGraph, build_graph, log_odds
from pickcell.segmentation.supervoxels import Patches, grow_patches, neighbours_of, smooth_normals


class Segmenter(Protocol):
    """What a learned segmenter must offer to take this one's place."""

    def segment(self, fused: FusedScene, max_diameter_m: float) -> NDArray[np.int32]:
        """(N,) instance id of each point of ``fused.cloud``, from 1 without gaps, 0 for none. No item is longer than
        ``max_diameter_m``."""


@dataclass(frozen=True)
class PatchScene:
    """The intermediate picture: item points in patches, and the patches' graph."""

    rows: NDArray[np.intp]
    """(M,) rows of the cloud that belong to items."""
    patches: Patches
    graph: PatchGraph


class GeometricSegmenter:
    """Supervoxels, evidence by convexity and colour, average-linkage merging."""

    def __init__(self, cell: CellConfig, config: SegmentationConfig | None = None) -> None:
        self._tote = cell.totes["source"]
        self._X_base_tote = cell.X_base_tote("source")
        self._X_tote_base = inverse(self._X_base_tote)
        self.config = config or SegmentationConfig()

    def segment(self, fused: FusedScene, max_diameter_m: float) -> NDArray[np.int32]:
        out = np.zeros(len(fused.cloud), np.int32)
        scene = self.patch_scene(fused)
        if len(scene.rows) == 0:
            return out
        evidence = log_odds(scene.graph)
        limit = max_diameter_m + self.config.diameter_slack_m
        segment = agglomerate(scene.patches.centres, scene.graph.pairs, scene.graph.links, evidence, limit)
        segment = _absorb_fragments(segment, scene, evidence, self.config.fragment_points)
        label = scene.patches.label
        point_segment = np.where(label >= 0, segment[np.maximum(label, 0)], -1)
        out[scene.rows] = _number_large(point_segment, self.config.min_points)
        return out

    def patch_scene(self, fused: FusedScene) -> PatchScene:
        """Item points, patches and graph of a fused scene (also the input of training the evidence weights)."""
        cloud, voxel = fused.cloud, fused.volume.voxel_m
        lab = to_lab(cloud.colors)
        points = transform_points(self._X_tote_base, cloud.points)
        normals = transform_vectors(self._X_tote_base, cloud.normals)
        rows = np.flatnonzero(foreground(points, normals, lab, self._tote, self.config, voxel))
        if len(rows) < self.config.min_points:
            rows = rows[:0]
            return PatchScene(rows, _no_patches(), _no_graph())
        cells = np.ascontiguousarray(fused.surface.cells[rows])
        neighbours = neighbours_of(cells)
        smooth = smooth_normals(np.ascontiguousarray(normals[rows], dtype=np.float64), neighbours, 2)
        patches = grow_patches(points[rows], smooth, lab[rows], cells, neighbours, self.config, voxel)

        def distance(at: NDArray[np.float64]) -> NDArray[np.float64]:
            return fused.volume.distance(transform_points(self._X_base_tote, at))

        return PatchScene(rows, patches, build_graph(patches, neighbours, distance))


def _no_patches() -> Patches:
    empty = np.zeros((0, 3))
    return Patches(np.zeros(0, np.int32), empty, empty, empty, np.zeros(0, np.int64))


def _no_graph() -> PatchGraph:
    return PatchGraph(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros((0, len(FEATURES))))


def _absorb_fragments(
    segment: NDArray[np.int64], scene: PatchScene, evidence: NDArray[np.float64], fragment_points: int
) -> NDArray[np.int64]:
    """Give each segment below ``fragment_points`` to the touching segment it fits best, while that is not far-fetched."""
    far_fetched = -2.5
    segment = segment.copy()
    for _ in range(3):
        sizes = np.bincount(segment, weights=scene.patches.sizes, minlength=segment.max() + 1)
        a, b = segment[scene.graph.pairs[:, 0]], segment[scene.graph.pairs[:, 1]]
        across = (a != b) & (np.minimum(sizes[a], sizes[b]) < fragment_points)
        if not across.any():
            break
        small = np.where(sizes[a] < sizes[b], a, b)[across]
        large = np.where(sizes[a] < sizes[b], b, a)[across]
        key, group = np.unique(np.column_stack([small, large]), axis=0, return_inverse=True)
        links = scene.graph.links[across]
        mean = np.bincount(group.ravel(), weights=evidence[across] * links) / np.bincount(group.ravel(), weights=links)
        changed = False
        for s in np.unique(key[:, 0]):
            options = np.flatnonzero(key[:, 0] == s)
            pick = options[mean[options].argmax()]
            if mean[pick] > far_fetched:
                segment[segment == s] = key[pick, 1]
                changed = True
        if not changed:
            break
    return np.unique(segment, return_inverse=True)[1].astype(np.int64)


def _number_large(segment: NDArray[np.int64], min_points: int) -> NDArray[np.int32]:
    """Ids from 1 in descending order of size for segments of at least ``min_points`` points, 0 for the rest."""
    sizes = np.bincount(segment[segment >= 0], minlength=1)
    order = np.argsort(-sizes, kind="stable")
    ids = np.zeros(len(sizes) + 1, np.int32)
    kept = [s for s in order if sizes[s] >= min_points]
    ids[kept] = np.arange(1, len(kept) + 1)
    return ids[segment]
