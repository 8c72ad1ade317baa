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
from pickcell.motion.urdf import UrdfError
from pickcell_sim.bench import statistics
from pickcell_sim.bench.motion.calls import Calls, whole_picks
from pickcell_sim.bench.motion.made_problems import write_problems
from pickcell_sim.bench.motion.moveit_problems import ProblemError, find_problems
from pickcell_sim.bench.motion.problems import ProblemRobot, run_problems
from pickcell_sim.bench.motion.run import Measured, MotionBench, Outcomes
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.suite_command import FAILED, wide_console
from pickcell_sim.items.spec import REPOSITORY

PICKS = 60
PANDA_JOINTS = " ".join(f"panda_joint{k}" for k in range(1, 8))
HAND = "panda_hand"
"""Frame that made-up problems reach in with."""


def motion(
    n: Annotated[int, typer.Option("-n", "--n", min=3, help="Bin legs to plan.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Decides boxes, goals and obstacles.")] = 0,
    oracle: Annotated[bool, typer.Option(help="Let OMPL with coal plan every leg as well: the yardstick.")] = True,
    cell: Annotated[str, typer.Option(help="Name of a cell file in config/cells.")] = "panda",
    json: Annotated[Path | None, typer.Option(help="Keep the result as motion.json in this folder.")] = None,
    problems: Annotated[
        Path | None,
        typer.Option(help="Instead of bin legs: a folder of MotionBenchMaker problems (scene*.yaml, request*.yaml)."),
    ] = None,
    made: Annotated[int, typer.Option(min=0, help="Write so many made-up problems into that folder first.")] = 0,
    urdf: Annotated[Path | None, typer.Option(help="The problems' robot; PyBullet's Panda when not given.")] = None,
    joints: Annotated[str, typer.Option(help="Its arm's joints, base to tip.")] = PANDA_JOINTS,
) -> None:
    """Planning, trajectories and replanning, every path judged by exact shapes.

    Bin legs: from home to a box in a deep bin of 15 settled boxes, with it over to a tote, and home. One core; about 3 s a
    leg, most of them OMPL's and the judge's. Times mean little while something else runs.

    With --problems, queries from files are solved instead, for any arm:
    ./cell bench motion --problems var/problems --made 90
    """
    console = wide_console()
    if problems is not None:
        _from_files(console, problems, made, urdf or panda_urdf(), tuple(joints.split()), seed, json)
        return
    config = load_cell(REPOSITORY / "config" / "cells" / f"{Path(cell).stem}.yaml")
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("planning legs", total=n)
        bench = MotionBench(config, oracle)
        try:
            measured = bench.run(n, seed, lambda done: progress.update(task, completed=done))
        except ValueError as error:
            console.print(f"[red]{error}[/red]", highlight=False)
            raise typer.Exit(FAILED) from None
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


def panda_urdf() -> Path:
    """The Panda that PyBullet brings, with its hand and convex collision meshes."""
    import pybullet_data  # prints nothing, but takes a moment

    return Path(pybullet_data.getDataPath()) / "franka_panda" / "panda.urdf"


def _from_files(
    console: Console, folder: Path, made: int, urdf: Path, joints: tuple[str, ...], seed: int, json: Path | None
) -> None:
    try:
        robot = ProblemRobot(urdf, joints)
        if made and any(folder.rglob("scene*.yaml")):
            raise ProblemError(f"{folder} holds problems already: give --made an empty folder")
        if made:
            with console.status(f"writing {made} problems into {folder}"):
                write_problems(folder, robot, HAND, made, seed)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("solving", total=len(list(find_problems(folder))))
            solved = run_problems(folder, robot, on_problem=lambda done: progress.update(task, completed=done))
    except (ProblemError, UrdfError, OSError, RuntimeError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    kinds = sorted({name.split("/")[0] for name in solved.names})
    metrics = {"exact_valid_rate": _share(solved.solved), **_times("plan_ms", solved.plan_ms)}
    metrics |= _times("judge_ms", solved.judge_ms) | _times("field_ms", solved.field_ms)
    for kind in kinds:
        rows = [k for k, name in enumerate(solved.names) if name.startswith(f"{kind}/")]
        metrics[f"{kind}_exact_valid_rate"] = _share([solved.solved[k] for k in rows])
        metrics |= _times(f"{kind}_plan_ms", [solved.plan_ms[k] for k in rows])
    unsolved = [name for name, ok in zip(solved.names, solved.solved, strict=True) if not ok]
    facts = {"unsolved": unsolved, "touching_at_an_end": solved.refused, "unreadable": solved.unreadable, "robot": urdf.name}
    _show(console, metrics, facts)
    if json is not None:
        n = len(solved.names)
        BenchResult("motion-problems", seed, n, facts, machine_facts(), commit_id(REPOSITORY), metrics).write(
            json / "motion-problems.json"
        )
        console.print(f"kept in {json / 'motion-problems.json'}", highlight=False)


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
