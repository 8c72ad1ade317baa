"""Plans legs with every method, in turn and on the same machine, and has each result judged exactly."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.geometry import make_pose
from pickcell.motion.replan import replan
from pickcell.motion.rrt import rrt_connect, shortcut
from pickcell.motion.sweep import samples_free
from pickcell.motion.timing import Motion, along_vertices, shorten
from pickcell.outcome import Code, Outcome
from pickcell.values import Scene, Voxel
from pickcell_sim.bench.motion.legs import BinLegs, Leg
from pickcell_sim.bench.motion.oracle import CAREFUL_M, Oracle

Array = NDArray[np.float64]
T = TypeVar("T")

ORACLE_S = 5.0
"""After which OMPL is taken not to find anything."""
CONVERGED_TRIES = 800
CONVERGED_EVERY = 3
"""Legs of which one is smoothed until nothing more is gained."""
APPEARS_AT, BLOCKS_AT = 0.25, 0.65
"""Shares of a motion's duration: when an obstacle comes up, and the place on the way where it stands."""
OBSTACLE_M = 0.08
"""Side of the cube that comes up."""
REPLAN_TRIES = 40
MOST_IN_VAIN = 20
"""Bins in a row from which nothing could be drawn."""


@dataclass
class Outcomes:
    """What came of one method."""

    solved: list[bool] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    """Of those solved."""
    plan_ms: list[float] = field(default_factory=list)
    simplify_ms: list[float] = field(default_factory=list)


@dataclass
class Measured:
    """All of it."""

    cycles: int = 0
    ours: Outcomes = field(default_factory=Outcomes)
    oracle: Outcomes = field(default_factory=Outcomes)
    trajectory_ms: list[float] = field(default_factory=list)
    trajectory_valid: list[bool] = field(default_factory=list)
    duration_s: list[float] = field(default_factory=list)
    stops_s: list[float] = field(default_factory=list)
    """The same legs, stopping at their vertices."""
    over_converged: list[float] = field(default_factory=list)
    """Share by which a trajectory takes longer than the same smoothed for much longer."""
    field_ms: list[float] = field(default_factory=list)
    replan_ms: list[float] = field(default_factory=list)
    """From the changed field on: checking what is left of the motion, stop, search and smoothing."""
    replanned: list[str] = field(default_factory=list)
    """How each ended: ``found``, ``no path``, or ``too late`` where even stopping hits."""
    replan_valid: list[bool] = field(default_factory=list)


def _timed(into: list[float], call: Callable[[], T]) -> T:
    begin = time.perf_counter()
    value = call()
    into.append(1e3 * (time.perf_counter() - begin))
    return value


