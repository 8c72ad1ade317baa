"""Settings of completion."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CompletionConfig:
    """Lengths in metres."""

    spacing_m: float = 0.004
    """Distance between inferred points."""
    merge_m: float = 0.006
    """Inferred points closer than this to a measured one say nothing new."""
    extruded_confidence: float = 0.45
    """Sides carried down from the visible outline to what the item stands on."""
    mirrored_confidence: float = 0.6
    """Reflections of measured points, times the share of the reflection that free space does not contradict."""
    mirror_agreement: float = 0.8
    """A mirror plane is believed when at least this share of the reflection lies in unseen space or on the surface."""
    support_search_m: float = 0.016
    """What lies this far around the outline may be what the item stands on."""
    support_slack_m: float = 0.008
    """A support may seem this much higher than the lowest visible point."""
    plate_m: float = 0.009
    """Visible points within such a thickness that stand aslant are a plate: the top of a thicker item that leans would
    show a side as well."""
    plate_tilt_rad: float = 0.17
    min_thickness_m: float = 0.001
    threads: int = 2
