"""The SKUs of the shelf: brands, friction, films and other physics drawn from the seed, look-alikes beside their twins.

Sources of the figures, where they are not assumed: shrink film 12-25 um and polybags 25-60 um (film makers' data sheets);
knitted fabrics pass 0.1 to 1 m/s at 100 Pa (ISO 9237), uncoated kraft paper 20 to 60 s by Gurley (ISO 5636-5), which is
2e-6 to 6e-6 m/(s Pa); plush as stiff as 1.5 kN/m.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pickcell_sim.items.shelf import LOOK_ALIKES, SHELF, Product
from pickcell_sim.items.spec import SEED, ItemSpec, brand

_STREAM = 5
"""First key of this module's random streams; boxes, cylinders, cards and irregular items use 1 to 4."""

_AUTHORS = ("Ahlgren", "Bertrand", "Castell", "Dombek", "Eriksen", "Falk", "Gentile", "Hartwig", "Ivens", "Jansson",
            "Keller", "Lindqvist", "Moreau", "Nowak", "Oliveri", "Petit", "Quiroga", "Rossini", "Sandoval", "Tarnow",
            "Ulrich", "Vermeer", "Wolski", "Zamora")  # fmt: skip


@dataclass(frozen=True)
class Surface:
    """What hands and cups feel of a kind; (low, high) ranges are drawn from."""

    friction: tuple[float, float]
    shiny: float = 0.0
    """Share of SKUs that reflect."""
    film_um: tuple[float, float] = (0.0, 0.0)
    wrinkle_mm: tuple[float, float] = (0.0, 0.0)
    permeance: tuple[float, float] = (0.0, 0.0)
    """m/(s Pa), drawn on a logarithmic scale."""
    stiffness: float = 0.0
    """N/m; 0 for hard surfaces."""


SURFACES: dict[str, Surface] = {
    "shrink": Surface((0.35, 0.5), 1.0, (15.0, 25.0), (0.02, 0.08)),
    "hardcover": Surface((0.45, 0.65), 0.2),
    "paperback": Surface((0.4, 0.6), 0.4),
    "bottle": Surface((0.4, 0.6), 0.4),
    "can": Surface((0.35, 0.5), 0.6),
    "jar": Surface((0.35, 0.5), 0.7),
    "mailer": Surface((0.45, 0.7), 0.0, (0.0, 0.0), (0.15, 0.4)),
    "polybag": Surface((0.35, 0.5), 0.5, (30.0, 60.0), (0.3, 0.9)),
    "loose_bag": Surface((0.4, 0.55), 0.4, (40.0, 70.0), (1.5, 3.0)),
    "ruler": Surface((0.4, 0.6), 0.0),
    "flat": Surface((0.45, 0.65), 0.0),
    "blister": Surface((0.4, 0.55), 1.0, (150.0, 300.0), (0.0, 0.03)),
    "plush": Surface((0.65, 0.85), 0.0, (0.0, 0.0), (1.0, 2.0), (1e-3, 8e-3), 1500.0),
    "tube": Surface((0.45, 0.65), 0.2),
}
"""By kind (assumed within the ranges of the sources above)."""

_KRAFT_PERMEANCE = (2e-6, 6e-6)
_POLY_MAILER_FILM_UM = (50.0, 80.0)
_SHINY_FORMS = {"steel", "disc"}


def assortment() -> list[ItemSpec]:
    """One spec per line of the shelf, then the twins of each kind, numbered on."""
    specs: list[ItemSpec] = []
    for k, (kind, products) in enumerate(SHELF.items()):
        own = {line: mark for kind_, line, mark, _ in LOOK_ALIKES if kind_ == kind}
        listed = [_spec(kind, k, i, product, own.get(i, "")) for i, product in enumerate(products)]
        for line, twin_mark in ((line, mark) for kind_, line, _, mark in LOOK_ALIKES if kind_ == kind):
            listed.append(twin_of(listed[line], f"{kind}-{len(listed):03d}", twin_mark))
        specs += listed
    return specs


def shelf_line(spec: ItemSpec) -> Product:
    """The product that a SKU is, or that its twin is. Raises KeyError for kinds that are not on the shelf."""
    kind, _, number = (spec.variant_of or spec.sku).rpartition("-")
    return SHELF[kind][int(number)]


def _spec(kind: str, k: int, i: int, product: Product, mark: str) -> ItemSpec:
    rng = np.random.default_rng([SEED, _STREAM, k, i])
    maker = str(rng.choice(_AUTHORS)) if kind in ("hardcover", "paperback") else brand(rng)
    surface = _surface(kind, product, rng)
    x, y, z = (round(v / 1000.0, 4) for v in product.size_mm)
    return ItemSpec(
        f"{kind}-{i:03d}",
        f"{maker} {product.product}",
        kind,
        (x, y, z),
        round(product.mass_g * float(rng.uniform(0.97, 1.03)) / 1000.0, 4),
        round(float(rng.uniform(*surface.friction)), 2),
        bool(rng.random() < surface.shiny) or product.form in _SHINY_FORMS,
        10_000 + 100 * k + i,
        mark=mark,
        language=product.language,
        subtitle=product.subtitle,
        size_text=product.size_text,
        color=product.color,
        form=product.form,
        fragility="glass" if kind == "jar" or product.form == "glass" else "",
        film_um=round(float(rng.uniform(*surface.film_um)), 1),
        wrinkle_m=round(float(rng.uniform(*surface.wrinkle_mm)) / 1000.0, 6),
        permeance_m_per_s_pa=_logarithmic(surface.permeance, rng),
        contact_stiffness_n_per_m=surface.stiffness,
    )


def _surface(kind: str, product: Product, rng: np.random.Generator) -> Surface:
    """Of the kind; paper mailers breathe, poly mailers are film."""
    surface = SURFACES[kind]
    if kind != "mailer":
        return surface
    if product.form == "poly":
        return Surface(surface.friction, float(rng.random() < 0.5), _POLY_MAILER_FILM_UM, surface.wrinkle_mm)
    return Surface(surface.friction, 0.0, surface.film_um, surface.wrinkle_mm, _KRAFT_PERMEANCE)


def twin_of(spec: ItemSpec, sku: str, mark: str) -> ItemSpec:
    """The look-alike of a SKU: everything the same but for its number and what ``mark`` says."""
    what, _, value = mark.partition(":")
    size_text = spec.size_text
    if what == "size":
        size_text = value
    elif what == "count":
        size_text = f"{value} x {size_text.partition(' x ')[2]}"
    return replace(spec, sku=sku, variant_of=spec.sku, mark=mark, size_text=size_text)


def _logarithmic(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    if bounds[1] <= 0.0:
        return 0.0
    return float(f"{np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))):.2e}")
