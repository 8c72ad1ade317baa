"""Chances of a grasp, learned from tries: that the item arrives alone and unharmed, and that something is harmed.

Boosted trees (Ke et al., LightGBM, NeurIPS 2017) over what :mod:`pickcell.grasping.measures` measures, one pair per tool,
calibrated on totes that they were not fitted on (Platt 1999). How they are made: ``./cell train grasps``, docs/grasping.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pickcell.config_file import Strict, checked
from pickcell.grasping.prior import KIND_PRIORS
from pickcell.grasping.table import CandidateTable
from pickcell.network import ModelError, models_directory
from pickcell.values import Tool

F64 = NDArray[np.float64]

MADE_BY = "./cell train grasps"
DESCRIPTION = "grasp_chances.json"
KINDS = tuple(KIND_PRIORS)
"""Kinds in the order in which the trees number them."""
KIND, RATING = "kind", "rating"
"""Names of two inputs beside the measures: the kind's number (not a number when unknown) and the analytic rating."""


class Platt(Strict):
    """From a tree's log-odds to calibrated ones."""

    slope: Annotated[float, Field(gt=0)] = 1.0
    offset: float = 0.0


class Head(Strict):
    """One forest."""

    file: str
    calibration: Platt = Platt()


class ToolModel(Strict):
    """What is known of one tool."""

    inputs: tuple[str, ...]
    success: Head
    harm: Head
    done_s: float
    """Cell time of a try that succeeds, from the hand over the tote to the item set down."""
    failed_s: float
    """... and of one that does not."""


class Spread(Strict):
    """How much items differ from what their measures promise: standard deviations of the log-odds of success."""

    kind: Annotated[float, Field(ge=0)]
    sku: Annotated[float, Field(ge=0)]


class Description(Strict):
    """``models/grasp_chances.json``."""

    tools: dict[Tool, ToolModel]
    spread: dict[Tool, Spread]


@dataclass(frozen=True)
class Chances:
    """Of C candidates, (C,) each."""

    log_odds: F64
    """Of success: delivered alone and unharmed."""
    harm: F64
    """Chance 0..1 that this item or a neighbour is harmed."""

    @property
    def success(self) -> F64:
        return sigmoid(self.log_odds)


class LearnedChances:
    """The shipped forests at work."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: :func:`pickcell.network.models_directory` unless given. Raises ModelError when a file is missing or
        is none that can be used."""
        import lightgbm

        folder = folder or models_directory()
        path = folder / DESCRIPTION
        try:
            data = json.loads(path.read_text())
        except (OSError, ValueError) as problem:
            raise ModelError(f"{path}: cannot be read ({problem}); {MADE_BY} makes it") from None
        self.description = checked(Description, data, path, "grasp chances", ModelError)
        self._forests: dict[tuple[Tool, str], Any] = {}
        for tool, model in self.description.tools.items():
            for name, head in (("success", model.success), ("harm", model.harm)):
                file = folder / head.file
                try:
                    self._forests[tool, name] = lightgbm.Booster(model_file=str(file))
                except lightgbm.basic.LightGBMError as problem:
                    raise ModelError(f"{file}: no usable forest ({problem}); {MADE_BY} makes one") from None

    def of(self, table: CandidateTable, kind: str) -> Chances:
        """Of all candidates of a table; ``kind``: of the product, "" when it is not known."""
        model = self.description.tools[table.tool]
        inputs = tree_inputs(table.scores | table.measures | {RATING: table.quality}, kind, model.inputs)
        success = self._log_odds(table.tool, "success", model.success, inputs)
        return Chances(success, sigmoid(self._log_odds(table.tool, "harm", model.harm, inputs)))

    def _log_odds(self, tool: Tool, name: str, head: Head, inputs: F64) -> F64:
        if not len(inputs):
            return np.zeros(0)
        raw = self._forests[tool, name].predict(inputs, raw_score=True, num_threads=1)
        return np.asarray(head.calibration.slope * raw + head.calibration.offset, dtype=np.float64)


def tree_inputs(named: dict[str, F64], kind: str, inputs: tuple[str, ...]) -> F64:
    """(C, F) in the order of ``inputs``. Raises KeyError for an input that is not measured."""
    count = len(named[RATING])
    number = float(KINDS.index(kind)) if kind in KINDS else np.nan
    columns = [np.full(count, number) if name == KIND else named[name] for name in inputs]
    return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float64)


def sigmoid(log_odds: F64) -> F64:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))), dtype=np.float64)


def logit(chance: F64 | float) -> F64:
    p = np.clip(chance, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(p / (1.0 - p)), dtype=np.float64)
