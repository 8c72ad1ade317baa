"""``./cell bench claims``: try the claims, print them, keep them with plot and page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pickcell_sim.bench.claims.access import measure_access
from pickcell_sim.bench.claims.record import TrialRecord
from pickcell_sim.bench.claims.run import ClaimsError, Trials, counts, read_records, run_trials, summarise, write_records
from pickcell_sim.bench.claims.series import CLAIMS, Series, series_of
from pickcell_sim.items.spec import REPOSITORY

console = Console()
FAILED = 1


def claims(
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Trials per series; there are about 50 series.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Decides items, poses and noise, the same for both tools.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes. The records are the same with any number.")] = 1,
    claim: Annotated[list[str] | None, typer.Option(help=f"Only these (repeatable): {', '.join(CLAIMS)}.")] = None,
    records: Annotated[
        list[Path] | None, typer.Option(help="Count the trials kept in this file (repeatable), simulate nothing.")
    ] = None,
    access_totes: Annotated[int, typer.Option(min=0, help="Full totes in which the tools' access is counted.")] = 8,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for claims.json, claims.md and the plot, e.g. docs/benchmarks.")
    ] = None,
) -> None:
    """Do suction and pinch do what is said of them? True poses and physics alone, half a second per trial and core."""
    if records:
        trials = _read(records)
        n = max(len(of_series) for of_series in trials.values())
    else:
        trials = _run(n, seed, workers, tuple(claim or ()))
        kept = REPOSITORY / "var" / "bench" / f"{'-'.join(['claims', str(seed), *(claim or ())])}.jsonl"
        write_records(trials, kept)
        console.print(f"Every trial: {kept} (count them again with --records)")
    _print(trials)
    if keep is not None:
        from pickcell_sim.bench.claims.report import write_report  # matplotlib takes a second to load

        with console.status(f"counting what the tools reach in {access_totes} full totes"):
            access = measure_access(access_totes, seed) if access_totes else None
        for path in write_report(summarise(trials, n, seed, access=access), keep):
            console.print(f"Written: {path}")


def _read(paths: Sequence[Path]) -> Trials:
    trials: Trials = {}
    for path in paths:
        try:
            trials |= read_records(path)
        except (OSError, ValueError) as error:
            console.print(f"[red]{error}[/red]", highlight=False)
            raise typer.Exit(FAILED) from None
    if not trials:
        console.print(f"[red]no trials in {', '.join(map(str, paths))}[/red]", highlight=False)
        raise typer.Exit(FAILED)
    return trials


def _run(n: int, seed: int, workers: int, chosen: tuple[str, ...]) -> Trials:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("trials", total=n * len(series_of(chosen)))

            def on_records(series: Series, found: Sequence[TrialRecord]) -> None:
                progress.update(task, advance=len(found), description=series.name)
                if not console.is_terminal:
                    console.print(f"{progress.tasks[task].completed:.0f} trials, {series.name}")

            return run_trials(n, seed, workers, chosen, on_records)
    except (ClaimsError, ValueError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None


def _print(trials: Trials) -> None:
    table = Table("series", "n", "delivered", "lost", "damaged", "outcomes", "damage")
    for series, found in trials.items():
        row = counts(series, found)
        told = (", ".join(f"{k} {v}" for k, v in row[key].items()) for key in ("outcomes", "damage"))
        table.add_row(series.name, *(str(row[k]) for k in ("n", "delivered", "lost", "damaged")), *told)
    console.print(table)
