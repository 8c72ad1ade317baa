"""Covers, spines and page edges of books."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pickcell_sim.items.canvas import Canvas, Rgb, mix, readable_on, rgb_of
from pickcell_sim.items.motifs import PALETTES, Palette, flower, hexes, hills, leaf, sun, waves
from pickcell_sim.items.packs import PAPER, Design, design_of, put_codes, put_mark
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.words import SMALL_PRINT

_STYLES = ("landscape", "panel", "bands", "rays", "plain", "tiles")
_BLURBS = {
    "de": "Ein Buch über Orte, die bleiben, und Menschen, die gehen. Klug, leise und von großer Wärme erzählt.",
    "en": "A book about places that stay and people who leave. Told with wit, patience and great warmth.",
    "es": "Un libro sobre los lugares que quedan y las personas que se van. Contado con calma y mucho ingenio.",
    "fr": "Un livre sur les lieux qui restent et les gens qui partent. Raconté avec esprit, patience et chaleur.",
    "it": "Un libro sui luoghi che restano e sulle persone che partono. Narrato con calma, ironia e calore.",
    "nl": "Een boek over plaatsen die blijven en mensen die gaan. Verteld met geduld, humor en warmte.",
    "pl": "Książka o miejscach, które zostają, i ludziach, którzy odchodzą. Mądra, cicha i pełna ciepła.",
    "sv": "En bok om platser som stannar och människor som går. Berättad med tålamod, humor och värme.",
}
_VOLUME = {"de": "Band", "en": "Volume", "es": "Tomo", "fr": "Tome", "it": "Volume", "nl": "Deel", "pl": "Tom", "sv": "Del"}


def _style(spec: ItemSpec) -> tuple[str, Palette]:
    rng = np.random.default_rng([spec.seed, 24])
    return str(rng.choice(_STYLES)), PALETTES[int(rng.integers(len(PALETTES)))]


def cover(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The front cover: artwork, title, author, and the volume's number where there are several."""
    design = design_of(spec)
    style, palette = _style(spec)
    canvas = Canvas(size, palette.base)
    rng = np.random.default_rng([spec.seed, 25])
    ground = _ARTWORK[style](canvas, palette, rng)
    _lettering(canvas, design, style, ground)
    canvas.rect((0.0, 0.0, 0.028, 1.0), mix(palette.base, (0, 0, 0), 0.18))  # the joint beside the spine
    put_mark(canvas, design.mark)
    return canvas.finish()


def _lettering(canvas: Canvas, design: Design, style: str, ground: Rgb) -> None:
    facts = design.facts
    ink = readable_on(ground)
    face = design.brand_face if design.brand_face != "oblique" else "serif-bold"
    title, author, note = {
        "landscape": ((0.1, 0.06, 0.92, 0.27), (0.1, 0.3, 0.92, 0.355), (0.1, 0.365, 0.92, 0.41)),
        "panel": ((0.2, 0.3, 0.84, 0.52), (0.2, 0.6, 0.84, 0.66), (0.2, 0.54, 0.84, 0.585)),
        "rays": ((0.1, 0.62, 0.92, 0.82), (0.1, 0.9, 0.92, 0.955), (0.1, 0.835, 0.92, 0.88)),
    }.get(style, ((0.1, 0.36, 0.92, 0.6), (0.1, 0.08, 0.92, 0.14), (0.1, 0.62, 0.92, 0.665)))
    canvas.text(facts.product, title, ink, face, lines=3, largest=0.13)
    canvas.text(facts.brand.upper(), author, ink, "sans", largest=0.05)
    subtitle = f"{_VOLUME[facts.language]} {facts.volume}" if facts.volume else facts.subtitle
    canvas.text(subtitle, note, mix(ink, ground, 0.15), "bold" if facts.volume else "serif-italic", largest=0.04)


