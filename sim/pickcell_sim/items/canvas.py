"""A drawing surface with smooth edges and text that fits: everything is drawn at twice the size and averaged down.

The typefaces are DejaVu, as shipped with matplotlib: the same on every machine, and with all letters of the languages used.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pickcell_sim.items.barcode import modules

Rgb = tuple[int, int, int]
Box = tuple[float, float, float, float]
"""(left, top, right, bottom) as shares of the canvas, 0..1, y down."""

FACES = {
    "sans": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "oblique": "DejaVuSans-BoldOblique.ttf",
    "serif": "DejaVuSerif.ttf",
    "serif-bold": "DejaVuSerif-Bold.ttf",
    "serif-italic": "DejaVuSerif-Italic.ttf",
    "mono": "DejaVuSansMono-Bold.ttf",
}
BARCODE_MODULES = 109
"""Across an EAN-13 with its quiet zones."""
_SCALE = 2
_SMALLEST_PX = 7
"""Of the finished picture: smaller letters are a grey smear."""


@cache
def font(face: str, size: int) -> ImageFont.FreeTypeFont:
    """A typeface of FACES at a size in pixels."""
    return ImageFont.truetype(str(_font_directory() / FACES[face]), size)


@cache
def _font_directory() -> Path:
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise RuntimeError("printed faces need matplotlib's fonts: install what requirements/ lists")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def rgb_of(code: str) -> Rgb:
    """The colour of a code such as ``#1f6fd6``."""
    r, g, b = bytes.fromhex(code.removeprefix("#"))
    return r, g, b


