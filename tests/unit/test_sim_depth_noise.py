"""The depth camera's errors: as large as the model says, where the model says, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell_sim.vision.depth_noise import DepthNoiseModel, NoiseSource

FOCAL = 600.0
SHAPE = (240, 320)
BRIGHT = np.full(SHAPE, 128, np.uint8)
MATTE = np.zeros(SHAPE, bool)


def plane(z: float) -> np.ndarray:
    return np.full(SHAPE, z, np.float32)


def measure(depth: np.ndarray, seed: int = 0, **changes: float) -> np.ndarray:
    return NoiseSource(seed, DepthNoiseModel(**changes)).depth(depth, BRIGHT, MATTE, FOCAL)


@pytest.mark.parametrize("z", [0.4, 0.8, 1.2, 1.6])
def test_noise_on_a_plane_grows_with_the_range_squared(z: float) -> None:
    model = DepthNoiseModel(disparity_steps=1e6)
    measured = measure(plane(z), disparity_steps=1e6)
    expected = z * z * model.subpixel_sigma / (FOCAL * model.baseline_m)
    assert np.nanstd(measured) == pytest.approx(expected, rel=0.08)
    assert np.nanmean(measured) == pytest.approx(z, abs=expected / 10)
    # One-pixel neighbours share part of their error; pixels far apart share none.
    error = measured - z
    near = np.corrcoef(error[:, 1:-4:5].ravel(), error[:, 2:-3:5].ravel())[0, 1]
    far = np.corrcoef(error[:, :-30].ravel(), error[:, 30:].ravel())[0, 1]
    assert 0.25 < near < 0.6 and abs(far) < 0.1


def test_quantisation_is_uniform_in_disparity() -> None:
    model = DepthNoiseModel()
    disparity = FOCAL * model.baseline_m / measure(plane(1.0))
    steps = disparity[np.isfinite(disparity)] * model.disparity_steps
    np.testing.assert_allclose(steps, np.rint(steps), atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.2, 3.0))
def test_same_seed_same_noise_and_nothing_measured_where_nothing_is(seed: int, z: float) -> None:
    depth = plane(z)
    depth[40:80, 50:90] = np.nan
    first, second = NoiseSource(seed), NoiseSource(seed)
    a, b = (s.depth(depth, BRIGHT, MATTE, FOCAL) for s in (first, second))
    np.testing.assert_array_equal(a, b)
    again = first.depth(depth, BRIGHT, MATTE, FOCAL)
    assert not np.array_equal(again[~np.isnan(again)], a[~np.isnan(a)]), "each frame has noise of its own"
    assert np.isnan(a[40:80, 50:90]).all()
    assert np.nanmax(np.abs(a - z)) < 0.1 * z


def test_depth_fails_beside_edges_and_in_the_shadow_behind_them() -> None:
    depth = plane(1.0)
    depth[:, 160:] = 0.8
    measured = measure(depth)
    missing = np.isnan(measured).mean(axis=0)
    # The far side left of a near edge is hidden from the second imager over f b (1/z1 - 1/z2) = 7.5 pixels.
    assert missing[153:159].min() > 0.9
    assert missing[100:140].max() < 0.05 and missing[180:220].max() < 0.05
    assert 0.2 < missing[160] < 0.8, "beside the edge about half the pixels are lost"
    mirrored = np.isnan(measure(depth[:, ::-1].copy())).mean(axis=0)
    assert mirrored[161:168].max() < 0.8, "no shadow on the side that both imagers see"
    assert np.isnan(measure(depth, occlusion=False)).mean(axis=0)[150:156].max() < 0.2


def test_dark_shiny_near_and_grazing_surfaces_lose_depth() -> None:
    def lost(luminance: np.ndarray, shiny: np.ndarray, depth: np.ndarray) -> float:
        return float(np.isnan(NoiseSource(3).depth(depth, luminance, shiny, FOCAL)).mean())

    shiny = np.ones(SHAPE, bool)
    assert lost(BRIGHT, MATTE, plane(1.0)) < 0.01
    assert lost(np.zeros(SHAPE, np.uint8), MATTE, plane(1.0)) == pytest.approx(DepthNoiseModel().dark_dropout, abs=0.05)
    assert lost(BRIGHT, shiny, plane(1.0)) == pytest.approx(DepthNoiseModel().mirror_dropout, abs=0.05)
    tilted = np.tile(np.linspace(0.9, 1.1, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    assert lost(BRIGHT, shiny, tilted) == pytest.approx(DepthNoiseModel().shiny_dropout, abs=0.06)
    assert lost(BRIGHT, MATTE, plane(0.05)) == 1.0
    # z = z0 exp(s u / f) has the slope s everywhere: 8 is a surface seen at 83 degrees, whose cosine is 0.124.
    steep = np.tile((0.3 * np.exp(8.0 * np.arange(SHAPE[1]) / FOCAL)).astype(np.float32), (SHAPE[0], 1))
    kept = (0.124 - 0.05) / (DepthNoiseModel().grazing_cos - 0.05)
    assert lost(BRIGHT, MATTE, steep) == pytest.approx(1.0 - kept, abs=0.06)


def test_holes_come_in_blobs() -> None:
    dark = np.zeros(SHAPE, np.uint8)
    missing = np.isnan(NoiseSource(1).depth(plane(1.0), dark, MATTE, FOCAL)).astype(float)
    neighbours = np.corrcoef(missing[:, :-1].ravel(), missing[:, 1:].ravel())[0, 1]
    assert neighbours > 0.5


def test_colour_noise_is_light_and_clipped() -> None:
    model = DepthNoiseModel()
    grey = np.full((*SHAPE, 3), 120, np.uint8)
    noisy = NoiseSource(5).color(grey)
    assert noisy.dtype == np.uint8 and noisy.std() == pytest.approx(model.color_sigma, rel=0.1)
    for level in (0, 255):
        extreme = NoiseSource(5).color(np.full((*SHAPE, 3), level, np.uint8))
        assert np.abs(extreme.astype(int) - level).max() < 15, "noise wrapped around"
