"""Fusion: several RGB-D frames become one surface with colours, free space, a planning grid and height maps."""

from pickcell.fusion.config import FusionConfig
from pickcell.fusion.fuse import FusedScene, Fusion
from pickcell.fusion.tsdf import DepthView, Surface, TsdfVolume

__all__ = ["DepthView", "FusedScene", "Fusion", "FusionConfig", "Surface", "TsdfVolume"]
