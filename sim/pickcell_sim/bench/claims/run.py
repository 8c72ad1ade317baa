"""The claims of the source articles, tried with true poses and physics alone: run, counted, kept.

What comes out is reported; no limit, mix or posture was chosen for a ratio. The sensitivity of the suction : pinch damage
ratio to all three is part of the result.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pickcell_sim.bench.claims.access import Access
from pickcell_sim.bench.claims.record import Peak, TrialRecord
from pickcell_sim.bench.claims.series import CLAIMS, Series, all_series, pool, series_of
from pickcell_sim.bench.claims.shares import (
    BOOK_SHARE,
    FREE_ACCESS,
    damage_ratio,
    damaged,
    sensitivities,
    share,
    tool_damage,
)
from pickcell_sim.bench.claims.trial import run_trial
from pickcell_sim.bench.parallel import run_here, run_in_pool
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.statistics import wilson
from pickcell_sim.items.spec import REPOSITORY

CHUNK = 25
"""Trials per job."""

Trials = dict[Series, list[TrialRecord]]


class ClaimsError(RuntimeError):
    """Trials that ended in an error; the message says which and why."""


@dataclass(frozen=True)
class Job:
    """Some trials of one series."""

    series: Series
    seed: int
    first: int
    count: int


def run_job(job: Job) -> list[TrialRecord]:
    """The trials of a job, in order."""
    return [run_trial(job.series, job.seed, number) for number in range(job.first, job.first + job.count)]


def jobs_of(series: Sequence[Series], n: int, seed: int) -> list[Job]:
    """``n`` trials of each series, in jobs of CHUNK."""
    return [Job(s, seed, first, min(CHUNK, n - first)) for s in series for first in range(0, n, CHUNK)]


def run_trials(
    n: int,
    seed: int = 0,
    workers: int = 1,
    claims: tuple[str, ...] = (),
    on_records: Callable[[Series, Sequence[TrialRecord]], None] = lambda series, records: None,
) -> Trials:
    """``n`` trials of each series of these claims (all by default). The same seed gives the same records with any number
    of workers. Raises ValueError for an unknown claim, ClaimsError when trials could not be run."""
    if n < 1:
        raise ValueError(f"at least one trial per series is needed, got {n}")
    chosen = series_of(claims)
    for series in chosen:
        pool(series.kind)
    jobs = jobs_of(chosen, n, seed)
    done: dict[tuple[str, int], list[TrialRecord]] = {}
    finished = run_here(run_job, jobs) if workers == 1 else run_in_pool(run_job, jobs, workers)
    for each in finished:
        if each.result is None:
            raise ClaimsError(f"{each.job.series.name}, trials from {each.job.first} on: {each.error}")
        done[each.job.series.name, each.job.first] = each.result
        on_records(each.job.series, each.result)
    return {
        s: [record for job in jobs if job.series is s for record in done[s.name, job.first]] for s in chosen
    }  # fmt: skip


def run_claims(
    n: int = 100,
    seed: int = 0,
    workers: int = 1,
    claims: tuple[str, ...] = (),
    on_records: Callable[[Series, Sequence[TrialRecord]], None] = lambda series, records: None,
) -> BenchResult:
    """Try the claims and count what came of it: see :func:`run_trials` and :func:`summarise`."""
    return summarise(run_trials(n, seed, workers, claims, on_records), n, seed)


# -- counting ------------------------------------------------------------------------------------------------------------
def counts(series: Series, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """One row of the result: what came of a series."""
    kinds = Counter(kind for r in records for kind, peak in r.peaks.items() if peak.severity > 1.0)
    return {
        "series": series.name,
        "claim": series.claim,
        "kind": series.kind,
        "posture": series.posture,
        "tool": series.tool.value,
        "acceleration_mps2": series.acceleration,
        "n": len(records),
        "damaged": sum(damaged(r) for r in records),
        "damage": dict(sorted(kinds.items())),
        "delivered": sum(r.outcome == "delivered" for r in records),
        "held": sum(r.held for r in records),
        "lost": sum(r.lost for r in records),
        "outcomes": dict(sorted(Counter(r.outcome for r in records).items())),
        "why": dict(sorted(Counter(r.why for r in records if r.why).items())),
        "reached_mps2": max(r.peak_mps2 for r in records),
        "skus": len({r.sku for r in records}),
    }


def series_metrics(series: Series, records: Sequence[TrialRecord]) -> dict[str, Metric]:
    """What a series says about its claim."""
    name = series.name
    held = [r for r in records if r.held]
    metrics = {f"{name} delivered": Metric.of(share(r.outcome == "delivered" for r in records), "share of trials")}
    if series.claim == "books_boxes":
        metrics[f"{name} damaged"] = Metric.of(share(damaged(r) for r in records), "share of trials")
    if series.claim in ("bags", "flats"):
        metrics[f"{name} held"] = Metric.of(share(r.held for r in records), "share of trials")
    if series.claim in ("books_boxes", "acceleration"):
        metrics[f"{name} lost"] = Metric.of(share(r.lost for r in held), "share of holds")
    return metrics


def summarise(trials: Trials, n: int, seed: int, root: Path = REPOSITORY, access: Access | None = None) -> BenchResult:
    """Figures, counts per series and the sweep of the ratio (when its series were run).

    ``access``: what the tools reached in full totes, if that was measured.
    """
    metrics: dict[str, Metric] = {}
    for series, records in trials.items():
        metrics |= series_metrics(series, records)
    swept: list[dict[str, Any]] = []
    reached = access.shares() if access is not None else None
    if access is not None:
        for tool, found in (("pinch", access.pinch), ("suction", access.suction)):
            metrics |= {
                f"{tool} has a grasp on a {group} in a full tote": Metric.of(wilson(*counted), "share of items")
                for group, counted in found.items()
            }
    if any(s.claim == "books_boxes" for s in trials):
        _, low, high = damage_ratio(tool_damage(trials))  # where pinch did none there is a lower end only
        metrics["suction : pinch damage ratio, at least"] = Metric(low, low, high, "books and boxes 1 : 1")
        swept = [{k: _rounded(v) for k, v in asdict(row).items()} for row in sensitivities(trials, measured=reached)]
    facts: dict[str, Any] = {
        "claims": sorted({s.claim for s in trials}),
        "perception": "true poses, no planning",
        "trials_per_series": n,
        "headline": f"book share {BOOK_SHARE:g}, free access {FREE_ACCESS:g}, limits of config/damage.yaml",
        "full_totes": None if access is None else {"pinch": access.pinch, "suction": access.suction},
        "sensitivity": swept,
    }
    rows = tuple(counts(s, records) for s, records in trials.items())
    return BenchResult("claims", seed, n, facts, machine_facts(), commit_id(root), metrics, rows)


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(v) for v in value]
    if isinstance(value, float):
        return round(value, 5) if abs(value) < float("inf") else None  # JSON has neither NaN nor infinity
    return value


# -- records -------------------------------------------------------------------------------------------------------------
def write_records(trials: Trials, path: Path) -> None:
    """One trial per line, to be counted again without simulating again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(asdict(record)) for records in trials.values() for record in records)
    path.write_text("\n".join(lines) + "\n")


def read_records(path: Path) -> Trials:
    """Trials as written. Raises ValueError naming the file for one that holds anything else, or an unknown series."""
    known = {s.name: s for s in all_series()}
    trials: Trials = {}
    for record in _records(path):
        if record.series not in known:
            raise ValueError(f"{path} holds trials of '{record.series}', which is no series of this version")
        trials.setdefault(known[record.series], []).append(record)
    return {s: trials[s] for s in all_series() if s in trials}


def _records(path: Path) -> Iterator[TrialRecord]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            data: Mapping[str, Any] = json.loads(line)
            peaks = {kind: Peak(**peak) for kind, peak in data["peaks"].items()}
            yield TrialRecord(**{**data, "peaks": peaks})
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}, line {number}: not a trial: {error}") from error


def verdicts(trials: Iterable[Series]) -> list[str]:
    """Claims that the trials bear on, in the words of the articles."""
    present = {s.claim for s in trials}
    return [claim.sentence for name, claim in CLAIMS.items() if name in present]
