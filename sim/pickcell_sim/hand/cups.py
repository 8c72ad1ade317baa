"""The cups and vacuum sources that a hand can be fitted with, and what vacuum a film under a cup bears.

A cell names them: ``hand: {cup: 20mm, vacuum_source: ejector}``. The names, the cups' radii and the sources' vacuum are the
core's (:data:`pickcell.cell.CUP_RADII_M`, :data:`pickcell.cell.SOURCE_VACUUM_PA`); their physics is here.
"""

from __future__ import annotations

import numpy as np

from pickcell.cell import CUP_RADII_M, SOURCE_VACUUM_PA, HandConfig
from pickcell_sim.hand.suction import Cup, Pump

REFERENCE_RADIUS_M = 0.015
"""Radius of the cup whose stiffness :class:`Cup` gives as it stands."""
CONFORMITY_SHARE = 0.1
CONFORMITY_MAX_M = 0.0015
"""A lip closes a tenth of its radius, and no more than this: its edge is as thick on a larger cup."""

FILM_MODULUS_PA = 2.7e8
"""Young's modulus of polyethylene film. With it the membrane below bears 17, 27 and 46 kPa at 19, 30 and 50 um under a cup
of 40 mm."""
FILM_POISSON = 0.3
FILM_STRAIN_MAX = 0.05
"""A film stretched further stays stretched: a blister."""
HENCKY_CENTRE = 1.7244 / 4.0
"""Stress at the centre of a clamped membrane over (E p^2 a^2 / t^2)^(1/3), at a Poisson's ratio of 0.3."""


def cup_of_radius(radius_m: float) -> Cup:
    """A bellows cup of any size.

    Smaller than the reference, it is similar in shape and rubber, and so stiff in proportion to its size along an axis and
    to its cube about one. Larger ones have softer folds, so that they tilt and give way as easily (assumed; with them a
    cup of 40 mm swings as the prototype did). Raises ValueError for a radius that is not positive.
    """
    if not radius_m > 0.0:
        raise ValueError(f"a cup needs a radius > 0, got {radius_m} m")
    size, reference = min(radius_m / REFERENCE_RADIUS_M, 1.0), Cup()
    return Cup(
        radius_m=radius_m,
        lateral_n_per_m=size * reference.lateral_n_per_m,
        axial_n_per_m=size * reference.axial_n_per_m,
        bending_nm_per_rad=size**3 * reference.bending_nm_per_rad,
        torsion_nm_per_rad=size**3 * reference.torsion_nm_per_rad,
        conformity_m=min(CONFORMITY_SHARE * radius_m, CONFORMITY_MAX_M),
    )


CUPS: dict[str, Cup] = {name: cup_of_radius(radius) for name, radius in CUP_RADII_M.items()}

SOURCES: dict[str, Pump] = {
    # 60 l/min: under a cup of 40 mm 75 kPa with no gap, 21 at 0.05 mm, 8 at 0.1 mm.
    "ejector": Pump(vacuum_pa=SOURCE_VACUUM_PA["ejector"]),
    # A side-channel blower on a wide hose (37 m^3/h, assumed) that holds 19 kPa at 0.1 mm; the hose makes it slower.
    "blower": Pump(flow_m3ps=10.2e-3, vacuum_pa=SOURCE_VACUUM_PA["blower"], evacuate_s=0.08, vent_s=0.05),
}


def cup_of_hand(hand: HandConfig) -> Cup:
    """The cup on a cell's hand; a ``cup_radius_m`` of its own overrides the named cup's size."""
    named = CUPS[hand.cup]
    return named if np.isclose(hand.cup_radius_m, named.radius_m) else cup_of_radius(hand.cup_radius_m)


def source_of_hand(hand: HandConfig) -> Pump:
    """The vacuum source of a cell's hand."""
    return SOURCES[hand.vacuum_source]


def blister_limit_pa(film_um: float, radius_m: float) -> float:
    """Vacuum (Pa) at which a film over a hollow under the cup is stretched by 5 % at its centre; infinite for no film.

    Clamped circular membrane under pressure: H. Hencky, Z. Math. Phys. 63, 1915 (series as in W. B. Fichter, NASA TP-3658,
    1997). Its strain at the centre, (1 - nu) c (p a / (E t))^(2/3), solved for p: proportional to t / a. Bending of so
    thin a film is left out.
    """
    if film_um <= 0.0:
        return float("inf")
    reach = (FILM_STRAIN_MAX / ((1.0 - FILM_POISSON) * HENCKY_CENTRE)) ** 1.5
    return float(reach * FILM_MODULUS_PA * film_um * 1e-6 / radius_m)
