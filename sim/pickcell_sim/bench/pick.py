"""The pick benchmark: single picks out of cluttered totes of items that nothing was tuned on."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.outcome import Code
from pickcell_sim.bench import statistics
from pickcell_sim.bench.episode import EpisodeResult, ScoredPick, run_episode
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.items.totes import MIX, random_tote

ITEMS_PER_TOTE = 12
PICKS_PER_TOTE = 8
"""As the demo order: two thirds of the tote, so that clutter remains."""
TOTES_PER_PROCESS = 4
"""The renderer keeps some memory of every world it has drawn: a process ends after a few."""


@dataclass(frozen=True)
class PickBenchConfig:
    n: int = 100
    seed: int = 0
    cell: Path = Path("config/cells/panda.yaml")
    split: str = "test"
    workers: int = 1
    workspace: Path = Path("var/bench/pick")


def _episode(config: PickBenchConfig, tote: int, picks: int) -> EpisodeResult:
    contents = random_tote(1000 * config.seed + tote, ITEMS_PER_TOTE, config.split)
    return run_episode(load_cell(config.cell), load_catalogue(), contents, picks, config.workspace)


def run(config: PickBenchConfig, on_tote: Callable[[EpisodeResult], None] = lambda result: None) -> list[EpisodeResult]:
    """All episodes. The same seed gives the same totes, whatever the number of workers."""
    totes = [
        (tote, min(PICKS_PER_TOTE, config.n - tote * PICKS_PER_TOTE))
        for tote in range((config.n + PICKS_PER_TOTE - 1) // PICKS_PER_TOTE)
    ]
    results: dict[int, EpisodeResult] = {}
    batch = TOTES_PER_PROCESS * config.workers
    for first in range(0, len(totes), batch):
        with ProcessPoolExecutor(config.workers, multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(_episode, config, *tote): tote[0] for tote in totes[first : first + batch]}
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                on_tote(results[futures[future]])
    return [results[tote] for tote, _ in totes]


def _share(picks: list[ScoredPick], of: Callable[[ScoredPick], bool]) -> Metric:
    return Metric.of(statistics.wilson(sum(map(of, picks)), len(picks)), "share")


def summarise(config: PickBenchConfig, episodes: list[EpisodeResult], root: Path) -> BenchResult:
    """All figures of a run, with intervals."""
    picks = [pick for episode in episodes for pick in episode.picks]
    delivered = np.array([[float(p.score.success), p.cell_s] for p in picks]).reshape(-1, 2)
    ratio = np.array([[p.cell_s, 3600.0 * p.wall_s] for p in picks]).reshape(-1, 2)
    metrics = {
        "success_rate": _share(picks, lambda p: p.score.success),
        "first_attempt_rate": _share(picks, lambda p: p.score.success and p.report.attempts == 1),
        "drop_rate": _share(picks, lambda p: p.score.dropped),
        "wrong_item_rate": _share(picks, lambda p: p.score.wrong_item),
        "false_success_rate": _share(picks, lambda p: p.report.code is Code.OK and not p.score.success),
        "missed_rate": _share(picks, lambda p: not p.score.success and not p.score.dropped and not p.score.wrong_item),
        "assist_rate": _share(picks, lambda p: p.needs_person),
        "uph": Metric.of(statistics.rate_per_hour(delivered), "units/h of cell time"),
        "realtime_factor": Metric.of(statistics.rate_per_hour(ratio), "cell s / wall s"),
        "cycle_s_median": Metric.of(statistics.median(delivered[:, 1]), "s of cell time"),
    }
    metrics |= _stage_metrics(picks) | _call_metrics(episodes)
    facts = {
        "cell": config.cell.stem,
        "items_per_tote": ITEMS_PER_TOTE,
        "picks_per_tote": PICKS_PER_TOTE,
        "split": config.split,
        "workers": config.workers,
        "item_mix": MIX,
        "outcomes": dict(Counter(p.report.code.value for p in picks).most_common()),
        "tools": dict(Counter(p.report.tool or "none" for p in picks).most_common()),
        "failed_attempts": _failed_attempts(picks),
    }
    return BenchResult("pick", config.seed, len(picks), facts, machine_facts(), commit_id(root), metrics)


def _failed_attempts(picks: list[ScoredPick]) -> dict[str, int]:
    """What ended an attempt, by stage and code, most frequent first."""
    failed = Counter(
        f"{stage.stage.value}: {stage.code.value}" for p in picks for stage in p.report.stages if stage.code is not Code.OK
    )
    return dict(failed.most_common())


def _stage_metrics(picks: list[ScoredPick]) -> dict[str, Metric]:
    """Cell time per pick spent in each stage, computation included."""
    seconds: dict[str, list[float]] = {}
    for pick in picks:
        for stage, duration_s in pick.report.stage_durations().items():
            seconds.setdefault(stage, []).append(1e3 * duration_s)
    return _timing_metrics(seconds, "ms of cell time per pick")


def _call_metrics(episodes: list[EpisodeResult]) -> dict[str, Metric]:
    """Wall time of each call of perception, choice and planning."""
    calls: dict[str, list[float]] = {}
    for episode in episodes:
        for stage, values in episode.calls_ms.items():
            calls.setdefault(f"compute_{stage}", []).extend(values)
    return _timing_metrics(calls, "ms of wall time per call")


def _timing_metrics(milliseconds: dict[str, list[float]], unit: str) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    for name, values in milliseconds.items():
        metrics[f"{name}_ms_median"] = Metric.of(statistics.median(np.array(values)), unit)
        metrics[f"{name}_ms_p95"] = Metric.of(statistics.p95(np.array(values)), unit)
    return metrics
