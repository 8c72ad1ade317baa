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


Scenes = Annotated[Path, typer.Option(help="Folder with scenes of training items.")]
Models = Annotated[Path, typer.Option(help="Where networks, weights and cards go.")]
Minutes = Annotated[float, typer.Option(min=0.05, help="Wall time of training, restarts included.")]
Seed = Annotated[int, typer.Option(min=0)]
Checkpoint = Annotated[Path, typer.Option(help="Kept every minute; training goes on from it.")]
Afresh = Annotated[bool, typer.Option("--afresh", help="Forget the checkpoint.")]
Start = Annotated[Path | None, typer.Option(help="A network in use to go on from, say models/affinity.onnx.")]
SCENES, MODELS, CHECKPOINTS = REPOSITORY / "var/scenes/train", REPOSITORY / "models", REPOSITORY / "var/training"


@app.command()
def segmentation(
    scenes: Scenes = SCENES,
    models: Models = MODELS,
    minutes: Minutes = 40.0,
    seed: Seed = 0,
    checkpoint: Checkpoint = CHECKPOINTS / "affinity.pt",
    afresh: Afresh = False,
    start: Start = None,
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
def evidence(scenes: Scenes = SCENES, models: Models = MODELS) -> None:
    """Weigh the evidence of segmentation anew, for the affinity network that is there (part of "segmentation", too)."""
    console = _ready()
    from pickcell_sim.training.affinity import weigh

    _run(lambda say: weigh(scenes, models, say), None, console)


@app.command()
def completion(
    scenes: Scenes = SCENES,
    models: Models = MODELS,
    minutes: Minutes = 25.0,
    seed: Seed = 0,
    checkpoint: Checkpoint = CHECKPOINTS / "columns.pt",
    afresh: Afresh = False,
    start: Start = None,
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


@app.command()
def grasps(
    tries: Annotated[Path, typer.Option(help="Folder with tries on training items.")] = REPOSITORY / "var/tries/train",
    as_chosen: Annotated[
        Path | None, typer.Option(help="Only calibrate the forests that are there, on judged tries in this folder.")
    ] = None,
    models: Models = MODELS,
    seed: Seed = 0,
) -> None:
    """The chances of grasps, from what ./cell tries has made. Takes a minute or two; needs no torch.

    Then calibrate them on what the cell would choose: ./cell tries --judged --split validation -n 28 --seed 830000
    --folder var/tries/validation, and ./cell train grasps --as-chosen var/tries/validation
    """
    from pickcell_sim.training.grasps import GraspTraining, calibrate_as_chosen, train
    from pickcell_sim.tries.records import TryFileError

    console = wide_console()
    try:
        if as_chosen is not None:
            _run(lambda say: calibrate_as_chosen(as_chosen, models, say) and None, None, console)
        else:
            _run(lambda say: train(GraspTraining(tries, models, seed), say) and None, None, console)
    except (TryFileError, ValueError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None


def _ready() -> Console:
    """A console, when what training needs is installed; stops otherwise."""
    console = wide_console()
    if find_spec("torch") is None or find_spec("onnx") is None:
        console.print(f"Training needs torch, which is not installed: {INSTALL}", highlight=False)
        raise typer.Exit(FAILED)
    return console


def _run(work: Callable[[Callable[[str], None]], None], checkpoint: Path | None, console: Console) -> None:
    try:
        work(lambda text: console.print(text, highlight=False))
    except (SceneFileError, ModelError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        goes_on = (
            f"the last checkpoint is {checkpoint}. The same command goes on from it" if checkpoint else "nothing is kept"
        )
        console.print(f"Interrupted; {goes_on}.")
        raise typer.Exit(INTERRUPTED) from None


if __name__ == "__main__":
    app()
