"""Grasps: where the hand takes an item, with which tool, and how sure we are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from pickcell.geometry import Pose
from pickcell.values.frozen import freeze


class Tool(str, Enum):
    PINCH = "pinch"
    SUCTION = "suction"


@dataclass(frozen=True)
class GraspCandidate:
    """One way to take one instance.

    ``X_base_tcp`` is the tool's working frame at contact. +z is the approach direction. Pinch: origin midway between
    the pads, +x the closing axis. Suction: origin at the centre of the cup's lip, +z into the surface.
    """

    tool: Tool
    instance_id: int
    X_base_tcp: Pose
    quality: float
    """Predicted chance that the item arrives, alone and unharmed, 0..1."""
    width_m: float = 0.0
    """Pinch: distance between the contact surfaces. Suction: 0."""
    opening_m: float = 0.0
    """Jaw opening during the approach. Pinch: wider than ``width_m``. Suction: beside the cup, out of its way."""
    force_n: float = 0.0
    """Pinch: pad force to hold with."""
    vacuum_pa: float = 0.0
    """Suction: most vacuum below ambient to hold with, as what is under the lip bears no more; 0: all there is."""
    standoff_m: float = 0.08
    """Distance of the pre-grasp back along -z."""
    max_acceleration_mps2: float = 4.0
    """Largest TCP acceleration this hold is trusted to bear with the item in hand."""
    cost_s: float = 0.0
    """What trying it is expected to cost, seconds: of two grasps the cheaper one is better. 0: not known."""
    scores: dict[str, float] = field(default_factory=dict)
    """Named parts of the quality and measures, for explanations and for learning."""
    rejection: str = ""
    """Why this candidate was rejected; empty when it was not."""

    def __post_init__(self) -> None:
        freeze(self, "X_base_tcp", (4, 4), np.float64)


@dataclass(frozen=True)
class GraspDecision:
    """The ranked grasps for a target, what was rejected and why, and the choice in a sentence."""

    ranked: tuple[GraspCandidate, ...]
    rejected: tuple[GraspCandidate, ...]
    explanation: str
