"""The real stage nodes on the simulator's drivers: a look, a choice, plans, and each camera fault as its typed outcome."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pickcell_interfaces.msg", reason="needs the built workspace")

from pickcell_interfaces.msg import GraspCandidates, Heartbeat, SceneInstances, SceneTracks
from pickcell_interfaces.srv import ObserveScene, PlanApproach, PlanHome, PlanRetreat, SelectGrasp, WatchScene
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_processes import (
    CELL_FILE,
    ROOT,
    NodeProcess,
    free_domain,
    spinning_node,
    start_robot_state,
    start_sim,
    wait_until,
)

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.segmentation.choose import SEGMENTERS
from pickcell.task.lying_free import alone
from pickcell.tracking import TrackState
from pickcell.values import JointState
from pickcell_conversions.drivers import joint_state_to_msg, seconds, trajectory_from_msg
from pickcell_conversions.grasps import decision_from_msg
from pickcell_conversions.motions import approach_from_msg
from pickcell_conversions.outcomes import manifest_to_msg
from pickcell_conversions.scenes import scene_from_msg, scene_to_msg, track_from_msg
from pickcell_node.heartbeat import heartbeat_qos

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(240)]

CELL = load_cell(CELL_FILE)
TOTE = "seed: 5\nitems: {box-013: 1, box-008: 1, card-011: 1}\n"
MANIFEST = {"box-013": 1, "box-008": 1, "card-011": 1}
ANSWER_S = 60.0


class Stages:
    """Calls of the stage services."""

    def __init__(self, node) -> None:
        self.node = node
        self._clients = {}
        self.instances: list[SceneInstances] = []
        self.candidates: list[GraspCandidates] = []
        self.heartbeats: dict[str, list[Heartbeat]] = {}
        latched = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(SceneInstances, "/scene/instances", self.instances.append, latched)
        node.create_subscription(GraspCandidates, "/grasp/candidates", self.candidates.append, latched)
        for name in ("scene", "grasp_selector", "motion_planner"):
            kept = self.heartbeats.setdefault(name, [])
            node.create_subscription(Heartbeat, f"/{name}/heartbeat", kept.append, heartbeat_qos())

    def call(self, service, name, **fields):
        client = self._clients.setdefault(name, self.node.create_client(service, name))
        wait_until(client.service_is_ready, ANSWER_S, f"somebody offers {name}")
        future = client.call_async(service.Request(**fields))
        wait_until(future.done, ANSWER_S, f"{name} answers")
        return future.result()

    def notes(self) -> dict[str, str]:
        """What the scene node says of each camera."""
        beats = self.heartbeats["scene"]
        return {rate.camera: rate.note for rate in beats[-1].cameras} if beats else {}

    def wait_cameras(self) -> None:
        wait_until(lambda: bool(self.notes()) and not any(self.notes().values()), ANSWER_S, "all cameras deliver")

    def observe(self, manifest=None, **fields):
        """A look with images taken from now on."""
        lines = manifest_to_msg(MANIFEST if manifest is None else manifest)
        now = self.node.get_clock().now().to_msg()
        return self.call(ObserveScene, "/scene/observe", manifest=lines, not_before=now, **fields)

    def set_faults(self, *faults):
        value = ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=list(faults))
        answer = self.call(
            SetParameters, "/sim/set_parameters", parameters=[ParameterMsg(name="camera_faults", value=value)]
        )
        assert answer.results[0].successful, answer.results[0].reason


def started(domain: int, folder: Path) -> list[NodeProcess]:
    tote = folder / "tote.yaml"
    tote.write_text(TOTE)
    processes = [start_sim(domain, tote_file=tote), start_robot_state(domain)]
    for package, name in (
        ("pickcell_perception", "scene"),
        ("pickcell_grasping", "grasp_selector"),
        ("pickcell_motion", "motion_planner"),
    ):
        values = {"cell": CELL_FILE, "use_sim_time": True}
        processes.append(NodeProcess(package, name, domain, values, (ROOT / f"config/{name}.param.yaml",)))
    return processes


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    domain = free_domain()
    processes = started(domain, tmp_path_factory.mktemp("stages"))
    try:
        with spinning_node(domain, "stages_test") as node:
            stages = Stages(node)
            stages.wait_cameras()
            yield stages
    finally:
        for process in processes:
            process.stop()


@pytest.fixture(scope="module")
def scene(stages):
    """A first look, and the answer it came in."""
    response = stages.observe(with_views=True)
    assert response.outcome.code == "ok", response.outcome.text
    return response.scene


def home() -> JointState:
    zero = np.zeros(len(CELL.arm.joints))
    return JointState(0.0, CELL.arm.joints, np.array(CELL.arm.home), zero, zero)


def test_a_look_sees_the_items_from_all_cameras(stages, scene):
    seen = scene_from_msg(scene)
    assert 2 <= len(seen.instances) <= 5, "three items lie in the tote"
    assert {view.camera.name for view in seen.views} == {camera.name for camera in CELL.cameras}
    assert all(health.used and health.age_s < 1.0 for health in seen.cameras), seen.cameras
    assert set(seen.heightmaps) == {"source", "destination", "aside"} and seen.timings_ms["fusion"] > 0
    wait_until(lambda: bool(stages.instances), 5.0, "scene/instances is published")
    said = stages.instances[-1]
    assert [i.id for i in said.instances] == [i.id for i in seen.instances] and said.outcome.code == "ok"


def test_a_choice_and_a_plan_on_what_was_seen(stages, scene):
    largest = max(scene.instances, key=lambda i: i.visible.width)
    chosen = stages.call(SelectGrasp, "/grasp_selector/select", scene=scene, instance_id=largest.id, sku="box-013")
    decision = decision_from_msg(chosen.decision)
    assert chosen.outcome.code == "ok" and decision.ranked and decision.explanation
    assert all(candidate.rejection for candidate in decision.rejected)
    wait_until(lambda: bool(stages.candidates), 5.0, "grasp/candidates is published")
    assert len(stages.candidates[-1].decision.rejected) == len(decision.rejected)
    start = joint_state_to_msg(home())
    planned = stages.call(
        PlanApproach, "/motion_planner/plan_approach", start=start, scene=scene, ranked=chosen.decision.ranked
    )
    assert planned.outcome.code == "ok", planned.outcome.text
    plan = approach_from_msg(planned.plan)
    assert plan.candidate.instance_id == largest.id
    np.testing.assert_allclose(plan.approach.positions[0], CELL.arm.home, atol=1e-6)
    np.testing.assert_allclose(plan.contact.positions[0], plan.approach.positions[-1], atol=1e-6)


def test_what_is_imagined_is_answered_and_not_shown(stages, scene):
    """The question before digging: could the item be taken if it lay free?"""
    product = load_catalogue().find("box-013").unwrap()
    lone = alone(product, scene_from_msg(scene).heightmaps["source"])
    shown = len(stages.candidates)
    answer = stages.call(
        SelectGrasp,
        "/grasp_selector/select",
        scene=scene_to_msg(lone, with_views=False),
        instance_id=lone.instances[0].id,
        sku="box-013",
    )
    assert answer.outcome.code == "ok" and answer.decision.ranked[0].quality > 0.5, answer.outcome.text
    again = stages.call(SelectGrasp, "/grasp_selector/select", scene=scene, instance_id=99, sku="box-013")
    assert again.outcome.code == "item_not_found"
    wait_until(lambda: len(stages.candidates) > shown, 5.0, "the next real choice is published")
    assert [c.outcome.code for c in stages.candidates[shown:]] == ["item_not_found"]


def test_an_instance_that_is_not_there(stages, scene):
    answer = stages.call(SelectGrasp, "/grasp_selector/select", scene=scene, instance_id=99, sku="box-013")
    assert answer.outcome.code == "item_not_found" and "99" in answer.outcome.text


def test_home_and_retreat_from_a_given_start(stages):
    start = joint_state_to_msg(home())
    retreat = stages.call(PlanRetreat, "/motion_planner/plan_retreat", start=start, distance=0.05)
    assert retreat.outcome.code == "ok"
    end = trajectory_from_msg(retreat.trajectory).positions[-1]
    back = JointState(0.0, CELL.arm.joints, end, np.zeros(len(end)), np.zeros(len(end)))
    answer = stages.call(PlanHome, "/motion_planner/plan_home", start=joint_state_to_msg(back))
    assert answer.outcome.code == "ok"
    np.testing.assert_allclose(trajectory_from_msg(answer.trajectory).positions[-1], CELL.arm.home, atol=1e-3)


def test_broken_requests_are_answered_and_leave_the_node_alive(stages):
    start = joint_state_to_msg(home())
    start.position[0] = float("nan")
    answer = stages.call(PlanRetreat, "/motion_planner/plan_retreat", start=start, distance=0.05)
    assert answer.outcome.code == "internal_error" and "finite" in answer.outcome.text
    start = joint_state_to_msg(home())
    answer = stages.call(PlanRetreat, "/motion_planner/plan_retreat", start=start, distance=float("nan"))
    assert answer.outcome.code == "internal_error" and "distance" in answer.outcome.text
    start.name[0] = "elbow"
    answer = stages.call(PlanHome, "/motion_planner/plan_home", start=start)
    assert answer.outcome.code == "internal_error" and CELL.arm.joints[0] in answer.outcome.text
    answer = stages.call(PlanApproach, "/motion_planner/plan_approach", start=joint_state_to_msg(home()))
    assert answer.outcome.code == "internal_error" and "ranked" in answer.outcome.text
    assert stages.observe({"box-013": -1}).outcome.code == "order_malformed"


@pytest.mark.parametrize(
    ("faults", "codes", "said"),
    [
        (["cam_left:silent"], ("camera_stale", "camera_missing"), "cam_left"),
        (["cam_right:stale"], ("camera_stale",), "cam_right"),
        ([f"{camera.name}:nan_depth" for camera in CELL.cameras], ("depth_invalid",), "cam_left"),
    ],
)
def test_camera_faults_are_typed_name_the_camera_and_pass(stages, scene, faults, codes, said):
    stages.set_faults(*faults)
    time.sleep(0.5)  # let what was taken before become older than the request
    answer = stages.observe()
    assert answer.outcome.code in codes and said in answer.outcome.text, answer.outcome
    wait_until(lambda: stages.instances[-1].outcome.code in codes, 5.0, "scene/instances tells the failure too")
    stages.set_faults()
    answer = stages.observe()
    assert answer.outcome.code == "ok", f"the fault is over: {answer.outcome.text}"


def test_a_silent_camera_shows_in_the_heartbeat(stages, scene):
    stages.wait_cameras()
    stages.set_faults("cam_top:silent")
    wait_until(lambda: "silent" in stages.notes()["cam_top"], 10.0, "cam_top is missed")
    assert not stages.notes()["cam_left"]
    stages.set_faults()
    stages.wait_cameras()


def test_items_are_followed_at_camera_rate_until_the_next_look(stages, scene):
    stages.wait_cameras()
    before, ids = (sorted(instance.id for instance in stages.observe().scene.instances) for _ in range(2))
    assert len(set(ids) & set(before)) >= len(MANIFEST), "ids stay, but for those of slivers that come and go"
    received = []
    qos = QoSProfile(depth=5)
    subscription = stages.node.create_subscription(SceneTracks, "/scene/tracks", received.append, qos)
    assert stages.call(WatchScene, "/scene/watch", follow=True, ids=[60001]).outcome.code == "item_not_found"
    assert stages.call(WatchScene, "/scene/watch", follow=True).outcome.code == "ok"
    wait_until(lambda: len(received) >= 5, ANSWER_S, "updates come")
    tracks = [track_from_msg(track) for track in received[-1].tracks]
    assert received[-1].outcome.code == "ok" and [track.id for track in tracks] == ids
    assert np.mean([track.state is TrackState.STILL for track in tracks]) > 0.7, "nothing moves"
    stamps = [seconds(msg.header.stamp) for msg in received]
    assert stamps == sorted(stamps) and stamps[-1] > stamps[0], "updates go with the images"
    assert [camera.used for camera in received[-1].cameras] == [True] * len(CELL.cameras)
    stages.set_faults(*(f"{camera.name}:silent" for camera in CELL.cameras))
    wait_until(lambda: received[-1].outcome.code.startswith("camera_"), ANSWER_S, "that no camera delivers is said")
    stages.set_faults()
    wait_until(lambda: received[-1].outcome.code == "ok", ANSWER_S, "it goes on")
    assert stages.observe().outcome.code == "ok"
    time.sleep(0.5)
    count = len(received)
    time.sleep(1.0)
    assert len(received) == count, "a look ends it"
    assert stages.call(WatchScene, "/scene/watch", follow=True, ids=ids[:1]).outcome.code == "ok"
    wait_until(lambda: len(received) > count, ANSWER_S, "updates come again")
    assert stages.call(WatchScene, "/scene/watch", follow=False).outcome.code == "ok"
    stages.node.destroy_subscription(subscription)


def test_heartbeats_come_five_times_a_second(stages, scene):
    counts = {name: len(beats) for name, beats in stages.heartbeats.items()}
    stages.observe()  # also while a node works
    boots = {name: {beat.boot_id for beat in beats} for name, beats in stages.heartbeats.items()}
    assert all(len(ids) == 1 for ids in boots.values())
    for name, beats in stages.heartbeats.items():
        wait_until(lambda b=beats, n=counts[name]: len(b) >= n + 5, 3.0, f"{name} beats")


@pytest.mark.parametrize("segmentation", SEGMENTERS)
def test_an_empty_tote_is_said_to_be_empty_and_still_seen(segmentation):
    domain = free_domain()
    processes = [start_sim(domain), start_robot_state(domain)]
    values = {"cell": CELL_FILE, "use_sim_time": True, "segmentation": segmentation, "completion": segmentation}
    processes.append(NodeProcess("pickcell_perception", "scene", domain, values, (ROOT / "config/scene.param.yaml",)))
    try:
        with spinning_node(domain, "empty_test") as node:
            stages = Stages(node)
            stages.wait_cameras()
            answer = stages.observe({"box-013": 1}, with_views=True)
            assert answer.outcome.code == "scene_empty", answer.outcome
            seen = scene_from_msg(answer.scene)
            assert not seen.instances and len(seen.views) == len(CELL.cameras)
    finally:
        for process in processes:
            process.stop()


def test_an_unknown_segmentation_ends_the_node_and_names_those_there_are():
    values = {"cell": CELL_FILE, "use_sim_time": True, "segmentation": "magic"}
    process = NodeProcess("pickcell_perception", "scene", free_domain(), values, (ROOT / "config/scene.param.yaml",))
    try:
        assert process.process.wait(30.0) == 2
        assert "magic" in process.output and all(name in process.output for name in SEGMENTERS)
    finally:
        process.stop()


@pytest.mark.parametrize(("package", "name"), [("pickcell_perception", "scene"), ("pickcell_task", "pick_task")])
def test_missing_parameters_end_a_node_with_code_2_and_their_names(package, name):
    process = NodeProcess(package, name, free_domain(), {"use_sim_time": True})
    try:
        assert process.process.wait(30.0) == 2
        assert "'cell'" in process.output and f"config/{name}.param.yaml" in process.output
    finally:
        process.stop()
