"""Motion plans: what to move, where to, and the timed legs that do it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pickcell.geometry import Pose
from pickcell.values.frozen import freeze
from pickcell.values.grasp import GraspCandidate, Tool
from pickcell.values.robot import JointTrajectory
from pickcell.values.scene import ShapeEstimate


@dataclass(frozen=True)
class HeldItem:
    """What hangs on the hand during a motion."""

    tool: Tool
    shape: ShapeEstimate
    """The item's shape where it stood when it was grasped (in ``base_link``)."""
    X_base_tcp_at_grasp: Pose
    """The TCP at that moment, so that the shape rides along: ``X_tcp_item = inverse(X_base_tcp_at_grasp)``."""
    mass_kg: float
    max_acceleration_mps2: float

    def __post_init__(self) -> None:
        freeze(self, "X_base_tcp_at_grasp", (4, 4), np.float64)


@dataclass(frozen=True)
class ApproachPlan:
    """The way to one grasp out of the ranked ones, and the proof that the hand gets out again."""

    candidate: GraspCandidate
    index: int
    """Position of the candidate in the ranked list that was given."""
    approach: JointTrajectory
    """From the start to the pre-grasp."""
    contact: JointTrajectory
    """Straight along +z to ``contact_overtravel`` beyond the expected contact (suction), or to the grasp (pinch)."""
    lift: JointTrajectory
    """Straight up from contact until the hand clears the tote's rim."""
    tried: tuple[tuple[int, str], ...] = ()
    """(index, reason) of better-ranked candidates that could not be used."""


@dataclass(frozen=True)
class PlacePlan:
    """The way from where the arm holds the item to a free place in a tote, and out."""

    tote: str
    X_base_tcp: Pose
    """TCP at release."""
    transfer: JointTrajectory
    """To above the place."""
    lower: JointTrajectory
    """Straight down to the release pose."""
    retreat: JointTrajectory
    """Straight up after the release."""

    def __post_init__(self) -> None:
        freeze(self, "X_base_tcp", (4, 4), np.float64)
