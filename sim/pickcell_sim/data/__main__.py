"""``./cell data``: labelled scenes for training and for measuring perception."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pickcell_sim.bench.shown import run_shown
from pickcell_sim.bench.suite_command import FAILED, wide_console
from pickcell_sim.bench.suites import SuiteError, load_suite
from pickcell_sim.data.generate import SceneJob, Variety, make_scenes
from pickcell_sim.data.sequence import Movement, SequenceJob
from pickcell_sim.items.spec import REPOSITORY

app = typer.Typer(add_completion=False)


@app.command()
def data(
    suites: Annotated[list[str], typer.Argument(help="Suites whose recipes fill the totes, in turn.", metavar="SUITE...")],
    folder: Annotated[Path, typer.Option(help="Where the scenes go.")] = REPOSITORY / "var" / "scenes" / "train",
    split: Annotated[str, typer.Option(help="Which items: train, validation or test.")] = "train",
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Fills per suite.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first fill; the next have the numbers after it.")] = 0,
    plain: Annotated[
        bool, typer.Option("--plain", help="One scene per fill, as the cell sees it. Without: four varied ones.")
    ] = False,
    movement: Annotated[
        Movement | None, typer.Option(help="Frames of an item being shoved, or of the arm crossing the view, instead.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 works in this one.")] = 1,
) -> None:
    """Fill totes, photograph them, keep pictures and truth. Goes on where it was stopped; the same seed gives the same.

    Varied scenes (for training) have cameras a little elsewhere, other lamps, the arm in the way, and items taken out.

    Examples:

      ./cell data tote packed pile -n 100                                         # to train on

      ./cell data tote packed pile --split test --plain -n 70 --folder var/scenes/test   # to measure on

      ./cell data tote --split test --movement shove -n 20 --folder var/scenes/moving    # to measure tracking on
    """
    console = wide_console()
    try:
        recipes = [load_suite(name).model_copy(update={"split": split}) for name in suites]
    except SuiteError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    variety = None if plain else Variety()
    drawn = [(recipe, seed + k) for k in range(n) for recipe in recipes]
    jobs = [SequenceJob(*each, movement) if movement else SceneJob(*each, variety) for each in drawn]
    missing = [job for job in jobs if not job.is_done(folder)]
    if len(missing) < len(jobs):
        console.print(f"{len(jobs) - len(missing)} of {len(jobs)} fills are there already.")
    work = partial(make_scenes, folder=folder)
    made = run_shown(work, missing, workers, console, "fills", lambda job: job.names[0], str(folder))
    console.print(f"{len(list(folder.glob('*.scene.npz')))} scenes in {folder}", highlight=False)
    if missing and not made:
        raise typer.Exit(FAILED)


if __name__ == "__main__":
    app()
