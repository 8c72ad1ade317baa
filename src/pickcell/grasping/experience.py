"""What picks have taught about products: how much better or worse a tool does on a kind, and on a SKU, than foreseen.

Log-odds of success are what the forests foresee, plus an offset of the kind, plus one of the SKU. Both offsets begin at
zero with the spread that products showed in training; every outcome moves them by a Laplace step (as in Bishop, Pattern
Recognition and Machine Learning, 2006, section 4.5). Without evidence nothing changes. What is believed fades a little
with every outcome of the same product, so that a changed packaging is learned anew.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pickcell.grasping.chance import Spread
from pickcell.values import Tool

log = logging.getLogger(__name__)

DRIFT = 0.01
"""Share of a prior's variance that comes back with every outcome, up to the prior's."""
NEWTON_STEPS = 8

_SCHEMA = """
CREATE TABLE IF NOT EXISTS offsets (
    tool TEXT NOT NULL, level TEXT NOT NULL, name TEXT NOT NULL, mean REAL NOT NULL, variance REAL NOT NULL,
    tries INTEGER NOT NULL, successes INTEGER NOT NULL, updated_unix_s REAL NOT NULL, PRIMARY KEY (tool, level, name));
CREATE TABLE IF NOT EXISTS outcomes (
    outcome_id INTEGER PRIMARY KEY, tool TEXT NOT NULL, kind TEXT NOT NULL, sku TEXT NOT NULL, foreseen REAL NOT NULL,
    success INTEGER NOT NULL, code TEXT NOT NULL, unix_s REAL NOT NULL);
"""


@dataclass(frozen=True)
class Offset:
    """A belief about log-odds."""

    mean: float = 0.0
    variance: float = 0.0
    tries: int = 0
    successes: int = 0


@dataclass(frozen=True)
class Belief:
    """Of one tool on one product."""

    mean: float
    """To be added to the log-odds of success."""
    learned: float
    """Standard deviation before any outcome, less what is left of it: 0 without evidence."""
    tries: int
    successes: int


class Experience:
    """Offsets by kind and SKU, in one SQLite file. Safe to call from several threads.

    A disk that cannot be written is logged, and what was learned then lives as long as the process.
    """

    def __init__(self, spread: Mapping[Tool, Spread], path: Path | None = None) -> None:
        """``path``: of the file, made when missing; None: nothing is kept. Raises OSError when it cannot be opened."""
        self._spread = spread
        self._lock = threading.Lock()
        self._offsets: dict[tuple[Tool, str, str], Offset] = {}
        self._path = path
        self._db: sqlite3.Connection | None = None
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=2.0)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_SCHEMA)
            for tool, level, name, *values in self._db.execute(
                "SELECT tool, level, name, mean, variance, tries, successes FROM offsets"
            ):
                self._offsets[Tool(tool), level, name] = Offset(*values)
        except (sqlite3.Error, ValueError) as error:
            raise OSError(f"cannot open what grasping has learned, {path}: {error}. Move it away to begin anew.") from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def belief(self, tool: Tool, kind: str, sku: str) -> Belief:
        """What to add for a product; nothing for one that is unknown ("")."""
        with self._lock:
            of_kind, of_sku = self._offset(tool, "kind", kind), self._offset(tool, "sku", sku)
        prior = (self._prior(tool, "kind") if kind else 0.0) + (self._prior(tool, "sku") if sku else 0.0)
        left = (of_kind.variance if kind else 0.0) + (of_sku.variance if sku else 0.0)
        return Belief(
            of_kind.mean + of_sku.mean, float(np.sqrt(prior) - np.sqrt(left)), of_sku.tries, of_sku.successes
        )  # fmt: skip

    def learn(self, tool: Tool, kind: str, sku: str, foreseen: float, success: bool, code: str = "") -> None:
        """One outcome. ``foreseen``: log-odds of success by the forests alone."""
        levels = [(level, name) for level, name in (("kind", kind), ("sku", sku)) if name]
        with self._lock:
            before = [self._drifted(tool, level, name) for level, name in levels]
            after = _updated(before, foreseen, success)
            for (level, name), offset in zip(levels, after, strict=True):
                counted = replace(offset, tries=offset.tries + 1, successes=offset.successes + int(success))
                self._offsets[tool, level, name] = counted
            self._keep(tool, levels, kind, sku, foreseen, success, code)

    def _prior(self, tool: Tool, level: str) -> float:
        spread = self._spread.get(tool, Spread(kind=0.0, sku=0.0))
        return float(getattr(spread, level)) ** 2

    def _offset(self, tool: Tool, level: str, name: str) -> Offset:
        if not name:
            return Offset()
        return self._offsets.get((tool, level, name), Offset(0.0, self._prior(tool, level)))

    def _drifted(self, tool: Tool, level: str, name: str) -> Offset:
        offset, prior = self._offset(tool, level, name), self._prior(tool, level)
        return replace(offset, variance=min(prior, offset.variance + DRIFT * prior))

    def _keep(
        self, tool: Tool, levels: list[tuple[str, str]], kind: str, sku: str, foreseen: float, success: bool, code: str
    ) -> None:
        if self._db is None:
            return
        now = time.time()
        rows = []
        for level, name in levels:
            o = self._offsets[tool, level, name]
            rows.append((tool.value, level, name, o.mean, o.variance, o.tries, o.successes, now))
        try:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO offsets VALUES (?,?,?,?,?,?,?,?)", rows)
            self._db.execute(
                "INSERT INTO outcomes (tool, kind, sku, foreseen, success, code, unix_s) VALUES (?,?,?,?,?,?,?)",
                (tool.value, kind, sku, foreseen, int(success), code, now),
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            log.error("what grasping learned could not be written to %s: %s", self._path, error)


def _updated(offsets: list[Offset], foreseen: float, success: bool) -> list[Offset]:
    """The offsets after one outcome at log-odds ``foreseen`` plus their sum: the mode and the curvature of the sum's
    posterior, shared by their variances."""
    variance = sum(offset.variance for offset in offsets)
    if variance <= 0.0:
        return offsets
    prior = foreseen + sum(offset.mean for offset in offsets)
    mode, p = prior, 0.5
    for _ in range(NEWTON_STEPS):
        p = 1.0 / (1.0 + float(np.exp(-np.clip(mode, -30.0, 30.0))))
        slope = float(success) - p - (mode - prior) / variance
        mode += slope / (p * (1.0 - p) + 1.0 / variance)
    left = 1.0 / (1.0 / variance + p * (1.0 - p))
    out = []
    for offset in offsets:
        share = offset.variance / variance
        spread = offset.variance - share**2 * (variance - left)
        out.append(replace(offset, mean=offset.mean + share * (mode - prior), variance=spread))
    return out
