"""What would be damaged at other limits, from events that were recorded from a share of each limit on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SCALES = ("impact", "opening", "crush", "film")
"""Limits that can be scaled, in the words of the damage limits."""
FACTORS = (0.5, 0.71, 1.0, 1.41, 2.0)
"""On one limit at a time, in tables of sensitivity."""
_SCALE_OF = {"impact": "impact", "opened": "opening", "crush": "crush", "blister": "film"}
"""Which one a kind of damage event is judged by."""


def severity_limit(kind: str, scales: Mapping[str, float], watched_share: float) -> float:
    """Severity (value over the limit as the file has it) over which an event of a kind is damage, with these factors on the
    limits (1 where none is given).

    ``impact`` scales fall heights, so that the limit of the speed follows with its root. Raises ValueError for names that
    are no limits, and for what is below ``watched_share``, from which on events were recorded.
    """
    unknown = [name for name in scales if name not in SCALES]
    if unknown:
        raise ValueError(f"no limits named {unknown}; there are {list(SCALES)}")
    factor = scales.get(_SCALE_OF.get(kind, ""), 1.0)
    limit = float(np.sqrt(factor)) if kind == "impact" else float(factor)
    if limit < watched_share - 1e-9:
        raise ValueError(f"{kind} was recorded from {watched_share:g} of its limit on only, asked for {limit:g}")
    return limit
