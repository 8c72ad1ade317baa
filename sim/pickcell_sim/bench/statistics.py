"""Intervals for what benchmarks report: Wilson for shares, bootstrap for everything else. All at 95 %."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
BOOTSTRAP_DRAWS = 2000


def wilson(successes: int, n: int) -> tuple[float, float, float]:
    """(share, low, high) by Wilson's score interval (Wilson 1927). Raises ValueError when successes are not in 0..n."""
    if n < 0 or not 0 <= successes <= max(n, 0):
        raise ValueError(f"wilson needs 0 <= successes <= n, got {successes} of {n}")
    if n == 0:
        return float("nan"), 0.0, 1.0
    share = successes / n
    z2 = Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return share, float(max(0.0, centre - half)), float(min(1.0, centre + half))


def bootstrap(
    samples: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], float], seed: int = 0
) -> tuple[float, float, float]:
    """(value, low, high) of ``statistic`` over the rows of ``samples``, by the percentile bootstrap (Efron 1979)."""
    samples = np.asarray(samples, dtype=float)
    if len(samples) == 0:
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    draws = [statistic(samples[rng.integers(0, len(samples), len(samples))]) for _ in range(BOOTSTRAP_DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(statistic(samples)), float(low), float(high)


def median(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """(median, low, high)."""
    return bootstrap(values, lambda v: float(np.median(v)))


def p95(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """(95th percentile, low, high)."""
    return bootstrap(values, lambda v: float(np.percentile(v, 95)))


def rate_per_hour(counts_and_seconds: NDArray[np.float64]) -> tuple[float, float, float]:
    """(units per hour, low, high) from rows of (units, seconds)."""
    return bootstrap(counts_and_seconds, lambda rows: 3600.0 * rows[:, 0].sum() / max(rows[:, 1].sum(), 1e-9))
