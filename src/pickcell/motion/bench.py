"""Times and quality of motion planning on made-up totes: ``python -m pickcell.motion.bench --help``.

Prints medians and 95th percentiles. ``cpu`` is processor time of this process and does not depend on what else runs.
With ``--oracle``, OMPL's RRT-Connect solves the same queries with the same collision checks, slowly but independently.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig, load_cell
from pickcell.description import expand_urdf
from pickcell.geometry import make_pose
from pickcell.motion import made_up
from pickcell.motion.checking import Checker, path_clearance
from pickcell.motion.planner import MotionPlanner
from pickcell.motion.rrt import rrt_connect, shortcut
from pickcell.motion.timing import along_vertices, shorten
from pickcell.motion.warm import default_cell, warm
from pickcell.outcome import Outcome
from pickcell.values import JointTrajectory, Tool

Array = NDArray[np.float64]


@dataclass
class Times:
    """Wall and processor milliseconds by name, and counts of outcomes."""

    wall_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    outcomes: Counter[str] = field(default_factory=Counter)
    durations_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu_ms[name].append(1e3 * (time.process_time() - cpu))
        self.wall_ms[name].append(1e3 * (time.perf_counter() - wall))

    def call(self, name: str, plan: Callable[[], Outcome[Any]]) -> Any:
        """Time one planning call and count its outcome; its value or None."""
        with self.measure(name):
            outcome = plan()
        self.outcomes[f"{name} {outcome.code.value}"] += 1
        return outcome.value

    def moved(self, **legs: JointTrajectory) -> None:
        for name, trajectory in legs.items():
            self.durations_s[name].append(trajectory.duration_s)

    def print(self) -> None:
        print(f"{'':28s}{'n':>5s}{'wall ms':>10s}{'p95':>8s}{'cpu ms':>10s}{'p95':>8s}")
        for name, wall in self.wall_ms.items():
            row = (
                np.median(wall),
                np.percentile(wall, 95),
                np.median(self.cpu_ms[name]),
                np.percentile(self.cpu_ms[name], 95),
            )
            print(f"{name:28s}{len(wall):5d}{row[0]:10.2f}{row[1]:8.1f}{row[2]:10.2f}{row[3]:8.1f}")
        for name, seconds in self.durations_s.items():
            middle, most = np.percentile(seconds, [50, 95])
            print(f"{f'duration of {name}':28s}{len(seconds):5d}{middle:10.2f} s, p95 {most:.2f} s")
        print("outcomes: " + ", ".join(f"{k} {v}" for k, v in sorted(self.outcomes.items())))


def picks(planner: MotionPlanner, cell: CellConfig, n: int, seed: int, times: Times) -> None:
    """Whole picks from totes of 14 boxes, 30 ranked grasps each, tools in turn."""
    home = np.array(cell.arm.home)
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        boxes = made_up.random_boxes(cell, 14, rng)
        scene = made_up.make_scene(cell, boxes)
        tops = sorted(range(len(boxes)), key=lambda i: -boxes[i].X_base_box[2, 3])[:4]
        index, tool = tops[int(rng.integers(4))], (Tool.PINCH, Tool.SUCTION)[k % 2]
        ranked = tuple(made_up.top_grasps(boxes[index], index + 1, tool, rng, 30))
        approach = times.call("plan_approach", partial(planner.plan_approach, home, scene, ranked))
        if approach is None:
            continue
        held = made_up.held(scene, approach.candidate)
        q = approach.contact.positions[-1]
        lift = times.call("plan_lift", partial(planner.plan_lift, q, scene, held))
        if lift is None:
            continue
        q = lift.positions[-1]
        place = times.call("plan_place", partial(planner.plan_place, q, scene, held, "destination"))
        if place is None:
            continue
        q = place.retreat.positions[-1]
        back = times.call("plan_home", partial(planner.plan_home, q, scene))
        if back is not None:
            times.moved(approach=approach.approach, contact=approach.contact, lift=lift, transfer=place.transfer)
            times.moved(lower=place.lower, retreat=place.retreat, home=back)


def parts(planner: MotionPlanner, cell: CellConfig, n: int, seed: int, times: Times, oracle: bool) -> None:
    """Inverse kinematics, search, shortcutting and timing by themselves, between grasps over both totes."""
    core, home = planner.core, np.array(cell.arm.home)
    rng = np.random.default_rng(seed)
    solver, load = core.solvers[Tool.PINCH], core.empty_hand(Tool.PINCH, 0.08, False)
    checker = core.checker(
        load, core.worlds.full(made_up.make_scene(cell, made_up.random_boxes(cell, 14, rng)), np.zeros((0, 4)))
    )
    ends = {name: _poses_over(cell, name, 40 * n, rng) for name in ("source", "destination")}
    solved = {}
    for name, targets in ends.items():
        with times.measure(f"IK of {40 * n} poses, {name}"):
            found = solver.solve(targets, home, count=1)
        solved[name] = [q[0] for q in found if len(q) and path_clearance(checker, q)[0] > 0.0]
        times.outcomes[f"IK {name} solved"] += sum(len(q) > 0 for q in found)
    limits, tool, cap = core.limits, core.tool(load), load.acceleration
    for a, b in list(zip(solved["source"], solved["destination"]))[:n]:
        with times.measure("search"):
            path, _ = rrt_connect(checker, a, b[None, :], 1500, core.config.rrt_step_m, seed)
        times.outcomes[f"search {'found' if len(path) else 'no path'}"] += 1
        if oracle:
            with times.measure("OMPL"):
                known = _ompl_finds(checker, a, b, 10.0)
            times.outcomes[f"OMPL {'found' if known else 'no path'}"] += 1
        if not len(path):
            continue
        with times.measure("geometric shortcuts"):
            path = shortcut(checker, path, core.config.shortcut_tries, seed)
        with times.measure("stops at vertices"):
            motion = along_vertices(path, limits, tool, cap)
        times.durations_s["stops at vertices"].append(motion.duration_s)
        with times.measure("time-domain shortcuts"):
            motion = shorten(motion, limits, tool, cap, checker, core.config.join_tries, np.random.default_rng(seed))
        times.durations_s["time-domain"].append(motion.duration_s)


def _poses_over(cell: CellConfig, tote: str, count: int, rng: np.random.Generator) -> Array:
    """Tool poses pointing down over a tote, below and above its rim."""
    inner = np.array(cell.totes[tote].inner)
    out = []
    for _ in range(count):
        xyz = rng.uniform([-0.3, -0.3, 0.3], [0.3, 0.3, 1.0]) * inner
        turn = (np.pi + rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(-np.pi, np.pi))
        out.append(cell.X_base_tote(tote) @ make_pose(xyz, turn))
    return np.array(out)


def _ompl_finds(checker: Checker, start: Array, goal: Array, seconds: float) -> bool:
    """Does OMPL's RRT-Connect find a path with the same limits and collision checks?"""
    from ompl import base, geometric, util

    util.setLogLevel(util.LOG_ERROR)
    n = len(start)
    space = base.RealVectorStateSpace(n)
    bounds = base.RealVectorBounds(n)
    for j in range(n):
        bounds.setLow(j, float(checker.lower[j]))
        bounds.setHigh(j, float(checker.upper[j]))
    space.setBounds(bounds)
    setup = geometric.SimpleSetup(space)
    setup.setStateValidityChecker(lambda s: bool(path_clearance(checker, np.array([[s[j] for j in range(n)]]))[0] >= 0.0))
    ends = (space.allocState(), space.allocState())
    for state, q in zip(ends, (start, goal)):
        for j in range(n):
            state[j] = float(q[j])
    setup.setStartAndGoalStates(*ends)
    setup.getSpaceInformation().setStateValidityCheckingResolution(0.002)
    setup.setPlanner(geometric.RRTConnect(setup.getSpaceInformation()))
    if not setup.solve(seconds):
        return False
    path = setup.getSolutionPath()
    qs = [np.array([path.getState(i)[j] for j in range(n)]) for i in range(path.getStateCount())]
    return bool(np.allclose(qs[-1], goal))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pickcell.motion.bench", description=__doc__)
    parser.add_argument("--cell", type=Path, help="cell file (default: the reference cell)")
    parser.add_argument("--n", type=int, default=30, help="picks, and queries of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--oracle", action="store_true", help="solve the searches with OMPL as well")
    args = parser.parse_args()
    cell = load_cell(args.cell) if args.cell else default_cell()
    urdf = expand_urdf(cell)
    print(f"cell {cell.name}, n {args.n}, seed {args.seed}; compiled and warm after {warm(cell, urdf):.1f} s")
    begin = time.perf_counter()
    planner = MotionPlanner(cell, urdf)
    spheres = len(planner.core.robot.spheres_local.radius)
    print(f"planner built in {time.perf_counter() - begin:.2f} s; {spheres} spheres")
    times = Times()
    parts(planner, cell, args.n, args.seed, times, args.oracle)
    picks(planner, cell, args.n, args.seed, times)
    times.print()


if __name__ == "__main__":
    main()
