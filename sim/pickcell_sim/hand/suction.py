"""The suction cup's physics as plain functions: pump and leak, seal of the lip, compliance of the cup, limits of the hold.

The hold follows the ring models of the literature: J. Mahler et al., "Dex-Net 3.0", ICRA 2018 (spring ring, wrench limits),
and G. Mantriota, "Theoretical model of the grasp with vacuum gripper", Mechanism and Machine Theory 42, 2007 (slip).
Which cups and vacuum sources there are: :mod:`pickcell_sim.hand.cups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AMBIENT_PA = 101_325.0
AIR_DENSITY = 1.2
DISCHARGE = 0.62
"""Discharge coefficient of a sharp slot."""


@dataclass(frozen=True)
class Pump:
    """A vacuum source: flow falls linearly from ``flow_m3ps`` with an open line to 0 at ``vacuum_pa``.

    As it stands, the 60 l/min ejector.
    """

    flow_m3ps: float = 1e-3
    vacuum_pa: float = 75_000.0
    evacuate_s: float = 0.05
    vent_s: float = 0.02
    """Time constants of the line: sucking the cup empty, and losing the vacuum through a leak or the blow-off valve."""


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
    """How a lip lies on a surface, at N points evenly spaced round its rim."""

    deviation_m: Array
    """(N,) height of the surface over the lip's plane, positive where it recedes; NaN where there is none."""
    steepened_m: Array
    """(N,) the same with short waves counted as high as they are hard to follow: what the lip's conformity is spent on."""
    tilt_rad: float
    """Angle between the lip's axis and the surface normal."""
    conformity_m: float
    open_gap_m: float

    @property
    def covered(self) -> float:
        """Share of the rim that has the surface under it."""
        return float(np.isfinite(self.deviation_m).mean())

    @cached_property
    def gap_m(self) -> float:
        """Height of the slot that leaks as much as the unloaded rim does, averaged round the rim."""
        return self.gap_when_open(np.zeros(len(self.deviation_m)))

    def gap_when_open(self, opening_m: Array) -> float:
        """The same when a load has lifted the lip by ``opening_m`` (N,) >= 0. What conformity is left follows that too."""
        hit = np.isfinite(self.deviation_m)
        gaps = np.full(len(hit), self.open_gap_m)
        away = np.maximum(np.abs(self.deviation_m[hit]), self.deviation_m[hit] + opening_m[hit])
        needed = np.maximum(np.abs(self.steepened_m[hit]), self.steepened_m[hit] + opening_m[hit])
        left = 1.0 - self.conformity_m / np.maximum(needed, self.conformity_m)
        gaps[hit] = np.minimum(away * left, self.open_gap_m)
        return float(gaps.mean())


def vacuum_at_leak(gap_m: float, radius_m: float, pump: Pump, porosity_m3ps_pa: float = 0.0) -> float:
    """Steady vacuum (Pa below ambient) of a cup whose rim leaks through a slot of height ``gap_m``.

    Pump flow Q0 (1 - p/p0) equals slot flow Cd A sqrt(2 p / rho) plus Darcy flow through a porous item; a quadratic in
    sqrt(p).
    """
    slot = DISCHARGE * 2 * np.pi * radius_m * max(gap_m, 0.0) * np.sqrt(2.0 / AIR_DENSITY)
    linear = pump.flow_m3ps / pump.vacuum_pa + porosity_m3ps_pa
    root = (-slot + np.sqrt(slot**2 + 4.0 * linear * pump.flow_m3ps)) / (2.0 * linear)
    return float(root**2)


def ring_seal(
    heights_m: Array, radius_m: float, conformity_m: float, steepened_m: Array | None = None, open_gap_m: float = 0.003
) -> Seal:
    """Seal of a lip from the surface's height under points evenly spaced round its rim.

    ``heights_m`` (N,): distance along the cup's axis from the lip's plane to the surface, NaN where there is none. The
    lip lies in the plane fitted to the surface, and closes deviations of up to ``conformity_m``; the rest leaks.
    ``steepened_m`` (N,): what the short waves in ``heights_m`` count for in addition, see :func:`wave_factor`.
    """
    angles = np.linspace(0.0, 2 * np.pi, len(heights_m), endpoint=False)
    hit = np.isfinite(heights_m)
    if hit.sum() < 4:
        nothing = np.full(len(heights_m), np.nan)
        return Seal(nothing, nothing, np.pi / 2, conformity_m, open_gap_m)
    A = np.column_stack([np.ones(len(angles)), radius_m * np.cos(angles), radius_m * np.sin(angles)])
    plane = np.linalg.lstsq(A[hit], heights_m[hit], rcond=None)[0]
    deviation = heights_m - A @ plane
    tilt = float(np.arctan(np.hypot(plane[1], plane[2])))
    return Seal(deviation, deviation + (0.0 if steepened_m is None else steepened_m), tilt, conformity_m, open_gap_m)


