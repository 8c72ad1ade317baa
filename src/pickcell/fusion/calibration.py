"""Whether a camera still stands where it stood: a watch over the corrections that its calibration needs from look to look.

Every calibration is a little off, and alignment to the furniture puts that right (:mod:`pickcell.fusion.align`). How much it
has to put right stays the same as long as nobody touches the camera; when it changes, the camera was knocked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse, rotation_angle

REFERENCE_LOOKS = 3
"""The reference is the mean correction of so many first looks."""


@dataclass(frozen=True)
class DriftLimits:
    """From which drift on a camera counts as knocked. Two thirds of the 3 mm and half of the 0.5 degrees that have to be
    noticed; between two looks at different contents of the tote corrections differ by up to 1.5 mm and 0.13 degrees."""

    translation_m: float = 0.002
    """Of a point at the middle of the source tote."""
    rotation_rad: float = float(np.deg2rad(0.25))
    looks: int = 2
    """So many looks in a row make a camera knocked, or well again."""


@dataclass(frozen=True)
class Drift:
    """How far a camera's correction is from what it was."""

    translation_m: float
    rotation_rad: float
    quarantined: bool
    """It is not to be used until it is calibrated anew, or stands where it stood."""


@dataclass(frozen=True)
class _Reference:
    X_base_calibrated: Pose
    correction: Pose
    """Takes a point where the calibration has it to where it is, both in ``base_link``."""
    looks: int
    against: int = 0
    """Looks in a row that speak against the present verdict."""
    knocked: bool = False


class CalibrationMonitor:
    """Watches the fixed cameras of one cell."""

    def __init__(self, place: NDArray[np.float64], limits: DriftLimits | None = None) -> None:
        """``place``: (3,) in ``base_link``, the middle of the source tote, where millimetres matter."""
        self._place = np.asarray(place, np.float64)
        self.limits = limits or DriftLimits()
        self._references: dict[str, _Reference] = {}

    def judge(self, looks: Mapping[str, tuple[Pose, Pose]]) -> dict[str, Drift]:
        """One look of all fixed cameras: name -> (pose as calibrated, pose as corrected).

        A camera with another calibration than before starts anew. When more than half of the cameras drift at once it is
        not they that moved but the tote or the table: all start anew.
        """
        drifts = {name: self._drift(name, *poses) for name, poses in looks.items()}
        odd = [name for name, drift in drifts.items() if self._is_odd(drift)]
        if len(looks) > 1 and 2 * len(odd) > len(looks):
            for name in looks:
                self._references.pop(name, None)
            drifts = {name: self._drift(name, *poses) for name, poses in looks.items()}
            odd = []
        return {name: self._verdict(name, drift, name in odd) for name, drift in drifts.items()}

    def _is_odd(self, drift: Drift) -> bool:
        return drift.translation_m > self.limits.translation_m or drift.rotation_rad > self.limits.rotation_rad

    def _drift(self, name: str, X_calibrated: Pose, X_corrected: Pose) -> Drift:
        correction = X_corrected @ inverse(X_calibrated)
        known = self._references.get(name)
        if known is None or not np.allclose(known.X_base_calibrated, X_calibrated, atol=1e-9):
            known = self._references[name] = _Reference(np.array(X_calibrated), correction, 0)
        if known.looks < REFERENCE_LOOKS and not known.knocked:
            known = self._learn(name, known, correction)
        change = correction @ inverse(known.correction)
        shift = change[:3, :3] @ self._place + change[:3, 3] - self._place
        return Drift(float(np.linalg.norm(shift)), rotation_angle(change), known.knocked)

    def _learn(self, name: str, known: _Reference, correction: Pose) -> _Reference:
        """Take one more look into the reference, unless it is an odd one. Corrections are small: their mean is linear."""
        change = correction @ inverse(known.correction)
        shift = change[:3, :3] @ self._place + change[:3, 3] - self._place
        if known.looks and self._is_odd(Drift(float(np.linalg.norm(shift)), rotation_angle(change), False)):
            return known
        mean = known.correction + (correction - known.correction) / (known.looks + 1)
        U, _, Vt = np.linalg.svd(mean[:3, :3])
        mean[:3, :3] = U @ Vt
        self._references[name] = replace(known, correction=mean, looks=known.looks + 1)
        return self._references[name]

    def _verdict(self, name: str, drift: Drift, odd: bool) -> Drift:
        known = self._references[name]
        against = known.against + 1 if odd != known.knocked else 0
        turned = against >= self.limits.looks
        knocked = known.knocked != turned
        self._references[name] = replace(known, knocked=knocked, against=0 if turned else against)
        return replace(drift, quarantined=knocked)
