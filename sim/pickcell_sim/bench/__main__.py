"""``./cell bench``: run a benchmark, print it, keep it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pickcell_sim.bench import idle as idle_bench
from pickcell_sim.bench import pick as pick_bench
from pickcell_sim.bench.claims.command import claims
from pickcell_sim.bench.failures import write_failure_sheet
from pickcell_sim.bench.guard import guard
from pickcell_sim.bench.motion.command import motion
from pickcell_sim.bench.physics import main as physics
from pickcell_sim.bench.result import BenchResult
from pickcell_sim.bench.suite_command import FAILED, failures_of, run_with_progress, stage_times, suite, suites, wide_console
from pickcell_sim.items.spec import REPOSITORY

app = typer.Typer(help="Benchmarks on the simulated cell. The same seed gives the same totes.", no_args_is_help=True)
console = wide_console()


@app.callback()
def main() -> None:
    """Benchmarks on the simulated cell. Computation is charged to the cell's clock: see --clock."""


app.command()(suite)
app.command()(claims)
app.command("physics")(physics)
app.command()(motion)
app.command()(guard)
app.command()(suites)
app.command()(stage_times)


@app.command()
def pick(
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Picks to ask for, 8 from each tote of 12 items.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Decides totes, poses, noise and order.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the result here, e.g. docs/benchmarks/pick.json.")] = None,
    cell: Annotated[str, typer.Option(help="Name of a cell file in config/cells.")] = "panda",
    split: Annotated[str, typer.Option(help="train, validation or test: which items.")] = "test",
    workers: Annotated[int, typer.Option(min=1, help="Processes. More than one stretches the stage times.")] = 1,
    failures: Annotated[Path | None, typer.Option(help="Write a sheet with pictures of failed picks here.")] = None,
) -> None:
    """Single picks out of cluttered totes: success, drops, wrong items, times per stage, units per hour."""
    config = pick_bench.PickBenchConfig(n, seed, Path(cell).stem, split, workers).suite_config()
    run = run_with_progress(console, config)
    result = pick_bench.summarise(run)
    for error in run.errors:
        console.print(f"[red]no result: {error}[/red]", highlight=False)
    if result is None:
        raise typer.Exit(FAILED)
    _print(result)
    sheet = failures or REPOSITORY / "var" / "bench" / "failures" / f"pick-{seed}.jpg"
    shown = failures_of(run)
    if write_failure_sheet(shown, sheet):
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
    """Make docs/benchmarks/README.md, plots and index.html from the kept results."""
    from pickcell_sim.bench.page import write_pages  # matplotlib takes a second to load

    for path in write_pages(REPOSITORY / "docs" / "benchmarks"):
        console.print(f"Written: {path}")


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
