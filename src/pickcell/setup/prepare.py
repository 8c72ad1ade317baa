"""From a fresh clone to a cell that can start: every step once, in order, and only when needed.

Each step leaves a stamp when it is complete, so that an interrupted first start goes on where it stopped, and a
second start only compares hashes (no network, well under a second).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from pickcell.setup import system_packages, virtual_env, wheel_patch, workspace
from pickcell.setup.environment import process_environment
from pickcell.setup.layout import Layout
from pickcell.setup.locks import FileLock
from pickcell.setup.progress import Progress, clock, run_logged
from pickcell.setup.ros_source import RosSource, choose_ros
from pickcell.setup.warm_up import WarmUp, is_warm

IMPORT_CHECK = (
    "import rclpy, numpy, scipy, numba, cv2, open3d, trimesh, pinocchio, ruckig, ompl, onnxruntime, pybullet, yaml, typer"
)
_AGAIN = "fix that and start again: finished steps are kept"


def is_ready(layout: Layout, env: Mapping[str, str]) -> bool:
    """Whether nothing needs to be done."""
    ros = choose_ros(env)
    return environment_is_fresh(layout, ros) and workspace_is_fresh(layout, env, ros)


def environment_is_fresh(layout: Layout, ros: RosSource) -> bool:
    """Whether the virtual environment is complete."""
    return virtual_env.is_fresh(layout, virtual_env.requirement_key(layout, ros))


def workspace_is_fresh(layout: Layout, env: Mapping[str, str], ros: RosSource) -> bool:
    """Whether the workspace is built from today's sources."""
    return workspace.changed_packages(workspace.built_state(layout), _workspace_state(layout, env, ros)) == []


def prepare(
    layout: Layout, env: Mapping[str, str], progress: Progress, force_build: bool = False, warm: bool = False
) -> None:
    """Bring everything up to date; ``warm`` also compiles the kernels. Raises StepFailed with what to do about it."""
    warm = warm and not (layout.python.exists() and is_warm(layout, env))
    if not force_build and not warm and is_ready(layout, env):
        return
    lock = FileLock(layout.root / "var/run/setup.lock")
    if not lock.acquire():
        with progress.step(f"another ./cell (process {lock.holder()}) is setting up; waiting for it"):
            lock.acquire(wait=True)
    try:
        _prepare(layout, env, progress, force_build, warm)
    finally:
        lock.release()


def _prepare(layout: Layout, env: Mapping[str, str], progress: Progress, force_build: bool, warm: bool) -> None:
    ros = choose_ros(env)
    fresh = environment_is_fresh(layout, ros)
    built = workspace_is_fresh(layout, env, ros) and not force_build
    warm = warm and not (fresh and is_warm(layout, env))
    if fresh and built and not warm:  # somebody else did it while we waited
        return
    if not fresh:
        progress.say(f"Setting up pickcell in {layout.root} ({ros.why}).")
        progress.say("First time: downloads about 1 GB and takes a few minutes. Later starts skip all of this.")
    progress.plan((0 if fresh else 5) + (0 if built else 1) + int(warm))
    if not fresh:
        _make_environment(layout, ros, env, progress)
    warm_up = WarmUp(layout, env, ros) if warm else None  # one core compiles kernels, the others the workspace
    try:
        if not built:
            build(layout, env, ros, progress)
        if warm_up is not None:
            warm_up.finish(progress)
    finally:
        if warm_up is not None:
            warm_up.stop()
    progress.say(f"Ready after {clock(time.monotonic() - progress.started_s)}.")


