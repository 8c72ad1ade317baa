"""``./cell view``: a page in the browser that shows what the cell sees."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pickcell.cell import CellConfigError
from pickcell.network import ModelError
from pickcell.segmentation.choose import GEOMETRIC, LEARNED
from pickcell.view.page import Page, PageError, check_page
from pickcell_sim.bench.suite_command import FAILED, INTERRUPTED, wide_console
from pickcell_sim.bench.suites import SuiteError, cell_by_name, load_suite
from pickcell_sim.data.scene_file import SceneFileError
from pickcell_sim.filling.fill import FillError
from pickcell_sim.view.sources import SceneFolder, SimTote, Source


class Perception(str, Enum):
    """Segmenter and completer."""

    GEOMETRIC = GEOMETRIC
    LEARNED = LEARNED


PerceptionOption = Annotated[Perception, typer.Option(help="Who finds items and completes their shapes.")]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")]
HostOption = Annotated[
    str, typer.Option(help="Address that the page listens on; 0.0.0.0 lets other computers see it, and change it.")
]
app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Show what the cell sees, in the browser: fused surface, instances with names, full shapes, cameras, totes.

    Needs viser, once: ./cell run python -m pip install --no-deps -r requirements/view.txt

    Examples:

      ./cell view scenes var/scenes/train                 # scenes made by ./cell data

      ./cell view sim --suite packed --seed 7             # a tote that is filled for it

    Each layer has a checkbox. Ctrl-C ends it.
    """


@app.command()
def scenes(
    folder: Annotated[Path, typer.Argument(help="Folder with *.scene.npz files, made by ./cell data.")],
    perception: PerceptionOption = Perception.GEOMETRIC,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
) -> None:
    """Labelled scenes, one at a time: choose one, perception runs on it. What really lies there is a layer, too.

    Examples:

      ./cell data tote pile -n 5 --folder var/scenes/look     # make some

      ./cell view scenes var/scenes/look

      ./cell view scenes var/scenes/look --perception learned --port 8081     # beside it, to compare
    """
    _serve(lambda console: SceneFolder(folder, perception.value), host, port)


@app.command()
def sim(
    suite: Annotated[str, typer.Option(help="Suite whose recipe fills the tote (./cell bench suites), or a file.")] = "tote",
    seed: Annotated[int, typer.Option(min=0, help="Decides items, poses, noise and calibration.")] = 1,
    cell: Annotated[str, typer.Option(help="A name of config/cells, or a file; the suite's own unless given.")] = "",
    perception: PerceptionOption = Perception.GEOMETRIC,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
) -> None:
    """Fill one tote in the simulator, photograph it with noisy cameras, and look at it.

    Examples:

      ./cell view sim

      ./cell view sim --suite packed --seed 7 --perception learned

      ./cell view sim --suite pile --cell iiwa
    """

    def source(console: Console) -> Source:
        recipe = load_suite(suite)
        where = cell_by_name(cell) if cell else recipe.load_cell()
        console.print(f"Filling a tote: suite {recipe.name}, seed {seed} ...", highlight=False)
        return SimTote(recipe, seed, where, perception.value)

    _serve(source, host, port)


def _serve(make_source: Callable[[Console], Source], host: str, port: int) -> None:
    """Show the scenes of a source until Ctrl-C."""
    console = wide_console()
    try:
        check_page(host, port)  # before work that takes long
        source = make_source(console)
        with Page(source.names, source.draw, host, port) as page:
            n = len(source.names)
            console.print(f"{n} scene{'s' * (n > 1)} at {page.url} (Ctrl-C ends it)", highlight=False, soft_wrap=True)
            page.wait()
    except (PageError, SceneFileError, SuiteError, CellConfigError, FillError, ModelError) as problem:
        console.print(f"[red]{problem}[/red]", highlight=False)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        console.print("The view is closed.")
        raise typer.Exit(INTERRUPTED) from None


if __name__ == "__main__":
    app()
