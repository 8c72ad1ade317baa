"""Chances learned from made-up tries: the forests find what decides, and are calibrated on what is chosen."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pickcell.grasping.chance import LearnedChances, logit, sigmoid
from pickcell.grasping.table import CandidateTable
from pickcell.outcome import Code, Outcome
from pickcell.values import GraspCandidate, GraspDecision, Identity, Tool
from pickcell_sim.bench.grasp import learning
from pickcell_sim.bench.grasp.calibration import calibration_metrics, groups, reliability_rows
from pickcell_sim.bench.grasp.learning import Lesson, learning_metrics
from pickcell_sim.training.grasps import GraspTraining, auc, calibrate_as_chosen, log_loss, train
from pickcell_sim.tries.attempt import GraspTry
from pickcell_sim.tries.records import load_tries


def made_up(tool: str, count: int, seed: int, bias: float = 0.0) -> list[GraspTry]:
    """Tries that succeed by their gap, and harm by their force; everything else is noise."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        gap, force, noise = rng.uniform(0, 2), rng.uniform(5, 60), rng.normal()
        success = rng.random() < sigmoid(np.array(3.0 - 3.0 * gap + bias))
        damage = (("crush", "target"),) if rng.random() < force / 200 else ()
        measures = {"gap_mm": gap, "force_n": force, "noise": noise, "rating": 0.5, "harm": 0.1, "foreseen_log_odds": 0.0}
        kind = ("box", "can")[k % 2]
        ended = ("ok", "place", "success") if success else ("seal_lost", "lift", "missed")
        made = GraspTry(f"tote-{k // 20}", f"{kind}-{k % 24}", kind, tool, 0.5, measures, *ended, damage, 0, 0, 5.0, True)
        out.append(made)
    return out


def kept(folder: Path, tries: list[GraspTry]) -> Path:
    folder.mkdir(parents=True)
    (folder / "t.jsonl").write_text("".join(json.dumps(each.as_dict()) + "\n" for each in tries))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grasps")
    tries = [*made_up("pinch", 160, 1), *made_up("suction", 160, 2)]
    said: list[str] = []
    train(GraspTraining(kept(folder / "tries", tries), folder / "models"), said.append)
    return folder, said


def table(gap_mm: list[float], force_n: float = 20.0) -> CandidateTable:
    n = len(gap_mm)
    zero = np.zeros(n)
    measures = {"gap_mm": np.array(gap_mm), "force_n": np.full(n, force_n), "noise": zero}
    return CandidateTable(
        Tool.SUCTION, np.tile(np.eye(4), (n, 1, 1)), np.full(n, 0.5), zero, zero, zero, zero, {},
        np.full(n, "", dtype="U64"), measures,
    )  # fmt: skip


def test_forests_find_what_decides_and_files_say_how_they_were_made(trained):
    folder, said = trained
    chances = LearnedChances(folder / "models").of(table([0.1, 1.0, 1.9]), "box")
    assert chances.success[0] > 0.5 > chances.success[2] and chances.success[0] >= chances.success[1]
    assert any("log-loss" in line for line in said)
    card = (folder / "models" / "grasps.md").read_text()
    assert "| pinch | 160 |" in card and "./cell train grasps" in card


def test_more_of_what_can_only_hurt_never_helps(trained):
    folder, _ = trained
    chances = LearnedChances(folder / "models").of(table(list(np.linspace(0, 2, 40))), "can")
    assert np.all(np.diff(chances.success) <= 1e-9)
    nameless = LearnedChances(folder / "models").of(table([0.1, 1.9]), "")
    assert nameless.success[0] > nameless.success[1]


def test_calibrating_on_what_is_chosen_mends_what_choosing_makes_too_bright(trained, tmp_path):
    folder, _ = trained
    models = tmp_path / "models"
    models.mkdir()
    for path in (folder / "models").iterdir():
        (models / path.name).write_bytes(path.read_bytes())
    darker = [*made_up("pinch", 200, 3, bias=-1.5), *made_up("suction", 200, 4, bias=-1.5)]
    judged = kept(tmp_path / "judged", darker)
    before = LearnedChances(models).of(table([0.5]), "box").log_odds[0]
    said: list[str] = []
    calibrate_as_chosen(judged, models, said.append)
    once = LearnedChances(models).of(table([0.5]), "box").log_odds[0]
    assert once < before
    calibrate_as_chosen(judged, models, said.append)
    assert LearnedChances(models).of(table([0.5]), "box").log_odds[0] == pytest.approx(once), (
        "doing it twice changes nothing"
    )
    assert (models / "grasps.md").read_text().count("Calibrated afterwards") == 1


