"""Intervals for what benchmarks report, all at 95 %.

Shares: Wilson. Rates of events: exact Poisson, never narrower than a bootstrap over totes. Everything else: bootstrap.
Differences between two strategies on the same seeds: bootstrap over the seeds, both strategies resampled together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2

Z95 = 1.959963984540054
BOOTSTRAP_DRAWS = 2000
_CHUNK = 2_000_000
"""Numbers resampled at once: bounds the memory."""

Array = NDArray[np.float64]
Interval = tuple[float, float, float]
"""(value, low, high)."""
_UNKNOWN: Interval = (float("nan"),) * 3


def wilson(successes: int, n: int) -> Interval:
    """(share, low, high) by Wilson's score interval (Wilson 1927). Raises ValueError when successes are not in 0..n."""
    if n < 0 or not 0 <= successes <= max(n, 0):
        raise ValueError(f"wilson needs 0 <= successes <= n, got {successes} of {n}")
    if n == 0:
        return float("nan"), 0.0, 1.0
    share = successes / n
    z2 = Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    low = 0.0 if successes == 0 else float(max(0.0, centre - half))
    high = 1.0 if successes == n else float(min(1.0, centre + half))
    return share, low, high


def poisson(events: int, exposure: float) -> Interval:
    """(events per exposure, low, high), exact (Garwood 1936): honest also when nothing was counted.

    Raises ValueError for a negative count or an exposure that is not positive.
    """
    if events < 0 or not exposure > 0:
        raise ValueError(f"a rate needs events >= 0 and an exposure > 0, got {events} per {exposure}")
    low = 0.5 * chi2.ppf(0.025, 2 * events) if events else 0.0
    high = 0.5 * chi2.ppf(0.975, 2 * events + 2)
    return events / exposure, float(low / exposure), float(high / exposure)


def clustered_rate(events_and_exposure: Array) -> Interval:
    """Events per exposure from one row (events, exposure) per tote: events in one tote may have one cause.

    The interval holds both the exact Poisson one and that of a bootstrap over totes. NaN without any exposure.
    """
    rows = np.asarray(events_and_exposure, dtype=float).reshape(-1, 2)
    if len(rows) == 0 or rows[:, 1].sum() <= 0:
        return _UNKNOWN
    value, low, high = poisson(round(rows[:, 0].sum()), float(rows[:, 1].sum()))
    _, low_totes, high_totes = ratio(rows)
    return value, float(np.nanmin([low, low_totes])), float(np.nanmax([high, high_totes]))


def ratio(rows: Array) -> Interval:
    """Sum of the first column over sum of the second, bootstrap over the rows of ``rows`` (n, 2).

    NaN where 0 / 0, and for the limits when there is a single row."""
    rows = np.asarray(rows, dtype=float).reshape(-1, 2)
    if len(rows) == 0 or rows[:, 1].sum() <= 0:
        return _UNKNOWN
    if len(rows) == 1:
        return float(rows[0, 0] / rows[0, 1]), float("nan"), float("nan")
    sums = rows[_resamples(len(rows))].sum(axis=1)
    return (float(rows[:, 0].sum() / rows[:, 1].sum()), *_percentiles(_divide(sums)))


def paired_difference(a: Array, b: Array, bound: Callable[[int, float], Interval] | None = None) -> Interval:
    """Ratio of ``a`` minus ratio of ``b``, rows (n, 2) of both from the same n seeds in the same order.

    Each draw takes the same seeds for both, so that what is common to a seed (a hard tote) cancels (Efron 1979, paired).
    Where a bootstrap is blind because one side counted nothing, or no draw differs from another, the interval is made of
    those of both sides (``bound`` of count and exposure; the square-and-add method of Newcombe 1998, which ignores the
    pairing); without ``bound`` it is unknown then (NaN). Raises ValueError when the shapes differ.
    """
    a, b = (np.asarray(rows, dtype=float).reshape(-1, 2) for rows in (a, b))
    if a.shape != b.shape:
        raise ValueError(f"a paired difference needs the same seeds on both sides, got {len(a)} and {len(b)}")
    sums = [rows.sum(axis=0) for rows in (a, b)]
    if len(a) == 0 or sums[0][1] <= 0 or sums[1][1] <= 0:
        return _UNKNOWN
    index = _resamples(len(a))
    low, high = _percentiles(_divide(a[index].sum(axis=1)) - _divide(b[index].sum(axis=1)))
    value = float(sums[0][0] / sums[0][1] - sums[1][0] / sums[1][1])
    if low < high and (bound is None or min(sums[0][0], sums[1][0]) > 0):
        return value, low, high
    if bound is None:
        return value, float("nan"), float("nan")
    (p, low_p, high_p), (q, low_q, high_q) = (bound(round(count), exposure) for count, exposure in sums)
    return value, value - float(np.hypot(p - low_p, high_q - q)), value + float(np.hypot(high_p - p, q - low_q))


