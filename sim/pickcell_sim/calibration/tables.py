"""Results of calibrations as tables for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from pickcell.calibration.result import CameraCalibration
from pickcell.outcome import Outcome
from pickcell_sim.calibration.trial import CameraTrial, PoseError


def found_table(found: Mapping[str, Outcome[CameraCalibration]]) -> Table:
    """What was found, per camera."""
    table = Table("camera", "pictures", "corners", "rms px", "good to", "change", "depth")
    for name, outcome in found.items():
        table.add_row(name, *_found(outcome))
    return table


def _found(outcome: Outcome[CameraCalibration]) -> tuple[str, ...]:
    c = outcome.value
    if c is None:
        return ("-", "-", "-", "refused", "-", "-")
    depth = f"{100 * c.depth_ratio:.2f} %" if np.isfinite(c.depth_ratio) else "-"
    return (
        str(c.pictures), str(c.corners), f"{c.rms_px:.2f}", _pair(c.uncertainty_m, c.uncertainty_rad),
        _pair(c.change_m, c.change_rad), depth,
    )  # fmt: skip


def _pair(shift_m: float, turn_rad: float) -> str:
    return f"{1e3 * shift_m:.2f} mm, {np.rad2deg(turn_rad):.3f} deg"


def trials_table(trials: Sequence[CameraTrial]) -> Table:
    """One calibration against the truth."""
    table = Table("camera", "pictures", "corners", "rms px", "good to", "change", "true error before", "after")
    for each in trials:
        figures = _found(each.found)[:5]
        before, after = (_pair(e.shift_m, e.turn_rad) for e in (each.before, each.after))
        table.add_row(each.camera, *figures, before, after)
    return table


def summary_table(trials: Sequence[Sequence[CameraTrial]]) -> Table:
    """Many calibrations against the truth: median and largest error per camera."""
    table = Table("camera", "n", "refused", "rms px", "before: median", "before: max", "after: median", "after: max")
    by_camera: dict[str, list[CameraTrial]] = {}
    for each in (each for scored in trials for each in scored):
        by_camera.setdefault(each.camera, []).append(each)
    for name, of in by_camera.items():
        good = [each for each in of if each.found.value is not None]
        rms = [each.found.value.rms_px for each in good if each.found.value is not None]
        table.add_row(
            name, str(len(of)), str(len(of) - len(good)), f"{np.median(rms):.2f}" if rms else "-",
            *_spread([each.before for each in of]), *(_spread([each.after for each in good]) if good else ("-", "-")),
        )  # fmt: skip
    return table


def _spread(errors: Sequence[PoseError]) -> tuple[str, str]:
    shifts, turns = [e.shift_m for e in errors], [e.turn_rad for e in errors]
    return _pair(float(np.median(shifts)), float(np.median(turns))), _pair(max(shifts), max(turns))
