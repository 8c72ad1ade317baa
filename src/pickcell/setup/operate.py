"""``up``, ``down`` and ``demo``: the running cell as people use it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pickcell.setup import prepare, session
from pickcell.setup.environment import process_environment
from pickcell.setup.layout import Layout
from pickcell.setup.progress import Progress, StepFailed, clock, end_group

ENOUGH_DELIVERED = 0.75
"""Share of the demo's items that must arrive: geometric baselines do not get every item out of a heap."""


def up(layout: Layout, env: Mapping[str, str], progress: Progress, options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Start the cell in the background; with one already up, say so."""
    now = session.running(layout)
    if now is not None:
        progress.say(f"The cell is already up {_since(now)}: logs in {now.log}")
        progress.say("  ./cell status    what it is doing\n  ./cell down      stop it")
        return 0
    only_look = options.show_args or options.print_tree
    prepare.prepare(layout, env, progress, warm=not only_look)
    if only_look:
        words = [] if options.show_args else _words(layout, options, rest)
        flag = "--show-args" if options.show_args else "--print"
        command = [*session.runner_command(layout, session.LAUNCH_FILE, words), flag]
        return subprocess.run(command, env=process_environment(layout, env), cwd=layout.root, check=False).returncode
    started = bring_up(layout, env, progress, _words(layout, options, rest), options.timeout)
    progress.say(f"The cell is up. Logs: {started.log}")
    progress.say("  ./cell status                           what it sees and does")
    progress.say("  ./cell order config/orders/demo.yaml    pick an order")
    progress.say("  ./cell down                             stop it")
    return 0


def bring_up(
    layout: Layout, env: Mapping[str, str], progress: Progress, words: Sequence[str], timeout_s: float
) -> session.Running:
    """Start and wait; an interrupted or ended start leaves nothing, an unready cell stays for a look."""
    progress.plan(0)
    clean_shared_memory(layout, env)
    now = session.start(layout, env, words)
    try:
        session.wait_ready(layout, env, now, progress, timeout_s)
    except KeyboardInterrupt:
        session.stop(layout, progress)
        raise
    return now


def down(layout: Layout, progress: Progress) -> int:
    """Stop the cell, and any node that outlived a killed runner."""
    stopped = session.stop(layout, progress)
    ended = end_leftovers(layout)
    if stopped:
        progress.say("The cell is down.")
    elif not ended:
        progress.say("No cell is up.")
    for pid, command in ended:
        progress.say(f"ended a leftover process: {pid} {command}")
    return 0


def demo(layout: Layout, env: Mapping[str, str], progress: Progress, options: argparse.Namespace) -> int:
    """The whole story, from nothing to a report."""
    begun_s, begun_unix = time.monotonic(), time.time()
    order = (layout.root / options.order) if not Path(options.order).is_file() else Path(options.order).resolve()
    if not order.is_file():
        raise StepFailed(f"there is no order file {options.order}", todo="see config/orders/")
    if session.running(layout) is not None:
        raise StepFailed("a cell is already up; the demo starts its own", todo="./cell down, then ./cell demo")
    prepare.prepare(layout, env, progress, warm=True)
    options.tote = options.tote or "demo"
    result = layout.run / "demo.json"
    result.unlink(missing_ok=True)
    try:
        bring_up(layout, env, progress, _words(layout, options, ()), options.timeout)
        command = [str(layout.python), "-m", "pickcell_cli", "order", str(order), "--json", str(result)]
        code = run_attached(command, session.client_environment(layout, env), layout.root)
    finally:
        if not options.keep:
            session.stop(layout, progress)
    return _conclude(layout, progress, result, code, begun_s, begun_unix)


def _conclude(layout: Layout, progress: Progress, result: Path, code: int, begun_s: float, begun_unix: float) -> int:
    """Say how the demo went and where its report is; its exit code."""
    took = clock(time.monotonic() - begun_s)
    counts = delivered(result)
    if counts is None:
        progress.say(f"The demo failed after {took}: the order did not end (code {code}).")
    else:
        progress.say(f"The demo delivered {counts[0]} of {counts[1]} items and took {took}, setting up included.")
    report = newest_report(layout, begun_unix)
    if report is not None:
        progress.say(f"Report: {report}\n        open it in a browser: file://{report}")
    progress.say(f"Logs:   {(layout.logs / 'latest').resolve()}")
    if counts is None:
        return code or 1
    return 0 if counts[0] >= ENOUGH_DELIVERED * counts[1] else 1


def delivered(result: Path) -> tuple[int, int] | None:
    """(delivered, ordered) items of the client's result file; None when the order has not ended."""
    try:
        items = json.loads(result.read_text())["items"]
        return sum(item["outcome"]["code"] == "ok" for item in items), len(items)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run_attached(command: Sequence[str], env: Mapping[str, str], cwd: Path) -> int:
    """Run a program on our terminal; Ctrl-C is passed on, and it gets time to clean up."""
    process = subprocess.Popen(list(command), env=dict(env), cwd=cwd, start_new_session=True, text=True)
    try:
        return process.wait()
    except KeyboardInterrupt:
        end_group(process, patience_s=10.0)
        raise


def newest_report(layout: Layout, since_unix: float) -> Path | None:
    """The HTML report written last since a moment, None if there is none."""
    found = [p for p in (layout.var / "reports").rglob("*.html") if p.stat().st_mtime >= since_unix]
    return max(found, key=lambda p: p.stat().st_mtime, default=None)


def clean_shared_memory(layout: Layout, env: Mapping[str, str]) -> None:
    """Remove Fast DDS segments of dead processes; live ones are locked and stay. Quietly does nothing without the tool."""
    tool = layout.venv / "tools/fastdds/fastdds.py"
    if tool.is_file():
        command = [str(layout.python), str(tool), "shm", "clean"]
        subprocess.run(command, env=process_environment(layout, env), capture_output=True, timeout=60, check=False)


def end_leftovers(layout: Layout) -> list[tuple[int, str]]:
    """End node processes of this checkout that no running cell owns; return them."""
    found = session.leftovers(layout)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, _ in found:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        end_s = time.monotonic() + 3.0
        while time.monotonic() < end_s and any(Path(f"/proc/{pid}").exists() for pid, _ in found):
            time.sleep(0.05)
    return found


def _words(layout: Layout, options: argparse.Namespace, rest: Sequence[str]) -> list[str]:
    words = session.launch_arguments(layout, options.cell, options.tote, options.seed, rest)
    if options.window:
        words.append("headless:=false")
    if options.live or options.pace is not None:
        words.append(f"realtime_factor:={1.0 if options.live else options.pace}")
    return words


def _since(now: session.Running) -> str:
    return f"since {time.strftime('%H:%M:%S', time.localtime(now.started))}" if now.started else ""
