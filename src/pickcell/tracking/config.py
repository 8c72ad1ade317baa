"""Settings of tracking, with the reasons for their values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackingConfig:
    """Lengths in metres, angles in radians."""

    points: int = 240
    """Points that stand for an item; more do not make it surer."""
    near_m: float = 0.006
    """A point is where it should be when depth there agrees to within this, plus what the range adds."""
    noise_at_1m: float = 0.0015
    """Standard deviation of depth at 1 m; it grows with the square of the range."""
    color_scale: float = 22.0
    """A difference of colour (CIELAB) at which a point's agreement counts 1/e."""
    still_score: float = 0.62
    """An item whose points agree so well where it last was has not moved."""
    still_share: float = 0.8
    """... or this share as well as at the start."""
    kept_score: float = 0.45
    """A new place is believed from this agreement on."""
    far_score: float = 0.6
    """... far off only from this one on."""
    blind_score: float = 0.75
    """... and from this one on when only its shape agrees: other items' places are taken, so little else can be there."""
    seen_points: int = 15
    """With fewer points in sight, an item is hidden."""
    seen_share: float = 0.12
    """... or with a smaller share of those that were in sight at the start."""
    reach_m: float = 0.04
    """A moved item is looked for so far from where it last was, about twice what a shoved item goes in 0.1 s ..."""
    far_reach_m: float = 0.12
    """... and so far when it is not found there."""
    grid_m: float = 0.010
    far_grid_m: float = 0.020
    """Coarse steps of the search near by and further off."""
    turn_rad: float = 0.26
    """Coarse steps of the search about the vertical: -1, 0, 1 of them."""
    distance_cost: float = 0.05
    """What a place loses against the last one per ``reach_m``: of two that look alike the nearer is taken."""
    fine_m: float = 0.004
    fine_rad: float = 0.07
    """First steps of the refinement, halved three times."""
    threads: int = 2
