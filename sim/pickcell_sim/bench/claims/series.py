"""What the claims are tried on: series of equal trials, one per kind of item, posture, tool, cup and acceleration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pickcell.values import Tool
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.totes import load_split

ACCELERATIONS = (2.0, 4.0, 6.0, 8.0, 12.0)
"""m/s^2 of the tool's point."""
CALM, QUICK = 4.0, 8.0
HEAVY_BOX = "heavy_box"
"""Boxes with a mass drawn from HEAVY_KG, sealed to hold it, whatever their recipe weighs."""
HEAVY_KG = (0.7, 0.9)
HEAVY_LONGEST_M = (0.12, 0.21)
"""Longest side of boxes that serve as heavy ones: their centre of mass lies 60 to 105 mm under a cup on the end."""
PAYLOAD_KG = 0.9


@dataclass(frozen=True)
class Claim:
    """One statement of the source articles that is put to the test."""

    name: str
    sentence: str


CLAIMS = {
    c.name: c
    for c in (
        Claim("books_boxes", "Suction damages books and (less) boxes, pinch does not"),
        Claim("acceleration", "Suction breaks its seal as acceleration rises"),
        Claim("bags", "Bags of loose content defeat suction"),
        Claim("flats", "Cards and other flats defeat pinch"),
    )
}


@dataclass(frozen=True)
class Series:
    """Trials that differ in their seed only."""

    claim: str
    kind: str
    """Of the catalogue, or HEAVY_BOX."""
    posture: str
    """How the item lies: ``lying`` on its largest face, ``standing`` between low neighbours (books on spine,
    fore-edge or foot; bags on an edge), ``dumped`` on a
    face drawn by area, ``tall`` on its smallest face."""
    tool: Tool
    acceleration: float
    """m/s^2 asked of the tool's point on the lift, the carry and the way down."""
    cup: str = "30mm"
    source: str = "ejector"

    @property
    def name(self) -> str:
        fitted = f"-{self.cup}-{self.source}" if self.tool is Tool.SUCTION else ""
        return f"{self.kind}-{self.posture}-{self.tool.value}{fitted}-{self.acceleration:g}"


def _pair(claim: str, kind: str, posture: str, acceleration: float, cup: str = "30mm") -> list[Series]:
    """Both tools on the same presentations."""
    return [Series(claim, kind, posture, tool, acceleration, cup) for tool in (Tool.SUCTION, Tool.PINCH)]


@cache
def all_series() -> tuple[Series, ...]:
    """All series, by claim."""
    out: list[Series] = []
    for kind in ("hardcover", "paperback"):
        out += _pair("books_boxes", kind, "lying", CALM)
        out.append(Series("books_boxes", kind, "standing", Tool.PINCH, CALM))
    out.append(Series("books_boxes", "hardcover", "standing", Tool.SUCTION, CALM))
    for kind in ("box", "shrink"):
        out += _pair("books_boxes", kind, "dumped", CALM)
    out += _pair("books_boxes", "box", "dumped", QUICK)
    for acceleration in ACCELERATIONS:
        out += [Series("acceleration", HEAVY_BOX, "tall", Tool.SUCTION, acceleration, cup) for cup in ("30mm", "40mm")]
    out.append(Series("acceleration", HEAVY_BOX, "tall", Tool.PINCH, 12.0))
    out.append(Series("acceleration", HEAVY_BOX, "lying", Tool.SUCTION, 12.0, "40mm"))
    out += _pair("bags", "loose_bag", "lying", CALM)
    out.append(Series("bags", "loose_bag", "lying", Tool.SUCTION, CALM, "40mm"))
    out.append(Series("bags", "loose_bag", "lying", Tool.SUCTION, CALM, "30mm", "blower"))
    out.append(Series("bags", "loose_bag", "standing", Tool.PINCH, CALM))
    out += _pair("bags", "polybag", "lying", CALM)
    for kind in ("card", "ruler", "flat"):
        out += _pair("flats", kind, "lying", CALM, "20mm" if kind == "ruler" else "30mm")
    return tuple(out)


def series_of(claims: tuple[str, ...] = ()) -> tuple[Series, ...]:
    """Series of these claims, of all when none is named. Raises ValueError naming the claims there are."""
    unknown = [name for name in claims if name not in CLAIMS]
    if unknown:
        raise ValueError(f"no claim {unknown}; there are {list(CLAIMS)}")
    return tuple(s for s in all_series() if not claims or s.claim in claims)


@cache
def pool(kind: str) -> tuple[str, ...]:
    """SKUs of the test split that a kind's trials draw from. Raises ValueError when it has none that may be lifted."""
    if kind == HEAVY_BOX:
        low, high = HEAVY_LONGEST_M
        boxes = [s for name in ("test", "validation", "train") for s in load_split(name) if s.startswith("box-")]
        skus = [sku for sku in boxes if low <= max(item_spec(sku).size_m) <= high and _end_takes_a_cup(item_spec(sku))]
    else:
        skus = [sku for sku in load_split("test") if sku.startswith(f"{kind}-") and item_spec(sku).mass_kg <= PAYLOAD_KG]
    if not skus:
        raise ValueError(f"the test split has no {kind} of up to {PAYLOAD_KG} kg")
    return tuple(sorted(skus))


def _end_takes_a_cup(spec: ItemSpec) -> bool:
    """Whether a cup of 40 mm fits on its smallest face, with room for a jaw as well."""
    least, middle, _ = sorted(spec.size_m)
    return least >= 0.046 and least <= 0.08 and middle >= 0.046
