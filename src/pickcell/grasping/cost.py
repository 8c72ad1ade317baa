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
    person_s: float = 120.0
    """What it costs when a person takes the item instead (assumed: a walk to the cell, and looking for it). A grasp that
    costs more for each item that it brings is not worth a try; infinite: a cell that has to take what it is told."""


def expected_cost_s(success: F64, harm: F64, done_s: float, failed_s: float, prices: CostConfig) -> F64:
    """(C,) seconds: ``done_s`` and ``failed_s`` are the times of tries that succeed and that do not."""
    failure = 1.0 - success
    return np.asarray(success * done_s + failure * (failed_s + prices.failure_s) + harm * prices.harm_s, dtype=np.float64)


def not_worth_a_try(cost_s: F64, success: F64, prices: CostConfig) -> NDArray[np.bool_]:
    """(C,) whether trying, and calling a person when it fails, costs more than calling the person at once:
    ``cost + (1 - success) person > person``."""
    return np.asarray(cost_s > prices.person_s * success, dtype=np.bool_)
