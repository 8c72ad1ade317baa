"""Inverse kinematics of one tool frame: many targets at once, several distinct solutions each, nearest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickcell.geometry import inverse
from pickcell.motion.chain import Chain, frame_poses
from pickcell.motion.ik import follow_line, nearest_seeds, solve_batch
from pickcell.motion.model import RobotModel

Array = NDArray[np.float64]
Chained = tuple[Chain, int, Array]

POOL = 3000
ITERATIONS = 40
DISTINCT_RAD = 0.15
"""Solutions whose joints all differ by less are one."""
LIMIT_MARGIN_RAD = 0.002
"""Solutions keep this far inside the joint limits, so that rounding never leaves them."""


@dataclass(frozen=True)
class Line:
    """Configurations (K, n) along a straight line of the tool, ``step_m`` apart, and how far it was meant to go."""

    qs: Array
    step_m: float
    wanted_m: float

    @property
    def length_m(self) -> float:
        return (len(self.qs) - 1) * self.step_m

    @property
    def complete(self) -> bool:
        return self.length_m > self.wanted_m - 1e-6


def arm_chain(
    robot: RobotModel, frame: str, jaw_opening: float = 0.0, cup_extended: bool = True
) -> tuple[Chain, int, Array]:
    """The arm's own chain to ``frame`` with the hand's joints made rigid: chain, body and local pose (3, 4)."""
    body, _ = robot.frame(frame)
    chain, path = robot.chain, [0]
    b, ancestors = body, []
    while b > 0:
        if chain.joint[b] < robot.n:
            ancestors.append(b)
        b = int(chain.parent[b])
    path += ancestors[::-1]
    count = len(path)
    parent = np.arange(-1, count - 1)
    sub = Chain(parent, chain.joint[path], chain.kind[path], chain.offset[path].copy(), chain.axis[path].copy())
    zero = np.zeros((1, robot.n))
    last = np.eye(4)
    last[:3] = frame_poses(sub, count - 1, np.eye(4)[:3].copy(), zero)[0]
    local = inverse(last) @ robot.fk(zero[0], frame, jaw_opening, cup_extended)
    return sub, count - 1, np.ascontiguousarray(local[:3])


class IkSolver:
    """Solves for one frame of one robot. The cup's frames are taken with the slide where ``cup_extended`` says."""

    def __init__(self, robot: RobotModel, frame: str, cup_extended: bool = True) -> None:
        self.chain, self.body, self.local = arm_chain(robot, frame, 0.0, cup_extended)
        self.frame = frame
        self.n = robot.n
        self.lower, self.upper = robot.lower + LIMIT_MARGIN_RAD, robot.upper - LIMIT_MARGIN_RAD
        self._speed = np.where(np.isfinite(robot.velocity), robot.velocity, np.pi)
        rng = np.random.default_rng(0)
        self._pool = rng.uniform(self.lower, self.upper, (POOL, robot.n))
        self._poses = frame_poses(self.chain, self.body, self.local, self._pool)

    def pose(self, q: ArrayLike) -> Array:
        """X_base_frame (4, 4) at the arm's configuration (n,)."""
        X = np.eye(4)
        X[:3] = frame_poses(self.chain, self.body, self.local, np.asarray(q, dtype=float)[None, :])[0]
        return X

    def poses(self, qs: Array) -> Array:
        """(K, 3, 4) along configurations (K, n)."""
        return np.asarray(frame_poses(self.chain, self.body, self.local, np.ascontiguousarray(qs)))

    def solve(
        self, targets: ArrayLike, references: ArrayLike, free_z: bool = False, seeds: int = 8, count: int = 4
    ) -> list[Array]:
        """For each target (T, 4, 4), up to ``count`` distinct solutions (k, n), the quickest to reach from the first of
        ``references`` (R, n) first; k = 0 where there is none. ``free_z``: any turn about the tool's z is accepted.

        Seeds are all references and the ``seeds`` stored configurations whose tool poses are nearest.
        Raises ValueError for targets or references that are not finite or of the wrong shape.
        """
        X = np.asarray(targets, dtype=float)
        refs = np.atleast_2d(np.asarray(references, dtype=float))
        if X.ndim != 3 or X.shape[1:] != (4, 4) or not np.all(np.isfinite(X)):
            raise ValueError(f"targets must be finite poses (T, 4, 4), got shape {X.shape}")
        if refs.shape[1] != self.n or len(refs) == 0 or not np.all(np.isfinite(refs)):
            raise ValueError(f"references must be finite (R, {self.n}) with R > 0, got shape {refs.shape}")
        if len(X) == 0:
            return []
        rows = np.ascontiguousarray(X[:, :3])
        free = np.full(len(X), free_z)
        near = nearest_seeds(self._poses, rows, free, seeds)
        start = np.empty((len(X), len(refs) + seeds, self.n))
        start[:, : len(refs)] = np.clip(refs, self.lower, self.upper)
        start[:, len(refs) :] = self._pool[near]
        q, ok = solve_batch(self.chain, self.body, self.local, rows, start, self.lower, self.upper, free, ITERATIONS)
        return [self._distinct(q[t][ok[t]], refs[0], count) for t in range(len(X))]

    def _distinct(self, solutions: Array, reference: Array, count: int) -> Array:
        """Drop repeats; order by the time the slowest joint needs, with a little of the others'."""
        if len(solutions) == 0:
            return np.zeros((0, self.n))
        times = np.abs(solutions - reference) / self._speed
        order = np.argsort(times.max(axis=1) + 0.1 * times.sum(axis=1))
        kept: list[Array] = []
        for k in order:
            if all(np.max(np.abs(solutions[k] - other)) > DISTINCT_RAD for other in kept):
                kept.append(solutions[k])
                if len(kept) == count:
                    break
        return np.array(kept)

    def line(self, q: Array, direction: ArrayLike, length_m: float, step_m: float = 0.005, jump_rad: float = 0.25) -> Line:
        """Move the tool straight along ``direction`` (3,) in base_link, orientation kept, by up to ``length_m``.

        Ends early at a joint limit or where joints would have to jump; the step is adjusted to divide the length.
        """
        d = np.asarray(direction, dtype=float)
        norm = float(np.linalg.norm(d))
        if not norm > 1e-9 or not np.isfinite(length_m) or length_m < 0:
            raise ValueError("a line needs a direction and a length >= 0")
        steps = max(1, int(np.ceil(length_m / step_m - 1e-9))) if length_m > 1e-9 else 0
        if steps == 0:
            return Line(np.array([q]), step_m, length_m)
        step = length_m / steps
        lower, upper = np.minimum(self.lower, q), np.maximum(self.upper, q)
        qs = follow_line(
            self.chain, self.body, self.local, np.ascontiguousarray(q), d / norm, step, steps, jump_rad, lower, upper
        )
        return Line(qs, step, length_m)
