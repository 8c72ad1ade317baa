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

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

_TILE = 1024  # noise is cut at random places from tiles of this size, made once: drawing it anew costs 10 ms a frame


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
        self._tiles = _noise_tiles()

    def depth(
        self,
        depth_m: NDArray[np.float32],
        luminance: NDArray[np.uint8],
        shiny: NDArray[np.bool_],
        focal_px: float,
    ) -> NDArray[np.float32]:
        """Measured depth (H, W) from clean depth (H, W) in metres, luminance 0-255 and a mask of shiny pixels."""
        m = self.model
        out = np.empty_like(depth_m)
        _measure(
            depth_m,
            luminance,
            shiny,
            self._tiles.white,
            self._tiles.smooth,
            self._tiles.uniform,
            self._rng.integers(0, _TILE, (5, 2)),
            np.float32(focal_px),
            np.float32(focal_px * m.baseline_m),
            np.float32(m.subpixel_sigma * np.sqrt(1.0 - m.correlated_share)),
            np.float32(m.subpixel_sigma * np.sqrt(m.correlated_share)),
            np.float32(m.disparity_steps),
            np.float32(m.lateral_sigma_px),
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
        """Colour image (H, W, 3) with sensor noise."""
        out = np.empty_like(color)
        _color_noise(color, self._tiles.white, self._rng.integers(0, _TILE, (3, 2)), np.float32(self.model.color_sigma), out)
        return out


@dataclass(frozen=True)
class _Tiles:
    white: NDArray[np.float32]
    """Standard normal, independent."""
    smooth: NDArray[np.float32]
    """Standard normal, alike over about 5 pixels."""
    uniform: NDArray[np.float32]
    """Uniform 0..1, alike over about 5 pixels: thresholding it leaves blobs."""


_TILES: list[_Tiles] = []


def _noise_tiles() -> _Tiles:
    """The noise tiles, made once per process. Their content is fixed; the seed decides where they are cut."""
    if not _TILES:
        rng = np.random.default_rng(20240601)
        white = rng.standard_normal((_TILE, _TILE), dtype=np.float32)
        smooth, blobs = (
            gaussian_filter(rng.standard_normal((_TILE, _TILE), dtype=np.float32), 1.5, mode="wrap") for _ in range(2)
        )
        smooth /= smooth.std()
        blobs /= blobs.std()
        _TILES.append(_Tiles(white, smooth, ndtr(blobs).astype(np.float32)))
    return _TILES[0]


@njit(cache=True, fastmath=False, nogil=True)
def _measure(
    depth, luminance, shiny, white, smooth, uniform, offset, focal, focal_baseline, sigma_white, sigma_smooth, steps,
    lateral, edge_dropout, edge_jump, occlusion, grazing_cos, dark_level, dark_dropout, shiny_dropout, mirror_dropout,
    min_range, out,
):  # fmt: skip
    """Fill ``out`` with one measurement of ``depth``; every random draw is read from the tiles at ``offset``."""
    height, width = depth.shape
    mask = white.shape[0] - 1  # tiles are a power of two wide: wrap around with a bit mask
    nan = np.float32(np.nan)
    for v in range(height):
        left_edge = np.float32(1e9)  # leftmost column of the second image reached by pixels to the right
        for u in range(width - 1, -1, -1):
            clean = depth[v, u]
            if not clean > 0.0:
                out[v, u] = nan
                continue
            if occlusion:
                column = np.float32(u) - focal_baseline / clean
                if column >= left_edge + np.float32(0.5):
                    out[v, u] = nan
                    continue
                left_edge = min(left_edge, column)
            uj = u + int(np.rint(lateral * white[(v + offset[0, 0]) & mask, (u + offset[0, 1]) & mask]))
            vj = v + int(np.rint(lateral * white[(v + offset[1, 0]) & mask, (u + offset[1, 1]) & mask]))
            uj = min(max(uj, 0), width - 1)
            vj = min(max(vj, 0), height - 1)
            z = depth[vj, uj]
            if not z > min_range:
                out[v, u] = nan
                continue
            # Slope from the flatter one-sided differences, so that an edge beside the pixel does not count as grazing.
            up, down = depth[max(vj - 1, 0), uj], depth[min(vj + 1, height - 1), uj]
            left, right = depth[vj, max(uj - 1, 0)], depth[vj, min(uj + 1, width - 1)]
            dx0, dx1, dy0, dy1 = abs(z - left), abs(right - z), abs(z - up), abs(down - z)
            steepest = max(max(dx0, dx1), max(dy0, dy1))
            slope_x, slope_y = min(dx0, dx1), min(dy0, dy1)
            cosine = 1.0 / np.sqrt(1.0 + (slope_x * slope_x + slope_y * slope_y) * (focal / z) ** 2)
            keep = np.float32(1.0)
            if not steepest < edge_jump:  # also true beside nothing (NaN)
                keep *= 1.0 - edge_dropout
            if cosine < grazing_cos:
                keep *= max(0.0, (cosine - 0.05) / (grazing_cos - 0.05))
            dark = luminance[v, u]
            if dark < dark_level:
                keep *= 1.0 - dark_dropout * (dark_level - dark) / dark_level
            if shiny[v, u]:
                keep *= 1.0 - (mirror_dropout if cosine > 0.966 else shiny_dropout)
            if keep < 1.0 and uniform[(v + offset[2, 0]) & mask, (u + offset[2, 1]) & mask] > keep:
                out[v, u] = nan
                continue
            disparity = focal_baseline / z
            disparity += sigma_white * white[(v + offset[3, 0]) & mask, (u + offset[3, 1]) & mask]
            disparity += sigma_smooth * smooth[(v + offset[4, 0]) & mask, (u + offset[4, 1]) & mask]
            disparity = np.rint(disparity * steps) / steps
            out[v, u] = focal_baseline / disparity if disparity > 0.0 else nan


@njit(cache=True, nogil=True)
def _color_noise(color, white, offset, sigma, out):
    """Add independent Gaussian noise per channel, clipped to 0..255."""
    height, width, channels = color.shape
    mask = white.shape[0] - 1
    for v in range(height):
        for u in range(width):
            for c in range(channels):
                value = color[v, u, c] + sigma * white[(v + offset[c, 0]) & mask, (u + offset[c, 1]) & mask] + 0.5
                out[v, u, c] = np.uint8(min(max(value, 0.0), 255.0))
