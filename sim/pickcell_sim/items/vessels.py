"""Profiles of bottles, cans, jars and poster tubes, with the collision solids that stand for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pickcell_sim.items.canvas import Rgb
from pickcell_sim.items.lathe import Band, Solid
from pickcell_sim.items.spec import ItemSpec

LABEL, BODY, CAP, TOP, BOTTOM = range(5)
"""Pictures of a vessel's atlas: printed label, bare wall or content, cap or rim, and the two ends."""

_EMPTY = 0.25
"""Density of caps and necks against that of a filled body (assumed)."""


@dataclass(frozen=True)
class Vessel:
    """A solid of revolution standing on z = 0, and the solids it collides as."""

    solid: Solid
    cylinders: tuple[tuple[float, float, float], ...]
    """(radius, z of the bottom, z of the top)."""
    cones: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Convex profiles of (radius, z)."""


def vessel_of(spec: ItemSpec) -> Vessel:
    """The vessel of a bottle, can, jar or poster tube. Raises KeyError for other kinds and forms."""
    radius, height = 0.5 * spec.size_m[0], spec.size_m[2]
    if spec.kind == "bottle":
        return _bottle(radius, height, *_BOTTLES[spec.form])
    if spec.kind == "jar":
        return _jar(radius, height)
    return {"food": _food_can, "drink": _drink_can, "aerosol": _aerosol, "poster": _poster}[spec.form](radius, height)


_BOTTLES = {
    "round": (0.66, 0.80, 0.34, 0.42),
    "slim": (0.62, 0.87, 0.34, 0.40),
    "glass": (0.56, 0.74, 0.34, 0.38),
    "pharmacy": (0.68, 0.77, 0.62, 0.70),
}
"""Top of the body and of the shoulder as shares of the height; neck and cap as shares of the radius."""


def _bottle(radius: float, height: float, body: float, shoulder: float, neck: float, cap: float) -> Vessel:
    """A straight body, a rounded shoulder, a neck, a screw cap."""
    t = np.linspace(0.0, 0.5 * np.pi, 7)
    r_neck, r_cap = neck * radius, cap * radius
    curve = [
        (r_neck + (radius - r_neck) * float(np.cos(a)), height * (body + (shoulder - body) * float(np.sin(a)))) for a in t
    ]
    cap_foot = max(shoulder, 0.84 if shoulder < 0.8 else shoulder + 0.02) * height
    bands = (
        Band(((0.88 * radius, 0.0), (radius, 0.03 * height), (radius, 0.07 * height)), BODY),
        Band(((radius, 0.07 * height), (radius, (body - 0.04) * height)), LABEL),
        Band(((radius, (body - 0.04) * height), *curve), BODY),
        Band(((r_neck, shoulder * height), (r_neck, cap_foot)), BODY, _EMPTY),
        Band(((r_neck, cap_foot), (r_cap, cap_foot)), CAP, _EMPTY),
        Band(((r_cap, cap_foot), (r_cap, 0.99 * height), (0.94 * r_cap, height)), CAP, _EMPTY),
    )
    cone = ((radius, body * height), curve[3], (r_neck, shoulder * height))
    cylinders = ((radius, 0.0, body * height), (r_cap, shoulder * height, height))
    return Vessel(Solid(bands, BOTTOM, TOP), cylinders, (cone,))


def _jar(radius: float, height: float) -> Vessel:
    """Glass with a printed band, and a metal lid nearly as wide."""
    r_lid, r_neck = 0.93 * radius, 0.86 * radius
    bands = (
        Band(((0.9 * radius, 0.0), (radius, 0.04 * height), (radius, 0.16 * height)), BODY),
        Band(((radius, 0.16 * height), (radius, 0.66 * height)), LABEL),
        Band(
            ((radius, 0.66 * height), (radius, 0.76 * height), (0.95 * radius, 0.81 * height), (r_neck, 0.84 * height)),
            BODY, 0.6,
        ),
        Band(((r_neck, 0.84 * height), (r_lid, 0.84 * height)), CAP, _EMPTY),
        Band(((r_lid, 0.84 * height), (r_lid, 0.985 * height), (0.95 * r_lid, height)), CAP, _EMPTY),
    )  # fmt: skip
    return Vessel(Solid(bands, BOTTOM, TOP), ((radius, 0.0, 0.79 * height), (r_lid, 0.79 * height, height)))


def _food_can(radius: float, height: float) -> Vessel:
    """Straight, with rims that stand out a little."""
    rim = min(0.004, 0.08 * height)
    wall = 0.985 * radius
    bands = (
        Band(((0.97 * radius, 0.0), (radius, 0.25 * rim), (radius, rim)), CAP),
        Band(((wall, rim), (wall, height - rim)), LABEL),
        Band(((radius, height - rim), (radius, height - 0.25 * rim), (0.97 * radius, height)), CAP),
    )
    return Vessel(Solid(bands, BOTTOM, TOP), ((radius, 0.0, height),))


def _drink_can(radius: float, height: float) -> Vessel:
    """Drawn in at both ends."""
    bands = (
        Band(((0.76 * radius, 0.0), (0.84 * radius, 0.02 * height), (radius, 0.07 * height)), CAP),
        Band(((radius, 0.07 * height), (radius, 0.88 * height)), LABEL),
        Band(((radius, 0.88 * height), (0.86 * radius, 0.955 * height)), BODY, 0.5),
        Band(((0.86 * radius, 0.955 * height), (0.88 * radius, 0.97 * height), (0.86 * radius, height)), CAP, _EMPTY),
    )
    cones = (((0.76 * radius, 0.0), (radius, 0.07 * height), (radius, 0.88 * height), (0.86 * radius, height)),)
    return Vessel(Solid(bands, BOTTOM, TOP), (), cones)


def _aerosol(radius: float, height: float) -> Vessel:
    """A spray can: dome and cap."""
    r_cap = 0.86 * radius
    bands = (
        Band(((0.95 * radius, 0.0), (radius, 0.01 * height), (radius, 0.02 * height)), CAP),
        Band(((radius, 0.02 * height), (radius, 0.74 * height)), LABEL),
        Band(((radius, 0.74 * height), (0.96 * radius, 0.775 * height), (0.86 * radius, 0.8 * height)), BODY),
        Band(((r_cap, 0.8 * height), (r_cap, 0.975 * height), (0.9 * r_cap, height)), CAP, _EMPTY),
    )
    return Vessel(Solid(bands, BOTTOM, TOP), ((radius, 0.0, 0.76 * height), (r_cap, 0.76 * height, height)))


def _poster(radius: float, height: float) -> Vessel:
    """A tube of carton with flat caps."""
    bands = (Band(((radius, 0.0), (radius, height)), LABEL),)
    return Vessel(Solid(bands, BOTTOM, TOP), ((radius, 0.0, height),))


_CONTENTS: tuple[tuple[str, Rgb], ...] = (
    ("strawberry", (168, 26, 42)), ("honey", (218, 144, 30)), ("cucumber", (126, 146, 72)), ("pesto", (84, 120, 44)),
    ("olives", (120, 134, 62)), ("lingonberry", (150, 24, 44)), ("carrot", (230, 124, 40)), ("peanut", (192, 136, 76)),
    ("turmeric", (222, 164, 40)), ("olive oil", (176, 164, 60)), ("water", (214, 232, 240)), ("mint", (56, 150, 96)),
    ("raspberry", (146, 18, 52)), ("vinegar", (206, 160, 84)), ("cough", (112, 62, 24)), ("capsules", (206, 116, 36)),
    ("washing", (92, 190, 120)), ("sanitiser", (206, 232, 238)),
)  # fmt: skip


def content_color(spec: ItemSpec) -> Rgb | None:
    """What shows through glass or clear plastic; None for opaque walls."""
    if spec.kind not in ("jar", "bottle"):
        return None
    english = (spec.subtitle or spec.name.partition(" ")[2]).lower()
    return next((color for word, color in _CONTENTS if word in english), None)
