"""``./cell doctor``: what is there, what is missing, and how to mend it.

Every finding is one of *ok*, *note* (works, but worth knowing) and *missing* (something needed does not work).
It changes nothing and needs nothing: it must tell the truth on a machine where all else fails.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pickcell.setup import prepare, session, system_packages, virtual_env, wheel_patch, workspace
from pickcell.setup.environment import process_environment
from pickcell.setup.layout import Layout
from pickcell.setup.progress import StepFailed
from pickcell.setup.ros_source import RosSource, choose_ros

GIB = 1024**3
_DISK_NEEDED_GIB = 4.0
_SHM_NEEDED_MIB = 256
_RENDER_PROBE = """
import importlib.util, numpy, pybullet as p
client = p.connect(p.DIRECT)
found = importlib.util.find_spec("eglRenderer")
plugin = p.loadPlugin(found.origin, "_eglRendererPlugin") if found else -1
body = p.createMultiBody(0, -1, p.createVisualShape(p.GEOM_BOX, halfExtents=[.1, .1, .1]))
view = p.computeViewMatrix([1, 0, 0], [0, 0, 0], [0, 0, 1])
seen = p.getCameraImage(64, 48, view, p.computeProjectionMatrixFOV(40, 1.3, .1, 5))[4]
assert body in numpy.asarray(seen), "the box is not in the picture"
print("drawn by", "egl" if plugin >= 0 else "software", flush=True)
"""


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    level: str
    """ok, note or missing."""
    what: str
    detail: str
    mend: str = ""


def main(layout: Layout, env: Mapping[str, str]) -> int:
    """Print the table. Returns 0, or 1 when something needed is missing."""
    findings = []
    for finding in examine(layout, env):
        findings.append(finding)
        print_finding(finding)
    missing = [f for f in findings if f.level == "missing"]
    notes = [f for f in findings if f.level == "note"]
    print()
    if missing:
        print(f"{len(missing)} missing: {', '.join(f.what for f in missing)}. ./cell setup mends most of it.")
        return 1
    print(f"All is there{f', with {len(notes)} notes above' if notes else ''}.")
    return 0


def print_finding(finding: Finding) -> None:
    """One line (two with a remedy)."""
    colours = {"ok": "32", "note": "33", "missing": "31;1"}
    level = finding.level.ljust(7)
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        level = f"\033[{colours[finding.level]}m{level}\033[0m"
    print(f"{level}  {finding.what:22} {finding.detail}", flush=True)
    if finding.mend and finding.level != "ok":
        print(f"{'':9}{'':22} -> {finding.mend}", flush=True)


def examine(layout: Layout, env: Mapping[str, str]) -> Iterator[Finding]:
    """All findings, in the order in which problems cause each other; a check that breaks is itself a finding."""
    ros = choose_ros(env)
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _machine(layout),
        lambda: _python(ros, env),
        lambda: _system(ros, env),
        lambda: _environment(layout, ros),
        lambda: _build(layout, env, ros),
        lambda: _rendering(layout, env, ros),
        lambda: _shared_memory(),
        lambda: _cell(layout, env),
    ]
    for check in checks:
        try:
            yield from check()
        except (OSError, ValueError, subprocess.SubprocessError) as problem:
            yield Finding("missing", "this check", f"could not be made: {problem}")


def _machine(layout: Layout) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    text = f"{platform.machine()}, {cores} cores, {memory:.0f} GiB memory, {_distribution()}"
    enough = cores >= 2 and memory >= 3.5
    yield Finding("ok" if enough else "note", "machine", text, "2 cores and 4 GiB keep the cell near real time")
    free = shutil.disk_usage(layout.root).free / GIB
    needed = 0.5 if layout.python.exists() else _DISK_NEEDED_GIB
    yield Finding(
        "ok" if free >= needed else "missing", "disk", f"{free:.1f} GiB free", f"free {needed:g} GiB at {layout.root}"
    )
    writable = os.access(layout.root, os.W_OK)
    yield Finding(
        "ok" if writable else "missing", "checkout", str(layout.root), "it must be writable: .venv, ros2_ws and var"
    )


def _distribution() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return platform.platform()
    return next((line.split("=", 1)[1].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), platform.platform())


def _python(ros: RosSource, env: Mapping[str, str]) -> Iterator[Finding]:
    source = "sourced ROS 2 Jazzy" if ros.is_system else "pinned wheels"
    yield Finding("ok", "ROS 2", f"{source} ({ros.why})")
    try:
        python = virtual_env.choose_interpreter(ros, env)
    except StepFailed as problem:
        yield Finding("missing", "python", problem.what, problem.todo)
        return
    yield Finding("ok", "python", f"{'.'.join(map(str, python.version))} at {python.executable}")
    if not python.has_ensurepip:
        package = f"python{python.tag}-venv"
        yield Finding("missing", package, "makes virtual environments", system_packages.one_line([package]))


def _system(ros: RosSource, env: Mapping[str, str]) -> Iterator[Finding]:
    try:
        python = virtual_env.choose_interpreter(ros, env)
        wanted = system_packages.needs(python.include, python.tag)
    except StepFailed:
        wanted = system_packages.needs(None, "3")
    lacking = system_packages.missing(wanted)
    for need in lacking:
        yield Finding("missing", need.package, need.why, system_packages.one_line([n.package for n in lacking]))
    if not lacking:
        yield Finding("ok", "system packages", f"all {len(wanted)}: {', '.join(need.package for need in wanted)}")


def _environment(layout: Layout, ros: RosSource) -> Iterator[Finding]:
    if virtual_env.probe(layout.python) is None:
        yield Finding("missing", "virtual environment", f"{layout.venv} does not run", "./cell setup")
        return
    fresh = prepare.environment_is_fresh(layout, ros)
    detail = str(layout.venv) if fresh else "made from other requirements, or never finished"
    yield Finding("ok" if fresh else "missing", "virtual environment", detail, "./cell setup")
    if ros.is_system:
        return
    wrong = virtual_env.off_pins(layout)
    detail = f"{len(virtual_env.installed(layout))} at their pins" if not wrong else "; ".join(wrong[:4])
    more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    mend = f"rm {layout.venv}/{virtual_env.STAMP} && ./cell setup"
    yield Finding("missing" if wrong else "ok", "python packages", detail + more, mend)
    raw = wheel_patch.unpatched(layout.venv)
    detail = f"{len(raw)} CMake files name the build machine" if raw else "CMake files name this Python"
    yield Finding("missing" if raw else "ok", "wheel patch", detail, mend)


def _build(layout: Layout, env: Mapping[str, str], ros: RosSource) -> Iterator[Finding]:
    packages = workspace.find_packages(layout.workspace / "src")
    skipped = workspace.skipped_packages(layout, process_environment(layout, env, ros))
    absent = [p.name for p in packages if p.name not in skipped and not (layout.install / p.name).is_dir()]
    if absent:
        yield Finding("missing", "workspace", f"not built: {', '.join(absent)}", "./cell setup")
    elif not prepare.workspace_is_fresh(layout, env, ros):
        yield Finding("note", "workspace", "sources changed since the build", "the next ./cell command builds them")
    else:
        yield Finding("ok", "workspace", f"{len(packages)} packages built")


def _rendering(layout: Layout, env: Mapping[str, str], ros: RosSource) -> Iterator[Finding]:
    if not layout.python.exists():
        return
    result = subprocess.run(
        [str(layout.python), "-c", _RENDER_PROBE],
        env=process_environment(layout, env, ros),
        capture_output=True,
        text=True,
        timeout=60,
    )
    mend = system_packages.one_line(["libegl1", "libgl1-mesa-dri"])
    if result.returncode == 0 and "drawn by egl" in result.stdout:
        gl = re.search(r"GL_RENDERER=(.*)", result.stdout)
        yield Finding("ok", "rendering", f"EGL draws: {gl.group(1) if gl else 'a GPU, or Mesa on the CPU'}")
    elif result.returncode == 0:
        yield Finding("note", "rendering", "only PyBullet's slow software renderer works", mend)
    else:
        reason = (result.stderr.strip().splitlines() or [f"code {result.returncode}"])[-1]
        yield Finding(
            "missing",
            "rendering",
            f"cameras cannot draw: {reason}",
            system_packages.one_line(["libegl1", "libgl1-mesa-dri"]),
        )


def _shared_memory() -> Iterator[Finding]:
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        yield Finding("missing", "shared memory", f"{folder} is not writable: images cannot travel", "mount a tmpfs there")
        return
    usage = shutil.disk_usage(folder)
    total, free = usage.total / 2**20, usage.free / 2**20
    mend = "in a container: docker run --shm-size=1g (or --ipc=host)"
    level = "ok" if free >= _SHM_NEEDED_MIB else "missing"
    yield Finding(level, "shared memory", f"{free:.0f} of {total:.0f} MiB free in {folder}", mend)
    segments = [p for p in folder.glob("fastrtps_*") if not p.name.endswith(("_el", "_sl"))]
    size = sum(p.stat().st_size for p in segments) / 2**20
    if segments:
        many = len(segments) > 60
        text = f"{len(segments)} segments, {size:.0f} MiB (of running or of killed processes)"
        yield Finding(
            "note" if many else "ok", "DDS segments", text, "./cell run fastdds shm clean  removes those of the dead"
        )


def _cell(layout: Layout, env: Mapping[str, str]) -> Iterator[Finding]:
    now = session.running(layout)
    if now is None:
        yield Finding("ok", "cell", "not running")
    else:
        nodes = session.node_states(now)
        down = [str(n["label"]) for n in nodes if n["pid"] is None]
        again = [f"{n['label']} ({n['starts']} starts)" for n in nodes if int(str(n["starts"])) > 1]
        text = f"running, process {now.pid}, {len(nodes)} nodes, ROS domain {now.domain}"
        if down or again:
            text += "; " + "; ".join(
                [f"not running: {', '.join(down)}"] * bool(down) + [f"restarted: {', '.join(again)}"] * bool(again)
            )
        yield Finding("note" if down or again else "ok", "cell", text, f"see {now.log}/launch.log")
    rest = session.leftovers(layout)
    if rest:
        text = ", ".join(f"{pid} {command.split()[0]}" for pid, command in rest[:3])
        yield Finding("note", "leftover processes", f"{len(rest)}: {text}", "./cell down  ends them")
    domain = int(env.get("ROS_DOMAIN_ID", "0") or 0)
    others = dds_participants(domain)
    if others and now is None:
        text = f"{others} DDS participants are on ROS domain {domain} of this machine"
        yield Finding(
            "note", "network", text, "another cell or ROS program? export ROS_DOMAIN_ID to another number to keep apart"
        )


def dds_participants(domain: int, table: str | None = None) -> int:
    """Participants of a ROS domain on this machine, by their discovery ports (DDSI-RTPS 9.6.1.1: 7410 + 250 d + 2 p)."""
    text = Path("/proc/net/udp").read_text() if table is None else table
    ports = {int(line.split()[1].rpartition(":")[2], 16) for line in text.splitlines()[1:] if line.strip()}
    first = 7400 + 250 * domain + 10
    return sum(1 for port in ports if first <= port < first + 240 and (port - first) % 2 == 0)
