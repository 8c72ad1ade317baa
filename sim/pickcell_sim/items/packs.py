"""Fronts, backs and sides of packs and labels: brand, pictogram, product, net content; small print, bars, lot and dates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from pickcell_sim.items.canvas import BARCODE_MODULES, Box, Canvas, Rgb, luminance, mix, readable_on, rgb_of
from pickcell_sim.items.facts import PrintedFacts, printed_facts
from pickcell_sim.items.motifs import NATURAL, Motif, Palette, motif_of, palette_of
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.words import COLORS, SMALL_PRINT

PAPER: Rgb = (248, 247, 242)
_BRAND_FACES = ("bold", "serif-bold", "oblique", "bold", "serif-bold")


@dataclass(frozen=True)
class Design:
    """What all faces of a SKU have in common; twins share it."""

    facts: PrintedFacts
    palette: Palette
    motif: Motif
    brand_face: str
    layout: int
    mark: str


def design_of(spec: ItemSpec) -> Design:
    """The design of a SKU of the shelf; of a colour variant in that colour."""
    rng = np.random.default_rng([spec.seed, 23])
    palette = palette_of(spec)
    if spec.color:
        base = COLORS[spec.color].rgb
        accent = max((palette.second, palette.accent), key=lambda c: abs(luminance(c) - luminance(base)))
        palette = Palette(base, mix(base, readable_on(base), 0.72), accent)
    face = str(rng.choice(_BRAND_FACES))
    return Design(printed_facts(spec), palette, motif_of(spec), face, int(rng.integers(3)), spec.mark)


def _nothing(canvas: Canvas, at: tuple[float, float, float], main: Rgb, second: Rgb) -> None:
    """No pictogram."""


def content_text(facts: PrintedFacts) -> str:
    """Net content as on the front."""
    return f"{facts.count} x {facts.size}" if facts.count > 1 else facts.size


def front(spec: ItemSpec, size: tuple[int, int], pictogram: bool = True) -> Image.Image:
    """The selling face of a pack or label, wide or tall; ``pictogram`` False leaves room for a window instead."""
    design = design_of(spec)
    if not pictogram:
        design = replace(design, motif=_nothing)
    canvas = Canvas(size, design.palette.base)
    if size[0] > 1.45 * size[1]:
        _wide(canvas, design)
    else:
        _tall(canvas, design)
    put_mark(canvas, design.mark)
    return canvas.finish()


def put_mark(canvas: Canvas, mark: str) -> None:
    """The dot or stripe that sets a look-alike apart; other marks are text and stand where that text stands."""
    what, _, color = mark.partition(":")
    if what == "dot":
        canvas.disc((0.93, 0.5), 0.05, rgb_of(color))
    elif what == "stripe":
        canvas.rect((0.0, 0.955, 1.0, 1.0), rgb_of(color))


def _tall(canvas: Canvas, design: Design) -> None:
    """Brand above, pictogram in the middle, product and content below."""
    base, second, accent = design.palette.base, design.palette.second, design.palette.accent
    field = second if design.layout else base
    if design.layout == 1:
        canvas.rect((0, 0.26, 1, 1), second)
    elif design.layout == 2:
        canvas.rect((0, 0, 1, 0.24), accent)
        canvas.rect((0, 0.24, 1, 0.64), base)
        canvas.rect((0, 0.64, 1, 1), second)
    top = accent if design.layout == 2 else base
    canvas.text(design.facts.brand.upper(), (0.08, 0.05, 0.92, 0.21), readable_on(top), design.brand_face)
    if design.layout == 0:
        canvas.rect((0.3, 0.225, 0.7, 0.235), accent)
    ground = base if design.layout == 2 else field
    _pictogram(canvas, design, (0.5, 0.43), min(0.19 * canvas.height, 0.36 * canvas.width), ground)
    _product(canvas, design, (0.07, 0.65, 0.93, 0.82), (0.1, 0.83, 0.9, 0.885), field)
    _badge(canvas, design, (0.28, 0.895, 0.72, 0.955), field)


def _wide(canvas: Canvas, design: Design) -> None:
    """Pictogram on the left, words on the right."""
    base, second, accent = design.palette.base, design.palette.second, design.palette.accent
    split = 0.34
    canvas.rect((0, 0, split, 1), second)
    if design.layout == 1:
        canvas.disc((split - 0.1, 0.5), 0.2 * canvas.width / canvas.short, second)
    elif design.layout == 2:
        canvas.rect((split, 0, 1, 0.3), accent)
    top = accent if design.layout == 2 else base
    radius = min(0.4 * canvas.height, 0.42 * split * canvas.width)
    _pictogram(canvas, design, (0.5 * split + 0.01, 0.48), radius, second)
    left = split + (0.13 if design.layout == 1 else 0.05)
    canvas.text(design.facts.brand.upper(), (left, 0.05, 0.95, 0.27), readable_on(top), design.brand_face)
    _product(canvas, design, (left, 0.33, 0.9, 0.65), (left, 0.67, 0.9, 0.77), base)
    _badge(canvas, design, (left + 0.08, 0.79, 0.87, 0.93), base)


def _pictogram(canvas: Canvas, design: Design, center: tuple[float, float], radius: float, ground: Rgb) -> None:
    """The motif in its natural colours, or else in two of the palette, whichever stand out from what is behind it."""
    at = (center[0] * canvas.width, center[1] * canvas.height, radius)
    natural = NATURAL.get(design.motif)
    if natural is not None and _distance(natural[0], ground) > 110:
        design.motif(canvas, at, *natural)
        return
    colors = sorted((*_unlike(design.palette, ground), (250, 248, 240)), key=lambda c: -_distance(c, ground))
    design.motif(canvas, at, colors[0], colors[1])


def _unlike(palette: Palette, ground: Rgb) -> list[Rgb]:
    return [c for c in (palette.base, palette.second, palette.accent) if _distance(c, ground) > 60]


def _distance(a: Rgb, b: Rgb) -> float:
    return float(np.linalg.norm(np.subtract(a, b)))


def _product(canvas: Canvas, design: Design, box: Box, below: Box, ground: Rgb) -> None:
    ink = readable_on(ground)
    canvas.text(design.facts.product, box, ink, "bold", lines=2, largest=0.2)
    extra = [text for text in (design.facts.subtitle, design.facts.color) if text]
    canvas.text("  ·  ".join(extra), below, mix(ink, ground, 0.2), "sans", largest=0.08)


def _badge(canvas: Canvas, design: Design, box: Box, ground: Rgb) -> None:
    """Net content in a rounded field."""
    color = max(_unlike(design.palette, ground) or [readable_on(ground)], key=lambda c: _distance(c, ground))
    canvas.rect(box, color, radius=0.03)
    x0, y0, x1, y1 = box
    inner = (x0 + 0.03, y0 + 0.12 * (y1 - y0), x1 - 0.03, y1 - 0.12 * (y1 - y0))
    canvas.text(content_text(design.facts), inner, readable_on(color), "bold")


def back(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Header, care in two languages, bars, and lot and dates as an ink jet prints them."""
    design = design_of(spec)
    canvas = Canvas(size, PAPER)
    base = design.palette.base
    canvas.rect((0, 0, 1, 0.16), base)
    header = f"{design.facts.brand} {design.facts.product}"
    canvas.text(header, (0.05, 0.02, 0.95, 0.14), readable_on(base), "bold", largest=0.1)
    words, english = SMALL_PRINT[spec.language], SMALL_PRINT["en"]
    care = f"{words.keep} {words.care} " if design.facts.expires else ""
    text = f"{content_text(design.facts)}. {care}{words.made_in}."
    if spec.language != "en":
        text += f" {english.keep} {english.care}" if care else f" {design.facts.subtitle}."
    canvas.paragraph(text, (0.06, 0.2, 0.94, 0.5), (70, 70, 74), px=float(np.clip(0.045 * size[1], 8.5, 11.0)))
    put_codes(canvas, design.facts, (0.05, 0.53, 0.95, 0.97))
    return canvas.finish()


