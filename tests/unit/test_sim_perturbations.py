"""Scripts of perturbations: drawn from checked ranges by a seed, alike every time, and run when their moment has come."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_cell import FakeCell, Faults
from sim_rig import driven

from pickcell.outcome import Outcome, Stage
from pickcell.task.ledger import Ledger
from pickcell.task.pick import PickTask
from pickcell.task.request import ANY_ITEM, PickRequest
from pickcell.values import Sku, Tool
from pickcell_sim.perturbations import (
    Kind,
    LivePerturbations,
    Perturbation,
    PerturbationConfigError,
    Perturbations,
    PerturbationScript,
    draw_script,
    load_ranges,
    watch_task,
)
from pickcell_sim.perturbations.guided import smooth_step
from pickcell_sim.perturbations.kinds import MAGNITUDES, STAGES
from pickcell_sim.perturbations.ranges import default_ranges_file

RANGES = load_ranges()


@pytest.mark.parametrize("kind", list(Kind))
def test_draws_stay_within_the_ranges_and_fill_them(kind: Kind) -> None:
    drawn = [draw_script(kind, seed, RANGES).perturbations[0] for seed in range(300)]
    given = RANGES[kind]
    assert {d.kind for d in drawn} == {kind} and {d.stage for d in drawn} == set(given.stages)
    assert {d.variant for d in drawn} == set(given.variants or ("",))
    values = {"delay_s": ([d.delay_s for d in drawn], given.delay_s.range)}
    values |= {key: ([d.magnitude[key] for d in drawn], given.magnitude[key].range) for key in MAGNITUDES[kind]}
    for key, (seen, (low, high)) in values.items():
        assert low <= min(seen) <= low + 0.05 * (high - low), key
        assert high - 0.05 * (high - low) <= max(seen) <= high, key


def test_the_seed_decides_everything_and_each_magnitude_alone() -> None:
    assert PerturbationScript.draw("intruder", 4) == draw_script("intruder", 4)
    assert draw_script(None, 9) == draw_script(None, 9)
    drawn = {draw_script("intruder", s).perturbations[0].delay_s for s in range(20)}
    assert len(drawn) == 20
    fewer = {**RANGES, Kind.INTRUDER: RANGES[Kind.INTRUDER].model_copy(update={"stages": ("lift",)})}
    a, b = (draw_script("intruder", 4, r).perturbations[0] for r in (RANGES, fewer))
    assert b.stage == "lift" and a.magnitude == b.magnitude and a.delay_s == b.delay_s


def test_kinds_are_drawn_by_their_shares_and_several_can_be_asked_for() -> None:
    shares = {k: r.model_copy(update={"share": 3.0 if k is Kind.INTRUDER else 0.0}) for k, r in RANGES.items()}
    shares[Kind.VACUUM_LEAK] = RANGES[Kind.VACUUM_LEAK]
    counts = Counter(draw_script(None, seed, shares).perturbations[0].kind for seed in range(400))
    assert set(counts) == {Kind.INTRUDER, Kind.VACUUM_LEAK}
    assert counts[Kind.INTRUDER] / 400 == pytest.approx(0.75, abs=0.07)
    assert [q.kind.value for q in draw_script(["vacuum_leak", "intruder"], 1).perturbations] == ["vacuum_leak", "intruder"]
    with pytest.raises(ValueError, match="share"):
        draw_script(None, 0, {k: r.model_copy(update={"share": 0.0}) for k, r in RANGES.items()})


def test_an_unknown_kind_or_stage_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"earthquake.*target_shift.*lens_blurred"):
        draw_script("earthquake", 0)
    with pytest.raises(ValueError, match=r"no ranges for 'intruder'.*vacuum_leak"):
        draw_script("intruder", 0, {Kind.VACUUM_LEAK: RANGES[Kind.VACUUM_LEAK]})
    with pytest.raises(ValueError, match=r"lunch.*approach"):
        Perturbation(Kind.VACUUM_LEAK, "lunch", 0.0, {"leak_factor": 2.0, "lasts_s": 1.0})
    with pytest.raises(ValueError, match=r"leak_factor.*got \['lasts_s'\]"):
        Perturbation(Kind.VACUUM_LEAK, "lift", 0.0, {"lasts_s": 1.0})
    with driven() as driver, Perturbations(driver, PerturbationScript()) as perturbations:
        with pytest.raises(ValueError, match="verify_place"):
            perturbations.on_stage("lunch")


@pytest.mark.parametrize(
    ("where", "value", "named"),
    [
        (("intruder", "magnitude", "speed_mps", "range"), [1.0, 0.5], r"intruder\.magnitude\.speed_mps\.range.*low <= high"),
        (("intruder", "magnitude", "speed_mps", "range"), [0.1, 50.0], r"intruder\.magnitude\.speed_mps\.range.*50"),
        (("intruder", "magnitude", "speed_mps", "why"), "", r"intruder\.magnitude\.speed_mps\.why"),
        (("intruder", "magnitude", "colour"), {"range": [0, 1], "why": "assumed: it has one"}, r"magnitude\.colour"),
        (("intruder", "variants"), ["octopus"], r"intruder\.variants.*box"),
        (("vacuum_leak", "variants"), ["box"], r"vacuum_leak\.variants"),
        (("vacuum_leak", "stages"), ["lunch"], r"vacuum_leak\.stages.*lunch.*observe"),
        (("vacuum_leak", "delay_s", "range"), [-1.0, 1.0], r"vacuum_leak\.delay_s\.range"),
        (("vacuum_leak", "share"), -1.0, r"vacuum_leak\.share"),
        (("vacuum_leak", "magnitude"), {}, r"vacuum_leak\.magnitude\.leak_factor: missing"),
        (("vacuum_leak", "odds"), 1.0, r"vacuum_leak\.odds"),
        (("earthquake",), {}, r"earthquake.*target_shift"),
    ],
)
def test_a_wrong_file_of_ranges_is_refused_by_the_name_of_the_key(
    tmp_path: Path, where: tuple[str, ...], value: object, named: str
) -> None:
    data = yaml.safe_load(default_ranges_file().read_text())
    part = data
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    path = tmp_path / "ranges.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(PerturbationConfigError, match=named) as error:
        load_ranges(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_ranges_say_so(tmp_path: Path) -> None:
    path = tmp_path / "ranges.yaml"
    for text, said in (("[1, 2]", "target_shift"), ("a: [", "not valid YAML"), ("", "target_shift")):
        path.write_text(text)
        with pytest.raises(PerturbationConfigError, match=said):
            load_ranges(path)
    with pytest.raises(PerturbationConfigError, match="cannot read"):
        load_ranges(tmp_path / "none.yaml")


def test_hands_move_smoothly() -> None:
    u = np.linspace(-0.1, 1.1, 1201)
    share, rate = np.array([smooth_step(x) for x in u]).T
    np.testing.assert_allclose(np.gradient(share, u)[5:-5], rate[5:-5], atol=0.01)
    assert (share[0], share[-1]) == (0.0, 1.0) and rate.max() == pytest.approx(1.875)


# -- running -------------------------------------------------------------------------------------------------------------


class FakeCameras:
    """Only what dims."""

    light = 1.0

    def set_light(self, brightness: float) -> None:
        self.light = brightness


def dimmed(stage: str, delay_s: float, lasts_s: float) -> Perturbation:
    return Perturbation(Kind.LIGHTS_DIMMED, stage, delay_s, {"brightness": 0.25, "lasts_s": lasts_s})


def test_it_acts_after_its_delay_in_the_first_such_stage_and_not_before() -> None:
    with driven() as driver:
        cameras = driver.cameras = FakeCameras()  # type: ignore[assignment]
        script = PerturbationScript((dimmed("grasp", 0.5, 0.25),))
        with Perturbations(driver, script) as perturbations:
            perturbations.on_stage("approach")
            driver.advance(1.0)
            assert cameras.light == 1.0 and not perturbations.log
            perturbations.on_stage("grasp")
            start_s = driver.now_s
            perturbations.on_stage("lift")  # a delay may outlast its stage
            driver.advance(0.3)
            perturbations.on_stage("grasp")  # a second attempt: the moment stays
            while cameras.light == 1.0:
                driver.step()
            assert driver.now_s - start_s == pytest.approx(0.5, abs=2 / 240)
            assert cameras.light == 0.25 and perturbations.active == (Kind.LIGHTS_DIMMED,) and perturbations.struck
            while cameras.light != 1.0:
                driver.step()
            assert driver.now_s - start_s == pytest.approx(0.75, abs=3 / 240)
            perturbations.on_stage("grasp")
            driver.advance(1.0)
            assert cameras.light == 1.0
        began, ended = perturbations.log
        assert (began.what, began.kind, began.stage, began.magnitude["brightness"]) == (
            "began",
            "lights_dimmed",
            "grasp",
            0.25,
        )
        assert ended.what == "ended" and ended.time_s - began.time_s == pytest.approx(0.25, abs=2 / 240)
        assert began.to_dict()["time_s"] == pytest.approx(start_s + 0.5, abs=2 / 240)


def test_without_a_delay_it_strikes_before_the_stage_looks() -> None:
    with driven() as driver:
        cameras = driver.cameras = FakeCameras()  # type: ignore[assignment]
        with Perturbations(driver, PerturbationScript((dimmed("observe", 0.0, 1.0),))) as perturbations:
            perturbations.on_stage("observe")
            assert cameras.light == 0.25 and perturbations.log[0].time_s == driver.now_s


def test_closing_undoes_what_acts_and_forgets_what_waits() -> None:
    with driven() as driver:
        cameras = driver.cameras = FakeCameras()  # type: ignore[assignment]
        callbacks = list(driver.world.before_step)
        perturbations = Perturbations(driver, PerturbationScript((dimmed("grasp", 0.0, 60.0), dimmed("grasp", 1.0, 60.0))))
        perturbations.on_stage("grasp")
        driver.advance(0.5)
        assert cameras.light == 0.25
        perturbations.close()
        perturbations.close()
        assert cameras.light == 1.0 and driver.world.before_step == callbacks
        assert [e.what for e in perturbations.log] == ["began", "ended"]
        with pytest.raises(ValueError, match="closed"):
            perturbations.on_stage("grasp")
    late = Perturbations(driver, PerturbationScript((dimmed("grasp", 0.0, 60.0),)))
    late.close()  # after the world: nothing to undo


@pytest.mark.parametrize("kind", list(Kind))
def test_where_there_is_nothing_to_act_on_the_log_says_so(kind: Kind) -> None:
    """An empty cell without cameras: no item to shove, nothing in the hand, no camera; only someone can reach in."""
    with driven() as driver:
        script = draw_script(kind, 0)
        with Perturbations(driver, script) as perturbations:
            perturbations.on_stage(script.perturbations[0].stage)
            driver.advance(script.perturbations[0].delay_s + 0.05)
        (first, *_) = perturbations.log
        assert first.what == ("began" if kind is Kind.INTRUDER else "missed")
        assert first.what == "began" or (first.note and not perturbations.struck)


class FakeCatalogue:
    def find(self, sku: str) -> Outcome[Sku]:
        return Outcome.success(Sku(sku, sku, "box", np.array([0.08, 0.06, 0.04]), 0.2))


class Told(Perturbations):
    """Only listens."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int | str | None]] = []

    def on_stage(self, stage: str, target: int | str | None = None) -> None:
        assert stage in STAGES
        self.told.append((stage, target))