def _landscape(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> Rgb:
    """Rows of hills below a wide sky."""
    canvas.disc((float(rng.uniform(0.25, 0.75)), 0.52), 0.13, palette.accent)
    x = np.linspace(0.0, 1.0, 60)
    for k in range(4):
        color = mix(palette.second, palette.base, 0.62 - 0.2 * k)
        y = 0.56 + 0.105 * k + 0.045 * np.sin(2 * np.pi * (rng.uniform(0.8, 2.2) * x + rng.uniform()))
        row = [(a * canvas.width, b * canvas.height) for a, b in zip(x, y)]
        canvas.draw.polygon([(0, canvas.height), *row, (canvas.width, canvas.height)], fill=color)
    return palette.base


def _panel(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> Rgb:
    """A frame of small ornaments round a pale panel."""
    ornament = (leaf, flower, sun, hexes)[int(rng.integers(4))]
    for i in range(6):
        for j in range(9):
            at = ((i + 0.5 + 0.5 * (j % 2)) / 6.0 * canvas.width, (j + 0.5) / 9.0 * canvas.height, 0.07 * canvas.width)
            ornament(canvas, at, mix(palette.base, palette.second, 0.55), palette.accent)
    canvas.rect((0.14, 0.24, 0.9, 0.72), palette.accent)
    pale = mix(palette.base, (255, 253, 246), 0.85)
    canvas.rect((0.16, 0.255, 0.88, 0.705), pale)
    return pale


def _bands(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> Rgb:
    """A field for the title between broad bands."""
    canvas.rect((0, 0, 1, 0.2), palette.base)
    canvas.rect((0, 0.2, 1, 0.3), palette.accent)
    canvas.rect((0, 0.3, 1, 0.7), palette.base)
    for k in range(5):
        canvas.rect((0, 0.72 + 0.056 * k, 1, 0.752 + 0.056 * k), (palette.second, palette.accent)[k % 2])
    return palette.base


def _rays(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> Rgb:
    """A big sign above, words below."""
    canvas.rect((0, 0, 1, 0.58), palette.second)
    sign = (sun, flower, hills, waves)[int(rng.integers(4))]
    sign(canvas, (0.51 * canvas.width, 0.29 * canvas.height, 0.34 * canvas.width), palette.base, palette.accent)
    return palette.base


def _plain(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> Rgb:
    """Type alone, with a rule."""
    canvas.rect((0.1, 0.2, 0.92, 0.208), palette.accent)
    canvas.rect((0.1, 0.76, 0.92, 0.768), palette.accent)
    waves(canvas, (0.5 * canvas.width, 0.87 * canvas.height, 0.08 * canvas.height), palette.second, palette.accent)
    return palette.base


def _tiles(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> Rgb:
    """Quarter circles in a grid, with the title in a band across."""
    n, m = 5, 8
    for i in range(n):
        for j in range(m):
            x, y = i / n * canvas.width, j / m * canvas.height
            w, h = canvas.width / n, canvas.height / m
            colors = rng.permutation([palette.base, palette.second, palette.accent])
            canvas.draw.rectangle((x, y, x + w, y + h), fill=tuple(int(c) for c in colors[0]))
            start = 90 * int(rng.integers(4))
            corner = {0: (x - w, y - h), 90: (x, y - h), 180: (x, y), 270: (x - w, y)}[start]
            canvas.draw.pieslice(
                (*corner, corner[0] + 2 * w, corner[1] + 2 * h), start, start + 90, fill=tuple(int(c) for c in colors[1])
            )
    pale = mix(palette.base, (255, 253, 246), 0.85)
    canvas.rect((0, 0.05, 1, 0.17), pale)
    canvas.rect((0, 0.34, 1, 0.68), pale)
    return pale


_ARTWORK = {
    "landscape": _landscape, "panel": _panel, "bands": _bands, "rays": _rays, "plain": _plain, "tiles": _tiles,
}  # fmt: skip


def back_cover(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Blurb, year, and bars in the lower right."""
    design = design_of(spec)
    _, palette = _style(spec)
    canvas = Canvas(size, palette.base)
    ink = readable_on(palette.base)
    facts = design.facts
    canvas.text(facts.product, (0.09, 0.07, 0.91, 0.15), ink, "serif-bold", largest=0.06)
    blurb = f"{_BLURBS[facts.language]} {facts.size}." if facts.size else _BLURBS[facts.language]
    canvas.paragraph(blurb, (0.09, 0.19, 0.91, 0.58), ink, "serif", px=float(np.clip(0.032 * size[1], 9.0, 14.0)))
    canvas.rect((0.07, 0.63, 0.93, 0.96), PAPER)
    canvas.text(SMALL_PRINT[facts.language].made_in, (0.09, 0.585, 0.91, 0.62), ink, "sans", largest=0.03)
    put_codes(canvas, facts, (0.09, 0.645, 0.91, 0.945))
    return canvas.finish()


def spine(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """``size`` is (thickness, height); the title runs from top to bottom as on English books."""
    w, h = size
    design = design_of(spec)
    _, palette = _style(spec)
    canvas = Canvas((h, w), palette.base)
    ink = readable_on(palette.base)
    canvas.rect((0, 0, 0.06, 1), palette.accent)
    canvas.rect((0.94, 0, 1, 1), palette.accent)
    facts = design.facts
    title = f"{facts.product} {facts.volume}" if facts.volume else facts.product
    canvas.text(title, (0.09, 0.1, 0.66, 0.9), ink, "serif-bold", "l", largest=0.7)
    canvas.text(facts.brand.upper(), (0.68, 0.18, 0.91, 0.82), ink, "sans", "r", largest=0.5)
    if design.mark.startswith("stripe"):
        canvas.rect((0.94, 0, 1, 1), rgb_of(design.mark.partition(":")[2]))
    return canvas.finish().transpose(Image.Transpose.ROTATE_270)


def page_edge(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The edge of a book's block: thin lines of paper along the longer side."""
    rng = np.random.default_rng([spec.seed, 41])
    w, h = size
    lines = 236 + rng.integers(-16, 10, min(w, h))
    stripes = np.tile(lines[:, None], (1, w)) if w >= h else np.tile(lines[None, :], (h, 1))
    return Image.fromarray(np.stack([stripes, stripes - 5, stripes - 20], axis=2).astype(np.uint8))
