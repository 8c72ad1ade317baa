"""The network alone: each camera's picture cut into instances by itself, nothing fused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.fusion import FusedScene
from pickcell.network import models_directory
from pickcell.segmentation.affinity import AffinityNetwork, ViewAffinity
from pickcell.segmentation.choose import NETWORK
from pickcell.segmentation.offsets import STRIDE
from pickcell.segmentation.regions import regions_of
from pickcell_sim.bench.see.instances import SceneMatch, match_scene
from pickcell_sim.data.scene_file import LabelledScene

SMALLEST_PIXELS = 60
"""Smaller regions of a picture are no instances."""


class PerView:
    """Regions of single pictures."""

    def __init__(self, cell: CellConfig, models: Path | None = None) -> None:
        """Raises ModelError without a network."""
        self._cell = cell
        self._network = AffinityNetwork((models or models_directory()) / NETWORK)

    def matches(self, scene: LabelledScene, fused: FusedScene) -> list[SceneMatch]:
        """One per camera that shows the tote."""
        colors = [frame.color for frame in fused.frames]
        out = []
        for answer in self._network.look(fused.views, colors, self._cell):
            labels = self._instances(answer)
            sizes = np.bincount(labels.ravel(), minlength=1)[1:]
            truth = scene.item_pixels[answer.view.camera.name]
            out.append(match_scene(truth.ravel(), labels.ravel(), _certainty(answer, labels), sizes.tolist()))
        return out

    def _instances(self, answer: ViewAffinity) -> NDArray[np.int32]:
        """(H, W) instance of each pixel of the camera's picture that has depth, from 1 without gaps."""
        region = _to_picture(regions_of(answer.logits).astype(np.float32), answer).astype(np.int32)
        region[answer.view.depth_m <= 0] = 0
        sizes = np.bincount(region.ravel())
        kept = np.flatnonzero(sizes >= SMALLEST_PIXELS)
        numbers = np.zeros(len(sizes), np.int32)
        numbers[kept[kept > 0]] = np.arange(1, (kept > 0).sum() + 1)
        return numbers[region]


def _to_picture(values: NDArray[np.float32], answer: ViewAffinity) -> NDArray[np.float32]:
    """A map at the answer's resolution, spread over the camera's picture."""
    crop, camera = answer.crop, answer.view.camera
    scale = crop.scale / STRIDE
    M = np.array([[scale, 0.0, -crop.u0 * scale], [0.0, scale, -crop.v0 * scale]])
    size = (camera.width, camera.height)
    return np.asarray(
        cv2.warpAffine(values, M, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=0.0), np.float32
    )


def _certainty(answer: ViewAffinity, labels: NDArray[np.int32]) -> list[float]:
    """Mean probability, over each instance, that its pixels show an item and go with their neighbours."""
    sure = 1.0 / (1.0 + np.exp(-np.minimum(answer.logits[0], answer.logits[1:3].max(axis=0))))
    at = _to_picture(sure.astype(np.float32), answer)
    total = np.bincount(labels.ravel(), at.ravel())
    return [float(t) for t in (total / np.maximum(np.bincount(labels.ravel()), 1))[1:]]
