"""Printed faces: artwork, brand, size, barcode, lot and expiry, drawn from a SKU's seed."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pickcell_sim.items.barcode import ean13, modules
from pickcell_sim.items.spec import ItemSpec

Rgb = tuple[int, int, int]
PIXELS_PER_M = 3000.0
"""Print resolution (76 dpi): enough for a camera at 25 cm."""
_LARGEST_PX = 700


@dataclass(frozen=True)
class Artwork:
    """What all faces of one SKU share."""

    brand: str
    product: str
    size_text: str
    ean: str
    lot: str
    base: Rgb
    accent: Rgb
    ink: Rgb
    motif: str
    motif_seed: int
    dot: str


def artwork(spec: ItemSpec) -> Artwork:
    """The design of a SKU; the same for twins but for their dot and number."""
    rng = np.random.default_rng([spec.seed, 11])
    hue, value = rng.random(), rng.uniform(0.55, 0.97)
    base = _hsv(hue, rng.uniform(0.05, 0.9), value)
    accent = _hsv(hue + rng.uniform(0.25, 0.75), rng.uniform(0.55, 0.95), rng.uniform(0.45, 0.95))
    ink = (22, 22, 26) if _luminance(base) > 110 else (246, 246, 240)
    brand_name, _, product = spec.name.partition(" ")
    size_text = f"{int(rng.choice([50, 75, 100, 125, 200, 250, 330, 400, 500]))} {rng.choice(['g', 'ml'])}"
    if spec.kind == "card":
        size_text = f"{int(rng.choice([10, 15, 20, 25, 50]))} EUR"
    # The number comes from the SKU's own name, so that twins differ in it.
    digits = int.from_bytes(spec.sku.encode(), "big") % 10**11
    lot_number = f"{chr(65 + int(rng.integers(26)))}{rng.integers(1000, 9999)}"
    lot = f"LOT {lot_number}  EXP {rng.integers(2027, 2030)}-{rng.integers(1, 13):02d}"
    motif = str(rng.choice(["disc", "stripes", "wave", "leaves", "grid", "burst"]))
    return Artwork(
        brand_name.upper(), product, size_text, ean13(digits), lot, base, accent, ink, motif, int(rng.integers(2**31)),
        spec.dot,
    )  # fmt: skip


def face_pixels(width_m: float, height_m: float) -> tuple[int, int]:
    """Pixels of a face of this size."""
    scale = min(PIXELS_PER_M, _LARGEST_PX / max(width_m, height_m))
    return max(8, round(width_m * scale)), max(8, round(height_m * scale))


def front(art: Artwork, size: tuple[int, int]) -> Image.Image:
    """The selling face: brand, motif, product, size."""
    image, draw = _canvas(art.base, size)
    w, h = size
    _motif(draw, art, (0, 0.32 * h, w, 0.72 * h))
    _fit_text(draw, art.brand, (0.06 * w, 0.05 * h, 0.94 * w, 0.30 * h), art.ink)
    draw.rectangle((0, 0.74 * h, w, h), fill=art.accent)
    label = (250, 250, 246) if _luminance(art.accent) < 140 else (20, 20, 24)
    _fit_text(draw, art.product, (0.06 * w, 0.76 * h, 0.66 * w, 0.97 * h), label)
    _fit_text(draw, art.size_text, (0.70 * w, 0.79 * h, 0.95 * w, 0.95 * h), label)
    _dot(draw, art, (0.90 * w, 0.38 * h), 0.055 * min(w, h))
    return image


def back(art: Artwork, size: tuple[int, int]) -> Image.Image:
    """Small print, barcode, lot and expiry."""
    image, draw = _canvas((246, 245, 240), size)
    w, h = size
    draw.rectangle((0, 0, w, 0.2 * h), fill=art.base)
    _fit_text(draw, f"{art.brand} {art.product}", (0.05 * w, 0.03 * h, 0.95 * w, 0.17 * h), art.ink)
    rng = np.random.default_rng([art.motif_seed, 1])
    for line in range(5):
        y = (0.25 + 0.065 * line) * h
        draw.rectangle((0.06 * w, y, rng.uniform(0.6, 0.94) * w, y + max(1.0, 0.022 * h)), fill=(120, 120, 122))
    _barcode(image, art.ean, (0.08 * w, 0.60 * h, 0.60 * w, 0.93 * h))
    _fit_text(draw, art.lot.split("  ")[0], (0.64 * w, 0.62 * h, 0.96 * w, 0.76 * h), (20, 20, 20))
    _fit_text(draw, art.lot.split("  ")[1], (0.64 * w, 0.78 * h, 0.96 * w, 0.92 * h), (20, 20, 20))
    return image


def side(art: Artwork, size: tuple[int, int], number: int) -> Image.Image:
    """A narrow face: brand on a band, or the lot line; ``number`` tells faces apart."""
    image, draw = _canvas(art.base if number % 2 == 0 else art.accent, size)
    w, h = size
    under = art.base if number % 2 == 0 else art.accent
    ink = (22, 22, 26) if _luminance(under) > 110 else (246, 246, 240)
    text = (art.brand, art.product, f"{art.brand} {art.size_text}", art.lot)[number % 4]
    if h > w:  # print along the longer side
        turned = side(art, (h, w), number)
        return turned.transpose(Image.Transpose.ROTATE_90)
    draw.rectangle((0, 0.82 * h, w, h), fill=art.accent if number % 2 == 0 else art.base)
    _fit_text(draw, text, (0.08 * w, 0.16 * h, 0.92 * w, 0.74 * h), ink)
    return image


def lid(art: Artwork, size: tuple[int, int], top: bool, metal: bool) -> Image.Image:
    """The round end of a can or jar (the corners are not used)."""
    base = (176, 178, 182) if metal else (art.accent if top else (236, 236, 232))
    image, draw = _canvas(base, size)
    w, h = size
    ring = tuple(int(0.75 * c) for c in base)
    draw.ellipse((0.08 * w, 0.08 * h, 0.92 * w, 0.92 * h), outline=ring, width=max(1, w // 40))
    text = art.brand if top else art.lot.split("  ")[1]
    _fit_text(draw, text, (0.2 * w, 0.4 * h, 0.8 * w, 0.6 * h), (24, 24, 26))
    return image


def wrap(art: Artwork, size: tuple[int, int]) -> Image.Image:
    """The label around a cylinder: front, back and a plain stretch side by side."""
    w, h = size
    image, _ = _canvas(art.base, size)
    image.paste(front(art, (int(0.42 * w), h)), (0, 0))
    image.paste(back(art, (int(0.33 * w), h)), (int(0.46 * w), 0))
    strip = front(art, (int(0.2 * w), h)).crop((0, int(0.3 * h), int(0.2 * w), h)).resize((int(0.2 * w), h))
    image.paste(strip, (w - int(0.2 * w), 0))
    return image


def _canvas(color: Rgb, size: tuple[int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", size, color)
    return image, ImageDraw.Draw(image)


def _hsv(h: float, s: float, v: float) -> Rgb:
    r, g, b = colorsys.hsv_to_rgb(h % 1.0, s, v)
    return int(255 * r), int(255 * g), int(255 * b)


def _luminance(color: Rgb) -> float:
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fit_text(draw: ImageDraw.ImageDraw, text: str, box: tuple[float, float, float, float], color: Rgb) -> None:
    """Draw ``text`` as large as fits the box, centred."""
    x0, y0, x1, y1 = box
    probe = draw.textbbox((0, 0), text, font=_font(100))
    scale = min((x1 - x0) / max(1, probe[2] - probe[0]), (y1 - y0) / max(1, probe[3] - probe[1]))
    font = _font(max(6, int(100 * scale)))
    draw.text(((x0 + x1) / 2, (y0 + y1) / 2), text, fill=color, font=font, anchor="mm")


def _dot(draw: ImageDraw.ImageDraw, art: Artwork, center: tuple[float, float], radius: float) -> None:
    if art.dot:
        x, y = center
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=art.dot)


def _barcode(image: Image.Image, code: str, box: tuple[float, float, float, float]) -> None:
    """Paste the bars of ``code`` on a white field, at a whole number of pixels per module where there is room."""
    x0, y0, x1, y1 = (int(v) for v in box)
    bars = np.where(modules(code), 0, 255).astype(np.uint8)
    field = np.pad(bars, 9, constant_values=255)  # quiet zones
    width = x1 - x0
    pixel = max(1, width // field.size)
    picture = Image.fromarray(np.tile(np.repeat(field, pixel), (max(1, y1 - y0), 1)))
    if picture.width > width:
        picture = picture.resize((width, picture.height), Image.Resampling.BOX)
    image.paste(picture.convert("RGB"), (x0, y0))


def _motif(draw: ImageDraw.ImageDraw, art: Artwork, box: tuple[float, float, float, float]) -> None:
    """A picture of the given kind inside the box: what tells SKUs apart from afar."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    rng = np.random.default_rng([art.motif_seed, 2])
    second = _hsv(rng.random(), 0.7, 0.85)
    if art.motif == "disc":
        for k, color in enumerate((art.accent, second, art.base)):
            r = (0.5 - 0.15 * k) * min(w, h)
            draw.ellipse((x0 + w / 2 - r, y0 + h / 2 - r, x0 + w / 2 + r, y0 + h / 2 + r), fill=color)
    elif art.motif == "stripes":
        n = int(rng.integers(5, 11))
        for k in range(0, n, 2):
            draw.rectangle((x0 + w * k / n, y0, x0 + w * (k + 1) / n, y1), fill=art.accent if k % 4 else second)
    elif art.motif == "wave":
        x = np.linspace(x0, x1, 40)
        for k, color in enumerate((second, art.accent)):
            y = y0 + h * (0.35 + 0.3 * k) + 0.18 * h * np.sin(2 * np.pi * (1 + k) * (x - x0) / w + rng.uniform(0, 6))
            draw.polygon([(x0, y1), *zip(x.tolist(), y.tolist()), (x1, y1)], fill=color)
    elif art.motif == "leaves":
        for _ in range(int(rng.integers(6, 14))):
            cx, cy, r = rng.uniform(x0, x1), rng.uniform(y0, y1), rng.uniform(0.1, 0.28) * min(w, h)
            draw.ellipse((cx - r, cy - 0.45 * r, cx + r, cy + 0.45 * r), fill=art.accent if rng.random() < 0.6 else second)
    elif art.motif == "grid":
        n, m = 6, 3
        for i in range(n):
            for j in range(m):
                if rng.random() < 0.55:
                    draw.rectangle(
                        (x0 + w * i / n, y0 + h * j / m, x0 + w * (i + 1) / n, y0 + h * (j + 1) / m),
                        fill=art.accent if rng.random() < 0.6 else second,
                    )
    else:  # burst
        center = (x0 + w / 2, y0 + h / 2)
        n = int(rng.integers(7, 13))
        angles = np.linspace(0, 2 * np.pi, 2 * n, endpoint=False)
        radii = np.where(np.arange(2 * n) % 2, 0.25, 0.52) * min(w * 0.9, h)
        draw.polygon(
            [(center[0] + r * np.cos(a), center[1] + r * np.sin(a)) for a, r in zip(angles, radii)], fill=art.accent
        )
        r = 0.14 * min(w, h)
        draw.ellipse((center[0] - r, center[1] - r, center[0] + r, center[1] + r), fill=second)
