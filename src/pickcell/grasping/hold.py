"""How hard to hold, and what acceleration a hold bears: friction and peel, from the mass and where it hangs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pickcell.grasping.config import PinchConfig, SuctionConfig

GRAVITY = 9.81


@dataclass(frozen=True)
class PinchHold:
    """Pad force and the largest trusted acceleration of a pinch."""

    force_n: float
    max_acceleration: float
    needed_n: float
    """Force to bear gravity alone, with the safety factor."""
    allowed_n: float
    """What hand and item allow."""


def buckling_force_n(thickness_m: float, length_m: float, width_m: float, youngs_modulus_pa: float) -> float:
    """Euler's critical load of a plate pressed on two opposite edges ``length_m`` apart, both ends hinged, newton."""
    inertia = width_m * thickness_m**3 / 12.0
    return float(np.pi**2 * youngs_modulus_pa * inertia / max(length_m, 1e-6) ** 2)


def pinch_hold(
    mass_kg: float, offset_m: float, patch_radius_m: float, allowed_n: float, acceleration: float, config: PinchConfig
) -> PinchHold:
    """Two pads with Coulomb friction carry weight and inertia, and by torsional friction the moment of a centre of mass
    ``offset_m`` beside the closing axis.

    A soft contact of radius R under normal force N resists 2/3 mu N R about its normal (uniform pressure), and shares it
    with the tangential force along an ellipse (Howe and Cutkosky 1996): (F / 2 mu N)^2 + (T / (4/3 mu N R))^2 <= 1.
    """
    per_load = np.hypot(1.0 / (2.0 * config.friction), offset_m / (4.0 / 3.0 * config.friction * max(patch_radius_m, 1e-4)))
    per_load *= config.squeeze_safety  # newton of pad force per newton of load
    bearable = allowed_n / (per_load * max(mass_kg, 1e-3)) - GRAVITY
    trusted = float(np.clip(bearable, 0.0, acceleration))
    force = float(np.clip(per_load * mass_kg * (GRAVITY + trusted), min(config.min_force_n, allowed_n), allowed_n))
    return PinchHold(force, trusted, float(per_load * mass_kg * GRAVITY), allowed_n)


def suction_acceleration(
    mass_kg: float, lateral_m: float, lever_m: float, cup_radius_m: float, leak: float, config: SuctionConfig
) -> float:
    """Largest acceleration (m/s^2) in any direction that the seal bears; negative when it does not bear the weight.

    Peel: F_z + 2 M / r <= dP A, from the ring's equilibrium under a linear line load; with the weight's moment about the
    lip's centre (arm ``lateral_m``) and the inertia's (arm ``lever_m``, distance to the centre of mass). Sliding:
    F_t <= mu (dP A - F_z). ``leak`` 0..1 takes away from the vacuum.
    """
    area = np.pi * cup_radius_m**2
    holding = config.vacuum_pa * (1.0 - leak) * area / config.seal_safety
    specific = holding / max(mass_kg, 1e-3)
    peel = (specific - GRAVITY * (1.0 + 2.0 * lateral_m / cup_radius_m)) / (1.0 + 2.0 * lever_m / cup_radius_m)
    slide = (config.friction * (specific - GRAVITY)) / (1.0 + config.friction)
    return float(min(peel, slide))
