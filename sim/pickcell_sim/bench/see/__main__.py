"""``./cell eval``: measure learned stages against the truth, on scenes that nothing was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pickcell.network import ModelError
from pickcell_sim.bench.grasp.command import grasp, lessons
from pickcell_sim.bench.plots import reliability
from pickcell_sim.bench.see.run import METHODS, result_of, run, run_moving
from pickcell_sim.bench.see.tracks import sequences
from pickcell_sim.bench.suite_command import FAILED, wide_console
from pickcell_sim.data.scene_file import SceneFileError, scene_files
from pickcell_sim.items.spec import REPOSITORY

app = typer.Typer(help="Measure what was learned, on items that nothing was trained on.", no_args_is_help=True)
app.command()(grasp)
app.command()(lessons)


@app.callback()
def main() -> None:
    """Measure what was learned, on items that nothing was trained on."""


@app.command()
def see(
    scenes: Annotated[Path, typer.Option(help="Folder with plain scenes of test items.")] = REPOSITORY / "var/scenes/test",
    moving: Annotated[
        Path | None, typer.Option(help="Folder with sequences, to measure tracking on; skipped when it is not there.")
    ] = REPOSITORY / "var/scenes/moving",
    method: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(METHODS)}; repeat for more.")] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of the networks instead of models/.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Draw what each method saw, above the truth.")] = None,
    json: Annotated[Path | None, typer.Option(help="Keep the results in this folder.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Only so many scenes, spread over all; 0: all.")] = 0,
) -> None:
    """Instances, full shapes, tracking and times, every method on the same frames.

    The scenes: ./cell data tote packed pile --split test --plain --seed 500000 -n 70 --folder var/scenes/test

    Movement: ./cell data tote --split test --movement shove --seed 600000 -n 20 --folder var/scenes/moving

    ... and: ./cell data tote --split test --movement crossing --seed 600000 -n 10 --folder var/scenes/moving
    """
    console = wide_console()
    names = tuple(method or METHODS)
    try:
        files = scene_files(scenes)
        if limit:
            files = files[:: max(1, len(files) // limit)][:limit]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("scenes", total=len(files))
            results = run(files, names, models, pictures, lambda done: progress.update(task, completed=done))
            followed = {}
            if moving and moving.is_dir():
                task = progress.add_task("movement", total=len(sequences(moving)))
                followed = run_moving(moving, names, models, lambda done: progress.update(task, completed=done))
    except (SceneFileError, ModelError, ValueError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    found = {name: result_of(results, name, 0, scenes, followed.get(name)) for name in names}
    table = Table("metric", *names, "unit")
    for key, metric in found[names[-1]].metrics.items():
        row = [found[name].metrics.get(key) for name in names]
        table.add_row(key, *(f"{m.value:.4g} ({m.low:.4g} .. {m.high:.4g})" if m else "-" for m in row), metric.unit)
    console.print(f"{len(files)} scenes of {scenes}; in brackets 95 % intervals", highlight=False)
    console.print(table)
    if json is not None:
        console.print(
            f"reliability: kept in {reliability(list(found.values()), json / 'see-reliability.png')}", highlight=False
        )
    for name, result in found.items():
        if json is not None:
            path = json / f"{result.suite}.json"
            result.write(path)
            console.print(f"{name}: kept in {path}", highlight=False)


if __name__ == "__main__":
    app()
