"""``./cell eval grasp`` and ``lessons``: are chances true, what scoring costs, and what outcomes teach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pickcell_sim.bench.grasp.calibration import calibration_metrics, groups, reliability_rows
from pickcell_sim.bench.grasp.kept import kept_metrics, ratio_sensitivity
from pickcell_sim.bench.grasp.learning import Contrary, learning_metrics, run_lessons
from pickcell_sim.bench.grasp.speed import speed_metrics
from pickcell_sim.bench.plots import chances
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts
from pickcell_sim.bench.suite_command import FAILED, wide_console
from pickcell_sim.bench.suites import load_suite
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.tries.records import load_tries

CONTRARY = {Contrary.POROUS: "box-008", Contrary.SLIPPERY: "box-016"}
"""Test items of the lessons, and what becomes of them. Boxes are pinched where the jaw has room, so that porous cardboard
matters where it has none; a slippery one has to be sucked instead."""
KEPT = REPOSITORY / "docs" / "benchmarks"


def grasp(
    tries: Annotated[Path, typer.Option(help="Folder with judged tries of test items.")] = REPOSITORY / "var/tries/test",
    totes: Annotated[int, typer.Option(min=0, help="Crowded totes to time the choice on; 0: leave it out.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first of those totes.")] = 820_000,
    json: Annotated[Path | None, typer.Option(help="Keep the result and a plot in this folder.")] = None,
    kept: Annotated[Path, typer.Option(help="Folder with results of the suites books_boxes and retrieval.")] = KEPT,
) -> None:
    """Chances against outcomes, the time of choosing, and what kept results say.

    The tries: ./cell tries --judged --split test -n 48 --seed 830000 --folder var/tries/test
    """
    console = wide_console()
    suite = load_suite("tote")
    metrics: dict[str, Metric] = {}
    told: dict[str, list[list[float]]] = {}
    try:
        judged = load_tries(tries)
        metrics |= calibration_metrics(judged)
        told = {name: reliability_rows(mine) for name, mine in groups(judged).items() if mine}
        metrics |= kept_metrics(kept)
        at_other_limits = ratio_sensitivity(kept)
        if totes:
            console.print(f"timing the choice in {totes} totes of 25 items ...", highlight=False)
            metrics |= speed_metrics(suite, range(seed, seed + totes))
    except ValueError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    _show(console, metrics)
    if json is not None:
        config = {"tries": tries.name, "totes": totes, "reliability": told, "damage_ratio_at_other_limits": at_other_limits}
        result = BenchResult("grasp", seed, len(judged), config, machine_facts(), commit_id(REPOSITORY), metrics)
        result.write(json / "grasp.json")
        console.print(f"kept in {json / 'grasp.json'} and {chances(told, json / 'grasp-reliability.png')}", highlight=False)


def lessons(
    totes: Annotated[int, typer.Option("-n", "--n", min=1, help="Totes.")] = 110,
    rounds: Annotated[int, typer.Option(min=1, help="Picks of every item in each of them.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first tote.")] = 821_000,
    how: Annotated[
        list[Contrary] | None, typer.Option(help="How it contradicts its looks; all ways when not given.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Keep the result in this folder.")] = None,
) -> None:
    """What outcomes teach: a box that lets air through, or is slippery, picked 200 times with learning and without.

    The same totes and grasps for both; three other items in each tote tell whether anything gets worse for them. About
    half an hour on one core for each way.
    """
    console = wide_console()
    metrics: dict[str, Metric] = {}
    picks = 0
    ways = how or list(Contrary)
    for way in ways:
        made = run_lessons(
            load_suite("tote"),
            CONTRARY[way],
            way,
            range(seed, seed + totes),
            rounds,
            lambda text: console.print(text, highlight=False),
        )
        metrics |= learning_metrics(made, way.value)
        picks += len(made)
    _show(console, metrics)
    if json is not None:
        config = {"contrary": {way.value: CONTRARY[way] for way in ways}, "totes": totes, "rounds": rounds}
        result = BenchResult("lessons", seed, picks, config, machine_facts(), commit_id(REPOSITORY), metrics)
        result.write(json / "lessons.json")
        console.print(f"kept in {json / 'lessons.json'}", highlight=False)


def _show(console: Console, metrics: dict[str, Metric]) -> None:
    table = Table("metric", "value (95 %)", "unit")
    for name, metric in metrics.items():
        table.add_row(name, metric.text(), metric.unit)
    console.print(table)
