"""Limits of damage: read and checked, resolved per item, scaled; their formulas against numbers worked out elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from pickcell_sim.damage import DamageLimitsError, load_damage_limits
from pickcell_sim.damage.__main__ import main
from pickcell_sim.damage.events import EventRecord
from pickcell_sim.damage.limits import DEFAULT_PATH
from pickcell_sim.damage.mechanics import buckling_n, fall_height_m, impact_speed_mps
from pickcell_sim.damage.table import limits_table
from pickcell_sim.items.spec import KINDS, REPOSITORY, all_specs

LIMITS = load_damage_limits()


def test_every_sku_of_the_catalogue_has_limits() -> None:
    for spec in all_specs().values():
        limits = LIMITS.for_spec(spec)
        assert limits.kind == spec.fragility
        assert 1.0 < limits.impact_mps < 7.0 and limits.crush_n > 10.0
        assert np.isfinite(limits.opening_rad) == (spec.structure == "book")
        assert limits.film_um == spec.film_um


def test_impact_speed_of_a_fall() -> None:
    assert impact_speed_mps(0.20) == pytest.approx(1.981, abs=1e-3)
    assert fall_height_m(impact_speed_mps(0.37)) == pytest.approx(0.37)


def test_plates_buckle_at_eulers_load() -> None:
    """A card of 0.4 mm and 125 mm bears 0.3 N on its edges, a ruler of 2 mm across its 30 mm 660 N (E = 3 GPa)."""
    assert buckling_n(0.4e-3, 0.125, 0.030, 3e9) == pytest.approx(0.30, rel=0.02)
    assert buckling_n(2.0e-3, 0.030, 0.030, 3e9) == pytest.approx(660.0, rel=0.01)


def test_a_plates_edges_bear_less_than_its_face_and_its_short_side_more_than_its_long_one() -> None:
    card = LIMITS.for_sku("card-000")  # 85.6 x 54 x 1 mm
    along_x, along_y = card.edge_n
    assert along_x == pytest.approx(buckling_n(0.001, 0.0856, 0.030, 3e9))
    assert along_y == pytest.approx(along_x * (85.6 / 54.0) ** 2)
    assert along_y < card.crush_n and card.is_plate
    assert not LIMITS.for_sku("box-000").is_plate


def test_films_blister_where_the_membrane_says() -> None:
    for film_um, kilopascal in ((19.0, 17.0), (30.0, 27.0), (50.0, 46.0)):
        assert LIMITS.blister_pa(film_um, 0.020) == pytest.approx(1e3 * kilopascal, rel=0.04)
    assert LIMITS.blister_pa(30.0, 0.010) == pytest.approx(2.0 * LIMITS.blister_pa(30.0, 0.020))
    assert LIMITS.blister_pa(0.0, 0.020) == float("inf")


def test_bodies_that_no_catalogue_knows_are_of_the_default_class() -> None:
    assert LIMITS.for_sku("").kind == "default"


def test_scales_multiply_and_leave_the_original_alone() -> None:
    before = LIMITS.for_sku("hardcover-000")
    half = LIMITS.scaled(impact=0.25, opening=2.0, crush=0.5, film=0.1).scaled(crush=0.5)
    after = half.for_sku("hardcover-000")
    assert after.impact_mps == pytest.approx(0.5 * before.impact_mps), "a quarter of the height is half the speed"
    assert after.opening_rad == pytest.approx(np.deg2rad(90.0))
    assert after.crush_n == pytest.approx(0.25 * before.crush_n)
    assert half.for_sku("card-000").edge_n[0] == pytest.approx(0.25 * LIMITS.for_sku("card-000").edge_n[0])
    assert half.blister_pa(30.0, 0.015) == pytest.approx(0.1 * LIMITS.blister_pa(30.0, 0.015))
    assert LIMITS.for_sku("hardcover-000") == before
    with pytest.raises(ValueError, match="factor on crush"):
        LIMITS.scaled(crush=0.0)


def test_every_number_says_where_it_comes_from() -> None:
    def leaves(value: object, key: str) -> list[str]:
        if not isinstance(value, dict):
            return [key]
        if "value" in value:
            return [] if len(str(value.get("source", ""))) >= 7 else [key]
        return [leaf for name, inner in value.items() for leaf in leaves(inner, f"{key}.{name}")]

    data = yaml.safe_load(DEFAULT_PATH.read_text())
    assert leaves({k: v for k, v in data.items() if k != "version"}, "damage") == []
    assert set(KINDS) <= set(data["classes"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"classes": {"box": None}}, "classes.box"),
        ({"rules": {"opening_deg": {"value": 200, "source": "assumed"}}}, "rules.opening_deg.value"),
        ({"rules": {"opening_deg": {"value": 45}}}, "rules.opening_deg.source"),
        ({"film": {"facter": {"value": 1, "source": "assumed"}}}, "film.facter"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path: Path, change: dict, expected: str) -> None:
    data = yaml.safe_load(DEFAULT_PATH.read_text())
    for section, entries in change.items():
        data[section].update(entries)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(DamageLimitsError, match=f"mine.yaml(.|\n)*{expected}"):
        load_damage_limits(path)


def test_a_missing_class_a_missing_file_and_broken_yaml_are_named(tmp_path: Path) -> None:
    data = yaml.safe_load(DEFAULT_PATH.read_text())
    del data["classes"]["jar"]
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(DamageLimitsError, match="no limits for jar"):
        load_damage_limits(path)
    with pytest.raises(DamageLimitsError, match="cannot read"):
        load_damage_limits(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("classes: [")
    with pytest.raises(DamageLimitsError, match="not valid YAML"):
        load_damage_limits(broken)


def test_an_unknown_class_lists_those_there_are() -> None:
    with pytest.raises(KeyError, match="hardcover"):
        LIMITS.class_limits("porcelain")


def test_what_follows_within_the_refractory_time_is_one_event_with_the_largest_value() -> None:
    record = EventRecord(0.5)
    for time_s, value in ((1.0, 3.0), (1.2, 4.0), (1.6, 2.5), (2.2, 2.2)):
        record.add(time_s, 7, "jar-000", "impact", value, 2.0, "table")
    record.add(1.3, 7, "jar-000", "crush", 50.0, 40.0, "finger_left_link")
    first, second, other = record.events
    assert (first.time_s, first.value, first.unit) == (1.0, 4.0, "m/s"), "1.6 is within half a second of 1.2"
    assert (second.time_s, second.value) == (2.2, 2.2)
    assert other.kind == "crush" and other.severity == pytest.approx(1.25)


def test_the_documentation_shows_the_limits_as_they_are() -> None:
    text = (REPOSITORY / "docs" / "damage.md").read_text()
    shown = text.split("<!-- limits -->\n")[1].split("\n<!-- /limits -->")[0]
    assert shown == limits_table(LIMITS), "python -m pickcell_sim.damage prints the table anew"
    assert "docs/damage.md" in DEFAULT_PATH.read_text()


def test_the_command_prints_the_table_or_says_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([]) == 0 and "| hardcover | 0.25 m * | 2.2 m/s |" in capsys.readouterr().out
    assert main([str(tmp_path / "none.yaml")]) == 2 and "none.yaml" in capsys.readouterr().err
