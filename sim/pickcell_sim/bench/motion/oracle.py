"""OMPL's RRT-Connect with coal's exact shapes: what most cells plan with today, the yardstick and the oracle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from ompl import base, geometric, util

from pickcell_sim.bench.motion.solids import ExactScene

Array = NDArray[np.float64]

CAREFUL_M = 0.004
"""Margin of its checks."""
RESOLUTION_RAD = 0.02
"""Between two checks along an edge."""


class Oracle:
    """Plans in one exact scene."""

    def __init__(self, scene: ExactScene, lower: Array, upper: Array) -> None:
        util.setLogLevel(util.LOG_ERROR)
        n = len(lower)
        space = base.RealVectorStateSpace(n)
        bounds = base.RealVectorBounds(n)
        for j in range(n):
            bounds.setLow(j, float(lower[j]))
            bounds.setHigh(j, float(upper[j]))
        space.setBounds(bounds)
        self._space, self._n = space, n
        self._setup = geometric.SimpleSetup(space)
        self._setup.setStateValidityChecker(lambda s: scene.free([s[j] for j in range(n)]))
        info = self._setup.getSpaceInformation()
        info.setStateValidityCheckingResolution(RESOLUTION_RAD / space.getMaximumExtent())
        self._setup.setPlanner(geometric.RRTConnect(info))

    def plan(self, start: Array, goals: Array, seconds: float) -> Array:
        """A path (K, n) to one of the goals (G, n), not simplified; (0, n) when none was found in time."""
        self._setup.clear()
        goal = base.GoalStates(self._setup.getSpaceInformation())
        for q in goals:
            goal.addState(self._state(q))
        self._setup.setStartState(self._state(start))
        self._setup.setGoal(goal)
        if not self._setup.solve(seconds) or not self._setup.haveExactSolutionPath():
            return np.zeros((0, self._n))
        return self._rows()

    def simplify(self) -> Array:
        """OMPL's own simplification of the last path found."""
        self._setup.simplifySolution()
        return self._rows()

    def _state(self, q: Array) -> base.State:
        state = self._space.allocState()
        for j in range(self._n):
            state[j] = float(q[j])
        return state

    def _rows(self) -> Array:
        path = self._setup.getSolutionPath()
        return np.array([[path.getState(i)[j] for j in range(self._n)] for i in range(path.getStateCount())])
