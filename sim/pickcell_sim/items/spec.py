"""What an item is made of, before any mesh or picture exists: the list of all SKUs, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

SEED = 7
"""Everything about the items follows from this number. Changing it, or the drawing below, needs a new VERSION."""

VERSION = "2"
"""Of the committed catalogue: changes when an item does."""

REPOSITORY = Path(__file__).resolve().parents[3]

KINDS = (
    "irregular", "box", "cylinder", "card",
    "shrink", "hardcover", "paperback", "bottle", "can", "jar", "mailer", "polybag", "loose_bag", "ruler", "flat", "blister",
    "plush", "tube",
)  # fmt: skip
"""What a product is, as a catalogue says it."""

STRUCTURES = ("rigid", "book", "sheet", "loose", "plush")
"""How physics builds an item: one body; covers and block on hinges at the spine; plates on stiff hinges (mailer, polybag);
a shell with loose filling; one soft-surfaced body."""

STRUCTURE_BY_KIND = {
    "hardcover": "book", "paperback": "book", "mailer": "sheet", "polybag": "sheet", "loose_bag": "loose", "plush": "plush",
}  # fmt: skip
"""Kinds that are not rigid."""

PAYLOAD_KG = 0.9
"""What the cells lift: heavier SKUs are in the catalogue to be refused."""


@dataclass(frozen=True)
class ItemSpec:
    """One SKU as the simulator builds it. The mesh is centred on the centre of mass, axes along the bounding box."""

    sku: str
    name: str
    kind: str
    size_m: tuple[float, float, float]
    """Extents along the item's own x, y, z. A cylinder stands on z; a card lies in x, y."""
    mass_kg: float
    friction: float
    """Lateral coefficient; PyBullet multiplies it with that of the other body."""
    shiny: bool
    """Reflects like metal or foil, so that depth cameras see holes."""
    seed: int
    """Draws its printed faces."""
    source: int = -1
    """Number of the blob in pybullet_data's random_urdfs; -1 for the other kinds."""
    scale: float = 1.0
    """Metres per unit of the blob's mesh."""
    variant_of: str = ""
    """SKU whose print this one shares but for a small coloured dot: the near-identical trap of identification."""
    dot: str = ""
    """Colour of that dot."""
    mark: str = ""
    """What sets one of a look-alike family apart: ``dot:#1f6fd6``, ``stripe:#d63b1f``, ``size:250 ml``, ``count:24``,
    ``volume:2``. Empty for products without a look-alike and for the marks that ``dot`` describes."""
    language: str = "en"
    """Of the printed text: de, en, es, fr, it, nl, pl or sv."""
    subtitle: str = ""
    """The product in English, printed small, where ``language`` is another one."""
    size_text: str = ""
    """Net content as printed, like ``3 x 60 g``; empty where it follows from the seed (kinds of version 1)."""
    color: str = ""
    """Colour variant, a key of :data:`pickcell_sim.items.words.COLORS`; empty where there is none."""
    form: str = ""
    """Which of a kind's shapes: a bottle's outline, a can's ends. Empty for the kind's only one."""
    structure: str = ""
    """One of STRUCTURES; when left empty, by kind."""
    fragility: str = ""
    """Class in ``config/damage.yaml``; the kind when left empty."""
    film_um: float = 0.0
    """Thickness of the outermost film, micrometres; 0 where the surface is no film that can be sucked off."""
    wrinkle_m: float = 0.0
    """Peak to valley of the fine waves that a cup's lip has to close, beyond the shape itself."""
    permeance_m_per_s_pa: float = 0.0
    """Air through the surface: volume flow per area and pressure difference (Darcy), m/(s Pa)."""
    contact_stiffness_n_per_m: float = 0.0
    """Of a soft surface; 0 for a hard one."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no kind '{self.kind}'; there are {', '.join(KINDS)}")
        object.__setattr__(self, "structure", self.structure or STRUCTURE_BY_KIND.get(self.kind, "rigid"))
        object.__setattr__(self, "fragility", self.fragility or self.kind)
        if self.structure not in STRUCTURES:
            raise ValueError(f"no structure '{self.structure}'; there are {', '.join(STRUCTURES)}")


_BOX_SIZES_MM = [
    (190, 65, 45), (158, 88, 46), (120, 84, 62), (110, 72, 38), (98, 68, 26), (150, 52, 52), (84, 58, 22), (132, 96, 74),
    (72, 72, 72), (205, 82, 30), (176, 118, 58), (140, 42, 36), (64, 48, 90), (92, 34, 126), (56, 56, 150), (168, 72, 72),
    (105, 105, 40), (230, 62, 62), (78, 50, 34), (124, 74, 24), (145, 112, 102), (60, 40, 110), (182, 92, 92), (88, 88, 108),
]  # fmt: skip
_CYLINDER_SIZES_MM = [
    (52, 95), (66, 115), (75, 108), (85, 46), (58, 135), (40, 120), (34, 88), (68, 84), (74, 62), (90, 70),
    (48, 160), (62, 62), (80, 98), (44, 70), (54, 180), (70, 130), (38, 54), (64, 102), (86, 84), (50, 76),
]  # fmt: skip
_CARD_SIZES_MM = [
    (85.6, 54.0, 1.0), (85.6, 54.0, 1.6), (90, 55, 2.0), (105, 74, 1.2), (105, 74, 2.0), (148, 105, 1.0), (148, 105, 2.2),
    (140, 90, 1.5), (120, 80, 3.0), (130, 60, 1.8), (148, 74, 2.4), (100, 70, 2.8), (110, 110, 1.2), (125, 95, 2.6),
    (85.6, 54.0, 3.0), (98, 62, 1.4), (140, 50, 2.0), (115, 85, 1.0), (145, 100, 3.0), (92, 92, 1.8),
]  # fmt: skip
_VARIANTS = ((3, "#1f6fd6", "#8a8f98"), (8, "#d63b1f", "#1f9d55"), (11, "#1f6fd6", "#8a8f98"),
             (17, "#e0a100", "#7b3fc4"), (18, "#1f6fd6", "#1f9d55"), (21, "#d63b1f", "#8a8f98"))  # fmt: skip
"""(box number, colour of its own dot, colour of its twin's dot)."""

_BRAND_HEADS = ("Al", "Bren", "Cor", "Dal", "Ev", "Fjor", "Gral", "Hol", "Ist", "Jun", "Kel", "Lum", "Mar", "Nor", "Or",
                "Pel", "Quin", "Ros", "Sol", "Tam", "Ul", "Ver", "Wil", "Yar", "Zen")  # fmt: skip
_BRAND_TAILS = ("a", "o", "ex", "ia", "ora", "eco", "ium", "lo", "mo", "na", "vy", "tic", "za", "di")
_GOODS = {
    "box": ("Herbal Tea", "Oat Flakes", "Light Bulb", "Soap Bars", "Puzzle 500", "USB Charger", "Plasters", "Rice Cakes",
            "Batteries", "Face Cream", "Cocoa Mix", "Card Game", "Ink Cartridge", "Baking Soda", "Night Light"),
    "cylinder": ("Tomato Soup", "Chickpeas", "Coffee", "Vitamin C", "Peanut Butter", "Floor Wax", "Baby Corn", "Shoe Cream"),
    "card": ("Gift Card", "SIM Card", "Greeting Card", "Postcard Set", "Puncture Kit", "Sticker Sheet", "Screen Film"),
}  # fmt: skip


def all_specs() -> dict[str, ItemSpec]:
    """Every printed SKU by name. Irregular ones need their meshes: see :mod:`pickcell_sim.items.irregular`."""
    return dict(_all_specs())


@cache
def _all_specs() -> dict[str, ItemSpec]:
    from pickcell_sim.items.assortment import assortment  # it builds on this module

    return {spec.sku: spec for spec in [*_boxes(), *_cylinders(), *_cards(), *assortment()]}


def brand(rng: np.random.Generator) -> str:
    return str(rng.choice(_BRAND_HEADS)) + str(rng.choice(_BRAND_TAILS))


def _good(kind: str, rng: np.random.Generator) -> str:
    return f"{brand(rng)} {rng.choice(_GOODS[kind])}"


def _size(mm: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = (round(v / 1000.0, 4) for v in mm)
    return x, y, z


def _boxes() -> list[ItemSpec]:
    specs: list[ItemSpec] = []
    for i, mm in enumerate(_BOX_SIZES_MM):
        rng = np.random.default_rng([SEED, 1, i])
        size = _size(mm)
        mass = _mass(float(np.prod(size)) * rng.uniform(180.0, 650.0), 0.85)
        dots = {number: own for number, own, _ in _VARIANTS}
        specs.append(
            ItemSpec(
                f"box-{i:03d}", _good("box", rng), "box", size, mass, _friction(rng), False, 1000 + i, dot=dots.get(i, "")
            )
        )
    for k, (number, _, twin_dot) in enumerate(_VARIANTS):
        twin = specs[number]
        specs.append(
            ItemSpec(
                f"box-{len(_BOX_SIZES_MM) + k:03d}", twin.name, "box", twin.size_m, twin.mass_kg, twin.friction, False,
                twin.seed, variant_of=twin.sku, dot=twin_dot,
            )
        )  # fmt: skip
    return specs


def _cylinders() -> list[ItemSpec]:
    specs = []
    for i, (diameter, height) in enumerate(_CYLINDER_SIZES_MM):
        rng = np.random.default_rng([SEED, 2, i])
        size = _size((diameter, diameter, height))
        volume = np.pi / 4.0 * size[0] ** 2 * size[2]
        name = _good("cylinder", rng)
        shiny = bool(rng.random() < 0.3)
        mass = _mass(float(volume) * rng.uniform(350.0, 950.0), 0.85)
        specs.append(ItemSpec(f"cylinder-{i:03d}", name, "cylinder", size, mass, _friction(rng), shiny, 2000 + i))
    return specs


def _cards() -> list[ItemSpec]:
    specs = []
    for i, mm in enumerate(_CARD_SIZES_MM):
        rng = np.random.default_rng([SEED, 3, i])
        size = _size(mm)
        name = _good("card", rng)
        mass = _mass(float(np.prod(size)) * rng.uniform(700.0, 1300.0), 0.2, 0.005)
        shiny = bool(rng.random() < 0.2)
        specs.append(ItemSpec(f"card-{i:03d}", name, "card", size, mass, _friction(rng), shiny, 3000 + i))
    return specs


def _mass(value: float, high: float, low: float = 0.02) -> float:
    return round(float(np.clip(value, low, high)), 4)


def _friction(rng: np.random.Generator) -> float:
    return round(float(rng.uniform(0.45, 0.8)), 2)
