"""How well a measured box fits a product's dimensions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from pickcell.identity.config import IdentityConfig

_ORDERS = np.array(list(permutations(range(3))))


def size_evidence(
    seen_m: NDArray[np.float64], completed_m: NDArray[np.float64], products_m: NDArray[np.float64], config: IdentityConfig
) -> NDArray[np.float64]:
    """(S,) log-likelihood (at most 0) of items of sizes ``products_m`` (S, 3) appearing as a box whose measured part
    spans ``seen_m`` (3,) and whose completion spans ``completed_m`` (3,) along the same axes, in the best order of axes.

    What was measured is a lower bound; beyond the completed length there may be hidden parts.
    """
    product = products_m[:, _ORDERS]  # (S, 6, 3)
    spread_large = config.too_large_m + config.relative * product
    spread_small = config.too_small_m + config.relative * product
    excess = np.maximum(seen_m - product, 0.0) / spread_large
    # the completed part beyond the measured one is a guess: exceeding it counts half
    guess = np.maximum(np.maximum(completed_m, seen_m) - product, 0.0) / (2.0 * spread_large)
    short = np.maximum(product - completed_m, 0.0) / spread_small
    cost = 0.5 * np.sum(np.maximum(excess, guess) ** 2 + short**2, axis=2)
    return np.maximum(-cost.min(axis=1), config.size_floor)
