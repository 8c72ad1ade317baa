"""Pictograms of what is inside a pack, and palettes: simple shapes that tell products apart from afar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pickcell_sim.items.canvas import Canvas, Rgb, mix, rgb_of
from pickcell_sim.items.spec import ItemSpec


@dataclass(frozen=True)
class Palette:
    """Colours of one design."""

    base: Rgb
    second: Rgb
    accent: Rgb


def _palette(base: str, second: str, accent: str) -> Palette:
    return Palette(rgb_of(base), rgb_of(second), rgb_of(accent))


PALETTES = tuple(
    _palette(*row.split())
    for row in (
        "f4ead5 2f6f5e e07a3f", "1f3a5f f2c14e e4572e", "fbfaf5 c8102e f2b705", "0f5c4a f3e9d2 e8b04a",
        "f7d9d0 b23a5b 5b8c85", "fff3c4 3a6ea5 e4a300", "2b2d42 8d99ae ef233c", "e8f1f2 006494 f18f01",
        "6a2e6f f7c59f ef6461", "dce8c5 4f772d d1495b", "f28c28 5c2a9d fff4e0", "b7e0f2 1d4e89 f79256",
        "3d2b1f f2e3c6 d9a05b", "fdfdfb 00897b ffb300", "a4161a fdf0d5 ffb703", "e9e4f0 5a3e85 2a9d8f",
        "0b7a75 d7c9aa f46036", "ffd166 ef476f 118ab2", "f0efeb 6b705c cb997e", "14213d fca311 e5e5e5",
        "d8f3dc 1b4332 f4a261", "fae1dd 9d4edd 43aa8b", "caf0f8 03045e ff6b6b", "780000 fefae0 dda15e",
    )
)  # fmt: skip


def palette_of(spec: ItemSpec) -> Palette:
    """The same for twins: it follows from the seed that they share."""
    return PALETTES[int(np.random.default_rng([spec.seed, 21]).integers(len(PALETTES)))]


Place = tuple[float, float, float]
"""Centre and radius in pixels of the drawing surface."""


def _ellipse(canvas: Canvas, x: float, y: float, rx: float, ry: float, color: Rgb) -> None:
    canvas.draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=color)


def _almond(x: float, y: float, r: float, width: float, angle: float) -> list[tuple[float, float]]:
    """Outline of a pointed leaf of half length ``r`` and half width ``width`` r."""
    t = np.linspace(-1.0, 1.0, 15)
    rim = np.concatenate([np.column_stack([t, width * (1 - t**2)]), np.column_stack([t, -width * (1 - t**2)])[::-1]]) * r
    c, s = np.cos(angle), np.sin(angle)
    return [(x + c * a - s * b, y + s * a + c * b) for a, b in rim]


def leaf(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    for angle, color in ((-0.5, main), (-1.57, mix(main, second, 0.45)), (-2.64, main)):
        tip = (x + 0.5 * r * np.cos(angle), y + 0.25 * r + 0.5 * r * np.sin(angle))
        canvas.draw.polygon(_almond(*tip, 0.62 * r, 0.38, angle), fill=color)
    canvas.draw.line((x, y + 0.25 * r, x, y + 0.9 * r), fill=main, width=max(2, round(0.08 * r)))


def flower(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        center = (x + 0.55 * r * np.cos(angle), y + 0.55 * r * np.sin(angle))
        canvas.draw.polygon(_almond(*center, 0.42 * r, 0.5, float(angle)), fill=main)
    _ellipse(canvas, x, y, 0.24 * r, 0.24 * r, second)


def citrus(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    pale = mix(main, (255, 252, 240), 0.75)
    _ellipse(canvas, x, y, 0.95 * r, 0.95 * r, main)
    _ellipse(canvas, x, y, 0.82 * r, 0.82 * r, pale)
    for angle in np.linspace(0, 2 * np.pi, 9, endpoint=False):
        center = (x + 0.42 * r * np.cos(angle), y + 0.42 * r * np.sin(angle))
        canvas.draw.polygon(_almond(*center, 0.34 * r, 0.42, float(angle)), fill=main)


def drop(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    t = np.linspace(0, 2 * np.pi, 40)
    # A teardrop: the circle's width tapers towards the tip at the top.
    rim = [(x + 0.68 * r * np.sin(a) * np.sin(a / 2) ** 1.4, y - 0.95 * r * np.cos(a)) for a in t]
    canvas.draw.polygon(rim, fill=main)
    _ellipse(canvas, x - 0.2 * r, y + 0.4 * r, 0.13 * r, 0.22 * r, mix(main, (255, 255, 255), 0.65))


def berries(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    for dx, dy in ((-0.42, 0.25), (0.42, 0.25), (0.0, -0.2), (0.0, 0.62)):
        _ellipse(canvas, x + dx * r, y + dy * r, 0.36 * r, 0.36 * r, main)
        _ellipse(canvas, x + (dx - 0.1) * r, y + (dy - 0.12) * r, 0.08 * r, 0.08 * r, mix(main, (255, 255, 255), 0.7))
    canvas.draw.polygon(_almond(x + 0.3 * r, y - 0.68 * r, 0.4 * r, 0.4, -0.6), fill=second)


def fruit(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    _ellipse(canvas, x - 0.28 * r, y + 0.12 * r, 0.6 * r, 0.74 * r, main)
    _ellipse(canvas, x + 0.28 * r, y + 0.12 * r, 0.6 * r, 0.74 * r, main)
    _ellipse(canvas, x - 0.42 * r, y - 0.15 * r, 0.12 * r, 0.2 * r, mix(main, (255, 255, 255), 0.6))
    canvas.draw.polygon(_almond(x + 0.22 * r, y - 0.72 * r, 0.34 * r, 0.4, -0.5), fill=second)


def fish(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    canvas.draw.polygon(_almond(x - 0.12 * r, y, 0.85 * r, 0.42, 0.0), fill=main)
    tail = [(x + 0.5 * r, y), (x + 0.98 * r, y - 0.42 * r), (x + 0.85 * r, y), (x + 0.98 * r, y + 0.42 * r)]
    canvas.draw.polygon(tail, fill=main)
    _ellipse(canvas, x - 0.58 * r, y - 0.08 * r, 0.07 * r, 0.07 * r, (255, 255, 255))
    for k in range(3):
        canvas.draw.arc(
            (x + (0.2 * k - 0.5) * r, y - 0.25 * r, x + (0.2 * k - 0.1) * r, y + 0.25 * r), -60, 60, fill=second,
            width=max(2, round(0.05 * r)),
        )  # fmt: skip


def grain(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    canvas.draw.line((x, y - 0.7 * r, x, y + 0.95 * r), fill=second, width=max(2, round(0.06 * r)))
    for k in range(4):
        for side in (-1, 1):
            at_y = y + (0.42 * k - 0.75) * r
            canvas.draw.polygon(_almond(x + side * 0.26 * r, at_y, 0.34 * r, 0.42, -1.57 + side * 0.75), fill=main)
    canvas.draw.polygon(_almond(x, y - 0.85 * r, 0.3 * r, 0.4, 1.57), fill=main)


def bolt(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    _ellipse(canvas, x, y, 0.95 * r, 0.95 * r, second)
    rim = ((0.15, -0.8), (-0.5, 0.12), (-0.06, 0.12), (-0.16, 0.8), (0.5, -0.18), (0.06, -0.18))
    canvas.draw.polygon([(x + a * r, y + b * r) for a, b in rim], fill=main)


def beans(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    for dx, dy, angle in ((-0.42, -0.32, 0.6), (0.42, -0.2, -0.5), (-0.05, 0.5, 0.1)):
        points = _almond(x + dx * r, y + dy * r, 0.52 * r, 0.62, angle)
        canvas.draw.polygon(points, fill=main)
        c, s = 0.4 * r * np.cos(angle), 0.4 * r * np.sin(angle)
        line = (x + dx * r - c, y + dy * r - s, x + dx * r + c, y + dy * r + s)
        canvas.draw.line(line, fill=second, width=max(2, round(0.07 * r)))


def dots(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    colors = (main, second, mix(main, second, 0.5))
    for k in range(14):  # sunflower order: even, and never twice the same way
        angle, far = 2.4 * k, 0.88 * r * np.sqrt((k + 0.5) / 14)
        _ellipse(canvas, x + far * np.cos(angle), y + far * np.sin(angle), 0.17 * r, 0.17 * r, colors[k % 3])


def cloud(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    for dx, dy, s in ((-0.5, 0.2, 0.38), (0.0, -0.12, 0.52), (0.5, 0.15, 0.42), (0.0, 0.3, 0.36)):
        _ellipse(canvas, x + dx * r, y + dy * r, s * r, s * r, main)
    for k in range(3):
        _ellipse(canvas, x + (k - 1) * 0.4 * r, y + 0.82 * r, 0.07 * r, 0.1 * r, second)


def cross(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    _ellipse(canvas, x, y, 0.95 * r, 0.95 * r, second)
    for a, b in ((0.62, 0.2), (0.2, 0.62)):
        canvas.draw.rectangle((x - a * r, y - b * r, x + a * r, y + b * r), fill=main)


def hexes(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    centers = [(0.0, 0.0), *((0.62 * np.cos(a), 0.62 * np.sin(a)) for a in np.linspace(0.52, 6.8, 6, endpoint=False))]
    for k, (dx, dy) in enumerate(centers):
        rim = [(x + (dx + 0.33 * np.cos(a)) * r, y + (dy + 0.33 * np.sin(a)) * r) for a in np.arange(6) * np.pi / 3 + 0.0]
        canvas.draw.polygon(rim, fill=main if k % 3 else second)


def sun(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        canvas.draw.polygon(
            _almond(x + 0.7 * r * np.cos(angle), y + 0.7 * r * np.sin(angle), 0.26 * r, 0.3, angle), fill=second
        )
    _ellipse(canvas, x, y, 0.48 * r, 0.48 * r, main)


def hills(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    _ellipse(canvas, x + 0.3 * r, y - 0.4 * r, 0.3 * r, 0.3 * r, second)
    for dx, top, color in ((-0.35, -0.45, mix(main, second, 0.35)), (0.3, -0.15, main)):
        peak = (x + dx * r, y + top * r)
        canvas.draw.polygon([peak, (x + (dx - 0.62) * r, y + 0.75 * r), (x + (dx + 0.62) * r, y + 0.75 * r)], fill=color)


def waves(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    t = np.linspace(-0.95, 0.95, 40)
    for k in range(4):
        row = [(x + a * r, y + (0.12 * np.sin(9.0 * a + 1.3 * k) + 0.42 * k - 0.65) * r) for a in t]
        canvas.draw.line(row, fill=main if k % 2 == 0 else second, width=max(3, round(0.13 * r)), joint="curve")


def suits(canvas: Canvas, at: Place, main: Rgb, second: Rgb) -> None:
    x, y, r = at
    for dx, dy, s, color in ((-0.3, -0.3, 0.6, main), (0.35, 0.35, 0.55, second)):
        rim = [(x + (dx + s * a) * r, y + (dy + 1.2 * s * b) * r) for a, b in ((0, -1), (0.75, 0), (0, 1), (-0.75, 0))]
        canvas.draw.polygon(rim, fill=color)


Motif = Callable[[Canvas, Place, Rgb, Rgb], None]
NATURAL: dict[Motif, tuple[Rgb, Rgb]] = {
    leaf: ((62, 142, 70), (150, 200, 90)),
    citrus: ((243, 146, 30), (80, 150, 60)),
    fruit: ((206, 44, 42), (70, 140, 62)),
    berries: ((184, 28, 62), (70, 140, 62)),
    drop: ((40, 130, 205), (255, 255, 255)),
    fish: ((70, 104, 140), (200, 214, 226)),
    grain: ((214, 162, 58), (150, 110, 40)),
    beans: ((118, 72, 40), (70, 40, 22)),
    hexes: ((238, 170, 32), (190, 120, 16)),
    sun: ((248, 190, 40), (240, 140, 40)),
}
"""(main, second) of motifs that have colours of their own."""

_BY_WORD: tuple[tuple[str, Motif], ...] = (
    ("vitamin,sun cream,turmeric", sun),
    ("herbal,mint,basil,olive,herb,oil,wine,pea stew,cucumber", leaf),
    ("lavender,softener,soap,shampoo,blossom,glove,towel,cream", flower),
    ("orange,juice,ginger,lemon", citrus),
    ("water,washing,sanitiser,spray,glue", drop),
    ("berry,strawberry,jam,raspberry,syrup", berries),
    ("apple,tomato,vinegar,carrot", fruit),
    ("tuna,mackerel,cat food", fish),
    ("oat,rice,buckwheat,pasta,peanut", grain),
    ("batter,cell,light,earphone,usb,screwdriver", bolt),
    ("coffee,chocolate,almond,lentil", beans),
    ("sprinkles,gummy,sweets,peas,plugs", dots),
    ("tissues,foam,tissue", cloud),
    ("cough,toothbrush", cross),
    ("honey", hexes),
    ("cards,scissors,lock", suits),
    ("toothpaste", waves),
)  # fmt: skip
_ANY: tuple[Motif, ...] = (sun, hills, waves, flower, dots, hexes, leaf)


def motif_of(spec: ItemSpec) -> Motif:
    """By what the product is in English; by the seed where nothing fits."""
    english = (spec.subtitle or spec.name.partition(" ")[2]).lower()
    for keys, motif in _BY_WORD:
        if any(key in english for key in keys.split(",")):
            return motif
    return _ANY[int(np.random.default_rng([spec.seed, 22]).integers(len(_ANY)))]
