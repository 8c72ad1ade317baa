"""Node ``motion_planner``: plans, never moves. Services ``~/plan_approach``, ``plan_lift``, ``plan_place``, ``plan_home``,
``plan_retreat``. Each request says where the arm is, so that the node has no state that could be stale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pickcell_interfaces.srv import PlanApproach, PlanHome, PlanLift, PlanPlace, PlanRetreat
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg

from pickcell.cell import load_cell
from pickcell.description import expand_urdf
from pickcell.motion import MotionPlanner
from pickcell.outcome import Outcome
from pickcell.values import ApproachPlan, JointTrajectory, PlacePlan
from pickcell_conversions.drivers import MessageError, joint_state_from_msg, trajectory_to_msg
from pickcell_conversions.grasps import candidates_from_msg
from pickcell_conversions.motions import approach_to_msg, held_from_msg, place_to_msg
from pickcell_conversions.scenes import scene_from_msg
from pickcell_node.heartbeat import HeartbeatPublisher
from pickcell_node.main import run
from pickcell_node.parameters import read_parameters
from pickcell_node.serve import serve


@dataclass(frozen=True)
class MotionPlannerParameters:
    """See config/motion_planner.param.yaml."""

    cell: str


class MotionPlannerApp:
    def __init__(self) -> None:
        self.node = Node("motion_planner")
        self._cell = load_cell(read_parameters(self.node, MotionPlannerParameters).cell)
        self._planner = MotionPlanner(self._cell, expand_urdf(self._cell))
        self._heartbeat = HeartbeatPublisher(self.node)
        for service, name, handler in (
            (PlanApproach, "~/plan_approach", self.plan_approach),
            (PlanLift, "~/plan_lift", self.plan_lift),
            (PlanPlace, "~/plan_place", self.plan_place),
            (PlanHome, "~/plan_home", self.plan_home),
            (PlanRetreat, "~/plan_retreat", self.plan_retreat),
        ):
            serve(self.node, self._heartbeat, service, name, handler)

    def close(self) -> None:
        self._heartbeat.close()

    def _start(self, msg: JointStateMsg) -> NDArray[np.float64]:
        """(n,) rad in the order of the cell's arm joints. Raises MessageError when one is missing or not finite."""
        try:
            q = joint_state_from_msg(msg).select(self._cell.arm.joints)
        except KeyError as error:
            raise MessageError(f"start: {error.args[0]}") from error
        if not np.all(np.isfinite(q)):
            raise MessageError(f"start: joint positions must be finite, got {q.tolist()}")
        return q

    def plan_approach(self, request: PlanApproach.Request, response: PlanApproach.Response) -> Outcome[ApproachPlan]:
        ranked = candidates_from_msg(request.ranked)
        if not ranked:
            raise MessageError("ranked: at least one grasp is needed")
        outcome = self._planner.plan_approach(self._start(request.start), scene_from_msg(request.scene), ranked)
        if outcome.ok:
            response.plan = approach_to_msg(outcome.unwrap())
        return outcome

    def plan_lift(self, request: PlanLift.Request, response: PlanLift.Response) -> Outcome[JointTrajectory]:
        start, held = self._start(request.start), held_from_msg(request.held)
        return _fill(response, self._planner.plan_lift(start, scene_from_msg(request.scene), held))

    def plan_place(self, request: PlanPlace.Request, response: PlanPlace.Response) -> Outcome[PlacePlan]:
        if request.tote not in self._cell.totes:
            raise MessageError(f"tote: no '{request.tote}', the cell has {sorted(self._cell.totes)}")
        start, held = self._start(request.start), held_from_msg(request.held)
        outcome = self._planner.plan_place(start, scene_from_msg(request.scene), held, request.tote)
        if outcome.ok:
            response.plan = place_to_msg(outcome.unwrap())
        return outcome

    def plan_home(self, request: PlanHome.Request, response: PlanHome.Response) -> Outcome[JointTrajectory]:
        scene = scene_from_msg(request.scene) if request.has_scene else None
        held = held_from_msg(request.held) if request.has_held else None
        return _fill(response, self._planner.plan_home(self._start(request.start), scene, held))

    def plan_retreat(self, request: PlanRetreat.Request, response: PlanRetreat.Response) -> Outcome[JointTrajectory]:
        if not (np.isfinite(request.distance) and request.distance >= 0):
            raise MessageError(f"distance: must be a finite number >= 0, got {request.distance}")
        return _fill(response, self._planner.plan_retreat(self._start(request.start), request.distance))


def _fill(
    response: PlanLift.Response | PlanHome.Response | PlanRetreat.Response, outcome: Outcome[JointTrajectory]
) -> Outcome[JointTrajectory]:
    if outcome.ok:
        response.trajectory = trajectory_to_msg(outcome.unwrap())
    return outcome


def main() -> None:
    raise SystemExit(run("motion_planner", MotionPlannerApp))


if __name__ == "__main__":
    main()
