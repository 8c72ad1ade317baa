"""What all motions share: the robot in its world, solvers per tool, free motion from anywhere sensible to a goal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickcell.cell import CellConfig
from pickcell.geometry import inverse, transform_points
from pickcell.motion.checking import (
    Checker,
    Margins,
    first_blocked,
    group_clearances,
    pair_clearances,
    path_clearance,
)
from pickcell.motion.config import ClearanceConfig, MotionConfig
from pickcell.motion.field import IGNORE, World
from pickcell.motion.model import ITEM_LINK, RobotModel, Spheres, place_spheres
from pickcell.motion.rrt import rrt_connect, shortcut
from pickcell.motion.solver import IkSolver, Line
from pickcell.motion.straight import Speeds, straight_motion
from pickcell.motion.timing import JointLimits, Motion, Tool, along_vertices, shorten, standstill
from pickcell.motion.world import SceneWorlds
from pickcell.outcome import Code, Outcome
from pickcell.values import HeldItem
from pickcell.values import Tool as ToolKind

Array = NDArray[np.float64]

FRAMES = {ToolKind.PINCH: "tcp_pinch", ToolKind.SUCTION: "tcp_suction"}
Pair = tuple[float, float]
"""Margins from furniture and from seen obstacles."""

UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Load:
    """State of the hand during a motion: how wide the jaw, whether the cup is out, what hangs on it."""

    tool: ToolKind
    opening_m: float
    cup_extended: bool
    spheres: Spheres
    """Of the robot and what it holds, the hand's joints standing still: on the bodies of :attr:`RobotModel.arm`."""
    item_tcp: Array | None
    """(N, 3) surface of the held item in the tool frame; None when the hand is empty."""
    acceleration: float
    """m/s^2 that the TCP may have."""


