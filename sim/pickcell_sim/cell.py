"""A whole cell in one process: simulator, perception, grasp choice and planner behind the task's ports, in lock-step.

Computation is charged to the cell's clock: after each call physics advances by the time that the call took, or by what a
benchmark says that it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pickcell.catalogue import Catalogue
from pickcell.cell import CellConfig
from pickcell.description import expand_urdf
from pickcell.grasping import GraspSelector
from pickcell.motion import MotionPlanner
from pickcell.outcome import Code, Outcome
from pickcell.perception import PerceptionPipeline
from pickcell.values import (
    ApproachPlan,
    GraspCandidate,
    GraspDecision,
    HeldItem,
    JointState,
    JointTrajectory,
    PlacePlan,
    RgbdFrame,
    Scene,
    VoxelGrid,
    Watched,
)
from pickcell_sim.driver import SimDriver
from pickcell_sim.ports import SimPorts

T = TypeVar("T")

Charge = Callable[[str, float], float]
"""(stage, measured wall time of a call in s) -> cell time that is charged for it, s."""


def charge_measured(stage: str, elapsed_s: float) -> float:
    """A computation costs the cell what it took here."""
    return elapsed_s


def charge_nothing(stage: str, elapsed_s: float) -> float:
    """Computations are free: the seed alone decides what happens."""
    return 0.0


class Perception(Protocol):
    """What :class:`pickcell.perception.PerceptionPipeline` offers."""

    def observe(
        self, frames: list[RgbdFrame], joints: JointState, manifest: Mapping[str, int], now_s: float
    ) -> Outcome[Scene]: ...


@dataclass
class Stopwatch:
    """Wall time of each stage's calls, milliseconds."""

    calls_ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, stage: str, ms: float) -> None:
        self.calls_ms.setdefault(stage, []).append(ms)


