"""Instance segmentation by geometry: which surface points belong together as one item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.color import to_lab
from pickcell.fusion.fuse import FusedScene
from pickcell.geometry import inverse, transform_points, transform_vectors
from pickcell.identity.appearance import BINS, ColorGallery, bins_of
from pickcell.segmentation.agglomerate import merge_tree
from pickcell.segmentation.config import SegmentationConfig
from pickcell.segmentation.foreground import foreground
from pickcell.segmentation.graph import SignedDistance, build_graph
from pickcell.segmentation.patch_scene import Evidence, GeometricJudge, Judge, Judgement, PatchScene
from pickcell.segmentation.recognition import HIDDEN, ItemPoints, ProductLook, best_cut
from pickcell.segmentation.reunite import reunite, segment_pairs
from pickcell.segmentation.supervoxels import grow_patches, neighbours_of, smooth_normals
from pickcell.segmentation.trust import trust
from pickcell.values import Sku

LONGEST_ITEM_M = 0.40
"""Assumed when nothing is known of the products."""


@dataclass(frozen=True)
class Segmentation:
    """Which points belong together."""

    labels: NDArray[np.int32]
    """(N,) instance id of each point of the cloud, from 1 without gaps, 0 for none."""
    confidence: NDArray[np.float32]
    """(K,) per instance 1..K: chance that it is one item and all that is seen of it: :mod:`pickcell.segmentation.trust`."""


class Segmenter(Protocol):
    """What another segmenter must offer to take this one's place."""

    def segment(self, fused: FusedScene, products: Sequence[tuple[Sku, int]]) -> Segmentation:
        """Instances of the source tote. ``products``: what is in the tote by the manifest, with counts; empty when nothing
        is known."""


class PatchSegmenter:
    """Supervoxels, a judge's evidence between them, average-linkage merging, and the manifest's word on where to cut."""

    def __init__(
        self,
        cell: CellConfig,
        config: SegmentationConfig | None = None,
        gallery: ColorGallery | None = None,
        judge: Judge | None = None,
    ) -> None:
        """``gallery``: colour models of the products; without it only their sizes count. ``judge``: geometry alone unless
        given."""
        self._judge = judge or GeometricJudge()
        self._X_base_tote = cell.X_base_tote("source")
        self._tote = cell.totes["source"]
        self._X_tote_base = inverse(self._X_base_tote)
        self._gallery = gallery
        self.config = config or SegmentationConfig()

    def segment(self, fused: FusedScene, products: Sequence[tuple[Sku, int]]) -> Segmentation:
        out = np.zeros(len(fused.cloud), np.int32)
        judgement = self._judge.look(fused)
        scene = self.patch_scene(fused, judgement)
        if len(scene.rows) == 0 or len(scene.patches.centres) == 0:  # a few stray points make no patch
            return Segmentation(out, np.zeros(0, np.float32))
        evidence = judgement.weigh(scene)
        instance = self.instances(scene, evidence, products, self.distance(fused))
        label = scene.patches.label
        out[scene.rows] = np.where(label >= 0, instance[np.maximum(label, 0)], 0)
        return Segmentation(out, trust(instance, scene, evidence, self.look(products)))

    def instances(
        self, scene: PatchScene, evidence: Evidence, products: Sequence[tuple[Sku, int]], distance: SignedDistance
    ) -> NDArray[np.int32]:
        """(P,) instance of each patch, from 1 in descending order of size, 0 for none."""
        segment = self.parts(scene, evidence, products)
        if evidence.votes is not None and evidence.reunite is not None:
            pairs = segment_pairs(segment, scene, evidence.votes, evidence.log_odds, distance)
            segment = reunite(segment, pairs, evidence.reunite, scene, self._limit_m(products))
        segment = _absorb_fragments(segment, scene, evidence.log_odds, self.config.fragment_points)
        return _number_large(segment, scene.patches.sizes, self.config.min_points)

    def parts(self, scene: PatchScene, evidence: Evidence, products: Sequence[tuple[Sku, int]]) -> NDArray[np.int64]:
        """(P,) segment of each patch, 0-based: what is joined by patches that touch (also the input of training what
        reunites them)."""
        config, graph, patches = self.config, scene.graph, scene.patches
        threshold, limit = config.join_above if products else 0.0, self._limit_m(products)
        tree = merge_tree(patches.centres, graph.pairs, graph.links, evidence.log_odds, limit, threshold)
        return best_cut(tree, scene.items, self.look(products), config) if products else tree.cut(0.0)

    def _limit_m(self, products: Sequence[tuple[Sku, int]]) -> float:
        longest = max((float(np.linalg.norm(sku.dimensions_m)) for sku, _ in products), default=LONGEST_ITEM_M)
        return longest + self.config.diameter_slack_m

    def distance(self, fused: FusedScene) -> SignedDistance:
        """Signed distance to the surface at points in the tote's frame."""
        return lambda at: fused.volume.distance(transform_points(self._X_base_tote, at))

    def look(self, products: Sequence[tuple[Sku, int]]) -> ProductLook:
        """The products as recognition knows them."""
        names = [sku.sku for sku, _ in products]
        sizes = np.array([sku.dimensions_m for sku, _ in products])
        counts = np.array([count for _, count in products], dtype=np.int64)
        if self._gallery is None:
            return ProductLook(sizes, np.zeros((len(names), BINS), np.float32), counts)
        return ProductLook(sizes, self._gallery.table(names, HIDDEN.color_floor), counts)

    def patch_scene(self, fused: FusedScene, judgement: Judgement | None = None) -> PatchScene:
        """Item points, patches and graph of a fused scene (also the input of training the evidence weights)."""
        judgement = judgement or self._judge.look(fused)
        cloud, voxel = fused.cloud, fused.volume.voxel_m
        lab = to_lab(cloud.colors)
        points = transform_points(self._X_tote_base, cloud.points)
        normals = transform_vectors(self._X_tote_base, cloud.normals)
        geometric = foreground(points, normals, lab, self._tote, self.config, voxel)
        rows = np.flatnonzero(judgement.is_item(geometric))
        if len(rows) < self.config.min_points:
            return PatchScene.empty()
        cells = np.ascontiguousarray(fused.surface.cells[rows])
        neighbours = neighbours_of(cells)
        smooth = smooth_normals(np.ascontiguousarray(normals[rows], dtype=np.float64), neighbours, 2)
        patches = grow_patches(points[rows], smooth, lab[rows], cells, neighbours, self.config, voxel)
        items = ItemPoints(points[rows], smooth, bins_of(lab[rows]), patches.label)
        return PatchScene(rows, patches, build_graph(patches, neighbours, self.distance(fused)), items)


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


def _number_large(segment: NDArray[np.int64], sizes: NDArray[np.int64], min_points: int) -> NDArray[np.int32]:
    """(P,) id of each patch's segment: from 1 in descending order of size for those of at least ``min_points`` points, 0 for
    the rest. ``sizes``: (P,) points of each patch."""
    points = np.bincount(segment, sizes, minlength=1)
    order = np.argsort(-points, kind="stable")
    kept = order[points[order] >= min_points]
    ids = np.zeros(len(points), np.int32)
    ids[kept] = np.arange(1, len(kept) + 1)
    return ids[segment]
