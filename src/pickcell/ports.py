"""Ports: what the task needs from the rest of the cell. Implemented in process (benchmarks) and over ROS (the cell).

All calls block until done, and take cell time (the clock port tells it). Expected failures come back as outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from pickcell.outcome import Code, Outcome
from pickcell.values import (
    ApproachPlan,
    GraspCandidate,
    GraspDecision,
    HeldItem,
    JawState,
    JointTrajectory,
    PlacePlan,
    RobotReading,
    Scene,
    VoxelGrid,
    Watched,
)

StopWhen = Callable[[RobotReading], str | None]
"""Watches the readings while the arm moves; a sentence stops the arm at once, None lets it go on."""


class ClockPort(Protocol):
    def now_s(self) -> float:
        """Cell time in seconds."""

    def sleep_s(self, duration_s: float) -> None:
        """Let cell time pass."""


class ScenePort(Protocol):
    def observe(self, manifest: dict[str, int], not_before_s: float) -> Outcome[Scene]:
        """Look at both totes with frames captured after ``not_before_s``; ``manifest``: SKU -> count in the source tote.

        SCENE_EMPTY (nothing in the source tote) carries its scene all the same; other failures carry none."""

    def follow(self, ids: tuple[int, ...]) -> Outcome[None]:
        """Watch these instances of the last look from now on, until the next one; none of them: stop watching. SCENE_EMPTY
        without such a look, NODE_LOST where nobody can watch."""

    def glance(self) -> Outcome[Watched] | None:
        """What was seen of them last, without waiting; None before there is anything, or anything new."""


class GraspPort(Protocol):
    def select(self, scene: Scene, instance_id: int, sku: str) -> Outcome[GraspDecision]:
        """Rank the grasps on one instance of the scene. NO_GRASP_FOUND still says in its text what was rejected."""

    def learn(self, candidate: GraspCandidate, sku: str, code: Code) -> None:
        """What came of a grasp on a product. Returns at once; that it arrives is not promised."""


class MotionPort(Protocol):
    def plan_approach(self, scene: Scene, ranked: tuple[GraspCandidate, ...]) -> Outcome[ApproachPlan]:
        """From where the arm is, to the best-ranked grasp that can be reached, entered and left without collision."""

    def plan_lift(self, scene: Scene, held: HeldItem) -> Outcome[JointTrajectory]:
        """From where the arm is, straight up with the item until it clears the source tote's rim."""

    def plan_place(self, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        """From where the arm is, to a free place in ``tote`` (``destination``, or ``source`` to return an item)."""

    def plan_home(self, scene: Scene | None, held: HeldItem | None = None) -> Outcome[JointTrajectory]:
        """To the cell's home. With no scene, only the cell's own furniture is avoided."""

    def plan_retreat(self, distance_m: float) -> Outcome[JointTrajectory]:
        """Straight up from where the arm is, by up to ``distance_m`` as far as the joints allow."""

    def still_free(
        self, trajectory: JointTrajectory, from_s: float, occupancy: VoxelGrid, grasp: GraspCandidate
    ) -> Outcome[None]:
        """Whether the rest of a free motion to a grasp, from ``from_s`` into it, hits nothing of what is seen now.
        PATH_BLOCKED when it does. Success where nobody can tell."""


class ArmPort(Protocol):
    def execute(self, trajectory: JointTrajectory, stop_when: StopWhen | None = None) -> Outcome[str]:
        """Run a trajectory that starts where the arm is. The value is the sentence of ``stop_when``, or "" when it ran to
        its end. Fails with MOTION_ABORTED, ESTOP, PROTECTIVE_STOP, CANCELLED or NODE_LOST; the arm then stands still."""

    def stop(self) -> None:
        """Stop the arm at once, in a controlled way."""


class HandPort(Protocol):
    def set_jaw(self, width_m: float, force_n: float) -> Outcome[JawState]:
        """Move the jaw to ``width_m`` with at most ``force_n``; ends when there, or stalled on something."""

    def set_vacuum(self, on: bool, most_pa: float = math.inf) -> Outcome[None]:
        """Switch the vacuum, regulated to at most ``most_pa`` below ambient; the cup's slide extends with it and retracts
        after it.

        Off returns when the line is vented (vacuum below 2 kPa, or half a second of cell time has passed), so that the next
        motion does not tear at the item."""


class SensorPort(Protocol):
    def reading(self) -> Outcome[RobotReading]:
        """The newest readings. NODE_LOST when they are older than they may be."""


class CellPorts(Protocol):
    """Everything together, as the task receives it."""

    clock: ClockPort
    scene: ScenePort
    grasp: GraspPort
    motion: MotionPort
    arm: ArmPort
    hand: HandPort
    sensors: SensorPort

    def interrupted(self) -> Outcome[None]:
        """A failure (CANCELLED, ESTOP, NODE_LOST, ...) when the pick must not go on, success otherwise."""
