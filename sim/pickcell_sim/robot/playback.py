"""Plays a trajectory: samples between its points, fades into it from another state, and brakes along it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

FADE_MIN_S = 0.02
FADE_SHARE = 0.5
"""Share of the acceleration limits that fading may use; the rest is left to the trajectory."""
BRAKE_MIN_S = 0.03


class Playback:
    """One trajectory being followed. Its own clock runs at ``rate`` 1 and is slowed down to 0 by braking."""

    def __init__(self, times: Array, positions: Array, velocities: Array, elapsed_s: float = 0.0) -> None:
        """``times`` (T,) s, ``positions`` and ``velocities`` (T, n); starts ``elapsed_s`` into the trajectory."""
        if not np.isfinite(elapsed_s) or elapsed_s < 0:
            raise ValueError(f"elapsed_s must be a time >= 0, got {elapsed_s}")
        self._times, self._positions, self._velocities = (_writable(values) for values in (times, positions, velocities))
        self._offset_s = elapsed_s
        self._clock_s = 0.0
        self._rate = 1.0
        self._braking_per_s = 0.0
        self._fade: tuple[float, Array] | None = None

    @staticmethod
    def braking(position: Array, velocity: Array, acceleration_max: Array) -> Playback:
        """A playback that only brakes, in a straight joint line, from a given state."""
        horizon = 2.0 * float(np.max(np.abs(velocity) / acceleration_max)) + 2.0 * BRAKE_MIN_S
        times = np.array([0.0, horizon])
        out = Playback(times, np.stack([position, position + horizon * velocity]), np.stack([velocity, velocity]))
        out.brake(acceleration_max)
        return out

    @property
    def finished(self) -> bool:
        """The trajectory and the fade into it are over."""
        fade_s = self._fade[0] if self._fade else 0.0
        return self._clock_s >= max(float(self._times[-1]) - self._offset_s, fade_s)

    @property
    def standing(self) -> bool:
        """Braked to a standstill."""
        return self._rate <= 0.0

    def sample(self, clock_s: float) -> tuple[Array, Array]:
        """Position and velocity ``clock_s`` after the start, at rate 1: cubic Hermite between the trajectory's points."""
        return _hermite(self._times, self._positions, self._velocities, clock_s + self._offset_s)

    def fade(self, gap: Array, gap_velocity: Array, acceleration_max: Array) -> None:
        """Start ``gap`` (position, velocity) away from the trajectory and close it with a cubic within the limits.

        The cubic e(t) with e(0) = gap, e'(0) = gap_velocity, e(T) = e'(T) = 0 has its largest acceleration at an end:
        |e''| <= max(|6 gap + 4 T v|, |6 gap + 2 T v|) / T^2.
        """
        if np.abs(gap).max() < 1e-9 and np.abs(gap_velocity).max() < 1e-9:
            return
        duration = FADE_MIN_S
        while duration < 2.0:
            at_start = np.abs(6 * gap + 4 * duration * gap_velocity) / duration**2
            at_end = np.abs(6 * gap + 2 * duration * gap_velocity) / duration**2
            if (np.maximum(at_start, at_end) <= FADE_SHARE * acceleration_max).all():
                break
            duration *= 1.15
        T = duration
        c2 = -(3 * gap + 2 * T * gap_velocity) / T**2
        c3 = (2 * gap + T * gap_velocity) / T**3
        self._fade = (T, np.stack([gap, gap_velocity, c2, c3]))

    def brake(self, acceleration_max: Array) -> None:
        """Slow the clock down to a standstill so that no joint decelerates faster than allowed. Keeps to the path."""
        if self._braking_per_s > 0.0:
            return
        _, velocity = self._state()
        duration = max(BRAKE_MIN_S, float(np.max(np.abs(velocity) / (0.9 * acceleration_max))))
        self._braking_per_s = self._rate / duration

    def advance(self, dt: float) -> tuple[Array, Array]:
        """Let ``dt`` pass; position and velocity to be commanded then."""
        before = self._rate
        self._rate = max(0.0, before - self._braking_per_s * dt)
        self._clock_s += 0.5 * (before + self._rate) * dt
        return self._state()

    def _state(self) -> tuple[Array, Array]:
        position, velocity = self.sample(self._clock_s)
        if self._fade is not None and self._clock_s < self._fade[0]:
            t, c = self._clock_s, self._fade[1]
            position = position + c[0] + t * (c[1] + t * (c[2] + t * c[3]))
            velocity = velocity + c[1] + t * (2 * c[2] + 3 * t * c[3])
        return position, self._rate * velocity


def _writable(values: Array) -> Array:
    """A copy of one layout: read-only and strided arrays would each be compiled for anew."""
    return np.array(values, dtype=np.float64, order="C")


@njit(cache=True)
def _hermite(times, positions, velocities, t):  # type: ignore[no-untyped-def]
    """Position and velocity (n,) at time ``t``; at rest at the last point from the end on."""
    n = positions.shape[1]
    position, velocity = np.empty(n), np.zeros(n)
    if t >= times[-1]:
        position[:] = positions[-1]
        return position, velocity
    k = max(np.searchsorted(times, t, side="right") - 1, 0)
    h = times[k + 1] - times[k]
    u = (t - times[k]) / h
    for j in range(n):
        m0, m1 = h * velocities[k, j], h * velocities[k + 1, j]
        d = positions[k + 1, j] - positions[k, j]
        position[j] = positions[k, j] + u * (m0 + u * ((3 * d - 2 * m0 - m1) + u * (m0 + m1 - 2 * d)))
        velocity[j] = (m0 + u * (2 * (3 * d - 2 * m0 - m1) + 3 * u * (m0 + m1 - 2 * d))) / h
    return position, velocity
