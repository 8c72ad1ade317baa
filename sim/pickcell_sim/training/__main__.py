"""``./cell train``: train the networks that the stages use."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pickcell.network import ModelError
from pickcell_sim.bench.suite_command import FAILED, INTERRUPTED, wide_console
from pickcell_sim.data.scene_file import SceneFileError
from pickcell_sim.items.spec import REPOSITORY

INSTALL = "./cell run python -m pip install --no-deps -r requirements/train.txt"
app = typer.Typer(help="Train the networks that the stages use, on scenes made by ./cell data.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Train the networks that the stages use, on scenes made by ./cell data."""


@app.command()
def segmentation(
    scenes: Annotated[Path, typer.Option(help="Folder with scenes of training items.")] = REPOSITORY / "var/scenes/train",
    models: Annotated[Path, typer.Option(help="Where network, weights and card go.")] = REPOSITORY / "models",
    minutes: Annotated[float, typer.Option(min=0.05, help="Wall time of training, restarts included.")] = 40.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    checkpoint: Annotated[Path, typer.Option(help="Kept every minute; training goes on from it.")] = (
        REPOSITORY / "var/training/affinity.pt"
    ),
    afresh: Annotated[bool, typer.Option("--afresh", help="Forget the checkpoint.")] = False,
    start: Annotated[Path | None, typer.Option(help="A network (ONNX) to go on from, say models/affinity.onnx.")] = None,
) -> None:
    """The affinity network of instance segmentation. Ctrl-C keeps the last checkpoint; the same command goes on."""
    console = _ready()
    from pickcell.learning.training import Fit
    from pickcell_sim.training.affinity import AffinityTraining, train

    if afresh:
        checkpoint.unlink(missing_ok=True)
    job = AffinityTraining(scenes, models, checkpoint, Fit(minutes=minutes, seed=seed, start=start))
    _run(lambda say: train(job, say), checkpoint, console)


@app.command()
def evidence(
    scenes: Annotated[Path, typer.Option(help="Folder with scenes of training items.")] = REPOSITORY / "var/scenes/train",
    models: Annotated[Path, typer.Option(help="Folder of the affinity network.")] = REPOSITORY / "models",
) -> None:
    """Weigh the evidence of segmentation anew, for the affinity network that is there (part of "segmentation", too)."""
    console = _ready()
    from pickcell.learning.training import Fit
    from pickcell_sim.training.affinity import AffinityTraining, weigh

    _run(lambda say: weigh(AffinityTraining(scenes, models, scenes, Fit()), say), models, console)


@app.command()
def completion(
    scenes: Annotated[Path, typer.Option(help="Folder with scenes of training items.")] = REPOSITORY / "var/scenes/train",
    models: Annotated[Path, typer.Option(help="Where network, calibration and card go.")] = REPOSITORY / "models",
    minutes: Annotated[float, typer.Option(min=0.05, help="Wall time of training, restarts included.")] = 25.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    checkpoint: Annotated[Path, typer.Option(help="Kept every minute; training goes on from it.")] = (
        REPOSITORY / "var/training/columns.pt"
    ),
    afresh: Annotated[bool, typer.Option("--afresh", help="Forget the checkpoint.")] = False,
    start: Annotated[Path | None, typer.Option(help="A network (ONNX) to go on from, say models/columns.onnx.")] = None,
) -> None:
    """The column network of shape completion. Ctrl-C keeps the last checkpoint; the same command goes on."""
    console = _ready()
    from pickcell.learning.training import Fit
    from pickcell_sim.training.completion import CompletionTraining, train

    if afresh:
        checkpoint.unlink(missing_ok=True)
    fit = Fit(minutes=minutes, batch=32, learning_rate=2e-3, seed=seed, start=start)
    job = CompletionTraining(scenes, models, checkpoint, fit)
    _run(lambda say: train(job, say), checkpoint, console)


def _ready() -> Console:
    """A console, when what training needs is installed; stops otherwise."""
    console = wide_console()
    if find_spec("torch") is None or find_spec("onnx") is None:
        console.print(f"Training needs torch, which is not installed: {INSTALL}", highlight=False)
        raise typer.Exit(FAILED)
    return console


def _run(work: Callable[[Callable[[str], None]], None], checkpoint: Path, console: Console) -> None:
    try:
        work(lambda text: console.print(text, highlight=False))
    except (SceneFileError, ModelError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        console.print(f"Interrupted; the last checkpoint is {checkpoint}. The same command goes on from it.")
        raise typer.Exit(INTERRUPTED) from None


if __name__ == "__main__":
    app()
