"""What the pipeline's nodes listen to, asked of the running node graph: driver and cell level only, never the simulator."""

from __future__ import annotations

import pytest

pytest.importorskip("pickcell_interfaces.msg", reason="needs the built workspace")

import re

from pickcell_interfaces.srv import ObserveScene
from ros_processes import CELL_FILE, ROOT, NodeProcess, free_domain, spinning_node, start_robot_state, wait_until

from pickcell.cell import load_cell

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(180)]

CELL = load_cell(CELL_FILE)
PIPELINE = {
    "scene": ("pickcell_perception", "scene"),
    "grasp_selector": ("pickcell_grasping", "grasp_selector"),
    "motion_planner": ("pickcell_motion", "motion_planner"),
    "pick_task": ("pickcell_task", "pick_task"),
}
NODES = {"scene", "scene_input", "grasp_selector", "motion_planner", "pick_task", "robot_state"}
CAMERA = "|".join(camera.name for camera in CELL.cameras)
DRIVER_TOPICS = (
    r"/joint_states",
    r"/tf",
    r"/tf_static",
    r"/robot_description",
    r"/clock",
    r"/diagnostics",
    r"/wrist_wrench",
    r"/vacuum/pressure",
    r"/estop",
    r"/protective_stop",
    rf"/({CAMERA})/(color/image_raw|depth/image_rect_raw|(color|depth)/camera_info)",
    r"/(arm_controller/follow_joint_trajectory|gripper_controller/gripper_cmd)/_action/(feedback|status)",
)
CELL_TOPICS = (
    r"/(scene|grasp_selector|motion_planner)/heartbeat",
    r"/scene/(instances|tracks)",
    r"/grasp/(candidates|outcomes)",
    r"/pick/state",
    r"/stats",
    r"/alerts",
)
ROS_TOPICS = (r"/parameter_events",)
DRIVER_SERVICES = (
    r"/vacuum/set",
    r"/(arm_controller/follow_joint_trajectory|gripper_controller/gripper_cmd)/_action/(send_goal|cancel_goal|get_result)",
)
CELL_SERVICES = (
    r"/scene/(observe|watch)",
    r"/grasp_selector/select",
    r"/motion_planner/plan_(approach|lift|place|home|retreat)",
)


def allowed(name: str, *groups: tuple[str, ...]) -> bool:
    return any(re.fullmatch(pattern, name) for group in groups for pattern in group)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A node that sees the real pipeline nodes, and the nodes' processes."""
    folder, domain = tmp_path_factory.mktemp("pipeline"), free_domain()
    started = [start_robot_state(domain)]
    for name, (package, executable) in PIPELINE.items():
        values: dict[str, object] = {"cell": CELL_FILE, "use_sim_time": True}
        if name == "pick_task":
            values |= {"ledger_file": folder / "ledger.sqlite", "report_directory": folder / "reports"}
        started.append(NodeProcess(package, executable, domain, values, (ROOT / f"config/{name}.param.yaml",)))
    try:
        with spinning_node(domain, "listener", sim_time=False) as node:
            wait_until(lambda: set(node.get_node_names()) >= NODES, 120.0, "all nodes are there")
            # The camera topics are joined with the first request: ask for one.
            client = node.create_client(ObserveScene, "/scene/observe")
            wait_until(client.service_is_ready, 10.0, "scene offers its service")
            client.call_async(ObserveScene.Request())
            images = [f"/{c.name}/{kind}" for c in CELL.cameras for kind in ("color/image_raw", "depth/image_rect_raw")]
            wait_until(lambda: all(map(node.count_subscribers, images)), 10.0, "scene listens to all cameras")
            wait_until(
                lambda: all(node.get_subscriber_names_and_types_by_node(name, "/") for name in NODES),
                30.0,
                "the graph knows what all nodes listen to",
            )
            yield node
    finally:
        for process in started:
            process.stop()


def test_only_driver_and_cell_level_topics_are_subscribed(graph):
    for name in sorted(NODES):
        topics = [topic for topic, _ in graph.get_subscriber_names_and_types_by_node(name, "/")]
        assert topics, f"{name} has no subscription at all: the graph is incomplete"
        wrong = [topic for topic in topics if not allowed(topic, DRIVER_TOPICS, CELL_TOPICS, ROS_TOPICS)]
        assert not wrong, f"{name} subscribes to {wrong}"


def test_only_driver_and_cell_level_services_are_called(graph):
    for name in sorted(NODES):
        services = [service for service, _ in graph.get_client_names_and_types_by_node(name, "/")]
        wrong = [service for service in services if not allowed(service, DRIVER_SERVICES, CELL_SERVICES)]
        assert not wrong, f"{name} calls {wrong}"


def test_nothing_of_the_simulator_is_named_in_the_pipelines_code():
    """Ground truth is also out of reach by import: only the bridge and the scorer may know the simulator."""
    for package, _ in PIPELINE.values():
        for path in (ROOT / "ros2_ws/src" / package / package).glob("*.py"):
            text = path.read_text()
            assert "pickcell_sim" not in text and "/sim" not in text and "pybullet" not in text, path
