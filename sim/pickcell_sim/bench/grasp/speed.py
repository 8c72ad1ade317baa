"""What it costs to find and score all grasps of a crowded tote, and the scoring alone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from pickcell.catalogue import load_catalogue
from pickcell.grasping import GraspSelector
from pickcell.grasping.worth import Worth
from pickcell.task.targets import likeliest_left
from pickcell_sim.bench import statistics
from pickcell_sim.bench.result import Metric
from pickcell_sim.bench.suites import Suite, draw_tote
from pickcell_sim.bench.trial import Setup, Trial

ITEMS = 25
ROUNDS = 3
"""The fastest of so many counts: the machine has other things to do as well."""


def speed_metrics(suite: Suite, seeds: range) -> dict[str, Metric]:
    """Milliseconds per tote of 25 items, one thread: ``score_ms`` for the chances and costs of all candidates, ``select_ms``
    for everything from surfaces to the ranking. Raises FillError when the items do not fit."""
    catalogue = load_catalogue()
    crowded = suite.model_copy(update={"items": (ITEMS, ITEMS), "fullness": 0.42})
    whole, scoring, counts = [], [], []
    for seed in seeds:
        contents = draw_tote(crowded, seed, catalogue).contents
        with tempfile.TemporaryDirectory(prefix="pickcell-speed-") as folder:
            with Trial(suite.load_cell(), catalogue, contents, Path(folder), Setup(charge=False)) as trial:
                scene = trial.ports.observe(contents.manifest, 0.0).unwrap()
                wanted = [(i.id, likeliest_left(i, contents.manifest)) for i in scene.instances]
                times = []
                for _ in range(ROUNDS):
                    watch = _Watch()
                    selector = GraspSelector(trial.ports.cell, catalogue)
                    selector._worth = watch.around(selector._worth)
                    start = time.perf_counter()
                    for number, sku in wanted:
                        selector.select(scene, number, sku)
                    times.append((time.perf_counter() - start, watch.seconds, watch.candidates))
                best = min(times)
                whole.append(1e3 * best[0])
                scoring.append(1e3 * best[1])
                counts.append(best[2])
    return {
        "score_ms_median": Metric.of(statistics.median(np.array(scoring)), f"ms per tote of {ITEMS} items"),
        "score_ms_p95": Metric.of(statistics.p95(np.array(scoring)), f"ms per tote of {ITEMS} items"),
        "select_ms_median": Metric.of(statistics.median(np.array(whole)), f"ms per tote of {ITEMS} items"),
        "select_ms_p95": Metric.of(statistics.p95(np.array(whole)), f"ms per tote of {ITEMS} items"),
        "candidates_scored": Metric.of(statistics.median(np.array(counts, float)), "candidates per tote"),
    }


class _Watch:
    """Adds up the time spent in :meth:`Worth.of`."""

    def __init__(self) -> None:
        self.seconds, self.candidates = 0.0, 0

    def around(self, worth: Worth) -> Worth:
        of = worth.of

        def timed(table, product):  # type: ignore[no-untyped-def]
            start = time.perf_counter()
            out = of(table, product)
            self.seconds += time.perf_counter() - start
            self.candidates += int((table.reason == "").sum())
            return out

        worth.of = timed  # type: ignore[method-assign]
        return worth