def wave_factor(length_m: Array, radius_m: float) -> Array:
    """How many times harder waves of a length are to follow for a lip than a bend of its whole ring, at the same height.

    A lip that closes a height c over the two waves round its rim that a cylinder makes (length pi r) bends to a curvature
    of up to 4 c / r^2; a shorter wave of the same height is more curved, with the square. Assumed; never under 1.
    """
    return np.maximum(np.pi * radius_m / length_m, 1.0) ** 2


def lip_opening(wrench: Array, vacuum_pa: float, cup: Cup, points: int) -> Array:
    """(N,) how far the load lifts the lip off the surface round the rim, metres; zero while the seal is within its limit.

    The load's line force F_z / (2 pi r) + M-part / (pi r^2) less the vacuum's dP r / 2 is what the lip presses on with;
    where that turns to a pull, which a lip cannot bear, it yields with the axial stiffness.
    ``wrench`` as in :func:`hold_use`.
    """
    angles = np.linspace(0.0, 2 * np.pi, points, endpoint=False)
    moment = wrench[3] * np.sin(angles) - wrench[4] * np.cos(angles)
    pull = wrench[2] + 2.0 * moment / cup.radius_m - vacuum_pa * cup.area_m2
    return np.asarray(np.maximum(pull, 0.0) / cup.axial_n_per_m)


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
    left, right = _implicit_system(cup, displacement, velocity, mobility, step_s)
    return np.asarray(np.linalg.solve(left, right))


def _implicit_system(cup: Cup, x: Array, v: Array, W: Array, h: float) -> tuple[Array, Array]:
    K = cup.stiffness
    D = cup.damping_s * K
    return np.eye(6) + (h**2 * K + h * D)[:, None] * W, -K * x - (h * K + D) * v


SLIDING = np.array([0, 1, 5])
"""Components of a wrench or a displacement that friction bears: along x and y, about z."""
UPRIGHT = np.array([2, 3, 4])


def sliding_spring(
    cup: Cup, displacement: Array, velocity: Array, mobility: Array, step_s: float, grip_n: float
) -> tuple[Array, float]:
    """Like :func:`implicit_spring`, with the tangential load bounded by the lip's friction. ``grip_n``: dP A.

    Returns the force (6,), and the share of the slip limit that a lip which does not slide would take up (over 1: it
    slides). Sideways force and torsion are brought back to the limit surface of :func:`hold_use` in their own direction;
    the other components are solved anew beside them.
    """
    left, right = _implicit_system(cup, displacement, velocity, mobility, step_s)
    force = np.linalg.solve(left, right)
    load = _tangential(cup, force)
    demand = load / max(cup.friction * (grip_n + force[2]), 1e-9)
    if demand <= 1.0:
        return force, demand
    direction = force[SLIDING] / load
    for _ in range(3):  # the normal force depends on the tangential one only weakly
        force[SLIDING] = direction * cup.friction * max(grip_n + force[2], 0.0)
        rest = right[UPRIGHT] - left[np.ix_(UPRIGHT, SLIDING)] @ force[SLIDING]
        force[UPRIGHT] = np.linalg.solve(left[np.ix_(UPRIGHT, UPRIGHT)], rest)
    return force, demand


def _tangential(cup: Cup, force: Array) -> float:
    """Sideways force and torsion as one force at the lip, newtons."""
    return float(np.linalg.norm(force[SLIDING] * [1.0, 1.0, 1.0 / cup.radius_m]))


def slid_by(cup: Cup, displacement: Array, normal_n: float) -> Array:
    """(3,) how far a lip under ``displacement`` (6,) has slid: along x, y (m), about z (rad); zero within its friction.

    The spring cannot stay stretched further than friction bears under ``normal_n`` = dP A - F_z; the rest is sliding.
    """
    stretch = _tangential(cup, cup.stiffness * displacement)
    bearable = cup.friction * max(normal_n, 0.0)
    share = 0.0 if stretch <= bearable else 1.0 - bearable / stretch
    return np.asarray(share * displacement[SLIDING])


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
