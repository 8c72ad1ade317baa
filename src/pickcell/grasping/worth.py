"""What each candidate is worth: chances foreseen, corrected by what picks of this product taught, turned into a cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from pickcell.grasping.chance import RATING, Chances, LearnedChances, Spread, ToolModel, logit, sigmoid
from pickcell.grasping.config import GraspConfig
from pickcell.grasping.cost import CostConfig, expected_cost_s, not_worth_a_try
from pickcell.grasping.experience import Belief, Experience
from pickcell.grasping.table import CandidateTable
from pickcell.values import Tool

FORESEEN, HARM = "foreseen_log_odds", "harm"
"""Names under which a candidate carries its log-odds before experience, and its chance of harm."""
HOPELESS, HARMFUL = "too little chance of success", "likely to harm something"
"""Why a grasp is not worth a try."""
DONE_S, FAILED_S = 5.5, 3.0
"""Cell times of a try where no forest knows better."""


class Foresight(Protocol):
    """Where chances come from: the learned forests, or the analytic rating."""

    def of(self, table: CandidateTable, kind: str) -> Chances:
        """Of all candidates of a table; ``kind``: of the product, "" when it is not known."""


class AnalyticChances:
    """The yardstick: the rating from geometry, taken as a chance."""

    def of(self, table: CandidateTable, kind: str) -> Chances:
        return Chances(logit(table.quality), np.zeros(len(table)))


@dataclass(frozen=True)
class Product:
    """What is being taken, as far as it is known; "" where it is not."""

    kind: str = ""
    sku: str = ""


class Worth:
    """Gives every candidate that is not rejected its chance of success and its expected cost."""

    def __init__(self, foresight: Foresight, experience: Experience | None, prices: CostConfig) -> None:
        self._foresight = foresight
        self._models = foresight.description.tools if isinstance(foresight, LearnedChances) else {}
        self.experience = experience
        self._prices = prices

    def belief(self, tool: Tool, product: Product) -> Belief:
        """What picks of the product have taught about a tool."""
        if self.experience is None:
            return Belief(0.0, 0.0, 0, 0)
        return self.experience.belief(tool, product.kind, product.sku)

    def of(self, table: CandidateTable, product: Product) -> CandidateTable:
        """The table with chances as qualities, and costs. What is not worth a try is rejected.

        A tool that has been tried on this product is ranked as if it were a little worse than it is believed to be, by what
        is now known better: so of two alike the one that is known less is tried, and without evidence nothing changes.
        A table that has been through here keeps its rating: variants of a hold are judged like the hold itself.
        """
        table = replace(table, quality=table.scores.get(RATING, table.quality))
        good = np.flatnonzero(table.reason == "")
        chances = self._foresight.of(table.take(good), product.kind)
        belief = self.belief(table.tool, product)
        log_odds = chances.log_odds + belief.mean
        success = sigmoid(log_odds)
        ranked_as = sigmoid(log_odds - self._prices.curiosity * belief.learned)
        model: ToolModel | None = self._models.get(table.tool)
        done_s, failed_s = (model.done_s, model.failed_s) if model else (DONE_S, FAILED_S)
        cost = np.full(len(table), np.inf)
        cost[good] = expected_cost_s(ranked_as, chances.harm, done_s, failed_s, self._prices)
        quality, foreseen, harm = np.zeros(len(table)), np.zeros(len(table)), np.zeros(len(table))
        quality[good], foreseen[good], harm[good] = success, chances.log_odds, chances.harm
        reason = table.reason.copy()
        harmless_s = cost[good] - chances.harm * self._prices.harm_s
        reason[good[not_worth_a_try(cost[good], success, self._prices)]] = HARMFUL
        reason[good[not_worth_a_try(harmless_s, success, self._prices)]] = HOPELESS
        scores = table.scores | {RATING: table.quality, FORESEEN: foreseen, HARM: harm}
        return replace(table, quality=quality, cost_s=cost, scores=scores, reason=reason)


ASSUMED_SPREAD = {tool: Spread(kind=0.5, sku=0.8) for tool in Tool}
"""How much products differ from their rating where no tries have told it."""


def worth_of(config: GraspConfig, remember: Path | None) -> Worth:
    """As configured. Raises ModelError when the learned chances are missing, OSError when ``remember`` cannot be opened."""
    foresight: Foresight = LearnedChances() if config.score == "learned" else AnalyticChances()
    spread = foresight.description.spread if isinstance(foresight, LearnedChances) else ASSUMED_SPREAD
    return Worth(foresight, Experience(spread, remember) if config.experience else None, config.prices)
