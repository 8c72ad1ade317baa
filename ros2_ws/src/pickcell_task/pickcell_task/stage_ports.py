"""Scene, grasp and motion ports of the core as clients of the stage nodes. Every wait is bounded and can be interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pickcell_interfaces.msg import GraspOutcome, SceneTracks
from pickcell_interfaces.msg import HeldItem as HeldItemMsg
from pickcell_interfaces.msg import Scene as SceneMsg
from pickcell_interfaces.srv import (
    ObserveScene,
    PlanApproach,
    PlanHome,
    PlanLift,
    PlanPlace,
    PlanRetreat,
    SelectGrasp,
    WatchScene,
)
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from pickcell.outcome import Code, Outcome
from pickcell.ports import SensorPort
from pickcell.values import (
    BASE_FRAME,
    ApproachPlan,
    GraspCandidate,
    GraspDecision,
    HeldItem,
    JointTrajectory,
    PlacePlan,
    Scene,
    VoxelGrid,
    Watched,
)
from pickcell_conversions.drivers import MessageError, joint_state_to_msg, seconds, time_msg, trajectory_from_msg
from pickcell_conversions.grasps import candidate_to_msg, candidates_to_msg, decision_from_msg
from pickcell_conversions.motions import approach_from_msg, held_to_msg, place_from_msg
from pickcell_conversions.outcomes import manifest_to_msg, outcome_from_msg
from pickcell_conversions.scenes import scene_from_msg, scene_to_msg, track_from_msg
from pickcell_drivers.action_calls import wait_server

Interrupted = Callable[[], Outcome[None]]
POLL_S = 0.05
OUTCOMES_KEPT = 50
"""Messages that may wait for a busy selector."""


@dataclass(frozen=True)
class CallLimits:
    """Wall-clock seconds."""

    service_wait_s: float
    observe_s: float
    select_s: float
    plan_s: float


class StageCaller:
    """Calls services from the worker thread while an executor spins the node elsewhere."""

    def __init__(self, node: Node, interrupted: Interrupted, limits: CallLimits) -> None:
        self.node = node
        self.limits = limits
        self._interrupted = interrupted
        self._scene: tuple[Scene, SceneMsg] | None = None

    def client(self, service: Any, name: str) -> Client:
        return self.node.create_client(service, name)

    def call(self, client: Client, request: Any, timeout_s: float) -> Outcome[Any]:
        """The response. NODE_LOST when nobody offers the service or answers in time, or what interrupted the wait."""
        if not wait_server(client, self.limits.service_wait_s):
            return Outcome.failure(Code.NODE_LOST, f"Nobody offers {client.srv_name}.")
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        end = time.monotonic() + timeout_s
        while not done.wait(POLL_S):
            interrupted = self._interrupted()
            if interrupted.ok and time.monotonic() < end:
                continue
            client.remove_pending_request(future)
            if not interrupted.ok:
                return interrupted.failed_as()
            return Outcome.failure(Code.NODE_LOST, f"{client.srv_name} has not answered within {timeout_s:.0f} s.")
        return Outcome.success(future.result())

    def scene_msg(self, scene: Scene) -> SceneMsg:
        """The scene as a message without pictures, converted once however many requests need it."""
        if self._scene is None or self._scene[0] is not scene:
            self._scene = (scene, scene_to_msg(scene, with_views=False))
        return self._scene[1]


def _answer(response: Outcome[Any], read: Callable[[Any], Any]) -> Outcome[Any]:
    """The outcome of a service with its value. A value that cannot be read is the fault of whoever sent it."""
    if not response.ok:
        return response
    msg = response.unwrap()
    outcome = outcome_from_msg(msg.outcome)
    try:
        value = read(msg)
    except (MessageError, ValueError) as error:
        return Outcome.failure(Code.INTERNAL_ERROR, f"The answer of a stage node cannot be used: {error}")
    return Outcome(outcome.code, outcome.text, value)


class RosScene:
    """:class:`pickcell.ports.ScenePort`."""

    def __init__(self, caller: StageCaller) -> None:
        self._caller = caller
        self._client = caller.client(ObserveScene, "scene/observe")
        self._watch = caller.client(WatchScene, "scene/watch")
        self._newest: Outcome[Watched] | None = None
        caller.node.create_subscription(SceneTracks, "scene/tracks", self._on_tracks, 1)

    def observe(self, manifest: dict[str, int], not_before_s: float) -> Outcome[Scene]:
        request = ObserveScene.Request(manifest=manifest_to_msg(manifest), with_views=True)
        request.not_before = time_msg(not_before_s)
        response = self._caller.call(self._client, request, self._caller.limits.observe_s)

        def read(msg: ObserveScene.Response) -> Scene | None:
            return scene_from_msg(msg.scene) if msg.scene.header.frame_id == BASE_FRAME else None

        return _answer(response, read)

    def follow(self, ids: tuple[int, ...]) -> Outcome[None]:
        """Asked for and not waited for: the arm sets out meanwhile."""
        self._newest = None
        if not self._watch.service_is_ready():
            return Outcome.failure(Code.NODE_LOST, f"Nobody offers {self._watch.srv_name}.")
        self._watch.call_async(WatchScene.Request(follow=bool(ids), ids=list(ids))).add_done_callback(self._on_watch)
        return Outcome.success(None)

    def _on_watch(self, future: Future) -> None:
        """What could not be followed is said at the next glance."""
        outcome = outcome_from_msg(future.result().outcome)
        if not outcome.ok:
            self._caller.node.get_logger().warning(f"{self._watch.srv_name}: {outcome.text}")
            self._newest = outcome.failed_as()

    def glance(self) -> Outcome[Watched] | None:
        newest, self._newest = self._newest, None
        return newest

    def _on_tracks(self, msg: SceneTracks) -> None:
        try:
            tracks = tuple(track_from_msg(track) for track in msg.tracks)
        except MessageError as error:
            self._newest = Outcome.failure(Code.INTERNAL_ERROR, str(error))
            return
        outcome = outcome_from_msg(msg.outcome)
        watched = Watched(seconds(msg.header.stamp), tracks, None, ()) if outcome.ok else None
        self._newest = Outcome(outcome.code, outcome.text, watched)


class RosGrasp:
    """:class:`pickcell.ports.GraspPort`."""

    def __init__(self, caller: StageCaller) -> None:
        self._caller = caller
        self._client = caller.client(SelectGrasp, "grasp_selector/select")
        self._outcomes = caller.node.create_publisher(GraspOutcome, "grasp/outcomes", OUTCOMES_KEPT)

    def select(self, scene: Scene, instance_id: int, sku: str) -> Outcome[GraspDecision]:
        request = SelectGrasp.Request(scene=self._caller.scene_msg(scene), instance_id=instance_id, sku=sku)
        response = self._caller.call(self._client, request, self._caller.limits.select_s)

        def read(msg: SelectGrasp.Response) -> GraspDecision | None:
            decision = msg.decision
            return decision_from_msg(decision) if decision.ranked or decision.rejected else None

        return _answer(response, read)

    def learn(self, candidate: GraspCandidate, sku: str, code: Code) -> None:
        msg = GraspOutcome(sku=sku, candidate=candidate_to_msg(candidate), code=code.value)
        msg.header.stamp = self._caller.node.get_clock().now().to_msg()
        msg.header.frame_id = BASE_FRAME
        self._outcomes.publish(msg)


class RosMotion:
    """:class:`pickcell.ports.MotionPort`: each request says where the arm is now."""

    def __init__(self, caller: StageCaller, sensors: SensorPort) -> None:
        self._caller = caller
        self._sensors = sensors
        self._approach = caller.client(PlanApproach, "motion_planner/plan_approach")
        self._lift = caller.client(PlanLift, "motion_planner/plan_lift")
        self._place = caller.client(PlanPlace, "motion_planner/plan_place")
        self._home = caller.client(PlanHome, "motion_planner/plan_home")
        self._retreat = caller.client(PlanRetreat, "motion_planner/plan_retreat")

    def _ask(self, client: Client, request: Any, read: Callable[[Any], Any]) -> Outcome[Any]:
        reading = self._sensors.reading()
        if not reading.ok:
            return reading.failed_as()
        request.start = joint_state_to_msg(reading.unwrap().joints)
        response = self._caller.call(client, request, self._caller.limits.plan_s)
        return _answer(response, lambda msg: read(msg) if msg.outcome.code == Code.OK.value else None)

    def plan_approach(self, scene: Scene, ranked: tuple[GraspCandidate, ...]) -> Outcome[ApproachPlan]:
        request = PlanApproach.Request(scene=self._caller.scene_msg(scene), ranked=candidates_to_msg(ranked))
        return self._ask(self._approach, request, lambda msg: approach_from_msg(msg.plan))

    def plan_lift(self, scene: Scene, held: HeldItem) -> Outcome[JointTrajectory]:
        request = PlanLift.Request(scene=self._caller.scene_msg(scene), held=held_to_msg(held))
        return self._ask(self._lift, request, lambda msg: trajectory_from_msg(msg.trajectory))

    def plan_place(self, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        request = PlanPlace.Request(scene=self._caller.scene_msg(scene), held=held_to_msg(held), tote=tote)
        return self._ask(self._place, request, lambda msg: place_from_msg(msg.plan))

    def plan_home(self, scene: Scene | None, held: HeldItem | None = None) -> Outcome[JointTrajectory]:
        request = PlanHome.Request(
            has_scene=scene is not None,
            scene=self._caller.scene_msg(scene) if scene is not None else SceneMsg(),
            has_held=held is not None,
            held=held_to_msg(held) if held is not None else HeldItemMsg(),
        )
        return self._ask(self._home, request, lambda msg: trajectory_from_msg(msg.trajectory))

    def still_free(
        self, trajectory: JointTrajectory, from_s: float, occupancy: VoxelGrid, grasp: GraspCandidate
    ) -> Outcome[None]:
        """Tracks come without the space around them: nobody can tell here."""
        return Outcome.success(None)

    def plan_retreat(self, distance_m: float) -> Outcome[JointTrajectory]:
        request = PlanRetreat.Request(distance=float(distance_m))
        return self._ask(self._retreat, request, lambda msg: trajectory_from_msg(msg.trajectory))
