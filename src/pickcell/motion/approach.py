"""To a grasp: free motion to a pre-grasp, straight contact, straight lift, for the best-ranked grasp that allows all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import make_pose
from pickcell.motion.checking import Checker, first_blocked, path_clearance
from pickcell.motion.core import FRAMES, UP, Load, MotionCore
from pickcell.motion.field import World
from pickcell.motion.solver import IkSolver
from pickcell.motion.straight import Speeds, straight_motion
from pickcell.motion.timing import Motion
from pickcell.outcome import Code, Outcome
from pickcell.values import ApproachPlan, GraspCandidate, Instance, Scene, Tool

Array = NDArray[np.float64]

STEP_M = 0.005
INFORMATIVE = (Code.NO_PATH, Code.APPROACH_BLOCKED, Code.UNREACHABLE)
"""Which failure is reported when several occurred: the one that got furthest."""
MOST_SEARCHES = 4
"""Grasps for which a path is searched in vain before the rest is given up: the start is then the trouble, not the grasp."""

FLIP = make_pose((0.0, 0.0, 0.0), (0.0, 0.0, np.pi))


@dataclass(frozen=True)
class _Legs:
    """The straight legs of one arm configuration at a grasp."""

    contact: Array
    """(K, n) from the pre-grasp to the end of the contact leg, STEP_M apart."""
    lift: Array
    lift_step_m: float


@dataclass(frozen=True)
class _Way:
    """The same, timed."""

    contact: Motion
    lift: Motion
    seconds: float
    """Of both, and an estimate of the free motion before them."""


@dataclass(frozen=True)
class _Surroundings:
    """The worlds of one target."""

    full: World
    without_target: World
    target_low_z: float | None
    """Lowest point of the target in base_link."""
    rim_z: float


class ApproachPlanner:
    def __init__(self, core: MotionCore) -> None:
        self._core = core

    def plan(self, q_start: Array, scene: Scene, ranked: tuple[GraspCandidate, ...]) -> Outcome[ApproachPlan]:
        """See :meth:`pickcell.motion.MotionPlanner.plan_approach`."""
        core = self._core
        if not ranked:
            return Outcome.failure(Code.NO_GRASP_FOUND, "The ranked list is empty.")
        robot = core.robot.spheres(q_start, core.cell.hand.opening_max_m, False)
        full = core.worlds.full(scene, robot)
        around: dict[int, _Surroundings] = {}
        failures: dict[int, tuple[Code, str]] = {}
        searches = 0
        for flipped in (False, True):
            solutions = self._solve_all(q_start, ranked, flipped)
            for index, candidate in enumerate(ranked):
                if flipped and failures[index][0] is Code.NO_PATH:
                    continue  # another hand orientation would not change where the arm stands
                if candidate.instance_id not in around:
                    around[candidate.instance_id] = self._surroundings(scene, candidate, full, robot)
                used = replace(candidate, X_base_tcp=candidate.X_base_tcp @ FLIP) if flipped else candidate
                found = self._try(q_start, used, solutions[index], around[candidate.instance_id])
                if found.ok:
                    plan = found.unwrap()
                    tried = tuple((i, failures[i][1]) for i in sorted(failures) if i < index)
                    return Outcome.success(replace(plan, index=index, tried=tried))
                if index not in failures or found.code is not Code.UNREACHABLE:
                    failures[index] = (found.code, f"{found.code.value}: {found.text}")
                searches += found.code is Code.NO_PATH
                if searches >= MOST_SEARCHES:
                    return self._give_up(failures, len(ranked))
        return self._give_up(failures, len(ranked))

    def _give_up(self, failures: dict[int, tuple[Code, str]], count: int) -> Outcome[ApproachPlan]:
        code = next(c for c in INFORMATIVE if any(f[0] is c for f in failures.values()))
        totals = {c: sum(f[0] is c for f in failures.values()) for c in INFORMATIVE}
        said = ", ".join(f"{n} {c.value}" for c, n in totals.items() if n)
        first = next(f[1] for f in failures.values() if f[0] is code)
        return Outcome.failure(code, f"Of {count} grasps: {said}. First: {first}")

    def _solve_all(self, q_start: Array, ranked: tuple[GraspCandidate, ...], flipped: bool) -> list[Array]:
        """Arm configurations (k, n) at each grasp, quickest to reach first."""
        core, cfg = self._core, self._core.config.approach
        out: list[Array] = [np.zeros((0, core.robot.n))] * len(ranked)
        for tool in FRAMES:
            index = [i for i, c in enumerate(ranked) if c.tool is tool]
            if not index:
                continue
            targets = np.array([ranked[i].X_base_tcp @ FLIP if flipped else ranked[i].X_base_tcp for i in index])
            solved = core.solvers[tool].solve(targets, [q_start, core.home], seeds=cfg.seeds, count=cfg.solutions)
            for i, qs in zip(index, solved):
                out[i] = qs
        return out

    def _surroundings(self, scene: Scene, candidate: GraspCandidate, full: World, robot: Array) -> _Surroundings:
        core = self._core
        target: Instance | None = next((i for i in scene.instances if i.id == candidate.instance_id), None)
        shape = target.shape if target is not None else None
        tote = core.tote_at(candidate.X_base_tcp[:2, 3])
        return _Surroundings(
            full,
            core.worlds.without(scene, shape, robot),
            float(shape.cloud.points[:, 2].min()) if shape is not None and len(shape.cloud) else None,
            core.rim_z(tote),
        )

    def _try(
        self, q_start: Array, candidate: GraspCandidate, solutions: Array, around: _Surroundings
    ) -> Outcome[ApproachPlan]:
        core = self._core
        if len(solutions) == 0:
            return Outcome.failure(Code.UNREACHABLE, "No inverse kinematics.")
        suction = candidate.tool is Tool.SUCTION
        load = core.empty_hand(candidate.tool, candidate.opening_m, suction)
        contact, free = core.checker(load, around.without_target, contact=True), core.checker(load, around.full)
        legs: list[_Legs] = []
        failure: Outcome[_Legs] = Outcome.failure(Code.UNREACHABLE)
        for q in solutions:
            found = self._legs(q, candidate, load, contact, free, around)
            if found.ok:
                legs.append(found.unwrap())
            elif not legs and (failure.code is Code.UNREACHABLE or found.code is not Code.UNREACHABLE):
                failure = found
        if not legs:
            return failure.failed_as()
        ways = sorted((self._timed(leg, candidate, load, q_start) for leg in legs), key=lambda way: way.seconds)
        moved = core.free_motion(q_start, np.array([way.contact.position[0] for way in ways]), load, free)
        if not moved.ok:
            return moved.failed_as()
        motion, which = moved.unwrap()
        names = core.robot.joint_names
        timed = (motion.trajectory(names), ways[which].contact.trajectory(names), ways[which].lift.trajectory(names))
        return Outcome.success(ApproachPlan(candidate, 0, *timed))

    def _timed(self, legs: _Legs, candidate: GraspCandidate, load: Load, q_start: Array) -> _Way:
        core, cfg = self._core, self._core.config.approach
        extra = cfg.overtravel_m if candidate.tool is Tool.SUCTION else 0.0
        down = Speeds(load.acceleration, cfg.line_speed, core.cell.arm.contact_speed, cfg.slow_m + extra)
        up = Speeds(min(load.acceleration, max(candidate.max_acceleration_mps2, 0.3)), cfg.line_speed)
        contact = straight_motion(legs.contact, STEP_M, core.limits, down)
        lift = straight_motion(legs.lift, legs.lift_step_m, core.limits, up)
        seconds = core.travel_s(q_start, legs.contact[0]) + contact.duration_s + lift.duration_s
        return _Way(contact, lift, seconds)

    def _legs(
        self, q: Array, candidate: GraspCandidate, load: Load, contact: Checker, free: Checker, around: _Surroundings
    ) -> Outcome[_Legs]:
        """The straight legs through the grasp configuration ``q``, or why they are impossible."""
        core, cfg = self._core, self._core.config.approach
        solver: IkSolver = core.solvers[candidate.tool]
        axis = candidate.X_base_tcp[:3, 2]
        longest = max(cfg.standoff_max_m, candidate.standoff_m)
        back = solver.line(q, -axis, STEP_M * np.ceil(longest / STEP_M), STEP_M)
        least = int(np.ceil(candidate.standoff_m / STEP_M - 1e-9))
        if len(back.qs) <= least:
            return Outcome.failure(Code.UNREACHABLE, f"The pre-grasp: the line ends after {1000 * back.length_m:.0f} mm.")
        blocked = first_blocked(contact, back.qs[: least + 1])
        if blocked >= 0:
            return Outcome.failure(
                Code.APPROACH_BLOCKED,
                f"{core.blocker(contact, back.qs[blocked])}, {5 * blocked} mm before the grasp.",
            )
        clear = np.flatnonzero(path_clearance(free, back.qs[least:]) >= 0.0)
        if len(clear) == 0 or first_blocked(contact, back.qs[least : least + clear[0]]) >= 0:
            return Outcome.failure(Code.APPROACH_BLOCKED, f"No clear pre-grasp: {core.blocker(free, back.qs[least])}.")
        way = back.qs[least + clear[0] :: -1]
        if candidate.tool is Tool.SUCTION:
            beyond = solver.line(q, axis, cfg.overtravel_m, STEP_M)
            if not beyond.complete:
                return Outcome.failure(Code.UNREACHABLE, "The overtravel of the cup.")
            way = np.vstack([way, beyond.qs[1:]])
        lift = self._lift(way[-1], load, contact, around, solver)
        if not lift.ok:
            return lift.failed_as()
        qs, step = lift.unwrap()
        return Outcome.success(_Legs(np.ascontiguousarray(way), qs, step))

    def _lift(
        self, q: Array, load: Load, contact: Checker, around: _Surroundings, solver: IkSolver
    ) -> Outcome[tuple[Array, float]]:
        """Straight up until the hand, and the target below it, clear the rim."""
        core, cfg = self._core, self._core.config.approach
        lowest = core.lowest_z(q, load)
        if around.target_low_z is not None:
            lowest = min(lowest, around.target_low_z - cfg.lift_reserve_m)
        rise = max(around.rim_z + cfg.lift_clearance_m - lowest, 0.05)
        line = solver.line(q, UP, rise)
        if not line.complete and line.length_m < rise - cfg.lift_clearance_m + cfg.lift_least_m:
            return Outcome.failure(Code.UNREACHABLE, f"The lift ends {1000 * (rise - line.length_m):.0f} mm short.")
        # The cup's slide yields by the overtravel. Checked as if it did not, the cup would lie under a floor that carries
        # a flat item; so until the hand has risen by as much, the cup may reach that much deeper.
        low = int(np.ceil(cfg.overtravel_m / line.step_m)) + 1 if load.cup_extended else 0
        for checker, qs in ((core.yielding(contact, cfg.overtravel_m), line.qs[:low]), (contact, line.qs[low:])):
            blocked = first_blocked(checker, qs)
            if blocked >= 0:
                return Outcome.failure(Code.APPROACH_BLOCKED, f"On the lift: {core.blocker(checker, qs[blocked])}.")
        return Outcome.success((line.qs, line.step_m))
