"""Every threshold of grasp selection in one place, with its unit and where the figure comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pickcell.grasping.cost import CostConfig
from pickcell.grasping.refine import RefineConfig
from pickcell.values import Tool


@dataclass(frozen=True)
class PinchConfig:
    """Two-finger grasps."""

    friction: float = 0.5
    """Coulomb coefficient assumed between pad and item: rubber on packaging is 0.6 and more, so this is careful."""
    max_tilt_deg: float = 35.0
    """Largest angle of the approach from straight down: beyond it the palm meets the tote's walls."""
    tilt_step_deg: float = 15.0
    """Approach directions are tried at multiples of this about the closing axis."""
    max_seeds: int = 220
    """Contact points that are tried on one item."""
    max_poses: int = 1000
    """Poses that are measured against the item's surface."""
    min_width_m: float = 0.0015
    clearances_m: tuple[float, ...] = (0.014, 0.009, 0.005)
    """Free space per side between pad and item on the way in; the widest that fits between the neighbours is used."""
    skin_m: float = 0.0025
    """Surface within this of the outermost point counts as under the pad (pads are compliant)."""
    min_patch: float = 0.08
    """Smallest share of a pad's face that must meet the surface."""
    min_patch_height_m: float = 0.004
    """Smallest height of the contact along the approach: less is an edge that slips or turns between the pads."""
    min_patch_breadth_m: float = 0.0015
    """Smallest breadth of the contact across the pad."""
    squeeze_safety: float = 2.0
    """Factor on the force that friction needs."""
    min_force_n: float = 10.0
    """Less lets light things slip through what is not modelled: noise of the contacts, jerks of the arm."""
    youngs_modulus_pa: float = 2.0e9
    """Of paper board, for the buckling force of thin plates pinched on their edges."""
    crush_share: float = 0.5
    """Share of the buckling force that a pinch may use."""


@dataclass(frozen=True)
class SuctionConfig:
    """Grasps with the vacuum cup."""

    max_tilt_deg: float = 40.0
    """Largest angle of the surface normal from vertical."""
    max_seeds: int = 110
    lip_conformity_m: float = 0.0015
    """Gap that the lip follows; what deviates more from a plane leaks."""
    lip_conformity_share: float = 0.1
    """... but no more than this share of the cup's radius."""
    gap_tolerance: float = 1.7
    """A rim that deviates by more than this times what the lip follows is out."""
    known_flat_factor: float = 1.6
    """On the conformity for items known to have plane faces: shiny ones are measured with 2 mm of noise."""
    min_rim_support: float = 0.75
    """Share of the rim that must lie on measured surface."""
    edge_margin_m: float = 0.004
    """Beyond the rim: surface out to here makes the seal safe against errors of position."""
    rim_samples: int = 24
    max_normal_spread_deg: float = 45.0
    """Root-mean-square angle of the normals under the cup against the fitted plane."""
    vacuum_pa: float = 60e3
    """Working vacuum below ambient of the cell's ejector."""
    seal_safety: float = 1.6
    """Divides the holding force."""
    least_acceleration: float = -5.0
    """A seal that is trusted with less is out, m/s^2."""
    friction: float = 0.5
    """Between lip and surface, against sliding."""
    beside_cup_m: float = 0.005
    """The fingers stay this far from the cup on either side: clear of it, and slim enough for clutter."""
    overtravel_m: float = 0.010
    """The hand may press on this far beyond the expected contact."""
    yaws_deg: tuple[float, ...] = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
    """Turns about the cup's axis that are checked; the seal does not care, the fingers and the arm do."""
    yaws_kept: int = 4


@dataclass(frozen=True)
class ClearanceConfig:
    """Room for the hand."""

    margin_m: float = 0.0005
    """Distance that the hand keeps from measured points of other things."""
    top_margin_m: float = 0.004
    """Palm and retracted cup stay so far from the item's own top: depth is noisy, its points are thinned, and what touches
    there ends the approach before the fingers are where they should be."""
    top_points: int = 1
    """... except for so many stray points."""
    wall_margin_m: float = 0.004
    """Distance from the tote's walls, which are known from the cell file."""
    floor_margin_m: float = 0.0025
    """Distance of the finger tips from the tote's floor."""
    hard_confidence: float = 0.5
    """Surface believed at least this much is an obstacle; less only lowers the quality."""
    bleed_m: float = 0.003
    """Points of neighbours this close to the item's own measured surface are taken for its own edge."""
    obstacle_voxel_m: float = 0.005
    """Obstacles are thinned to one point per voxel of this size for the first pass."""
    tolerance_points: int = 6
    """Points of the item itself that may lie in a finger's way: noise of the surface."""
    reach_m: float = 0.009
    """Distances are measured up to here; more room than this is worth nothing."""


@dataclass(frozen=True)
class RankingConfig:
    """From parts of a score to one ranking over both tools."""

    max_ranked: int = 32
    max_rejected: int = 60
    max_per_tool: int = 20
    distance_m: float = 0.010
    """Grasps nearer than this and turned less than the angles below are the same grasp."""
    tilt_deg: float = 12.0
    yaw_deg: float = 25.0
    duplicate_s: float = 0.1
    """Each further yaw of the same grasp counts as so much dearer, so that other places come between."""
    identity_confidence: float = 0.6
    """An instance is taken for its recognised SKU from this probability on."""
    film_probability: float = 0.1
    """The vacuum is kept to what the film of a product bears that an instance is with this probability: a blister costs two
    minutes, and gentler suction of what is light a few seconds."""
    density_kg_m3: float = 500.0
    """Mass of an unknown item from its bounding box: packaged goods mostly lie between 100 and 700."""


@dataclass(frozen=True)
class GraspConfig:
    """All of them."""

    tools: tuple[Tool, ...] = (Tool.PINCH, Tool.SUCTION)
    """Tools that may be chosen: one alone serves comparisons, and a hand whose other tool is broken."""
    pinch: PinchConfig = field(default_factory=PinchConfig)
    suction: SuctionConfig = field(default_factory=SuctionConfig)
    clearance: ClearanceConfig = field(default_factory=ClearanceConfig)
    ranking: RankingConfig = field(default_factory=RankingConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    prices: CostConfig = field(default_factory=CostConfig)
    tcp_acceleration_max: float = 5.0
    """m/s^2, the cell's own limit; a hold is never trusted with more."""
    experience: bool = True
    """Learn from the outcomes of picks."""
    score: Literal["learned", "analytic"] = "learned"
    """Where chances come from: forests that tries have taught, or the rating from geometry."""

    @staticmethod
    def analytic(tools: tuple[Tool, ...] = (Tool.PINCH, Tool.SUCTION)) -> GraspConfig:
        """The yardstick: nothing learned, and strict limits in its place."""
        return GraspConfig(
            tools,
            suction=SuctionConfig(gap_tolerance=1.0, min_rim_support=0.92, least_acceleration=0.5),
            clearance=ClearanceConfig(margin_m=0.002, tolerance_points=2),
            experience=False,
            score="analytic",
        )