def test_a_watched_pick_task_announces_its_stages_and_its_target(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.set_manifest({"box-1": 1, "can-2": 1, "can-3": 1})
    task = PickTask(FakeCell({"box-1": 0.2, "can-2": 0.2, "can-3": 0.2}, Tool.PINCH, Faults()), FakeCatalogue(), ledger)
    told, seen = Told(), []
    report = watch_task(task, told, lambda request: 7)(PickRequest("j", "box-1"), seen.append)
    assert report.placed and {target for _, target in told.told} == {7}
    usual = [stage for stage in STAGES if stage != Stage.CLEAR.value]
    assert [stage for stage, _ in told.told] == usual == [news.stage.value for news in seen]
    told.told.clear()
    assert watch_task(task, told)(PickRequest("k", "can-2")).placed
    assert watch_task(task, told)(PickRequest("l", ANY_ITEM)).placed
    assert {target for _, target in told.told} == {"can-2", None}
    ledger.close()


def test_by_hand_they_strike_at_once_and_end_together() -> None:
    with driven() as driver:
        cameras = driver.cameras = FakeCameras()  # type: ignore[assignment]
        live, callbacks = LivePerturbations(), list(driver.world.before_step)
        assert "lights_dimmed with seed 3 began: brightness" in live.strike(driver, "lights_dimmed:3")
        assert (
            live.moving(driver) and cameras.light == draw_script("lights_dimmed", 3).perturbations[0].magnitude["brightness"]
        )
        assert "seed 1" in live.strike(driver, "intruder") and "seed 2" in live.strike(driver, "intruder")
        for wrong, said in (("earthquake", "target_shift"), ("intruder:x", "<seed>"), ("intruder:", "<seed>")):
            with pytest.raises(ValueError, match=said):
                live.strike(driver, wrong)
        driver.step(2)
        assert live.moving(driver)
        assert "missed: the hand is empty" in live.strike(driver, "slip_in_hand")
        driver.advance(15.0)
        assert not live.moving(driver) and cameras.light == 1.0
        live.strike(driver, "lights_dimmed")
        assert len(driver.world.before_step) == len(callbacks) + 1, "those that are over are forgotten"
        driver.step(2)
        assert cameras.light < 1.0 and "ended" in live.strike(driver, "")
        assert cameras.light == 1.0 and driver.world.before_step == callbacks and not live.moving(driver)
        live.strike(driver, "lights_dimmed")
    with driven() as other:
        other.cameras = FakeCameras()  # type: ignore[assignment]
        assert not live.moving(other), "what still acts on the old scene keeps nobody awake"
        live.strike(other, "lights_dimmed")  # the cell was set up anew
        other.step(2)
        live.end()
        assert other.cameras.light == 1.0  # type: ignore[union-attr]
