"""What trying a grasp is expected to cost, in seconds: its time, and what failing and harming are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class CostConfig:
    """Prices, in seconds of the cell's time."""

    failure_s: float = 8.0
    """Beside its own time: what a failed try leaves behind: items stirred up or dropped, now and then a person's walk."""
    harm_s: float = 120.0
    """An item harmed: 120 s are what a cell of 1,000 units an hour needs for 33 units (assumed)."""
    curiosity: float = 0.5
    """How far a tool that is known on a product is ranked below what is believed of it, in standard deviations learned."""
    least_success: float = 0.08
    """A grasp with a smaller chance is not worth a try."""


def expected_cost_s(success: F64, harm: F64, done_s: float, failed_s: float, prices: CostConfig) -> F64:
    """(C,) seconds: ``done_s`` and ``failed_s`` are the times of tries that succeed and that do not."""
    failure = 1.0 - success
    return np.asarray(success * done_s + failure * (failed_s + prices.failure_s) + harm * prices.harm_s, dtype=np.float64)
