"""The underlay's definitions are those of ROS 2 Jazzy: the same type hashes, so nodes on either copy talk to each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix

pytestmark = pytest.mark.nodes

# As generated from the released control_msgs 5 and geometry2 (REP 2011: a hash covers field names and types, not comments).
# ParallelGripperCommand's is the one of its released definition, computed here; it pins ours against accidental edits.
JAZZY = {
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "control_msgs/action/ParallelGripperCommand": "adfd3c1ebe8abc38ebcc0e454b6423d291d4010dd5697d14eca5b9be4726ae18",
    "control_msgs/action/FollowJointTrajectory": "738ebcb7a2d7cfa42f9f1001cc99ce3a4383d1cfe508015d9be8485e4b1c66f6",
    "control_msgs/action/FollowJointTrajectory_Goal": "8a9060704b269608f5a340934cc26e66869dd14bdac29e2e7fd9ec8b9882d205",
    "control_msgs/action/FollowJointTrajectory_Result": "8002e99ed2c14c6faa522f2a93c26d744c5982f254f9e98ff9c6f19789bdb220",
    "control_msgs/action/FollowJointTrajectory_Feedback": "3fd0aaecf71725121ae1ff7f01098a5e0da581e672be18a6b2c286cb43d96b49",
    "control_msgs/action/FollowJointTrajectory_SendGoal": "b13789dddc325a7a962825c45e28c77d37237ec129dd0c34dc5994562938c57f",
}


def hashes(interface: str) -> dict[str, str]:
    """All type hashes that the build recorded with an interface, without their version prefix."""
    package, kind, name = interface.split("/")
    file = Path(get_package_prefix(package)) / "share" / package / kind / f"{name.split('_')[0]}.json"
    return {
        entry["type_name"]: entry["hash_string"].removeprefix("RIHS01_")
        for entry in json.loads(file.read_text())["type_hashes"]
    }


@pytest.mark.parametrize("interface", JAZZY)
def test_type_hash_is_jazzys(interface: str) -> None:
    assert hashes(interface)[interface] == JAZZY[interface]
