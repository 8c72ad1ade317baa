"""Who may import whom: the rules that keep the parts exchangeable, checked on every module of the project.

1. The core library imports no ROS, no simulator, no message package; torch and viser only inside functions.
2. The simulator imports the core, never ROS.
3. A node package imports the core, the interfaces and library packages (those without programs), never another node
   package.
4. Inside the core: geometry, values, outcome <- stages <- task <- view. A stage may use a stage before it, never the task;
   nothing knows the view.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pybullet
import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "src/pickcell"
SIM = ROOT / "sim/pickcell_sim"
WORKSPACE = ROOT / "ros2_ws/src"

ROS = re.compile(r"^(rclpy|rcl_interfaces|rosidl\w*|ament\w*|tf2\w*|launch\w*|\w+_msgs|\w+_srvs|\w+_interfaces|rosbag2\w*)$")
SIMULATOR = re.compile(r"^(pybullet\w*|pickcell_sim\w*)$")
GROUND = {"geometry", "values", "outcome", "ports", "cell", "camera_poses", "config_file", "resources"}
"""Modules everything in the core may import, and which import only each other."""


def _modules(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


def _imports(path: Path, package: str) -> Iterator[tuple[str, int, bool]]:
    """(absolute module name, line, whether at import time) of every import; ``package`` resolves relative ones."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    lazy: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lazy.update(id(inner) for inner in ast.walk(node))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            lazy.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) not in lazy
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            for alias in node.names:  # "from pickcell import task" names a module too
                yield f"{base}.{alias.name}", node.lineno, id(node) not in lazy


def _package_of(path: Path, root: Path) -> str:
    """Dotted package that relative imports in ``path`` start from; ``root`` is the folder on the path."""
    return ".".join(path.relative_to(root).parent.parts)


def _offences(folder: Path, root: Path, forbidden: re.Pattern[str], lazily_allowed: bool = False) -> list[str]:
    out = []
    for path in _modules(folder):
        for name, line, eager in _imports(path, _package_of(path, root)):
            if forbidden.match(name.split(".")[0]) and (eager or not lazily_allowed):
                out.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return out


def test_the_core_knows_no_ros_and_no_simulator() -> None:
    assert not _offences(CORE, ROOT / "src", ROS)
    assert not _offences(CORE, ROOT / "src", SIMULATOR)


def test_the_core_loads_torch_runtimes_and_viser_only_when_used() -> None:
    assert not _offences(CORE, ROOT / "src", re.compile(r"^(torch|onnx|viser)\w*$"), lazily_allowed=True)


def test_the_simulator_knows_no_ros() -> None:
    assert not _offences(SIM, ROOT / "sim", ROS)


BLOCKER = """
import importlib, pathlib, re, sys

forbidden = re.compile(sys.argv[1])

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if forbidden.match(name.split(".")[0]):
            raise ImportError(f"{name} is blocked by the dependency rules")
        return None

sys.meta_path.insert(0, Blocked())
root = pathlib.Path(sys.argv[2])
for path in sorted((root / "pickcell").rglob("*.py")):
    if path.name == "__main__.py":
        continue
    parts = path.relative_to(root).with_suffix("").parts
    importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
print(len([m for m in sys.modules if m.split(".")[0] == "pickcell"]))
"""


def test_every_core_module_imports_with_ros_simulator_torch_and_viser_blocked() -> None:
    """The scan above sees the source; this sees what really happens, also through third parties we call."""
    forbidden = r"^(rclpy|\w+_msgs|\w+_srvs|\w+_interfaces|tf2\w*|pybullet\w*|pickcell_\w+|torch\w*|viser)$"
    command = [sys.executable, "-c", BLOCKER, forbidden, str(ROOT / "src")]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) >= len(_modules(CORE)) - 1


def _ros_packages() -> list[Path]:
    """Folders of the workspace's Python packages that are ours and not wrappers of core and simulator."""
    found = [p.parent for p in WORKSPACE.glob("*/package.xml")]
    return sorted(p for p in found if p.name.startswith("pickcell_") and p.name != "pickcell_sim" and (p / p.name).is_dir())


def _is_library(package: Path) -> bool:
    """Whether a package offers modules only: no programs, nothing that runs by itself."""
    runs = "console_scripts" in (package / "setup.py").read_text() or (package / package.name / "__main__.py").exists()
    return not runs


@pytest.mark.parametrize("package", _ros_packages(), ids=lambda p: p.name)
def test_no_node_package_imports_another(package: Path) -> None:
    libraries = {p.name for p in _ros_packages() if _is_library(p)}
    # The core and the simulator are not node packages; who may use the simulator is the next test's matter.
    allowed = libraries | {"pickcell_interfaces", "pickcell_sim", package.name}
    bad = []
    for path in _modules(package / package.name):
        for name, line, _ in _imports(path, _package_of(path, package)):
            top = name.split(".")[0]
            if top.startswith("pickcell_") and top not in allowed:
                bad.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not bad