def put_codes(canvas: Canvas, facts: PrintedFacts, box: Box) -> None:
    """Bars with lot and dates beside them, or below where that makes the bars too fine to be read."""
    x0, y0, x1, y1 = box
    width_px, height_px = (x1 - x0) * canvas.size[0], (y1 - y0) * canvas.size[1]
    needed = 2 * BARCODE_MODULES / width_px  # share of the width with which bars are two pixels wide
    low = height_px < 100 and 0.56 * width_px >= BARCODE_MODULES
    beside = low or height_px < 45 or (needed <= 0.68 and width_px > 1.6 * height_px)
    lines = [text for text in (facts.lot_text, facts.manufactured_text, facts.expires_text) if text]
    if beside:
        split = x0 + (min(0.68, max(0.56, needed)) if needed <= 0.72 else 0.56) * (x1 - x0)
        canvas.barcode(facts.ean, (x0, y0, split, y1))
        area = (split + 0.03 * (x1 - x0), y0, x1, y1)
    else:
        split = y0 + 0.55 * (y1 - y0)
        canvas.barcode(facts.ean, (x0, y0, x1, split))
        area = (x0, split + 0.03, x1, y1)
    step = (area[3] - area[1]) / 3.0
    longest = max(lines, key=len)
    for i, text in enumerate(lines):
        row = (area[0], area[1] + i * step, area[2], area[1] + (i + 0.86) * step)
        # One letter size for all lines, as a printer has it: shorter lines are padded on the right.
        canvas.text(text.ljust(len(longest)), row, (34, 34, 40), "mono", largest=0.09)


