"""Build the colcon workspace, and know when it need not be built.

Packages are linked (``--symlink-install``): an edit of a Python file, a parameter or a launch file works at once.
What needs a build is a change of what a build reads: interface definitions, CMake and setup files, manifests,
and the *list* of installed files. A hash over those is the stamp.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pickcell.setup.layout import Layout

STAMP = "pickcell-stamp.json"
CONTENT_NAMES = {"package.xml", "setup.py", "setup.cfg", "CMakeLists.txt"}
CONTENT_SUFFIXES = {".msg", ".srv", ".action", ".cmake", ".em", ".cpp", ".hpp", ".c", ".h"}
UNDERLAY = ("control_msgs", "tf2_msgs")
"""Definitions we bring because they have no wheel; a full installation has its own, which is then used."""


@dataclass(frozen=True)
class Package:
    """One colcon package: its name and the folder of its manifest."""

    name: str
    folder: Path


def find_packages(source: Path) -> list[Package]:
    """Packages below ``source``, by name, not looking inside packages nor through links."""
    found = []
    for folder, subfolders, files in os.walk(source):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith((".", "__")))
        if "COLCON_IGNORE" in files:
            subfolders[:] = []
        elif "package.xml" in files:
            subfolders[:] = []
            text = (Path(folder) / "package.xml").read_text(encoding="utf-8", errors="replace")
            name = re.search(r"<name>\s*([\w-]+)\s*</name>", text)
            found.append(Package(name.group(1) if name else Path(folder).name, Path(folder)))
    return sorted(found, key=lambda p: p.name)


def provided_elsewhere(name: str, env: Mapping[str, str], install: Path) -> bool:
    """Whether the ament index outside our own workspace already has package ``name``."""
    for prefix in env.get("AMENT_PREFIX_PATH", "").split(":"):
        inside = install in Path(prefix).parents or Path(prefix) == install
        if prefix and not inside and (Path(prefix) / "share/ament_index/resource_index/packages" / name).exists():
            return True
    return False


def skipped_packages(layout: Layout, env: Mapping[str, str]) -> list[str]:
    """Underlay packages that must not be built here."""
    return [name for name in UNDERLAY if provided_elsewhere(name, env, layout.install)]


def package_keys(layout: Layout, skipped: list[str]) -> dict[str, str]:
    """Per package, a hash over all that its build reads."""
    return {p.name: _package_key(p.folder) for p in find_packages(layout.workspace / "src") if p.name not in skipped}


def _package_key(folder: Path) -> str:
    digest = hashlib.sha256(b"v1\n")
    for path in _package_files(folder):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        if path.name in CONTENT_NAMES or path.suffix in CONTENT_SUFFIXES:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _package_files(folder: Path) -> list[Path]:
    """Files that a build reads or installs. Python modules are linked as whole folders and therefore left out.

    Links to folders outside (launch, config, urdf) are followed: a new file there must be linked by a build.
    """
    out = []
    for current, subfolders, files in os.walk(folder, followlinks=True):
        subfolders[:] = [s for s in subfolders if not _is_code_or_cache(Path(current) / s)]
        out += [Path(current) / f for f in files if not f.endswith((".py", ".pyc")) or f == "setup.py"]
    return sorted(out)


def _is_code_or_cache(folder: Path) -> bool:
    return folder.name.startswith((".", "__")) or folder.name.endswith(".egg-info") or (folder / "__init__.py").exists()


@dataclass(frozen=True)
class State:
    """What a build was made from: the surroundings, and each package's hash."""

    surroundings: str
    packages: dict[str, str]


def current_state(layout: Layout, skipped: list[str], python_tag: str) -> State:
    """The state a build made now would have."""
    return State(f"v1 {python_tag} {layout.root}", package_keys(layout, skipped))


