"""What a stereo depth camera makes of a clean depth image: noise, quantisation, and holes.

Worked in disparity d = f b / z (pixels), because that is what such a camera measures. Sources:

- axial noise and quantisation: d' = round((d + s n) q) / q, hence sigma_z = z^2 s / (f b), growing with the range
  squared (Keselman et al., "Intel RealSense Stereoscopic Depth Cameras", CVPRW 2017; the disparity-space recipe is that
  of Handa et al., "A Benchmark for RGB-D Visual Odometry, 3D Reconstruction and SLAM", ICRA 2014);
- lateral noise: the depth is read at a place jittered by half a pixel (Handa et al. 2014; Nguyen et al., "Modeling Kinect
  Sensor Noise", 3DIMPVT 2012, measured 0.8 px for the Kinect);
- occlusion shadows: what the second imager cannot see behind a nearer edge has no depth;
- holes on grazing, dark and shiny surfaces and beside edges: observed in all of these cameras; the probabilities are
  assumed. Holes come in blobs, as matching windows make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

_SLACK = 256


@dataclass(frozen=True)
class DepthNoiseModel:
    """Strengths. The defaults stand for a small active-stereo camera with its projector on."""

    baseline_m: float = 0.050
    """Between the two imagers (D415: 0.055, D435: 0.050)."""
    subpixel_sigma: float = 0.06
    """Matching error in pixels of disparity (0.05-0.1 on textured surfaces; Keselman et al. 2017)."""
    disparity_steps: float = 32.0
    """Quantisation steps per pixel of disparity (5 bits)."""
    correlated_share: float = 0.5
    """Share of the axial variance that neighbouring pixels have in common (matching windows overlap)."""
    lateral_sigma_px: float = 0.5
    edge_dropout: float = 0.5
    """Chance of no depth on a pixel beside a jump in depth."""
    edge_jump_m: float = 0.012
    occlusion: bool = True
    grazing_cos: float = 0.17
    """Surfaces seen at a smaller cosine than this (80 deg) begin to lose their depth; at 0.05 all is lost."""
    dark_level: float = 40.0
    """Luminance (0-255) below which depth begins to fail."""
    dark_dropout: float = 0.5
    """Chance of no depth on black."""
    shiny_dropout: float = 0.25
    """Chance of no depth on a shiny surface seen from anywhere."""
    mirror_dropout: float = 0.85
    """The same where it faces the camera within about 15 degrees and reflects the projector."""
    min_range_m: float = 0.10
    """Nearer than this the two images cannot be matched."""
    color_sigma: float = 1.8
    """Standard deviation of the colour noise (0-255)."""


class NoiseSource:
    """Draws noise for the frames of one camera, reproducibly from its seed."""

    def __init__(self, seed: int | list[int], model: DepthNoiseModel | None = None) -> None:
        self.model = model or DepthNoiseModel()
        self._rng = np.random.default_rng(seed)

    def depth(
        self,
        depth_m: NDArray[np.float32],
        luminance: NDArray[np.uint8],
        shiny: NDArray[np.bool_],
        focal_px: float,
    ) -> NDArray[np.float32]:
        """Measured depth (H, W) from clean depth (H, W) in metres, luminance 0-255 and a mask of shiny pixels."""
        m = self.model
        tiles = self._tiles(depth_m)
        out = np.empty_like(depth_m)
        _measure(
            depth_m,
            luminance,
            shiny,
            self._cut(tiles.jitter, depth_m),
            self._cut(tiles.jitter, depth_m),
            self._cut(tiles.uniform, depth_m),
            self._cut(tiles.disparity, depth_m),
            np.float32(focal_px),
            np.float32(focal_px * m.baseline_m),
            np.float32(m.disparity_steps),
            np.float32(m.edge_dropout),
            np.float32(m.edge_jump_m),
            m.occlusion,
            np.float32(m.grazing_cos),
            np.float32(m.dark_level),
            np.float32(m.dark_dropout),
            np.float32(m.shiny_dropout),
            np.float32(m.mirror_dropout),
            np.float32(m.min_range_m),
            out,
        )
        return out

    def color(self, color: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Colour image (H, W, 3) with sensor noise of ``color_sigma``."""
        flat = np.ascontiguousarray(color).reshape(color.shape[0], -1)
        row, column = self._rng.integers(0, _SLACK, 2)
        tile = self._tiles(color).color
        out = np.empty_like(flat)
        _add_clipped(flat, tile[row : row + flat.shape[0], 3 * column : 3 * column + flat.shape[1]], out)
        return out.reshape(color.shape)

    def _tiles(self, image: NDArray[Any]) -> _Tiles:
        m = self.model
        height, width = image.shape[:2]
        return _noise_tiles(height, width, m.subpixel_sigma, m.correlated_share, m.lateral_sigma_px, m.color_sigma)

    def _cut(self, tile: NDArray[Any], image: NDArray[Any]) -> NDArray[Any]:
        """A random window of a tile, as large as the image."""
        row, column = self._rng.integers(0, _SLACK, 2)
        return tile[row : row + image.shape[0], column : column + image.shape[1]]


