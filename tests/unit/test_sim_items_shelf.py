"""The shelf: what its SKUs are, say and weigh, that look-alikes are alike, and that nothing of it changes unseen."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from datetime import date

import cv2
import numpy as np
import pytest

from pickcell.catalogue import load_catalogue
from pickcell_sim.items import facts, item_spec, load_split, load_tote, mixed_tote, printed_facts, prints, random_tote
from pickcell_sim.items.assortment import shelf_line
from pickcell_sim.items.barcode import ean13_check
from pickcell_sim.items.canvas import FACES, font
from pickcell_sim.items.catalogue_files import SPLITS, deal_shelf
from pickcell_sim.items.shelf import LOOK_ALIKES, SHELF
from pickcell_sim.items.spec import KINDS, PAYLOAD_KG, REPOSITORY, ItemSpec, all_specs
from pickcell_sim.items.totes import MIX, MIXES
from pickcell_sim.items.words import COLORS, LANGUAGES, SMALL_PRINT

CATALOGUE = load_catalogue()
SPECS = all_specs()
NEW = [spec for spec in SPECS.values() if spec.kind in SHELF]
TWINS = [spec for spec in NEW if spec.variant_of]
TOTE_M = (0.36, 0.54, 0.16)
JAW_M = 0.095


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:16]


# -- what there is -----------------------------------------------------------------------------------------------------
def test_catalogue_has_every_kind_and_more_than_150_printed_skus() -> None:
    assert len(SPECS) >= 150 and set(SHELF) | set(MIX) == set(KINDS)
    assert all(n >= 8 for n in Counter(spec.kind for spec in NEW).values())
    for spec in SPECS.values():
        entry = CATALOGUE[spec.sku]
        assert (entry.kind, entry.name) == (spec.kind, spec.name)
        assert entry.mass_kg == pytest.approx(spec.mass_kg, abs=1e-4)
        np.testing.assert_allclose(entry.dimensions_m, sorted(spec.size_m, reverse=True), atol=1e-4)
        assert entry.reference_views is not None, f"{spec.sku} has no reference pictures"


def test_version_2_is_what_it_was() -> None:
    """A changed item needs a new VERSION in spec.py, catalogue and pictures drawn anew, and then a new digest here."""
    bodies = [(s.sku, s.name, s.size_m, s.mass_kg, s.friction, s.film_um, s.wrinkle_m, s.mark) for s in SPECS.values()]
    assert CATALOGUE.version == "2"
    assert _digest(bodies[:70]) == "611bba3b4afa0a76"
    assert _digest(bodies) == "a47c38bf8c26b4d7"


def test_totes_of_the_first_benchmark_are_drawn_as_before_the_shelf_was_filled() -> None:
    drawn = [random_tote(seed, n, split).manifest for seed in range(40) for n in (5, 12, 20) for split in SPLITS]
    assert hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16] == "11df182fa8d98495"


def test_items_fit_the_tote_and_most_can_be_pinched() -> None:
    for spec in SPECS.values():
        size = np.sort(spec.size_m)[::-1]
        assert size[0] < TOTE_M[1] and size[1] < TOTE_M[0] and size[2] < TOTE_M[2], spec.sku
    pinchable = [min(spec.size_m) <= JAW_M for spec in NEW]
    assert 0.9 < np.mean(pinchable) < 1.0


def test_some_skus_are_there_to_be_refused() -> None:
    heavy = [spec.sku for spec in SPECS.values() if spec.mass_kg > PAYLOAD_KG]
    assert 6 <= len(heavy) <= 10
    for name in SPLITS:
        assert set(heavy) & set(load_split(name)), f"nothing to refuse in {name}"


def test_rulers_are_too_narrow_for_a_wide_cup_and_wide_enough_for_a_small_one() -> None:
    for name in SPLITS:
        widths = [item_spec(sku).size_m[1] for sku in load_split(name) if sku.startswith("ruler")]
        assert any(0.025 <= w < 0.040 for w in widths) and all(0.025 <= w <= 0.045 for w in widths)


def test_surfaces_differ_by_kind_as_they_should() -> None:
    by_kind = {kind: [spec for spec in NEW if spec.kind == kind] for kind in SHELF}
    for kind, low, high in (("shrink", 12, 30), ("polybag", 25, 65), ("loose_bag", 35, 75)):
        assert all(low <= spec.film_um <= high for spec in by_kind[kind])
    assert min(s.wrinkle_m for s in by_kind["loose_bag"]) > max(s.wrinkle_m for s in by_kind["polybag"])
    assert all(s.permeance_m_per_s_pa >= 1e-3 and s.contact_stiffness_n_per_m > 0 for s in by_kind["plush"])
    assert all((s.permeance_m_per_s_pa > 0) != (s.film_um > 0) for s in by_kind["mailer"])
    assert all(s.fragility == "glass" for s in by_kind["jar"])
    assert {s.structure for s in by_kind["hardcover"] + by_kind["paperback"]} == {"book"}
    assert {s.structure for s in by_kind["bottle"] + by_kind["blister"]} == {"rigid"}


def test_a_spec_of_no_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="hardcover"):
        ItemSpec("x-000", "X", "brick", (0.1, 0.1, 0.1), 0.1, 0.5, False, 1)
    with pytest.raises(ValueError, match="loose"):
        ItemSpec("x-000", "X", "box", (0.1, 0.1, 0.1), 0.1, 0.5, False, 1, structure="gel")


# -- splits ------------------------------------------------------------------------------------------------------------
def test_splits_on_disk_are_those_that_the_seed_deals() -> None:
    dealt: dict[str, list[str]] = {name: [] for name in SPLITS}
    deal_shelf(SPECS, dealt)
    for name in SPLITS:
        assert sorted(dealt[name]) == [sku for sku in load_split(name) if sku.rpartition("-")[0] in SHELF]
    for kind in SHELF:
        counts = {name: sum(sku.startswith(f"{kind}-") for sku in load_split(name)) for name in SPLITS}
        assert counts["test"] >= 2 and counts["train"] >= 3 and counts["validation"] >= 1, f"{kind}: {counts}"


# -- look-alikes -------------------------------------------------------------------------------------------------------
def test_look_alike_families_are_many_and_in_many_kinds_and_in_every_split() -> None:
    assert len(TWINS) == len(LOOK_ALIKES) >= 8 and len({twin.kind for twin in TWINS}) >= 8
    assert {twin.mark.partition(":")[0] for twin in TWINS} == {"dot", "stripe", "size", "count", "volume"}
    for name in SPLITS:
        assert any(twin.sku in load_split(name) for twin in TWINS)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.sku)
def test_look_alikes_differ_in_their_mark_alone(twin: ItemSpec) -> None:
    other = SPECS[twin.variant_of]
    assert any({twin.sku, other.sku} <= set(load_split(name)) for name in SPLITS)
    for key in ("name", "size_m", "mass_kg", "friction", "shiny", "seed", "film_um", "wrinkle_m", "color", "form"):
        assert getattr(twin, key) == getattr(other, key)
    assert twin.mark != other.mark and twin.mark.partition(":")[0] == other.mark.partition(":")[0]
    size = prints.pixels(*sorted(twin.size_m, reverse=True)[:2])
    a, b = (np.asarray(prints.front(spec, size), float) for spec in (twin, other))
    differs = (np.abs(a - b).max(axis=2) > 24).mean()
    assert 0.0 < differs < 0.06
    said, saying = (vars(printed_facts(spec)) for spec in (twin, other))
    what = {"size": {"size"}, "count": {"count"}, "volume": {"volume"}}.get(twin.mark.partition(":")[0], set())
    assert {key for key in said if said[key] != saying[key]} == {"sku", "ean"} | what


# -- printed facts -----------------------------------------------------------------------------------------------------
def test_article_numbers_are_valid_and_of_one_sku_each() -> None:
    numbers = [printed_facts(spec).ean for spec in SPECS.values()]
    assert len(set(numbers)) == len(numbers)
    assert all(len(n) == 13 and n.isdigit() and ean13_check(n) == n[-1] for n in numbers)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "irregular"])
def test_facts_agree_with_spec_and_with_each_other(kind: str) -> None:
    for spec in (s for s in SPECS.values() if s.kind == kind):
        fact = printed_facts(spec)
        assert f"{fact.brand} {fact.product}" == spec.name and fact.language == spec.language
        assert fact.lot and fact.lot in fact.lot_text
        for iso in (fact.manufactured, fact.expires):
            assert re.fullmatch(r"(\d{4}(-\d\d(-\d\d)?)?)?", iso)
            if iso.count("-") == 2:
                date.fromisoformat(iso)
        assert bool(fact.expires) == bool(fact.expires_text) and bool(fact.manufactured) == bool(fact.manufactured_text)
        if kind in SHELF:
            assert fact.manufactured
            assert bool(fact.expires) == bool(shelf_line(spec).shelf_life_days)
            if fact.expires:
                assert fact.manufactured < fact.expires and len(fact.manufactured) == len(fact.expires)
            assert fact.count >= 1 and fact.size
            assert spec.size_text in (fact.size, f"{fact.count} x {fact.size}")


def test_dates_can_be_read_back_from_what_is_printed() -> None:
    seen = set()
    for spec in NEW:
        fact = printed_facts(spec)
        for iso, text in ((fact.manufactured, fact.manufactured_text), (fact.expires, fact.expires_text)):
            if iso:
                digits = text
                for k, month in enumerate(facts._MONTHS):
                    digits = digits.replace(month, f"{k + 1:02d}")
                numbers = re.findall(r"\d+", digits)
                year, *rest = iso.split("-")
                assert sorted(int(n) % 100 for n in numbers) == sorted(int(n) % 100 for n in (year, *rest)), text
                seen.add(re.sub(r"\d", "9", text.split()[-1]))
    assert len(seen) >= 6, f"dates come in several formats, not only {seen}"


def test_irregular_items_bear_no_print() -> None:
    with pytest.raises(ValueError, match="irregular-054"):
        printed_facts(item_spec("irregular-054"))


def test_text_is_in_eight_languages_and_the_typefaces_have_all_letters() -> None:
    assert {spec.language for spec in NEW} == set(LANGUAGES) == set(SMALL_PRINT)
    assert all(set(color.names) == set(LANGUAGES) for color in COLORS.values())
    text = "".join(f"{s.name}{s.subtitle}{s.size_text}{printed_facts(s).expires_text}{printed_facts(s).color}" for s in NEW)
    text += "".join(word for words in SMALL_PRINT.values() for word in vars(words).values())
    for face in FACES:
        missing = bytes(font(face, 24).getmask("\uffff"))
        unknown = {c for c in set(text) if not c.isspace() and bytes(font(face, 24).getmask(c)) == missing}
        assert not unknown, f"{face} lacks {unknown}"


def test_another_decoder_reads_most_bars_at_the_resolution_of_the_meshes() -> None:
    """Seen from near, each pixel of the print over two or three; what is read is right."""
    read = []
    for spec in NEW:
        if int(spec.sku[-3:]) > 3 or spec.kind in ("bottle", "can", "jar", "tube"):  # round ones: other sizes
            continue
        back = np.asarray(prints.back(spec, prints.pixels(*spec.size_m[:2])))[..., ::-1]
        texts = set()
        for scale in (2, 3):
            near = cv2.resize(np.ascontiguousarray(back), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            texts.add(cv2.barcode.BarcodeDetector().detectAndDecode(near)[0])
        assert texts <= {printed_facts(spec).ean, ""}, spec.sku
        read.append(printed_facts(spec).ean in texts)
    assert len(read) >= 40 and np.mean(read) >= 0.75


@pytest.mark.parametrize("kind", list(SHELF))
def test_faces_have_the_size_asked_for_and_something_on_them(kind: str) -> None:
    spec = item_spec(f"{kind}-001")
    for size in ((200, 140), (140, 210), (16, 12)):
        for face in (prints.front, prints.back, prints.spine, prints.pages, prints.fur):
            assert face(spec, size).size == size
        assert prints.side(spec, size, 3).size == size
    assert np.asarray(prints.front(spec, (200, 160)), float).std() > 12.0
    again = prints.front(spec, (200, 160))
    assert again.tobytes() == prints.front(spec, (200, 160)).tobytes()


# -- totes -------------------------------------------------------------------------------------------------------------
def test_mixed_totes_follow_from_their_seed_and_hold_nothing_too_heavy() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(60):
        contents = mixed_tote(seed, 20)
        assert contents == mixed_tote(seed, 20) and len(contents.skus) == 20
        assert set(contents.skus) <= set(load_split("test"))
        assert all(CATALOGUE[sku].mass_kg <= PAYLOAD_KG for sku in contents.skus)
        assert len({CATALOGUE[sku].name for sku in contents.skus}) == 20, "no two of a look-alike family"
        kinds.update(CATALOGUE[sku].kind for sku in contents.skus)
    assert set(kinds) == set(KINDS)
    assert mixed_tote(1, 20) != mixed_tote(2, 20)


def test_heavy_items_may_lie_in_the_way_when_asked_for() -> None:
    drawn = {sku for seed in range(40) for sku in mixed_tote(seed, 10, mix="grocery", max_mass_kg=None).skus}
    assert any(CATALOGUE[sku].mass_kg > PAYLOAD_KG for sku in drawn)
    assert {CATALOGUE[sku].kind for sku in drawn} == set(MIXES["grocery"])


def test_mixed_tote_file_is_the_draw_that_it_says_it_is() -> None:
    contents = load_tote(REPOSITORY / "config" / "totes" / "mixed.yaml")
    assert contents.seed == 159 and set(contents.skus) == set(mixed_tote(159, 20).skus)
    assert len({CATALOGUE[sku].kind for sku in contents.skus}) >= 16


def test_mixes_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match="grocery"):
        mixed_tote(0, 3, mix="groceries")
    with pytest.raises(ValueError, match="loose_bag"):
        mixed_tote(0, 3, mix={"bag": 1.0})
    with pytest.raises(ValueError, match="positive"):
        mixed_tote(0, 3, mix={"box": 0.0})
    with pytest.raises(ValueError, match="cannot be drawn"):
        mixed_tote(0, 30, mix={"ruler": 1.0})
