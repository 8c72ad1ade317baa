"""From paths to timed motions on an 8 ms grid: jerk-limited (ruckig), under joint limits and a cap on tool acceleration.

A :class:`Motion` keeps position, velocity and acceleration at every grid point, so that any two of its states can be joined
anew: that is what time-domain shortcutting does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import ruckig
from numba import njit
from numpy.typing import NDArray

from pickcell.motion.chain import Chain, frame_pose
from pickcell.motion.checking import Checker
from pickcell.motion.sweep import samples_free
from pickcell.values import JointTrajectory

Array = NDArray[np.float64]

State = tuple[Array, Array, Array]
"""Position, velocity, acceleration; as limits: velocity, acceleration, jerk."""

DT_S = 0.008


@dataclass(frozen=True)
class JointLimits:
    """Symmetric limits per joint (n,): rad, rad/s, rad/s^2, rad/s^3."""

    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array
    jerk: Array


class Tool(NamedTuple):
    """The point whose acceleration is capped: a frame of the robot with the hand's joints fixed."""

    chain: Chain
    body: int
    local: NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """States at 0, DT_S, 2 DT_S, ...: position, velocity, acceleration, each (T, n)."""

    position: Array
    velocity: Array
    acceleration: Array

    @property
    def duration_s(self) -> float:
        return (len(self.position) - 1) * DT_S

    def then(self, other: Motion) -> Motion:
        """This motion followed by one that starts in its last state."""
        return Motion(
            np.vstack([self.position, other.position[1:]]),
            np.vstack([self.velocity, other.velocity[1:]]),
            np.vstack([self.acceleration, other.acceleration[1:]]),
        )

    def part(self, first: int, last: int) -> Motion:
        """The states ``first`` to ``last``, both included."""
        s = slice(first, last + 1)
        return Motion(self.position[s], self.velocity[s], self.acceleration[s])

    def trajectory(self, names: tuple[str, ...]) -> JointTrajectory:
        """As the value that others execute; a motion of no duration becomes its single state."""
        times = np.arange(len(self.position), dtype=np.float64) * DT_S
        return JointTrajectory(names, times, self.position, self.velocity)


def standstill(q: Array) -> Motion:
    """The motion of no duration at ``q``."""
    row = np.asarray(q, dtype=float)[None, :]
    return Motion(row.copy(), np.zeros_like(row), np.zeros_like(row))


@njit(cache=True, nogil=True)
def peak_tool_acceleration(tool, qs, dt):  # type: ignore[no-untyped-def]
    """Largest acceleration (m/s^2) of the tool along configurations (K, n) ``dt`` apart, by second differences."""
    bodies, pose = np.empty((tool.chain.parent.shape[0], 3, 4)), np.empty((3, 4))
    track = np.empty((qs.shape[0], 3))
    for k in range(qs.shape[0]):
        frame_pose(tool.chain, tool.body, tool.local, qs[k], bodies, pose)
        track[k] = pose[:, 3]
    peak = 0.0
    for k in range(1, qs.shape[0] - 1):
        total = 0.0
        for i in range(3):
            total += (track[k + 1, i] - 2.0 * track[k, i] + track[k - 1, i]) ** 2
        peak = max(peak, total)
    return np.sqrt(peak) / (dt * dt)


@njit(cache=True, nogil=True)
def _sampled(brake, phases, knots, count, dt):  # type: ignore[no-untyped-def]
    """Position, velocity and acceleration (3, count, n) of jerk-wise constant profiles on a grid.

    ``brake`` (n, 5, 2): durations, position, velocity, acceleration, jerk of what brings a state back inside its limits.
    ``phases`` (n, 2, 7): durations and jerks of the profile, ``knots`` (n, 3, 8): position, velocity, acceleration at their
    starts and at the end.
    """
    n = brake.shape[0]
    out = np.empty((3, count, n))
    for d in range(n):
        before = brake[d, 0, 0] + brake[d, 0, 1]
        for k in range(count):
            t = k * dt
            if t < before:
                s = 0 if t < brake[d, 0, 0] else 1
                t -= s * brake[d, 0, 0]
                p, v, a, j = brake[d, 1, s], brake[d, 2, s], brake[d, 3, s], brake[d, 4, s]
            else:
                t -= before
                s = 0
                while s < 7 and t >= phases[d, 0, s]:
                    t -= phases[d, 0, s]
                    s += 1
                p, v, a = knots[d, 0, s], knots[d, 1, s], knots[d, 2, s]
                j = phases[d, 1, s] if s < 7 else 0.0
            out[0, k, d] = p + t * (v + t * (a / 2.0 + t * j / 6.0))
            out[1, k, d] = v + t * (a + t * j / 2.0)
            out[2, k, d] = a + t * j
    return out


def join_states(start: State, end: State, limits: State, shorter_than: int | None = None) -> Motion | None:
    """Time-optimal jerk-limited motion between two full states, its duration rounded up to the grid. None if impossible, or
    when it would take ``shorter_than`` steps of the grid or more."""
    n = len(start[0])
    given = ruckig.InputParameter(n)
    given.current_position, given.current_velocity, given.current_acceleration = (v.tolist() for v in start)
    given.target_position, given.target_velocity, given.target_acceleration = (v.tolist() for v in end)
    given.max_velocity, given.max_acceleration, given.max_jerk = (v.tolist() for v in limits)
    given.duration_discretization = ruckig.DurationDiscretization.Discrete
    found = ruckig.Trajectory(n)
    try:
        result = ruckig.Ruckig(n, DT_S).calculate(given, found)
    except ruckig.RuckigError:  # a state outside the limits, e.g. an acceleration that must overshoot the velocity limit
        return None
    if result not in (ruckig.Result.Working, ruckig.Result.Finished):
        return None
    steps = round(found.duration / DT_S)
    if shorter_than is not None and steps >= shorter_than:
        return None
    motion = sampled(found)
    for values, target in ((motion.position, end[0]), (motion.velocity, end[1]), (motion.acceleration, end[2])):
        values[-1] = target  # exact, where ruckig is within rounding
    return motion


