"""All cameras of a cell in a row: the wrist's first, for the arm tells better than a corner where the board lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pickcell.calibration import fixed_camera, wrist_camera
from pickcell.calibration.board import Board
from pickcell.calibration.reprojection import Fit, fit
from pickcell.calibration.result import CameraCalibration, Limits, describe, judge
from pickcell.calibration.views import BoardPlace, BoardView
from pickcell.cell import CameraConfig, CellConfig
from pickcell.outcome import Code, Outcome


@dataclass(frozen=True)
class CellCalibration:
    """What came of it."""

    cameras: dict[str, Outcome[CameraCalibration]]
    """By name, in the order of the cell file; cameras without any picture are not in it."""
    places: dict[str, BoardPlace]
    """Where the board lay, as the arm has it when the wrist camera took part."""


def calibrate(
    cell: CellConfig,
    board: Board,
    views: Sequence[BoardView],
    places: Mapping[str, BoardPlace],
    *,
    limits: Limits | None = None,
    moved: frozenset[str] = frozenset(),
) -> CellCalibration:
    """Find the poses of all cameras that have views.

    ``places``: where the board lay, by the names that the views use. ``moved``: cameras that were mounted anew.
    Raises KeyError for a view of a camera or a place that is not known, naming those there are.
    """
    limits = limits or Limits()
    by_camera: dict[str, list[BoardView]] = {}
    for view in views:
        cell.camera(view.camera.name)
        if view.place not in places:
            raise KeyError(f"no board place '{view.place}'; there are {sorted(places)}")
        by_camera.setdefault(view.camera.name, []).append(view)
    found: dict[str, Outcome[CameraCalibration]] = {}
    believed = dict(places)
    for config in sorted(cell.cameras, key=lambda c: c.parent != "tool0"):
        if config.name not in by_camera:
            continue
        outcome, fitted = _one(board, config, by_camera[config.name], believed, limits, config.name in moved)
        found[config.name] = outcome
        if outcome.ok and fitted is not None and config.parent == "tool0":
            believed = fitted.places
    return CellCalibration({c.name: found[c.name] for c in cell.cameras if c.name in found}, believed)


def _one(
    board: Board,
    config: CameraConfig,
    views: Sequence[BoardView],
    places: Mapping[str, BoardPlace],
    limits: Limits,
    moved: bool,
) -> tuple[Outcome[CameraCalibration], Fit | None]:
    on_wrist = config.parent == "tool0"
    guesses = (wrist_camera if on_wrist else fixed_camera).guesses(board, views, places)
    if not guesses:
        return Outcome.failure(Code.CALIBRATION_REFUSED, f"{config.name}: {_no_guess(on_wrist, views)}."), None
    fits = [_fitted(board, views, guess, places, on_wrist) for guess in guesses]
    best = min(fits, key=lambda each: each.rms_px)
    used = {name: place for name, place in places.items() if any(view.place == name for view in views)}
    return judge(describe(config, views, best), used, best.places, limits, moved), best


def _fitted(
    board: Board, views: Sequence[BoardView], guess: np.ndarray, places: Mapping[str, BoardPlace], on_wrist: bool
) -> Fit:
    filled = wrist_camera.board_places(board, views, guess, places) if on_wrist else places
    return fit(board, views, guess, filled)


def _no_guess(on_wrist: bool, views: Sequence[BoardView]) -> str:
    if on_wrist:
        return (
            f"{len(views)} pictures with the board are too few, {wrist_camera.PICTURES_MIN} or more are needed, better ten"
        )
    return "no picture shows the board at a known place: give its place, or calibrate the wrist camera at the same place"