@dataclass(frozen=True)
class _Tiles:
    """Noise larger than the image by _SLACK each way: cutting windows out is 20 times faster than drawing anew."""

    disparity: NDArray[np.float32]
    """Error of the disparity in pixels, partly alike over about 5 pixels."""
    uniform: NDArray[np.float32]
    """Uniform 0..1, alike over about 5 pixels: thresholding it leaves blobs."""
    jitter: NDArray[np.int8]
    """Shift in whole pixels."""
    color: NDArray[np.int16]
    """Offset of the colour; red, green and blue of a pixel side by side."""


@cache
def _noise_tiles(
    height: int, width: int, subpixel_sigma: float, correlated_share: float, lateral_sigma: float, color_sigma: float
) -> _Tiles:
    """Tiles for images of one size. Their content is fixed; a camera's seed decides where they are cut."""
    rng = np.random.default_rng(20240601)
    shape = (height + _SLACK, width + _SLACK)
    white = rng.standard_normal(shape, dtype=np.float32)
    smooth, blobs = (gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 1.5, mode="wrap") for _ in range(2))
    smooth *= np.float32(np.sqrt(correlated_share) / smooth.std())
    disparity = np.float32(subpixel_sigma) * (np.float32(np.sqrt(1.0 - correlated_share)) * white + smooth)
    uniform = ndtr(blobs / blobs.std()).astype(np.float32)
    jitter = np.clip(np.rint(lateral_sigma * rng.standard_normal(shape, dtype=np.float32)), -127, 127).astype(np.int8)
    color = np.rint(color_sigma * rng.standard_normal((shape[0], 3 * shape[1]), dtype=np.float32)).astype(np.int16)
    return _Tiles(disparity, uniform, jitter, color)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
def _measure(
    depth, luminance, shiny, jitter_u, jitter_v, uniform, error, focal, focal_baseline, steps, edge_dropout,
    edge_jump, occlusion, grazing_cos, dark_level, dark_dropout, shiny_dropout, mirror_dropout, min_range, out,
):  # fmt: skip
    """Fill ``out`` with one measurement of ``depth``; all images are (H, W), all random draws are given."""
    height, width = depth.shape
    one, zero, half, nan = np.float32(1.0), np.float32(0.0), np.float32(0.5), np.float32(np.nan)
    lost_cos, step = np.float32(0.05), one / steps
    # Slope squared stands for the cosine of incidence: cos = 1 / sqrt(1 + slope^2).
    grazing_slope = one / (grazing_cos * grazing_cos) - one
    mirror_slope = np.float32(0.0718)  # 15 degrees
    for v in range(height):
        left_edge = np.float32(1e9)  # leftmost column of the second image reached by pixels to the right
        for u in range(width - 1, -1, -1):
            clean = depth[v, u]
            if not clean > zero:
                out[v, u] = nan
                continue
            if occlusion:
                column = np.float32(u) - focal_baseline / clean
                if column >= left_edge + half:
                    out[v, u] = nan
                    continue
                left_edge = min(left_edge, column)
            uj = u + jitter_u[v, u]
            vj = v + jitter_v[v, u]
            uj = min(max(uj, 0), width - 1)
            vj = min(max(vj, 0), height - 1)
            z = depth[vj, uj]
            if not z > min_range:
                out[v, u] = nan
                continue
            inverse_z = one / z
            # The flatter of the one-sided differences, so that an edge beside the pixel does not count as grazing.
            dx0 = abs(z - depth[vj, max(uj - 1, 0)])
            dx1 = abs(z - depth[vj, min(uj + 1, width - 1)])
            dy0 = abs(z - depth[max(vj - 1, 0), uj])
            dy1 = abs(z - depth[min(vj + 1, height - 1), uj])
            slope_x = min(dx0, dx1) * inverse_z * focal
            slope_y = min(dy0, dy1) * inverse_z * focal
            slope = slope_x * slope_x + slope_y * slope_y
            keep = one
            # Written so that a neighbour without depth (NaN) counts as an edge. A slope is no edge: it jumps on both sides.
            if not (abs(dx0 - dx1) < edge_jump and abs(dy0 - dy1) < edge_jump):
                keep *= one - edge_dropout
            if slope > grazing_slope:
                cosine = one / np.sqrt(one + slope)
                keep *= max(zero, (cosine - lost_cos) / (grazing_cos - lost_cos))
            dark = np.float32(luminance[v, u])
            if dark < dark_level:
                keep *= one - dark_dropout * (dark_level - dark) / dark_level
            if shiny[v, u]:
                keep *= one - (mirror_dropout if slope < mirror_slope else shiny_dropout)
            if keep < one and uniform[v, u] > keep:
                out[v, u] = nan
                continue
            disparity = focal_baseline * inverse_z + error[v, u]
            disparity = np.floor(disparity * steps + half) * step
            out[v, u] = focal_baseline / disparity if disparity > zero else nan


@njit(cache=True, nogil=True)
def _add_clipped(color, offset, out):
    """out = color + offset, clipped to 0..255; all (H, 3 W)."""
    for v in range(color.shape[0]):
        for u in range(color.shape[1]):
            value = np.int32(color[v, u]) + np.int32(offset[v, u])
            out[v, u] = max(np.int32(0), min(np.int32(255), value))
