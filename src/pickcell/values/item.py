"""What the catalogue knows of a product before anyone has seen the piece in the tote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.values.frozen import freeze


@dataclass(frozen=True)
class Sku:
    """A product type."""

    sku: str
    name: str
    kind: str
    """What it is: one of :data:`pickcell.catalogue.Kind`."""
    dimensions_m: NDArray[np.float64]
    """(3,) side lengths of the bounding box, descending."""
    mass_kg: float
    reference_views: Path | None = None
    """A strip of six square reference pictures side by side (+x -x +y -y +z -z), white background."""

    def __post_init__(self) -> None:
        freeze(self, "dimensions_m", (3,), np.float64)
