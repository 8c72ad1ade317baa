"""Steps with a name, the time they take, and what they are doing, on a terminal or in a log.

On a terminal the current step is one living line; elsewhere (CI) each step is a line when it starts, one every
half minute while it runs, and one when it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_HEARTBEAT_S = 30.0
_TAIL_LINES = 15


class StepFailed(Exception):  # noqa: N818 - reads as the event it is
    """A step that did not work: what, why, where the log is, and what to do."""

    def __init__(self, what: str, why: str = "", log: Path | None = None, todo: str = "", tail: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what, self.why, self.log, self.todo, self.tail = what, why, log, todo, tuple(tail)

    def text(self) -> str:
        """The whole story, for people."""
        lines = [f"failed: {self.what}"]
        lines += [f"  why:  {self.why}"] if self.why else []
        lines += [f"  | {line}" for line in self.tail]
        lines += [f"  log:  {self.log}"] if self.log else []
        lines += [f"  do:   {self.todo}"] if self.todo else []
        return "\n".join(lines)


def clock(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


class Progress:
    """Shows steps on ``screen``."""

    def __init__(self, screen: IO[str] | None = None, quiet: bool = False) -> None:
        self._screen = screen or sys.stderr
        self._live = self._screen.isatty() and os.environ.get("TERM", "") != "dumb"
        self._quiet = quiet
        self._lock = threading.Lock()
        self._title = ""
        self._detail = ""
        self._number = 0
        self._total = 0
        self.started_s = time.monotonic()

    def plan(self, total: int) -> None:
        """How many steps are to come."""
        self._number, self._total = 0, total
        self.started_s = time.monotonic()

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._quiet:
            return
        with self._lock:
            self._clear()
            print(text, file=self._screen, flush=True)

    def detail(self, text: str) -> None:
        """What the current step is doing now."""
        self._detail = " ".join(text.split())

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show one step while the block runs; a failure is marked and goes on upwards."""
        self._number += 1
        self._title, self._detail = title, ""
        started_s = time.monotonic()
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(done, started_s), daemon=True)
        if not self._live:
            self.say(f"{self._head()} ...")
        ticker.start()
        mark = "failed"
        try:
            yield
            mark = "done"
        except KeyboardInterrupt:
            mark = "interrupted"
            raise
        finally:
            done.set()
            ticker.join()
            self.say(f"{self._head()}  {mark}, {clock(time.monotonic() - started_s)}")

    def _head(self) -> str:
        count = f"[{self._number}/{self._total}] " if self._total else ""
        return f"{count}{self._title}"

    def _tick(self, done: threading.Event, started_s: float) -> None:
        turn = 0
        last_s = started_s
        while not done.wait(0.1 if self._live else 1.0):
            elapsed_s = time.monotonic() - started_s
            if self._quiet:
                continue
            if self._live:
                width = max(20, shutil.get_terminal_size().columns - 1)
                text = f"{_SPINNER[turn % len(_SPINNER)]} {self._head()}  {clock(elapsed_s)}  {self._detail}"
                with self._lock:
                    print(f"\r\033[K{text[:width]}", end="", file=self._screen, flush=True)
                turn += 1
            elif time.monotonic() - last_s >= _HEARTBEAT_S:
                last_s = time.monotonic()
                self.say(f"    {clock(elapsed_s)}: {self._detail or 'working'}")

    def _clear(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=self._screen)


def run_logged(
    command: Sequence[str],
    log: Path,
    progress: Progress,
    *,
    what: str,
    todo: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    show: Callable[[str], str | None] | None = None,
) -> None:
    """Run a command with its output in ``log`` and its latest line as the step's detail. Raises StepFailed.

    The command gets a process group of its own, ended as a whole when the user interrupts.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: list[str] = []
    with log.open("a", encoding="utf-8") as sink:
        sink.write(f"$ {' '.join(command)}\n")
        sink.flush()
        try:
            process = subprocess.Popen(
                list(command), cwd=cwd, env=None if env is None else dict(env), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        except OSError as problem:
            raise StepFailed(what, f"{command[0]}: {problem.strerror}", log, todo) from problem
        assert process.stdout is not None
        try:
            for line in process.stdout:
                sink.write(line)
                text = line.rstrip()
                if text:
                    tail = [*tail[-(_TAIL_LINES - 1) :], text]
                    shown = show(text) if show else text
                    if shown:
                        progress.detail(shown)
            code = process.wait()
        except BaseException:
            end_group(process)
            raise
    if code:
        raise StepFailed(what, f"'{Path(command[0]).name}' ended with code {code}", log, todo, tail)


def end_group(process: subprocess.Popen[str], patience_s: float = 5.0) -> None:
    """End a process and all of its group: asked first, then by force."""
    for number, wait_s in ((signal.SIGINT, patience_s), (signal.SIGTERM, patience_s), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(wait_s)
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end us as Ctrl-C does, so that every clean-up runs."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    previous = {n: signal.signal(n, interrupt) for n in (signal.SIGTERM, signal.SIGHUP)}
    # A background job of a script starts with SIGINT ignored; stopping it must work all the same.
    previous[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
