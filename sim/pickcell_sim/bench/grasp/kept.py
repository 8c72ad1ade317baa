"""Claims about the choice that follow from kept results of suites: how much less it damages, what it digs out."""

from __future__ import annotations

from pathlib import Path

from pickcell_sim.bench import statistics
from pickcell_sim.bench.result import BenchResult, Metric


def kept_metrics(folder: Path) -> dict[str, Metric]:
    """``damage_ratio_books_boxes`` (damaged per pick, suction : auto, on the same totes) and ``retrieval_rate`` (items that
    were half covered, delivered without damage to anything), as far as ``folder`` has the results.

    Raises ValueError for a file that is no result, or results of different totes.
    """
    out: dict[str, Metric] = {}
    suction, auto = (_read(folder / f"books_boxes-{tools}-estimated.json") for tools in ("suction", "auto"))
    if suction is not None and auto is not None:
        out["damage_ratio_books_boxes"] = damage_ratio(suction, auto)
    retrieval = _read(folder / "retrieval-auto-estimated.json")
    if retrieval is not None:
        out["retrieval_rate"] = retrieval.metrics["clean_rate"]
    return out


def damage_ratio(a: BenchResult, b: BenchResult) -> Metric:
    """Damaged items per pick of ``a`` over those of ``b``. Raises ValueError when they did not run on the same totes."""
    rows_a, rows_b = ({row["seed"]: row for row in result.episodes} for result in (a, b))
    if a.suite != b.suite or set(rows_a) != set(rows_b):
        raise ValueError(f"{a.suite} and {b.suite}: a ratio needs the same suite on the same totes; run both in one command")
    (x, n), (y, m) = ([sum(row[k] for row in rows.values()) for k in ("damaged", "picks")] for rows in (rows_a, rows_b))
    return Metric.of(statistics.rate_ratio(x, n, y, m), "damaged per pick, suction : auto")


def _read(path: Path) -> BenchResult | None:
    return BenchResult.read(path) if path.is_file() else None
