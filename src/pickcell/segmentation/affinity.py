"""The affinity network at work: what each camera's picture says of which pixels show one item.

Inference by ONNX Runtime; :mod:`pickcell.learning.affinity_net` trains and exports the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion.tsdf import DepthView, Surface, TsdfVolume
from pickcell.geometry import inverse
from pickcell.network import ModelError, Network
from pickcell.segmentation.crop import HEIGHT, WIDTH, Crop, crop_input, tote_crop
from pickcell.segmentation.labels import nearest_row
from pickcell.segmentation.offsets import CHANNELS_OUT, LOGITS, OFFSETS, REACHES, STRIDE

SEEN_WITHIN_M = 0.008
"""A view sees a point when its depth there agrees to within this."""
UNSEEN = -99.0


@dataclass(frozen=True)
class ViewAffinity:
    """The network's answer on one view."""

    view: DepthView
    crop: Crop
    logits: NDArray[np.float32]
    """(LOGITS, HEIGHT / STRIDE, WIDTH / STRIDE), see :mod:`pickcell.segmentation.offsets`."""
    votes: NDArray[np.float32]
    """(VOTES, HEIGHT / STRIDE, WIDTH / STRIDE), see there."""


class AffinityNetwork:
    """A trained network. Not thread-safe: one call at a time."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        """Raises ModelError when the file is missing or is no such network."""
        self._network = Network(path, "./cell train segmentation", threads=1)
        self._threads = threads
        channels = self._network.channels_out
        if channels != CHANNELS_OUT:
            raise ModelError(
                f"{path} answers with {channels} channels, {CHANNELS_OUT} are needed: ./cell train segmentation"
            )

    def look(self, views: Sequence[DepthView], colors: Sequence[NDArray[np.uint8]], cell: CellConfig) -> list[ViewAffinity]:
        """Ask about each view that shows the source tote. ``colors``: (H, W, 3) RGB per view."""
        cut = [(view, color, tote_crop(view, cell)) for view, color in zip(views, colors)]
        shown = [(view, color, crop) for view, color, crop in cut if crop is not None]

        def ask(view: DepthView, color: NDArray[np.uint8], crop: Crop) -> ViewAffinity:
            answer = self._network.run(crop_input(view, color, cell, crop)[None])[0]
            return ViewAffinity(view, crop, answer[:LOGITS], answer[LOGITS:])

        # a thread for each view, rather than threads within the network: cutting out is shared, too, and nobody waits
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(lambda each: ask(*each), shown))


def item_logits(points: NDArray[np.float32], answers: Sequence[ViewAffinity]) -> NDArray[np.float32]:
    """(N,) mean logit of "an item" at points (N, 3) in ``base_link``, over the views that see each; UNSEEN where none
    does."""
    total, count = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    for answer in answers:
        pixel = pixel_of_points(points, answer)
        seen = pixel >= 0
        total[seen] += answer.logits[0].ravel()[pixel[seen]]
        count += seen
    return np.where(count > 0, total / np.maximum(count, 1.0), np.float32(UNSEEN)).astype(np.float32)


def pixel_of_points(points: NDArray[np.float32], answer: ViewAffinity) -> NDArray[np.int64]:
    """(N,) pixel of the answer (row times width plus column) that shows each point (N, 3) in ``base_link``; -1 where the
    view does not see it."""
    view, crop = answer.view, answer.crop
    k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
    shape = answer.logits.shape[1:]
    X = inverse(view.X_base_camera)
    return np.asarray(_pixel_of_points(points, X, k, view.depth_m, shape, crop.scale, crop.u0, crop.v0))


@njit(cache=True, nogil=True)
def _pixel_of_points(points, X, k, depth, shape, scale, u0, v0):  # type: ignore[no-untyped-def]
    h, w = depth.shape
    out = np.full(len(points), -1, np.int64)
    for p in range(len(points)):
        a, b, c = points[p]
        z = X[2, 0] * a + X[2, 1] * b + X[2, 2] * c + X[2, 3]
        if z < 0.05:
            continue
        u = k[0] * (X[0, 0] * a + X[0, 1] * b + X[0, 2] * c + X[0, 3]) / z + k[2]
        v = k[1] * (X[1, 0] * a + X[1, 1] * b + X[1, 2] * c + X[1, 3]) / z + k[3]
        ui, vi = int(u + 0.5), int(v + 0.5)
        if ui < 0 or ui >= w or vi < 0 or vi >= h or abs(depth[vi, ui] - z) > SEEN_WITHIN_M:
            continue
        row, column = int((v - v0) * scale) // STRIDE, int((u - u0) * scale) // STRIDE
        if 0 <= row < shape[0] and 0 <= column < shape[1]:
            out[p] = row * shape[1] + column
    return out


PAIR_FEATURES = ("near", "near_best", "middle", "middle_best", "unseen")
"""Per pair of patches, from pixel pairs across them at two reaches: mean logit of "the same item", and log-mean-exp of it,
which the surest pixels decide (a picture is unsure in a band along every edge, on the item's own side, too); drawn towards 0
where there are few. ``unseen``: 1 where no view shows such a pair."""
_PRIOR_PAIRS = 3.0
_POOLED = 2
"""Reaches that are pooled: at the longest, pixels hardly ever lie on touching patches."""


def patch_pictures(
    answers: Sequence[ViewAffinity], volume: TsdfVolume, surface: Surface, patch_of_point: NDArray[np.int32]
) -> list[NDArray[np.int32]]:
    """Per answer the patch (h, w) under each of its pixels, -1 for none; ``patch_of_point``: patch of each surface point."""
    return [_patch_picture(answer, volume, surface, patch_of_point) for answer in answers]


def pair_features(
    answers: Sequence[ViewAffinity], pictures: Sequence[NDArray[np.int32]], pairs: NDArray[np.int64], patches: int
) -> NDArray[np.float64]:
    """(E, len(PAIR_FEATURES)) for touching ``pairs`` (E, 2) of patches; ``pictures``: see :func:`patch_pictures`."""
    shape = (len(pairs), _POOLED)
    sums, exps, counts = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    start, other, edge = _adjacency(pairs, patches)
    offsets = np.array(OFFSETS[: REACHES[_POOLED - 1].stop], np.int64)
    reach = np.concatenate([np.full(len(OFFSETS[r]), i) for i, r in enumerate(REACHES[:_POOLED])])
    for answer, patch in zip(answers, pictures, strict=True):
        _pool(patch, answer.logits[1:], offsets, reach, start, other, edge, sums, exps, counts)
    weight = counts / (counts + _PRIOR_PAIRS)
    means = sums / np.maximum(counts, 1.0) * weight
    best = np.log(np.maximum(exps / np.maximum(counts, 1.0), 1e-9)) * weight
    pooled = np.stack([means, best], axis=2).reshape(len(pairs), -1)
    return np.column_stack([pooled, counts.sum(axis=1) == 0])


def _adjacency(pairs: NDArray[np.int64], patches: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs by their first patch: ``start`` (P + 1,), and per entry the second patch and the pair's row."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    start = np.searchsorted(pairs[order, 0], np.arange(patches + 1))
    return start.astype(np.int64), np.ascontiguousarray(pairs[order, 1]), order.astype(np.int64)


def _patch_picture(
    answer: ViewAffinity, volume: TsdfVolume, surface: Surface, patch_of_point: NDArray[np.int32]
) -> NDArray[np.int32]:
    """(HEIGHT / STRIDE, WIDTH / STRIDE) patch under each pixel of the answer, -1 for none."""
    view, crop = answer.view, answer.crop
    X = inverse(volume.X_base_grid) @ view.X_base_camera
    k = np.array([view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy])
    shape = (HEIGHT // STRIDE, WIDTH // STRIDE)
    return _look_up(view.depth_m, k, X, volume.voxel_m, surface.index, patch_of_point, shape, crop.scale, crop.u0, crop.v0)


@njit(cache=True, nogil=True)
def _look_up(depth, k, X, voxel, index, patch_of_point, shape, scale, u0, v0):  # type: ignore[no-untyped-def]
    out = np.full(shape, -1, np.int32)
    nx, ny, nz = index.shape
    for r in range(shape[0]):
        for c in range(shape[1]):
            # the middle of the STRIDE x STRIDE pixels that the answer's pixel stands for
            u, v = (STRIDE * c + 0.5) / scale + u0, (STRIDE * r + 0.5) / scale + v0
            ui, vi = int(u + 0.5), int(v + 0.5)
            if ui < 0 or vi < 0 or ui >= depth.shape[1] or vi >= depth.shape[0]:
                continue
            z = depth[vi, ui]
            if z <= 0.0:
                continue
            x, y = (ui - k[2]) / k[0] * z, (vi - k[3]) / k[1] * z
            i = int(np.floor((X[0, 0] * x + X[0, 1] * y + X[0, 2] * z + X[0, 3]) / voxel - 0.5))
            j = int(np.floor((X[1, 0] * x + X[1, 1] * y + X[1, 2] * z + X[1, 3]) / voxel - 0.5))
            m = int(np.floor((X[2, 0] * x + X[2, 1] * y + X[2, 2] * z + X[2, 3]) / voxel - 0.5))
            if 0 <= i < nx and 0 <= j < ny and 0 <= m < nz:
                row = index[i, j, m]
                if row < 0:  # a call costs more than the look
                    row = nearest_row(index, i, j, m)
                if row >= 0:
                    out[r, c] = patch_of_point[row]
    return out


@njit(cache=True, nogil=True)
def _pool(patch, logits, offsets, reach, start, other, edge, sums, exps, counts):  # type: ignore[no-untyped-def]
    """Add each pixel pair that lies on two touching patches to theirs."""
    h, w = patch.shape
    for r in range(h):
        for c in range(w):
            p = patch[r, c]
            if p < 0:
                continue
            for o in range(len(offsets)):
                r2, c2 = r + offsets[o, 0], c + offsets[o, 1]
                if r2 < 0 or c2 < 0 or r2 >= h or c2 >= w:
                    continue
                q = patch[r2, c2]
                if q < 0 or q == p:
                    continue
                low, high = min(p, q), max(p, q)
                for e in range(start[low], start[low + 1]):
                    if other[e] == high:
                        value = min(max(logits[o, r, c], -8.0), 8.0)
                        sums[edge[e], reach[o]] += value
                        exps[edge[e], reach[o]] += np.exp(value)
                        counts[edge[e], reach[o]] += 1.0
                        break
