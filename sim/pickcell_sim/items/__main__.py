"""``python -m pickcell_sim.items``: regenerate the catalogue, draw its contact sheet, capture filled totes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pickcell_sim.items.spec import KINDS, REPOSITORY
from pickcell_sim.items.totes import load_tote, mixed_tote, random_tote

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.command()
def build(
    redraw: Annotated[
        list[str] | None, typer.Option(help="Kind whose pictures are drawn anew; repeat for more, all unless given.")
    ] = None,
) -> None:
    """Write config/catalogue and config/splits from the seed (about 4 minutes)."""
    from pickcell_sim.items.catalogue_files import draw_splits, write_catalogue, write_splits

    splits, listed = draw_splits()
    write_splits(splits)
    typer.echo("splits: " + ", ".join(f"{name} {len(skus)}" for name, skus in splits.items()))
    write_catalogue(listed, progress=typer.echo, redraw=redraw if redraw else KINDS)


@app.command()
def sheet(path: Path = REPOSITORY / "docs" / "images" / "catalogue.png") -> None:
    """Draw a contact sheet of the catalogue."""
    from pickcell_sim.items.sheet import draw_sheet

    draw_sheet(path)
    typer.echo(path)


@app.command()
def frames(
    seed: Annotated[list[int], typer.Option(help="Seed of the tote; repeat for more.")],
    folder: Annotated[Path, typer.Option(help="Where the .npz files go.")] = Path("var/frames"),
    n: Annotated[int, typer.Option(help="Items in the tote.")] = 12,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    mix: Annotated[str, typer.Option(help="A named mix of kinds, such as all; empty: the four kinds of random totes.")] = "",
    tote: Annotated[Path | None, typer.Option(help="A tote file instead of a random tote; its own seed is used.")] = None,
    cell: Annotated[Path, typer.Option(help="Cell file.")] = REPOSITORY / "config" / "cells" / "panda.yaml",
) -> None:
    """Capture all cameras over a filled tote: seed<N>.npz, and the truth apart in seed<N>_truth.npz."""
    from pickcell_sim.items.captures import write_capture

    for s in seed:
        drawn = mixed_tote(s, n, split, mix) if mix else random_tote(s, n, split)
        contents = load_tote(tote) if tote is not None else drawn
        for path in write_capture(cell, contents, folder):
            typer.echo(path)


if __name__ == "__main__":
    app()
