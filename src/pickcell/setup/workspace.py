"""Build the colcon workspace, and know when it need not be built.

Packages are linked (``--symlink-install``): an edit of a Python file, a parameter or a launch file works at once.
What needs a build is a change of what a build reads: interface definitions, CMake and setup files, manifests,
and the *list* of installed files. A hash over those is the stamp.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pickcell.setup.layout import Layout

STAMP = ".pickcell-stamp"
CONTENT_NAMES = {"package.xml", "setup.py", "setup.cfg", "CMakeLists.txt"}
CONTENT_SUFFIXES = {".msg", ".srv", ".action", ".cmake", ".em", ".cpp", ".hpp", ".c", ".h"}
LISTED_FOLDERS = ("launch", "config", "urdf")
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


def build_key(layout: Layout, skipped: list[str], python_tag: str) -> str:
    """Hash over all that a build depends on."""
    digest = hashlib.sha256(f"v1 {python_tag} {layout.root} {' '.join(skipped)}\n".encode())
    for package in find_packages(layout.workspace / "src"):
        for path in _package_files(package.folder):
            digest.update(f"{path.relative_to(layout.root)}\n".encode())
            if path.name in CONTENT_NAMES or path.suffix in CONTENT_SUFFIXES:
                digest.update(path.read_bytes())
    for name in LISTED_FOLDERS:  # linked into the bringup and description packages: names count, content is linked
        for path in sorted((layout.root / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(layout.root)}\n".encode())
    return digest.hexdigest()


def _package_files(folder: Path) -> list[Path]:
    """Files of a package that a build reads; Python modules are linked and therefore left out."""
    out = []
    for current, subfolders, files in os.walk(folder):  # os.walk does not follow links
        subfolders[:] = [s for s in subfolders if not s.startswith((".", "__")) and not s.endswith(".egg-info")]
        out += [Path(current) / f for f in files if not f.endswith((".py", ".pyc")) or f == "setup.py"]
    return sorted(out)


def is_fresh(layout: Layout, key: str) -> bool:
    """Whether the last complete build was made from exactly these inputs and is still there."""
    stamp = layout.workspace / "build" / STAMP
    return stamp.is_file() and (layout.install / "setup.sh").is_file() and stamp.read_text().strip() == key


def mark_fresh(layout: Layout, key: str) -> None:
    """Remember a complete build."""
    stamp = layout.workspace / "build" / STAMP
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key + "\n")


def clean(layout: Layout) -> None:
    """Remove everything colcon made."""
    for name in ("build", "install", "log"):
        shutil.rmtree(layout.workspace / name, ignore_errors=True)


def forget_moved(layout: Layout) -> None:
    """Remove a build that another folder made: CMake caches and links hold absolute paths."""
    setup = layout.install / "setup.sh"
    if setup.is_file() and f"_colcon_prefix_chain_sh_COLCON_CURRENT_PREFIX={layout.install}\n" not in setup.read_text():
        clean(layout)


def forget_removed(layout: Layout, skipped: list[str]) -> None:
    """Remove what was built from packages that are gone, or that must not be built here any more."""
    wanted = {p.name for p in find_packages(layout.workspace / "src")} - set(skipped)
    for folder in (layout.install, layout.workspace / "build"):
        for path in folder.iterdir() if folder.is_dir() else []:
            if path.is_dir() and path.name not in wanted:
                shutil.rmtree(path, ignore_errors=True)


def colcon_detail(line: str) -> str | None:
    """The interesting part of a colcon line."""
    match = re.match(r"(Starting >>>|Finished <<<|Failed\s+<<<)\s+(.*)", line)
    return f"{match.group(1)[:8].rstrip(' <>')} {match.group(2)}" if match else None


def build_command(layout: Layout, skipped: list[str], select: list[str] | None = None) -> list[str]:
    """The colcon call; ``select`` limits it to some packages and what they need."""
    command = [str(layout.python), str(layout.venv / "bin" / "colcon"), "--log-base", "log", "build", "--symlink-install"]
    command += ["--parallel-workers", str(max(2, min(8, os.cpu_count() or 2)))]
    command += ["--event-handlers", "console_cohesion-", "console_direct-", "status-", "summary+"]
    if select:
        command += ["--packages-up-to", *select]
    if skipped:
        command += ["--packages-skip", *skipped]
    command += ["--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={layout.python}"]
    return command