class MotionCore:
    """One cell's robot, limits, worlds and solvers. Thread-safe: nothing changes after construction but what
    the worlds keep of the furniture."""

    def __init__(self, cell: CellConfig, urdf: str, config: MotionConfig | None = None) -> None:
        self.cell, self.config = cell, config or MotionConfig()
        self.robot = RobotModel(urdf, cell.arm.joints, cell.hand.jaw_joints, cell.hand.cup_joint)
        arm, robot = cell.arm, self.robot
        velocity = robot.velocity * arm.velocity_scale
        if not np.all(np.isfinite(velocity)):
            raise ValueError("the URDF must give a velocity limit for every arm joint")
        self.limits = JointLimits(robot.lower, robot.upper, velocity, np.array(arm.acceleration_max), np.array(arm.jerk_max))
        self.home = np.array(arm.home)
        if np.any(self.home < robot.lower) or np.any(self.home > robot.upper):
            raise ValueError(f"the cell's home {list(arm.home)} is outside the joint limits")
        self.guides = self.home[None, :].copy()
        """(K, n) configurations out in the open, over which much can be reached that cannot be reached directly."""
        self.solvers = {tool: IkSolver(robot, frame) for tool, frame in FRAMES.items()}
        self.worlds = SceneWorlds(cell, self.config.unknown_below_surface)
        self._movable, self._tool_links, self._hand_links = self._classify()
        moved_by = self.robot.chain.joint[self.robot.spheres_local.body]
        self._cup_links = (moved_by == self.robot.cup_index) & (moved_by >= 0)

    def _classify(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Per link: does it move beyond the arm's first joint; is it jaw or cup; is it the rest of the hand."""
        robot, s = self.robot, self.robot.spheres_local
        chain = robot.chain
        last_arm = int(np.flatnonzero(chain.joint == robot.n - 1)[0])
        first_arm = int(np.flatnonzero(chain.joint == 0)[0])
        movable = np.array([b not in (0, first_arm) for b in s.body])
        tool = np.array([chain.joint[b] >= robot.n for b in s.body])
        flange = robot.fk(np.zeros(robot.n), "tool0") if "tool0" in robot.frames else None
        hand = np.zeros(len(s.body), dtype=bool)
        if flange is not None:
            for g, link in enumerate(robot.links):
                if s.body[g] == last_arm:  # beyond the flange: its middle has z > 0 in tool0
                    middle = transform_points(robot.fk(np.zeros(robot.n), link), np.zeros((1, 3)))
                    hand[g] = transform_points(inverse(flange), middle)[0, 2] > -1e-6
        return movable, tool, hand

    # -- the hand's state ----------------------------------------------------------------------------------------

    def empty_hand(self, tool: ToolKind, opening_m: float, cup_extended: bool) -> Load:
        return Load(
            tool,
            opening_m,
            cup_extended,
            self.robot.rigid_hand(self.robot.spheres_local, opening_m, cup_extended),
            None,
            self.cell.arm.tcp_acceleration_max,
        )

    def holding(self, held: HeldItem) -> Load:
        """The hand with an item: its cloud rides on the tool frame as it stood at the grasp."""
        points = np.asarray(held.shape.cloud.points, dtype=float)
        if len(points) == 0:
            raise ValueError("the held item's shape has no points")
        item = transform_points(inverse(held.X_base_tcp_at_grasp), points)
        frame = FRAMES[held.tool]
        hand = self.cell.hand
        opening = self.config.suction_jaw_m
        if held.tool is ToolKind.PINCH:  # the pads stand on the item: its extent along the closing axis, between them
            low, high = -hand.finger_length_m + hand.pad_to_tip_m, hand.pad_to_tip_m
            between = item[(np.abs(item[:, 1]) < 0.5 * hand.pad_width_m) & (item[:, 2] > low) & (item[:, 2] < high)]
            width = 2.0 * float(np.abs(between[:, 0]).max()) if len(between) else hand.opening_max_m
            opening = min(width, hand.opening_max_m)
        limit = min(self.cell.arm.tcp_acceleration_max, max(held.max_acceleration_mps2, 0.3))
        extended = held.tool is ToolKind.SUCTION
        spheres = self.robot.rigid_hand(self.robot.with_item(frame, item), opening, extended)
        return Load(
            held.tool,
            opening,
            extended,
            spheres,
            item,
            limit,
        )

    def tool(self, load: Load) -> Tool:
        """The point whose acceleration is capped."""
        solver = self.solvers[load.tool]
        return Tool(solver.chain, solver.body, solver.local)

    # -- checking ------------------------------------------------------------------------------------------------

    def _margins(
        self, load: Load, tool: tuple[float, float], hand: tuple[float, float], arm: tuple[float, float]
    ) -> Margins:
        groups, item = len(load.spheres.body), load.item_tcp is not None
        out = np.full((2, groups), IGNORE)
        for k in range(2):
            links = out[k, : len(self._movable)]
            links[self._movable] = arm[k]
            links[self._hand_links] = hand[k]
            links[self._tool_links] = tool[k]
        c = self.config.clearance
        if item:
            out[:, -1] = c.item_free
        return Margins(out[0], out[1], np.zeros(len(load.spheres.pairs)))

    def checker(self, load: Load, world: World, contact: bool = False) -> Checker:
        """Checks for free motion, or for motion in contact, where hand and item may be near or among items."""
        c: ClearanceConfig = self.config.clearance
        if contact:
            margins = self._margins(
                load, (c.tool_fixed, c.tool_seen), (c.hand_fixed, c.hand_seen), (c.arm_fixed, c.arm_seen)
            )
            if load.item_tcp is not None:
                margins.fixed[-1], margins.seen[-1] = c.item_fixed, c.item_seen
        else:
            margins = self._margins(load, (c.free, c.free), (c.free, c.free), (c.free, c.free))
        return Checker(
            self.robot.arm,
            load.spheres,
            world,
            margins,
            load.spheres.reach,
            self.robot.lower,
            self.robot.upper,
        )

    def blocker(self, checker: Checker, q: Array) -> str:
        """What is in the way at ``q``, for a person: the worst link and what it would touch."""
        worst, text = np.inf, "nothing"
        names = [*self.robot.links, ITEM_LINK]
        for seen, margin, what in ((False, checker.margins.fixed, "tote or table"), (True, checker.margins.seen, "items")):
            gap = np.where(margin > IGNORE, group_clearances(checker, q, seen) - margin, np.inf)
            g = int(np.argmin(gap))
            if gap[g] < worst:
                worst, text = float(gap[g]), f"{names[g]} against {what}"
        own = pair_clearances(checker, q) - checker.margins.own
        if len(own) and own.min() < worst:
            a, b = checker.spheres.pairs[int(np.argmin(own))]
            worst, text = float(own.min()), f"{names[a]} against {names[b]}"
        return f"{text} ({1000 * worst:.0f} mm)"

    def start_state(self, q_start: ArrayLike) -> Array:
        """Check a start configuration. Raises ValueError when it is not n finite numbers.

        An arm that was pushed a little beyond its limits is planned for from the limit: it comes back on its way.
        """
        q = np.asarray(q_start, dtype=float)
        if q.shape != (self.robot.n,) or not np.all(np.isfinite(q)):
            raise ValueError(f"q_start must be {self.robot.n} finite joint positions, got shape {q.shape}")
        return np.ascontiguousarray(np.clip(q, self.limits.lower, self.limits.upper))

    def robot_spheres(self, q: Array, load: Load) -> Array:
        """Spheres (N, 4) of the robot at ``q``, without an item."""
        return self.robot.spheres(q, load.opening_m, load.cup_extended)

    # -- motion --------------------------------------------------------------------------------------------------

    def relaxed(self, checker: Checker, q: Array) -> Checker:
        """The same checks with every margin lowered to what ``q`` leaves, so that a motion may lead out, not deeper."""
        slack = self.config.clearance.relax
        m = checker.margins
        return checker._replace(
            margins=Margins(
                np.where(m.fixed > IGNORE, np.minimum(m.fixed, group_clearances(checker, q, False) - slack), m.fixed),
                np.where(m.seen > IGNORE, np.minimum(m.seen, group_clearances(checker, q, True) - slack), m.seen),
                np.where(m.own > IGNORE, np.minimum(m.own, pair_clearances(checker, q) - slack), m.own),
            )
        )

    def yielding(self, checker: Checker, by_m: float) -> Checker:
        """The same checks with the cup allowed ``by_m`` deeper: its slide gives way."""
        cup = np.zeros(len(checker.margins.fixed), dtype=bool)
        cup[: len(self._cup_links)] = self._cup_links
        m = checker.margins
        return checker._replace(
            margins=m._replace(fixed=np.where(cup, m.fixed - by_m, m.fixed), seen=np.where(cup, m.seen - by_m, m.seen))
        )

    def escape(self, q: Array, checker: Checker, solver: IkSolver) -> Line | None:
        """The shortest straight way, up or back along the tool, from ``q`` to where ``checker`` is content; None if none."""
        relaxed = self.relaxed(checker, q)
        best: Line | None = None
        for direction in (UP, -solver.pose(q)[:3, 2]):
            line = solver.line(q, direction, self.config.escape_max_m)
            blocked = first_blocked(relaxed, line.qs)
            qs = line.qs if blocked < 0 else line.qs[:blocked]
            clear = np.flatnonzero(path_clearance(checker, qs) >= 0.0) if len(qs) else np.zeros(0, np.intp)
            if len(clear) and (best is None or clear[0] < len(best.qs) - 1):
                best = Line(qs[: clear[0] + 1], line.step_m, line.wanted_m)
        return best

    def path(
        self, q: Array, goals: Array, load: Load, checker: Checker, nodes: int | None = None
    ) -> Outcome[tuple[Motion, Array, int]]:
        """The way out of where the arm stands too near to something (no motion when it does not), then a path (K, n) to one
        of ``goals`` (G, n), best first, and which. NO_PATH when none is found with ``nodes`` nodes per tree."""
        head = standstill(q)
        if path_clearance(checker, q[None, :])[0] < 0.0:
            out = self.escape(q, checker, self.solvers[load.tool])
            if out is None:
                return Outcome.failure(Code.NO_PATH, f"The arm stands too near: {self.blocker(checker, q)}.")
            if len(out.qs) > 1:
                head = straight_motion(out.qs, out.step_m, self.limits, Speeds(load.acceleration, 0.3))
                q = np.ascontiguousarray(out.qs[-1])
        allowed = np.flatnonzero(path_clearance(checker, goals) >= 0.0)
        if len(allowed) == 0:
            return Outcome.failure(Code.NO_PATH, f"The goal is not clear: {self.blocker(checker, goals[0])}.")
        cfg, nodes = self.config, nodes or self.config.rrt_nodes
        path, which = rrt_connect(
            checker, q, np.ascontiguousarray(goals[allowed]), self.guides, nodes, cfg.rrt_step_m, cfg.seed
        )
        if which < 0:
            return Outcome.failure(Code.NO_PATH, f"The search ended after {nodes} nodes.")
        if len(path) > 2:
            path = shortcut(checker, path, cfg.shortcut_tries, cfg.seed)
        return Outcome.success((head, path, int(allowed[which])))

    def free_motion(self, q: Array, goals: Array, load: Load, checker: Checker) -> Outcome[tuple[Motion, int]]:
        """Quick collision-free motion from ``q`` to one of ``goals`` (G, n), best first, and which. NO_PATH when none."""
        found = self.path(q, goals, load, checker)
        if not found.ok:
            return found.failed_as()
        head, path, which = found.unwrap()
        tool, rng = self.tool(load), np.random.default_rng(self.config.seed)
        motion = along_vertices(path, self.limits, tool, load.acceleration)
        motion = shorten(motion, self.limits, tool, load.acceleration, checker, self.config.join_tries, rng)
        return Outcome.success((head.then(motion), which))

    def travel_s(self, a: Array, b: Array) -> float:
        """Rough duration of a free motion: a bang-bang profile of the slowest joint (no jerk limit, no obstacles)."""
        way, limits = np.abs(b - a), self.limits
        ramp = limits.velocity**2 / limits.acceleration
        long = way / limits.velocity + limits.velocity / limits.acceleration
        return float(np.max(np.where(way > ramp, long, 2.0 * np.sqrt(way / limits.acceleration))))

    def lowest_z(self, q: Array, load: Load) -> float:
        """Height in base_link of the lowest point of hand and item at ``q``."""
        solver = self.solvers[load.tool]
        X = solver.pose(q)
        tip = self.cell.hand.pad_to_tip_m if load.tool is ToolKind.PINCH else 0.0
        points = [X[2, 3] + tip * X[2, 2]]
        if load.item_tcp is not None:
            points.append(float(transform_points(X, load.item_tcp)[:, 2].min()))
        return float(min(points))

    def rim_z(self, tote: str) -> float:
        """Height in base_link of a tote's rim."""
        return float(self.cell.X_base_tote(tote)[2, 3] + self.cell.totes[tote].inner[2])

    def tote_at(self, xy: Array) -> str:
        """The tote over whose floor the point (2,) in base_link is; the nearest one when it is over none."""

        def outside(name: str) -> float:
            p = transform_points(inverse(self.cell.X_base_tote(name)), np.array([[xy[0], xy[1], 0.0]]))[0, :2]
            return float(np.linalg.norm(np.maximum(np.abs(p) - 0.5 * np.asarray(self.cell.totes[name].inner[:2]), 0.0)))

        return min(sorted(self.cell.totes), key=outside)

    def is_hand(self, groups: int) -> NDArray[np.bool_]:
        """(groups,) which links belong to the hand; a held item, when there is one, is the last group and does."""
        out = np.ones(groups, dtype=bool)
        out[: len(self._tool_links)] = self._tool_links | self._hand_links
        return out

    def sphere_centres(self, q: Array, load: Load) -> Array:
        """(N, 3) all spheres' centres in base_link, those of a held item included."""
        points = np.empty((len(load.spheres.radius), 3))
        place_spheres(self.robot.arm, load.spheres, q, np.empty((len(self.robot.arm.parent), 3, 4)), points)
        return points
