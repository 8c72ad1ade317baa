"""The environment of the cell's processes, and the choice between a sourced ROS and the wheels."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickcell.setup import wheel_patch
from pickcell.setup.environment import changed_variables, export_lines, process_environment
from pickcell.setup.layout import Layout, find_root
from pickcell.setup.ros_source import RosSource, choose_ros

WHEELS = RosSource("wheels", "test")
SYSTEM = RosSource("system", "test", "/usr/bin/python3")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    (tmp_path / ".venv/lib/python3.11/site-packages/ros_rcl.libs").mkdir(parents=True)
    (tmp_path / ".venv/lib/python3.11/site-packages/ros_fastrtps.libs").mkdir()
    (tmp_path / ".venv/lib/python3.11/site-packages/other.libs").mkdir()
    return made


def _install(layout: Layout, name: str, lines: str, hooks: dict[str, str]) -> Path:
    """A package as colcon installs it."""
    prefix = layout.install / name
    share = prefix / "share" / name
    (share / "hook").mkdir(parents=True)
    (share / "package.dsv").write_text(lines)
    for hook, text in hooks.items():
        (share / "hook" / hook).write_text(text)
    return prefix


def test_with_wheels_the_prefix_libraries_and_middleware_are_set(layout: Layout) -> None:
    env = process_environment(layout, {"PATH": "/bin", "LD_LIBRARY_PATH": "/opt/lib"}, WHEELS)
    site = layout.venv / "lib/python3.11/site-packages"
    libraries = env["LD_LIBRARY_PATH"].split(":")
    assert libraries == [f"{layout.venv}/lib", f"{site}/ros_fastrtps.libs", f"{site}/ros_rcl.libs", "/opt/lib"]
    assert env["AMENT_PREFIX_PATH"] == env["CMAKE_PREFIX_PATH"] == str(layout.venv)
    assert env["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] == "1"
    assert env["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"
    assert env["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert env["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(layout.root / "config/fastdds_shm16.xml")
    assert env["PATH"].split(":") == [f"{layout.venv}/bin", "/bin"]
    assert env["PYTHONPATH"].split(":") == [f"{layout.root}/src", f"{layout.root}/sim"]


def test_with_a_sourced_ros_its_own_paths_stay_and_no_wheel_is_added(layout: Layout) -> None:
    base = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy", "LD_LIBRARY_PATH": "/opt/ros/jazzy/lib", "ROS_DISTRO": "jazzy"}
    env = process_environment(layout, base, SYSTEM)
    assert env["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"
    assert env["LD_LIBRARY_PATH"] == "/opt/ros/jazzy/lib"
    assert "_ROS_WHEELS_BOOTSTRAP_COMPLETE" not in env


def test_what_the_user_chose_for_the_network_is_kept(layout: Layout) -> None:
    chosen = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    env = process_environment(layout, chosen, WHEELS)
    assert {k: env[k] for k in chosen} == chosen


def test_the_workspace_is_added_as_colcon_describes_it(layout: Layout) -> None:
    prefix = _install(
        layout,
        "demo",
        "source;share/demo/hook/pythonpath.dsv\nsource;share/demo/hook/pythonpath.ps1\nsource;share/demo/hook/more.sh\n",
        {
            "pythonpath.dsv": "prepend-non-duplicate;PYTHONPATH;lib/python3.11/site-packages",
            "more.dsv": "prepend-non-duplicate-if-exists;LD_LIBRARY_PATH;lib\nprepend-non-duplicate-if-exists;PATH;bin\n"
            "set-if-unset;DEMO;x\nset;DEMO_SHARE;share/demo\n",
        },
    )
    (prefix / "lib").mkdir()
    env = process_environment(layout, {"DEMO": "mine"}, WHEELS)
    assert env["AMENT_PREFIX_PATH"].split(":") == [str(prefix), str(layout.venv)]
    assert f"{prefix}/lib/python3.11/site-packages" in env["PYTHONPATH"].split(":")
    assert env["PYTHONPATH"].startswith(f"{layout.root}/src:")  # the checkout wins over any copy
    assert env["LD_LIBRARY_PATH"].startswith(f"{prefix}/lib:")
    assert (env["DEMO"], env["DEMO_SHARE"]) == ("mine", f"{prefix}/share/demo")
    assert f"{prefix}/bin" not in env["PATH"]


def test_applying_it_twice_changes_nothing(layout: Layout) -> None:
    _install(layout, "demo", "source;share/demo/hook/p.dsv\n", {"p.dsv": "prepend-non-duplicate;PYTHONPATH;lib/python"})
    once = process_environment(layout, {"PATH": "/bin", "HOME": "/h"})
    assert process_environment(layout, once) == once
    assert changed_variables(layout, once) == {}
    assert "HOME" not in changed_variables(layout, {"HOME": "/h"})


def test_export_lines_survive_a_shell() -> None:
    assert export_lines({"A": "x y'z", "B": ""}) == "export A='x y'\"'\"'z'\nexport B=''"


# -- which ROS ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sourced(tmp_path: Path) -> dict[str, str]:
    marker = tmp_path / "jazzy/share/ament_index/resource_index/packages/rclpy"
    marker.parent.mkdir(parents=True)
    marker.touch()
    return {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": f"/nowhere:{tmp_path}/jazzy", "PATH": "/usr/bin"}


def test_a_sourced_jazzy_is_used(sourced: dict[str, str]) -> None:
    asked: list[str] = []
    source = choose_ros(sourced, lambda python, _: bool(asked.append(python)) or True, "/usr/bin/python3")
    assert source.is_system and source.python == "/usr/bin/python3" and asked == ["/usr/bin/python3"]


def test_a_virtual_environment_is_not_taken_for_the_systems_python(sourced: dict[str, str], tmp_path: Path) -> None:
    for folder in ("venv/bin", "usr/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "python3").write_text("#!/bin/sh\n")
        (tmp_path / folder / "python3").chmod(0o755)
    (tmp_path / "venv/pyvenv.cfg").touch()
    source = choose_ros({**sourced, "PATH": f"{tmp_path}/venv/bin:{tmp_path}/usr/bin"}, lambda *_: True)
    assert source.python == f"{tmp_path}/usr/bin/python3"


@pytest.mark.parametrize(
    ("change", "importable", "why"),
    [
        ({"ROS_DISTRO": ""}, True, "no ROS installation"),
        ({"ROS_DISTRO": "humble"}, True, "humble"),
        ({"AMENT_PREFIX_PATH": "/nowhere"}, True, "no rclpy"),
        ({"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}, True, "no ROS installation"),
        ({}, False, "cannot import"),
    ],
)
def test_anything_less_than_a_working_jazzy_means_wheels(
    sourced: dict[str, str], change: dict[str, str], importable: bool, why: str
) -> None:
    source = choose_ros({**sourced, **change}, lambda *_: importable, "/usr/bin/python3")
    assert source.kind == "wheels" and why in source.why


# -- the wheels' CMake files --------------------------------------------------------------------------------------

BEFORE = 'set(x "/opt/python/cp311-cp311/include/python3.11;/opt/python/cp311-cp311/lib/site-packages/numpy/_core/include")'


def test_build_machine_includes_are_replaced_once(tmp_path: Path) -> None:
    after = wheel_patch.patch_text(BEFORE, "/py/include", "/np/include")
    assert after == 'set(x "/py/include;/np/include")'
    folder = tmp_path / "share/demo/cmake"
    folder.mkdir(parents=True)
    (folder / "demoExport.cmake").write_text(BEFORE)
    (folder / "other.cmake").write_text("nothing")
    assert [p.name for p in wheel_patch.unpatched(tmp_path)] == ["demoExport.cmake"]
    assert wheel_patch.apply_patch(tmp_path, Path(sys.executable)) == 1
    assert wheel_patch.apply_patch(tmp_path, Path(sys.executable)) == 0
    text = (folder / "demoExport.cmake").read_text()
    assert "/opt/python/" not in text and "numpy" in text


REPLACED = {
    "/opt/python/cp311-cp311/include/python3.11": "/a",
    "/opt/python/x/lib/numpy/core/include": "/b",
    "/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include": "/b",
    "/usr/include": "/usr/include",
    "$<BUILD>": "$<BUILD>",
    "": "",
}


@given(st.lists(st.sampled_from(sorted(REPLACED)), max_size=12), st.sampled_from(';" \n'))
def test_the_patch_replaces_each_entry_and_only_those(entries: list[str], separator: str) -> None:
    once = wheel_patch.patch_text(separator.join(entries), "/a", "/b")
    assert once == separator.join(REPLACED[e] for e in entries)
    assert wheel_patch.patch_text(once, "/a", "/b") == once


def test_the_root_is_found_from_inside_and_missed_outside(tmp_path: Path) -> None:
    root = find_root()
    assert (root / "cell").is_file() and os.access(root / "cell", os.X_OK)
    with pytest.raises(FileNotFoundError, match="no pickcell checkout"):
        find_root(tmp_path)