def built_state(layout: Layout) -> State | None:
    """The state of the last complete build, None when there is none (or its outcome was removed).

    Packages that a plain ``colcon build`` copied since then are left out: an edit would not reach them.
    """
    if not (layout.install / "setup.sh").is_file():
        return None
    try:
        text = json.loads((layout.workspace / "build" / STAMP).read_text())
        packages = {name: key for name, key in dict(text["packages"]).items() if not _is_copied(layout, name)}
        return State(str(text["surroundings"]), packages)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_copied(layout: Layout, name: str) -> bool:
    """Whether a Python package was installed by copying instead of linking."""
    is_python = (layout.workspace / "build" / name / "colcon_command_prefix_setup_py.sh").exists()
    return is_python and any((layout.install / name / "lib").glob(f"python3*/site-packages/{name}/__init__.py"))


def mark_built(layout: Layout, state: State) -> None:
    """Remember a complete build."""
    stamp = layout.workspace / "build" / STAMP
    stamp.parent.mkdir(parents=True, exist_ok=True)
    part = stamp.with_suffix(".part")
    part.write_text(json.dumps({"surroundings": state.surroundings, "packages": state.packages}, indent=1) + "\n")
    part.replace(stamp)


def changed_packages(before: State | None, now: State) -> list[str] | None:
    """Packages to build again; None for all of them."""
    if before is None or before.surroundings != now.surroundings:
        return None
    return sorted(name for name, key in now.packages.items() if before.packages.get(name) != key)


def clean(layout: Layout) -> None:
    """Remove everything colcon made."""
    for name in ("build", "install", "log"):
        shutil.rmtree(layout.workspace / name, ignore_errors=True)


def forget_moved(layout: Layout) -> None:
    """Remove a build that another folder made: CMake caches and links hold absolute paths."""
    setup = layout.install / "setup.sh"
    if setup.is_file() and f"_colcon_prefix_chain_sh_COLCON_CURRENT_PREFIX={layout.install}\n" not in setup.read_text():
        clean(layout)


def forget_removed(layout: Layout, skipped: list[str]) -> bool:
    """Remove what was built from packages that are gone or must not be built here any more; True if there was any."""
    wanted = {p.name for p in find_packages(layout.workspace / "src")} - set(skipped)
    found = False
    for folder in (layout.install, layout.workspace / "build"):
        for path in folder.iterdir() if folder.is_dir() else []:
            if path.is_dir() and path.name not in wanted:
                shutil.rmtree(path, ignore_errors=True)
                found = True
    return found


class ColconView:
    """What a colcon build is doing, from its lines: ``3 done, building msgs, node``."""

    def __init__(self) -> None:
        self._active: list[str] = []
        self._done = 0

    def __call__(self, line: str) -> str | None:
        """The state after ``line``, None for lines that do not change it."""
        match = re.match(r"(Starting >>>|Finished <<<|Failed\s+<<<|Aborted\s+<<<)\s+([\w-]+)", line)
        if match is None:
            return None
        name = match.group(2)
        if match.group(1).startswith("Starting"):
            self._active.append(name)
        else:
            self._done += 1
            self._active = [n for n in self._active if n != name]
        return f"{self._done} done, building {', '.join(self._active) or 'nothing'}"


def build_command(layout: Layout, skipped: list[str], select: list[str] | None = None) -> list[str]:
    """The colcon call; ``select`` limits it to some packages.

    What depends on compiled packages (message definitions) is built again with them; linked Python packages stand
    alone.
    """
    command = [str(layout.python), str(layout.venv / "bin" / "colcon"), "--log-base", "log", "build", "--symlink-install"]
    command += ["--parallel-workers", str(max(2, min(8, os.cpu_count() or 2)))]
    command += ["--event-handlers", "console_cohesion-", "console_direct-", "status-", "summary+"]
    if select:
        folders = {p.name: p.folder for p in find_packages(layout.workspace / "src")}
        compiled = any((folders[name] / "CMakeLists.txt").is_file() for name in select if name in folders)
        command += ["--packages-above" if compiled else "--packages-select", *select]
    if skipped:
        command += ["--packages-skip", *skipped]
    command += ["--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={layout.python}"]
    return command
