"""Full shapes from what was seen: sides carried down to the support, hidden faces by mirror symmetry.

Both are guesses with a long record in grasping (Bohg et al. 2011, "Mind the gap", mirror symmetry; extrusion to the
table as in Quispe et al. 2015). Neither may put surface where a camera looked through: such points are dropped, and
a mirror plane that contradicts free space too often is not believed at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.completion.box import fit_box
from pickcell.completion.config import CompletionConfig
from pickcell.completion.merge import Part, merge_parts, thin
from pickcell.completion.outline import Footprint, footprint_of, walls_below
from pickcell.completion.tops import TopMap
from pickcell.fusion.tsdf import TsdfVolume
from pickcell.geometry import Pose, inverse, transform_points, transform_vectors
from pickcell.values import PointCloud, ShapeEstimate

UP = np.array([0.0, 0.0, 1.0])
_REFLECTIONS = tuple(
    np.array(signs, dtype=np.float64)
    for signs in ((-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1))
)
"""Sign patterns of the mirror planes of a box and of their pairwise products (half turns)."""


class Completer(Protocol):
    """What a learned completion must offer to take this one's place."""

    def complete_all(self, cloud: PointCloud, labels: NDArray[np.int32], volume: TsdfVolume) -> list[Completed]:
        """One result per instance id 1..max of ``labels`` (N,), in that order."""


@dataclass(frozen=True)
class Completed:
    """The estimate for one instance."""

    visible: PointCloud
    shape: ShapeEstimate
    seen_extents_m: NDArray[np.float64]
    """(3,) how far the measured points alone reach along the box axes: the item cannot be smaller."""
    exposure: float
    """Share of its footprint over which nothing else lies, 0..1."""


def possible(
    points: NDArray[np.float64], inner: NDArray[np.float64], volume: TsdfVolume, X_base_tote: Pose
) -> NDArray[np.bool_]:
    """(N,) whether an item may have surface at points (N, 3) in the tote's frame: inside the tote, not looked through."""
    if len(points) == 0:
        return np.zeros(0, bool)
    half = 0.5 * inner[:2] + 0.002
    inside = np.all(np.abs(points[:, :2]) < half, axis=1) & (points[:, 2] > -0.002)
    return inside & ~volume.observed_free(points, X_base_tote)


