"""A seeded tour of the arm: from place to place above a filled tote and, where there is room, down into it."""

from __future__ import annotations

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.description import expand_urdf
from pickcell.geometry import inverse
from pickcell.motion.core import MotionCore
from pickcell.motion.timing import Tool as CappedTool
from pickcell.motion.timing import along_vertices
from pickcell.values import JointTrajectory, Tool
from pickcell_sim.world import SimWorld

Array = NDArray[np.float64]

ABOVE_M = 0.30
"""Height of the fingertips over the tote's floor between two dips."""
CLEAR_M = 0.04
"""The fingertips stop this far above what lies below the hand."""
HAND_HALF_M = 0.12
"""Half of the square below which the hand and the wrist could touch something, whichever way it is turned."""
WALL_M = 0.10
"""The fingertips keep this far from the tote's walls."""
RAYS = 13
"""Rays per side of that square."""
TOOL_CAP_MPS2 = 5.0


class ArmTour:
    """Makes tours for one cell. Raises ValueError when the cell has no source tote."""

    def __init__(self, cell: CellConfig) -> None:
        if "source" not in cell.totes:
            raise ValueError(f"a tour needs a tote 'source', the cell has {sorted(cell.totes)}")
        self._cell = cell
        self._core = MotionCore(cell, expand_urdf(cell))
        self._solver = self._core.solvers[Tool.PINCH]

    def through(self, world: SimWorld, seed: int, dips: int) -> JointTrajectory:
        """From home over ``dips`` random places and back, down to just above what lies there in ``world`` now.

        Straight joint lines with a rest at each end of a dip. Places that the arm does not reach from above are skipped.
        """
        rng = np.random.default_rng([seed, 401])
        vertices = [self._core.home]
        while len(vertices) < 1 + 3 * dips:
            vertices += self._dip(world, rng, vertices[-1])
        vertices.append(self._core.home)
        solver = self._solver
        tool = CappedTool(solver.chain, solver.body, solver.local)
        motion = along_vertices(np.array(vertices), self._core.limits, tool, TOOL_CAP_MPS2)
        return motion.trajectory(self._core.robot.joint_names)

    def _dip(self, world: SimWorld, rng: np.random.Generator, q: Array) -> list[Array]:
        """Above, below, above; nothing when the arm cannot do it without a change of its configuration."""
        tote = self._cell.totes["source"]
        reach = np.array(tote.inner[:2]) / 2 - WALL_M
        at = np.array([*rng.uniform(-reach, reach), 0.0, 1.0])
        place = (tote.X_world_tote @ at)[:3]
        turn = rng.uniform(-np.pi / 2, np.pi / 2)
        low = max(height_below(world, place[:2]) + CLEAR_M, tote.position[2] + CLEAR_M)
        high = max(low, tote.position[2] + ABOVE_M)
        targets = np.array([self._above(place, z, turn) for z in (high, low)])
        up = self._solver.solve(targets[:1], q, count=1)[0]
        if len(up) == 0:
            return []
        down = self._solver.solve(targets[1:], up[0], count=1)[0]
        if len(down) == 0 or np.abs(down[0] - up[0]).max() > 1.0:
            return []
        return [up[0], down[0], up[0]]

    def _above(self, place: Array, z: float, turn: float) -> Array:
        """(4, 4) pose in base_link of fingertips that point straight down at a height in the world."""
        c, s = np.cos(turn), np.sin(turn)
        X = np.eye(4)
        X[:3, :3] = np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])
        X[:3, 3] = [place[0], place[1], z]
        return np.asarray(inverse(self._cell.X_world_base) @ X)


def height_below(world: SimWorld, place: Array) -> float:
    """Highest point (m, world) of anything but the robot under the hand at a place (2,)."""
    grid = np.linspace(-HAND_HALF_M, HAND_HALF_M, RAYS)
    xy = np.array([(place[0] + dx, place[1] + dy) for dx in grid for dy in grid])
    starts = np.column_stack([xy, np.full(len(xy), 0.6)])
    ends = np.column_stack([xy, np.full(len(xy), -0.1)])
    top = -0.1
    below = list(range(len(xy)))
    while below:  # what the ray meets first may be the robot
        hits = p.rayTestBatch(starts[below].tolist(), ends[below].tolist(), physicsClientId=world.client)
        again = []
        for index, hit in zip(below, hits):
            if hit[0] == world.robot.body:
                starts[index, 2] = hit[3][2] - 0.01
                if starts[index, 2] > -0.09:
                    again.append(index)
            elif hit[0] >= 0:
                top = max(top, float(hit[3][2]))
        below = again
    return top
