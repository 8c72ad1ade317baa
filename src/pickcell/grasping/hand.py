"""The hand as boxes in the frame of a tool: enough to know where it fits.

All boxes are axis-aligned in the TCP frame and the approach is straight along its +z, so the volume that a box sweeps
on the way in is the same box drawn out along -z. One test at the grasp therefore covers the whole approach exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickcell.cell import HandConfig

Boxes = NDArray[np.float64]
"""(..., 6) lower corner then upper corner, metres."""

PALM_M = (0.16, 0.06, 0.075)
"""Palm: size along x (closing), y, z; it begins at ``tool0``."""
LIP_RETRACTED_M = 0.145
"""Height of the cup's lip over ``tool0`` with the slide retracted."""
FINGER_PAD_M = 0.055
"""Length of the straight part of a finger behind its pad, from the tip; above it the shank steps outwards so that the
retracted cup fits between closed fingers."""
SHANK_CLEARANCE_M = 0.001
"""Shank: its inner face stands this much further behind the pad's than the cup's radius, so that the cup clears it."""
SHANK_THICKNESS_M = 0.010
WRIST_M = (0.11, 0.11, 0.10)
"""Last link of the arm: a box behind ``tool0``, centred on its z axis."""


@dataclass(frozen=True)
class HandGeometry:
    """Boxes of the hand around either TCP. ``standoff_m`` is the length of the straight approach they include."""

    hand: HandConfig
    standoff_m: float = 0.08

    @property
    def tip_m(self) -> float:
        """Finger tips over ``tool0``."""
        return PALM_M[2] + self.hand.finger_length_m

    @property
    def pinch_m(self) -> float:
        """Origin of ``tcp_pinch`` over ``tool0``."""
        return self.tip_m - self.hand.pad_to_tip_m

    @property
    def lip_m(self) -> float:
        """Origin of ``tcp_suction`` over ``tool0`` with the slide extended."""
        return LIP_RETRACTED_M + self.hand.cup_stroke_m

    @property
    def pad_below_m(self) -> float:
        """The pad's extent from the origin of ``tcp_pinch`` back towards the palm."""
        return self.hand.pad_height_m - self.hand.pad_to_tip_m

    def _behind(self, tcp_m: float) -> list[list[float]]:
        """Palm and wrist around a TCP that is ``tcp_m`` in front of ``tool0``, drawn out along the approach."""
        palm = [-PALM_M[0] / 2, -PALM_M[1] / 2, -tcp_m - self.standoff_m, PALM_M[0] / 2, PALM_M[1] / 2, PALM_M[2] - tcp_m]
        z = -tcp_m - WRIST_M[2] - self.standoff_m
        wrist = [-WRIST_M[0] / 2, -WRIST_M[1] / 2, z, WRIST_M[0] / 2, WRIST_M[1] / 2, -tcp_m]
        return [palm, wrist]

    def _fingers(self, opening_m: ArrayLike, tcp_m: float) -> Boxes:
        """(..., 4, 6) pads left and right, then shanks left and right, drawn out along the approach."""
        pad, y = np.asarray(opening_m, dtype=np.float64) / 2, self.hand.pad_width_m / 2
        shank, step = pad + self.hand.cup_radius_m + SHANK_CLEARANCE_M, self.tip_m - FINGER_PAD_M + 0.006
        boxes = np.empty((*pad.shape, 4, 6))
        boxes[..., 1], boxes[..., 2], boxes[..., 4] = -y, PALM_M[2] - tcp_m - self.standoff_m, y
        parts = ((pad, self.hand.finger_thickness_m, self.tip_m), (shank, SHANK_THICKNESS_M, step))
        for k, (inner, thick, tip) in enumerate(parts):
            boxes[..., 2 * k, 0], boxes[..., 2 * k, 3] = -inner - thick, -inner
            boxes[..., 2 * k + 1, 0], boxes[..., 2 * k + 1, 3] = inner, inner + thick
            boxes[..., 2 * k : 2 * k + 2, 5] = tip - tcp_m
        return boxes

    def pinch_fingers(self, opening_m: ArrayLike) -> Boxes:
        """(..., 4, 6) fingers at these openings (...), pads before shanks, in ``tcp_pinch``."""
        return self._fingers(opening_m, self.pinch_m)

    def pinch_between(self, opening_m: ArrayLike) -> Boxes:
        """(..., 1, 6) what the pads enclose and sweep while they close, in ``tcp_pinch``."""
        half, y = np.asarray(opening_m, dtype=np.float64) / 2, self.hand.pad_width_m / 2
        boxes = np.empty((*half.shape, 1, 6))
        boxes[..., 0, 0], boxes[..., 0, 3] = -half, half
        boxes[..., 0, 1:3], boxes[..., 0, 4:] = (-y, -self.pad_below_m), (y, self.hand.pad_to_tip_m)
        return boxes

    def pinch_body(self, ahead_m: float = 0.0) -> Boxes:
        """(3, 6) palm, wrist and the retracted cup between the fingers, in ``tcp_pinch``, drawn forward by ``ahead_m``."""
        r = self.hand.cup_radius_m
        cup = [-r, -r, PALM_M[2] - self.pinch_m - self.standoff_m, r, r, LIP_RETRACTED_M - self.pinch_m]
        boxes = np.array([*self._behind(self.pinch_m), cup])
        boxes[:, 5] += ahead_m
        return boxes

    def beside_cup(self, gap_m: float) -> float:
        """Jaw opening that keeps the fingers ``gap_m`` from the extended cup."""
        return 2.0 * (self.hand.cup_radius_m + gap_m)

    def suction_fingers(self, opening_m: float) -> Boxes:
        """(4, 6) fingers at this opening beside the extended cup, pads before shanks, in ``tcp_suction``."""
        return self._fingers(opening_m, self.lip_m)

    def suction_body(self) -> Boxes:
        """(2, 6) palm and wrist, in ``tcp_suction``."""
        return np.array(self._behind(self.lip_m))

    def suction_cup(self, ahead_m: float = 0.0) -> Boxes:
        """(1, 6) the extended cup, its lip pressed ``ahead_m`` beyond the origin of ``tcp_suction``."""
        r = self.hand.cup_radius_m
        return np.array([[-r, -r, PALM_M[2] - self.lip_m - self.standoff_m, r, r, ahead_m]])
