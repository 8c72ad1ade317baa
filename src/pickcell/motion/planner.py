"""The planner of a cell: joint positions, a scene and grasps in; timed, collision-checked motions or typed failures out."""

from __future__ import annotations

from numpy.typing import ArrayLike

from pickcell.cell import CellConfig
from pickcell.motion.ahead import way_ahead
from pickcell.motion.approach import ApproachPlanner
from pickcell.motion.carry import CarryPlanner
from pickcell.motion.config import MotionConfig
from pickcell.motion.core import MotionCore
from pickcell.outcome import Outcome
from pickcell.values import ApproachPlan, GraspCandidate, HeldItem, JointTrajectory, PlacePlan, Scene, VoxelGrid


class MotionPlanner:
    """Plans for one cell. ``urdf`` is URDF text (:func:`pickcell.description.expand_urdf`).

    Every trajectory starts at rest in ``q_start``, ends at rest, and keeps the joints' position, velocity and acceleration
    limits. ``q_start`` (n,) rad must be finite: ValueError otherwise. Methods may be called from several threads.
    """

    def __init__(self, cell: CellConfig, urdf: str, config: MotionConfig | None = None) -> None:
        self.core = MotionCore(cell, urdf, config)
        self._approach = ApproachPlanner(self.core)
        self._carry = CarryPlanner(self.core)

    def plan_approach(self, q_start: ArrayLike, scene: Scene, ranked: tuple[GraspCandidate, ...]) -> Outcome[ApproachPlan]:
        """To the best-ranked grasp that can be reached, entered and left.

        A pinch may be turned by half a turn about its approach when no grasp works as given; ``candidate`` of the plan is
        then the turned one. The pre-grasp lies ``standoff_m`` or more back, so far that the whole hand is clear.
        Fails with NO_GRASP_FOUND (empty list), UNREACHABLE, APPROACH_BLOCKED or NO_PATH: the code of the grasp that got
        furthest; the text counts the reasons.
        """
        return self._approach.plan(self.core.start_state(q_start), scene, tuple(ranked))

    def plan_lift(self, q_start: ArrayLike, scene: Scene, held: HeldItem) -> Outcome[JointTrajectory]:
        """Straight up until hand and item clear the rim of the tote they are over. Fails with UNREACHABLE or NO_PATH."""
        return self._carry.lift(self.core.start_state(q_start), scene, held)

    def plan_place(self, q_start: ArrayLike, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        """To a free place in ``tote``; the text says so when unseen floor had to be used. Fails with PLACE_BLOCKED or
        NO_PATH. Raises KeyError for a tote that the cell does not have."""
        return self._carry.place(self.core.start_state(q_start), scene, held, tote)

    def plan_home(
        self, q_start: ArrayLike, scene: Scene | None = None, held: HeldItem | None = None
    ) -> Outcome[JointTrajectory]:
        """To the cell's home; an arm that stands too near to something first moves straight out. Fails with NO_PATH."""
        return self._carry.home(self.core.start_state(q_start), scene, held)

    def still_free(
        self, trajectory: JointTrajectory, from_s: float, occupancy: VoxelGrid, grasp: GraspCandidate
    ) -> Outcome[None]:
        """Whether the rest of a free motion of the empty hand to ``grasp``, from ``from_s`` into it, hits anything of what
        is seen now. Fails with PATH_BLOCKED."""
        return way_ahead(self.core, trajectory, from_s, occupancy, grasp)

    def plan_retreat(self, q_start: ArrayLike, distance_m: float) -> Outcome[JointTrajectory]:
        """Straight up by up to ``distance_m``, as far as joints and furniture allow. Fails with UNREACHABLE when that is
        no way at all."""
        return self._carry.retreat(self.core.start_state(q_start), distance_m)
