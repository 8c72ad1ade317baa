"""A contact sheet of the catalogue: three of the six reference pictures of each SKU, by kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pickcell.catalogue import load_catalogue
from pickcell.values import Sku
from pickcell_sim.items.spec import KINDS
from pickcell_sim.items.studio import VIEW_PX

_COLUMNS = 6
_PER_KIND = 24
_SHOWN = (4, 0, 2)  # +z, +x, +y of the strip's six
_CAPTION_PX = 26


def draw_sheet(path: Path) -> None:
    """Write a PNG with up to 24 SKUs of each kind."""
    catalogue = load_catalogue()
    rows: list[Image.Image] = []
    for kind in KINDS:
        entries = [entry for entry in catalogue.values() if entry.kind == kind]
        chosen = entries[:: max(1, len(entries) // _PER_KIND)][:_PER_KIND]
        cells = [_cell(entry) for entry in chosen]
        rows += [_row(cells[i : i + _COLUMNS]) for i in range(0, len(cells), _COLUMNS)]
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    y = 0
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(255, dither=Image.Dither.NONE).save(path, optimize=True)


def _cell(entry: Sku) -> Image.Image:
    cell = Image.new("RGB", (len(_SHOWN) * VIEW_PX + 8, VIEW_PX + _CAPTION_PX), "white")
    if entry.reference_views is not None:
        strip = cv2.cvtColor(cv2.imread(str(entry.reference_views)), cv2.COLOR_BGR2RGB)
        for k, view in enumerate(_SHOWN):
            picture = strip[:, view * VIEW_PX : (view + 1) * VIEW_PX]
            cell.paste(Image.fromarray(np.ascontiguousarray(picture)), (4 + k * VIEW_PX, 0))
    millimetres = " x ".join(f"{1000 * v:.0f}" for v in entry.dimensions_m)
    text = f"{entry.sku}  {entry.name}  {millimetres} mm  {1000 * entry.mass_kg:.0f} g"
    ImageDraw.Draw(cell).text((6, VIEW_PX + 4), text, fill="black", font=ImageFont.load_default(10))
    return cell


def _row(cells: list[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (_COLUMNS * cells[0].width, cells[0].height), "white")
    for i, cell in enumerate(cells):
        row.paste(cell, (i * cell.width, 0))
    return row
