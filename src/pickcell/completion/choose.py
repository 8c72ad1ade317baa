"""Completers by name: the learned one with the shipped network, and geometry alone, the yardstick."""

from __future__ import annotations

from pathlib import Path

from pickcell.cell import CellConfig
from pickcell.completion.complete import Completer, GeometricCompleter
from pickcell.completion.learned import Calibration, ColumnNetwork, LearnedCompleter
from pickcell.network import models_directory

LEARNED, GEOMETRIC = "learned", "geometric"
COMPLETERS = (LEARNED, GEOMETRIC)
NETWORK, CALIBRATION = "columns.onnx", "columns_calibration.json"


def make_completer(name: str, cell: CellConfig, models: Path | None = None) -> Completer:
    """``models``: folder of the network, :func:`pickcell.network.models_directory` unless given.

    Raises ValueError for a name that is not of COMPLETERS, ModelError when the network is missing or unusable.
    """
    if name == GEOMETRIC:
        return GeometricCompleter(cell)
    if name != LEARNED:
        raise ValueError(f"no completer '{name}'; there are {', '.join(COMPLETERS)}")
    folder = models or models_directory()
    return LearnedCompleter(cell, ColumnNetwork(folder / NETWORK), Calibration.load(folder / CALIBRATION))
