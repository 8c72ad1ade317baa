"""How well colours seen on an item fit the reference pictures of a product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.fusion.color import to_lab
from pickcell.values import Sku

L_BINS, AB_BINS = 6, 14
L_RANGE, AB_RANGE = (0.0, 100.0), (-80.0, 80.0)
BINS = L_BINS * AB_BINS * AB_BINS
WHITE_MIN = 250
"""Reference pictures have a white background."""


def bins_of(lab: NDArray[np.floating]) -> NDArray[np.intp]:
    """(N,) cell of each colour (N, 3) in a coarse CIELAB grid, 0..BINS-1."""
    lightness = np.clip((lab[:, 0] - L_RANGE[0]) / (L_RANGE[1] - L_RANGE[0]) * L_BINS, 0, L_BINS - 1).astype(np.intp)
    ab = np.clip((lab[:, 1:] - AB_RANGE[0]) / (AB_RANGE[1] - AB_RANGE[0]) * AB_BINS, 0, AB_BINS - 1).astype(np.intp)
    return (lightness * AB_BINS + ab[:, 0]) * AB_BINS + ab[:, 1]


def color_model(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(BINS,) log-density of a product's colours (N, 3), N >= 1, relative to its peak (so at most 0): a smoothed
    histogram, wider along lightness, which depends on the light."""
    histogram = np.bincount(bins_of(to_lab(rgb)), minlength=BINS).astype(np.float32).reshape(L_BINS, AB_BINS, AB_BINS)
    smooth = np.stack([cv2.GaussianBlur(plane, (5, 5), 0.9) for plane in histogram])
    smooth = np.asarray(cv2.GaussianBlur(smooth.reshape(L_BINS, -1), (1, 5), 1.0)).ravel()
    smooth = np.sqrt(smooth / smooth.max())  # a small print matters as well as the ground colour
    return np.log(np.maximum(smooth, 1e-6)).astype(np.float32)


def reference_colors(path: Path) -> NDArray[np.uint8]:
    """(N, 3) RGB of the product's pixels in a strip of reference pictures, background left out. Raises OSError when
    the file cannot be read as a picture."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError(f"cannot read reference pictures {path}")
    rgb = np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)
    item = ~np.all(rgb >= WHITE_MIN, axis=-1)
    # the rim of the item mixes with the background
    item = np.asarray(cv2.erode(item.astype(np.uint8), np.ones((3, 3), np.uint8))) > 0
    return rgb[item] if item.any() else rgb.reshape(-1, 3)


class ColorGallery:
    """Colour models of products, made when first asked for."""

    def __init__(self, catalogue: Mapping[str, Sku]) -> None:
        self._catalogue = catalogue
        self._models: dict[str, NDArray[np.float32]] = {}

    def table(self, skus: Sequence[str], floor: float) -> NDArray[np.float32]:
        """(S, BINS) log-density per SKU and colour cell, at least ``floor``; all 0 for a SKU without pictures, so that
        colour says nothing of it. Raises KeyError for a SKU that the catalogue does not have."""
        models = [np.maximum(self._model(sku), floor) for sku in skus]
        return np.stack(models) if models else np.zeros((0, BINS), np.float32)

    def _model(self, sku: str) -> NDArray[np.float32]:
        if sku not in self._models:
            pictures = self._catalogue[sku].reference_views
            known = pictures is not None and pictures.exists()
            self._models[sku] = color_model(reference_colors(pictures)) if known and pictures else np.zeros(BINS, np.float32)
        return self._models[sku]
