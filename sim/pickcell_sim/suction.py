"""The suction cup's physics as plain functions: pump and leak, seal of the lip, compliance of the cup, limits of the hold.

The hold follows the ring models of the literature: J. Mahler et al., "Dex-Net 3.0", ICRA 2018 (spring ring, wrench limits),
and G. Mantriota, "Theoretical model of the grasp with vacuum gripper", Mechanism and Machine Theory 42, 2007 (slip).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AMBIENT_PA = 101_325.0
AIR_DENSITY = 1.2
DISCHARGE = 0.62
"""Discharge coefficient of a sharp slot."""


@dataclass(frozen=True)
class Pump:
    """A vacuum ejector: flow falls linearly from ``flow_m3ps`` with an open line to 0 at ``vacuum_pa``."""

    flow_m3ps: float = 1e-3
    vacuum_pa: float = 75_000.0


@dataclass(frozen=True)
class Cup:
    """A bellows cup of one and a half folds."""

    radius_m: float = 0.015
    lateral_n_per_m: float = 3_000.0
    axial_n_per_m: float = 8_000.0
    bending_nm_per_rad: float = 1.6
    torsion_nm_per_rad: float = 1.0
    damping_s: float = 0.006
    """Damping per stiffness: rubber's loss at the frequencies of a held item."""
    friction: float = 0.5
    conformity_m: float = 0.0015
    """The lip follows a surface that deviates from its plane by this much."""
    tilt_max_rad: float = 0.21
    """The bellows lets the lip lie flat on a surface up to 12 degrees off."""

    @property
    def area_m2(self) -> float:
        return float(np.pi * self.radius_m**2)

    @property
    def stiffness(self) -> Array:
        """(6,) along and about the lip's x, y, z."""
        return np.array(
            [self.lateral_n_per_m] * 2 + [self.axial_n_per_m] + [self.bending_nm_per_rad] * 2 + [self.torsion_nm_per_rad]
        )


@dataclass(frozen=True)
class Seal:
    """How well a lip lies on a surface."""

    gap_m: float
    """Height of the slot that leaks as much as the rim does, averaged round the rim."""
    tilt_rad: float
    """Angle between the lip's axis and the surface normal."""
    covered: float
    """Share of the rim that has the surface under it."""


def vacuum_at_leak(gap_m: float, radius_m: float, pump: Pump, porosity_m3ps_pa: float = 0.0) -> float:
    """Steady vacuum (Pa below ambient) of a cup whose rim leaks through a slot of height ``gap_m``.

    Pump flow Q0 (1 - p/p0) equals slot flow Cd A sqrt(2 p / rho) plus Darcy flow through a porous item; a quadratic in
    sqrt(p).
    """
    slot = DISCHARGE * 2 * np.pi * radius_m * max(gap_m, 0.0) * np.sqrt(2.0 / AIR_DENSITY)
    linear = pump.flow_m3ps / pump.vacuum_pa + porosity_m3ps_pa
    root = (-slot + np.sqrt(slot**2 + 4.0 * linear * pump.flow_m3ps)) / (2.0 * linear)
    return float(root**2)


def ring_seal(heights_m: Array, radius_m: float, conformity_m: float, open_gap_m: float = 0.003) -> Seal:
    """Seal of a lip from the surface's height under points evenly spaced round its rim.

    ``heights_m`` (N,): distance along the cup's axis from the lip's plane to the surface, NaN where there is none. The
    lip lies in the plane fitted to the surface, and closes deviations of up to ``conformity_m``; the rest leaks.
    """
    angles = np.linspace(0.0, 2 * np.pi, len(heights_m), endpoint=False)
    hit = np.isfinite(heights_m)
    covered = float(hit.mean())
    if hit.sum() < 4:
        return Seal(open_gap_m, np.pi / 2, covered)
    A = np.column_stack([np.ones(len(angles)), radius_m * np.cos(angles), radius_m * np.sin(angles)])
    plane = np.linalg.lstsq(A[hit], heights_m[hit], rcond=None)[0]
    gaps = np.full(len(angles), open_gap_m)
    gaps[hit] = np.clip(np.abs(heights_m[hit] - A[hit] @ plane) - conformity_m, 0.0, open_gap_m)
    return Seal(float(gaps.mean()), float(np.arctan(np.hypot(plane[1], plane[2]))), covered)


def mobility_at(inverse_mass: float, inverse_inertia: Array, arm: Array) -> Array:
    """(6, 6) velocity change per impulse of a free body at a point ``arm`` (3,) away from its centre of mass.

    ``inverse_inertia`` (3, 3) about the centre of mass; all in one frame; linear part first.
    """
    cross = np.array([[0.0, -arm[2], arm[1]], [arm[2], 0.0, -arm[0]], [-arm[1], arm[0], 0.0]])
    W = np.zeros((6, 6))
    W[:3, :3] = inverse_mass * np.eye(3) - cross @ inverse_inertia @ cross
    W[:3, 3:] = -cross @ inverse_inertia
    W[3:, :3] = inverse_inertia @ cross
    W[3:, 3:] = inverse_inertia
    return W


def implicit_spring(cup: Cup, displacement: Array, velocity: Array, mobility: Array, step_s: float) -> Array:
    """(6,) force and torque of the cup on the item that hold at the end of the step (backward Euler).

    ``displacement`` and ``velocity`` (6,) of the item relative to the lip without the spring acting, ``mobility`` (6, 6)
    of the item at the lip, all in the lip's axes. From f = -K (x + h v') - D v' and v' = v + h W f:
    (1 + (h^2 K + h D) W) f = -K x - (h K + D) v. Stable for any step and mass.
    """
    K = cup.stiffness
    D = cup.damping_s * K
    left = np.eye(6) + (step_s**2 * K + step_s * D)[:, None] * mobility
    return np.asarray(np.linalg.solve(left, -K * displacement - (step_s * K + D) * velocity))


def hold_use(wrench: Array, vacuum_pa: float, cup: Cup) -> tuple[float, float]:
    """Share of the peel and of the slip limit that a load takes up; over 1 the seal gives way.

    ``wrench`` (6,): what the item pulls at the lip with, in the lip's axes, +z away from the cup.
    Peel: F_z + 2 M / r <= dP A. Slip: sqrt(F_t^2 + (T_z / r)^2) <= mu (dP A - F_z).
    """
    grip = vacuum_pa * cup.area_m2
    peel = wrench[2] + 2.0 * float(np.hypot(wrench[3], wrench[4])) / cup.radius_m
    slip = float(np.sqrt(wrench[0] ** 2 + wrench[1] ** 2 + (wrench[5] / cup.radius_m) ** 2))
    slip_limit = cup.friction * (grip - wrench[2])
    return peel / max(grip, 1e-9), slip / max(slip_limit, 1e-9)
