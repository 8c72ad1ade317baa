"""Start and stop the running cell: one per checkout, in the background, never half alive.

The launch runner holds a lock file for as long as it lives, so "is a cell up?" has one answer that no crash can
falsify. Its state (pid, log folder, arguments) lies beside the lock for people and for ``./cell status``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pickcell.setup.environment import process_environment
from pickcell.setup.layout import Layout
from pickcell.setup.locks import FileLock
from pickcell.setup.progress import Progress, StepFailed, clock

LAUNCH_FILE = "launch/pick.launch.yaml"
RUN_MARKER = "PICKCELL_RUN"
"""Environment variable, holding the log folder, by which the nodes of a started cell are told from other processes."""
KEPT_LOGS = 20
_STOPPING = ((signal.SIGINT, 16.0), (signal.SIGTERM, 22.0), (signal.SIGKILL, 27.0))
"""What the runner is told, and until when we wait; it needs up to 10 s itself to end a stubborn node."""


@dataclass
class Running:
    """What is known about the running cell."""

    pid: int
    log: str
    launch_file: str
    arguments: list[str] = field(default_factory=list)
    started: float = 0.0
    """Unix time."""
    domain: str = "0"
    """ROS_DOMAIN_ID the nodes use; other processes must use the same to see them."""


def cell_lock(layout: Layout) -> FileLock:
    """The lock the launch runner holds."""
    return FileLock(layout.run / "cell.lock")


def running(layout: Layout) -> Running | None:
    """The running cell, or None."""
    if not cell_lock(layout).is_held():
        return None
    try:
        return Running(**json.loads((layout.run / "cell.json").read_text()))
    except (OSError, ValueError, TypeError):
        return Running(cell_lock(layout).holder() or 0, str(layout.logs), "?")


def client_environment(layout: Layout, base: Mapping[str, str]) -> dict[str, str]:
    """Environment for a program that talks to the running cell (same ROS domain)."""
    env = process_environment(layout, base)
    now = running(layout)
    if now is not None:
        env["ROS_DOMAIN_ID"] = now.domain
    return env


def launch_arguments(
    layout: Layout, cell: str | None, tote: str | None, seed: int | None, further: Sequence[str]
) -> list[str]:
    """``name:=value`` words for the launch file. Raises StepFailed for a file that is not there.

    Cells and totes are given by file, or by name when they come with the project.
    """
    words = []
    if cell is not None:
        name, path = _named_or_file(layout.root / "config/cells", cell, "cell")
        words.append(f"cell:={name}" if name else f"cell_file:={path}")
    if tote is not None:
        name, path = _named_or_file(layout.root / "config/totes", tote, "tote")
        words.append(f"tote:={name}" if name else f"tote_file:={path}")
    if seed is not None:
        words.append(f"seed:={seed}")
    for word in further:
        if ":=" not in word:
            raise StepFailed(
                f"'{word}' is not a launch argument", todo="write name:=value; ./cell up --show-args lists them"
            )
        words.append(word)
    return words


def _named_or_file(folder: Path, value: str, kind: str) -> tuple[str | None, Path]:
    """``value`` as (name, file): the name is None for a file outside the project's folder."""
    for path in (Path(value).expanduser().resolve(), folder / f"{value}.yaml"):
        if path.is_file():
            return (path.stem if path.parent == folder.resolve() else None), path
    there = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
    raise StepFailed(f"there is no {kind} file {value}", f"in {folder} there are: {there}")


def runner_command(layout: Layout, launch_file: str, words: Sequence[str]) -> list[str]:
    """The launch runner's call."""
    return [str(layout.python), "-m", "pickcell_bringup.launch_runner", str(layout.root / launch_file), *words]


def start(layout: Layout, base: Mapping[str, str], words: Sequence[str], launch_file: str = LAUNCH_FILE) -> Running:
    """Start the runner in the background. Raises StepFailed when a cell is up already or the file is wrong."""
    env = process_environment(layout, base)
    check = subprocess.run(
        [*runner_command(layout, launch_file, words), "--json"], env=env, capture_output=True, text=True, cwd=layout.root
    )
    if check.returncode:
        raise StepFailed("the launch file cannot be run", (check.stderr or check.stdout).strip())
    lock = cell_lock(layout)
    if not lock.acquire():
        raise StepFailed("a cell is already up in this checkout", todo="./cell status shows it, ./cell down stops it")
    try:
        folder = new_log_folder(layout)
        env[RUN_MARKER] = str(folder)
        command = [*runner_command(layout, launch_file, words), "--log-dir", str(folder)]
        command += ["--state", str(folder / "processes.json")]
        with (folder / "screen.log").open("w") as screen:
            process = subprocess.Popen(
                command, env=env, cwd=layout.root, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT,
                start_new_session=True, pass_fds=(lock.fd,),
            )  # fmt: skip
        now = Running(process.pid, str(folder), launch_file, list(words), time.time(), env.get("ROS_DOMAIN_ID", "0"))
        (layout.run / "cell.json").write_text(json.dumps(asdict(now), indent=1) + "\n")
        lock.path.write_text(f"{process.pid}\n")
    finally:
        lock.release()  # ours; the runner keeps its copy
    return now


