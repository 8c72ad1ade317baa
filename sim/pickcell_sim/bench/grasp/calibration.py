"""Are the chances true? Predictions of the cell's own first choices, and of the best of the other tool, against outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pickcell.values import Tool
from pickcell_sim.bench import statistics
from pickcell_sim.bench.result import Metric
from pickcell_sim.tries.attempt import GraspTry

BINS = 10
RESAMPLES = 1000


def groups(tries: Sequence[GraspTry]) -> dict[str, list[GraspTry]]:
    """Tries that reached the item, by tool and, as "choice", those that the cell would have made."""
    tried = [t for t in tries if t.was_tried]
    by_tool = {tool.value: [t for t in tried if t.tool == tool.value] for tool in Tool}
    return {**by_tool, "choice": [t for t in tried if t.chosen]}


def calibration_metrics(tries: Sequence[GraspTry]) -> dict[str, Metric]:
    """Per group: expected calibration error of success (``ece_...``) and of harm, success foreseen and true, harm."""
    out: dict[str, Metric] = {}
    for name, mine in groups(tries).items():
        if mine:
            out |= _of_group(name, mine)
    return out


def _of_group(name: str, mine: list[GraspTry]) -> dict[str, Metric]:
    said, held = np.array([t.quality for t in mine]), np.array([t.success for t in mine])
    feared, harmed = np.array([t.measures["harm"] for t in mine]), np.array([bool(t.damage) for t in mine])
    totes = np.array([t.tote for t in mine])
    return {
        f"ece_{name}": _clustered(totes, lambda rows: statistics.calibration_error(said[rows], held[rows])),
        f"harm_ece_{name}": _clustered(totes, lambda rows: statistics.calibration_error(feared[rows], harmed[rows])),
        f"foreseen_{name}": _clustered(totes, lambda rows: float(said[rows].mean())),
        f"success_{name}": Metric.of(statistics.wilson(int(held.sum()), len(mine)), "share"),
        f"harm_{name}": Metric.of(statistics.wilson(int(harmed.sum()), len(mine)), "share"),
        f"tries_{name}": Metric(len(mine), float("nan"), float("nan"), "tries"),
    }


def reliability_rows(mine: Sequence[GraspTry]) -> list[list[float]]:
    """[mean prediction, share that succeeded, tries] of each of BINS equal stretches that holds any."""
    said, held = np.array([t.quality for t in mine]), np.array([t.success for t in mine], dtype=float)
    number = np.minimum((said * BINS).astype(int), BINS - 1)
    return [
        [round(float(said[number == k].mean()), 4), round(float(held[number == k].mean()), 4), int((number == k).sum())]
        for k in range(BINS)
        if (number == k).any()
    ]


def _clustered(totes: NDArray[np.str_], statistic: Callable[[NDArray[np.intp]], float]) -> Metric:
    """The figure with an interval from totes drawn anew (bootstrap): tries in one tote are not independent. Calibration
    errors of resamples are larger than their own: the interval leans upwards."""
    names = np.unique(totes)
    rows = {name: np.flatnonzero(totes == name) for name in names}
    rng = np.random.default_rng(0)
    draws = [statistic(np.concatenate([rows[n] for n in rng.choice(names, len(names))])) for _ in range(RESAMPLES)]
    low, high = np.quantile(draws, (0.025, 0.975))
    return Metric(statistic(np.arange(len(totes))), float(low), float(high), "share")
