"""Settings of fusion, with the reasons for their values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FusionConfig:
    """All lengths in metres."""

    voxel_m: float = 0.003
    """TSDF resolution: half the thickness of the thinnest box we pick, and twice the pixel pitch at 0.9 m."""
    truncation_m: float = 0.012
    """Band in front of a surface in which distances are averaged: 4 voxels."""
    back_truncation_m: float = 0.007
    """Band behind it, shorter so that a thin item keeps both of its sides."""
    headroom_m: float = 0.10
    """The volume reaches this far above the source tote's rim."""
    noise_at_1m: float = 0.0015
    """Standard deviation of depth at 1 m; it grows with the square of the range."""
    depth_min_m: float = 0.10
    depth_max_m: float = 2.5
    min_cameras: int = 2
    """Fewest cameras with a fresh, valid view of the source tote; with fewer there is no scene."""
    min_coverage: float = 0.3
    """A camera sees the source tote when this share of the tote's floor lies in its image."""
    min_valid_fraction: float = 0.15
    """Fewest pixels with depth, as a share of the pixels that look at the source tote."""
    future_tolerance_s: float = 0.05
    """A stamp further in the future than this means that a clock is wrong."""
    align: bool = True
    """Correct each camera's pose against the furniture before fusing."""
    align_step: int = 6
    """Every n-th pixel takes part in the alignment."""
    max_beyond: float = 0.04
    """Largest share of pixels that lie behind the furniture they should show. More (under 1 % is normal, a shift by 3 cm
    or 3 degrees gives 4 to 70 %) means that the camera was knocked, and it is left out."""
    max_residual_m: float = 0.004
    """A camera whose depth is, in the middle, further than this from furniture after alignment is too noisy to be used:
    usually it is under 1 mm."""
    robot_margin_m: float = 0.012
    """Depth this close to the robot's spheres is the robot's own."""
    planning_voxel_m: float = 0.01
    workspace_margin_m: float = 0.15
    """The planning grid reaches this far beyond the totes and the robot's base."""
    workspace_height_m: float = 0.75
    """... and this high above the table."""
    heightmap_m: float = 0.005
    threads: int = 2
