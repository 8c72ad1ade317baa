"""Every threshold of motion planning in one place, with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClearanceConfig:
    """Distances (m) kept from obstacles, for free motion and while the hand works among items. Negative: overlap of the
    sphere model with the obstacle that is put down to the model's bulge (up to 9 mm on the hand) and to voxel size."""

    free: float = 0.008
    """Every link from everything, in free motion."""
    item_free: float = 0.004
    """A held item from everything, in free motion: its spheres are already larger than it."""
    tool_fixed: float = -0.004
    """In contact: fingers and cup from furniture. The grasp was checked exactly against it when it was chosen."""
    tool_seen: float = -0.014
    """In contact: fingers and cup from seen obstacles; neighbours are soft, near, and blurred by a voxel."""
    hand_fixed: float = -0.004
    hand_seen: float = -0.010
    """In contact: the rest of the hand."""
    arm_fixed: float = 0.004
    arm_seen: float = 0.004
    """In contact: the arm's links."""
    item_fixed: float = -0.010
    item_seen: float = -0.025
    """In contact: a held item; it starts between its neighbours or ends on others, its spheres overlap with those."""
    item_lift: float = -0.100
    """On the lift: a held item from seen obstacles, in effect unchecked. It slides along neighbours that it touches; what
    lies on top of it, the hand has already gone through; and a completed shape may reach into its neighbours'."""
    relax: float = 0.003
    """An arm that starts within a margin may come this much nearer on its way out, not more."""


@dataclass(frozen=True)
class ApproachConfig:
    overtravel_m: float = 0.010
    """Suction: beyond the expected contact, taken up by the slide."""
    standoff_max_m: float = 0.24
    """The pre-grasp is moved back up to here until the hand is clear of everything."""
    slow_m: float = 0.030
    """Stretch before the expected contact that is driven at the cell's contact speed."""
    line_speed: float = 0.8
    """m/s on straight lines away from contact."""
    solutions: int = 4
    """Arm configurations tried per grasp."""
    seeds: int = 10
    lift_clearance_m: float = 0.02
    """Height of the lowest point of hand and item above the rim after a lift."""
    lift_least_m: float = 0.004
    """A lift that ends short of that for lack of reach still counts from here."""
    lift_reserve_m: float = 0.025
    """A grasp must leave this much more way up than its item needs: the spheres of a held item reach below it."""


@dataclass(frozen=True)
class PlaceConfig:
    yaws: int = 8
    wall_clearance_m: float = 0.015
    neighbour_clearance_m: float = 0.008
    """Free ring around the footprint."""
    drop_m: float = 0.010
    """Height of the item's lowest point above its support at release."""
    protrude_m: float = 0.05
    """An item may stand out of the tote by this much."""
    map_cell_m: float = 0.008
    """Height maps finer than this are coarsened (by their maximum) first."""
    per_yaw: int = 300
    """Best places kept of each orientation."""
    shortlist: int = 2400
    """Best places of all whose hand pose is checked against the walls."""
    tried: int = 10
    """Places that pass this and are tried with the arm."""
    gap_weight: float = 0.8
    """Cost of a metre of mean gap between the item's underside and its support, in metres of support height."""
    distance_weight: float = 0.04
    """Cost of a metre of way."""
    time_weight: float = 0.02
    """Cost of a second of the arm's way, metres; judged once the arm's configurations are known."""
    yaw_weight: float = 0.004
    """Cost of a radian of turning, metres."""
    above_m: float = 0.02
    """Clearance over the rim of everything carried, at the top of the lowering line."""
    retreat_m: float = 0.03
    """Least way up after the release; goes on until the hand is above the rim."""


@dataclass(frozen=True)
class MotionConfig:
    """Settings of the motion planner."""

    clearance: ClearanceConfig = field(default_factory=ClearanceConfig)
    approach: ApproachConfig = field(default_factory=ApproachConfig)
    place: PlaceConfig = field(default_factory=PlaceConfig)
    unknown_below_surface: bool = True
    """In free motion, unseen space below a seen surface inside a tote counts as occupied."""
    suction_jaw_m: float = 0.040
    """Jaw opening assumed while an item hangs on the cup, as grasp selection sets it for suction."""
    rrt_nodes: int = 1500
    """Nodes per tree before a path is given up: about 50 ms."""
    rrt_step_m: float = 0.6
    """Motion of the robot's outermost point per extension."""
    shortcut_tries: int = 10
    """Geometric shortcuts beyond leaving vertices out: from there on the time-domain ones gain more."""
    join_tries: int = 120
    """Time-domain shortcuts: .2 ms each; this many come within 2 % of what 600 reach."""
    escape_max_m: float = 0.25
    """Longest straight way out for an arm that starts too near to something."""
    seed: int = 0
    """Of every random choice: the same input gives the same plan."""
