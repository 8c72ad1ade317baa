"""Damage at other limits, from records of damage and near misses."""

from __future__ import annotations

import pytest

from pickcell_sim.bench.records import DamageRecord, EpisodeRecord, PickRecord
from pickcell_sim.bench.sensitivity import damaged_items, ratio_rows, sensitivity
from pickcell_sim.bench.suites import Protocol


def event(item_id: int, kind: str, severity: float) -> DamageRecord:
    return DamageRecord(1.0, item_id, "a", "box", kind, 2.0 * severity, 2.0, "m/s", "target")


def tote(*events: DamageRecord) -> EpisodeRecord:
    damage = tuple(e for e in events if e.value > e.limit)
    near = tuple(e for e in events if e.value <= e.limit)
    pick = PickRecord("j", "a", "a", "box", "ok", "pinch", 1, 1, (), "success", ("a",), damage=damage, near_misses=near)
    return EpisodeRecord("tote", "auto", "true", 0, {"a": "box"}, "asked", (pick,))


@pytest.mark.parametrize(
    ("kind", "severity", "limit", "factor", "hurt"),
    [
        ("opened", 0.6, "opening", 1.0, 0),
        ("opened", 0.6, "opening", 0.5, 1),
        ("opened", 1.5, "opening", 2.0, 0),
        ("opened", 1.5, "crush", 2.0, 1),
        ("impact", 0.8, "impact", 0.5, 1),  # a speed: it follows with the root of the height
        ("impact", 0.7, "impact", 0.5, 0),
        ("blister", 1.3, "film", 1.41, 0),
    ],
)
def test_one_limit_at_a_time(kind: str, severity: float, limit: str, factor: float, hurt: int) -> None:
    assert damaged_items(tote(event(1, kind, severity)), {limit: factor}) == hurt


def test_an_item_counts_once_and_lower_limits_never_damage_less() -> None:
    both = tote(event(1, "opened", 1.2), event(1, "impact", 3.0), event(2, "crush", 0.9))
    rows = sensitivity([both], Protocol.ORDER)
    of = {(row["limit"], row["factor"]): row["damaged"] for row in rows}
    assert of["opening", 1.0] == of["impact", 1.0] == 1 and of["crush", 0.5] == 2
    for limit in ("impact", "opening", "crush", "film"):
        counts = [of[limit, factor] for factor in (0.5, 0.71, 1.0, 1.41, 2.0)]
        assert counts == sorted(counts, reverse=True)


def test_what_was_not_recorded_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="recorded from"):
        damaged_items(tote(event(1, "crush", 0.6)), {"crush": 0.3})


def test_ratios_need_the_same_rows() -> None:
    rows = sensitivity([tote()], Protocol.ORDER)
    assert {row["ratio"] for row in ratio_rows(rows, rows)} == {None}
    with pytest.raises(ValueError, match="same limits"):
        ratio_rows(rows, rows[1:])


def test_nothing_picked_is_no_number() -> None:
    row = sensitivity([], Protocol.ORDER)[0]
    assert row["per_1000"] is None and row["damaged"] == 0
