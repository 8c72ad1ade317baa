"""Items: splits that do not leak, prints that read, bodies that weigh and measure what the catalogue says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pybullet as p
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from item_probe import collision_extents
from PIL import Image

from pickcell.catalogue import load_catalogue
from pickcell.geometry import make_pose
from pickcell_sim.items import faces, item_spec, load_split, load_tote, random_tote
from pickcell_sim.items.assets import COLLISION_THICKNESS_M, ensure_item
from pickcell_sim.items.barcode import ean13, modules
from pickcell_sim.items.irregular import load_blob
from pickcell_sim.items.spawn import load_item, outline
from pickcell_sim.items.spec import KINDS, REPOSITORY, all_specs
from pickcell_sim.items.totes import MIX, ToteFileError

CATALOGUE = load_catalogue()
SAMPLE = ("irregular-054", "box-013", "cylinder-004", "card-000", "box-022")


@pytest.fixture
def client() -> Iterator[int]:
    number = p.connect(p.DIRECT)
    yield number
    p.disconnect(physicsClientId=number)


# -- splits and totes ------------------------------------------------------------------------------------------------
def test_no_sku_is_in_two_splits_and_every_catalogue_sku_is_in_one() -> None:
    splits = {name: set(load_split(name)) for name in ("train", "validation", "test")}
    assert not splits["train"] & splits["test"]
    assert not splits["train"] & splits["validation"]
    assert not splits["validation"] & splits["test"]
    assert set(CATALOGUE) <= set.union(*splits.values())
    for name, skus in splits.items():
        listed = [sku for sku in skus if sku in CATALOGUE]
        for kind in KINDS:
            least = 3 if kind in MIX else {"train": 3, "validation": 1, "test": 2}[name]
            assert sum(CATALOGUE[sku].kind == kind for sku in listed) >= least, f"{name} has too few of {kind}"


def test_near_identical_twins_share_a_split_and_differ_only_in_their_dot() -> None:
    specs = all_specs()
    twins = [spec for spec in specs.values() if spec.variant_of and spec.dot]
    assert len(twins) >= 3
    for twin in twins:
        other = specs[twin.variant_of]
        assert any({twin.sku, other.sku} <= set(load_split(name)) for name in ("train", "validation", "test"))
        assert twin.size_m == other.size_m and twin.mass_kg == other.mass_kg and twin.dot != other.dot
        a, b = (np.asarray(faces.front(faces.artwork(s), (300, 200)), float) for s in (twin, other))
        differs = np.abs(a - b).max(axis=2) > 0
        assert 0 < differs.mean() < 0.03


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="train"):
        load_split("everything")
    with pytest.raises(KeyError, match="box-000"):
        item_spec("box-999")
    with pytest.raises(ValueError, match="different SKUs"):
        random_tote(0, 10_000)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 20), st.sampled_from(["train", "validation", "test"]))
def test_random_totes_hold_different_looking_skus_of_their_split(seed: int, n: int, split: str) -> None:
    contents = random_tote(seed, n, split)
    assert len(contents.skus) == n == len(set(contents.skus))
    assert set(contents.skus) <= set(load_split(split)) & set(CATALOGUE)
    names = [CATALOGUE[sku].name for sku in contents.skus]
    assert len(set(names)) == n
    assert contents == random_tote(seed, n, split)


def test_demo_tote_is_a_mix_of_all_kinds_from_the_test_split() -> None:
    contents = load_tote(REPOSITORY / "config" / "totes" / "demo.yaml")
    assert len(contents.skus) == 12
    assert set(contents.skus) <= set(load_split("test"))
    assert {CATALOGUE[sku].kind for sku in contents.skus} == set(MIX)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the keys"),
        ("seed: 1\nitems: [box-008]\n", "items"),
        ("seed: 1\nitems: {box-008: 0}\n", "box-008"),
        ("seed: -1\nitems: {box-008: 1}\n", "seed"),
        ("seed: 1\nitems: {box-08: 1}\n", "box-008"),
        ("seed: [\n", "YAML"),
    ],
)
def test_unusable_tote_files_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tote.yaml"
    path.write_text(text)
    with pytest.raises(ToteFileError, match=said):
        load_tote(path)
    with pytest.raises(ToteFileError, match="cannot read"):
        load_tote(tmp_path / "none.yaml")


# -- prints ----------------------------------------------------------------------------------------------------------
@given(st.integers(0, 10**11 - 1))
def test_barcodes_are_valid_ean13(number: int) -> None:
    code = ean13(number)
    bars = modules(code)
    assert len(bars) == 95 and code.startswith("2")
    assert bars[:3].tolist() == [True, False, True] == bars[-3:].tolist()
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    with pytest.raises(ValueError, match="EAN-13"):
        modules(wrong)


def test_another_decoder_reads_the_printed_barcode() -> None:
    for sku in ("box-013", "card-006", "cylinder-001"):
        art = faces.artwork(item_spec(sku))
        picture = np.asarray(faces.back(art, (600, 480)))
        text, *_ = cv2.barcode.BarcodeDetector().detectAndDecode(np.ascontiguousarray(picture[..., ::-1]))
        assert text == art.ean


def test_twins_have_numbers_of_their_own() -> None:
    numbers = {faces.artwork(spec).ean for spec in all_specs().values()}
    assert len(numbers) == len(all_specs())


# -- bodies ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sku", SAMPLE)
def test_bodies_weigh_and_measure_what_the_catalogue_says(client: int, sku: str) -> None:
    body = load_item(client, sku, make_pose())
    entry = CATALOGUE[sku]
    mass, friction, inertia = p.getDynamicsInfo(body, -1, physicsClientId=client)[:3]
    assert mass == pytest.approx(entry.mass_kg, abs=1e-4)
    assert 0.3 < friction < 1.0
    expected = np.maximum(entry.dimensions_m, COLLISION_THICKNESS_M)
    np.testing.assert_allclose(np.sort(collision_extents(client, body))[::-1], expected, atol=3e-4)
    np.testing.assert_allclose(np.sort(np.ptp(outline(sku), axis=0))[::-1], entry.dimensions_m, atol=2e-4)
    # Moments of a body obey the triangle inequality, and lie below those of all mass at the farthest corner.
    a, b, c = sorted(inertia)
    assert 0 < a and a + b >= c * 0.999 and c < mass * (np.linalg.norm(entry.dimensions_m) / 2) ** 2


def test_blob_mass_properties_of_overlapping_parts() -> None:
    blob = load_blob(54, 0.8)
    hulls = sum(part.volume for part in blob.parts)
    low, high = (f(np.vstack([part.vertices for part in blob.parts]), axis=0) for f in (np.min, np.max))
    assert max(part.volume for part in blob.parts) * 0.97 <= blob.volume_m3 <= min(hulls, float(np.prod(high - low))) * 1.03
    assert np.all(low < 0) and np.all(high > 0), "the centre of mass lies inside the bounding box"


def test_building_twice_gives_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for name in ("a", "b"):
        monkeypatch.setenv("PICKCELL_ITEM_CACHE", str(tmp_path / name))
        folders = [ensure_item(sku).parent for sku in SAMPLE]
        contents.append({f"{d.name}/{f.name}": f.read_bytes() for d in folders for f in sorted(d.iterdir())})
    assert contents[0] == contents[1] and len(contents[0]) >= 3 * len(SAMPLE)


def test_textures_have_rows_that_the_renderer_can_read() -> None:
    for sku in ("box-000", "box-013", "cylinder-004", "card-006"):
        with Image.open(ensure_item(sku).parent / "texture.png") as picture:
            assert picture.width * 3 % 4 == 0, "EGL skews pictures whose rows are not a multiple of 4 bytes long"