@pytest.mark.parametrize("package", _ros_packages(), ids=lambda p: p.name)
def test_only_the_simulators_bridge_knows_the_simulator(package: Path) -> None:
    """Ground truth must not have a way into the pipeline."""
    bad = _offences(package / package.name, package, SIMULATOR)
    assert not bad or package.name == "pickcell_sim_bridge"


def test_there_is_something_to_check() -> None:
    assert sum(not _is_library(p) for p in _ros_packages()) >= 5
    assert len(_modules(CORE)) >= 20 and len(_modules(SIM)) >= 5


def _layer(module: str) -> int:
    """0 ground, 1 stages and services for them, 2 task, 3 view (looks at all of it), 4 setup (stands beside everything)."""
    part = module.split(".")[1] if "." in module else ""
    return 0 if part in GROUND or not part else {"task": 2, "view": 3, "setup": 4}.get(part, 1)


def test_inside_the_core_imports_go_downwards() -> None:
    bad = []
    for path in _modules(CORE):
        own = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for name, line, _ in _imports(path, _package_of(path, ROOT / "src")):
            if name.split(".")[0] != "pickcell" or name.split(".")[1:2] == own.split(".")[1:2]:
                continue
            upwards = _layer(name) > _layer(own)
            into_setup = 4 in (_layer(own), _layer(name))
            if upwards or into_setup:
                bad.append(f"{path.relative_to(ROOT)}:{line} ({own}) imports {name}")
    assert not bad


def test_stages_do_not_import_each_other_in_circles() -> None:
    """The graph of the core's parts (pickcell.<part>) has an order."""
    edges: dict[str, set[str]] = {}
    for path in _modules(CORE):
        own = path.relative_to(CORE).parts[0].removesuffix(".py")
        for name, _, eager in _imports(path, _package_of(path, ROOT / "src")):
            parts = name.split(".")
            target = parts[1] if parts[0] == "pickcell" and len(parts) > 1 else own
            is_part = (CORE / target).is_dir() or (CORE / f"{target}.py").is_file()
            if eager and is_part and target != own and own != "__init__":
                edges.setdefault(own, set()).add(target)
    done: set[str] = set()

    def visit(part: str, trail: tuple[str, ...]) -> None:
        assert part not in trail, f"circle: {' -> '.join([*trail[trail.index(part) :], part])}"
        if part not in done:
            for target in sorted(edges.get(part, ())):
                visit(target, (*trail, part))
            done.add(part)

    for part in sorted(edges):
        visit(part, ())


def test_the_setup_runs_on_the_standard_library_alone() -> None:
    """It prepares the environment, so it cannot need it."""
    bad = []
    for path in _modules(CORE / "setup"):
        for name, line, _ in _imports(path, _package_of(path, ROOT / "src")):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top != "pickcell":
                bad.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not bad


def test_manifests_are_complete() -> None:
    """An invalid package.xml is not an error to colcon: the package is silently built as something else."""
    import xml.etree.ElementTree as ElementTree

    for path in sorted(WORKSPACE.rglob("package.xml")):
        root = ElementTree.parse(path).getroot()
        assert root.get("format") == "3", path
        for tag in ("name", "version", "description", "maintainer", "license"):
            assert (root.findtext(tag) or "").strip(), f"{path} has no <{tag}>"
        assert root.findtext("name") == path.parent.name, path
        kind = root.findtext("export/build_type")
        expected = "setup.py" if kind == "ament_python" else "CMakeLists.txt"
        assert (path.parent / expected).is_file(), f"{path} says {kind} but there is no {expected}"
        if kind == "ament_python":
            assert (path.parent / "resource" / path.parent.name).is_file(), path


CLIENTLESS = re.compile(
    r"connect|isConnected|disconnect|getConnectionInfo|\w*(Quaternion|Euler|AxisAngle)\w*|\w+Transforms?"
)
"""PyBullet's functions that need no client, or take its number first."""


@pytest.mark.parametrize("folder", [SIM, ROOT / "tests"], ids=["sim", "tests"])
def test_every_call_of_pybullet_names_its_client(folder: Path) -> None:
    """Without a number PyBullet takes client 0, whoever that is: the render client, or the world of another test."""
    bad = []
    for path in _modules(folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            of, name = node.func.value, node.func.attr
            if not (isinstance(of, ast.Name) and of.id == "p" and hasattr(pybullet, name)) or CLIENTLESS.fullmatch(name):
                continue
            if not any(k.arg in ("physicsClientId", None) for k in node.keywords):
                bad.append(f"{path.relative_to(ROOT)}:{node.lineno} p.{name}")
    assert not bad
