"""How hard to hold, and what acceleration a hold bears: friction and peel, from the mass and where it hangs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickcell.grasping.config import PinchConfig, SuctionConfig

F64 = NDArray[np.float64]

GRAVITY = 9.81
LEAST_CONE_RAD = 0.1
"""A contact at the very edge of its cone is taken to have this much left."""


@dataclass(frozen=True)
class PinchHold:
    """Pad forces and the largest trusted accelerations of pinches, (C,) each."""

    force_n: F64
    max_acceleration: F64
    holds: NDArray[np.bool_]
    """Does friction bear the weight, with the safety factor, at the force that hand and item allow?"""


def buckling_force_n(thickness_m: ArrayLike, length_m: ArrayLike, width_m: ArrayLike, youngs_modulus_pa: float) -> F64:
    """Euler's critical load of a plate pressed on two opposite edges ``length_m`` apart, both ends hinged, newton."""
    inertia = np.asarray(width_m) * np.asarray(thickness_m) ** 3 / 12.0
    return np.asarray(np.pi**2 * youngs_modulus_pa * inertia / np.maximum(length_m, 1e-6) ** 2, dtype=np.float64)


def pinch_hold(
    mass_kg: float,
    offset_m: F64,
    patch_radius_m: F64,
    slope_rad: F64,
    allowed_n: F64,
    acceleration: float,
    config: PinchConfig,
) -> PinchHold:
    """Two pads with Coulomb friction carry weight and inertia, and by torsional friction the moment of a centre of mass
    ``offset_m`` (C,) beside the closing axis. A contact whose normal leans by ``slope_rad`` (C,) from that axis has only
    the rest of the friction cone left: mu becomes tan(atan(mu) - slope).

    A soft contact of radius R under normal force N resists 2/3 mu N R about its normal (uniform pressure), and shares it
    with the tangential force along an ellipse (Howe and Cutkosky 1996): (F / 2 mu N)^2 + (T / (4/3 mu N R))^2 <= 1.
    """
    friction = np.tan(np.maximum(np.arctan(config.friction) - slope_rad, LEAST_CONE_RAD))
    turning = offset_m / (4.0 / 3.0 * friction * np.maximum(patch_radius_m, 1e-4))
    per_load = config.squeeze_safety * np.hypot(1.0 / (2.0 * friction), turning)  # pad force per load, N/N
    bearable = allowed_n / (per_load * max(mass_kg, 1e-3)) - GRAVITY
    trusted = np.clip(bearable, 0.0, acceleration)
    force = np.clip(per_load * mass_kg * (GRAVITY + trusted), np.minimum(config.min_force_n, allowed_n), allowed_n)
    return PinchHold(force, trusted, bearable > 0.0)


def suction_acceleration(
    mass_kg: float, lateral_m: F64, lever_m: F64, cup_radius_m: float, leak: F64, config: SuctionConfig
) -> F64:
    """Largest acceleration (C,) in m/s^2, in any direction, that the seal bears; negative when it cannot bear the weight.

    Peel: F_z + 2 M / r <= dP A, from the ring's equilibrium under a linear line load; with the weight's moment about the
    lip's centre (arm ``lateral_m``) and the inertia's (arm ``lever_m``, distance to the centre of mass). Sliding:
    F_t <= mu (dP A - F_z). ``leak`` 0..1 takes away from the vacuum.
    """
    area = np.pi * cup_radius_m**2
    holding = config.vacuum_pa * (1.0 - leak) * area / config.seal_safety
    specific = holding / max(mass_kg, 1e-3)
    peel = (specific - GRAVITY * (1.0 + 2.0 * lateral_m / cup_radius_m)) / (1.0 + 2.0 * lever_m / cup_radius_m)
    slide = (config.friction * (specific - GRAVITY)) / (1.0 + config.friction)
    return np.asarray(np.minimum(peel, slide), dtype=np.float64)
