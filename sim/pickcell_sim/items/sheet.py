"""A contact sheet of the catalogue: a row per kind, two of the six reference pictures of each SKU."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from pickcell.catalogue import load_catalogue
from pickcell.values import Sku
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.canvas import font
from pickcell_sim.items.spec import KINDS, PAYLOAD_KG
from pickcell_sim.items.studio import VIEW_PX

_PER_KIND = 10
_HEAD_PX = 132
_GAP_PX = 10
_CAPTION_PX = 44
_SHOWN = {
    "irregular": (0, 4), "cylinder": (2, 4), "card": (4, 5), "hardcover": (4, 1), "paperback": (4, 1), "bottle": (2, 3),
    "can": (2, 4), "jar": (2, 3), "mailer": (4, 5), "polybag": (4, 5), "loose_bag": (4, 5), "ruler": (4, 5), "flat": (4, 5),
    "blister": (4, 2), "plush": (4, 2), "tube": (2, 3),
}  # fmt: skip
"""Pictures of the strip (+x -x +y -y +z -z) that show most of a kind; boxes show their largest face and the one beside."""
_TITLES = {
    "irregular": "irregular", "box": "boxes", "cylinder": "cylinders", "card": "cards", "shrink": "shrink-\nwrapped",
    "hardcover": "hardcovers", "paperback": "paperbacks", "bottle": "bottles", "can": "cans", "jar": "jars",
    "mailer": "mailers", "polybag": "polybags", "loose_bag": "bags of\nloose goods", "ruler": "rulers", "flat": "flats",
    "blister": "blister\npacks", "plush": "plush", "tube": "tubes",
}  # fmt: skip
_INK = (34, 34, 40)
_FAINT = (120, 120, 126)
_REFUSED = (190, 40, 36)


def draw_sheet(path: Path) -> None:
    """Write a PNG with up to ten SKUs of each kind."""
    catalogue = load_catalogue()
    rows: list[Image.Image] = []
    for kind in KINDS:
        entries = [entry for entry in catalogue.values() if entry.kind == kind]
        chosen = entries[:: max(1, len(entries) // _PER_KIND)][:_PER_KIND]
        rows.append(_row(kind, len(entries), [_cell(entry) for entry in chosen]))
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    y = 0
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(255, dither=Image.Dither.NONE).save(path, optimize=True)


def _shown(entry: Sku) -> tuple[int, int]:
    """Which two pictures of the strip to show."""
    if entry.kind in _SHOWN:
        return _SHOWN[entry.kind]
    x, y, z = item_spec(entry.sku).size_m
    by_area = sorted(((y * z, 0), (x * z, 2), (x * y, 4)), reverse=True)
    return by_area[0][1], by_area[1][1]


def _cell(entry: Sku) -> Image.Image:
    """Two pictures above SKU, size, mass and name."""
    cell = Image.new("RGB", (2 * VIEW_PX + _GAP_PX, VIEW_PX + _CAPTION_PX), "white")
    if entry.reference_views is not None:
        strip = cv2.cvtColor(cv2.imread(str(entry.reference_views)), cv2.COLOR_BGR2RGB)
        for k, view in enumerate(_shown(entry)):
            picture = strip[:, view * VIEW_PX : (view + 1) * VIEW_PX]
            cell.paste(Image.fromarray(np.ascontiguousarray(picture)), (k * VIEW_PX, 0))
    draw = ImageDraw.Draw(cell)
    millimetres = "×".join(f"{1000 * v:.0f}" for v in entry.dimensions_m)
    heavy = entry.mass_kg > PAYLOAD_KG
    draw.text((2, VIEW_PX + 2), _cut(f"{entry.sku}  {entry.name}"), fill=_INK, font=font("sans", 10))
    text = f"{millimetres} mm  {1000 * entry.mass_kg:.0f} g" + ("  refused" if heavy else "")
    draw.text((2, VIEW_PX + 16), text, fill=_REFUSED if heavy else _FAINT, font=font("sans", 10))
    return cell


def _cut(text: str) -> str:
    """What of a caption fits below two pictures."""
    while font("sans", 10).getlength(text) > 2 * VIEW_PX:
        text = text[:-2].rstrip() + "…"
    return text


def _row(kind: str, count: int, cells: list[Image.Image]) -> Image.Image:
    """The kind's name and how many SKUs of it there are, then its cells."""
    height = VIEW_PX + _CAPTION_PX
    row = Image.new("RGB", (_HEAD_PX + _PER_KIND * (2 * VIEW_PX + _GAP_PX), height), "white")
    draw = ImageDraw.Draw(row)
    draw.line((0, 0, row.width, 0), fill=(224, 224, 228))
    draw.multiline_text((10, 24), _TITLES[kind], fill=_INK, font=font("bold", 17))
    draw.text((10, 70), f"{count} SKUs", fill=_FAINT, font=font("sans", 12))
    for i, cell in enumerate(cells):
        row.paste(cell, (_HEAD_PX + i * cell.width, 4))
    return row
