"""``./cell bench``: run a benchmark, print it, keep it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pickcell_sim.bench import idle as idle_bench
from pickcell_sim.bench import pick as pick_bench
from pickcell_sim.bench.episode import EpisodeResult
from pickcell_sim.bench.failures import write_failure_sheet
from pickcell_sim.bench.result import BenchResult, write_page
from pickcell_sim.items.spec import REPOSITORY

app = typer.Typer(help="Benchmarks on the simulated cell. The same seed gives the same totes.", no_args_is_help=True)
console = Console()


@app.callback()
def main() -> None:
    """Benchmarks on the simulated cell. Computation is charged to the cell's clock as measured on this machine."""


@app.command()
def pick(
    n: Annotated[int, typer.Option(min=1, help="How many picks to ask for, 8 from each tote of 12 items.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Decides totes, poses, noise and order.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the result here, e.g. docs/benchmarks/pick.json.")] = None,
    cell: Annotated[Path, typer.Option(help="Cell file.")] = REPOSITORY / "config" / "cells" / "panda.yaml",
    split: Annotated[str, typer.Option(help="train, validation or test: which items.")] = "test",
    workers: Annotated[int, typer.Option(min=1, help="Processes. More than one stretches the stage times.")] = 1,
    failures: Annotated[Path | None, typer.Option(help="Write a sheet with pictures of failed picks here (PNG).")] = None,
) -> None:
    """Single picks out of cluttered totes: success, drops, wrong items, times per stage, units per hour."""
    workspace = REPOSITORY / "var" / "bench" / f"pick-{seed}"
    config = pick_bench.PickBenchConfig(n, seed, cell, split, workers, workspace)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("picks", total=n)
        delivered = 0

        def on_tote(result: EpisodeResult) -> None:
            nonlocal delivered
            delivered += sum(p.score.success for p in result.picks)
            progress.update(task, advance=len(result.picks), description=f"picks ({delivered} delivered)")
            if not console.is_terminal:
                console.print(f"{progress.tasks[task].completed:.0f} of {n} picks, {delivered} delivered")

        episodes = pick_bench.run(config, on_tote)
    result = pick_bench.summarise(config, episodes, REPOSITORY)
    _print(result)
    sheet = failures or workspace / "failures.png"
    if write_failure_sheet(episodes, workspace / "jobs", sheet):
        console.print(f"Pictures of what failed: {sheet}")
    if json:
        result.write(json)
        console.print(f"Kept in {json}")


@app.command()
def idle(
    seconds: Annotated[int, typer.Option(min=2, help="How long to watch.")] = 20,
    json: Annotated[Path | None, typer.Option(help="Write the result here, e.g. docs/benchmarks/idle.json.")] = None,
) -> None:
    """Processor share of a cell that is up and waits (start it with `./cell up`, give it a few seconds)."""
    var = Path(os.environ.get("PICKCELL_VAR", REPOSITORY / "var"))
    try:
        with console.status(f"watching for {seconds} s"):
            shares = idle_bench.measure(var, seconds)
    except idle_bench.NoCellError as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(3) from None
    result = idle_bench.summarise(shares, seconds, REPOSITORY)
    _print(result)
    if json:
        result.write(json)
        console.print(f"Kept in {json}")


@app.command()
def page() -> None:
    """Make docs/benchmarks/README.md from the kept results."""
    console.print(f"Written: {write_page(REPOSITORY / 'docs' / 'benchmarks')}")


def _print(result: BenchResult) -> None:
    console.print(f"[bold]{result.suite}[/bold]: seed {result.seed}, n = {result.n}, commit {result.commit}")
    console.print(", ".join(f"{key} {value}" for key, value in result.machine.items()))
    for key, value in result.config.items():
        console.print(f"{key.replace('_', ' ')}: {value}")
    table = Table("metric", "value", "95 % interval", "unit")
    for name, m in result.metrics.items():
        table.add_row(name, f"{m.value:.4g}", f"{m.low:.4g} .. {m.high:.4g}", m.unit)
    console.print(table)


if __name__ == "__main__":
    app()
