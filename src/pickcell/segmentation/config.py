"""Settings of geometric segmentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SegmentationConfig:
    """Lengths in metres, colour differences in CIELAB units."""

    floor_band_m: float = 0.005
    """Points lower than this may be floor: only colour and mean height tell a card from it."""
    floor_rise_m: float = 0.0013
    """Mean height over a few cells that makes a thing of the floor; a single point's noise is about as large."""
    floor_color: float = 14.0
    """Difference to the floor's colour that makes a thing of the floor, whatever its height."""
    wall_m: float = 0.006
    """Points this close to a wall's plane are the wall, unless they face another way."""
    wall_facing: float = 0.7
    """Cosine to the wall's inward normal from which a point faces like the wall."""
    seed_cells: int = 4
    """Supervoxels are seeded every so many surface cells (12 mm at 3 mm)."""
    normal_weight: float = 1.0
    color_weight: float = 0.35
    space_weight: float = 0.4
    """Weights of normal, colour and distance in growing supervoxels."""
    min_points: int = 30
    """Fewer surface points than this (270 mm^2) are no item."""
    fragment_points: int = 90
    """Smaller segments join the neighbour they fit best, unless everything speaks against it."""
    diameter_slack_m: float = 0.03
    """A segment may be this much longer than the longest item of the manifest."""
