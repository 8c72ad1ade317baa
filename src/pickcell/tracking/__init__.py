"""Tracking: which item is where while things move, between two full looks, and which is which from look to look."""

from pickcell.tracking.config import TrackingConfig
from pickcell.tracking.identities import IdentityKeeper, KeeperConfig
from pickcell.tracking.tracker import Tracker
from pickcell.tracking.watch import Watch
from pickcell.values import Track, TrackState, Watched

__all__ = ["IdentityKeeper", "KeeperConfig", "Track", "TrackState", "Tracker", "TrackingConfig", "Watch", "Watched"]
