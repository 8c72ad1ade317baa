"""Figures from made-up episodes with known answers, and the pages made from them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pickcell_sim.bench.page import write_pages
from pickcell_sim.bench.records import DamageRecord, EpisodeRecord, PickRecord, fingerprint
from pickcell_sim.bench.run import SuiteConfig, SuiteRun, paired_of, results_of
from pickcell_sim.bench.suites import ABLATIONS, TOOL_STRATEGIES, Perception, Protocol, Strategy, load_suite
from pickcell_sim.bench.summary import episode_row, metrics_of, paired_metrics, removed, tallies


def damage(item_id: int, sku: str, cause: str, time_s: float = 1.0, kind: str = "impact") -> DamageRecord:
    return DamageRecord(time_s, item_id, sku, "box", kind, 3.0, 2.8, "m/s", cause)


def pick(number: int, sku: str, result: str = "success", **more) -> PickRecord:
    delivered = {"success": (sku,), "double": (sku, "other"), "wrong_item": ("other",)}.get(result, ())
    code = "ok" if result == "success" else "no_grasp_found"
    base = PickRecord(f"j{number}", sku, sku, "box", code, "pinch", 1, 1, (), result, delivered, cell_s=10.0, wall_s=2.0)
    return replace(base, missed=result == "missed", dropped=result == "dropped", double=result == "double",
                   wrong_item=result in ("double", "wrong_item"), **more)  # fmt: skip


def episode(seed: int, *picks: PickRecord, **more) -> EpisodeRecord:
    presented = {p.asked: "box" for p in picks} | {"other": "can"}
    base = EpisodeRecord("tote", "auto", "true", seed, presented, "asked", tuple(picks))
    return replace(base, **more)


def test_rates_of_an_order():
    first = episode(0, pick(0, "a"), pick(1, "b", "dropped"), pick(2, "c", "missed", grasps=3), pick(3, "d", "double"))
    second = episode(1, pick(0, "e"), pick(1, "f", needs_person=True))
    m = metrics_of([first, second], Protocol.ORDER)
    values = {name: metric.value for name, metric in m.items()}
    assert values["success_rate"] == pytest.approx(3 / 6) and values["drop_rate"] == pytest.approx(1 / 6)
    assert values["missed_rate"] == values["double_rate"] == values["wrong_item_rate"] == pytest.approx(1 / 6)
    assert values["attempt_success_rate"] == pytest.approx(3 / 8)
    assert values["cleared_rate"] == pytest.approx(4 / 6), "a double brings the wanted item as well"
    assert values["assist_rate"] == pytest.approx(1 / 6)
    assert values["uph"] == pytest.approx(3 * 3600 / 60)
    assert values["realtime_factor"] == pytest.approx(5.0)
    assert values["damage_per_1000"] == 0.0 and m["damage_per_1000"].high == pytest.approx(1000 * 3.6889 / 6, abs=0.1)


def test_an_item_is_damaged_once_and_not_counted_as_a_unit():
    twice = (damage(7, "a", "target", 1.0), damage(7, "a", "target", 2.0, "opened"), damage(9, "b", "neighbour", 1.5))
    record = episode(0, pick(0, "a", damage=twice), pick(1, "b", damage=(damage(9, "b", "target", 20.0),)), pick(2, "c"))
    assert [(n, e.item_id, e.kind) for n, e in record.damaged()] == [(0, 7, "impact"), (0, 9, "impact")]
    assert record.delivered_undamaged() == [False, False, True]
    row = episode_row(record, Protocol.ORDER)
    assert (row["success"], row["undamaged"], row["damaged"]) == (3, 1, 2)
    m = metrics_of([record], Protocol.ORDER)
    assert m["damage_per_1000"].value == pytest.approx(2000 / 3)
    assert m["damage_target_per_1000"].value == m["damage_neighbour_per_1000"].value == pytest.approx(1000 / 3)
    said = tallies([record], Protocol.ORDER)
    assert said["damage_causes"] == {"neighbour": 1, "target": 1} and said["delivered_by_kind"] == {"box": "3 of 3"}


def test_rates_of_clearing():
    """Five objects: two taken, one grasp failed, then no grasp was found. GSR 2 of 3, DR 2 of 5."""
    picks = [pick(0, "a"), pick(1, "b", "missed"), pick(2, "c"), pick(3, "*", "missed", grasps=0, lifted=0, kind="")]
    record = episode(0, *picks, presented=dict.fromkeys("abcde", "box"), ended="no_grasp_found")
    m = metrics_of([record], Protocol.CLEAR)
    assert m["success_rate"].value == m["attempt_success_rate"].value == pytest.approx(2 / 3)
    assert m["cleared_rate"].value == pytest.approx(2 / 5) and removed(record, Protocol.CLEAR) == 2
    assert m["lifted_rate"].value == pytest.approx(1.0)
    assert m["uph"].value == pytest.approx(2 * 3600 / 40), "looking in vain takes time as well"
    assert tallies([record], Protocol.CLEAR)["rounds_ended"] == {"no_grasp_found": 1}


def test_nothing_attempted_has_no_rate():
    record = episode(0, pick(0, "*", "missed", grasps=0, lifted=0), presented={"a": "box"}, ended="no_grasp_found")
    m = metrics_of([record], Protocol.CLEAR)
    assert m["success_rate"].text() == "-" and m["cleared_rate"].value == 0.0 and m["damage_per_1000"].text() == "-"


def test_pairs_are_matched_by_seed_not_by_order():
    good = [episode_row(episode(s, pick(0, "a"), pick(1, "b")), Protocol.ORDER) for s in (2, 0, 1)]
    bad = [episode_row(episode(s, pick(0, "a"), pick(1, "b", "missed")), Protocol.ORDER) for s in (0, 1, 2, 3)]
    m = paired_metrics(good, bad)
    assert m["success_rate"].value == pytest.approx(0.5) and 0.0 < m["success_rate"].low < 0.5 < m["success_rate"].high
    assert m["uph"].value == pytest.approx(180.0) and m["missed_rate"].value == pytest.approx(-0.5)
    assert paired_metrics(good, [])["success_rate"].text() == "-"


def test_records_round_trip_and_their_fingerprint_ignores_wall_time():
    record = episode(4, pick(0, "a", damage=(damage(1, "a", "target"),)), calls_ms={"observe": [1.0]}, wall_s=3.0)
    assert EpisodeRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    slower = replace(record, wall_s=9.0, calls_ms={"observe": [7.0]}, picks=(replace(record.picks[0], wall_s=8.0),))
    assert fingerprint([slower]) == fingerprint([record])
    assert fingerprint([replace(record, picks=(replace(record.picks[0], cell_s=10.1),))]) != fingerprint([record])


@pytest.fixture
def run() -> SuiteRun:
    config = SuiteConfig(load_suite("tote"), perceptions=(Perception.TRUE,), n=4)
    run = SuiteRun(config)
    for strategy in TOOL_STRATEGIES:
        bad = "missed" if strategy is Strategy.SUCTION else "success"
        run.episodes[strategy, Perception.TRUE] = [episode(s, pick(0, "a"), pick(1, "b", bad)) for s in range(2)]
    run.errors.append("tote-auto-true-9: the items do not fit")
    return run


def test_results_hold_what_the_figures_depend_on(run):
    results = results_of(run)
    assert set(results) == {"tote-suction-true", "tote-pinch-true", "tote-auto-true", "tote-paired-true"}
    auto = results["tote-auto-true"]
    assert auto.n == 4 and auto.metrics["success_rate"].value == 1.0 and len(auto.episodes) == 2
    for key in ("item_mix", "thresholds", "fingerprint", "clock", "charged_ms", "split", "catalogue", "code"):
        assert auto.config[key], key
    assert auto.config["errors"] == run.errors and results["tote-pinch-true"].config["errors"] == []
    assert results["tote-paired-true"].metrics["success_rate_pinch_minus_suction"].value == pytest.approx(0.5)


def test_the_choice_is_compared_with_itself_without_its_parts():
    strategies = (Strategy.AUTO, *ABLATIONS)
    run = SuiteRun(SuiteConfig(load_suite("tote"), strategies, (Perception.TRUE,), n=4))
    for strategy in strategies:
        bad = "missed" if strategy is Strategy.WITHOUT_SCORE else "success"
        run.episodes[strategy, Perception.TRUE] = [episode(s, pick(0, "a"), pick(1, "b", bad)) for s in range(2)]
    results = results_of(run)
    assert set(results) == {f"tote-{s.value}-true" for s in strategies} | {"tote-ablated-true"}
    metrics = results["tote-ablated-true"].metrics
    assert metrics["success_rate_without_score_minus_auto"].value == pytest.approx(-0.5)
    assert metrics["success_rate_without_completion_minus_auto"].value == 0.0


def test_pages_are_made_from_what_is_kept(run, tmp_path):
    for name, result in results_of(run).items():
        result.write(tmp_path / f"{name}.json")
    markdown, page = (path.read_text() for path in write_pages(tmp_path))
    assert "| tote, suction | 4 | 0.5 (" in markdown and "](plots/overview-true.png)" in markdown
    assert "pinch minus suction" in markdown and "[tote-auto-true](tote-auto-true.json)" in markdown
    assert "<details><summary>tote-auto-true" in page
    assert page.count("data:image/png;base64,") == 3 and "<script" not in page
    assert {p.name for p in (tmp_path / "plots").iterdir()} == {
        "overview-true.png", "differences-true.png", "failures-true.png",
    }  # fmt: skip
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match=r"bad\.json"):
        write_pages(tmp_path)


def test_strategies_that_were_run_one_by_one_are_paired_on_the_page(run, tmp_path):
    results = results_of(run)
    paired = results.pop("tote-paired-true")
    assert paired_of(list(results.values())).to_dict()["metrics"] == paired.to_dict()["metrics"]
    for name, result in results.items():
        result.write(tmp_path / f"{name}.json")
    assert "pinch minus suction" in write_pages(tmp_path)[0].read_text()
    other = replace(results["tote-auto-true"], seed=1)
    with pytest.raises(ValueError, match="one suite"):
        paired_of([other, results["tote-pinch-true"]])
    other.write(tmp_path / "tote-auto-true.json")
    assert "pinch minus suction" not in write_pages(tmp_path)[0].read_text()
