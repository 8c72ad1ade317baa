"""A portrait of the cell for its documentation: a real pick, drawn at the moment the item is carried over.

``./cell run python -m pickcell_sim.picture`` writes docs/images/cell.png.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from pickcell.catalogue import load_catalogue
from pickcell.cell import CellConfig, load_cell
from pickcell.geometry import look_at
from pickcell.outcome import Stage
from pickcell.task.ledger import Ledger
from pickcell.task.pick import PickTask
from pickcell.task.request import PickRequest
from pickcell.task.stages import Progress
from pickcell.values import CameraModel
from pickcell_sim.cell import InProcessCell
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling.fill import fill_tote
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.items.totes import ToteContents, load_tote

EYE = (1.60, 1.05, 1.15)
TARGET = (0.27, 0.20, 0.33)
SUPERSAMPLING = 2


def draw_cell(driver: SimDriver, width: int, height: int) -> NDArray[np.uint8]:
    """(height, width, 3) RGB from the operator's side, smoothed by drawing it larger."""
    camera = CameraModel.from_fov("portrait", SUPERSAMPLING * width, SUPERSAMPLING * height, float(np.deg2rad(46.0)))
    view = driver.world.visuals.render(camera, look_at(EYE, TARGET))
    image = np.where(np.isfinite(view.depth_m)[..., None], view.color, np.uint8(255))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def portrait(cell: CellConfig, contents: ToteContents, width: int, height: int) -> NDArray[np.uint8]:
    """Pick from the tote until an item is carried over, and draw that moment; raises RuntimeError when none ever is."""
    catalogue = load_catalogue()
    driver = SimDriver.create(cell, contents.seed)
    pictures: list[NDArray[np.uint8]] = []

    def watch(progress: Progress) -> None:
        if progress.stage is Stage.TRANSFER:
            pictures.append(draw_cell(driver, width, height))

    try:
        fill_tote(driver.world, contents.skus, contents.seed)
        with tempfile.TemporaryDirectory() as folder:
            ledger = Ledger(Path(folder) / "ledger.sqlite")
            ledger.set_manifest(contents.manifest).unwrap()
            task = PickTask(InProcessCell(driver, cell, catalogue), catalogue, ledger)
            for number, sku in enumerate(contents.skus):
                task.run(PickRequest(f"portrait-{number}", sku), watch)
                if len(pictures) >= 2:  # by then something lies in the destination as well
                    return pictures[1]
    finally:
        driver.close()
    if not pictures:
        raise RuntimeError("no item was ever lifted; see why with `./cell bench pick --n 8`")
    return pictures[0]


def main(
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = REPOSITORY / "docs" / "images" / "cell.png",
    cell: Annotated[Path, typer.Option(help="Cell file.")] = REPOSITORY / "config" / "cells" / "panda.yaml",
    tote: Annotated[Path, typer.Option(help="Tote file.")] = REPOSITORY / "config" / "totes" / "demo.yaml",
    width: int = 1280,
    height: int = 800,
) -> None:
    """Draw the cell while it carries an item over."""
    image = portrait(load_cell(cell), load_tote(tote), width, height)
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), image[:, :, ::-1])
    typer.echo(f"Written: {out}")


if __name__ == "__main__":
    typer.run(main)
