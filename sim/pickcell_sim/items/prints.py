"""Pictures printed on the items of the shelf: what a builder of meshes asks for, by SKU and size in pixels.

``front``, ``back``, ``spine``, ``side``, ``pages`` and ``fur`` answer for every kind; up on the picture is +y of a book,
sheet, bag or card and +z of a box.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from pickcell_sim.items import faces
from pickcell_sim.items.spec import ItemSpec

PIXELS_PER_M = 2400.0
LARGEST_PX = 480


def pixels(width_m: float, height_m: float) -> tuple[int, int]:
    """(width, height) in pixels of a face of this size: enough to read large print at 40 cm, little to keep in memory."""
    scale = min(PIXELS_PER_M, LARGEST_PX / max(width_m, height_m))
    return max(8, round(width_m * scale)), max(8, round(height_m * scale))


def front(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The selling face: a book's front cover, the printed side of a bag, the address side of an envelope."""
    return faces.front(faces.artwork(spec), size)


def back(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Small print, barcode, lot and dates."""
    return faces.back(faces.artwork(spec), size)


def spine(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """A book's spine, upright: ``size`` is (thickness, height), the title runs along it."""
    return faces.side(faces.artwork(spec), size, 2)


def side(spec: ItemSpec, size: tuple[int, int], number: int) -> Image.Image:
    """A narrow face; ``number`` tells faces apart."""
    return faces.side(faces.artwork(spec), size, number)


def pages(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The edge of a book's block: thin lines of paper along the longer side."""
    rng = np.random.default_rng([spec.seed, 41])
    w, h = size
    lines = 232 + rng.integers(-14, 12, min(w, h))
    stripes = np.repeat(lines[:, None] if w >= h else lines[None, :], max(w, h), axis=1 if w >= h else 0)
    return Image.fromarray(np.stack([stripes, stripes - 4, stripes - 16], axis=2).astype(np.uint8))


def fur(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Short pile in the SKU's colour, for plush."""
    from pickcell_sim.items.words import COLORS

    rng = np.random.default_rng([spec.seed, 42])
    w, h = size
    base = np.asarray(COLORS[spec.color or "grey"].rgb, float)
    noise = rng.normal(0.0, 9.0, (h, w, 1))
    return Image.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8))
