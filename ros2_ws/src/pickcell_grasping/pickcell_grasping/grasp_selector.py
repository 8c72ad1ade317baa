"""Node ``grasp_selector``: ranks the grasps on one instance. Service ``~/select``, topic ``grasp/candidates``."""

from __future__ import annotations

from dataclasses import dataclass

from pickcell_interfaces.msg import GraspCandidates
from pickcell_interfaces.srv import SelectGrasp
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.grasping.config import GraspConfig
from pickcell.grasping.selector import GraspSelector
from pickcell.outcome import Outcome
from pickcell.values import BASE_FRAME, GraspDecision, Tool
from pickcell_conversions.drivers import time_msg
from pickcell_conversions.grasps import decision_to_msg
from pickcell_conversions.outcomes import outcome_to_msg
from pickcell_conversions.scenes import scene_from_msg
from pickcell_node.heartbeat import HeartbeatPublisher
from pickcell_node.main import run
from pickcell_node.parameters import read_parameters
from pickcell_node.serve import serve

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class GraspSelectorParameters:
    """See config/grasp_selector.param.yaml."""

    cell: str
    catalogue: str
    tools: str

    def __post_init__(self) -> None:
        known = [tool.value for tool in Tool]
        wrong = [name for name in self.tools.split() if name not in known]
        if wrong or not self.tools.split():
            raise ValueError(f"tools: '{self.tools}' is not a list of {known}")

    @property
    def grasps(self) -> GraspConfig:
        return GraspConfig(tools=tuple(Tool(name) for name in self.tools.split()))


class GraspSelectorApp:
    def __init__(self) -> None:
        self.node = Node("grasp_selector")
        parameters = read_parameters(self.node, GraspSelectorParameters)
        catalogue = load_catalogue(parameters.catalogue) if parameters.catalogue else load_catalogue()
        self._selector = GraspSelector(load_cell(parameters.cell), catalogue, parameters.grasps)
        self._candidates = self.node.create_publisher(GraspCandidates, "grasp/candidates", LATCHED)
        self._heartbeat = HeartbeatPublisher(self.node)
        serve(self.node, self._heartbeat, SelectGrasp, "~/select", self.select)

    def close(self) -> None:
        self._heartbeat.close()

    def select(self, request: SelectGrasp.Request, response: SelectGrasp.Response) -> Outcome[GraspDecision]:
        """Fill ``response.decision``; a failure keeps the rejected candidates when the selector names them."""
        scene = scene_from_msg(request.scene)
        outcome = self._selector.select(scene, int(request.instance_id), request.sku)
        if outcome.value is not None:
            response.decision = decision_to_msg(outcome.value)
        msg = GraspCandidates(
            sku=request.sku,
            instance_id=request.instance_id,
            outcome=outcome_to_msg(outcome),
            decision=response.decision,
        )
        msg.header.stamp = time_msg(scene.stamp_s)
        msg.header.frame_id = BASE_FRAME
        self._candidates.publish(msg)
        return outcome


def main() -> None:
    raise SystemExit(run("grasp_selector", GraspSelectorApp))


if __name__ == "__main__":
    main()
