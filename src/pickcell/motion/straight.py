"""Straight lines of the tool, timed: dense IK solutions become a smooth curve over the way, one scalar profile drives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from pickcell.motion.timing import JointLimits, Motion, join_states, standstill

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Speeds:
    """How fast the tool may go along a line."""

    acceleration: float
    """m/s^2"""
    free: float = 1.0
    """m/s away from contact."""
    contact: float | None = None
    """m/s on the last ``slow_m``; None: no slow stretch."""
    slow_m: float = 0.0


@dataclass(frozen=True)
class _Rates:
    """Limits of the way's own velocity, acceleration and jerk, in metres."""

    velocity: float
    acceleration: float
    jerk: float


def _rates(first: Array, second: Array, limits: JointLimits, speeds: Speeds) -> _Rates:
    """Rates that keep all joints within their limits everywhere: by the chain rule on q(s), |q'|, |q''| at their worst."""
    slope, bend = np.maximum(np.abs(first).max(axis=0), 1e-9), np.maximum(np.abs(second).max(axis=0), 1e-9)
    velocity = min(
        speeds.free, float(np.min(limits.velocity / slope)), float(np.min(np.sqrt(0.4 * limits.acceleration / bend)))
    )
    acceleration = min(speeds.acceleration, float(np.min((limits.acceleration - bend * velocity**2) / slope)))
    return _Rates(velocity, acceleration, float(np.min(0.6 * limits.jerk / slope)))


def _profile(length: float, rates: _Rates, speeds: Speeds) -> Motion:
    """The way s(t) from 0 to ``length``, at rest at both ends, slow on its last stretch."""

    def leg(a: float, va: float, b: float, vb: float, top: float) -> Motion:
        limits = (np.array([top]), np.array([rates.acceleration]), np.array([rates.jerk]))
        z = np.zeros(1)
        found = join_states((np.array([a]), np.array([va]), z), (np.array([b]), np.array([vb]), z), limits)
        if found is None:
            raise RuntimeError("a straight motion between admissible states always exists")
        return found

    slow = min(speeds.contact if speeds.contact is not None else np.inf, rates.velocity)
    if speeds.contact is None or slow >= rates.velocity:
        return leg(0.0, 0.0, length, 0.0, rates.velocity)
    if length <= speeds.slow_m:
        return leg(0.0, 0.0, length, 0.0, slow)
    turn = length - speeds.slow_m
    # From rest to the contact speed takes some way; on a short run-up the whole leg is slow.
    run_up = slow * (slow / rates.acceleration + rates.acceleration / rates.jerk)
    if turn < run_up:
        return leg(0.0, 0.0, length, 0.0, slow)
    return leg(0.0, 0.0, turn, slow, rates.velocity).then(leg(turn, slow, length, 0.0, slow))


def straight_motion(qs: Array, step_m: float, limits: JointLimits, speeds: Speeds) -> Motion:
    """Timed motion through configurations (K, n) whose tool poses lie ``step_m`` metres apart on a line.

    Joint velocity and acceleration limits, the tool's acceleration and its speeds are kept at every sample.
    """
    if len(qs) < 2:
        return standstill(qs[0])
    way = step_m * np.arange(len(qs))
    curve = CubicSpline(way, qs, axis=0) if len(qs) > 3 else CubicSpline(way, qs, axis=0, bc_type="natural")
    dense = np.linspace(0.0, way[-1], 4 * len(qs))
    rates = _rates(curve(dense, 1), curve(dense, 2), limits, speeds)
    while True:
        s = _profile(float(way[-1]), rates, speeds)
        x, v, a = s.position[:, 0], s.velocity, s.acceleration
        first, second = curve(x, 1), curve(x, 2)
        velocity, acceleration = first * v, first * a + second * v**2
        over = max(
            float(np.max(np.abs(velocity) / limits.velocity)),
            float(np.sqrt(np.max(np.abs(acceleration) / limits.acceleration))),
        )
        if over <= 1.0:
            break
        k = 0.98 / over  # slower by k in time: k, k^2, k^3 of the rates
        rates = _Rates(rates.velocity * k, rates.acceleration * k**2, rates.jerk * k**3)
    # between samples on a joint's limit the spline may bulge past it
    position = np.clip(curve(x), np.minimum(limits.lower, qs[0]), np.maximum(limits.upper, qs[0]))
    position[0], position[-1] = qs[0], qs[-1]
    return Motion(position, velocity, acceleration)
