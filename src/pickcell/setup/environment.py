"""The environment every process of the cell runs in: nodes, tests, tools and ``./cell shell``.

One function, :func:`process_environment`, is the only place that knows the variables. With the wheels it says
what a sourced ROS would have said (prefix paths, libraries, middleware); with a sourced ROS it only adds our
workspace. The workspace part follows colcon's own ``.dsv`` descriptions, so it equals sourcing
``install/local_setup.bash`` without starting a shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from pickcell.setup.layout import Layout
from pickcell.setup.ros_source import RosSource, choose_ros

MARKER = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
PATH_VARIABLES = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PATH")


def process_environment(layout: Layout, base: Mapping[str, str], ros: RosSource | None = None) -> dict[str, str]:
    """Return ``base`` extended to run the cell's programs. ``base`` is not changed; applying it twice is harmless."""
    env = dict(base)
    ros = ros or choose_ros(base)
    if not ros.is_system:
        _add_wheels(layout, env)
    for prefix in overlay_prefixes(layout.install):
        _prepend(env, "AMENT_PREFIX_PATH", prefix)
        _prepend(env, "CMAKE_PREFIX_PATH", prefix)
        _apply_dsv(prefix, Path("share") / prefix.name / "package.dsv", env)
    _prepend(env, "PYTHONPATH", layout.root / "sim")
    _prepend(env, "PYTHONPATH", layout.root / "src")
    _prepend(env, "PATH", layout.venv / "bin")
    env["VIRTUAL_ENV"] = str(layout.venv)
    env.pop("PYTHONHOME", None)
    env["PICKCELL_ROOT"] = str(layout.root)
    if layout.var_folder is not None:
        env["PICKCELL_VAR"] = str(layout.var_folder)
    env.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    # A cell on one machine must not talk to another cell on the same network; a larger one sets this itself.
    env.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    env.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(layout.fastdds_profile))
    # Nodes write through pipes to the runner: without this their lines arrive in blocks, long after the fact.
    env.setdefault("PYTHONUNBUFFERED", "1")
    env.setdefault("RCUTILS_LOGGING_BUFFERED_STREAM", "0")
    env.setdefault("ROS_LOG_DIR", str(layout.logs / "ros"))
    return env


def changed_variables(layout: Layout, base: Mapping[str, str]) -> dict[str, str]:
    """Only what :func:`process_environment` adds to or changes in ``base``."""
    full = process_environment(layout, base)
    return {key: value for key, value in full.items() if base.get(key) != value}


def export_lines(variables: Mapping[str, str]) -> str:
    """Shell lines to ``eval``."""
    return "\n".join(f"export {key}={shlex.quote(value)}" for key, value in sorted(variables.items()))


def overlay_prefixes(install: Path) -> list[Path]:
    """Prefixes of the packages colcon installed, by name."""
    if not install.is_dir():
        return []
    return [p for p in sorted(install.iterdir()) if (p / "share" / p.name / "package.dsv").is_file()]


def _add_wheels(layout: Layout, env: dict[str, str]) -> None:
    site = site_packages(layout)
    for libs in sorted(site.glob("ros_*.libs"), reverse=True) if site else []:
        _prepend(env, "LD_LIBRARY_PATH", libs)
    _prepend(env, "LD_LIBRARY_PATH", layout.venv / "lib")
    _prepend(env, "AMENT_PREFIX_PATH", layout.venv)
    _prepend(env, "CMAKE_PREFIX_PATH", layout.venv)
    env[MARKER] = "1"  # else the wheels' start-up hook executes every Python a second time
    env["ROS_DISTRO"] = "jazzy"
    env["ROS_VERSION"] = "2"
    env["ROS_PYTHON_VERSION"] = "3"


def site_packages(layout: Layout) -> Path | None:
    """The virtual environment's site-packages, None before it exists."""
    found = sorted(layout.venv.glob("lib/python3.*/site-packages"))
    return found[-1] if found else None


def _prepend(env: dict[str, str], name: str, value: Path | str) -> None:
    """Put ``value`` first in a path list, once."""
    text = str(value)
    rest = [p for p in env.get(name, "").split(":") if p and p != text]
    env[name] = ":".join([text, *rest])


def _apply_dsv(prefix: Path, relative: Path, env: dict[str, str]) -> None:
    """Apply one of colcon's environment descriptions (``operation;arguments`` per line) below ``prefix``.

    Lines that only shell scripts can carry out are skipped, as colcon does: each has a ``.dsv`` twin.
    """
    path = prefix / relative
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.strip().partition(";")
        if kind == "source":
            if rest.endswith(".dsv"):
                _apply_dsv(prefix, Path(rest), env)
            elif (prefix / rest).with_suffix(".dsv").is_file() and rest.endswith(".sh"):
                _apply_dsv(prefix, Path(rest).with_suffix(".dsv"), env)
            continue
        name, _, value = rest.partition(";")
        if kind.startswith("prepend-non-duplicate"):
            target = prefix / value if value else prefix
            if kind.endswith("if-exists") and not target.exists():
                continue
            _prepend(env, name, target)
        elif kind == "set" or (kind == "set-if-unset" and name not in env):
            env[name] = str(prefix / value) if value and (prefix / value).exists() else value
