"""The catalogue: what is committed loads and agrees with itself; what cannot be used says why; near matches are found."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.catalogue import Catalogue, CatalogueError, Kind, default_catalogue, load_catalogue
from pickcell.cell import HandConfig
from pickcell.outcome import Code
from pickcell.values import Sku

CATALOGUE = load_catalogue()
GOOD = "format: 1\nversion: '9'\nskus:\n  box-1: {name: Tea, kind: box, dimensions_m: [0.1, 0.05, 0.02], mass_kg: 0.2}\n"


def test_committed_catalogue_has_every_kind_with_usable_entries() -> None:
    kinds = {entry.kind for entry in CATALOGUE.values()}
    assert kinds == set(get_args(Kind))
    for entry in CATALOGUE.values():
        assert np.all(np.diff(entry.dimensions_m) <= 0), f"{entry.sku}: dimensions must descend"
        assert entry.dimensions_m[0] <= 0.35 and entry.dimensions_m[2] >= 0.001
        assert 0.004 <= entry.mass_kg <= 2.0
    refused = [entry.sku for entry in CATALOGUE.values() if entry.mass_kg > HandConfig().payload_max_kg]
    assert 5 <= len(refused) <= 20, "some are too heavy, so that there is something to refuse"


def test_every_sku_has_a_strip_of_six_square_views_on_white() -> None:
    for entry in CATALOGUE.values():
        assert entry.reference_views is not None, entry.sku
        strip = cv2.imread(str(entry.reference_views))
        assert strip.shape[1] == 6 * strip.shape[0], entry.sku
        side = strip.shape[0]
        views = [strip[:, k * side : (k + 1) * side] for k in range(6)]
        edges = [np.concatenate([view[0], view[-1], view[:, 0], view[:, -1]]) for view in views]
        assert all(np.percentile(edge, 10) > 240 for edge in edges), f"{entry.sku}: background is not white, or cut off"
        assert all((view.min(axis=2) < 235).any() for view in views[:1] + views[4:]), f"{entry.sku}: an empty picture"


def test_committed_catalogue_is_small() -> None:
    total = sum(path.stat().st_size for path in default_catalogue().parent.rglob("*"))
    assert total < 6e6


def test_unknown_sku_names_near_matches() -> None:
    answer = CATALOGUE.find("box-08")
    assert answer.code is Code.ITEM_UNKNOWN and "box-008" in answer.text
    with pytest.raises(KeyError, match="box-008"):
        CATALOGUE["box-08"]
    name = CATALOGUE["box-015"].name
    assert "box-015" in CATALOGUE.find(name.lower()).text, "a product's name should lead to its SKU"
    assert "Nothing resembles" in CATALOGUE.find("zzzzzzzzzzzzzz").text


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(CATALOGUE)), st.data())
def test_one_wrong_letter_still_finds_a_close_sku(sku: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(sku) - 1))
    letter = data.draw(st.sampled_from("abcxyz_"))
    typo = sku[:position] + letter + sku[position + 1 :]
    if typo in CATALOGUE:
        return
    near = CATALOGUE.near_matches(typo)
    family = sku.split("-")[0]
    assert any(n.split("-")[0] == family for n in near) or position < len(family)


def test_known_sku_is_a_success() -> None:
    found = CATALOGUE.find("box-008")
    assert found.ok and isinstance(found.unwrap(), Sku)
    assert "box-008" in CATALOGUE and "nothing" not in CATALOGUE and len(CATALOGUE) == len(list(CATALOGUE))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the keys"),
        ("a: [", "not valid YAML"),
        (GOOD.replace("format: 1", "format: 2"), "format"),
        (GOOD.replace("kind: box", "kind: blob"), "kind"),
        (GOOD.replace("mass_kg: 0.2", "mass_kg: -1"), "mass_kg"),
        (GOOD.replace("mass_kg: 0.2", "mass_kg: .nan"), "mass_kg"),
        (GOOD.replace("[0.1, 0.05, 0.02]", "[0.1, 0.05]"), "dimensions_m"),
        (GOOD.replace("[0.1, 0.05, 0.02]", "[0.1, 0.05, 0.0]"), "dimensions_m"),
        (GOOD + "colour: red\n", "colour"),
        ("format: 1\nversion: '9'\nskus: {}\n", "skus"),
    ],
)
def test_unusable_files_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=said) as error:
        load_catalogue(path)
    assert str(path) in str(error.value)


def test_missing_file_and_missing_pictures(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot read"):
        load_catalogue(tmp_path / "none.yaml")
    path = tmp_path / "catalogue.yaml"
    path.write_text(GOOD)
    catalogue = load_catalogue(path)
    assert isinstance(catalogue, Catalogue) and catalogue.version == "9"
    assert catalogue["box-1"].reference_views is None


def test_settings_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "catalogue").mkdir()
    (tmp_path / "catalogue" / "catalogue.yaml").write_text(GOOD)
    monkeypatch.setenv("PICKCELL_CONFIG_DIR", str(tmp_path))
    assert list(load_catalogue()) == ["box-1"]
