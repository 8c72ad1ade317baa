"""Faces of bags and envelopes: textiles behind film, windows on loose filling, address labels."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from pickcell_sim.items.canvas import Canvas, Rgb, mix, readable_on
from pickcell_sim.items.motifs import PALETTES
from pickcell_sim.items.packs import PAPER, Design, content_text, design_of, put_codes, put_mark
from pickcell_sim.items.packs import front as pack_front
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.words import COLORS

_GLOSS: Rgb = (255, 255, 255)
_KRAFT: Rgb = (196, 158, 112)
_FILLINGS: dict[str, tuple[Rgb, ...]] = {
    "Gummy bears": ((214, 52, 48), (240, 170, 40), (70, 160, 70), (244, 232, 150)),
    "Green lentils": ((112, 118, 62), (138, 136, 84), (90, 98, 50)),
    "Almonds": ((164, 104, 62), (188, 128, 82), (140, 86, 50)),
    "Pasta": ((236, 198, 112), (224, 178, 92), (246, 214, 140)),
    "Buckwheat": ((150, 108, 72), (122, 84, 54), (172, 130, 92)),
    "Pick and mix sweets": ((228, 70, 120), (90, 60, 150), (250, 200, 60), (60, 170, 180), (250, 250, 250)),
    "Basmati Rice": ((244, 238, 222), (234, 226, 206), (250, 246, 234)),
    "Wall Plugs": ((120, 124, 130), (150, 152, 158), (96, 100, 108)),
}


def garment_bag(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """A folded textile under clear film, with a printed card on top and a size sticker."""
    design = design_of(spec)
    cloth = COLORS[spec.color].rgb
    canvas = Canvas(size, cloth)
    rng = np.random.default_rng([spec.seed, 26])
    canvas.grain(rng, 7.0, (2, 6))
    dark = mix(cloth, (0, 0, 0), 0.28)
    for x in (0.27, 0.73):  # the folds
        canvas.veil([(x, 0.3), (x + 0.02, 0.3), (x + 0.035, 1.0), (x - 0.01, 1.0)], dark, 0.6)
    canvas.veil([(0.0, 0.64), (1.0, 0.6), (1.0, 0.63), (0.0, 0.67)], dark, 0.45)
    canvas.rect((0, 0, 1, 0.33), design.palette.accent)
    ink = readable_on(design.palette.accent)
    canvas.text(design.facts.brand.upper(), (0.08, 0.03, 0.92, 0.14), ink, design.brand_face)
    canvas.text(design.facts.product, (0.08, 0.15, 0.92, 0.24), ink, "bold")
    extra = [text for text in (design.facts.subtitle, design.facts.color) if text]
    canvas.text("  ·  ".join(extra), (0.08, 0.255, 0.92, 0.31), ink, "sans")
    canvas.disc((0.76, 0.8), 0.15, PAPER)
    half = 0.11 * canvas.short / canvas.width, 0.09 * canvas.short / canvas.height
    canvas.text(
        content_text(design.facts), (0.76 - half[0], 0.8 - half[1], 0.76 + half[0], 0.8 + half[1]), (30, 30, 36), "bold"
    )
    _gloss(canvas, rng)
    _seams(canvas)
    put_mark(canvas, design.mark)
    return canvas.finish()


def garment_back(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The textile's back with a white sticker of bars and lot."""
    design = design_of(spec)
    cloth = COLORS[spec.color].rgb
    canvas = Canvas(size, mix(cloth, (0, 0, 0), 0.08))
    rng = np.random.default_rng([spec.seed, 27])
    canvas.grain(rng, 7.0, (2, 6))
    canvas.veil([(0.48, 0.0), (0.52, 0.0), (0.53, 1.0), (0.49, 1.0)], (255, 255, 255), 0.25)
    _gloss(canvas, rng)
    _sticker(canvas, design)
    _seams(canvas)
    return canvas.finish()


