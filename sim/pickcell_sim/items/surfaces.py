"""Faces of rulers, boards and other flats, blister cards, lids, tubes and plush."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pickcell_sim.items.canvas import Canvas, Rgb, mix, readable_on, rgb_of
from pickcell_sim.items.covers import cover
from pickcell_sim.items.packs import PAPER, Design, content_text, design_of, put_codes, put_mark, wrap
from pickcell_sim.items.packs import back as pack_back
from pickcell_sim.items.packs import front as pack_front
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.vessels import content_color
from pickcell_sim.items.words import COLORS

STEEL: Rgb = (178, 182, 188)
_WOOD: Rgb = (206, 164, 112)
_CORK: Rgb = (190, 140, 92)
_CARTON: Rgb = (188, 152, 108)


def ground(spec: ItemSpec) -> Rgb:
    """Colour of the bare material."""
    by_form = {"steel": STEEL, "wood": _WOOD, "cork": _CORK, "poster": _CARTON, "disc": (30, 30, 34)}
    if spec.form in by_form:
        return by_form[spec.form]
    return COLORS[spec.color].rgb if spec.color else PAPER


def ruler(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Millimetre scale along the upper edge, figures every centimetre, the maker's name."""
    design = design_of(spec)
    base = ground(spec)
    canvas = Canvas(size, base)
    rng = np.random.default_rng([spec.seed, 33])
    if spec.form == "wood":
        canvas.grain(rng, 9.0, (40, 2))
    elif spec.form == "steel":
        canvas.grain(rng, 5.0, (60, 1))
    ink = readable_on(base)
    length_mm = 1000.0 * spec.size_m[0]
    centimetres = int(design.facts.size.split()[0])
    margin = (length_mm - 10.0 * centimetres) / 2.0
    for mm in range(10 * centimetres + 1):
        x = (margin + mm) / length_mm
        deep = 0.36 if mm % 10 == 0 else 0.27 if mm % 5 == 0 else 0.17
        if mm % 5 == 0 or canvas.size[0] / length_mm > 1.8:
            canvas.rect((x - 0.25 / length_mm, 0.0, x + 0.25 / length_mm, deep), ink)
        if mm % 10 == 0 and 0 < mm < 10 * centimetres:
            canvas.text(str(mm // 10), (x - 5.0 / length_mm, 0.38, x + 5.0 / length_mm, 0.6), ink, "sans")
    canvas.text(design.facts.brand.upper(), (0.05, 0.66, 0.3, 0.94), ink, design.brand_face, "l")
    canvas.text(f"{design.facts.product}  {design.facts.size}", (0.34, 0.68, 0.78, 0.92), ink, "sans", "l")
    _small_mark(canvas, design.mark)
    return canvas.finish()


def ruler_back(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """A long sticker of bars and lot on bare material."""
    design = design_of(spec)
    canvas = Canvas(size, ground(spec))
    canvas.rect((0.3, 0.06, 0.98, 0.94), PAPER)
    canvas.barcode(design.facts.ean, (0.31, 0.1, 0.62, 0.9))
    canvas.text(design.facts.lot_text, (0.64, 0.12, 0.97, 0.48), (34, 34, 40), "mono")
    canvas.text(design.facts.manufactured_text, (0.64, 0.52, 0.97, 0.88), (34, 34, 40), "mono")
    return canvas.finish()


def _small_mark(canvas: Canvas, mark: str) -> None:
    """The dot of a look-alike on a narrow face."""
    what, _, color = mark.partition(":")
    if what == "dot":
        canvas.disc((0.93, 0.78), 0.15, rgb_of(color))


def flat(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The upper face of a thin thing: bare material with a label, or a printed cover."""
    if spec.form == "disc":
        return cover(spec, size)
    if spec.form == "paper":
        return pack_front(spec, size)
    design = design_of(spec)
    base = ground(spec)
    canvas = Canvas(size, base)
    rng = np.random.default_rng([spec.seed, 34])
    if spec.form == "wood":
        canvas.grain(rng, 8.0, (56, 3))
    elif spec.form == "cork":
        canvas.grain(rng, 16.0, (4, 4))
    border = mix(base, (0, 0, 0), 0.22)
    for box in ((0, 0, 1, 0.03), (0, 0.97, 1, 1), (0, 0, 0.022, 1), (0.978, 0, 1, 1)):
        canvas.rect(box, border)
    accent = design.palette.accent if spec.color else design.palette.base
    canvas.rect((0.09, 0.14, 0.52, 0.62), PAPER, radius=0.02)
    canvas.rect((0.09, 0.14, 0.52, 0.28), accent, radius=0.02)
    canvas.text(design.facts.brand.upper(), (0.12, 0.16, 0.49, 0.26), readable_on(accent), design.brand_face)
    canvas.text(design.facts.product, (0.12, 0.31, 0.49, 0.46), (30, 30, 36), "bold", lines=2)
    canvas.text(design.facts.subtitle, (0.12, 0.465, 0.49, 0.515), (80, 80, 84), "sans")
    canvas.text(content_text(design.facts), (0.12, 0.53, 0.49, 0.6), (30, 30, 36), "bold")
    put_mark(canvas, design.mark)
    return canvas.finish()


def flat_back(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """A sticker on bare material; printed backs where the front is printed."""
    if spec.form in ("disc", "paper"):
        return pack_back(spec, size)
    design = design_of(spec)
    canvas = Canvas(size, mix(ground(spec), (0, 0, 0), 0.05))
    if spec.form in ("wood", "cork"):
        canvas.grain(np.random.default_rng([spec.seed, 35]), 8.0, (40, 3) if spec.form == "wood" else (4, 4))
    canvas.rect((0.4, 0.4, 0.96, 0.94), PAPER)
    put_codes(canvas, design.facts, (0.42, 0.43, 0.94, 0.91))
    return canvas.finish()


def blister_card(spec: ItemSpec, size: tuple[int, int], dome: tuple[float, float, float, float]) -> Image.Image:
    """The printed card round the ``dome`` (left, top, right, bottom as shares, y down): brand and words stay clear of it."""
    design = design_of(spec)
    base, second = design.palette.base, design.palette.second
    canvas = Canvas(size, base)
    canvas.rect((0, 0, 1, 0.2), second)
    canvas.disc((0.5, 0.035), 0.035, (255, 255, 255))  # the hole it hangs by
    ink = readable_on(second)
    canvas.text(design.facts.brand.upper(), (0.08, 0.08, 0.92, 0.18), ink, design.brand_face)
    below = dome[3] + 0.015
    above = dome[1] - 0.015
    area = (0.06, 0.21, 0.94, above) if above - 0.21 > 0.98 - below else (0.06, below, 0.94, 0.98)
    height = area[3] - area[1]
    ink = readable_on(base)
    canvas.text(design.facts.product, (area[0], area[1], area[2], area[1] + 0.55 * height), ink, "bold", lines=2)
    words = "  ·  ".join(t for t in (content_text(design.facts), design.facts.subtitle, design.facts.color) if t)
    canvas.text(words, (area[0], area[1] + 0.62 * height, area[2], area[1] + 0.9 * height), ink, "bold", largest=0.05)
    put_mark(canvas, design.mark)
    return canvas.finish()


def blister_dome(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """What shows through the dome: the goods on a pale insert, under a reflection."""
    design = design_of(spec)
    body = COLORS[spec.color].rgb if spec.color else design.palette.accent
    canvas = Canvas(size, (226, 230, 234))
    w, h = canvas.width, canvas.height
    pieces = design.facts.count if 1 < design.facts.count <= 6 else 1
    for i in range(pieces):
        if spec.form == "long":
            x = (i + 0.5) / pieces
            wide = 0.16 / pieces
            canvas.rect((x - wide, 0.5, x + wide, 0.94), body, radius=0.08)
            canvas.rect((x - 0.3 * wide, 0.06, x + 0.3 * wide, 0.54), STEEL)
            canvas.rect((x - 0.5 * wide, 0.68, x + 0.5 * wide, 0.7), mix(body, (0, 0, 0), 0.4))
        else:
            columns = 1 if pieces == 1 else 2
            rows = -(-pieces // columns)
            center = ((i % columns + 0.5) / columns, (i // columns + 0.5) / rows)
            r = 0.4 * min(w / columns, h / rows)
            x, y = center[0] * w, center[1] * h
            canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=STEEL if pieces > 1 else body)
            inner = 0.62 * r
            shade = mix(STEEL if pieces > 1 else body, (255, 255, 255), 0.35)
            canvas.draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=shade)
    canvas.veil([(0.1, 0.0), (0.35, 0.0), (0.12, 1.0), (-0.13, 1.0)], (255, 255, 255), 0.3)
    return canvas.finish()


def tube_wrap(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Around a tube, front first: words along its length, as they are read with the cap to the left."""
    if spec.form == "poster":
        return _poster_wrap(spec, size)
    w, h = size
    picture = Image.new("RGB", size, design_of(spec).palette.base)
    # The front half faces +y, the back half -y; each is as wide as half of the way around.
    front = pack_front(spec, (h, w // 2)).transpose(Image.Transpose.ROTATE_90)
    back = pack_back(spec, (h, w - w // 2)).transpose(Image.Transpose.ROTATE_90)
    picture.paste(front, (0, 0))
    picture.paste(back, (w // 2, 0))
    return picture


def _poster_wrap(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Wound carton with a label."""
    w, h = size
    canvas = Canvas(size, _CARTON)
    canvas.grain(np.random.default_rng([spec.seed, 36]), 5.0, (3, 2))
    for k in range(-2, 9):
        y = k / 6.0
        canvas.veil([(0, y), (1, y - 0.3), (1, y - 0.292), (0, y + 0.008)], (90, 64, 40), 0.6)
    picture = canvas.finish()
    picture.paste(wrap(spec, (w, round(0.5 * h))), (0, round(0.25 * h)))
    return picture


def round_end(spec: ItemSpec, size: tuple[int, int], top: bool) -> Image.Image:
    """The flat end of something round: a can's lid with its ring, a jar's cap, a bottom with lot and dates."""
    design = design_of(spec)
    if top:
        base = STEEL if spec.kind == "can" and spec.form != "aerosol" else cap_color(spec)
    else:
        base = STEEL if spec.kind == "can" else wall_color(spec)
    canvas = Canvas(size, base)
    edge = mix(base, (0, 0, 0), 0.25)
    for radius, color in ((0.47, edge), (0.44, base), (0.36, edge), (0.345, mix(base, (255, 255, 255), 0.12))):
        canvas.disc((0.5, 0.5), radius, color)
    ink = readable_on(base)
    if top and spec.kind == "can" and spec.form != "aerosol":
        canvas.disc((0.5, 0.36), 0.12, edge)
        canvas.disc((0.5, 0.36), 0.075, base)
        canvas.rect((0.46, 0.46, 0.54, 0.6), edge, radius=0.03)
    elif top:
        canvas.text(design.facts.brand.upper(), (0.22, 0.4, 0.78, 0.6), ink, design.brand_face)
    else:
        lines = [t for t in (design.facts.lot_text, design.facts.expires_text) if t]
        for i, text in enumerate(lines):
            canvas.text(text, (0.2, 0.36 + 0.15 * i, 0.8, 0.48 + 0.15 * i), ink, "mono")
    return canvas.finish()


def wall_color(spec: ItemSpec) -> Rgb:
    """Of a vessel's wall: what shows through it, or the design's colour; carton of a poster tube's ends."""
    if spec.form == "poster":
        return (236, 234, 228)
    return content_color(spec) or mix(design_of(spec).palette.base, (255, 255, 255), 0.25)


def cap_color(spec: ItemSpec) -> Rgb:
    """Of a screw cap or plastic lid; twins share it."""
    palette = design_of(spec).palette
    rng = np.random.default_rng([spec.seed, 37])
    options: list[Rgb] = [palette.accent, palette.second, (240, 240, 238), (48, 48, 54)]
    return options[int(rng.integers(len(options)))]


def fur(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """Short pile in the SKU's colour."""
    rng = np.random.default_rng([spec.seed, 42])
    canvas = Canvas(size, ground(spec))
    canvas.grain(rng, 12.0, (2, 3))
    canvas.grain(rng, 6.0, (9, 7))
    return canvas.finish()


def hang_tag(spec: ItemSpec, size: tuple[int, int]) -> Image.Image:
    """The paper label on a plush: brand, name, size, bars and lot."""
    design: Design = design_of(spec)
    palette = design.palette
    canvas = Canvas(size, PAPER)
    canvas.rect((0, 0, 1, 0.22), palette.accent)
    canvas.text(design.facts.brand.upper(), (0.06, 0.03, 0.94, 0.19), readable_on(palette.accent), design.brand_face)
    canvas.text(f"{design.facts.product}  {design.facts.size}", (0.06, 0.25, 0.94, 0.41), (30, 30, 36), "bold")
    put_codes(canvas, design.facts, (0.05, 0.46, 0.95, 0.96))
    return canvas.finish()
