"""Claims about the choice that follow from kept results of suites: how much less it damages, what it digs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pickcell_sim.bench import statistics
from pickcell_sim.bench.result import BenchResult, Metric
from pickcell_sim.bench.sensitivity import ratio_rows


def kept_metrics(folder: Path) -> dict[str, Metric]:
    """``damage_ratio_books_boxes`` (damaged per pick, suction : auto, on the same totes) and ``retrieval_rate`` (items that
    were half covered, delivered without damage to anything), as far as ``folder`` has the results.

    Raises ValueError for a file that is no result, or results of different totes.
    """
    out: dict[str, Metric] = {}
    books_boxes = _books_boxes(folder)
    if books_boxes is not None:
        out["damage_ratio_books_boxes"] = _damage_ratio(*books_boxes)
    retrieval = _read(folder / "retrieval-auto-estimated.json")
    if retrieval is not None:
        out["retrieval_rate"] = retrieval.metrics["clean_rate"]
    return out


def ratio_sensitivity(folder: Path) -> list[dict[str, Any]]:
    """``damage_ratio_books_boxes`` at other limits of damage, one row per limit and factor; empty where ``folder`` lacks the
    results, or one of them is older than such rows. Raises ValueError as :func:`kept_metrics`."""
    rows = [result.config.get("damage_at_other_limits", []) for result in _books_boxes(folder) or ()]
    return ratio_rows(*rows) if rows and all(rows) else []


def _damage_ratio(a: BenchResult, b: BenchResult) -> Metric:
    """Damaged items per pick of ``a`` over those of ``b``, which ran on the same totes."""
    (x, n), (y, m) = ([sum(row[k] for row in result.episodes) for k in ("damaged", "picks")] for result in (a, b))
    return Metric.of(statistics.rate_ratio(x, n, y, m), "damaged per pick, suction : auto")


def _books_boxes(folder: Path) -> tuple[BenchResult, BenchResult] | None:
    """The results of suction and of the choice, None when one is missing. Raises ValueError when they did not run on the
    same totes."""
    suction, auto = (_read(folder / f"books_boxes-{tools}-estimated.json") for tools in ("suction", "auto"))
    if suction is None or auto is None:
        return None
    seeds_suction, seeds_auto = ({row["seed"] for row in result.episodes} for result in (suction, auto))
    if suction.suite != auto.suite or seeds_suction != seeds_auto:
        said = "a ratio needs the same suite on the same totes; run both in one command"
        raise ValueError(f"{suction.suite} and {auto.suite}: {said}")
    return suction, auto


def _read(path: Path) -> BenchResult | None:
    return BenchResult.read(path) if path.is_file() else None
