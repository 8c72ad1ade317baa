"""Solves planning problems from files, whatever arm they are for, and has every path judged by exact shapes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.motion.checking import Checker, Margins, path_clearance
from pickcell.motion.config import MotionConfig
from pickcell.motion.field import IGNORE
from pickcell.motion.model import RobotModel
from pickcell.motion.rrt import rrt_connect, shortcut
from pickcell.motion.spheres import CLOSE_FIT
from pickcell_sim.bench.motion.moveit_problems import MoveitProblem, ProblemError, find_problems, read_problem
from pickcell_sim.bench.motion.solid_world import solid_world
from pickcell_sim.bench.motion.solids import ExactScene

Array = NDArray[np.float64]

FIELD_M = 0.01
AROUND_M = 0.10
"""The field reaches this much further than the robot in the configurations that it was surveyed in."""
MARGINS_M = (0.004, -0.004)
"""Tried in turn. With the first nearly every path is exactly valid; the second dares what spheres refuse, for the judge."""
OWN_M = (0.0, -0.006)
"""The same, for links against each other."""
NODES = 6000
TRIES_PER_MARGIN = 2
"""Searches with another seed, when the judge refuses a path."""
NEAR_RAD = (0.05, 0.4)
"""An end that is clear by exact shapes only is left for a configuration about this far away, further from draw to draw."""
NEAR_DRAWS = 60


@dataclass
class Solved:
    """What came of the problems."""

    names: list[str] = field(default_factory=list)
    solved: list[bool] = field(default_factory=list)
    """With a path that the judge approved: what it refuses is not returned."""
    plan_ms: list[float] = field(default_factory=list)
    """Search and simplification, over all tries."""
    judge_ms: list[float] = field(default_factory=list)
    field_ms: list[float] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Problems whose start or goal touches something by exact shapes: nobody can solve them."""


class ProblemRobot:
    """A robot for problems: its arm, whatever is on it standing still."""

    def __init__(self, urdf: Path, joints: Sequence[str], meshes: Path | None = None) -> None:
        """``meshes``: folder below which the URDF's meshes lie; the URDF's own when not given. Raises UrdfError, OSError."""
        self.urdf, self.joints, self.meshes = urdf.read_text(), tuple(joints), meshes or urdf.parent
        self._fingers: tuple[str, ...] = ()
        self._model: RobotModel | None = None

    def model(self, start: dict[str, float]) -> RobotModel:
        """The robot with those joints that are not the arm's and move as fingers."""
        fingers = tuple(name for name in start if name not in self.joints and f'"{name}"' in self.urdf)
        if self._model is None or fingers != self._fingers:
            self._fingers = fingers
            self._model = RobotModel(self.urdf, self.joints, fingers, "", (self.meshes,), CLOSE_FIT)
        return self._model

    def checker(self, problem: MoveitProblem, margin_m: float, own_m: float) -> Checker:
        """Checks among the problem's solids; their field is made anew."""
        model = self.model(problem.start)
        opening = 2.0 * max((problem.start[name] for name in self._fingers), default=0.0)
        spheres = model.rigid_hand(model.spheres_local, opening, False)
        reach = float(model.spheres_local.reach[0]) + AROUND_M
        low, high = np.array([-reach, -reach, -0.5]), np.array([reach, reach, reach + 0.5])
        world = solid_world(problem.solids, low, high, FIELD_M)
        first = int(np.flatnonzero(model.arm.joint == 0)[0])
        moves = np.array([b not in (0, first) for b in spheres.body])
        margins = Margins(np.where(moves, margin_m, IGNORE), np.full(len(moves), IGNORE), np.full(len(spheres.pairs), own_m))
        return Checker(model.arm, spheres, world, margins, spheres.reach, model.lower, model.upper)

    def judge(self, problem: MoveitProblem) -> ExactScene:
        still = {name: value for name, value in problem.start.items() if name not in self.joints}
        return ExactScene(self.urdf, self.joints, problem.solids, None, still, 0.0, self.meshes)


def run_problems(
    folder: Path, robot: ProblemRobot, config: MotionConfig | None = None, on_problem: Callable[[int], None] = lambda n: None
) -> Solved:
    """All problems below a folder; what cannot be read is named in the result. Raises ProblemError for an empty folder."""
    out, config = Solved(), config or MotionConfig()
    files = list(find_problems(folder))
    for number, (scene, request) in enumerate(files):
        try:
            problem = read_problem(scene, request)
            ends = [np.array([one[name] for name in robot.joints]) for one in (problem.start, problem.goal)]
        except ProblemError as error:
            out.unreadable.append(str(error))
            continue
        except KeyError as missing:
            out.unreadable.append(f"{request}: joint {missing} of the arm is not given")
            continue
        if number == 0:
            _solve(problem, ends, robot, config, Solved())  # compiles and loads; does not count
        _solve(problem, ends, robot, config, out)
        on_problem(number + 1)
    return out


def _solve(problem: MoveitProblem, ends: list[Array], robot: ProblemRobot, config: MotionConfig, out: Solved) -> None:
    judge = robot.judge(problem)
    if not all(judge.free(q) for q in ends):
        out.refused.append(problem.name)
        return
    begin = time.perf_counter()
    checker = robot.checker(problem, MARGINS_M[0], OWN_M[0])
    out.field_ms.append(1e3 * (time.perf_counter() - begin))
    plan_s = judge_s = 0.0
    valid = False
    for margin, own in zip(MARGINS_M, OWN_M, strict=True):
        m = checker.margins
        eased = checker._replace(
            margins=Margins(np.where(m.fixed > IGNORE, margin, m.fixed), m.seen, np.full(len(m.own), own))
        )
        for seed in range(TRIES_PER_MARGIN):
            begin = time.perf_counter()
            clear = [_clear_neighbour(eased, judge, q, seed) for q in ends]
            path = _plan(eased, [q for q in clear if q is not None], config, seed)
            planned = time.perf_counter()
            valid = len(path) > 0 and judge.path_free(np.vstack([ends[0], path, ends[1]]))
            plan_s, judge_s = plan_s + planned - begin, judge_s + time.perf_counter() - planned
            if valid or not len(path):
                break
        if valid:
            break
    out.names.append(problem.name)
    out.solved.append(valid)
    out.plan_ms.append(1e3 * plan_s)
    out.judge_ms.append(1e3 * judge_s)


def _clear_neighbour(checker: Checker, judge: ExactScene, q: Array, seed: int) -> Array | None:
    """``q``, or where spheres refuse it a configuration nearby that they allow and from which the straight way is exactly
    free; None when none was drawn."""
    if path_clearance(checker, q[None])[0] >= 0.0:
        return q
    rng = np.random.default_rng(seed)
    for k in range(NEAR_DRAWS):
        far = NEAR_RAD[0] + (NEAR_RAD[1] - NEAR_RAD[0]) * k / NEAR_DRAWS
        near = np.clip(q + far * rng.normal(size=len(q)), checker.lower, checker.upper)
        if path_clearance(checker, near[None])[0] >= 0.0 and judge.path_free(np.array([near, q])):
            return near
    return None


def _plan(checker: Checker, ends: list[Array], config: MotionConfig, seed: int) -> Array:
    """A simplified path, (0, n) when there is none, or an end is missing."""
    nobody = np.zeros((0, len(checker.lower)))
    if len(ends) < 2:
        return nobody
    path, which = rrt_connect(checker, ends[0], ends[1][None, :], nobody, NODES, config.rrt_step_m, seed)
    return shortcut(checker, path, config.shortcut_tries, seed) if which >= 0 else nobody