def luminance(color: Rgb) -> float:
    """0 (black) to 255, as Rec. 601 weighs the channels."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


def readable_on(color: Rgb) -> Rgb:
    """Dark or light ink, whichever stands out."""
    return (28, 28, 34) if luminance(color) > 130 else (250, 249, 244)


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """``share`` of b in a."""
    r, g, bl = (round((1.0 - share) * x + share * y) for x, y in zip(a, b))
    return r, g, bl


class Canvas:
    """A picture of ``size`` pixels to draw on in shares of its sides; ``finish`` gives it out."""

    def __init__(self, size: tuple[int, int], color: Rgb) -> None:
        self.size = size
        self.image = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), color)
        self.draw = ImageDraw.Draw(self.image)
        self._late: list[tuple[Image.Image, tuple[int, int]]] = []

    @property
    def width(self) -> int:
        """Of the drawing surface, pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    @property
    def short(self) -> int:
        """The shorter side of the drawing surface, pixels."""
        return min(self.image.size)

    def px(self, box: Box) -> Box:
        """A box in pixels of the drawing surface."""
        w, h = self.image.size
        return box[0] * w, box[1] * h, box[2] * w, box[3] * h

    def rect(self, box: Box, color: Rgb, radius: float = 0.0) -> None:
        """Filled rectangle; ``radius`` of its corners as a share of the shorter side of the canvas."""
        x0, y0, x1, y1 = self.px(box)
        if x1 - x0 >= 1 and y1 - y0 >= 1:
            self.draw.rounded_rectangle((x0, y0, x1, y1), radius=radius * self.short, fill=color)

    def disc(self, center: tuple[float, float], radius: float, color: Rgb) -> None:
        """Filled circle; ``radius`` as a share of the shorter side."""
        x, y, r = center[0] * self.width, center[1] * self.height, radius * self.short
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=color)

    def text(
        self, text: str, box: Box, color: Rgb, face: str = "bold", anchor: str = "m", largest: float = 1.0, lines: int = 1
    ) -> None:
        """Write ``text`` as large as fits into ``box``, at most ``largest`` of the canvas' height, in up to ``lines`` lines.

        ``anchor``: l, m or r. Text that would be smaller than can be seen is left out.
        """
        x0, y0, x1, y1 = self.px(box)
        size, rows = _best_fit(text, face, x1 - x0, y1 - y0, lines)
        size = min(size, int(largest * self.height))
        if size < _SMALLEST_PX * _SCALE or not text:
            return
        step = 1.18 * size
        x = {"l": x0, "m": (x0 + x1) / 2, "r": x1}[anchor]
        y = (y0 + y1) / 2 - step * (len(rows) - 1) / 2
        for i, row in enumerate(rows):
            self.draw.text((x, y + i * step), row, fill=color, font=font(face, size), anchor=f"{anchor}m")

    def paragraph(self, text: str, box: Box, color: Rgb, face: str = "sans", px: float = 9.0) -> None:
        """Small print of about ``px`` pixels, wrapped at the box's right side and cut off at its bottom."""
        x0, y0, x1, y1 = self.px(box)
        letters = font(face, round(px * _SCALE))
        row, y = "", y0
        for word in [*text.split(), ""]:
            longer = f"{row} {word}".strip()
            if word and letters.getlength(longer) <= x1 - x0:
                row = longer
                continue
            if y + px * _SCALE > y1:
                return
            self.draw.text((x0, y), row, fill=color, font=letters)
            row, y = word, y + 1.3 * px * _SCALE

    def barcode(self, code: str, box: Box, upright: bool = False) -> None:
        """Bars and digits of an EAN-13 on a white field, a whole number of pixels per module where there is room."""
        w, h = self.size
        left, top, right, bottom = (round(v) for v in (box[0] * w, box[1] * h, box[2] * w, box[3] * h))
        field = barcode_picture(code, (bottom - top, right - left) if upright else (right - left, bottom - top))
        if upright:
            field = field.transpose(Image.Transpose.ROTATE_90)
        self._late.append((field, ((left + right - field.width) // 2, (top + bottom - field.height) // 2)))

    def paste(self, picture: Image.Image, box: Box, mask: Image.Image | None = None) -> None:
        """Another picture, stretched over the box."""
        x0, y0, x1, y1 = (round(v) for v in self.px(box))
        where = (max(1, x1 - x0), max(1, y1 - y0))
        self.image.paste(picture.resize(where), (x0, y0), mask.resize(where) if mask is not None else None)

    def veil(self, polygon: list[tuple[float, float]], color: Rgb, opacity: float) -> None:
        """A see-through polygon (shares of the sides): highlights on film, shadows of folds."""
        points = np.array([(x * self.width, y * self.height) for x, y in polygon])
        low = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0)) + 1, self.image.size).astype(int)
        if np.any(high <= low):
            return
        mask = Image.new("L", tuple(high - low), 0)
        ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in points - low], fill=round(255 * opacity))
        self.image.paste(color, (int(low[0]), int(low[1]), int(high[0]), int(high[1])), mask)

    def grain(self, rng: np.random.Generator, strength: float, along: tuple[int, int] = (1, 1)) -> None:
        """Noise of ``strength`` (of 255), drawn out over ``along`` (x, y) pixels: paper, wood, cloth."""
        w, h = self.image.size
        noise = rng.normal(0.0, strength, (h // along[1] + 1, w // along[0] + 1))
        noise = np.repeat(np.repeat(noise, along[1], axis=0), along[0], axis=1)[:h, :w]
        grained = np.clip(np.asarray(self.image, float) + noise[..., None], 0, 255).astype(np.uint8)
        self.image = Image.fromarray(grained)
        self.draw = ImageDraw.Draw(self.image)

    def finish(self) -> Image.Image:
        """The picture at its own size."""
        picture = self.image.resize(self.size, Image.Resampling.BOX)
        for field, corner in self._late:
            picture.paste(field, corner)
        return picture


def barcode_picture(code: str, room: tuple[int, int]) -> Image.Image:
    """Bars of an EAN-13 with quiet zones and, where there is room, its digits; no wider than ``room`` (pixels)."""
    bars = np.pad(np.where(modules(code), 0, 255).astype(np.uint8), 7, constant_values=255)  # quiet zones
    per_module = max(1, room[0] // bars.size)
    row = np.repeat(bars, per_module)
    digits_px = 11 if room[1] >= 30 else 0
    field = Image.new("L", (row.size, max(6, room[1])), 255)
    field.paste(Image.fromarray(np.tile(row, (max(4, room[1] - digits_px - 2), 1))), (0, 2))
    if digits_px:
        text = f"{code[0]} {code[1:7]} {code[7:]}"
        ImageDraw.Draw(field).text((row.size / 2, room[1] - 1), text, fill=0, font=font("sans", 10), anchor="md")
    if field.width > room[0]:
        field = field.resize((max(1, room[0]), field.height), Image.Resampling.BOX)
    return field.convert("RGB")


def _best_fit(text: str, face: str, width: float, height: float, lines: int) -> tuple[int, list[str]]:
    """Size (pixels) and rows with which ``text`` fills a box best in at most ``lines`` rows."""
    best: tuple[int, list[str]] = (0, [text])
    for rows in _splits(text, lines):
        widest = max(font(face, 100).getlength(row) for row in rows)
        size = int(min(width / max(widest, 1.0), height / (118.0 * len(rows) - 18.0)) * 100)
        if size > best[0]:
            best = (size, rows)
    return best


def _splits(text: str, lines: int) -> list[list[str]]:
    """Ways to break a text into up to ``lines`` rows, evenly by letters."""
    words = text.split()
    ways = [[text]]
    for n in range(2, min(lines, len(words)) + 1):
        rows: list[str] = [""]
        for word in words:
            if len(rows) < n and rows[-1] and len(rows[-1]) + len(word) / 2 > len(text) / n:
                rows.append(word)
            else:
                rows[-1] = f"{rows[-1]} {word}".strip()
        ways.append(rows)
    return ways
