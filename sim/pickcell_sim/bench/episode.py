"""Episodes: one seeded tote from filling to its last pick, as a list of scored picks or as a record to keep."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pickcell.catalogue import Catalogue, load_catalogue
from pickcell.cell import CellConfig
from pickcell.outcome import Code
from pickcell.task.dispatcher import Dispatcher
from pickcell.task.pick import TaskConfig
from pickcell.task.record import PickReport
from pickcell.task.request import ANY_ITEM, PickRequest
from pickcell_sim.bench.charging import Clock, StageTimes, charge_of
from pickcell_sim.bench.records import DamageRecord, EpisodeRecord, PickRecord, attempts_of, joined
from pickcell_sim.bench.suites import (
    ANY_PERTURBATION,
    NO_PERTURBATION,
    Draw,
    Perception,
    Protocol,
    Strategy,
    Suite,
    draw_tote,
)
from pickcell_sim.bench.trial import ScoredPick, Setup, Trial
from pickcell_sim.damage.events import DamageEvent
from pickcell_sim.filling.fill import FillError
from pickcell_sim.items.totes import ToteContents
from pickcell_sim.perturbations import PerturbationScript, draw_script

REDRAWS = 5
"""Draws of a tote that do not fit are drawn anew, up to so many times."""
PICKS_PER_SEED = 100
"""Perturbation seeds set aside for each tote: more than it has picks."""
NOTHING_TO_TAKE = frozenset(
    code.value
    for code in (
        Code.NO_GRASP_FOUND, Code.UNREACHABLE, Code.APPROACH_BLOCKED, Code.NO_PATH, Code.ITEM_NOT_FOUND, Code.SCENE_EMPTY,
    )
)  # fmt: skip
"""How a pick ends in which no grasp could be attempted."""
FAILURES_IN_A_ROW = 2
"""End a round of the protocol ``clear``."""


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
    with Trial(cell, catalogue, contents, workspace, Setup(charge=charge), task_config) as trial:
        scored: list[ScoredPick] = []
        for number, sku in enumerate(wanted):
            scored.append(trial.pick(number, str(sku)))
            on_pick(scored[-1])
        return EpisodeResult(scored, trial.ports.stopwatch.calls_ms)


@dataclass(frozen=True)
class EpisodeJob:
    """Everything that decides an episode; equal jobs have equal records on every machine (wall times apart, and unless the
    clock is ``measured``)."""

    suite: Suite
    strategy: Strategy
    perception: Perception
    seed: int
    items: int
    """Asked for (``order``) or presented (``clear``)."""
    clock: Clock = Clock.FIXED
    stage_times: StageTimes | None = None

    @property
    def name(self) -> str:
        return f"{self.suite.name}-{self.strategy.value}-{self.perception.value}-{self.seed}"


@dataclass(frozen=True)
class EpisodeFiles:
    """A finished episode with pictures of what went wrong."""

    record: EpisodeRecord
    pictures: dict[str, bytes]
    """Job id -> JPEG."""


def run_job(job: EpisodeJob) -> EpisodeFiles:
    """Run one episode: a pure function of its job. What cannot be set up is a record with an ``error``."""
    start = time.perf_counter()
    catalogue = load_catalogue()
    error = ""
    for redraw in range(REDRAWS):
        draw = draw_tote(job.suite, job.seed, catalogue, redraw)
        kinds = {sku: catalogue[sku].kind for sku in draw.contents.manifest}
        base = EpisodeRecord(
            job.suite.name, job.strategy.value, job.perception.value, job.seed, kinds, "error", redraws=redraw, error=error
        )
        try:
            with tempfile.TemporaryDirectory(prefix="pickcell-bench-") as folder:
                with Trial(job.suite.load_cell(), catalogue, draw.contents, Path(folder), _setup(job)) as trial:
                    done = _Run(job, draw, trial, catalogue).run(base)
            return replace(done, record=replace(done.record, error="", wall_s=time.perf_counter() - start))
        except FillError as failed:
            error = str(failed)
    return EpisodeFiles(replace(base, error=error, wall_s=time.perf_counter() - start), {})


def _setup(job: EpisodeJob) -> Setup:
    charge = charge_of(job.clock, job.stage_times)
    return Setup(job.strategy, job.perception, job.suite.fill, charge, job.suite.attempts, job.suite.moved, job.suite.guard)


class _Run:
    """One episode in progress."""

    def __init__(self, job: EpisodeJob, draw: Draw, trial: Trial, catalogue: Catalogue) -> None:
        self.job = job
        self.draw = draw
        self.trial = trial
        self.catalogue = catalogue
        self.records: list[PickRecord] = []
        self.number = 0
        """Of the next pick."""
        self.pictures: dict[str, bytes] = {}

    def run(self, base: EpisodeRecord) -> EpisodeFiles:
        ended = self._order() if self.job.suite.protocol is Protocol.ORDER else self._clear()
        calls_ms = self.trial.ports.stopwatch.calls_ms
        return EpisodeFiles(replace(base, ended=ended, picks=tuple(self.records), calls_ms=calls_ms), self.pictures)

    def _order(self) -> str:
        """All that is asked for as one order, through the cell's own queue: it says what is tried when."""
        asked = self._asked()[: self.job.items]
        tries: dict[str, list[PickRecord]] = {sku: [] for sku in asked}

        def run_pick(request: PickRequest, progress: object) -> PickReport:
            first = not tries[request.sku]
            script = self._script(asked.index(request.sku)) if first else PerturbationScript()
            scored, record = self._pick_one(request.sku, script, request)
            tries[request.sku].append(record)
            return scored.report

        queue = Dispatcher(run_pick, moves_neighbours=self.job.suite.moved > 0)
        jobs = [queue.submit(sku, "order") for sku in asked]
        while not all(job.done.is_set() for job in jobs):
            queue.drain()
            queue.reset()  # the person whom the trial has charged for
        for job in jobs:
            if not tries[job.request.sku]:  # the queue outlives what the harness must not
                raise RuntimeError(job.report.text if job.report is not None else "a job without a report")
        self.records += [joined(tries[sku]) for sku in asked]
        return "asked"

    def _asked(self) -> tuple[str, ...]:
        """What is asked for. Raises FillError when nothing in the filled tote lies as the suite wants."""
        suite = self.job.suite
        if suite.exposure is None:
            return self.draw.asked
        least, most = suite.exposure
        shares = self.trial.exposures()
        buried = tuple(sku for sku in self.draw.asked if least <= shares.get(sku, 0.0) <= most)
        if not buried:
            raise FillError(f"no item of this tote is seen from above by {least:.0%} to {most:.0%}")
        return buried[: suite.picks]

    def _clear(self) -> str:
        """A round of the VGN/GIGA protocol (Breyer et al., CoRL 2020; Jiang et al., RSS 2021)."""
        in_a_row = 0
        while not self.trial.cleared:
            pick = self._pick(ANY_ITEM)
            if pick.grasps == 0:
                return "no_grasp_found" if pick.code in NOTHING_TO_TAKE else pick.code
            in_a_row = 0 if pick.success else in_a_row + 1
            if in_a_row == FAILURES_IN_A_ROW:
                return "two_failures"
        return "cleared"

    def _pick(self, asked: str) -> PickRecord:
        _, record = self._pick_one(asked, self._script(len(self.records)))
        self.records.append(record)
        return record

    def _pick_one(
        self, asked: str, script: PerturbationScript, request: PickRequest | None = None
    ) -> tuple[ScoredPick, PickRecord]:
        scored = self.trial.pick(self.number, asked, script, request)
        self.number += 1
        record = self._record(scored, asked)
        if not record.success or record.damage:
            picture = self.trial.picture(scored)
            if picture is not None:
                self.pictures[record.job_id] = picture
        self.trial.forget_files(scored)
        return scored, record

    def _script(self, number: int) -> PerturbationScript:
        """What goes wrong in a pick: from the tote's seed and the pick's number, the same for every strategy."""
        kind = self.job.suite.perturbation
        if kind == NO_PERTURBATION:
            return PerturbationScript()
        return draw_script(None if kind == ANY_PERTURBATION else kind, PICKS_PER_SEED * self.job.seed + number)

    def _record(self, scored: ScoredPick, asked: str) -> PickRecord:
        report, score = scored.report, scored.score
        grasps, lifted, failures = attempts_of(report)
        return PickRecord(
            job_id=report.job_id,
            asked=asked,
            sku=report.sku,
            kind=self._kind(report.sku),
            code=report.code.value,
            tool=report.tool,
            grasps=grasps,
            lifted=lifted,
            failures=failures,
            result=score.result.value,
            delivered=score.delivered,
            dropped=score.dropped,
            uncontrolled_drops=len(score.uncontrolled_drops),
            missed=score.missed,
            double=score.double,
            wrong_item=score.wrong_item,
            displaced=len(score.displaced),
            damage=self._events(score.damage),
            near_misses=self._events(score.near_misses),
            needs_person=scored.needs_person,
            perturbation=scored.perturbation,
            struck=scored.struck,
            met_n=scored.met_n,
            cell_s=scored.cell_s,
            stage_s=report.stage_durations(),
            wall_s=scored.wall_s,
        )

    def _kind(self, sku: str) -> str:
        return self.catalogue[sku].kind if sku in self.catalogue else ""

    def _events(self, events: tuple[DamageEvent, ...]) -> tuple[DamageRecord, ...]:
        return tuple(
            DamageRecord(e.time_s, e.item_id, e.sku, self._kind(e.sku), e.kind, e.value, e.limit, e.unit, e.cause, e.by)
            for e in events
        )
