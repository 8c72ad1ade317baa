"""``./cell bench motion``: figures of planning, and where they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pickcell.cell import load_cell
from pickcell.description import expand_urdf
from pickcell.motion import MotionPlanner
from pickcell_sim.bench import statistics
from pickcell_sim.bench.motion.calls import Calls, whole_picks
from pickcell_sim.bench.motion.run import Measured, MotionBench, Outcomes
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.suite_command import wide_console
from pickcell_sim.items.spec import REPOSITORY

PICKS = 60


def motion(
    n: Annotated[int, typer.Option("-n", "--n", min=3, help="Bin legs to plan.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Decides boxes, goals and obstacles.")] = 0,
    oracle: Annotated[bool, typer.Option(help="Let OMPL with coal plan every leg as well: the yardstick.")] = True,
    cell: Annotated[str, typer.Option(help="Name of a cell file in config/cells.")] = "panda",
    json: Annotated[Path | None, typer.Option(help="Keep the result as motion.json in this folder.")] = None,
) -> None:
    """Planning, trajectories and replanning, every path judged by exact shapes.

    Bin legs: from home to a box in a deep bin of 15 settled boxes, with it over to a tote, and home. One core; about 3 s a
    leg, most of them OMPL's and the judge's. Times mean little while something else runs.
    """
    console = wide_console()
    config = load_cell(REPOSITORY / "config" / "cells" / f"{Path(cell).stem}.yaml")
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("planning legs", total=n)
        bench = MotionBench(config, oracle)
        measured = bench.run(n, seed, lambda done: progress.update(task, completed=done))
        progress.add_task("planning whole picks", total=None)
        planner = MotionPlanner(config, expand_urdf(config))
        whole_picks(config, planner, 2, seed)  # does not count: what is loaded once
        calls = whole_picks(config, planner, PICKS, seed)
    metrics = motion_metrics(measured) | call_metrics(calls)
    facts = {
        "cycles": measured.cycles,
        "replanned": {how: measured.replanned.count(how) for how in sorted(set(measured.replanned))},
        "picks": PICKS,
    }
    _show(console, metrics, facts)
    if json is not None:
        result = BenchResult(
            "motion", seed, len(measured.ours.solved), facts, machine_facts(), commit_id(REPOSITORY), metrics
        )
        result.write(json / "motion.json")
        console.print(f"kept in {json / 'motion.json'}", highlight=False)


def motion_metrics(m: Measured) -> dict[str, Metric]:
    """The figures of all legs."""
    out = _of("", m.ours)
    if m.oracle.solved:
        out |= _of("oracle_", m.oracle)
    out |= _times("trajectory_ms", m.trajectory_ms)
    out["trajectory_exact_valid_rate"] = _share(m.trajectory_valid)
    out["trajectory_over_converged"] = _mean(m.over_converged, "share of the duration")
    out["trajectory_s_mean"] = _mean(m.duration_s, "s")
    out["trajectory_stopping_s_mean"] = _mean(m.stops_s, "s, stopping at vertices")
    out |= _times("field_ms", m.field_ms) | _times("replan_ms", m.replan_ms)
    out["replan_found_rate"] = _share([how == "found" for how in m.replanned])
    out["replan_exact_valid_rate"] = _share(m.replan_valid)
    return out


def call_metrics(calls: Calls) -> dict[str, Metric]:
    """The figures of whole picks."""
    out: dict[str, Metric] = {}
    for name, values in calls.wall_ms.items():
        out |= _times(f"{name}_ms", values)
        out[f"{name}_failed"] = Metric.of(statistics.wilson(calls.failed[name], len(values)), "share")
    for name, values in calls.leg_s.items():
        out[f"{name}_s_median"] = Metric.of(statistics.median(np.array(values)), "s")
    return out


def _of(prefix: str, method: Outcomes) -> dict[str, Metric]:
    both = np.add(method.plan_ms, method.simplify_ms)
    return {
        f"{prefix}solved_rate": _share(method.solved),
        f"{prefix}exact_valid_rate": _share(method.valid),
        **_times(f"{prefix}plan_ms", both),
        f"{prefix}search_ms_median": Metric.of(statistics.median(np.array(method.plan_ms)), "ms"),
        f"{prefix}simplify_ms_median": Metric.of(statistics.median(np.array(method.simplify_ms)), "ms"),
    }


def _times(name: str, values: Sequence[float] | np.ndarray) -> dict[str, Metric]:
    ms = np.asarray(values, dtype=float)
    return {
        f"{name}_median": Metric.of(statistics.median(ms), "ms"),
        f"{name}_p95": Metric.of(statistics.p95(ms), "ms"),
    }


def _share(hits: Sequence[bool]) -> Metric:
    return Metric.of(statistics.wilson(sum(hits), len(hits)), "share")


def _mean(values: Sequence[float], unit: str) -> Metric:
    return Metric.of(statistics.bootstrap(np.array(values), lambda v: float(np.mean(v))), unit)


def _show(console: Console, metrics: dict[str, Metric], facts: dict[str, object]) -> None:
    table = Table("metric", "value", "95 % interval", "unit")
    for name, m in metrics.items():
        table.add_row(name, f"{m.value:.4g}", f"{m.low:.4g} .. {m.high:.4g}", m.unit)
    console.print(table)
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", highlight=False)