def extents_seen(points: NDArray[np.float64], X_box: Pose, extents: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) how far measured points (N, 3) reach along the axes of a box."""
    return np.minimum(np.ptp((points - X_box[:3, 3]) @ X_box[:3, :3], axis=0), extents)


def assemble(
    visible: PointCloud,
    parts: list[Part],
    box: tuple[Pose, NDArray[np.float64]],
    X_base_tote: Pose,
    config: CompletionConfig,
) -> tuple[ShapeEstimate, NDArray[np.float64]]:
    """One estimate from measured points (``parts[0]``) and inferred ones, all in the tote's frame, and its points (N, 3)
    there. ``box``: its bounding box."""
    points, normals, confidence, source = merge_parts(parts, config.merge_m, config.spacing_m)
    cloud = PointCloud(
        transform_points(X_base_tote, points).astype(np.float32),
        transform_vectors(X_base_tote, normals).astype(np.float32),
        visible.colors[source],
    )
    X_tote_box, extents = box
    shape = ShapeEstimate(cloud, confidence, X_base_tote @ X_tote_box, np.maximum(extents, config.min_thickness_m))
    return shape, points


class GeometricCompleter:
    """Support and symmetry for the items of one cell's source tote."""

    def __init__(self, cell: CellConfig, config: CompletionConfig | None = None) -> None:
        self._X_base_tote = cell.X_base_tote("source")
        self._X_tote_base = inverse(self._X_base_tote)
        self._inner = np.asarray(cell.totes["source"].inner)
        self.config = config or CompletionConfig()

    def complete_all(self, cloud: PointCloud, labels: NDArray[np.int32], volume: TsdfVolume) -> list[Completed]:
        points = transform_points(self._X_tote_base, cloud.points)
        tops = TopMap(points, labels, self._inner, self.config.spacing_m)
        order = np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[order], np.arange(1, int(labels.max(initial=0)) + 2))
        out = []
        for i in range(len(bounds) - 1):
            rows = order[bounds[i] : bounds[i + 1]]
            out.append(self._complete(cloud.select(rows), points[rows], i + 1, tops, volume))
        return out

    def _complete(
        self, visible: PointCloud, points: NDArray[np.float64], label: int, tops: TopMap, volume: TsdfVolume
    ) -> Completed:
        """``points``: the visible points in the tote's frame."""
        config = self.config
        normals = transform_vectors(self._X_tote_base, visible.normals)
        footprint = footprint_of(points, config.spacing_m)
        support = self._support(points, footprint, label, tops)
        X_tote_box, extents = fit_box(points, normals, UP)
        side_points, side_normals = np.zeros((0, 3)), np.zeros((0, 3))
        if not self._is_leaning_plate(X_tote_box, extents):
            side_points, side_normals = walls_below(footprint, support, config.spacing_m)
            side_points, side_normals = self._admit(side_points, side_normals, volume)
            foot = self._foot(footprint, support)
            body_normals = np.vstack([normals, side_normals, np.tile(-UP, (len(foot), 1))])
            X_tote_box, extents = fit_box(np.vstack([points, side_points, foot]), body_normals, UP)
        few = thin(points, config.spacing_m)
        mirrored, mirrored_normals, trust = self._mirror(points[few], normals[few], X_tote_box, volume)
        parts = [
            (points, normals, np.ones(len(points))),
            (side_points, side_normals, np.full(len(side_points), config.extruded_confidence)),
            (mirrored, mirrored_normals, trust),
        ]
        shape, in_tote = assemble(visible, parts, (X_tote_box, extents), self._X_base_tote, config)
        seen = extents_seen(points, X_tote_box, extents)
        return Completed(visible, shape, seen, tops.exposure(label, in_tote))

    def _support(self, points: NDArray[np.float64], footprint: Footprint, label: int, tops: TopMap) -> float:
        """Height of what the item seems to stand on: the highest thing around its outline that is not above its lowest
        visible point; the tote's floor when there is none."""
        lowest = float(np.quantile(points[:, 2], 0.02))
        around = tops.around(footprint, label, self.config.support_search_m)
        below = around[around <= lowest + self.config.support_slack_m]
        if len(below) < 4:
            return 0.0
        return float(np.clip(np.quantile(below, 0.85), 0.0, max(lowest - self.config.min_thickness_m, 0.0)))

    def _is_leaning_plate(self, X_tote_box: NDArray[np.float64], extents: NDArray[np.float64]) -> bool:
        tilt = float(np.arccos(np.clip(abs(X_tote_box[2, 2]), 0.0, 1.0)))
        return bool(extents[2] < self.config.plate_m) and tilt > self.config.plate_tilt_rad

    def _foot(self, footprint: Footprint, support: float) -> NDArray[np.float64]:
        """Points of the outline at the support's height, so that the box reaches down to it."""
        cells = footprint.outline_xy
        return np.column_stack([cells, np.full(len(cells), support)]) if len(cells) else np.zeros((0, 3))

    def _admit(
        self, points: NDArray[np.float64], normals: NDArray[np.float64], volume: TsdfVolume
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Drop what lies in observed-free space or outside the tote."""
        keep = self._possible(points, volume)
        return points[keep], normals[keep]

    def _possible(self, points: NDArray[np.float64], volume: TsdfVolume) -> NDArray[np.bool_]:
        return possible(points, self._inner, volume, self._X_base_tote)

    def _mirror(
        self, points: NDArray[np.float64], normals: NDArray[np.float64], X_box: NDArray[np.float64], volume: TsdfVolume
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Reflections about the box's middle planes, and about pairs of them, as far as free space allows."""
        local = (points - X_box[:3, 3]) @ X_box[:3, :3]
        local_normals = normals @ X_box[:3, :3]
        out_points, out_normals, out_trust = [np.zeros((0, 3))], [np.zeros((0, 3))], [np.zeros(0)]
        believed = np.zeros(3, bool)
        for signs in _REFLECTIONS:
            flipped = signs < 0
            if flipped.sum() > 1 and not believed[flipped].all():
                continue  # a product of reflections is believed only with its factors
            candidate = (local * signs) @ X_box[:3, :3].T + X_box[:3, 3]
            possible = self._possible(candidate, volume)
            agreement = float(possible.mean())
            if agreement < self.config.mirror_agreement:
                continue
            if flipped.sum() == 1:
                believed[flipped] = True
            out_points.append(candidate[possible])
            out_normals.append(((local_normals * signs) @ X_box[:3, :3].T)[possible])
            out_trust.append(
                np.full(int(possible.sum()), self.config.mirrored_confidence * agreement / flipped.sum() ** 0.5)
            )
        return np.vstack(out_points), np.vstack(out_normals), np.concatenate(out_trust)
