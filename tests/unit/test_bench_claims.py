"""The claims' bench: one seed, one trial; what is counted from records; physics that shows what it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pickcell.values import Tool
from pickcell_sim.bench.claims import run as claims
from pickcell_sim.bench.claims.access import Access, measure_access
from pickcell_sim.bench.claims.draw import axis_up, draw
from pickcell_sim.bench.claims.record import Peak, TrialRecord
from pickcell_sim.bench.claims.report import markdown, write_report
from pickcell_sim.bench.claims.run import Job, jobs_of, read_records, run_trials, summarise, write_records
from pickcell_sim.bench.claims.series import CLAIMS, HEAVY_BOX, HEAVY_KG, Series, all_series, pool, series_of
from pickcell_sim.bench.claims.shares import (
    ToolDamage,
    damage_ratio,
    damaged,
    mixed_damage,
    ratio,
    sensitivities,
    share,
    tool_damage,
    weighted,
)
from pickcell_sim.bench.claims.trial import run_trial
from pickcell_sim.bench.result import BenchResult

SERIES = {s.name: s for s in all_series()}


def trial(name: str, number: int = 0) -> TrialRecord:
    return run_trial(SERIES[name], 0, number)


# -- what is drawn -------------------------------------------------------------------------------------------------------
def test_every_claim_has_series_with_names_of_their_own() -> None:
    assert len(SERIES) == len(all_series())
    assert {s.claim for s in all_series()} == set(CLAIMS)
    assert {s.claim for s in series_of(("bags", "flats"))} == {"bags", "flats"}
    with pytest.raises(ValueError, match=r"no claim \['bag'\].*bags"):
        series_of(("bag",))


def test_kinds_are_drawn_from_the_test_split_and_within_the_payload() -> None:
    for kind in {s.kind for s in all_series()} - {HEAVY_BOX}:
        assert all(sku.startswith(f"{kind}-") for sku in pool(kind))
    assert "shrink-003" not in pool("shrink")  # 1.35 kg
    with pytest.raises(ValueError, match="no unicorn"):
        pool("unicorn")


def test_tools_and_accelerations_get_the_same_items_in_the_same_poses() -> None:
    base = SERIES["box-dumped-suction-30mm-ejector-4"]
    for other in (replace(base, tool=Tool.PINCH), replace(base, acceleration=8.0), replace(base, cup="40mm")):
        a, b = draw(base, 5, 3), draw(other, 5, 3)
        assert a.spec is b.spec and a.mass_kg == b.mass_kg
        np.testing.assert_array_equal(a.posture, b.posture)
        np.testing.assert_array_equal(a.offset, b.offset)
    assert not np.array_equal(draw(base, 5, 3).posture, draw(base, 5, 4).posture)
    assert not np.array_equal(draw(base, 5, 3).posture, draw(base, 6, 3).posture)


def test_postures_turn_the_rightaxis_up() -> None:
    for axis in range(3):
        for sign in (1.0, -1.0):
            R = axis_up(axis, sign)
            np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(R) == pytest.approx(1.0)
            np.testing.assert_allclose(R[:, axis], [0.0, 0.0, sign], atol=1e-12)
    tall = draw(SERIES["heavy_box-tall-pinch-12"], 0, 0)
    assert abs(tall.posture[2, int(np.argmax(tall.spec.size_m))]) == pytest.approx(1.0)
    assert HEAVY_KG[0] <= tall.mass_kg <= HEAVY_KG[1]
    lying = draw(SERIES["card-lying-pinch-4"], 0, 0)
    assert abs(lying.posture[2, int(np.argmin(lying.spec.size_m))]) == pytest.approx(1.0)


# -- trials --------------------------------------------------------------------------------------------------------------
def test_a_seed_decides_a_trial() -> None:
    name = "box-dumped-suction-30mm-ejector-8"
    first = trial(name, 1)
    assert trial(name, 1) == first
    assert first.peak_mps2 == 0.0 or first.peak_mps2 > 7.0


def test_a_book_opens_on_the_cup_and_stays_shut_between_the_pads() -> None:
    sucked = trial("hardcover-lying-suction-30mm-ejector-4")
    assert sucked.held and sucked.peaks["opened"].severity > 1.5
    pinched = trial("hardcover-standing-pinch-4")
    assert pinched.outcome == "delivered" and "opened" not in pinched.peaks
    assert pinched.peak_mps2 == pytest.approx(4.2, abs=0.4)


def test_a_tall_heavy_box_peels_off_in_a_fast_carry_only() -> None:
    assert trial("heavy_box-tall-suction-30mm-ejector-2").outcome == "delivered"
    fast = trial("heavy_box-tall-suction-30mm-ejector-12")
    assert fast.lost and fast.why == "peel"
    assert trial("heavy_box-tall-pinch-12").outcome == "delivered"


def test_a_loose_bag_gives_no_seal_and_a_card_no_grip() -> None:
    bag = trial("loose_bag-lying-suction-30mm-ejector-4")
    assert (bag.outcome, bag.why, bag.held) == ("no_hold", "no seal", False)
    assert not any(trial("card-lying-pinch-4", n).held for n in range(3))


def test_jobs_cover_each_trial_once_and_their_order_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(series_of(("flats",)), 60, 9)
    for series in series_of(("flats",)):
        numbers = [n for j in jobs if j.series is series for n in range(j.first, j.first + j.count)]
        assert sorted(numbers) == list(range(60))

    def fake(job: Job) -> list[TrialRecord]:
        return [record(job.series.name, number=n) for n in range(job.first, job.first + job.count)]

    monkeypatch.setattr(claims, "run_job", fake)
    monkeypatch.setattr(claims, "run_here", lambda f, js: reversed(list(claims_finished(f, js))))
    trials = run_trials(60, 9, claims=("flats",))
    assert [r.number for records in trials.values() for r in records] == [*range(60)] * len(trials)
    with pytest.raises(ValueError, match="at least one trial"):
        run_trials(0)


def claims_finished(function, jobs):  # type: ignore[no-untyped-def]
    from pickcell_sim.bench.parallel import run_here

    return run_here(function, jobs)


@pytest.mark.slow
def test_two_processes_give_the_same_records() -> None:
    assert run_trials(2, 5, workers=2, claims=("flats",)) == run_trials(2, 5, claims=("flats",))


def test_a_trial_that_breaks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(job: Job) -> list[TrialRecord]:
        raise RuntimeError("the world ended")

    monkeypatch.setattr(claims, "run_job", broken)
    with pytest.raises(claims.ClaimsError, match=r"card-lying.*trials from 0 on: RuntimeError: the world ended"):
        run_trials(1, claims=("flats",))


# -- counting ------------------------------------------------------------------------------------------------------------
def record(series: str, outcome: str = "delivered", number: int = 0, **peaks: float) -> TrialRecord:
    """A trial whose values are these shares of their limits."""
    found = {kind: Peak(10.0 * severity, 10.0, "table") for kind, severity in peaks.items()}
    return TrialRecord(series, number, "box-001", 0.3, outcome, "", found)


def test_damage_is_judged_anew_with_other_limits() -> None:
    opened, fell = record("x", opened=1.5), record("x", impact=0.8)
    assert damaged(opened) and not damaged(fell)
    assert damaged(opened, {"opening": 1.4}) and not damaged(opened, {"opening": 1.6})
    assert damaged(opened, {"impact": 2.0})
    assert damaged(fell, {"impact": 0.6}) and not damaged(fell, {"impact": 0.7})  # roots: .775 and .837
    assert damaged(record("x", blister=0.6), {"film": 0.5}) and damaged(record("x", crush=0.6), {"crush": 0.5})
    with pytest.raises(ValueError, match=r"no limits named \['height'\].*impact"):
        damaged(fell, {"height": 1.0})
    with pytest.raises(ValueError, match=r"recorded from 0\.4"):
        damaged(opened, {"opening": 0.3})


def test_weighted_shares_keep_sensible_intervals() -> None:
    one = share([True] * 30 + [False] * 70)
    assert weighted([(1.0, one)]) == pytest.approx(one)
    halves = weighted([(0.5, one), (0.5, one)])
    assert halves[0] == pytest.approx(0.3)
    assert halves[2] - halves[0] == pytest.approx((one[2] - one[0]) / np.sqrt(2.0))
    assert weighted([(0.5, share([False] * 100)), (0.5, share([False] * 100))])[1] == 0.0


def test_ratio_says_what_is_shown_and_no_more() -> None:
    assert ratio((0.8, 0.7, 0.9), (0.1, 0.05, 0.2)) == pytest.approx((8.0, 3.5, 18.0))
    unbounded = ratio((0.8, 0.7, 0.9), (0.0, 0.0, 0.035))
    assert unbounded[0] == np.inf and unbounded[1] == pytest.approx(20.0) and unbounded[2] == np.inf
    nothing = ratio((0.0, 0.0, 0.1), (0.0, 0.0, 0.1))
    assert np.isnan(nothing[0]) and nothing[1] == 0.0


FOUND = ToolDamage(
    {"book": (0.8, 0.7, 0.9), "box": (0.2, 0.1, 0.3)},
    {"book": (0.04, 0.01, 0.08), "box": (0.02, 0.01, 0.04)},
)


def test_mix_and_access_move_the_ratio_as_arithmetic_says() -> None:
    assert damage_ratio(FOUND)[0] == pytest.approx(0.5 / 0.03)
    assert damage_ratio(FOUND, book_share=1.0)[0] == pytest.approx(20.0)
    assert damage_ratio(FOUND, book_share=0.0)[0] == pytest.approx(10.0)
    # where the jaw cannot reach, suction does its damage: no more than 1 / (1 - access) can be won
    assert damage_ratio(FOUND, access=0.5)[0] == pytest.approx(0.5 / (0.5 * 0.03 + 0.5 * 0.5))
    assert damage_ratio(FOUND, access=0.0)[0] == pytest.approx(1.0)
    assert all(damage_ratio(FOUND, access=a)[0] < 1.0 / (1.0 - a) for a in (0.2, 0.5, 0.9))
    assert damage_ratio(FOUND, access=0.5, fall_back=False)[0] == pytest.approx(0.5 / 0.015)
    assert mixed_damage(FOUND, 0.25)[0][0] == pytest.approx(0.35)
    # by group: only boxes within reach
    assert damage_ratio(FOUND, access={"book": 0.0, "box": 1.0})[0] == pytest.approx(0.5 / (0.5 * 0.8 + 0.5 * 0.02))
    with pytest.raises(ValueError, match=r"0\.\.1"):
        damage_ratio(FOUND, book_share=1.2)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        damage_ratio(FOUND, access={"book": 0.5, "box": -0.1})


def synthetic() -> dict[Series, list[TrialRecord]]:
    """Ten trials per series: on the cup 8 books open to 1.2 of the limit and 2 boxes fall at 0.8 of theirs."""
    trials = {}
    for s in series_of(("books_boxes",)):
        records = [record(s.name, number=n) for n in range(10)]
        if s.tool is Tool.SUCTION and s.posture == "lying":
            records[:8] = [record(s.name, number=n, opened=1.2) for n in range(8)]
        if s.tool is Tool.SUCTION and s.kind == "box":
            records[:2] = [record(s.name, "lost_carry", n, impact=0.8) for n in range(2)]
        trials[s] = records
    return trials


def test_the_sweep_is_recounted_from_records() -> None:
    trials = synthetic()
    found = tool_damage(trials)
    assert found.suction["book"][0] == pytest.approx(0.8) and found.suction["box"][0] == 0.0
    rows = {(r.what, r.at): r for r in sensitivities(trials)}
    assert rows["opening", 1.0].suction[0] == pytest.approx(0.4)
    assert rows["opening", 1.41].suction[0] == 0.0
    assert rows["impact", 0.5].suction[0] == pytest.approx(0.5 * 0.8 + 0.5 * 0.2)
    assert rows["book_share", 1.0].suction[0] == pytest.approx(0.8)
    assert rows["access_fall_back", 0.5].ratio[0] == pytest.approx(2.0)
    assert rows["access_leave", 0.5].pinch[0] == 0.0
    with pytest.raises(ValueError, match="needs series of books"):
        tool_damage({s: r for s, r in trials.items() if s.kind != "paperback"})


def test_records_survive_being_written(tmp_path: Path) -> None:
    trials = synthetic()
    write_records(trials, tmp_path / "trials.jsonl")
    assert read_records(tmp_path / "trials.jsonl") == trials
    (tmp_path / "other.jsonl").write_text('{"series": 3}\n')
    with pytest.raises(ValueError, match=r"other.jsonl, line 1: not a trial"):
        read_records(tmp_path / "other.jsonl")
    write_records({next(iter(trials)): [record("gone-series")]}, tmp_path / "old.jsonl")
    with pytest.raises(ValueError, match="gone-series"):
        read_records(tmp_path / "old.jsonl")


def test_the_result_is_kept_with_its_page_and_plot(tmp_path: Path) -> None:
    access = Access({"book": (1, 10), "box": (5, 10)}, {"book": (8, 10), "box": (9, 10)})
    result = summarise(synthetic(), 10, 4, access=access)
    assert result.metrics["pinch has a grasp on a book in a full tote"].value == pytest.approx(0.1)
    measured = next(r for r in result.config["sensitivity"] if r["what"] == "access_fall_back_measured")
    assert measured["at"] == pytest.approx(0.3) and measured["pinch"][0] == pytest.approx(0.9 * 0.4)
    least = result.metrics["suction : pinch damage ratio, at least"]
    assert 1.0 < least.value == least.low < 5.0 and least.high == np.inf
    row = next(r for r in result.episodes if r["series"] == "box-dumped-suction-30mm-ejector-4")
    assert (row["lost"], row["delivered"], row["damaged"], row["outcomes"]["lost_carry"]) == (2, 8, 0, 2)
    kept, page, picture = write_report(result, tmp_path)
    again = BenchResult.from_dict(__import__("json").loads(kept.read_text()))
    assert again.episodes == result.episodes
    assert markdown(again, Path("plots/claims.png")) == page.read_text()
    text = page.read_text()
    assert CLAIMS["books_boxes"].sentence in text and CLAIMS["bags"].sentence not in text
    assert (
        "| hardcover | lying | suction, 30mm cup, ejector | 4 (-) | 10 | 100 (72 .. 100) | 0 (0 .. 28) | 80 (49 .. 94) |"
        in text
    )
    assert "pinch has a grasp on 1 of 10 books" in text
    assert picture.stat().st_size > 10_000


def test_access_is_counted_in_full_totes() -> None:
    access = measure_access(1, 3)
    for counted in (access.pinch, access.suction):
        assert set(counted) == {"book", "box"} and all(0 <= hits <= n > 0 for hits, n in counted.values())
    assert access.shares()["book"] == access.pinch["book"][0] / access.pinch["book"][1]
    with pytest.raises(ValueError, match="at least one tote"):
        measure_access(0)
