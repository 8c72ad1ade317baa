"""A cell without physics: the hand holds what it closes on unless a test says otherwise. Implements CellPorts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pickcell.geometry import make_pose
from pickcell.outcome import Code, Outcome
from pickcell.values import (
    ApproachPlan,
    GraspCandidate,
    GraspDecision,
    HeightMap,
    HeldItem,
    Identity,
    Instance,
    JawState,
    JointState,
    JointTrajectory,
    PlacePlan,
    PointCloud,
    RobotReading,
    Scene,
    ShapeEstimate,
    Tool,
    VoxelGrid,
    Watched,
    Wrench,
)

JOINTS = ("j1", "j2")
AMBIENT_PA = 101_325.0
HAND_KG = 1.2
CONTACT_S = 0.5


def trajectory(duration_s: float = 1.0) -> JointTrajectory:
    times = np.array([0.0, duration_s])
    return JointTrajectory(JOINTS, times, np.zeros((2, 2)), np.zeros((2, 2)))


def box_shape(extents=(0.08, 0.06, 0.04)) -> ShapeEstimate:
    corners = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, -1).T * extents
    normals = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    cloud = PointCloud(corners, normals, np.full((8, 3), 128, np.uint8))
    return ShapeEstimate(cloud, np.ones(8), np.eye(4), np.array(extents))


@dataclass
class Faults:
    """What goes wrong. Callables get the number of the call, from 1."""

    observe: Callable[[int], Code | None] = lambda n: None
    select: Callable[[int], Code | None] = lambda n: None
    approach: Callable[[int], Code | None] = lambda n: None
    place: Callable[[int], Code | None] = lambda n: None
    home: Callable[[int], Code | None] = lambda n: None
    execute: Callable[[int], Code | None] = lambda n: None
    during_execute: Callable[[int, FakeCell], None] = lambda n, cell: None
    sensors: Callable[[int], Code | None] = lambda n: None
    misses: int = 0
    """How many grasps close on nothing."""
    extra_kg: float = 0.0
    """Hangs on the item when it is lifted."""
    lands: bool = True
    """A released item appears in the destination."""


@dataclass
class FakeCell:
    skus: dict[str, float]
    """SKU -> true mass, one instance each in the source tote."""
    tool: Tool = Tool.PINCH
    faults: Faults = field(default_factory=Faults)
    qualities: dict[str, float] = field(default_factory=dict)
    """SKU -> quality of the best grasp on it."""

    def __post_init__(self) -> None:
        self.clock = self.scene = self.grasp = self.motion = self.arm = self.hand = self.sensors = self
        self.now = 100.0
        self.calls: dict[str, int] = {}
        self.source = list(self.skus)
        self.destination: list[str] = []
        self.lost: list[str] = []
        self.learned: list[tuple[int, str, Code]] = []
        """Instance, SKU and end of every grasp that was tried."""
        self.in_hand: str | None = None
        self.target: str | None = None
        self.width_held = 0.045
        self.squeezed_to_m = 0.04
        """Width of the closed jaw on an item."""
        self.commanded = 0.1
        self.vacuum_on = False
        self.at_place = False
        self.estop = False
        self.stopped = 0
        self.followed: list[tuple[int, ...]] = []
        self.glances: list[Outcome[Watched] | None] = []
        self.way: Outcome[None] = Outcome.success(None)
        self.stop_reason: Outcome[None] = Outcome.success(None)

    def _count(self, name: str) -> int:
        self.calls[name] = self.calls.get(name, 0) + 1
        return self.calls[name]

    def _fault(self, name: str, fault: Callable[[int], Code | None]) -> Outcome | None:
        code = fault(self._count(name))
        return Outcome.failure(code) if code else None

    # clock
    def now_s(self) -> float:
        return self.now

    def sleep_s(self, duration_s: float) -> None:
        self.now += max(duration_s, 1e-3)

    # scene
    def observe(self, manifest: dict[str, int], not_before_s: float) -> Outcome[Scene]:
        failed = self._fault("observe", self.faults.observe)
        if failed:
            return failed
        shape = box_shape()
        instances = tuple(
            Instance(i + 1, shape.cloud, shape, Identity(sku, 0.9, ((sku, 0.9),)), 1.0) for i, sku in enumerate(self.source)
        )
        heights = {}
        for tote, n in (("source", len(self.source)), ("destination", len(self.destination))):
            height = np.zeros((40, 30), np.float32)
            height[: 6 * n, :8] = 0.04
            heights[tote] = HeightMap(np.eye(4), 0.01, height)
        scene = Scene(self.now, instances, VoxelGrid(np.zeros(3), 0.01, np.zeros((2, 2, 2))), heights)
        return Outcome.success(scene) if instances else Outcome(Code.SCENE_EMPTY, "Empty.", scene)

    def follow(self, ids: tuple[int, ...]) -> Outcome[None]:
        self.followed.append(ids)
        return Outcome.success(None)

    def glance(self) -> Outcome[Watched] | None:
        """What a test has put there to be seen, one after another."""
        return self.glances.pop(0) if self.glances else None

    # grasp
    def learn(self, candidate: GraspCandidate, sku: str, code: Code) -> None:
        self.learned.append((candidate.instance_id, sku, code))

    def select(self, scene: Scene, instance_id: int, sku: str) -> Outcome[GraspDecision]:
        failed = self._fault("select", self.faults.select)
        if failed:
            return failed
        best = self.qualities.get(self.source[instance_id - 1], 0.9)
        ranked = tuple(
            GraspCandidate(self.tool, instance_id, make_pose((0.05 * k, 0, 0)), best - 0.1 * k, 0.04, 0.06, 15.0)
            for k in range(6)
        )
        return Outcome.success(GraspDecision(ranked, (), "It is a box."))

    # motion
    def plan_approach(self, scene: Scene, ranked: tuple[GraspCandidate, ...]) -> Outcome[ApproachPlan]:
        failed = self._fault("approach", self.faults.approach)
        self.target = self.source[ranked[0].instance_id - 1]
        return failed or Outcome.success(ApproachPlan(ranked[0], 0, trajectory(), trajectory(CONTACT_S), trajectory()))

    def plan_lift(self, scene: Scene, held: HeldItem) -> Outcome[JointTrajectory]:
        self._count("lift")
        return Outcome.success(trajectory())

    def plan_place(self, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        failed = self._fault(f"place_{tote}", self.faults.place)
        if failed:
            return failed
        self.place_tote = tote
        return Outcome.success(PlacePlan(tote, np.eye(4), trajectory(), trajectory(), trajectory()))

    def plan_home(self, scene: Scene | None, held: HeldItem | None = None) -> Outcome[JointTrajectory]:
        return self._fault("home", self.faults.home) or Outcome.success(trajectory())

    def plan_retreat(self, distance_m: float) -> Outcome[JointTrajectory]:
        return Outcome.success(trajectory(0.3))

    def still_free(self, trajectory, from_s, occupancy, grasp) -> Outcome[None]:
        return self.way

    # arm
    def execute(self, trajectory: JointTrajectory, stop_when=None) -> Outcome[str]:
        number = self._count("execute")
        code = self.faults.execute(number)
        if code:
            return Outcome.failure(code)
        if trajectory.duration_s == CONTACT_S:
            self._touch_target()
        for _ in range(5):
            self.now += trajectory.duration_s / 5
            self.faults.during_execute(number, self)
            if self.estop:
                return Outcome.failure(Code.ESTOP)
            said = stop_when(self._reading()) if stop_when else None
            if said:
                return Outcome.success(said)
        return Outcome.success("")

    def stop(self) -> None:
        self.stopped += 1

    # hand
    def _touch_target(self) -> None:
        """The cup takes what it touches; the jaw took it when it closed."""
        if self.tool is Tool.SUCTION and self.vacuum_on and self.target in self.source and self.in_hand is None:
            self._take()

    def _take(self) -> None:
        if self.faults.misses > 0:
            self.faults.misses -= 1
            self.target = None
            return
        assert self.target is not None
        self.source.remove(self.target)
        self.in_hand = self.target
        self.place_tote = "source"  # until it is carried elsewhere

    def lose(self) -> None:
        """The item leaves the hand and falls back into the source tote."""
        if self.in_hand:
            self.source.append(self.in_hand)
            self.in_hand, self.target = None, None

    def _let_go(self) -> None:
        if self.in_hand is None:
            return
        where = self.source if getattr(self, "place_tote", "") == "source" else self.destination
        (where if self.faults.lands else self.lost).append(self.in_hand)
        self.in_hand = None

    def set_jaw(self, width_m: float, force_n: float) -> Outcome[JawState]:
        self.commanded = width_m
        if width_m < 0.01 and self.target in self.source:
            self._take()
        if width_m > self.width_held and self.tool is Tool.PINCH:
            self._let_go()
        return Outcome.success(self._reading().jaw)

    def set_vacuum(self, on: bool, most_pa: float = math.inf) -> Outcome[None]:
        self.vacuum_on = on
        if not on and self.tool is Tool.SUCTION:
            self._let_go()
        return Outcome.success(None)

    # sensors
    def _reading(self) -> RobotReading:
        pinched = self.in_hand is not None and self.tool is Tool.PINCH
        width = max(self.commanded, self.squeezed_to_m) if pinched else self.commanded
        mass = HAND_KG + (self.skus[self.in_hand] + self.faults.extra_kg if self.in_hand else 0.0)
        sealed = self.vacuum_on and self.in_hand is not None and self.tool is Tool.SUCTION
        return RobotReading(
            JointState(self.now, JOINTS, np.zeros(2), np.zeros(2), np.zeros(2)),
            JawState(self.now, width, 0.0, False, pinched and self.commanded < width),
            Wrench(self.now, np.array([0.0, 0.0, 9.81 * mass]), np.zeros(3)),
            AMBIENT_PA - (60e3 if sealed else 0.0),
            AMBIENT_PA,
            self.vacuum_on,
            self.estop,
            False,
        )

    def reading(self) -> Outcome[RobotReading]:
        return self._fault("sensors", self.faults.sensors) or Outcome.success(self._reading())

    def interrupted(self) -> Outcome[None]:
        return self.stop_reason
