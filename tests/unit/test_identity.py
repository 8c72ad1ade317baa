"""Which product an instance is: sizes, colours, and all instances together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.completion import Completed
from pickcell.identity import IdentityConfig, SizeAndColorIdentifier
from pickcell.identity.appearance import BINS, ColorGallery, bins_of, color_model, reference_colors
from pickcell.identity.match import assign, balanced
from pickcell.identity.size import size_evidence
from pickcell.values import PointCloud, ShapeEstimate, Sku

CONFIG = IdentityConfig()


def _item(extents: tuple[float, float, float], rgb: tuple[int, int, int] = (128, 128, 128)) -> Completed:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 3)) * extents
    normals = np.tile([0.0, 0.0, 1.0], (200, 1))
    cloud = PointCloud(points, normals, np.tile(np.array(rgb, np.uint8), (200, 1)))
    size = np.sort(np.array(extents))[::-1]
    return Completed(cloud, ShapeEstimate(cloud, np.ones(200), np.eye(4), size), size, 1.0)


def _sku(name: str, size: tuple[float, float, float], strip: Path | None = None) -> Sku:
    return Sku(name, name, "box", np.sort(np.array(size))[::-1], 0.2, strip)


def _strip(path: Path, rgb: tuple[int, int, int]) -> Path:
    image = np.full((96, 576, 3), 255, np.uint8)
    for k in range(6):
        image[20:76, 96 * k + 20 : 96 * k + 76] = rgb[::-1]
    cv2.imwrite(str(path), image)
    return path


def test_sizes_decide() -> None:
    catalogue = {"flat": _sku("flat", (0.12, 0.08, 0.02)), "cube": _sku("cube", (0.06, 0.06, 0.06))}
    answers = SizeAndColorIdentifier(catalogue).identify(
        [_item((0.06, 0.062, 0.058)), _item((0.12, 0.08, 0.02))], {"flat": 1, "cube": 1}
    )
    assert [a.sku for a in answers] == ["cube", "flat"]
    assert all(a.confidence > 0.8 for a in answers)


def test_colors_decide_between_equal_sizes(tmp_path: Path) -> None:
    size = (0.08, 0.06, 0.04)
    catalogue = {
        "red": _sku("red", size, _strip(tmp_path / "red.png", (200, 40, 40))),
        "blue": _sku("blue", size, _strip(tmp_path / "blue.png", (40, 60, 200))),
    }
    items = [_item(size, (30, 45, 150)), _item(size, (160, 30, 30))]  # both in the shade
    answers = SizeAndColorIdentifier(catalogue).identify(items, {"red": 1, "blue": 1})
    assert [a.sku for a in answers] == ["blue", "red"]


def test_nothing_that_fits_is_no_answer() -> None:
    catalogue = {"small": _sku("small", (0.03, 0.03, 0.03))}
    (answer,) = SizeAndColorIdentifier(catalogue, IdentityConfig(size_floor=-40.0)).identify(
        [_item((0.2, 0.15, 0.1))], {"small": 1}
    )
    assert answer.sku is None
    assert answer.ranking[0][0] == "small" and answer.ranking[0][1] < 0.1


def test_look_alikes_get_low_confidence() -> None:
    size = (0.08, 0.06, 0.04)
    catalogue = {name: _sku(name, size) for name in ("a", "b", "c", "d")}
    (answer,) = SizeAndColorIdentifier(catalogue).identify([_item(size)], dict.fromkeys(catalogue, 1))
    assert answer.sku is None and len(answer.ranking) == 4
    assert all(p == pytest.approx(0.25, abs=0.02) for _, p in answer.ranking)


def test_a_count_of_one_is_given_out_once() -> None:
    size = (0.08, 0.06, 0.04)
    catalogue = {"one": _sku("one", size), "other": _sku("other", (0.085, 0.064, 0.043))}
    answers = SizeAndColorIdentifier(catalogue).identify([_item(size)] * 3, {"one": 1, "other": 1})
    assert sum(a.sku == "one" for a in answers) <= 1 and sum(a.sku == "other" for a in answers) <= 1
    answers = SizeAndColorIdentifier(catalogue).identify([_item(size)] * 3, {"one": 3})
    assert [a.sku for a in answers] == ["one"] * 3


@pytest.mark.parametrize("manifest", [{}, {"box": 0}, {"stranger": 2}])
def test_empty_or_unknown_manifest(manifest: dict[str, int]) -> None:
    catalogue = {"box": _sku("box", (0.08, 0.06, 0.04))}
    (answer,) = SizeAndColorIdentifier(catalogue).identify([_item((0.08, 0.06, 0.04))], manifest)
    assert answer.sku is None and answer.ranking == ()
    assert SizeAndColorIdentifier(catalogue).identify([], manifest) == []


def test_a_measured_part_may_be_smaller_than_the_product_but_not_larger() -> None:
    product = np.array([0.12, 0.08, 0.04])

    def evidence(seen: np.ndarray, completed: np.ndarray) -> float:
        return float(size_evidence(seen, completed, product[None], CONFIG)[0])

    whole = evidence(product, product)
    hidden = evidence(product * [0.9, 1, 0.5], product * [0.9, 1, 0.9])
    larger = evidence(product * 1.3, product * 1.3)
    assert whole == pytest.approx(0.0) and whole > hidden > larger


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 10_000))
def test_probabilities_respect_the_counts(n: int, skus: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = rng.uniform(-15, 0, (n, skus))
    capacity = rng.integers(1, 4, skus).astype(float)
    p = balanced(evidence, capacity, CONFIG)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert (p >= 0).all()
    chosen = assign(p, capacity)
    for k in range(skus):
        assert (chosen == k).sum() <= capacity[k]
    assert ((chosen >= -1) & (chosen < skus)).all()


def test_color_model_prefers_its_own_colors() -> None:
    rng = np.random.default_rng(0)
    red = np.clip(rng.normal((200, 40, 40), 10, (500, 3)), 0, 255).astype(np.uint8)
    green = np.clip(rng.normal((40, 180, 60), 10, (500, 3)), 0, 255).astype(np.uint8)
    from pickcell.fusion.color import to_lab

    model = color_model(red)
    assert model.shape == (BINS,) and model.max() == 0.0
    assert model[bins_of(to_lab(red))].mean() > -0.7
    assert np.maximum(model[bins_of(to_lab(green))], -6.0).mean() < -4.0


def test_a_product_without_pictures_has_no_opinion_on_color(tmp_path: Path) -> None:
    size = (0.08, 0.06, 0.04)
    broken = tmp_path / "gone.png"
    gallery = ColorGallery({"a": _sku("a", size, _strip(tmp_path / "a.png", (200, 40, 40))), "b": _sku("b", size, broken)})
    table = gallery.table(["a", "b"], -6.0)
    assert table.shape == (2, BINS) and table.min() == -6.0
    assert (table[1] == 0).all()
    assert gallery.table([], -6.0).shape == (0, BINS)


def test_reference_pictures(tmp_path: Path) -> None:
    colors = reference_colors(_strip(tmp_path / "strip.png", (200, 40, 40)))
    assert np.abs(np.median(colors, axis=0) - [200, 40, 40]).max() < 3
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(OSError, match="broken"):
        reference_colors(tmp_path / "broken.png")
