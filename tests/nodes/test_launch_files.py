"""The launch files as the runner resolves them: nodes listed once, hardware without simulator, includes only at the top."""

from __future__ import annotations

import os
from collections import Counter

import pytest
import yaml
from ros_processes import ROOT

from pickcell_bringup.launch_runner.resolve import resolve

pytestmark = pytest.mark.nodes

LAUNCH = ROOT / "launch"


def nodes(name: str, **variables: str):
    return resolve(LAUNCH / name, variables, os.environ).nodes


def executables(name: str, **variables: str) -> list[str]:
    return [node.executable.name for node in nodes(name, **variables)]


def test_the_whole_cell_starts_each_node_once() -> None:
    assert Counter(executables("pick.launch.yaml")) == Counter(
        ["sim", "robot_state", "scene", "grasp_selector", "motion_planner", "pick_task"]
    )


def test_hardware_is_the_same_without_the_simulator() -> None:
    simulated, real = executables("pick.launch.yaml"), executables("hardware.launch.yaml")
    assert [name for name in simulated if name != "sim"] == real


def test_each_node_is_listed_in_one_file_and_the_top_file_only_includes() -> None:
    listed = Counter()
    for path in LAUNCH.glob("*.launch.yaml"):
        actions = yaml.safe_load(path.read_text())["launch"]
        listed.update(action["node"]["exec"] for action in actions if "node" in action)
        if path.name in ("pick.launch.yaml", "hardware.launch.yaml"):
            assert all(set(action) <= {"arg", "include"} for action in actions), path.name
    assert set(listed.values()) == {1}, listed


@pytest.mark.parametrize(("file", "sim_time"), [("pick.launch.yaml", True), ("hardware.launch.yaml", False)])
def test_pipeline_nodes_share_one_time(file, sim_time) -> None:
    for node in nodes(file):
        if node.executable.name not in ("sim", "robot_state"):
            assert f"'use_sim_time': {sim_time}" in str(node), node.executable.name


def test_every_process_gets_the_large_shared_memory_segment() -> None:
    for node in nodes("pick.launch.yaml"):
        assert node.environment["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("config/fastdds_shm16.xml")


def test_a_second_arm_is_a_word_on_the_command_line() -> None:
    for node in nodes("pick.launch.yaml", cell="iiwa"):
        assert "config/cells/iiwa.yaml" in str(node), node.executable.name