class MotionBench:
    """Legs of one cell, one after another."""

    def __init__(self, cell: CellConfig, oracle: bool = True) -> None:
        """``oracle``: let OMPL plan every leg as well."""
        self.legs = BinLegs(cell, CAREFUL_M)
        self._core = self.legs.planner.core
        self._with_oracle = oracle
        self.measured = Measured()

    def run(self, legs: int, seed: int, on_leg: Callable[[int], None] = lambda done: None) -> Measured:
        """``legs`` legs of cycles from ``seed`` on, after one that does not count and compiles what is compiled. Raises
        ValueError for an arm that reaches nothing."""
        for leg in self.legs.cycle(seed):
            self._one(leg)
        self.measured = Measured()
        in_vain = 0
        while len(self.measured.ours.solved) < legs:
            self.measured.cycles += 1
            drawn = self.legs.cycle(seed + self.measured.cycles)
            in_vain = 0 if drawn else in_vain + 1
            if in_vain == MOST_IN_VAIN:
                raise ValueError(f"{in_vain} bins in a row without a box that this arm can reach and carry over")
            for leg in drawn:
                self._one(leg)
                on_leg(len(self.measured.ours.solved))
        return self.measured

    def _one(self, leg: Leg) -> None:
        motion = self._ours(leg)
        if self._with_oracle:
            self._theirs(leg)
        if motion is not None:
            self._disturbed(leg, motion)

    def _ours(self, leg: Leg) -> Motion | None:
        core, cfg, out, m = self._core, self._core.config, self.measured.ours, self.measured
        path, which = _timed(
            out.plan_ms,
            lambda: rrt_connect(leg.checker, leg.start, leg.goals, core.guides, cfg.rrt_nodes, cfg.rrt_step_m, cfg.seed),
        )
        out.solved.append(which >= 0)
        if which < 0:
            out.simplify_ms.append(0.0)
            return None
        path = _timed(out.simplify_ms, lambda: shortcut(leg.checker, path, cfg.shortcut_tries, cfg.seed))
        out.valid.append(leg.exact.path_free(path))
        tool, cap = core.tool(leg.load), leg.load.acceleration

        def smooth(tries: int) -> Motion:
            stops = along_vertices(path, core.limits, tool, cap)
            return shorten(stops, core.limits, tool, cap, leg.checker, tries, np.random.default_rng(cfg.seed))

        motion = _timed(m.trajectory_ms, lambda: smooth(cfg.join_tries))
        m.trajectory_valid.append(leg.exact.path_free(motion.position))
        m.duration_s.append(motion.duration_s)
        m.stops_s.append(along_vertices(path, core.limits, tool, cap).duration_s)
        if len(m.duration_s) % CONVERGED_EVERY == 0:
            m.over_converged.append(motion.duration_s / smooth(CONVERGED_TRIES).duration_s - 1.0)
        return motion

    def _theirs(self, leg: Leg) -> None:
        out, oracle = self.measured.oracle, Oracle(leg.careful, self._core.limits.lower, self._core.limits.upper)
        path = _timed(out.plan_ms, lambda: oracle.plan(leg.start, leg.goals, ORACLE_S))
        out.solved.append(len(path) > 0)
        if not len(path):
            out.simplify_ms.append(0.0)
            return
        path = _timed(out.simplify_ms, oracle.simplify)
        out.valid.append(leg.exact.path_free(path))

    def _disturbed(self, leg: Leg, motion: Motion) -> None:
        """An obstacle comes up on the way while the arm moves."""
        core, m = self._core, self.measured
        now, there = (int(share * (len(motion.position) - 1)) for share in (APPEARS_AT, BLOCKS_AT))
        at = core.solvers[leg.load.tool].pose(motion.position[there])[:3, 3]
        X = make_pose(at)
        if not self._clear_of(leg, X, motion.position[now]):
            return  # it would come up inside the arm
        scene = _with_cube(leg.scene, at)
        world = _timed(m.field_ms, lambda: self.legs.world(scene, leg.held))
        checker = core.checker(leg.load, world)
        state = (motion.position[now], motion.velocity[now], motion.acceleration[now])

        def react() -> Outcome[tuple[Motion, int]] | None:
            if samples_free(checker, np.ascontiguousarray(motion.position[now:])):
                return None
            return replan(core, state, leg.goals, leg.load, checker, REPLAN_TRIES)

        begin = time.perf_counter()
        found = react()
        took_ms = 1e3 * (time.perf_counter() - begin)
        if found is None:
            return  # the way passes by it
        m.replan_ms.append(took_ms)
        m.replanned.append("found" if found.ok else "too late" if found.code is Code.UNEXPECTED_CONTACT else "no path")
        if found.ok:
            exact = leg.exact.with_box(X, (OBSTACLE_M,) * 3)
            m.replan_valid.append(exact.path_free(found.unwrap()[0].position))

    def _clear_of(self, leg: Leg, X_base_cube: Array, q: Array) -> bool:
        return leg.exact.with_box(X_base_cube, (2.0 * OBSTACLE_M,) * 3).free(q)


def _with_cube(scene: Scene, at: Array) -> Scene:
    """The scene with an occupied cube at a place."""
    grid = scene.occupancy
    state = grid.state.copy()
    low = np.floor((at - 0.5 * OBSTACLE_M - grid.origin) / grid.resolution_m).astype(int)
    high = np.ceil((at + 0.5 * OBSTACLE_M - grid.origin) / grid.resolution_m).astype(int)
    state[tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True))] = Voxel.OCCUPIED
    return replace(scene, occupancy=replace(grid, state=state))
