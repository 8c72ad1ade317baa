"""Intervals: known values, and coverage of what they claim to cover."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickcell_sim.bench.result import BenchResult, Metric, write_page
from pickcell_sim.bench.statistics import bootstrap, median, rate_per_hour, wilson


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


def test_a_result_round_trips_and_makes_a_page(tmp_path):
    result = BenchResult(
        "pick", 0, 2, {"cell": "panda", "outcomes": {"ok": 2}}, {"cores": 2}, "abc", {"x": Metric(1, 0, 2, "ms")}
    )
    result.write(tmp_path / "pick.json")
    assert BenchResult.from_dict(json.loads((tmp_path / "pick.json").read_text())) == result
    page = write_page(tmp_path).read_text()
    assert "| x | 1 | 0 .. 2 | ms |" in page and "Outcomes: ok 2." in page
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match=r"bad\.json"):
        write_page(tmp_path)
