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
    recognition_weight: float = 0.5
    """What it counts, against the evidence between patches, that a segment looks like a product of the manifest."""
    recognition_reward: float = 8.0
    """Log-likelihood (nats, 0 for a perfect likeness) below which a segment gains nothing by its likeness."""
    unknown_cost: float = 1.0
    """What each segment costs, so that items do not fall apart into many."""
    fragment_cost: float = 1.0
    """The same for a fragment too small to be recognised."""
    split_below: float = 2.0
    """Merges made on less evidence than this are taken back where the parts look more like products than the whole."""
    join_above: float = -1.0
    """Merges against the evidence are made down to this where the whole looks more like a product than the parts."""
