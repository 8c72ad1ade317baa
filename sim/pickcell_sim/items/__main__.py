"""``python -m pickcell_sim.items``: regenerate the catalogue, draw its contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pickcell_sim.items.spec import KINDS, REPOSITORY

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


if __name__ == "__main__":
    app()
