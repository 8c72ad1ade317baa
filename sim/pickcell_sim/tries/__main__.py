"""``./cell tries``: grasps tried in the simulator, to learn chances from and to measure them on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pickcell_sim.bench.shown import run_shown
from pickcell_sim.bench.suite_command import FAILED, wide_console
from pickcell_sim.bench.suites import Perception, SuiteError, load_suite
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.tries.generate import TryJob, make_tries

DEFAULT_SUITES = ("tote", "packed", "tote", "pile", "books_boxes", "tote", "bags", "flats")
app = typer.Typer(add_completion=False)


@app.command()
def tries(
    suites: Annotated[
        list[str] | None, typer.Argument(help="Suites whose recipes fill the totes, in turn.", metavar="SUITE...")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the tries go, one file per tote.")] = REPOSITORY / "var/tries/train",
    split: Annotated[str, typer.Option(help="Which items: train, validation or test.")] = "train",
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Totes.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first tote; the next have the numbers after it.")] = 710_000,
    perception: Annotated[Perception, typer.Option(help="What the choice sees.")] = Perception.ESTIMATED,
    judged: Annotated[
        bool, typer.Option("--judged", help="Try what the cell would choose, to measure by, instead of good and bad grasps.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 works in this one.")] = 2,
) -> None:
    """Fill totes, try good and bad grasps of both tools on what is seen, keep what came of each.

    Each grasp is approached, held, lifted, carried and set down by the cell's own task, in a copy of the simulated world:
    36 tries per tote, about a minute on one core. Goes on where it was stopped; the same seed gives the same tries.

    Examples:

      ./cell tries -n 100                                             # to train on: then ./cell train grasps

      ./cell tries --judged --split test -n 40 --seed 810000 --folder var/tries/test    # then ./cell eval grasp
    """
    console = wide_console()
    try:
        recipes = [load_suite(name).model_copy(update={"split": split}) for name in suites or DEFAULT_SUITES]
    except SuiteError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    jobs = [TryJob(recipes[k % len(recipes)], seed + k, perception, judged=judged) for k in range(n)]
    missing = [job for job in jobs if not job.is_done(folder)]
    if len(missing) < len(jobs):
        console.print(f"{len(jobs) - len(missing)} of {len(jobs)} totes are there already.")
    work = partial(make_tries, folder=folder)
    counts = run_shown(work, missing, workers, console, "totes", lambda job: job.name, str(folder))
    console.print(f"{sum(counts)} new tries in {folder}", highlight=False)
    if missing and not counts:
        raise typer.Exit(FAILED)


if __name__ == "__main__":
    app()
