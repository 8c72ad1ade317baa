"""Node ``grasp_selector``: ranks the grasps on one instance. Service ``~/select``, topic ``grasp/candidates``;
learns from ``grasp/outcomes``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pickcell_interfaces.msg import GraspCandidates, GraspOutcome
from pickcell_interfaces.srv import SelectGrasp
from rclpy.node import Node

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.grasping.config import GraspConfig
from pickcell.grasping.selector import GraspSelector
from pickcell.outcome import Code, Outcome
from pickcell.values import BASE_FRAME, GraspDecision, Tool
from pickcell_conversions.drivers import MessageError, time_msg
from pickcell_conversions.grasps import candidate_from_msg, decision_to_msg
from pickcell_conversions.outcomes import outcome_to_msg
from pickcell_conversions.scenes import scene_from_msg
from pickcell_node.files import below_root
from pickcell_node.heartbeat import HeartbeatPublisher
from pickcell_node.main import run
from pickcell_node.parameters import read_parameters
from pickcell_node.qos import LATCHED
from pickcell_node.serve import serve

SCORES = ("learned", "analytic")


@dataclass(frozen=True)
class GraspSelectorParameters:
    """See config/grasp_selector.param.yaml."""

    cell: str
    catalogue: str
    tools: str
    score: str
    experience: str

    def __post_init__(self) -> None:
        known = [tool.value for tool in Tool]
        wrong = [name for name in self.tools.split() if name not in known]
        if wrong or not self.tools.split():
            raise ValueError(f"tools: '{self.tools}' is not a list of {known}")
        if self.score not in SCORES:
            raise ValueError(f"score: '{self.score}' is none of {list(SCORES)}")

    @property
    def grasps(self) -> GraspConfig:
        return GraspConfig(
            tools=tuple(Tool(name) for name in self.tools.split()),
            score="learned" if self.score == "learned" else "analytic",
            experience=self.experience != "off",
        )

    @property
    def remember(self) -> Path | None:
        """File of what picks teach; None: it is forgotten with the node."""
        return below_root(self.experience) if self.experience not in ("", "off") else None


class GraspSelectorApp:
    def __init__(self) -> None:
        self.node = Node("grasp_selector")
        parameters = read_parameters(self.node, GraspSelectorParameters)
        catalogue = load_catalogue(parameters.catalogue) if parameters.catalogue else load_catalogue()
        self._selector = GraspSelector(load_cell(parameters.cell), catalogue, parameters.grasps, parameters.remember)
        self._candidates = self.node.create_publisher(GraspCandidates, "grasp/candidates", LATCHED)
        self._heartbeat = HeartbeatPublisher(self.node)
        self.node.create_subscription(GraspOutcome, "grasp/outcomes", self.learn, 50)
        serve(self.node, self._heartbeat, SelectGrasp, "~/select", self.select)

    def close(self) -> None:
        self._heartbeat.close()
        self._selector.close()

    def learn(self, msg: GraspOutcome) -> None:
        """What came of a grasp; a message that makes no sense is logged and passed over."""
        try:
            self._selector.learn(candidate_from_msg(msg.candidate), msg.sku, Code(msg.code))
        except (MessageError, ValueError) as error:
            self.node.get_logger().error(f"grasp/outcomes: {error}")

    def select(self, request: SelectGrasp.Request, response: SelectGrasp.Response) -> Outcome[GraspDecision]:
        """Fill ``response.decision``; a failure keeps the rejected candidates when the selector names them."""
        scene = scene_from_msg(request.scene)
        outcome = self._selector.select(scene, int(request.instance_id), request.sku)
        if outcome.value is not None:
            response.decision = decision_to_msg(outcome.value)
        if scene.imagined:
            return outcome  # nobody is to be shown a grasp on what is not there
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
