"""The formulas behind the limits: impact speed of a fall, buckling of a plate."""

from __future__ import annotations

import numpy as np

GRAVITY = 9.81


def impact_speed_mps(fall_height_m: float) -> float:
    """Speed with which a body that fell freely from a height meets the ground: sqrt(2 g h)."""
    return float(np.sqrt(2.0 * GRAVITY * fall_height_m))


def fall_height_m(speed_mps: float) -> float:
    """Height of the free fall that ends with a speed: the inverse of :func:`impact_speed_mps`."""
    return speed_mps**2 / (2.0 * GRAVITY)


def buckling_n(thickness_m: float, length_m: float, width_m: float, modulus_pa: float) -> float:
    """Euler's critical load of a plate pressed on two edges ``length_m`` apart, both ends hinged: pi^2 E I / L^2.

    ``width_m``: how much of the edge carries, I = b t^3 / 12.
    """
    inertia = width_m * thickness_m**3 / 12.0
    return float(np.pi**2 * modulus_pa * inertia / length_m**2)
