"""What open eyes are worth, from records."""

from __future__ import annotations

import pytest

from pickcell_sim.bench.guard import SHARES, Disturbed, _suite, guard_metrics
from pickcell_sim.bench.records import EpisodeRecord, PickRecord, joined
from pickcell_sim.bench.suites import NO_PERTURBATION, load_suite
from pickcell_sim.perturbations.kinds import Kind


def pick(result="success", failures=(), struck=True, met_n=0.0) -> PickRecord:
    delivered = ("box-1",) if result == "success" else ()
    return PickRecord(
        "job", "box-1", "box-1", "box", "ok", "pinch", 1, 1, tuple(failures), result, delivered,
        struck=struck, met_n=met_n, cell_s=10.0,
    )  # fmt: skip


def group(kind: str, *picks: PickRecord) -> Disturbed:
    return Disturbed(kind, [EpisodeRecord("disturbed", "auto", "estimated", 1, {}, "asked", tuple(picks))])


def test_shares_are_of_what_was_struck():
    groups = [
        group(
            Kind.TARGET_SHIFT.value,
            pick(failures=["approach: target_moved"]), pick("missed", ["grasp: missed"]), pick("missed", struck=False),
        ),
        group(Kind.INTRUDER.value, pick(met_n=30.0), pick(met_n=2.0, failures=["approach: path_blocked"]), pick(), pick()),
        group(Kind.SLIP_IN_HAND.value, pick("missed", ["lift: slipped"]), pick("missed")),
        group(Kind.VACUUM_LEAK.value, pick(), pick(struck=False)),
        group(NO_PERTURBATION, pick(), pick(failures=["approach: target_moved"]), pick(), pick("missed")),
    ]  # fmt: skip
    m = guard_metrics(groups)
    assert m["delivered_rate"].value == pytest.approx(1 / 2)
    assert m["shift_noticed_rate"].value == pytest.approx(1 / 2)
    assert m["collision_rate"].value == pytest.approx(1 / 4)
    assert m["noticed_rate"].value == pytest.approx(2 / 3)
    assert m["false_intervention_rate"].value == pytest.approx(1 / 4)
    assert m["undisturbed_delivered_rate"].value == pytest.approx(3 / 4)
    assert m["uph"].value == pytest.approx(3600.0 * 7 / 110.0)


def test_both_arms_meet_the_same_disturbances():
    base = load_suite("disturbed")
    for kind in (*SHARES, NO_PERTURBATION):
        on, off = _suite(base, kind, True), _suite(base, kind, False)
        assert on.guard and not off.guard and on.name != off.name
        assert on.model_dump(exclude={"name", "guard"}) == off.model_dump(exclude={"name", "guard"})
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_the_hardest_hit_of_all_tries_counts():
    assert joined([pick(met_n=3.0), pick(met_n=40.0), pick()]).met_n == 40.0
