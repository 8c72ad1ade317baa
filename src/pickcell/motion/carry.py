"""With or without an item: straight lifts and retreats, home, and placing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import inverse, transform_points
from pickcell.motion.checking import Checker, first_blocked, path_clearance, rigid_clearance
from pickcell.motion.core import UP, Load, MotionCore
from pickcell.motion.field import IGNORE, World
from pickcell.motion.placement import Places, rank_places, without_item
from pickcell.motion.solver import Line
from pickcell.motion.straight import Speeds, straight_motion
from pickcell.motion.timing import standstill
from pickcell.outcome import Code, Outcome
from pickcell.values import HeldItem, JointTrajectory, PlacePlan, Scene, Tool

Array = NDArray[np.float64]

LEAST_RETREAT_M = 0.005
CHUNK = 64
"""Places that are checked at once."""


@dataclass(frozen=True)
class _Lowering:
    """One arm configuration at a release pose, with its way in and out (both given from the release upwards)."""

    X_base_tcp: Array
    down: Line
    out: Line


class CarryPlanner:
    def __init__(self, core: MotionCore) -> None:
        self._core = core

    # -- straight up ---------------------------------------------------------------------------------------------

    def lift(self, q_start: Array, scene: Scene, held: HeldItem) -> Outcome[JointTrajectory]:
        """See :meth:`pickcell.motion.MotionPlanner.plan_lift`."""
        core, cfg = self._core, self._core.config.approach
        load = core.holding(held)
        solver = core.solvers[held.tool]
        tote = core.tote_at(solver.pose(q_start)[:2, 3])
        rise = core.rim_z(tote) + cfg.lift_clearance_m - core.lowest_z(q_start, load)
        if rise <= 1e-4:
            return Outcome.success(standstill(q_start).trajectory(core.robot.joint_names))
        world = core.worlds.without(scene, held.shape, core.robot_spheres(q_start, load))
        checker = core.relaxed(core.checker(load, world, contact=True), q_start)
        checker.margins.seen[-1] = min(checker.margins.seen[-1], core.config.clearance.item_lift)
        line = solver.line(q_start, UP, rise)
        blocked = first_blocked(checker, line.qs)
        qs = line.qs if blocked < 0 else line.qs[:blocked]
        if (len(qs) - 1) * line.step_m < rise - cfg.lift_clearance_m + cfg.lift_least_m:
            if blocked >= 0:
                return Outcome.failure(Code.NO_PATH, f"The lift: {core.blocker(checker, line.qs[blocked])}.")
            return Outcome.failure(Code.UNREACHABLE, f"The lift ends {1000 * (rise - line.length_m):.0f} mm short.")
        speeds = Speeds(load.acceleration, cfg.line_speed)
        return Outcome.success(straight_motion(qs, line.step_m, core.limits, speeds).trajectory(core.robot.joint_names))

    def retreat(self, q_start: Array, distance_m: float) -> Outcome[JointTrajectory]:
        """See :meth:`pickcell.motion.MotionPlanner.plan_retreat`."""
        core = self._core
        if not np.isfinite(distance_m) or distance_m < 0:
            raise ValueError(f"the distance must be >= 0 m, got {distance_m}")
        load = core.empty_hand(Tool.PINCH, core.cell.hand.opening_max_m, False)
        checker = core.relaxed(core.checker(load, core.worlds.empty, contact=True), q_start)
        line = core.solvers[Tool.PINCH].line(q_start, UP, distance_m)
        blocked = first_blocked(checker, line.qs)
        qs = line.qs if blocked < 0 else line.qs[:blocked]
        if distance_m > LEAST_RETREAT_M and (len(qs) - 1) * line.step_m < LEAST_RETREAT_M:
            why = core.blocker(checker, line.qs[blocked]) if blocked >= 0 else "a joint limit"
            return Outcome.failure(Code.UNREACHABLE, f"There is no way up: {why}.")
        speeds = Speeds(core.cell.arm.tcp_acceleration_max, core.config.approach.line_speed)
        motion = straight_motion(qs, line.step_m, core.limits, speeds) if len(qs) > 1 else standstill(q_start)
        return Outcome.success(motion.trajectory(core.robot.joint_names))

    # -- home ----------------------------------------------------------------------------------------------------

    def home(self, q_start: Array, scene: Scene | None, held: HeldItem | None) -> Outcome[JointTrajectory]:
        """See :meth:`pickcell.motion.MotionPlanner.plan_home`."""
        core = self._core
        if held is not None:
            load = core.holding(held)
            world = core.worlds.without(scene, held.shape, core.robot_spheres(q_start, load), unknown=True)
        else:
            load = core.empty_hand(Tool.PINCH, core.cell.hand.opening_max_m, False)
            world = core.worlds.full(scene, core.robot_spheres(q_start, load))
        found = core.free_motion(q_start, core.home[None, :], load, core.checker(load, world))
        if not found.ok:
            return found.failed_as()
        return Outcome.success(found.unwrap()[0].trajectory(core.robot.joint_names))

    # -- place ---------------------------------------------------------------------------------------------------

    def place(self, q_start: Array, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        """See :meth:`pickcell.motion.MotionPlanner.plan_place`."""
        core, cfg = self._core, self._core.config.place
        if tote not in core.cell.totes:
            raise KeyError(f"no tote '{tote}'; the cell has {sorted(core.cell.totes)}")
        if tote not in scene.heightmaps:
            return Outcome.failure(Code.PLACE_BLOCKED, f"The scene has no height map of the {tote} tote.")
        load = core.holding(held)
        assert load.item_tcp is not None
        solver = core.solvers[held.tool]
        depth = float(core.cell.totes[tote].inner[2])
        places = rank_places(
            without_item(scene.heightmaps[tote], held.shape.cloud.points),
            depth,
            load.item_tcp,
            solver.pose(q_start),
            held.X_base_tcp_at_grasp,
            cfg,
        )
        if len(places.X_base_tcp) == 0:
            return Outcome.failure(Code.PLACE_BLOCKED, f"The {tote} tote has no room for {self._size(load)}.")
        robot = core.robot_spheres(q_start, load)
        contact_world = core.worlds.without(scene, held.shape, robot)
        targets, cost = self._shortlist(places, load, contact_world)
        if len(targets) == 0:
            return Outcome.failure(
                Code.PLACE_BLOCKED, f"At none of {len(places.X_base_tcp)} places in the {tote} tote the hand fits."
            )
        free = core.checker(load, core.worlds.without(scene, held.shape, robot, unknown=True))
        return self._to_one_of(q_start, (targets, cost), load, free, contact_world, tote, places.note)

    def _size(self, load: Load) -> str:
        assert load.item_tcp is not None
        return " x ".join(f"{100 * v:.0f}" for v in np.ptp(load.item_tcp, axis=0)) + " cm"

    def _opened(self, load: Load) -> Load:
        """The hand after the release: jaw wide open, or cup let go (its slide still out while the arm leaves)."""
        core = self._core
        opening = core.cell.hand.opening_max_m if load.tool is Tool.PINCH else load.opening_m
        return core.empty_hand(load.tool, opening, load.cup_extended)

    def _shortlist(self, places: Places, load: Load, world: World) -> tuple[Array, Array]:
        """The first places (k, 4, 4), and their costs, at which hand and item, closed and opened, clear walls and
        neighbours; not two at nearly the same spot, so that the few that are tried with the arm differ."""
        cfg = self._core.config.place
        states = [self._rigid_hand(state, world) for state in (load, self._opened(load))]
        kept: list[int] = []

        def new(k: int) -> bool:
            return all(self._apart(places.X_base_tcp[k], places.X_base_tcp[other]) for other in kept)

        for first in range(0, min(len(places.cost), cfg.shortlist), CHUNK):
            chunk = np.array([k for k in range(first, min(first + CHUNK, len(places.cost))) if new(k)], dtype=np.intp)
            for state in states:
                rows = np.ascontiguousarray(places.X_base_tcp[chunk, :3])
                chunk = chunk[rigid_clearance(world, *state, rows) >= 0.0]
            for k in chunk:
                if new(k):
                    kept.append(int(k))
            if len(kept) >= cfg.tried:
                break
        kept = kept[: cfg.tried]
        return places.X_base_tcp[kept], places.cost[kept]

    @staticmethod
    def _apart(a: Array, b: Array) -> bool:
        return bool(np.linalg.norm(a[:3, 3] - b[:3, 3]) > 0.03 or np.trace(a[:3, :3].T @ b[:3, :3]) < 2.9)

    def _rigid_hand(self, load: Load, world: World) -> tuple[Array, Array, Array, Array]:
        """Spheres of hand and item in the tool frame (M, 3), radii, margins from furniture and items (M,)."""
        core = self._core
        checker = core.checker(load, world, contact=True)
        s = load.spheres
        centres = core.sphere_centres(core.home, load)
        local = transform_points(inverse(core.solvers[load.tool].pose(core.home)), centres)
        groups = np.repeat(np.arange(len(s.body)), np.diff(s.start))
        hand = core.is_hand(len(s.body))[groups] & (checker.margins.fixed[groups] > IGNORE)
        m = checker.margins
        return (
            np.ascontiguousarray(local[hand]),
            s.radius[hand].copy(),
            m.fixed[groups][hand],
            m.seen[groups][hand],
        )

    def _to_one_of(
        self,
        q_start: Array,
        shortlist: tuple[Array, Array],
        load: Load,
        free: Checker,
        contact_world: World,
        tote: str,
        note: str,
    ) -> Outcome[PlacePlan]:
        core, cfg = self._core, self._core.config.approach
        targets, cost = shortlist
        solutions = core.solvers[load.tool].solve(targets, [q_start, core.home], seeds=cfg.seeds, count=cfg.solutions)
        travel = np.array([min((core.travel_s(q_start, q) for q in qs), default=np.inf) for qs in solutions])
        order = np.argsort(cost + core.config.place.time_weight * travel, kind="stable")
        contact = core.checker(load, contact_world, contact=True)
        opened = self._opened(load)
        leaving = core.checker(opened, contact_world, contact=True)
        reasons: list[str] = []
        searches = 0
        for X, qs in ((targets[k], solutions[k]) for k in order):
            ways: list[_Lowering] = []
            why = "unreachable"
            for q in qs:
                way = self._lowering(X, q, load, opened, (free, contact, leaving), tote)
                if isinstance(way, str):
                    why = way
                else:
                    ways.append(way)
            if not ways:
                reasons.append(why)
                continue
            plans = sorted((self._timed(w, load, tote) for w in ways), key=lambda p: self._seconds(q_start, p))
            goals = np.array([p.lower.positions[0] for p in plans])
            moved = core.free_motion(q_start, goals, load, free)
            if not moved.ok:
                reasons.append(moved.text)
                searches += 1
                if searches >= 3:
                    return moved.failed_as()
                continue
            motion, which = moved.unwrap()
            plan = replace(plans[which], transfer=motion.trajectory(core.robot.joint_names))
            return Outcome.success(plan, f"Place in the {tote} tote: {note}." if note else "")
        if searches == len(reasons):
            return Outcome.failure(Code.NO_PATH, reasons[0])
        return Outcome.failure(Code.PLACE_BLOCKED, f"{len(reasons)} places tried; the first: {reasons[0]}")

    def _lowering(
        self, X: Array, q: Array, load: Load, opened: Load, checkers: tuple[Checker, Checker, Checker], tote: str
    ) -> _Lowering | str:
        """Way in and out of a release configuration, or what is wrong with it."""
        core, cfg = self._core, self._core.config.place
        free, contact, leaving = checkers
        solver = core.solvers[load.tool]
        rim = core.rim_z(tote) + cfg.above_m
        height = max(rim - core.lowest_z(q, load), 0.05)
        line = solver.line(q, UP, height + 0.10)
        start = int(np.ceil(height / line.step_m - 1e-6))
        if len(line.qs) <= start:
            return f"the arm reaches only {1000 * line.length_m:.0f} mm above the place"
        clear = np.flatnonzero(path_clearance(free, line.qs[start:]) >= 0.0)
        if len(clear) == 0:
            return f"no clear start above the place: {core.blocker(free, line.qs[start])}"
        down = Line(line.qs[: start + int(clear[0]) + 1], line.step_m, line.wanted_m)
        blocked = first_blocked(contact, down.qs)
        if blocked >= 0:
            return f"lowering: {core.blocker(contact, down.qs[blocked])}"
        leave = max(core.rim_z(tote) + cfg.above_m - core.lowest_z(q, opened), cfg.retreat_m)
        count = min(int(np.ceil(leave / line.step_m - 1e-6)), len(line.qs) - 1)
        out = Line(line.qs[: count + 1], line.step_m, leave)
        blocked = first_blocked(leaving, out.qs)
        if blocked >= 0:
            return f"leaving: {core.blocker(leaving, out.qs[blocked])}"
        return _Lowering(X, down, out)

    def _seconds(self, q_start: Array, plan: PlacePlan) -> float:
        """Estimate of a plan's duration before its transfer is known."""
        travel = self._core.travel_s(q_start, plan.lower.positions[0])
        return travel + plan.lower.duration_s + plan.retreat.duration_s

    def _timed(self, way: _Lowering, load: Load, tote: str) -> PlacePlan:
        """The plan with its straight legs; its transfer is still a standstill at their start."""
        core, cfg = self._core, self._core.config.approach
        names = core.robot.joint_names
        down = Speeds(load.acceleration, cfg.line_speed, core.cell.arm.contact_speed, cfg.slow_m)
        up = Speeds(core.cell.arm.tcp_acceleration_max, cfg.line_speed)
        lower = straight_motion(np.ascontiguousarray(way.down.qs[::-1]), way.down.step_m, core.limits, down)
        out = straight_motion(way.out.qs, way.out.step_m, core.limits, up)
        above = standstill(way.down.qs[-1]).trajectory(names)
        return PlacePlan(tote, way.X_base_tcp, above, lower.trajectory(names), out.trajectory(names))
