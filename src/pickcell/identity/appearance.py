"""How well colours seen on an item fit the reference pictures of a product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.segmentation.foreground import to_lab

L_BINS, AB_BINS = 6, 14
L_RANGE, AB_RANGE = (0.0, 100.0), (-80.0, 80.0)
WHITE_MIN = 250
"""Reference pictures have a white background."""


@dataclass(frozen=True)
class ColorModel:
    """Log-density of a product's colours over a coarse CIELAB grid, relative to its peak (so at most 0)."""

    log_density: NDArray[np.float32]
    """(L_BINS, AB_BINS, AB_BINS)."""

    def score(self, lab: NDArray[np.float32], floor: float) -> float:
        """Mean log-density of colours (N, 3), each at least ``floor``."""
        if len(lab) == 0:
            return 0.0
        index = bins_of(lab)
        return float(np.maximum(self.log_density[index], floor).mean())


def bins_of(lab: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Grid cell of each colour (N, 3)."""
    lightness = np.clip((lab[:, 0] - L_RANGE[0]) / (L_RANGE[1] - L_RANGE[0]) * L_BINS, 0, L_BINS - 1).astype(np.intp)
    ab = np.clip((lab[:, 1:] - AB_RANGE[0]) / (AB_RANGE[1] - AB_RANGE[0]) * AB_BINS, 0, AB_BINS - 1).astype(np.intp)
    return lightness, ab[:, 0], ab[:, 1]


def color_model(rgb: NDArray[np.uint8]) -> ColorModel:
    """Smoothed histogram of colours (N, 3), N >= 1; wider along lightness, which depends on the light."""
    histogram = np.zeros((L_BINS, AB_BINS, AB_BINS), np.float32)
    np.add.at(histogram, bins_of(to_lab(rgb)), 1.0)
    smooth = np.stack([cv2.GaussianBlur(plane, (5, 5), 0.9) for plane in histogram])
    smooth = np.asarray(cv2.GaussianBlur(smooth.reshape(L_BINS, -1), (1, 5), 1.0)).reshape(histogram.shape)
    smooth = np.sqrt(smooth / smooth.max())  # a small print matters as well as the ground colour
    return ColorModel(np.log(np.maximum(smooth, 1e-6)).astype(np.float32))


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
