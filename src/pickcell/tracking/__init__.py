"""Tracking: which item is where while things move, between two full looks."""

from pickcell.tracking.config import TrackingConfig
from pickcell.tracking.tracker import Track, Tracker, TrackState
from pickcell.tracking.watch import Watch, Watched

__all__ = ["Track", "TrackState", "Tracker", "TrackingConfig", "Watch", "Watched"]
