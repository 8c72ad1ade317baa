"""One seeded tote in process: filled, picked from, scored against the truth after each pick."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pickcell.catalogue import Catalogue
from pickcell.cell import CellConfig
from pickcell.outcome import CODES, Recovery
from pickcell.task.ledger import Ledger
from pickcell.task.pick import PickTask, TaskConfig
from pickcell.task.record import PickReport
from pickcell.task.request import PickRequest
from pickcell_sim.cell import InProcessCell
from pickcell_sim.driver import SimDriver
from pickcell_sim.fill import fill_tote
from pickcell_sim.items.totes import ToteContents
from pickcell_sim.scorer import PickScore, Scorer

PERSON_S = 10.0
"""Cell time from asking for a person to the reset (assumed), charged to the pick that asked."""


@dataclass(frozen=True)
class ScoredPick:
    """What the cell said of a pick, and what was true."""

    tote_seed: int
    report: PickReport
    score: PickScore
    cell_s: float
    wall_s: float
    needs_person: bool
    """The cell asked for a person, who then reset it."""


@dataclass(frozen=True)
class EpisodeResult:
    picks: list[ScoredPick]
    calls_ms: dict[str, list[float]]
    """Wall time of each call of a stage."""


def run_episode(
    cell: CellConfig,
    catalogue: Catalogue,
    contents: ToteContents,
    picks: int,
    workspace: Path,
    on_pick: Callable[[ScoredPick], None] = lambda pick: None,
    task_config: TaskConfig | None = None,
    charge: bool = True,
) -> EpisodeResult:
    """Fill the source tote and ask for ``picks`` of its items one after another, in an order drawn from the tote's seed.

    ``charge``: let the cell's clock run during computations; without it the seed alone decides the episode.
    ``workspace``: directory for the ledger and, per job, the report with its pictures.
    """
    wanted = list(np.random.default_rng([contents.seed, 7]).permutation(list(contents.skus)))[:picks]
    driver = SimDriver.create(cell, contents.seed)
    workspace.mkdir(parents=True, exist_ok=True)
    ledger_path = workspace / f"ledger-{contents.seed}.sqlite"
    ledger_path.unlink(missing_ok=True)
    ledger = Ledger(ledger_path)
    try:
        fill_tote(driver.world, contents.skus, contents.seed)
        scorer = Scorer(driver.world)
        ports = InProcessCell(driver, cell, catalogue, charge=charge)
        task = PickTask(ports, catalogue, ledger, task_config, workspace / "jobs")
        ports.rehearse(contents.manifest)
        ledger.set_manifest(contents.manifest).unwrap()
        scored: list[ScoredPick] = []
        for number, sku in enumerate(wanted):
            before, cell_s, wall_s = scorer.snapshot(), driver.now_s, time.perf_counter()
            report = task.run(PickRequest(f"tote{contents.seed}-{number:02d}", str(sku)))
            needs_person = CODES[report.code].recovery is Recovery.ASK_PERSON
            if needs_person:  # who takes a while, in which a stopped arm gives way, and then presses reset
                driver.advance(PERSON_S)
                driver.clear_protective_stop()
            took_s = driver.now_s - cell_s
            score = scorer.score(before, str(sku))
            scored.append(ScoredPick(contents.seed, report, score, took_s, time.perf_counter() - wall_s, needs_person))
            on_pick(scored[-1])
        return EpisodeResult(scored, ports.stopwatch.calls_ms)
    finally:
        ledger.close()
        driver.close()
