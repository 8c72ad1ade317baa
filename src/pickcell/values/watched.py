"""What the cameras say between two looks: where followed items are now, and which space is free."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pickcell.geometry import Pose
from pickcell.values.scene import CameraHealth, VoxelGrid


class TrackState(Enum):
    """What is known of an item's place."""

    STILL = "still"
    MOVED = "moved"
    """It was found elsewhere in this update."""
    HIDDEN = "hidden"
    """Too little of it is in sight; its last place is kept."""
    LOST = "lost"
    """It is not where it was, nor around there."""


@dataclass(frozen=True)
class Track:
    """One item through time."""

    id: int
    X_base_start: Pose
    """Its motion since the start: takes points of the first look to where they are now, both in ``base_link``."""
    state: TrackState
    score: float
    """How well it agrees with the pictures there, 0..1."""


@dataclass(frozen=True)
class Watched:
    """What a watching update found."""

    stamp_s: float
    """Capture time of the oldest frame in it."""
    tracks: tuple[Track, ...]
    occupancy: VoxelGrid | None
    """The cell's workspace at planning resolution; None where only items are reported."""
    cameras: tuple[CameraHealth, ...]
    timings_ms: dict[str, float] = field(default_factory=dict)