def side(spec: ItemSpec, size: tuple[int, int], number: int) -> Image.Image:
    """A narrow face with brand and product; ``number`` tells faces apart. Print runs along the longer side."""
    w, h = size
    if h > w:
        return side(spec, (h, w), number).transpose(Image.Transpose.ROTATE_90)
    design = design_of(spec)
    base = (design.palette.base, design.palette.second)[number % 2]
    canvas = Canvas(size, base)
    canvas.rect((0, 0.86, 1, 1), design.palette.accent)
    ink = readable_on(base)
    facts = design.facts
    if number % 4 == 3:
        canvas.text(f"{facts.lot_text}  {facts.expires_text}".strip(), (0.05, 0.2, 0.95, 0.7), ink, "mono", largest=0.4)
        return canvas.finish()
    canvas.text(facts.brand.upper(), (0.05, 0.14, 0.38, 0.74), ink, design.brand_face, "l")
    words = facts.product if number % 2 == 0 else f"{facts.product}  {content_text(facts)}"
    canvas.text(words, (0.42, 0.14, 0.95, 0.74), ink, "bold", "r", lines=2)
    return canvas.finish()


def wrap(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The label around something round: front, back and a plain stretch side by side."""
    w, h = size
    design = design_of(spec)
    canvas = Canvas(size, design.palette.base)
    picture = canvas.finish()
    # Front and back face opposite ways, each narrow enough to be read from one side.
    for middle, share, face in ((0.25, 0.36, front), (0.75, 0.34, back)):
        picture.paste(face(spec, (round(share * w), h)), (round((middle - share / 2) * w), 0))
    strip = _stretch(design, (round(0.12 * w), h))
    picture.paste(strip, (round(0.44 * w), 0))
    return picture


def _stretch(design: Design, size: tuple[int, int]) -> Image.Image:
    """Between back and front of a label: the pictogram, small and repeated."""
    canvas = Canvas(size, design.palette.base)
    for k in range(3):
        _pictogram(canvas, design, (0.5, (k + 0.5) / 3), 0.11 * canvas.height, design.palette.base)
    return canvas.finish()
