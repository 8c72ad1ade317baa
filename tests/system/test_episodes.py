"""Seeded picks in the simulated cell, in process: both arms deliver what was asked for, and the ledger agrees."""

from __future__ import annotations

from pathlib import Path

import pytest

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.task.ledger import Ledger, Place
from pickcell_sim.bench.episode import run_episode
from pickcell_sim.items.totes import load_tote

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.mark.parametrize(("arm", "picks", "at_least"), [("panda", 4, 3), ("iiwa", 2, 1)])
def test_items_of_the_demo_tote_are_delivered(arm: str, picks: int, at_least: int, tmp_path: Path) -> None:
    cell = load_cell(ROOT / "config" / "cells" / f"{arm}.yaml")
    tote = load_tote(ROOT / "config" / "totes" / "demo.yaml")
    result = run_episode(cell, load_catalogue(), tote, picks, tmp_path, charge=False)
    said = [f"{p.report.sku}: {p.report.code.value}, in truth {p.score.result.value}" for p in result.picks]
    assert sum(p.score.success for p in result.picks) >= at_least, said
    assert not any(p.score.wrong_item for p in result.picks), said

    ledger = Ledger(tmp_path / f"ledger-{tote.seed}.sqlite")
    booked = set(ledger.counts(Place.DESTINATION))
    in_truth = {sku for p in result.picks for sku in p.score.delivered}
    assert {p.report.sku for p in result.picks if p.report.placed} <= booked <= in_truth, said
    assert sum(n for place in Place for n in ledger.counts(place).values()) == len(tote.skus)
    ledger.close()