def filled_bag(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """A printed bag with a window through which the filling shows."""
    picture = pack_front(spec, size, pictogram=False)
    w, h = size
    radius = int(0.19 * min(w, 1.6 * h))
    center = (w // 2, int(0.43 * h))
    window = _filling(spec, 2 * radius)
    mask = Image.new("L", (8 * radius, 8 * radius), 0)
    ImageDraw.Draw(mask).ellipse((0, 0, 8 * radius - 1, 8 * radius - 1), fill=255)
    picture.paste(window, (center[0] - radius, center[1] - radius), mask.resize(window.size, Image.Resampling.BOX))
    canvas = Canvas(size, PAPER)
    canvas.paste(picture, (0, 0, 1, 1))
    _gloss(canvas, np.random.default_rng([spec.seed, 28]))
    _seams(canvas)
    return canvas.finish()


def _filling(spec: ItemSpec, side: int) -> Image.Image:
    """Grains in the colours of the content."""
    colors = _FILLINGS[spec.subtitle or spec.name.partition(" ")[2]]
    rng = np.random.default_rng([spec.seed, 29])
    image = Image.new("RGB", (4 * side, 4 * side), mix(colors[0], (0, 0, 0), 0.35))
    draw = ImageDraw.Draw(image)
    for _ in range(260):
        x, y = rng.uniform(0, 4 * side, 2)
        r, ratio = rng.uniform(0.05, 0.085) * 4 * side, rng.uniform(0.45, 0.95)
        if rng.random() < 0.5:
            box = (x - r, y - ratio * r, x + r, y + ratio * r)
        else:
            box = (x - ratio * r, y - r, x + ratio * r, y + r)
        color = colors[int(rng.integers(len(colors)))]
        draw.ellipse(box, fill=color, outline=mix(color, (0, 0, 0), 0.3), width=2)
    return image.resize((side, side), Image.Resampling.BOX)


def envelope(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The address side: sender's print, a label with bars, and a stamp of care."""
    design = design_of(spec)
    base, ink = _paper(spec)
    canvas = Canvas(size, base)
    rng = np.random.default_rng([spec.seed, 30])
    canvas.grain(rng, 3.0 if spec.form == "poly" else 5.0, (3, 1))
    canvas.rect((0, 0, 1, 0.11), design.palette.base)
    brand_ink = readable_on(design.palette.base)
    canvas.text(design.facts.brand.upper(), (0.05, 0.02, 0.5, 0.09), brand_ink, design.brand_face, "l")
    canvas.text(design.facts.size, (0.6, 0.02, 0.95, 0.09), brand_ink, "bold", "r")
    canvas.text(design.facts.product, (0.07, 0.14, 0.93, 0.22), ink, "bold", largest=0.07)
    canvas.text(design.facts.subtitle, (0.07, 0.225, 0.93, 0.27), ink, "sans", largest=0.04)
    canvas.rect((0.1, 0.32, 0.9, 0.78), PAPER)
    canvas.paragraph(_address(rng), (0.14, 0.345, 0.86, 0.5), (40, 40, 44), px=float(np.clip(0.03 * size[1], 8.5, 12.0)))
    canvas.barcode(design.facts.ean, (0.14, 0.52, 0.86, 0.755))
    stamp = ink if spec.form == "poly" else (190, 40, 36)
    canvas.text(_CARE[spec.language], (0.1, 0.84, 0.62, 0.93), stamp, "bold", "l", largest=0.06)
    for k in range(2):  # this way up
        x = 0.72 + 0.12 * k
        arrow = [
            (x, 0.9),
            (x, 0.86),
            (x - 0.025, 0.86),
            (x + 0.02, 0.82),
            (x + 0.065, 0.86),
            (x + 0.04, 0.86),
            (x + 0.04, 0.9),
        ]
        canvas.draw.polygon([(a * canvas.width, b * canvas.height) for a, b in arrow], fill=ink)
    return canvas.finish()


def envelope_back(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The flap, and a sticker of bars and lot."""
    design = design_of(spec)
    base, _ = _paper(spec)
    canvas = Canvas(size, base)
    canvas.grain(np.random.default_rng([spec.seed, 27]), 4.0, (3, 1))
    shade = mix(base, (0, 0, 0), 0.25)
    canvas.veil([(0.0, 0.0), (1.0, 0.0), (0.94, 0.2), (0.06, 0.2)], shade, 0.35)
    canvas.veil([(0.06, 0.2), (0.94, 0.2), (0.94, 0.212), (0.06, 0.212)], shade, 0.9)
    _sticker(canvas, design)
    return canvas.finish()


_CARE = {
    "de": "VORSICHT!", "en": "HANDLE WITH CARE", "es": "¡FRÁGIL!", "fr": "FRAGILE", "it": "FRAGILE", "nl": "VOORZICHTIG",
    "pl": "OSTROŻNIE!", "sv": "VARSAMT",
}  # fmt: skip


def _paper(spec: ItemSpec) -> tuple[Rgb, Rgb]:
    """Ground and ink of an envelope."""
    if spec.form == "kraft":
        return _KRAFT, (70, 46, 24)
    if spec.form == "white":
        return (240, 240, 236), (60, 62, 70)
    rng = np.random.default_rng([spec.seed, 32])
    base = PALETTES[int(rng.integers(len(PALETTES)))].second
    return base, readable_on(base)


def _address(rng: np.random.Generator) -> str:
    """Of nobody: a shelf in a warehouse."""
    return f"To: Goods in, gate {rng.integers(2, 30)}, aisle {rng.integers(1, 60)}-{chr(65 + int(rng.integers(26)))}"


def _sticker(canvas: Canvas, design: Design) -> None:
    canvas.rect((0.16, 0.36, 0.84, 0.82), PAPER)
    facts = design.facts
    canvas.text(f"{facts.brand} {facts.product}", (0.19, 0.375, 0.81, 0.435), (30, 30, 36), "bold", largest=0.05)
    put_codes(canvas, facts, (0.19, 0.45, 0.81, 0.805))


def under_film(picture: Image.Image, seed: list[int]) -> Image.Image:
    """A printed face under shrink film: slanting lights, creases, and the weld across."""
    canvas = Canvas(picture.size, PAPER)
    canvas.paste(picture, (0, 0, 1, 1))
    _gloss(canvas, np.random.default_rng(seed))
    canvas.veil([(0, 0.492), (1, 0.492), (1, 0.505), (0, 0.505)], _GLOSS, 0.3)
    return canvas.finish()


def _gloss(canvas: Canvas, rng: np.random.Generator) -> None:
    """Slanting lights and small creases of film."""
    for _ in range(3):
        x, w, tilt = rng.uniform(-0.1, 1.0), rng.uniform(0.02, 0.06), rng.uniform(0.1, 0.35)
        canvas.veil([(x, 0.0), (x + w, 0.0), (x + w - tilt, 1.0), (x - tilt, 1.0)], _GLOSS, 0.13)
    for _ in range(16):
        x, y = rng.uniform(0.0, 1.0, 2)
        dx, dy = rng.uniform(-0.14, 0.14, 2)
        canvas.veil([(x, y), (x + dx, y + dy), (x + dx + 0.008, y + dy + 0.006)], _GLOSS, 0.35)


def _seams(canvas: Canvas) -> None:
    """Welded ends."""
    for y0, y1 in ((0.0, 0.035), (0.965, 1.0)):
        canvas.veil([(0, y0), (1, y0), (1, y1), (0, y1)], _GLOSS, 0.45)
        for k in range(40):
            x = k / 40
            canvas.veil([(x, y0), (x + 0.006, y0), (x + 0.006, y1), (x, y1)], (120, 120, 124), 0.35)