def new_log_folder(layout: Layout) -> Path:
    """A fresh folder under var/log, ``latest`` pointing at it, the oldest ones gone."""
    stem = time.strftime("%Y%m%d-%H%M%S")
    folder = layout.logs / stem
    number = 1
    while folder.exists():
        number += 1
        folder = layout.logs / f"{stem}-{number}"
    folder.mkdir(parents=True)
    latest = layout.logs / "latest"
    with contextlib.suppress(FileNotFoundError):
        latest.unlink()
    with contextlib.suppress(FileExistsError):
        latest.symlink_to(folder.name)
    old = sorted(p for p in layout.logs.iterdir() if p.is_dir() and not p.is_symlink() and p.name[:2] == "20")
    for path in old[:-KEPT_LOGS]:
        shutil.rmtree(path, ignore_errors=True)
    return folder


def wait_ready(layout: Layout, base: Mapping[str, str], now: Running, progress: Progress, timeout_s: float) -> None:
    """Wait until the cell says that it can pick. Raises StepFailed (the cell stays up: its logs tell more)."""
    command = [str(layout.python), "-m", "pickcell_cli", "wait", "--timeout", f"{timeout_s:g}"]
    log = Path(now.log) / "wait.log"
    with progress.step("Cell: nodes start, cameras deliver, the arm stands still"), log.open("w+") as sink:
        process = subprocess.Popen(
            command, env=client_environment(layout, base), cwd=layout.root, stdin=subprocess.DEVNULL,
            stdout=sink, stderr=sink, start_new_session=True, text=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                time.sleep(0.1)
                progress.detail(last_line(log))
                if not cell_lock(layout).is_held():
                    raise StepFailed("the cell ended while starting", log=Path(now.log) / "launch.log", tail=trouble(now))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode:
        why = last_line(log) or f"no answer within {clock(timeout_s)}"
        todo = "./cell status and ./cell doctor tell more; ./cell down stops it"
        raise StepFailed("the cell is not ready", why, Path(now.log) / "launch.log", todo, trouble(now))


def last_line(path: Path) -> str:
    """The last non-empty line of a growing file."""
    with contextlib.suppress(OSError):
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""
    return ""


def trouble(now: Running, lines: int = 15) -> list[str]:
    """The most telling last lines of the launch log: errors if there are any, else its end."""
    with contextlib.suppress(OSError):
        text = (Path(now.log) / "launch.log").read_text(errors="replace").splitlines()
        words = ("error", "fatal", "traceback", "exception", "ended ", "cannot")
        telling = [line for line in text if any(w in line.lower() for w in words)]
        return (telling or text)[-lines:]
    return []


def stop(layout: Layout, progress: Progress) -> bool:
    """Stop the cell and see that nothing of it is left. False when none was up. Raises StepFailed if it resists."""
    now = running(layout)
    if now is None:
        (layout.run / "cell.json").unlink(missing_ok=True)
        return False
    if now.pid <= 1:
        raise StepFailed(
            "a cell is up, but its process is unknown", todo=f"end the process that holds {layout.run}/cell.lock"
        )
    lock = cell_lock(layout)
    groups = node_pids(now)
    with progress.step("Stopping the cell"):
        begun_s = time.monotonic()
        for number, until_s in _STOPPING:
            with contextlib.suppress(ProcessLookupError):
                os.kill(now.pid, number)
            while lock.is_held() and time.monotonic() - begun_s < until_s:
                time.sleep(0.05)
            if not lock.is_held():
                break
        for pid in groups:  # only matters if the runner had to be killed
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if _belongs_to_a_run(pid, layout):
                    os.killpg(pid, signal.SIGKILL)
    if lock.is_held():
        raise StepFailed(f"process {now.pid} does not end", log=Path(now.log), todo=f"kill -9 {now.pid}")
    (layout.run / "cell.json").unlink(missing_ok=True)
    return True


def node_states(now: Running) -> list[dict[str, object]]:
    """The runner's list of nodes: name, label, pid, starts, exit_code."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return list(json.loads((Path(now.log) / "processes.json").read_text())["nodes"])
    return []


def node_pids(now: Running) -> list[int]:
    """Pids of the nodes that run."""
    return [n["pid"] for n in node_states(now) if isinstance(n["pid"], int)]


def _belongs_to_a_run(pid: int, layout: Layout) -> bool:
    """Whether process ``pid`` came from a cell started in this checkout (a pid alone may have been reused)."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return any(word.startswith(f"{RUN_MARKER}={layout.logs}/".encode()) for word in words)
    return False


def leftovers(layout: Layout) -> list[tuple[int, str]]:
    """Node processes of this checkout that belong to no running cell: (pid, command)."""
    now = running(layout)
    known = {now.pid, *node_pids(now)} if now else set()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) in known:
            continue
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if "--ros-args" in command and _belongs_to_a_run(int(folder.name), layout):
                found.append((int(folder.name), command[:100]))
    return sorted(found)