NO_BRAKE = ((0.0, 0.0),) * 5


def sampled(found: ruckig.Trajectory) -> Motion:
    """A trajectory of ruckig's on the grid."""
    profiles = found.profiles[0]
    brakes = [p.brake for p in profiles]
    brake = np.array([(b.t, b.p, b.v, b.a, b.j) if b.duration > 0.0 else NO_BRAKE for b in brakes])
    phases, knots = np.array([(p.t, p.j) for p in profiles]), np.array([(p.p, p.v, p.a) for p in profiles])
    return Motion(*_sampled(brake, phases, knots, round(found.duration / DT_S) + 1, DT_S))


def _stop_to_stop(a: Array, b: Array, limits: JointLimits, slow: float) -> Motion:
    """Straight from rest at ``a`` to rest at ``b``: one scalar profile for all joints, ``slow`` <= 1 scales time."""
    delta = b - a
    moving = np.abs(delta) > 1e-9
    if not moving.any():
        return standstill(a)
    scale = np.abs(delta[moving])
    scalar = (
        np.array([np.min(limits.velocity[moving] / scale) * slow]),
        np.array([np.min(limits.acceleration[moving] / scale) * slow**2]),
        np.array([np.min(limits.jerk[moving] / scale) * slow**3]),
    )
    zero, one = np.zeros(1), np.ones(1)
    s = join_states((zero, zero, zero), (one, zero, zero), scalar)
    if s is None:
        raise RuntimeError("a rest-to-rest motion always exists")
    position = a + s.position * delta
    position[-1] = b
    return Motion(position, s.velocity * delta, s.acceleration * delta)


def along_vertices(path: Array, limits: JointLimits, tool: Tool, tool_cap: float) -> Motion:
    """Visit the vertices (K, n) on straight joint lines, at rest in each."""
    motion = standstill(path[0])
    for a, b in pairwise(path):
        leg = _stop_to_stop(a, b, limits, 1.0)
        slow = 1.0
        for _ in range(3):  # time scaling is exact but for the rounding to the grid
            peak = peak_tool_acceleration(tool, leg.position, DT_S)
            if peak <= tool_cap:
                break
            slow *= 0.99 * np.sqrt(tool_cap / peak)
            leg = _stop_to_stop(a, b, limits, slow)
        motion = motion.then(leg)
    return motion


HARDER = 1.15
"""By how much more than the last join the next one tries."""
VELOCITY_SLACK = 1.0 + 1e-7
"""Share of a velocity limit that rounding may exceed."""


def _join(
    motion: Motion, i: int, j: int, limits: JointLimits, tool: Tool, tool_cap: float, soft: float
) -> tuple[Motion | None, float]:
    """A quicker way from state i to state j of the motion under all limits but collision; None when there is none. ``soft``:
    share of the joints' acceleration that is tried first; returned is the one that kept the tool under its cap."""
    start = (motion.position[i], motion.velocity[i], motion.acceleration[i])
    end = (motion.position[j], motion.velocity[j], motion.acceleration[j])
    for _ in range(3):
        # Scaling acceleration and jerk down keeps the tool under its cap; both end states must stay inside the limits.
        room = np.maximum(limits.acceleration * soft, 1.001 * np.maximum(np.abs(start[2]), np.abs(end[2])))
        room = np.minimum(room, limits.acceleration)
        leg = join_states(start, end, (limits.velocity, room, limits.jerk * max(soft, 0.3)), j - i)
        if leg is None:
            return None, soft
        if np.any(leg.position < limits.lower) or np.any(leg.position > limits.upper):
            return None, soft
        # from a state near the velocity limit that still accelerates, the join overshoots it; many joins would add up
        if np.any(np.abs(leg.velocity) > VELOCITY_SLACK * limits.velocity):
            return None, soft
        # one state more on either side: the second difference across the joints counts too
        window = np.vstack([motion.position[max(i - 1, 0) : i], leg.position, motion.position[j + 1 : j + 2]])
        peak = peak_tool_acceleration(tool, np.ascontiguousarray(window), DT_S)
        if peak <= tool_cap:
            return leg, soft
        soft *= 0.95 * tool_cap / peak
    return None, soft


def shorten(
    motion: Motion, limits: JointLimits, tool: Tool, tool_cap: float, checker: Checker, tries: int, rng: np.random.Generator
) -> Motion:
    """Time-domain shortcutting (Hauser & Ng-Thow-Hing 2010): join two random states anew, keep what is quicker and free.

    Every result starts and ends in the same states as ``motion`` and never exceeds a limit that it kept. How softly a join
    had to be made is where the next one begins: of one motion's, most have to be made alike.
    """
    best, soft = motion, 1.0
    for attempt in range(tries):
        last = len(best.position) - 1
        if last < 6:
            break
        if attempt == 0:
            i, j = 0, last
        else:
            i, j = sorted(int(v) for v in rng.integers(0, last + 1, 2))
        if j - i < 6:
            continue
        leg, used = _join(best, i, j, limits, tool, tool_cap, soft)
        if leg is None:
            continue
        soft = min(1.0, HARDER * used)
        if not samples_free(checker, np.ascontiguousarray(leg.position)):
            continue
        best = best.part(0, i).then(leg).then(best.part(j, last))
    return best
