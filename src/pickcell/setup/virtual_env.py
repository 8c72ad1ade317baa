"""The virtual environment: which Python makes it, what is installed, and when it is up to date."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pickcell.setup.environment import site_packages
from pickcell.setup.layout import Layout
from pickcell.setup.progress import Progress, StepFailed, run_logged
from pickcell.setup.ros_source import WHEEL_PYTHON, RosSource

STAMP = "pickcell-stamp.json"
FORMAT = 1
_PROBE = (
    "import importlib.util, json, sys, sysconfig;"
    "print(json.dumps([list(sys.version_info[:3]), sys.executable, sysconfig.get_path('include'),"
    " importlib.util.find_spec('ensurepip') is not None]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python found on this machine."""

    executable: Path
    version: tuple[int, int, int]
    include: Path
    has_ensurepip: bool

    @property
    def tag(self) -> str:
        """``3.11``."""
        return f"{self.version[0]}.{self.version[1]}"


def probe(executable: str | Path) -> Interpreter | None:
    """Ask a Python about itself; None when it does not run (a version manager's empty shim, a broken link)."""
    try:
        result = subprocess.run([str(executable), "-c", _PROBE], capture_output=True, text=True, timeout=30)
        version, path, include, ensurepip = json.loads(result.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Interpreter(Path(path), (version[0], version[1], version[2]), Path(include), bool(ensurepip))


def candidates(env: Mapping[str, str], wanted: tuple[int, int] = WHEEL_PYTHON) -> Iterable[str]:
    """Places where the wanted Python may be, best first."""
    name = f"python{wanted[0]}.{wanted[1]}"
    if env.get("PICKCELL_PYTHON"):
        yield env["PICKCELL_PYTHON"]
        return
    if sys.version_info[:2] == wanted and sys.prefix == sys.base_prefix:
        yield sys.executable
    for folder in env.get("PATH", "").split(os.pathsep):
        in_a_venv = (Path(folder).parent / "pyvenv.cfg").exists()  # ours, in ./cell shell: it may be about to be removed
        if folder and not in_a_venv and os.access(Path(folder) / name, os.X_OK):
            yield str(Path(folder) / name)
    home = env.get("HOME", "")
    for pattern in (
        f"/usr/bin/{name}",
        f"/usr/local/bin/{name}",
        f"{home}/.pyenv/versions/{wanted[0]}.{wanted[1]}*/bin/{name}",
        f"{home}/.local/share/uv/python/cpython-{wanted[0]}.{wanted[1]}*/bin/{name}",
    ):
        yield from sorted(glob.glob(pattern), reverse=True)


def choose_interpreter(ros: RosSource, env: Mapping[str, str]) -> Interpreter:
    """The Python to make the environment with. Raises StepFailed saying how to get one."""
    if ros.is_system:
        found = probe(ros.python or "python3")
        if found is None:
            raise StepFailed(f"{ros.python} does not run", "it is the Python of the sourced ROS")
        return found
    seen: dict[Path, Interpreter] = {}
    for candidate in candidates(env):
        found = probe(candidate)
        if found and found.version[:2] == WHEEL_PYTHON and found.executable not in seen:
            seen[found.executable] = found
            if found.has_ensurepip and (found.include / "Python.h").is_file():
                return found
    if seen:  # works once the packages of the system are installed
        return next(iter(seen.values()))
    asked = env.get("PICKCELL_PYTHON")
    raise StepFailed(
        f"PICKCELL_PYTHON={asked} is not a Python 3.11" if asked else "no Python 3.11 was found",
        "the ROS 2 wheels are built for it (a sourced ROS 2 Jazzy is used with its own Python instead)",
        todo="install it (Debian 12: apt-get install python3.11 python3.11-venv python3.11-dev; elsewhere for example "
        "'uv python install 3.11' or pyenv) or point PICKCELL_PYTHON at one",
    )


def requirement_key(layout: Layout, ros: RosSource) -> str:
    """Hash over what the environment is made from; a moved checkout counts as different."""
    digest = hashlib.sha256(f"v{FORMAT} {ros.kind} {layout.venv}\n".encode())
    for path in sorted(layout.requirements.glob("*")):
        if path.suffix in (".txt", ".lock"):
            digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def read_stamp(layout: Layout) -> dict[str, str]:
    """What the environment was made from; empty when unknown or damaged."""
    try:
        stamp = json.loads((layout.venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in stamp.items()} if isinstance(stamp, dict) else {}


def is_fresh(layout: Layout, key: str) -> bool:
    """Whether the environment is complete and made from these requirements."""
    return layout.python.exists() and read_stamp(layout).get("key") == key


def mark_fresh(layout: Layout, key: str, python: Interpreter) -> None:
    """Remember a complete environment."""
    stamp = {"key": key, "root": str(layout.root), "python": ".".join(map(str, python.version))}
    os.sync()  # a machine that loses power later must not keep the stamp and lose the files
    part = layout.venv / (STAMP + ".part")
    part.write_text(json.dumps(stamp) + "\n")
    part.replace(layout.venv / STAMP)


def create(layout: Layout, python: Interpreter, ros: RosSource, log: Path, progress: Progress) -> bool:
    """Make the environment unless a usable one is there. Returns True when it was made anew."""
    there = probe(layout.python) if layout.python.exists() and not damaged(layout) else None
    moved = read_stamp(layout).get("root", str(layout.root)) != str(layout.root)
    if there and there.version[:2] == python.version[:2] and not moved and site_packages(layout) is not None:
        return False
    if layout.venv.exists():
        progress.detail("removing the old environment")
        shutil.rmtree(layout.venv)
    shared = ["--system-site-packages"] if ros.is_system else []
    command = [str(python.executable), "-m", "venv", *shared, str(layout.venv)]
    run_logged(
        command,
        log,
        progress,
        what="making the virtual environment",
        todo=f"on Debian and Ubuntu: apt-get install python{python.tag}-venv, then start again",
    )
    return True


def pip_commands(layout: Layout, ros: RosSource, system_numpy: str | None = None) -> list[list[str]]:
    """The pip calls, in order. setuptools comes last: others raise it, and colcon needs an old one."""
    pip = [str(layout.python), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    folder = layout.requirements
    if ros.is_system:
        # The sourced ROS was compiled against its own numpy; our pins belong to the wheels.
        lines = requirement_lines(folder / "ros-jazzy.txt")
        tools = [line for line in lines if line.startswith(("colcon", "catkin", "empy"))]
        pinned = [f"numpy=={system_numpy}"] if system_numpy else []
        return [[*pip, *tools, *pinned, "-r", str(folder / "core.txt")], [*pip, "setuptools<80"]]
    files = ["-r", str(folder / "ros-jazzy.txt"), "-r", str(folder / "core.txt")]
    pins = ["-c", str(folder / "ros-jazzy.lock"), "-c", str(folder / "core.lock")]
    return [[*pip, *files, *pins], [*pip, "setuptools<80"]]


def requirement_lines(path: Path) -> list[str]:
    """Requirements of a file without comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(layout: Layout) -> dict[str, str]:
    """Installed distributions and versions, read from the folder names (no interpreter is started)."""
    site = site_packages(layout)
    found = {}
    for path in site.glob("*.dist-info") if site else []:
        name, _, version = path.name.removesuffix(".dist-info").partition("-")
        found[canonical(name)] = version
    return found


def damaged(layout: Layout) -> list[str]:
    """Distributions that an interrupted installation left without metadata: pip can neither use nor mend them."""
    site = site_packages(layout)
    metadata = [path / "METADATA" for path in (site.glob("*.dist-info") if site else [])]
    return sorted(path.parent.name for path in metadata if not path.is_file() or path.stat().st_size == 0)


def off_pins(layout: Layout) -> list[str]:
    """Sentences about pinned distributions that are missing or have another version, and about clashing ones."""
    have = installed(layout)
    out = []
    for lock in ("ros-jazzy.lock", "core.lock"):
        for line in requirement_lines(layout.requirements / lock):
            name, _, version = line.partition("==")
            there = have.get(canonical(name))
            if there != version:
                out.append(f"{name} is {there or 'missing'}, pinned {version}")
    if "lark" in have:
        out.append("lark is installed beside lark-parser: pip uninstall lark, then reinstall lark-parser==0.12.0")
    major = have.get("setuptools", "0").split(".")[0]
    if not major.isdigit() or int(major) >= 80:
        out.append(f"setuptools is {have.get('setuptools')}, colcon needs < 80")
    return out


def pip_detail(line: str) -> str | None:
    """The interesting part of a pip line."""
    match = re.match(r"\s*(Collecting|Downloading|Using cached|Building wheel for|Installing collected packages)(.*)", line)
    return f"{match.group(1)}{match.group(2)[:80]}" if match else None


def write_core_lock(layout: Layout) -> Path:
    """Pin in core.lock all that is installed and not already pinned by the ROS lock. Returns its path.

    Distributions are taken from their ``.dist-info`` folders: ``pip freeze`` also lists the message modules inside
    the ROS wheels, names that no index knows.
    """
    ros = {canonical(line.partition("==")[0]) for line in requirement_lines(layout.requirements / "ros-jazzy.lock")}
    path = layout.requirements / "core.lock"
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    optional_files = [layout.requirements / name for name in ("ray.txt", "view.txt")]
    lines = [line for file in optional_files if file.is_file() for line in requirement_lines(file)]
    optional = {canonical(line.partition("==")[0]) for line in lines}
    left_out = ros | optional | {"pip", "setuptools", "lark"}
    pins = [f"{name}=={version}" for name, version in sorted(installed(layout).items()) if name not in left_out]
    path.write_text("\n".join([*head, *pins]) + "\n", encoding="utf-8")
    return path
