"""When a build is needed, of what, and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pickcell.setup import workspace
from pickcell.setup.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A workspace with a message package, a node package, a linked config folder and an underlay."""
    source = tmp_path / "ros2_ws/src"
    for name in ("msgs", "node", "underlay/tf2_msgs", "underlay/control_msgs"):
        (source / name).mkdir(parents=True)
        (source / name / "package.xml").write_text(f"<package><name>{Path(name).name}</name></package>")
    (source / "msgs/CMakeLists.txt").write_text("project(msgs)")
    (source / "msgs/msg").mkdir()
    (source / "msgs/msg/A.msg").write_text("int32 a")
    (source / "node/setup.py").write_text("setup()")
    (source / "node/node").mkdir()
    (source / "node/node/__init__.py").write_text("")
    (source / "node/node/main.py").write_text("x = 1")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/a.yaml").write_text("a: 1")
    (source / "node/config").symlink_to("../../../config")
    return Layout(tmp_path)


def _state(layout: Layout) -> workspace.State:
    return workspace.current_state(layout, [], "3.11.7")


def test_packages_are_found_by_their_manifest(layout: Layout) -> None:
    assert [p.name for p in workspace.find_packages(layout.workspace / "src")] == [
        "control_msgs",
        "msgs",
        "node",
        "tf2_msgs",
    ]
    (layout.workspace / "src/node/COLCON_IGNORE").touch()
    assert "node" not in [p.name for p in workspace.find_packages(layout.workspace / "src")]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("ros2_ws/src/node/node/main.py", "x = 2", []),  # linked: works at once
        ("config/a.yaml", "a: 2", []),  # linked
        ("ros2_ws/src/node/node/new.py", "", []),
        ("config/b.yaml", "", ["node"]),  # a new file must be linked
        ("ros2_ws/src/node/setup.py", "setup(1)", ["node"]),
        ("ros2_ws/src/node/package.xml", "<package><name>node</name> </package>", ["node"]),
        ("ros2_ws/src/msgs/msg/A.msg", "int64 a", ["msgs"]),
        ("ros2_ws/src/msgs/msg/B.msg", "int64 a", ["msgs"]),
        ("ros2_ws/src/msgs/CMakeLists.txt", "project(msgs2)", ["msgs"]),
        ("ros2_ws/src/msgs/__pycache__/x.json", "", []),
    ],
)
def test_only_what_a_build_reads_asks_for_one(layout: Layout, path: str, text: str, expected: list[str]) -> None:
    before = _state(layout)
    (layout.root / path).parent.mkdir(exist_ok=True)
    (layout.root / path).write_text(text)
    assert workspace.changed_packages(before, _state(layout)) == expected


def test_another_python_or_no_record_means_everything(layout: Layout) -> None:
    now = _state(layout)
    assert workspace.changed_packages(None, now) is None
    assert workspace.changed_packages(workspace.State("other", now.packages), now) is None


def test_the_record_survives_only_with_what_was_built(layout: Layout) -> None:
    state = _state(layout)
    workspace.mark_built(layout, state)
    assert workspace.built_state(layout) is None  # nothing is installed
    layout.install.mkdir()
    (layout.install / "setup.sh").write_text("")
    assert workspace.built_state(layout) == state
    (layout.workspace / "build" / workspace.STAMP).write_text("{half")
    assert workspace.built_state(layout) is None


def test_packages_that_a_plain_build_copied_are_linked_again(layout: Layout) -> None:
    state = _state(layout)
    workspace.mark_built(layout, state)
    copied = layout.install / "node/lib/python3.11/site-packages/node/__init__.py"
    copied.parent.mkdir(parents=True)
    copied.touch()
    (layout.install / "setup.sh").write_text("")
    (layout.workspace / "build/node").mkdir()
    (layout.workspace / "build/node/colcon_command_prefix_setup_py.sh").touch()
    assert workspace.changed_packages(workspace.built_state(layout), state) == ["node"]


def test_a_moved_build_is_removed_and_an_own_one_kept(layout: Layout) -> None:
    layout.install.mkdir()
    line = f"_colcon_prefix_chain_sh_COLCON_CURRENT_PREFIX={layout.install}\n"
    (layout.install / "setup.sh").write_text(line)
    workspace.forget_moved(layout)
    assert layout.install.exists()
    (layout.install / "setup.sh").write_text("_colcon_prefix_chain_sh_COLCON_CURRENT_PREFIX=/elsewhere/install\n")
    workspace.forget_moved(layout)
    assert not layout.install.exists()


def test_the_underlay_is_skipped_where_ros_has_it(layout: Layout, tmp_path: Path) -> None:
    def index(prefix: Path, name: str) -> str:
        marker = prefix / "share/ament_index/resource_index/packages" / name
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        return str(prefix)

    ros = index(tmp_path / "opt/ros", "tf2_msgs")
    own = index(layout.install / "control_msgs", "control_msgs")  # our own build of it does not count
    assert workspace.skipped_packages(layout, {"AMENT_PREFIX_PATH": f"{own}:{ros}"}) == ["tf2_msgs"]
    assert workspace.skipped_packages(layout, {}) == []
    command = workspace.build_command(layout, ["tf2_msgs"])
    assert command[command.index("--packages-skip") + 1] == "tf2_msgs"
    assert "-DBUILD_TESTING=OFF" in command


def test_what_depends_on_messages_is_built_with_them(layout: Layout) -> None:
    assert "--packages-above" in workspace.build_command(layout, [], ["msgs"])
    assert "--packages-select" in workspace.build_command(layout, [], ["node"])


def test_leftovers_of_removed_packages_go(layout: Layout) -> None:
    for name in ("gone", "msgs", "tf2_msgs"):
        (layout.install / name).mkdir(parents=True)
        (layout.workspace / "build" / name).mkdir(parents=True)
    assert workspace.forget_removed(layout, ["tf2_msgs"])
    assert os.listdir(layout.install) == ["msgs"]
    assert not workspace.forget_removed(layout, ["tf2_msgs"])


def test_a_builds_lines_become_one_state() -> None:
    view = workspace.ColconView()
    assert view("Starting >>> msgs") == "0 done, building msgs"
    assert view("Starting >>> node") == "0 done, building msgs, node"
    assert view("warning: whatever") is None
    assert view("Finished <<< msgs [1.2s]") == "1 done, building node"
    assert view("Failed   <<< node [1.2s, exited with code 1]") == "2 done, building nothing"
