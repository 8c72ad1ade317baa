"""Claims of the choice from kept results of suites."""

from __future__ import annotations

import pytest

from pickcell_sim.bench.grasp.kept import kept_metrics, ratio_sensitivity
from pickcell_sim.bench.result import BenchResult, Metric


def kept(folder, suite: str, strategy: str, damaged: list[int], picks: int = 10, **metrics: Metric) -> None:
    rows = tuple({"seed": seed, "damaged": count, "picks": picks} for seed, count in enumerate(damaged))
    result = BenchResult(suite, 0, len(rows), {"strategy": strategy}, {}, "x", metrics, rows)
    result.write(folder / f"{suite}-{strategy}-estimated.json")


def test_nothing_kept_claims_nothing(tmp_path):
    assert kept_metrics(tmp_path) == {}


def test_the_ratio_of_damage_has_an_interval(tmp_path):
    kept(tmp_path, "books_boxes", "suction", [4, 3, 3])
    kept(tmp_path, "books_boxes", "auto", [1, 0, 0])
    metric = kept_metrics(tmp_path)["damage_ratio_books_boxes"]
    assert metric.value == pytest.approx(10.5 / 1.5) and metric.low < 7.0 < metric.high and metric.low > 1.0


def test_no_damage_at_all_on_one_side_has_no_upper_end(tmp_path):
    kept(tmp_path, "books_boxes", "suction", [4, 3, 3])
    kept(tmp_path, "books_boxes", "auto", [0, 0, 0])
    metric = kept_metrics(tmp_path)["damage_ratio_books_boxes"]
    assert metric.value == pytest.approx(21.0) and metric.low > 2.0 and metric.high == float("inf")


def test_other_totes_are_refused(tmp_path):
    kept(tmp_path, "books_boxes", "suction", [4, 3, 3])
    kept(tmp_path, "books_boxes", "auto", [1, 0])
    with pytest.raises(ValueError, match="same totes"):
        kept_metrics(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "retrieval-auto-estimated.json").write_text("{")
    with pytest.raises(ValueError, match="retrieval-auto-estimated"):
        kept_metrics(tmp_path)


def test_what_was_dug_out_counts_when_nothing_broke(tmp_path):
    kept(tmp_path, "retrieval", "auto", [0], clean_rate=Metric(0.9, 0.8, 0.95, "share"))
    assert kept_metrics(tmp_path)["retrieval_rate"].value == 0.9


def test_the_ratio_is_told_at_other_limits(tmp_path):
    for strategy, counts in (("suction", [9, 4]), ("auto", [2, 0])):
        rows = [
            {"limit": "opening", "factor": f, "damaged": n, "picks": 30, "per_1000": 0.0, "low": 0.0, "high": 0.0}
            for f, n in zip((0.5, 2.0), counts)
        ]
        config = {"strategy": strategy, "damage_at_other_limits": rows}
        BenchResult("books_boxes", 0, 1, config, {}, "x", {}, ({"seed": 0, "damaged": 1, "picks": 30},)).write(
            tmp_path / f"books_boxes-{strategy}-estimated.json"
        )
    lower, higher = ratio_sensitivity(tmp_path)
    assert (lower["damaged_a"], lower["damaged_b"], lower["ratio"]) == (9, 2, 3.8)
    assert (higher["damaged_a"], higher["damaged_b"], higher["high"]) == (4, 0, None)
    assert ratio_sensitivity(tmp_path / "nothing") == []


def test_results_from_before_there_were_such_tables_say_nothing(tmp_path):
    kept(tmp_path, "books_boxes", "suction", [4])
    kept(tmp_path, "books_boxes", "auto", [1])
    assert ratio_sensitivity(tmp_path) == []
