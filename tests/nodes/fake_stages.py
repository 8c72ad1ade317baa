"""One stage node without its computation, as a process: ``fake_stages.py scene|grasp_selector|motion_planner``.

Same services, heartbeat and name as the real one. The scene holds one flat box per piece on the manifest; every motion lasts
``MOTION_S`` and goes nowhere. A file named by ``FAKE_FAULT`` holds a code with which ``observe`` then fails, or ``moved``:
what is followed is then seen 5 cm from where it was.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from pickcell_interfaces.msg import CameraRate, SceneTracks
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
from rclpy.node import Node

from pickcell.cell import load_cell
from pickcell.geometry import make_pose
from pickcell.outcome import Code, Outcome
from pickcell.values import (
    ApproachPlan,
    GraspCandidate,
    GraspDecision,
    HeightMap,
    Identity,
    Instance,
    JointTrajectory,
    PlacePlan,
    PointCloud,
    Scene,
    ShapeEstimate,
    Tool,
    Track,
    TrackState,
    VoxelGrid,
)
from pickcell_conversions.drivers import joint_state_from_msg, trajectory_to_msg
from pickcell_conversions.grasps import candidates_from_msg, decision_to_msg
from pickcell_conversions.motions import approach_to_msg, place_to_msg
from pickcell_conversions.outcomes import manifest_from_msg, outcome_to_msg
from pickcell_conversions.scenes import scene_from_msg, scene_to_msg, track_to_msg
from pickcell_node.heartbeat import HeartbeatPublisher
from pickcell_node.main import run
from pickcell_node.serve import serve

CELL = load_cell(Path(__file__).resolve().parents[2] / "config/cells/panda.yaml")
MOTION_S = 0.25
EXTENTS = np.array([0.08, 0.06, 0.01])  # so flat that the destination's height map is not asked whether it arrived


def box() -> ShapeEstimate:
    corners = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, -1).T * EXTENTS
    normals = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    return ShapeEstimate(PointCloud(corners, normals, np.full((8, 3), 128)), np.ones(8), np.eye(4), EXTENTS)


def stand_still(start) -> JointTrajectory:
    q = joint_state_from_msg(start).select(CELL.arm.joints)
    return JointTrajectory(CELL.arm.joints, np.array([0.0, MOTION_S]), np.tile(q, (2, 1)), np.zeros((2, len(q))))


class FakeStage:
    def __init__(self) -> None:
        self.node = Node(os.environ["FAKE_STAGE"])
        cameras = [camera.name for camera in CELL.cameras] if self.node.get_name() == "scene" else []
        rates = [CameraRate(camera=name, rate=10.0, age=0.05) for name in cameras]
        self._heartbeat = HeartbeatPublisher(self.node, lambda: rates)
        getattr(self, f"offer_{self.node.get_name()}")()

    def close(self) -> None:
        self._heartbeat.close()

    def offer(self, service, name, handler) -> None:
        serve(self.node, self._heartbeat, service, name, handler)

    # --- scene -----------------------------------------------------------------------------------------------------

    def offer_scene(self) -> None:
        self.offer(ObserveScene, "~/observe", self.observe)
        self.offer(WatchScene, "~/watch", self.watch)
        self._ids: list[int] = []
        self._tracks = self.node.create_publisher(SceneTracks, "~/tracks", 1)
        self.node.create_timer(0.05, self.track)

    def watch(self, request, response) -> Outcome[None]:
        self._ids = list(request.ids) if request.follow else []
        return Outcome.success(None)

    def track(self) -> None:
        if not self._ids:
            return
        fault = Path(os.environ.get("FAKE_FAULT", "/nonexistent"))
        moved = fault.is_file() and "moved" in fault.read_text()
        X, state = make_pose((0.05 if moved else 0.0, 0.0, 0.0)), TrackState.MOVED if moved else TrackState.STILL
        msg = SceneTracks(outcome=outcome_to_msg(Outcome.success(None)))
        msg.header.stamp = self.node.get_clock().now().to_msg()
        msg.tracks = [track_to_msg(Track(int(i), X, state, 0.9)) for i in self._ids]
        self._tracks.publish(msg)

    def observe(self, request, response) -> Outcome[Scene]:
        fault = Path(os.environ.get("FAKE_FAULT", "/nonexistent"))
        self._ids = []
        if fault.is_file() and (words := fault.read_text().split()) and words[0] != "moved":
            if words[0] == "hang":
                time.sleep(60.0)
            return Outcome.failure(Code(words[0]), " ".join(words[1:]))
        shape = box()
        skus = [sku for sku, n in manifest_from_msg(request.manifest).unwrap().items() for _ in range(n)]
        instances = tuple(
            Instance(i + 1, shape.cloud, shape, Identity(sku, 0.9, ((sku, 0.9),)), 1.0) for i, sku in enumerate(skus)
        )
        maps = {tote: HeightMap(np.eye(4), 0.01, np.zeros((4, 4))) for tote in ("source", "destination")}
        now_s = self.node.get_clock().now().nanoseconds * 1e-9
        scene = Scene(now_s, instances, VoxelGrid(np.zeros(3), 0.01, np.zeros((2, 2, 2))), maps)
        response.scene = scene_to_msg(scene, request.with_views)
        return Outcome.success(scene) if instances else Outcome(Code.SCENE_EMPTY, "Empty.", scene)

    # --- grasp_selector ----------------------------------------------------------------------------------------------

    def offer_grasp_selector(self) -> None:
        self.offer(SelectGrasp, "~/select", self.select)

    def select(self, request, response) -> Outcome[GraspDecision]:
        scene_from_msg(request.scene).instance(request.instance_id)
        grasp = GraspCandidate(Tool.PINCH, request.instance_id, make_pose((0.4, 0, 0.1)), 0.9, 0.04, 0.06, 15.0)
        decision = GraspDecision((grasp,), (), "It is a box.")
        response.decision = decision_to_msg(decision)
        return Outcome.success(decision)

    # --- motion_planner ----------------------------------------------------------------------------------------------

    def offer_motion_planner(self) -> None:
        self.offer(PlanApproach, "~/plan_approach", self.plan_approach)
        self.offer(PlanPlace, "~/plan_place", self.plan_place)
        for service, name in ((PlanLift, "lift"), (PlanHome, "home"), (PlanRetreat, "retreat")):
            self.offer(service, f"~/plan_{name}", self.plan_single)

    def plan_approach(self, request, response) -> Outcome[ApproachPlan]:
        leg = stand_still(request.start)
        plan = ApproachPlan(candidates_from_msg(request.ranked)[0], 0, leg, leg, leg)
        response.plan = approach_to_msg(plan)
        return Outcome.success(plan)

    def plan_place(self, request, response) -> Outcome[PlacePlan]:
        leg = stand_still(request.start)
        plan = PlacePlan(request.tote, np.eye(4), leg, leg, leg)
        response.plan = place_to_msg(plan)
        return Outcome.success(plan)

    def plan_single(self, request, response) -> Outcome[JointTrajectory]:
        leg = stand_still(request.start)
        response.trajectory = trajectory_to_msg(leg)
        return Outcome.success(leg)


if __name__ == "__main__":
    os.environ["FAKE_STAGE"] = sys.argv[1]
    raise SystemExit(run(sys.argv[1], FakeStage))
