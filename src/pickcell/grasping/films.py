"""What vacuum the film around an item bears under a cup, from the item's kind.

A film over a hollow is a clamped membrane (Hencky 1915): the vacuum that stretches it by a given share is proportional to
its thickness over the cup's radius. The thinnest film of a kind decides, as makers' data sheets give them.
"""

from __future__ import annotations

LIMIT_PA_M = {
    "shrink": 190.0,  # polyolefin shrink film from 12 um: 5 % strain at 21 kPa under a cup of 20 mm
    "polybag": 420.0,  # polyethylene from 25 um: 45 kPa
    "loose_bag": 420.0,
}
"""Vacuum times cup radius, with a margin of a tenth."""


def film_limit_pa(kind: str, cup_radius_m: float) -> float:
    """Most vacuum below ambient for an item of a kind; infinite where no film is to be expected, and for unknown kinds."""
    return LIMIT_PA_M.get(kind, float("inf")) / cup_radius_m
