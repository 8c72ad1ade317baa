"""What must come from the operating system: a compiler, CMake, Python headers and a few graphics libraries.

Each need is checked by using it (loading the library, finding the header), not by asking the package manager, so
that other distributions and self-built tools count. Debian's and Ubuntu's package names are the remedy.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pickcell.setup.progress import Progress, StepFailed, run_logged


@dataclass(frozen=True)
class Need:
    """One thing, why it is needed, and the Debian package that brings it."""

    package: str
    why: str
    present: Callable[[], bool]


def loads(name: str) -> bool:
    """Whether the dynamic linker finds library ``name``."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _has_mesa() -> bool:
    patterns = ("/usr/lib/*/dri/*_dri.so", "/usr/lib/dri/*_dri.so", "/usr/lib64/dri/*_dri.so", "/usr/lib/*/libgallium-*.so")
    return any(glob.glob(pattern) for pattern in patterns)


def needs(python_include: Path | None, python_version: str) -> list[Need]:
    """Everything, in the order of use. ``python_include``: header folder of the chosen Python, None if unknown."""
    return [
        Need("g++", "builds the message packages", lambda: any(map(shutil.which, ("g++", "c++", "clang++")))),
        Need("cmake", "builds the message packages", lambda: shutil.which("cmake") is not None),
        Need("make", "builds the message packages", lambda: any(map(shutil.which, ("make", "gmake")))),
        Need(
            f"python{python_version}-dev",
            "Python's headers, for the message packages",
            lambda: python_include is None or (python_include / "Python.h").is_file(),
        ),
        Need("libgl1", "open3d draws and casts rays", lambda: loads("libGL.so.1")),
        Need("libegl1", "cameras render without a screen", lambda: loads("libEGL.so.1")),
        Need("libgl1-mesa-dri", "cameras render without a GPU", _has_mesa),
        Need("libusb-1.0-0", "open3d loads it", lambda: loads("libusb-1.0.so.0")),
        Need("libgomp1", "open3d computes in parallel", lambda: loads("libgomp.so.1")),
        Need("libx11-6", "open3d loads it", lambda: loads("libX11.so.6")),
    ]


def missing(wanted: list[Need]) -> list[Need]:
    """Those that are not there."""
    return [need for need in wanted if not need.present()]


def install_prefix(env: Mapping[str, str], is_root: bool | None = None) -> list[str] | None:
    """Words to put before ``apt-get``: none as root, sudo when it asks for no password, None when we may not."""
    if shutil.which("apt-get", path=env.get("PATH")) is None:
        return None
    if os.geteuid() == 0 if is_root is None else is_root:
        return []
    sudo = shutil.which("sudo", path=env.get("PATH"))
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n", "env", "DEBIAN_FRONTEND=noninteractive"]
    return None


def one_line(packages: list[str]) -> str:
    """What a person should run."""
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def install(lacking: list[Need], log: Path, progress: Progress, env: Mapping[str, str]) -> None:
    """Install the packages of ``lacking``, or raise StepFailed with the line to run."""
    packages = [need.package for need in lacking]
    todo = f"run  {one_line(packages)}  and start again"
    prefix = install_prefix(env)
    if prefix is None:
        reasons = "; ".join(f"{need.package} ({need.why})" for need in lacking)
        raise StepFailed("packages of the system are missing and may not be installed from here", reasons, None, todo)
    quiet = {**env, "DEBIAN_FRONTEND": "noninteractive"}
    run_logged([*prefix, "apt-get", "update"], log, progress, what="apt-get update", todo=todo, env=quiet)
    command = [*prefix, "apt-get", "install", "-y", "--no-install-recommends", *packages]
    run_logged(command, log, progress, what=f"apt-get install {' '.join(packages)}", todo=todo, env=quiet)
