"""Launch files are resolved as launch_ros would, and anything unsupported is refused with file and line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ros2_ws/src/pickcell_bringup"))
from pickcell_bringup.launch_runner import substitutions as subs
from pickcell_bringup.launch_runner.errors import LaunchFileError
from pickcell_bringup.launch_runner.node_spec import command
from pickcell_bringup.launch_runner.resolve import resolve


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An ament prefix with package ``demo`` that has two executables."""
    prefix = tmp_path / "prefix"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/demo").touch()
    (prefix / "share/demo/config").mkdir(parents=True)
    (prefix / "share/demo/config/talker.yaml").write_text("/**:\n  ros__parameters:\n    rate: 2.0\n")
    (prefix / "lib/demo").mkdir(parents=True)
    for name in ("talker", "listener"):
        path = prefix / "lib/demo" / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return {"AMENT_PREFIX_PATH": str(prefix), "HOME": "/home/x", "PATH": os.environ["PATH"]}


def _write(folder: Path, text: str, name: str = "top.launch.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


TREE_TOP = """\
launch:
- arg: {name: robot, default: "left", description: which arm}
- arg: {name: verbose, default: "false"}
- let: {name: topic, value: "/$(var robot)/chat"}
- set_env: {name: COLOUR, value: "$(env HOME)/x"}
- group:
  - push_ros_namespace: {namespace: cell}
  - set_env: {name: ONLY_HERE, value: "1"}
  - include:
      file: $(dirname)/inner.launch.yaml
      arg:
      - {name: rate, value: "3"}
- node:
    pkg: demo
    exec: listener
    name: ear
    if: $(var verbose)
- node:
    pkg: demo
    exec: listener
    unless: $(var verbose)
    output: screen
"""
TREE_INNER = """\
launch:
- arg: {name: rate, default: "1"}
- arg: {name: robot, default: "never"}
- push_ros_namespace: {namespace: $(var robot)}
- node:
    pkg: demo
    exec: talker
    name: mouth
    namespace: face
    args: --file "a b" $(var robot)/c last
    param:
    - from: $(find-pkg-share demo)/config/talker.yaml
    - {name: rate, value: $(var rate)}
    - {name: plain, value: "3"}
    - name: nested
      param:
      - {name: flag, value: true}
      - {name: list, value: [1, 2]}
    - {name: list, value: ["$(var rate)", "4"]}
    remap:
    - {from: chat, to: $(var topic)}
    env:
    - {name: EXTRA, value: $(eval '1 + $(var rate)')}
    respawn: true
    respawn_delay: 2.5
"""


def test_a_tree_resolves_as_launch_ros_does(tmp_path: Path, env: dict[str, str]) -> None:
    _write(tmp_path, TREE_INNER, "inner.launch.yaml")
    result = resolve(_write(tmp_path, TREE_TOP), {}, env)
    talker, listener = result.nodes
    assert talker.full_name == "/cell/left/face/mouth"  # pushed, pushed in the include, own
    assert talker.arguments == ("--file", "a b", "left/c", "last")
    assert talker.parameters[0] == Path(env["AMENT_PREFIX_PATH"]) / "share/demo/config/talker.yaml"
    assert talker.parameters[1:] == (
        {"rate": 3},  # substituted: read as YAML afterwards
        {"plain": "3"},  # literal text stays text
        {"nested": {"flag": True, "list": [1, 2]}},
        {"list": [3, 4]},
    )
    assert talker.remaps == (("chat", "/left/chat"),)
    assert (talker.respawn, talker.respawn_delay_s) == (True, 2.5)
    assert talker.environment["EXTRA"] == "4"
    assert talker.environment["COLOUR"] == "/home/x/x"
    assert talker.environment["ONLY_HERE"] == "1"
    assert listener.full_name is None and listener.namespace is None  # the group's namespace ended with the group
    assert "ONLY_HERE" not in listener.environment
    assert listener.on_screen and not talker.on_screen
    assert [a.name for a in result.arguments] == ["robot", "verbose", "rate", "robot"]


def test_conditions_and_values_from_the_command_line(tmp_path: Path, env: dict[str, str]) -> None:
    _write(tmp_path, TREE_INNER, "inner.launch.yaml")
    nodes = resolve(_write(tmp_path, TREE_TOP), {"verbose": "True", "robot": "right"}, env).nodes
    assert [n.full_name for n in nodes] == ["/cell/right/face/mouth", "/ear"]


def test_an_include_shares_variables_and_a_group_restores_them(tmp_path: Path, env: dict[str, str]) -> None:
    _write(tmp_path, 'launch:\n- let: {name: seen, value: "inside"}\n', "inner.launch.yaml")
    node = "- node: {pkg: demo, exec: talker, name: $(var seen before)}\n"
    include = "include: {file: $(dirname)/inner.launch.yaml}\n"
    shared = resolve(_write(tmp_path, f"launch:\n- {include}{node}"), {}, env)
    grouped = resolve(_write(tmp_path, f"launch:\n- group:\n  - {include}{node}"), {}, env)
    assert shared.nodes[0].name == "inside"
    assert grouped.nodes[0].name == "before"


def test_command_line_and_parameter_files(tmp_path: Path, env: dict[str, str]) -> None:
    _write(tmp_path, TREE_INNER, "inner.launch.yaml")
    talker, listener = resolve(_write(tmp_path, TREE_TOP), {}, env).nodes
    line = command(talker, tmp_path / "p")
    program = f"{env['AMENT_PREFIX_PATH']}/lib/demo/talker"
    start = [program, "--file", "a b", "left/c", "last", "--ros-args", "-r", "__node:=mouth", "-r", "__ns:=/cell/left/face"]
    assert line[: len(start)] == start
    files = [line[i + 1] for i, word in enumerate(line) if word == "--params-file"]
    assert len(files) == 5 and files[0].endswith("talker.yaml")
    assert yaml.safe_load(Path(files[3]).read_text()) == {
        "/cell/left/face/mouth": {"ros__parameters": {"nested": {"flag": True, "list": [1, 2]}}}
    }
    assert line[-2:] == ["-r", "chat:=/left/chat"]
    assert command(listener, tmp_path / "p")[1:] == ["--ros-args"]


def test_parameters_of_an_unnamed_node_are_for_any_node(tmp_path: Path, env: dict[str, str]) -> None:
    text = "launch:\n- node: {pkg: demo, exec: talker, param: [{name: a, value: 1}]}\n"
    spec = resolve(_write(tmp_path, text), {}, env).nodes[0]
    path = Path(command(spec, tmp_path / "p")[-1])
    assert yaml.safe_load(path.read_text()) == {"/**": {"ros__parameters": {"a": 1}}}


BAD = [
    ("launch:\n- timer: {period: 1.0}\n", 2, "action 'timer' is not supported"),
    ("launch:\n- node:\n    pkg: demo\n    exec: talker\n    launch-prefix: gdb\n", 5, "'launch-prefix' of node"),
    ("launch:\n- node:\n    exec: talker\n", 3, "node needs 'pkg'"),
    ("launch:\n- node: {pkg: demo, exec: singer}\n", 2, "it has: listener, talker"),
    ("launch:\n- node: {pkg: nothere, exec: singer}\n", 2, "package 'nothere' is not installed"),
    ("launch:\n\n- arg:\n    name: a\n    default: 1\n", 5, "put it in quotes"),
    ("launch:\n- arg: {name: a}\n", 2, "has no default: give a:=<value>"),
    ('launch:\n- arg: {name: a, default: "3", choice: [{value: "1"}, {value: "2"}]}\n', 2, "not one of: 1, 2"),
    ("launch:\n- let: {name: a, value: $(command ls)}\n", 2, "$(command) is not supported"),
    ("launch:\n- let: {name: a, value: $(var missing)}\n", 2, "launch argument 'missing' is not set"),
    ("launch:\n- let: {name: a, value: $(env MISSING_ONE)}\n", 2, "environment variable 'MISSING_ONE'"),
    ("launch:\n- let: {name: a, value: $(dirname}\n", 2, "is not closed"),
    ("launch:\n- let: {name: a, value: \"$(eval '__import__(1)')\"}\n", 2, "is not supported; only literals"),
    ("launch:\n- let: {name: a, value: x, if: maybe}\n", 2, "a condition must be true, false"),
    ("launch:\n- let: {name: a, value: x, if: true}\n", 2, "put it in quotes"),
    ("launch:\n- include: {file: $(dirname)/none.launch.yaml}\n", 2, "there is no file"),
    ("launch:\n- include: {file: $(dirname)/none.launch.py}\n", 2, "only YAML launch files"),
    ("launch:\n- include: {file: $(dirname)/top.launch.yaml}\n", 2, "include itself"),
    ("launch:\n- node: {pkg: demo, exec: talker, respawn_delay: 2}\n", 2, "such as 2.0"),
    ("launch:\n- node: {pkg: demo, exec: talker, output: own_log}\n", 2, "use one of: screen, log, both"),
    ("launch:\n- node: {pkg: demo, exec: talker, param: [{from: /none.yaml}]}\n", 2, "no parameter file"),
    ("launch:\n- node: {pkg: demo, exec: talker, param: [{name: a, value: [1, x]}]}\n", 2, "one type"),
    ("launch:\n- node: {pkg: demo, exec: talker, param: [{name: a}]}\n", 2, "either 'value' or nested"),
    ("launch:\n- node: {pkg: demo, pkg: demo, exec: talker}\n", 2, "appears twice"),
    ("launch:\n- let: {name: a, value: x\n- arg:\n", 3, "is not YAML"),
    ("nodes: []\n", 1, "'nodes' of the file is not supported"),
    ("", 1, "is empty"),
    ("launch: 3\n", 1, "a list is expected"),
]


@pytest.mark.parametrize(("text", "line", "part"), BAD, ids=[b[2][:30] for b in BAD])
def test_what_is_not_supported_names_file_and_line(
    tmp_path: Path, env: dict[str, str], text: str, line: int, part: str
) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(LaunchFileError) as caught:
        resolve(path, {}, env)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert part in str(caught.value)


def test_an_unknown_command_line_argument_lists_the_known_ones(tmp_path: Path, env: dict[str, str]) -> None:
    path = _write(tmp_path, 'launch:\n- arg: {name: seed, default: "0"}\n')
    with pytest.raises(LaunchFileError, match="no argument 'sed'; it takes: seed"):
        resolve(path, {"sed": "1"}, env)


def test_arguments_can_be_listed_without_their_required_values(tmp_path: Path, env: dict[str, str]) -> None:
    path = _write(tmp_path, "launch:\n- arg: {name: tote, description: the tote file}\n")
    assert resolve(path, {}, env, strict=False).arguments[0].default is None


SCOPE = subs.Scope({"a": "1", "t": "true"}, {"H": "home"}, Path("/d"), lambda p: Path("/share") / p)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$(var a)$(var a)", "11"),
        ("x$(var none deflt)y", "xdeflty"),
        ("$(var none 'two words')", "two words"),
        ("$(env H)/$(find-pkg-share p)", "home//share/p"),
        ("$(dirname)/f", "/d/f"),
        (r"\$(var a)", "$(var a)"),
        ("cost: 5$", "cost: 5$"),
        ("$(eval '$(var a) + 2 * 3')", "7"),
        ('$(eval \'"$(var t)" == "true" and 2 > 1\')', "True"),
        ("$(eval \"'x' if $(var a) < 1 else 'y'\")", "y"),
        ("$(eval 'not 3 in [1, 2]')", "True"),
        ("$(eval '-7 // 2 % 3')", "2"),
    ],
)
def test_substitutions(text: str, expected: str) -> None:
    assert subs.expand(text, SCOPE) == expected


@pytest.mark.parametrize(
    "text", ["$(eval '1 +')", "$(eval '1 / 0')", "$(eval 'open(\"x\")')", "$(eval)", "$(dirname x)", "$( )"]
)
def test_bad_substitutions_are_refused(text: str) -> None:
    with pytest.raises(subs.SubstitutionError):
        subs.expand(text, SCOPE)