def _make_environment(layout: Layout, ros: RosSource, env: Mapping[str, str], progress: Progress) -> None:
    logs = layout.logs / "setup"
    with progress.step("Packages of the system (compiler, headers, graphics libraries)"):
        python = virtual_env.choose_interpreter(ros, env)
        lacking = system_packages.missing(system_packages.needs(python.include, python.tag))
        if not python.has_ensurepip:
            lacking.append(system_packages.Need(f"python{python.tag}-venv", "makes virtual environments", lambda: False))
        if lacking:
            progress.detail(f"installing {', '.join(need.package for need in lacking)}")
            system_packages.install(lacking, logs / "apt.log", progress, env)
    with progress.step(f"Virtual environment with Python {python.tag} ({python.executable})"):
        virtual_env.create(layout, python, ros, logs / "venv.log", progress)
    with progress.step("Pinned Python packages (ROS 2 Jazzy, numerics, simulation, tests)"):
        numpy = _system_numpy(python.executable) if ros.is_system else None
        todo = f"if the network failed: {_AGAIN}; behind a proxy or mirror, pip's own settings (PIP_*, pip.conf) are used"
        clean = {k: v for k, v in env.items() if k not in ("PYTHONPATH", "PYTHONHOME") or ros.is_system}
        for command in virtual_env.pip_commands(layout, ros, numpy):
            run_logged(
                command, logs / "pip.log", progress,
                what="installing the Python packages", todo=todo, env=clean, show=virtual_env.pip_detail,
            )  # fmt: skip
    with progress.step("CMake files of the ROS wheels"):
        if not ros.is_system:
            wheel_patch.apply_patch(layout.venv, layout.python)
    with progress.step("Check: everything imports"):
        run_logged(
            [str(layout.python), "-c", IMPORT_CHECK],
            logs / "imports.log",
            progress,
            what="importing the installed packages",
            todo=f"the last line above names what is missing; './cell doctor' knows the usual causes; {_AGAIN}",
            env=process_environment(layout, env, ros),
        )
    virtual_env.mark_fresh(layout, virtual_env.requirement_key(layout, ros), python)


def _system_numpy(python: Path) -> str | None:
    result = subprocess.run([str(python), "-c", "import numpy; print(numpy.__version__)"], capture_output=True, text=True)
    return result.stdout.strip() or None


def _workspace_state(layout: Layout, env: Mapping[str, str], ros: RosSource) -> workspace.State:
    skipped = workspace.skipped_packages(layout, process_environment(layout, env, ros))
    return workspace.current_state(layout, skipped, virtual_env.read_stamp(layout).get("python", "?"))


def build(
    layout: Layout, env: Mapping[str, str], ros: RosSource, progress: Progress, select: list[str] | None = None
) -> None:
    """Build what changed since the last build (or ``select``). Raises StepFailed naming the failed package."""
    log = layout.logs / "setup" / "colcon.log"
    workspace.forget_moved(layout)
    state = _workspace_state(layout, env, ros)
    before = workspace.built_state(layout)
    changed = select or workspace.changed_packages(before, state)
    title = "all packages" if changed is None else ", ".join(changed) or "nothing to build"
    with progress.step(f"Workspace: {title if len(title) < 60 else f'{len(changed or [])} packages'}"):
        full = process_environment(layout, env, ros)
        skipped = workspace.skipped_packages(layout, full)
        if workspace.forget_removed(layout, skipped):
            full = process_environment(layout, env, ros)
        if changed is None or changed:
            run_logged(
                workspace.build_command(layout, skipped, changed), log, progress,
                what="building the workspace",
                todo="the first error is in the log; './cell setup --rebuild' starts from nothing",
                env=full, cwd=layout.workspace, show=workspace.ColconView(),
            )  # fmt: skip
    if select and before is None:
        return  # the other packages are still to be built
    built = dict(state.packages)
    if select:
        built = {**(before.packages if before else {}), **{name: state.packages[name] for name in select if name in built}}
    workspace.mark_built(layout, workspace.State(state.surroundings, built))


def default_environment() -> Mapping[str, str]:
    """The caller's environment without the entry script's own addition to PYTHONPATH."""
    env = dict(os.environ)
    own = env.pop("PICKCELL_BOOTSTRAP_PATH", None)
    if own and "PYTHONPATH" in env:
        rest = [p for p in env["PYTHONPATH"].split(":") if p and p != own]
        env.pop("PYTHONPATH")
        if rest:
            env["PYTHONPATH"] = ":".join(rest)
    return env
