"""How hard to hold and how fast to carry: of a few forces and accelerations the one that is expected to cost least.

The analytic hold is careful about slipping and knows nothing of crushing; the forests have seen both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pickcell.grasping.table import CandidateTable, concat
from pickcell.values import Tool

FORCE, ACCELERATION = "force_n", "used_mps2"
"""Names of the measures that a refinement changes."""


@dataclass(frozen=True)
class RefineConfig:
    """What is tried, as factors on the analytic force and acceleration."""

    forces: tuple[float, ...] = (0.5, 0.75, 1.0, 1.4)
    accelerations: tuple[float, ...] = (0.6, 1.0)
    worth_s: float = 0.5
    """A variant has to be so much cheaper than the candidate as it is: of two alike the careful analytic hold is taken."""
    least_force_n: float = 6.0
    least_mps2: float = 1.0


def variants(table: CandidateTable, config: RefineConfig, force_max_n: float) -> CandidateTable:
    """Every candidate with every force (pinches) and acceleration; the i-th block of rows are all candidates with the i-th
    pair. The candidates as they are come first."""
    forces = config.forces if table.tool is Tool.PINCH else (1.0,)
    pairs = [(1.0, 1.0), *((f, a) for f in forces for a in config.accelerations if (f, a) != (1.0, 1.0))]
    return concat([_with(table, force, acceleration, config, force_max_n) for force, acceleration in pairs])


def cheapest(varied: CandidateTable, count: int, worth_s: float) -> CandidateTable:
    """Of each of ``count`` candidates the variant that costs least, in the order of the candidates; the candidate as it is
    unless that is ``worth_s`` seconds dearer."""
    cost = varied.cost_s.reshape(-1, count).copy()
    cost[0] -= worth_s
    best = np.argmin(np.where(np.isfinite(cost), cost, np.inf), axis=0)
    return varied.take(best * count + np.arange(count))


def _with(
    table: CandidateTable, force: float, acceleration: float, config: RefineConfig, force_max_n: float
) -> CandidateTable:
    force_n = table.force_n
    if force != 1.0:
        force_n = np.clip(table.force_n * force, np.minimum(config.least_force_n, table.force_n), force_max_n)
    used = table.acceleration
    if acceleration != 1.0:
        used = np.maximum(table.acceleration * acceleration, np.minimum(config.least_mps2, table.acceleration))
    measures = table.measures | {ACCELERATION: used}
    if table.tool is Tool.PINCH:
        measures[FORCE] = force_n
    return replace(table, force_n=force_n, acceleration=used, measures=measures)
