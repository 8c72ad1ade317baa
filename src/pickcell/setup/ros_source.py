"""Which ROS 2 is used: a sourced Jazzy installation if there is one, else the pinned wheels.

A sourced ROS brings its own Python (Ubuntu 24.04: 3.12) and compiled modules for it, so the virtual
environment must be made by that same Python; the wheels are for Python 3.11.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

DISTRO = "jazzy"
WHEEL_PYTHON = (3, 11)


@dataclass(frozen=True)
class RosSource:
    """The decision: ``kind`` is ``wheels`` or ``system``; ``why`` is a sentence for people."""

    kind: str
    why: str
    python: str | None = None
    """For ``system``: the interpreter that imports rclpy."""

    @property
    def is_system(self) -> bool:
        """True when a sourced installation is used and no wheel must be installed."""
        return self.kind == "system"


def imports_rclpy(python: str, env: Mapping[str, str]) -> bool:
    """Whether ``python`` can import rclpy in ``env``."""
    try:
        result = subprocess.run(
            [python, "-c", "import rclpy"], env=dict(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def choose_ros(
    env: Mapping[str, str],
    can_import: Callable[[str, Mapping[str, str]], bool] = imports_rclpy,
    system_python: str | None = None,
) -> RosSource:
    """Decide from the caller's environment.

    ``ROS_DISTRO=jazzy`` alone is not enough: the prefix path must hold rclpy's ament marker and the system's
    Python must import it, else half a ROS would be mixed with the wheels. Our own environment (which also sets
    AMENT_PREFIX_PATH) is told apart by its marker variable.
    """
    distro = env.get("ROS_DISTRO", "")
    prefixes = [Path(p) for p in env.get("AMENT_PREFIX_PATH", "").split(":") if p]
    if env.get("_ROS_WHEELS_BOOTSTRAP_COMPLETE") or not distro:
        return RosSource("wheels", "no ROS installation is sourced")
    if distro != DISTRO:
        return RosSource("wheels", f"the sourced ROS is {distro}, this project is built for {DISTRO}")
    if not any((p / "share/ament_index/resource_index/packages/rclpy").exists() for p in prefixes):
        return RosSource("wheels", "ROS_DISTRO is set but AMENT_PREFIX_PATH holds no rclpy")
    python = system_python or _python_outside_environments(env.get("PATH", ""))
    if not can_import(python, env):
        return RosSource("wheels", f"{python} cannot import the sourced rclpy")
    return RosSource("system", f"ROS 2 {distro} is sourced", python)


def _python_outside_environments(path: str) -> str:
    """``python3`` of PATH, not counting virtual environments (inside ``./cell shell`` ours comes first)."""
    folders = [folder for folder in path.split(":") if folder and not (Path(folder).parent / "pyvenv.cfg").exists()]
    return shutil.which("python3", path=":".join(folders)) or "python3"
