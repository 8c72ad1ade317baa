"""What is printed on a SKU, as data: the ground truth of anything that reads labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pickcell_sim.items.assortment import shelf_line
from pickcell_sim.items.barcode import ean13
from pickcell_sim.items.faces import artwork
from pickcell_sim.items.shelf import SHELF
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.words import COLORS, SMALL_PRINT

_FIRST_DAY = date(2026, 1, 5)
_LAST_DAY = date(2026, 9, 25)
_TO_THE_MONTH = {"shrink", "can", "blister", "tube", "bottle", "ruler", "flat", "plush", "mailer", "polybag"}
"""Kinds whose dates name no day (by draw, half of them); books name a year only."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_FORMATS = {"en": "%b %Y", "sv": "%Y-%m", "fr": "%m/%y"}


@dataclass(frozen=True)
class PrintedFacts:
    """Dates are ISO 8601 as exactly as they are printed: 2026, 2026-05 or 2026-05-12; empty where none is printed."""

    sku: str
    brand: str
    """Maker; of a book its author."""
    product: str
    subtitle: str
    """The product in English, where ``language`` is another; may be empty."""
    size: str
    """Of one piece: 60 g, M, A5."""
    count: int
    """Pieces in the pack."""
    color: str
    """Name of the colour variant in ``language``; may be empty."""
    volume: int
    """Of a book in several; 0 for all else."""
    lot: str
    manufactured: str
    expires: str
    ean: str
    language: str
    lot_text: str
    """Lot and dates as they stand on the pack; empty where none is printed."""
    manufactured_text: str
    expires_text: str


def printed_facts(spec: ItemSpec) -> PrintedFacts:
    """The facts on a SKU's faces, with the lot that its pieces come from unless told otherwise.

    Raises ValueError for irregular items, which bear no print.
    """
    if spec.kind == "irregular":
        raise ValueError(f"nothing is printed on {spec.sku}")
    return _of_shelf(spec) if spec.kind in SHELF else _of_first_kinds(spec)


def article_number(spec: ItemSpec) -> str:
    """EAN-13 made from the SKU's own name, so that twins differ in it."""
    return ean13(int.from_bytes(spec.sku.encode(), "big") % 10**11)


def _of_first_kinds(spec: ItemSpec) -> PrintedFacts:
    """Boxes, cylinders and cards print a lot and a month of expiry."""
    art = artwork(spec)
    brand, _, product = spec.name.partition(" ")
    lot_text, _, expires_text = art.lot.partition("  ")
    return PrintedFacts(
        spec.sku, brand, product, "", art.size_text, 1, "", 0, lot_text.removeprefix("LOT "), "",
        expires_text.removeprefix("EXP "), art.ean, spec.language, lot_text, "", expires_text,
    )  # fmt: skip


def _of_shelf(spec: ItemSpec) -> PrintedFacts:
    rng = np.random.default_rng([spec.seed, 31])
    words = SMALL_PRINT[spec.language]
    brand, _, product = spec.name.partition(" ")
    several = re.fullmatch(r"(\d+) x (.+)", spec.size_text)
    made = _FIRST_DAY + timedelta(days=int(rng.integers((_LAST_DAY - _FIRST_DAY).days)))
    precision = "year" if spec.structure == "book" else "day"
    if spec.kind in _TO_THE_MONTH and rng.random() < 0.5:
        precision = "month"
    life = shelf_line(spec).shelf_life_days
    ends = made + timedelta(days=life) if life else None
    lot = _lot(made, rng)
    what, _, value = spec.mark.partition(":")
    return PrintedFacts(
        sku=spec.sku,
        brand=brand,
        product=product,
        subtitle=spec.subtitle,
        size=several.group(2) if several else spec.size_text,
        count=int(several.group(1)) if several else 1,
        color=COLORS[spec.color].names[spec.language] if spec.color else "",
        volume=int(value) if what == "volume" else 0,
        lot=lot,
        manufactured=_iso(made, precision),
        expires=_iso(ends, precision) if ends else "",
        ean=article_number(spec),
        language=spec.language,
        lot_text=f"{words.lot} {lot}",
        manufactured_text=f"{words.made} {_printed(made, precision, spec.language)}",
        expires_text=f"{words.use_by} {_printed(ends, precision, spec.language)}" if ends else "",
    )


def _lot(made: date, rng: np.random.Generator) -> str:
    """One of three ways to number a batch: by day of the year, by shift, or by a plain number."""
    style = int(rng.integers(3))
    line = chr(65 + int(rng.integers(26)))
    if style == 0:
        return f"L{made:%y}{made:%j}{line}"
    if style == 1:
        return f"{made:%m%d}-{int(rng.integers(1, 4))}{line}"
    return f"{line}{int(rng.integers(10_000, 99_999))}"


def _iso(day: date, precision: str) -> str:
    return day.isoformat()[: {"year": 4, "month": 7, "day": 10}[precision]]


def _printed(day: date, precision: str, language: str) -> str:
    """A date as the language prints it; English month names whatever the machine's locale."""
    if precision == "year":
        return str(day.year)
    pattern = SMALL_PRINT[language].date_format if precision == "day" else _MONTH_FORMATS.get(language, "%m/%Y")
    return day.strftime(pattern.replace("%b", _MONTHS[day.month - 1]))
