"""Keeps simulated time in step with the wall clock. ROS-free."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LAG_S = 0.1
"""Simulated time that a late simulator makes up for at most; what is lost beyond that stays lost."""


@dataclass
class Pacer:
    """How much simulated time is due. ``factor``: simulated seconds per wall second, 0 for as fast as possible."""

    factor: float
    chunk_s: float
    """Time simulated between two publications."""
    _wall_origin: float = 0.0
    _sim_origin: float = 0.0
    _started: bool = False
    lost_s: float = 0.0
    """Simulated time given up so far because the computer was too slow."""

    def __post_init__(self) -> None:
        if not self.factor >= 0:
            raise ValueError(f"realtime_factor must be >= 0 (0: as fast as possible), got {self.factor}")
        if not self.chunk_s > 0:
            raise ValueError(f"chunk_s must be positive, got {self.chunk_s}")

    def due_s(self, wall_s: float, sim_s: float) -> float:
        """Simulated time to go through now. A simulator that fell behind makes up for a moment, then lets it be."""
        if self.factor == 0.0:
            return self.chunk_s
        if not self._started:
            self._started, self._wall_origin, self._sim_origin = True, wall_s, sim_s
        due = self._sim_origin + self.factor * (wall_s - self._wall_origin) - sim_s
        if due > MAX_LAG_S + self.chunk_s:
            excess = due - MAX_LAG_S
            self.lost_s += excess
            self._sim_origin -= excess
            due = MAX_LAG_S
        return max(0.0, due)


class Schedule:
    """Fires at a fixed rate of simulated time; a missed beat is skipped, not made up for."""

    def __init__(self, rate_hz: float, phase_s: float = 0.0) -> None:
        if not rate_hz > 0:
            raise ValueError(f"a rate must be positive, got {rate_hz} Hz")
        self.period_s = 1.0 / rate_hz
        self._next_s = phase_s

    def due(self, now_s: float) -> bool:
        """True once per period. Half a physics step of slack keeps the beat when the period is no multiple of the step."""
        if now_s < self._next_s - 0.002:
            return False
        self._next_s += self.period_s
        if self._next_s < now_s - self.period_s:  # late by more than a beat, or the world was set up anew
            self._next_s = now_s + self.period_s
        return True
