"""Figures of a run from its episodes: rates with intervals, times, and tallies of what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.outcome import Code
from pickcell_sim.bench import statistics
from pickcell_sim.bench.records import EpisodeRecord, PickRecord
from pickcell_sim.bench.result import Metric
from pickcell_sim.bench.suites import Protocol

Rows = NDArray[np.float64]

PAIRED = {
    "success_rate": "share",
    "cleared_rate": "share",
    "damage_per_1000": "damaged items per 1000 picks",
    "drop_rate": "share",
    "missed_rate": "share",
    "uph": "units/h of cell time",
}
"""Figures whose differences between strategies are kept, with their units."""


def counted(episode: EpisodeRecord, protocol: Protocol) -> list[PickRecord]:
    """The picks that rates are shares of: all that were asked for, or (``clear``) those in which a grasp was attempted."""
    if protocol is Protocol.ORDER:
        return list(episode.picks)
    return [pick for pick in episode.picks if pick.grasps > 0]


def failed_to_deliver(pick: PickRecord) -> bool:
    """Nothing was delivered, and nothing fell."""
    return not pick.success and not pick.dropped and not pick.wrong_item


def presented(episode: EpisodeRecord, protocol: Protocol) -> int:
    """Items asked for, or presented."""
    return len(episode.picks) if protocol is Protocol.ORDER else len(episode.presented)


def removed(episode: EpisodeRecord, protocol: Protocol) -> int:
    """Of those, the ones that came into the destination, alone or with something else."""
    delivered = {sku for pick in episode.picks for sku in pick.delivered}
    wanted = {pick.asked for pick in episode.picks} if protocol is Protocol.ORDER else set(episode.presented)
    return len(delivered & wanted)


def episode_row(episode: EpisodeRecord, protocol: Protocol) -> dict[str, Any]:
    """What pairing, plots and a second look need of an episode: counts and cell time."""
    picks = counted(episode, protocol)
    broken = episode.damaged()
    return {
        "seed": episode.seed,
        "ended": episode.ended,
        "picks": len(picks),
        "success": sum(p.success for p in picks),
        "grasps": sum(p.grasps for p in picks),
        "presented": presented(episode, protocol),
        "removed": removed(episode, protocol),
        "undamaged": sum(episode.delivered_undamaged()),
        "damaged": len(broken),
        "damaged_target": sum(event.cause == "target" for _, event in broken),
        "damaged_neighbour": sum(event.cause != "target" for _, event in broken),
        "dropped": sum(p.dropped for p in picks),
        "missed": sum(map(failed_to_deliver, picks)),
        "cell_s": round(sum(p.cell_s for p in episode.picks), 4),
    }


RATIOS: dict[str, tuple[str, str, float]] = {
    "success_rate": ("success", "picks", 1.0),
    "cleared_rate": ("removed", "presented", 1.0),
    "damage_per_1000": ("damaged", "picks", 1000.0),
    "drop_rate": ("dropped", "picks", 1.0),
    "missed_rate": ("missed", "picks", 1.0),
    "uph": ("undamaged", "cell_s", 3600.0),
}
"""Figure -> (counted, per, scale) over the rows of the episodes."""


def paired_metrics(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> dict[str, Metric]:
    """Figures of rows ``a`` minus those of rows ``b``, over the seeds that both have, in order of seed."""
    by_seed = {row["seed"]: row for row in b}
    pairs = [(row, by_seed[row["seed"]]) for row in sorted(a, key=lambda r: r["seed"]) if row["seed"] in by_seed]
    metrics = {}
    for name, unit in PAIRED.items():
        count, per, scale = RATIOS[name]
        rows = [np.array([[side[count], side[per]] for side in sides], float) for sides in zip(*pairs)] if pairs else []
        bound = {"share": statistics.wilson_of, "units/h of cell time": None}.get(unit, statistics.poisson)
        value = statistics.paired_difference(*rows, bound) if rows else (float("nan"),) * 3
        metrics[name] = Metric(scale * value[0], scale * value[1], scale * value[2], unit)
    return metrics


def metrics_of(episodes: list[EpisodeRecord], protocol: Protocol) -> dict[str, Metric]:
    """All figures of a run."""
    picks = [pick for episode in episodes for pick in counted(episode, protocol)]
    grasps = sum(p.grasps for p in picks)
    rows = [episode_row(episode, protocol) for episode in episodes]

    def share(of: Callable[[PickRecord], bool]) -> Metric:
        return Metric.of(statistics.wilson(sum(map(of, picks)), len(picks)), "share")

    def per_1000(key: str) -> Metric:
        triple = statistics.clustered_rate(np.array([[row[key], row["picks"]] for row in rows], float))
        return Metric(*(1000.0 * v for v in triple), "damaged items per 1000 picks")

    total, gone = sum(row["presented"] for row in rows), sum(row["removed"] for row in rows)
    metrics = {
        "success_rate": share(lambda p: p.success),
        "clean_rate": share(lambda p: p.success and not p.damage),
        "first_attempt_rate": share(lambda p: p.success and p.grasps == 1),
        "attempt_success_rate": Metric.of(statistics.wilson(_tried(picks, "success"), grasps), "share of grasps"),
        "lifted_rate": Metric.of(statistics.wilson(_tried(picks, "lifted"), grasps), "share of grasps"),
        "cleared_rate": Metric.of(statistics.wilson(gone, total), "share of items"),
        "damage_per_1000": per_1000("damaged"),
        "damage_target_per_1000": per_1000("damaged_target"),
        "damage_neighbour_per_1000": per_1000("damaged_neighbour"),
        "drop_rate": share(lambda p: p.dropped),
        "uncontrolled_drop_rate": share(lambda p: p.uncontrolled_drops > 0),
        "missed_rate": share(failed_to_deliver),
        "double_rate": share(lambda p: p.double),
        "wrong_item_rate": share(lambda p: p.wrong_item),
        "false_success_rate": share(lambda p: p.code == Code.OK.value and not p.success),
        "displaced_per_pick": _ratio([(p.displaced, 1.0) for p in picks], "neighbours moved > 2 cm or 20 deg"),
        "assist_rate": share(lambda p: p.needs_person),
    }
    return metrics | _time_metrics(episodes, rows)


def _tried(picks: list[PickRecord], what: str) -> int:
    if what == "success":
        return sum(p.success and p.grasps > 0 for p in picks)
    return sum(min(p.lifted, p.grasps) for p in picks)


def _ratio(pairs: list[tuple[float, float]], unit: str) -> Metric:
    return Metric.of(statistics.ratio(np.array(pairs, float)), unit)


def _time_metrics(episodes: list[EpisodeRecord], rows: list[dict[str, Any]]) -> dict[str, Metric]:
    """Units per hour, cycle, stages (cell time), and what computing took here (wall time)."""
    picks = [pick for episode in episodes for pick in episode.picks]
    units = np.array([[row["undamaged"], row["cell_s"]] for row in rows], float).reshape(-1, 2)
    walls = np.array([[p.cell_s, 3600.0 * p.wall_s] for p in picks], float).reshape(-1, 2)
    cycles = np.array([p.cell_s for p in picks], float)
    stages: dict[str, list[float]] = {}
    for pick in picks:
        for stage, seconds in pick.stage_s.items():
            stages.setdefault(stage, []).append(1e3 * seconds)
    calls: dict[str, list[float]] = {}
    for episode in episodes:
        for stage, values in episode.calls_ms.items():
            calls.setdefault(f"compute_{stage}", []).extend(values)
    return {
        "uph": Metric.of(statistics.rate_per_hour(units), "undamaged units/h of cell time"),
        "realtime_factor": Metric.of(statistics.rate_per_hour(walls), "cell s / wall s"),
        "cycle_s_median": Metric.of(statistics.median(cycles), "s of cell time"),
        **timing_metrics(stages, "ms of cell time per pick"),
        **timing_metrics(calls, "ms of wall time per call"),
    }


def timing_metrics(milliseconds: dict[str, list[float]], unit: str) -> dict[str, Metric]:
    """Median and 95th percentile of each list of times."""
    metrics: dict[str, Metric] = {}
    for name, values in milliseconds.items():
        metrics[f"{name}_ms_median"] = Metric.of(statistics.median(np.array(values)), unit)
        metrics[f"{name}_ms_p95"] = Metric.of(statistics.p95(np.array(values)), unit)
    return metrics


def tallies(episodes: list[EpisodeRecord], protocol: Protocol) -> dict[str, dict[str, Any]]:
    """What happened, counted: outcomes, tools, failed stages, damage, and success by kind of item."""
    picks = [pick for episode in episodes for pick in counted(episode, protocol)]
    broken = [event for episode in episodes for _, event in episode.damaged()]
    out: dict[str, dict[str, Any]] = {
        "outcomes": _count(p.code for p in picks),
        "truth": _count(p.result for p in picks),
        "tools": _count(p.tool or "none" for p in picks),
        "failed_attempts": _count(failure for p in picks for failure in p.failures),
        "damage_events": _count(e.kind for e in broken),
        "damage_by": _count(each for e in broken for each in e.by.split(", ") if each),
        "damaged_kinds": _count(e.item_kind for e in broken),
        "damage_causes": _count(e.cause for e in broken),
        "delivered_by_kind": _by_kind(picks),
    }
    if protocol is Protocol.CLEAR:
        out["rounds_ended"] = _count(e.ended for e in episodes)
    if any(p.perturbation for p in picks):
        out["delivered_by_perturbation"] = _shares(
            (p.perturbation if p.struck else f"{p.perturbation} (did not strike)", p.success) for p in picks
        )
    return {name: tally for name, tally in out.items() if tally}


def _count(values: Iterable[str]) -> dict[str, int]:
    """Most frequent first, ties by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _by_kind(picks: list[PickRecord]) -> dict[str, str]:
    return _shares((p.kind or "not settled", p.success) for p in picks)


def _shares(pairs: Iterable[tuple[str, bool]]) -> dict[str, str]:
    """Name -> "delivered of asked"."""
    total: Counter[str] = Counter()
    good: Counter[str] = Counter()
    for name, success in pairs:
        total[name] += 1
        good[name] += success
    return {name: f"{good[name]} of {total[name]}" for name in sorted(total)}
