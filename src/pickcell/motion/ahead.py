"""Is the rest of a motion still free in what the cameras see while it runs?"""

from __future__ import annotations

import numpy as np

from pickcell.motion.checking import first_blocked
from pickcell.motion.core import MotionCore
from pickcell.motion.field import IGNORE
from pickcell.motion.sweep import samples_free
from pickcell.outcome import Code, Outcome
from pickcell.values import GraspCandidate, JointTrajectory, Tool, VoxelGrid

EASE_M = 0.02
"""What is seen from a few pictures in passing is up to two voxels thicker than what a look makes of them: so much nearer
than in planning things may come."""


def way_ahead(
    core: MotionCore, trajectory: JointTrajectory, from_s: float, occupancy: VoxelGrid, grasp: GraspCandidate
) -> Outcome[None]:
    """See :meth:`pickcell.motion.MotionPlanner.still_free`. Space that is not in sight does not count: the arm itself hides
    much of it."""
    rest = np.ascontiguousarray(trajectory.positions[trajectory.times_s >= from_s])
    if len(rest) < 2:
        return Outcome.success(None)
    load = core.empty_hand(grasp.tool, grasp.opening_m, grasp.tool is Tool.SUCTION)
    world = core.worlds.seen_now(occupancy, core.robot_spheres(rest[0], load))
    checker = core.checker(load, world)
    eased = np.where(checker.margins.seen > IGNORE, checker.margins.seen - EASE_M, checker.margins.seen)
    checker = core.relaxed(checker._replace(margins=checker.margins._replace(seen=eased)), rest[0])
    if samples_free(checker, rest):
        return Outcome.success(None)
    where = max(first_blocked(checker, rest), 0)
    after_s = float(trajectory.times_s[-1] - from_s) * where / len(rest)
    return Outcome.failure(Code.PATH_BLOCKED, f"In {after_s:.1f} s: {core.blocker(checker, rest[where])}.")
