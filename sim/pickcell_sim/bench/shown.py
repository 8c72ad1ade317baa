"""Many independent jobs with a progress bar, or a line now and then where nobody looks at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pickcell_sim.bench.parallel import run_here, run_in_pool
from pickcell_sim.bench.suite_command import INTERRUPTED

J = TypeVar("J")
SAID_EVERY = 10


def run_shown(
    work: Callable[[J], Any],
    jobs: Sequence[J],
    workers: int,
    console: Console,
    what: str,
    name: Callable[[J], str],
    kept: str,
) -> list[Any]:
    """Results of the jobs that did not fail, in order of their end; failures are told as they come.

    ``workers``: processes; 0 works in this one. ``what``: what is counted, in the plural. ``kept``: where finished work is,
    said when somebody interrupts; the command then ends with the code for that.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    results: list[Any] = []
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=len(jobs))
        finished = run_in_pool(work, jobs, workers) if workers else run_here(work, jobs)
        try:
            for done, each in enumerate(finished, 1):
                progress.advance(task)
                if each.error:
                    console.print(f"[red]{name(each.job)}: {each.error}[/red]", highlight=False)
                else:
                    results.append(each.result)
                if not console.is_terminal and (done % SAID_EVERY == 0 or done == len(jobs)):
                    console.print(f"{done} of {len(jobs)} {what}", highlight=False)
        except KeyboardInterrupt:
            console.print(f"Interrupted. What is finished is kept in {kept}; the same command goes on.")
            raise typer.Exit(INTERRUPTED) from None
    return results
