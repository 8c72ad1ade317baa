"""The catalogue: what is known of every product before a piece of it has been seen. Read from ``config/catalogue``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pickcell.config_file import Strict, checked, read_mapping
from pickcell.outcome import Code, Outcome
from pickcell.resources import shared_directory
from pickcell.values import Sku

CONFIG_DIR_VARIABLE = "PICKCELL_CONFIG_DIR"
_FORMAT = 1


def config_directory() -> Path:
    """The folder of committed settings: ``$PICKCELL_CONFIG_DIR`` when set, else ``config/``."""
    return shared_directory("config", CONFIG_DIR_VARIABLE)


def default_catalogue() -> Path:
    """The project's own catalogue file."""
    return config_directory() / "catalogue" / "catalogue.yaml"


class CatalogueError(ValueError):
    """A catalogue file that cannot be used; the message names the file and every wrong key."""


class Catalogue(Mapping[str, Sku]):
    """All products by SKU, read-only. ``find`` answers with an outcome, ``[]`` raises KeyError; both name near matches."""

    def __init__(self, skus: Mapping[str, Sku], version: str = "") -> None:
        self._skus = dict(skus)
        self.version = version
        """Which catalogue this is: recorded with results that depend on it."""

    def __getitem__(self, sku: str) -> Sku:
        if sku not in self._skus:
            raise KeyError(self._unknown(sku))
        return self._skus[sku]

    def __iter__(self) -> Iterator[str]:
        return iter(self._skus)

    def __len__(self) -> int:
        return len(self._skus)

    def __contains__(self, sku: object) -> bool:
        return sku in self._skus

    def find(self, sku: str) -> Outcome[Sku]:
        """The product, or ITEM_UNKNOWN with the SKUs and names that come nearest to what was asked."""
        if sku in self._skus:
            return Outcome.success(self._skus[sku])
        return Outcome.failure(Code.ITEM_UNKNOWN, self._unknown(sku))

    def near_matches(self, text: str, n: int = 3) -> list[str]:
        """Up to ``n`` SKUs whose number or name resembles ``text``, best first."""
        wanted = text.strip().lower()
        names = {entry.name.lower(): sku for sku, entry in self._skus.items()}
        keys = {sku.lower(): sku for sku in self._skus}
        by_name = [names[name] for name in difflib.get_close_matches(wanted, names, n, 0.6)]
        by_number = [keys[key] for key in difflib.get_close_matches(wanted, keys, n, 0.6)]
        return list(dict.fromkeys([*by_name, *by_number]))[:n]

    def _unknown(self, sku: str) -> str:
        near = self.near_matches(sku)
        hint = (
            f"Near matches: {', '.join(f'{s} ({self._skus[s].name})' for s in near)}." if near else "Nothing resembles it."
        )
        return f"No '{sku}' among {len(self._skus)} SKUs. {hint}"


Kind = Literal[
    "irregular", "box", "cylinder", "card",
    "shrink", "hardcover", "paperback", "bottle", "can", "jar", "mailer", "polybag", "loose_bag", "ruler", "flat", "blister",
    "plush", "tube",
]  # fmt: skip
"""What a product is: decides how it may be taken and what harms it."""

_Length = Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)]


class _Entry(Strict):
    name: Annotated[str, Field(min_length=1)]
    kind: Kind
    dimensions_m: tuple[_Length, _Length, _Length]
    mass_kg: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)]


class _File(Strict):
    format: Literal[1]
    version: str
    views: str = "views"
    """Directory of the reference strips, relative to the file."""
    skus: Annotated[dict[str, _Entry], Field(min_length=1)]


def load_catalogue(path: str | Path | None = None) -> Catalogue:
    """Read and check a catalogue file, the project's own unless another is named.

    Raises CatalogueError naming the file, each wrong key and what is expected.

    A SKU whose reference strip is missing is kept, without pictures.
    """
    path = Path(path) if path is not None else default_catalogue()
    data = read_mapping(path, "catalogue", CatalogueError, f"the keys format: {_FORMAT}, version, skus")
    file = checked(_File, data, path, "catalogue", CatalogueError)
    views = path.parent / file.views
    return Catalogue({sku: _sku(sku, entry, views) for sku, entry in file.skus.items()}, file.version)


def _sku(sku: str, entry: _Entry, views: Path) -> Sku:
    strip = views / f"{sku}.jpg"
    dimensions = np.sort(np.asarray(entry.dimensions_m))[::-1]
    return Sku(sku, entry.name, entry.kind, dimensions, entry.mass_kg, strip if strip.is_file() else None)
