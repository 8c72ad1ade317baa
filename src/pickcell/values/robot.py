"""Readings of the arm and hand, and what they are told to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.values.frozen import freeze


@dataclass(frozen=True)
class JointState:
    stamp_s: float
    names: tuple[str, ...]
    positions: NDArray[np.float64]
    """(n,) rad or m."""
    velocities: NDArray[np.float64]
    efforts: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.names)
        for name in ("positions", "velocities", "efforts"):
            freeze(self, name, (n,), np.float64)

    def select(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """Positions of the named joints. Raises KeyError naming what is missing."""
        index = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in names if name not in index]
        if missing:
            raise KeyError(f"joints {missing} are not in the joint state; it has {list(self.names)}")
        return self.positions[[index[name] for name in names]]

    @staticmethod
    def merged(parts: Iterable[JointState]) -> JointState:
        """Several drivers' joints as one state, stamped as the oldest part; a joint reported twice comes from the newer.

        Raises ValueError when there are no parts.
        """
        order = sorted(parts, key=lambda part: part.stamp_s)
        if not order:
            raise ValueError("JointState.merged needs at least one part")
        if len(order) == 1:
            return order[0]
        values: dict[str, tuple[float, float, float]] = {}
        for part in order:
            values.update(zip(part.names, zip(part.positions, part.velocities, part.efforts)))
        table = np.array(list(values.values()), dtype=float).reshape(-1, 3)
        return JointState(order[0].stamp_s, tuple(values), table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True)
class JointTrajectory:
    """A timed path for the arm: sampled densely enough that linear interpolation of positions is faithful."""

    joint_names: tuple[str, ...]
    times_s: NDArray[np.float64]
    """(T,) from 0, strictly increasing."""
    positions: NDArray[np.float64]
    """(T, n) rad."""
    velocities: NDArray[np.float64]
    """(T, n) rad/s."""

    def __post_init__(self) -> None:
        n = len(self.joint_names)
        freeze(self, "times_s", (None,), np.float64)
        freeze(self, "positions", (len(self.times_s), n), np.float64)
        freeze(self, "velocities", (len(self.times_s), n), np.float64)
        if len(self.times_s) == 0 or (len(self.times_s) > 1 and not np.all(np.diff(self.times_s) > 0)):
            raise ValueError("JointTrajectory.times_s must be non-empty and strictly increasing")

    @property
    def duration_s(self) -> float:
        return float(self.times_s[-1])

    def reversed(self, slower: float = 1.0) -> JointTrajectory:
        """The same path from its end to its start, taking ``slower`` times as long."""
        times = slower * (self.times_s[-1] - self.times_s[::-1])
        return JointTrajectory(self.joint_names, times, self.positions[::-1].copy(), -self.velocities[::-1] / slower)


@dataclass(frozen=True)
class JawState:
    """The parallel jaw as its driver reports it."""

    stamp_s: float
    width_m: float
    """Distance between the pads."""
    force_n: float
    """Force per pad, estimated by the driver."""
    moving: bool
    stalled: bool
    """Stopped short of the commanded width: something is between the pads."""


@dataclass(frozen=True)
class Wrench:
    """Force and torque at the wrist sensor, in ``tool0``, acting on the hand (weight of hand and item included)."""

    stamp_s: float
    force_n: NDArray[np.float64]
    torque_nm: NDArray[np.float64]

    def __post_init__(self) -> None:
        freeze(self, "force_n", (3,), np.float64)
        freeze(self, "torque_nm", (3,), np.float64)


@dataclass(frozen=True)
class RobotReading:
    """One snapshot of all sensors that the executor watches while the arm moves."""

    joints: JointState
    jaw: JawState
    wrench: Wrench
    pressure_pa: float
    """Absolute pressure in the cup's line."""
    ambient_pa: float
    vacuum_on: bool
    estop: bool
    protective_stop: bool

    @property
    def stamp_s(self) -> float:
        return self.joints.stamp_s

    @property
    def vacuum_pa(self) -> float:
        """Vacuum level below ambient, >= 0."""
        return max(0.0, self.ambient_pa - self.pressure_pa)