def test_too_few_tries_are_refused(tmp_path):
    folder = kept(tmp_path / "tries", made_up("pinch", 10, 5))
    with pytest.raises(ValueError, match="cell tries"):
        train(GraspTraining(folder, tmp_path / "models"), lambda text: None)


def test_scores_of_the_certain_and_of_the_blind():
    y = np.array([True, True, False, False])
    assert auc(np.array([2.0, 1.0, 0.0, -1.0]), y) == 1.0
    assert auc(np.zeros(4), y) == 0.5
    assert log_loss(logit(np.array([0.99, 0.99, 0.01, 0.01])), y) < log_loss(np.zeros(4), y)


def test_calibration_is_told_per_tool_and_for_the_choice(tmp_path):
    tries = load_tries(kept(tmp_path / "t", [*made_up("pinch", 60, 6), *made_up("suction", 60, 7)]))
    metrics = calibration_metrics(tries)
    assert {"ece_pinch", "ece_suction", "ece_choice", "harm_choice"} <= set(metrics)
    assert metrics["tries_choice"].value == 120
    assert sum(row[2] for row in reliability_rows(groups(tries)["pinch"])) == 60


def test_lessons_count_failures_by_stretch_and_leave_out_what_was_not_reached():
    lessons = [Lesson(k // 2, True, True, "suction", k >= 5) for k in range(12)] + [
        Lesson(0, False, False, "pinch", True)
    ] * 3
    lessons += [Lesson(k // 2, False, True, "suction", k >= 8) for k in range(12)]
    metrics = learning_metrics(lessons, "porous")
    assert metrics["porous_failures_in_10_learning"].value == pytest.approx(5.0)
    assert metrics["porous_failures_in_10_fixed"].value == pytest.approx(8.0)
    saved = metrics["porous_failures_in_10_saved"]
    assert saved.value == pytest.approx(3.0) and saved.low <= 3.0 <= saved.high
    assert "porous_failures_in_50_learning" not in metrics
    assert metrics["porous_others_success_fixed"].value == 1.0


class Refusing:
    """A choice that has learned to leave one product to a person."""

    def __init__(self) -> None:
        self.learned: list[tuple[str, str]] = []

    def select(self, scene, instance_id, sku):
        if sku == "porous":
            return Outcome.failure(Code.NO_GRASP_FOUND)
        return Outcome.success(GraspDecision((GraspCandidate(Tool.PINCH, instance_id, np.eye(4), 0.9, 0.04, 0.06),), (), ""))

    def learn(self, candidate, sku, code):
        self.learned.append((sku, code.value))


def test_a_lesson_makes_the_same_try_once_and_counts_what_is_refused(monkeypatch, tmp_path):
    made = []

    def once(call, timeout_s):
        made.append(call)
        return GraspTry("t", "plain", "box", "pinch", 0.9, {}, "ok", "place", "success", (), 0, 0, 5.0)

    monkeypatch.setattr(learning, "forked", once)
    identities = [Identity("plain", 1.0, (("plain", 1.0),)), Identity("porous", 1.0, (("porous", 1.0),))]
    seen = SimpleNamespace(instances=[SimpleNamespace(id=k, identity=each) for k, each in enumerate(identities)])
    choice = Refusing()
    tries = learning._Tries(SimpleNamespace(ports=SimpleNamespace(selector=choice)), seen, tmp_path)
    for _ in range(3):
        lessons = learning._one_round(tries, {"plain": 1, "porous": 1}, "porous", 0, True)
    assert len(made) == 1 and choice.learned == [("plain", "ok")] * 3
    assert [(lesson.contrary, lesson.tool, lesson.success) for lesson in lessons] == [
        (False, "pinch", True), (True, "", False),
    ]  # fmt: skip


def test_the_shipped_forests_are_there_and_fit_the_measures():
    shipped = LearnedChances()
    assert set(shipped.description.tools) == set(Tool)
    for model in shipped.description.tools.values():
        assert 2.0 < model.done_s < 15.0 and 1.0 < model.failed_s < 15.0