class InProcessCell:
    """Implements :class:`pickcell.ports.CellPorts` over a :class:`SimDriver`. Planner and selector can be exchanged."""

    def __init__(
        self,
        driver: SimDriver,
        cell: CellConfig,
        catalogue: Catalogue,
        *,
        perception: Perception | None = None,
        selector: GraspSelector | None = None,
        planner: MotionPlanner | None = None,
        charge: bool | Charge = True,
    ) -> None:
        """``perception``: what looks at the cell; in a world without cameras one that needs no frames.

        ``charge``: by what physics advances for each computation; True: by its wall time, False: not at all."""
        urdf = expand_urdf(cell)
        self.driver = driver
        self.cell = cell
        self.perception: Perception = perception or PerceptionPipeline(cell, urdf, catalogue)
        self.selector = selector or GraspSelector(cell, catalogue)
        self.planner = planner or MotionPlanner(cell, urdf)
        self.stopwatch = Stopwatch()
        self._charge = charge if callable(charge) else charge_measured if charge else charge_nothing
        ports = SimPorts(driver)
        self.clock = ports
        self.arm = ports
        self.hand = ports
        self.sensors = ports
        self._following: tuple[int, ...] = ()
        self._glanced: Outcome[Watched] | None = None
        self.scene = self
        self.grasp = self
        self.motion = self

    def interrupted(self) -> Outcome[None]:
        return Outcome.success(None)

    def rehearse(self, manifest: dict[str, int]) -> None:
        """Look, choose and plan once without moving, uncounted: what is compiled or cached at first use is ready then."""
        seen = self.perception.observe(self.frames(), self._joints(), manifest, self.driver.now_s)
        if seen.value is None:
            return
        for instance in seen.value.instances:
            decision = self.selector.select(seen.value, instance.id, "")
            if decision.ok and self.planner.plan_approach(self._q(), seen.value, decision.unwrap().ranked).ok:
                break

    def _timed(self, stage: str, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        value = call()
        elapsed_s = time.perf_counter() - start
        self.stopwatch.add(stage, 1e3 * elapsed_s)
        self.clock.charge(self._charge(stage, elapsed_s))
        return value

    def _joints(self) -> JointState:
        return self.driver.joint_states()

    def _q(self) -> NDArray[np.float64]:
        return self._joints().select(self.cell.arm.joints)

    def frames(self) -> list[RgbdFrame]:
        """One fresh frame of every camera that delivers. Rendering stands for the light: it costs no cell time.

        None in a world without cameras: perception then lives on what else it knows, see ``oracle``."""
        if self.driver.cameras is None:
            return []
        return [f for f in (self.driver.capture(camera.name) for camera in self.cell.cameras) if f is not None]

    # -- ScenePort ---------------------------------------------------------------------------------------------------
    def observe(self, manifest: dict[str, int], not_before_s: float) -> Outcome[Scene]:
        frames = self.frames()
        joints = self._joints()
        now_s = self.driver.now_s
        seen = self._timed("observe", lambda: self.perception.observe(frames, joints, manifest, now_s))
        for stage, ms in (seen.value.timings_ms if seen.value else {}).items():
            self.stopwatch.add(stage, ms)
        return seen

    def follow(self, ids: tuple[int, ...]) -> Outcome[None]:
        """A world without cameras has nothing to watch with."""
        self._following, self._glanced = ids, None
        if self.driver.cameras is None or not isinstance(self.perception, PerceptionPipeline):
            return Outcome.failure(Code.NODE_LOST, "There are no cameras to watch with.")
        if unknown := set(ids) - set(self.perception.ids):
            return Outcome.failure(Code.SCENE_EMPTY, f"No instances {sorted(unknown)} in the last look.")
        return Outcome.success(None)

    def glance(self) -> Outcome[Watched] | None:
        """Watching runs beside everything else: it costs the cell no time, but what it says is of the glance before."""
        if not self._following or not isinstance(self.perception, PerceptionPipeline):
            return None
        frames = [f for f in (self.driver.capture(camera.name) for camera in self.cell.fixed_cameras) if f is not None]
        start = time.perf_counter()
        watched = self.perception.watch(frames, self._joints(), self.driver.now_s, self._following)
        self.stopwatch.add("watch", 1e3 * (time.perf_counter() - start))
        before, self._glanced = self._glanced, watched
        return before

    # -- GraspPort ---------------------------------------------------------------------------------------------------
    def select(self, scene: Scene, instance_id: int, sku: str) -> Outcome[GraspDecision]:
        return self._timed("select", lambda: self.selector.select(scene, instance_id, sku))

    def learn(self, candidate: GraspCandidate, sku: str, code: Code) -> None:
        self.selector.learn(candidate, sku, code)

    # -- MotionPort --------------------------------------------------------------------------------------------------
    def plan_approach(self, scene: Scene, ranked: tuple[GraspCandidate, ...]) -> Outcome[ApproachPlan]:
        return self._timed("plan_approach", lambda: self.planner.plan_approach(self._q(), scene, ranked))

    def plan_lift(self, scene: Scene, held: HeldItem) -> Outcome[JointTrajectory]:
        return self._timed("plan_lift", lambda: self.planner.plan_lift(self._q(), scene, held))

    def plan_place(self, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        return self._timed("plan_place", lambda: self.planner.plan_place(self._q(), scene, held, tote))

    def plan_home(self, scene: Scene | None, held: HeldItem | None = None) -> Outcome[JointTrajectory]:
        return self._timed("plan_home", lambda: self.planner.plan_home(self._q(), scene, held))

    def still_free(
        self, trajectory: JointTrajectory, from_s: float, occupancy: VoxelGrid, grasp: GraspCandidate
    ) -> Outcome[None]:
        return self.planner.still_free(trajectory, from_s, occupancy, grasp)

    def plan_retreat(self, distance_m: float) -> Outcome[JointTrajectory]:
        return self._timed("plan_retreat", lambda: self.planner.plan_retreat(self._q(), distance_m))
