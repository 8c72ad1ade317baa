"""Damage of a run at other limits than those of ``config/damage.yaml``: counted from its records, nothing is run again.

What is decided by the limits themselves (the pipeline knows none) would be the same; only what counts as damage differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pickcell_sim.bench import statistics
from pickcell_sim.bench.records import EpisodeRecord
from pickcell_sim.bench.suites import Protocol
from pickcell_sim.bench.summary import counted
from pickcell_sim.damage.scaling import FACTORS, SCALES, severity_limit
from pickcell_sim.scoring.scorer import WATCHED_SHARE


def damaged_items(episode: EpisodeRecord, scales: Mapping[str, float]) -> int:
    """Items of a tote that would be damaged with these factors on the limits. Raises what :func:`severity_limit` raises."""
    return len(
        {
            event.item_id
            for pick in episode.picks
            for event in (*pick.damage, *pick.near_misses)
            if event.value / event.limit > severity_limit(event.kind, scales, WATCHED_SHARE)
        }
    )


def sensitivity(episodes: Sequence[EpisodeRecord], protocol: Protocol) -> list[dict[str, Any]]:
    """One row per limit and factor: damaged items and picks, and damaged items per 1000 picks with their interval."""
    rows = []
    picks = [len(counted(episode, protocol)) for episode in episodes]
    for limit in SCALES:
        for factor in FACTORS:
            hurt = [damaged_items(episode, {limit: factor}) for episode in episodes]
            triple = statistics.clustered_rate(np.array([hurt, picks], float).T)
            rate = {k: _rounded(1000.0 * v, 1) for k, v in zip(("per_1000", "low", "high"), triple)}
            rows.append({"limit": limit, "factor": factor, "damaged": sum(hurt), "picks": sum(picks), **rate})
    return rows


def ratio_rows(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Damaged per pick of run ``a`` over those of run ``b`` at each limit and factor, from :func:`sensitivity` of both.

    ``high`` is None where ``b`` damaged nothing; all three are None where neither did. Raises ValueError when the rows are
    not of the same limits and factors.
    """
    if [(r["limit"], r["factor"]) for r in a] != [(r["limit"], r["factor"]) for r in b]:
        raise ValueError("a ratio needs the same limits and factors on both sides")
    out = []
    for mine, other in zip(a, b):
        triple = statistics.rate_ratio(mine["damaged"], mine["picks"], other["damaged"], other["picks"])
        value, low, high = (_rounded(v, 2) for v in triple)
        sides = {"damaged_a": mine["damaged"], "damaged_b": other["damaged"]}
        out.append({"limit": mine["limit"], "factor": mine["factor"], **sides, "ratio": value, "low": low, "high": high})
    return out


def _rounded(value: float, digits: int) -> float | None:
    """JSON has neither NaN nor infinity."""
    return round(float(value), digits) if np.isfinite(value) else None