def rate_ratio(a: int, per_a: float, b: int, per_b: float) -> Interval:
    """Ratio of two Poisson rates, a / per_a over b / per_b, with the exact conditional interval (Przyborowski and Wilenski
    1940, by Clopper-Pearson on the share of a). Half an event is added to both counts for the value, so that nothing counted
    is not infinitely good (Haldane 1956); the upper end is infinite where b is 0. NaN when neither side counted anything.

    Raises ValueError for negative counts or exposures that are not positive.
    """
    if min(a, b) < 0 or not min(per_a, per_b) > 0:
        raise ValueError(f"a ratio of rates needs counts >= 0 and exposures > 0, got {a} per {per_a} and {b} per {per_b}")
    if a + b == 0:
        return _UNKNOWN
    low = float(beta.ppf(0.025, a, b + 1)) if a > 0 else 0.0
    high = float(beta.ppf(0.975, a + 1, b)) if b > 0 else 1.0
    scale = per_b / per_a
    odds = [share / (1.0 - share) if share < 1.0 else float("inf") for share in (low, high)]
    return scale * (a + 0.5) / (b + 0.5), scale * odds[0], scale * odds[1]


def wilson_of(count: int, exposure: float) -> Interval:
    """:func:`wilson` for a count out of a whole number of tries."""
    return wilson(count, round(exposure))


def bootstrap(samples: Array, statistic: Callable[[Array], float], seed: int = 0) -> Interval:
    """(value, low, high) of ``statistic`` over the rows of ``samples``, by the percentile bootstrap (Efron 1979)."""
    samples = np.asarray(samples, dtype=float)
    if len(samples) == 0:
        return _UNKNOWN
    rng = np.random.default_rng(seed)
    draws = [statistic(samples[rng.integers(0, len(samples), len(samples))]) for _ in range(BOOTSTRAP_DRAWS)]
    return (float(statistic(samples)), *_percentiles(np.asarray(draws)))


def percentile(values: Array, q: float) -> Interval:
    """(q-th percentile, low, high) of values (n,), bootstrap over the values."""
    values = np.asarray(values, dtype=float).reshape(-1)
    if len(values) == 0:
        return _UNKNOWN
    rng = np.random.default_rng(0)
    rows = max(1, _CHUNK // len(values))
    draws = []
    for first in range(0, BOOTSTRAP_DRAWS, rows):
        index = rng.integers(0, len(values), (min(rows, BOOTSTRAP_DRAWS - first), len(values)))
        draws.append(np.percentile(values[index], q, axis=1))
    return (float(np.percentile(values, q)), *_percentiles(np.concatenate(draws)))


def median(values: Array) -> Interval:
    """(median, low, high)."""
    return percentile(values, 50.0)


def p95(values: Array) -> Interval:
    """(95th percentile, low, high)."""
    return percentile(values, 95.0)


def calibration_error(predicted: Array, happened: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: |mean prediction - share that happened| over ``bins`` equal stretches of 0..1, weighted by
    how many predictions fall into each (Guo et al., ICML 2017)."""
    number = np.minimum((np.asarray(predicted) * bins).astype(np.int64), bins - 1)
    count = np.bincount(number, minlength=bins)
    gap = np.bincount(number, weights=np.asarray(predicted) - happened, minlength=bins)
    return float(np.abs(gap).sum() / max(count.sum(), 1))


def rate_per_hour(counts_and_seconds: Array) -> Interval:
    """(units per hour, low, high) from rows of (units, seconds)."""
    value, low, high = ratio(counts_and_seconds)
    return 3600.0 * value, 3600.0 * low, 3600.0 * high


def _resamples(n: int) -> NDArray[np.intp]:
    """(draws, n) row numbers; the same for every call with the same n."""
    return np.random.default_rng(0).integers(0, n, (BOOTSTRAP_DRAWS, n))


def _divide(sums: Array) -> Array:
    """First over second column; draws without any exposure are left out later as NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan))


def _percentiles(draws: Array) -> tuple[float, float]:
    draws = draws[np.isfinite(draws)]
    if len(draws) == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)
