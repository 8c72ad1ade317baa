"""Counts and times of the picks since the start, for the topic ``stats``."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from pickcell.outcome import Code
from pickcell.task.record import PickReport

WINDOW = 100
"""Pieces over which stage times are taken."""


@dataclass(frozen=True)
class Totals:
    """The statistics at one moment."""

    delivered: int
    failed: int
    failures: dict[str, int]
    """Code -> pieces that ended with it."""
    uph: float
    """Delivered pieces per hour of working cell time."""
    stage_medians: dict[str, float]
    """Stage -> median seconds over the last pieces that came so far."""


class CellStatistics:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[dict[str, float]] = deque(maxlen=WINDOW)
        self._seen: set[str] = set()
        self._delivered = 0
        self._failures: Counter[str] = Counter()
        self._working_s = 0.0

    def add(self, report: PickReport) -> None:
        """Count a piece that has ended; the same one again changes nothing."""
        with self._lock:
            if report.job_id in self._seen:
                return
            self._seen.add(report.job_id)
            if report.code is Code.OK:
                self._delivered += 1
            else:
                self._failures[report.code.value] += 1
            self._working_s += report.duration_s
            if report.stages:
                self._recent.append(report.stage_durations())

    def totals(self) -> Totals:
        with self._lock:
            stages = dict.fromkeys(stage for durations in self._recent for stage in durations)
            medians = {s: float(np.median([d[s] for d in self._recent if s in d])) for s in stages}
            uph = 3600.0 * self._delivered / self._working_s if self._working_s > 0 else 0.0
            return Totals(self._delivered, self._failures.total(), dict(self._failures), uph, medians)
