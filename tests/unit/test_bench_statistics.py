"""Intervals: known values, and coverage of what they claim to cover."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickcell_sim.bench.result import BenchResult, Metric
from pickcell_sim.bench.statistics import (
    bootstrap,
    clustered_rate,
    median,
    paired_difference,
    poisson,
    rate_per_hour,
    rate_ratio,
    ratio,
    wilson,
    wilson_of,
)


def test_wilson_against_published_values():
    # Newcombe (1998), table I: 81 of 263 and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.30798, 0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20)[1:] == pytest.approx((0.0, 0.1611), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_in_range(case):
    share, low, high = wilson(*case)
    assert 0.0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1.0


def test_wilson_of_nothing_and_of_nonsense():
    assert wilson(0, 0)[1:] == (0.0, 1.0)
    with pytest.raises(ValueError, match="5 of 3"):
        wilson(5, 3)


def test_bootstrap_covers_the_mean_of_a_normal_sample():
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(40):
        _, low, high = bootstrap(rng.normal(5.0, 1.0, 60), lambda v: float(v.mean()), seed)
        covered += low <= 5.0 <= high
    assert covered >= 33


def test_rates_and_medians():
    assert rate_per_hour(np.array([[1.0, 10.0], [0.0, 10.0]]))[0] == pytest.approx(180.0)
    assert median(np.array([1.0, 2.0, 9.0]))[0] == 2.0
    assert all(np.isnan(median(np.array([]))))


def test_poisson_against_published_values():
    # Garwood (1936): 0 and 10 events, exact 95 % limits.
    assert poisson(0, 1.0) == pytest.approx((0.0, 0.0, 3.6889), abs=1e-4)
    assert poisson(10, 2.0) == pytest.approx((5.0, 4.7954 / 2, 18.3904 / 2), abs=1e-3)
    with pytest.raises(ValueError, match="exposure"):
        poisson(1, 0.0)


def test_a_ratio_of_rates_covers_the_true_one():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        a, b = (int(n) for n in rng.poisson((12.0, 4.0)))
        _, low, high = rate_ratio(a, 100.0, b, 100.0)
        hits += low <= 3.0 <= high
    assert hits / 400 >= 0.95 - 0.02


def test_a_ratio_of_nothing_says_nothing():
    assert np.isnan(rate_ratio(0, 10.0, 0, 10.0)).all()
    assert rate_ratio(0, 10.0, 5, 10.0)[1] == 0.0
    with pytest.raises(ValueError, match="exposures"):
        rate_ratio(1, 0.0, 1, 1.0)


def test_clustered_rate_is_wider_when_events_come_together():
    spread = clustered_rate(np.array([[1.0, 10.0]] * 20))
    together = clustered_rate(np.array([[20.0, 10.0]] + [[0.0, 10.0]] * 19))
    assert spread[0] == together[0] == pytest.approx(0.1)
    assert together[2] - together[1] > 1.5 * (spread[2] - spread[1])
    assert clustered_rate(np.array([[0.0, 10.0]] * 5))[2] == pytest.approx(3.6889 / 50, abs=1e-4)
    assert np.isnan(clustered_rate(np.zeros((0, 2)))[0])


def test_paired_difference_is_narrower_than_the_two_sides():
    rng = np.random.default_rng(5)
    hard = rng.uniform(0.2, 1.0, 60)  # some totes are harder than others, for both
    a = np.column_stack([np.round(8 * hard), np.full(60, 8.0)])
    b = np.column_stack([np.maximum(0.0, a[:, 0] - rng.integers(0, 3, 60)), np.full(60, 8.0)])
    value, low, high = paired_difference(a, b)
    assert value == pytest.approx((a[:, 0] - b[:, 0]).sum() / 480.0)
    assert low < value < high
    assert high - low < 0.5 * (ratio(a)[2] - ratio(a)[1])


def test_a_difference_of_nothing_and_nothing_is_not_certain():
    none = np.array([[0.0, 10.0]] * 6)
    value, low, high = paired_difference(none, none, poisson)
    assert value == 0.0 and -low == high == pytest.approx(3.6889 / 60, abs=1e-4)
    some = np.array([[1.0, 10.0], [2.0, 10.0]] * 3)
    value, low, high = paired_difference(some, none, poisson)
    assert value == pytest.approx(0.15) and 0.0 < low < 0.15 < high
    assert np.isnan(paired_difference(none, none)[1])
    # Newcombe (1998), table II, method 10 on 56/70 and 48/80.
    a, b = np.array([[56.0, 70.0]]), np.array([[48.0, 80.0]])
    assert paired_difference(a, b, wilson_of) == pytest.approx((0.2, 0.0524, 0.3339), abs=2e-4)


def test_one_tote_has_no_interval():
    assert ratio(np.array([[3.0, 8.0]]))[0] == 0.375 and np.isnan(ratio(np.array([[3.0, 8.0]]))[1])
    assert clustered_rate(np.array([[0.0, 8.0]]))[2] == pytest.approx(3.6889 / 8, abs=1e-4)


def test_paired_difference_covers_the_true_one():
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(60):
        base = rng.uniform(0.3, 0.6, 40)
        a = np.column_stack([rng.binomial(8, base + 0.2), np.full(40, 8)])
        b = np.column_stack([rng.binomial(8, base), np.full(40, 8)])
        _, low, high = paired_difference(a, b)
        covered += low <= 0.2 <= high
    assert covered >= 51


def test_paired_difference_refuses_other_seeds():
    with pytest.raises(ValueError, match=r"same seeds.*2 and 1"):
        paired_difference(np.ones((2, 2)), np.ones((1, 2)))
    assert np.isnan(paired_difference(np.zeros((3, 2)), np.ones((3, 2)))[0])


def test_a_result_round_trips(tmp_path):
    metrics = {"x": Metric(1.0, 0.0, 2.0, "ms"), "nothing": Metric(float("nan"), 0.0, 1.0, "share")}
    rows = ({"seed": 0, "picks": 8}, {"seed": 1, "picks": 2})
    result = BenchResult("pick", 0, 2, {"cell": "panda", "outcomes": {"ok": 2}}, {"cores": 2}, "abc", metrics, rows)
    result.write(tmp_path / "pick.json")
    text = (tmp_path / "pick.json").read_text()
    assert "NaN" not in text and '  {"seed": 1, "picks": 2}' in text.splitlines()
    read = BenchResult.from_dict(json.loads(text))
    assert read.episodes == rows and read.metrics["x"] == metrics["x"] and np.isnan(read.metrics["nothing"].value)
    assert read.metrics["nothing"].text() == "-" and read.metrics["x"].text() == "1 (0 .. 2)"
