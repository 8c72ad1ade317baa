"""Pictures printed on the items of the shelf: what a builder of meshes asks for, by SKU and size in pixels.

``front``, ``back``, ``spine``, ``side``, ``pages`` and ``fur`` answer for every kind; up on the picture is +y of a book,
sheet, bag or card and +z of a box.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from pickcell_sim.items import covers, films, packs, surfaces
from pickcell_sim.items.spec import ItemSpec

PIXELS_PER_M = 2400.0
LARGEST_PX = 480

Face = Callable[[ItemSpec, tuple[int, int]], Image.Image]

_FRONTS: dict[str, Face] = {
    "hardcover": covers.cover,
    "paperback": covers.cover,
    "mailer": films.envelope,
    "polybag": films.garment_bag,
    "loose_bag": films.filled_bag,
    "ruler": surfaces.ruler,
    "flat": surfaces.flat,
    "plush": surfaces.hang_tag,
}
_BACKS: dict[str, Face] = {
    "hardcover": covers.back_cover,
    "paperback": covers.back_cover,
    "mailer": films.envelope_back,
    "polybag": films.garment_back,
    "ruler": surfaces.ruler_back,
    "flat": surfaces.flat_back,
    "plush": surfaces.hang_tag,
}


def pixels(width_m: float, height_m: float, per_m: float = PIXELS_PER_M) -> tuple[int, int]:
    """(width, height) in pixels of a face of this size: enough to read large print at 40 cm, little to keep in memory."""
    scale = min(per_m, LARGEST_PX / max(width_m, height_m))
    return max(8, round(width_m * scale)), max(8, round(height_m * scale))


def front(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The selling face: a book's front cover, the printed side of a bag, the address side of an envelope."""
    return _FRONTS.get(spec.kind, packs.front)(spec, size)


def back(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Small print, barcode, lot and dates."""
    return _BACKS.get(spec.kind, packs.back)(spec, size)


def spine(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """A book's spine, upright: ``size`` is (thickness, height), the title runs along it."""
    return covers.spine(spec, size)


def side(spec: ItemSpec, size: tuple[int, int], number: int) -> Image.Image:
    """A narrow face; ``number`` tells faces apart."""
    return packs.side(spec, size, number)


def pages(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The edge of a book's block."""
    return covers.page_edge(spec, size)


def fur(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Short pile in the SKU's colour, for plush."""
    return surfaces.fur(spec, size)
