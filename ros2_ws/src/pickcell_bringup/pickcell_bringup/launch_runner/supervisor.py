"""Start node processes, watch them, start them again, and end them, all in one thread.

Every process gets a session and process group of its own, so that the terminal's Ctrl-C reaches only the runner,
which then asks the nodes to stop (SIGINT), insists (SIGTERM) and finally ends them (SIGKILL). Whatever a node left
behind in its group is ended with it. Should the runner itself be killed, the kernel ends the nodes
(``PR_SET_PDEATHSIG``). One thread only: the death signal is tied to the thread that forked, and forking with
threads around is unsafe.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from pickcell_bringup.launch_runner.console import Console, LineSplitter
from pickcell_bringup.launch_runner.node_spec import NodeSpec, command

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ESCALATION = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@dataclass
class _Node:
    """One node's process through its lives."""

    spec: NodeSpec
    process: subprocess.Popen[bytes] | None = None
    splitters: dict[int, LineSplitter] = field(default_factory=dict)
    restart_at_s: float | None = None
    starts: int = 0
    exit_code: int | None = None


class Supervisor:
    """Runs ``specs`` until all have ended or a stop is asked for."""

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        console: Console,
        parameter_folder: Path,
        state_file: Path | None = None,
        patience_s: float = 5.0,
    ) -> None:
        """``patience_s``: time between asking, insisting and ending."""
        self._nodes = [_Node(spec) for spec in specs]
        self._console = console
        self._parameters = parameter_folder
        self._state_file = state_file
        self._patience_s = patience_s
        self._selector = selectors.DefaultSelector()
        self._step = -1  # index into the escalation, -1 while running
        self._escalate_at_s = 0.0
        self._asked: list[int] = []
        self._failed = False

    def run(self) -> int:
        """Start everything and stay until the end. Returns 0, or 1 when a node ended badly without being asked to."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        previous_fd = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        previous = {s: signal.signal(s, self._on_stop_signal) for s in _STOP_SIGNALS}
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _ignore)  # only to wake the loop
        self._selector.register(wake_read, selectors.EVENT_READ, None)
        try:
            for node in self._nodes:
                if self._asked:
                    break
                self._start(node)
            while any(n.process is not None or n.restart_at_s is not None for n in self._nodes):
                self._turn()
        finally:
            self._end_everything()
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(wake_read)
            os.close(wake_write)
        return 1 if self._failed else 0

    # -- the loop ----------------------------------------------------------------------------------------------
    def _turn(self) -> None:
        """One round: output, exits, stop requests, restarts, escalation."""
        for key, _ in self._selector.select(self._sleep_s()):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
            else:
                self._read(key.fd, *key.data)
        self._reap()
        while self._asked:
            self._handle_stop(self._asked.pop(0))
        now = time.monotonic()
        if self._step < 0:
            for node in self._nodes:
                if node.restart_at_s is not None and now >= node.restart_at_s:
                    self._start(node)
        elif now >= self._escalate_at_s and self._step + 1 < len(_ESCALATION):
            self._escalate()

    def _sleep_s(self) -> float | None:
        """Time to the next thing that happens by itself; None to wait for an event."""
        due = [n.restart_at_s for n in self._nodes if n.restart_at_s is not None] if self._step < 0 else []
        if 0 <= self._step < len(_ESCALATION) - 1:
            due.append(self._escalate_at_s)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _on_stop_signal(self, number: int, _frame: FrameType | None) -> None:
        self._asked.append(number)

    def _handle_stop(self, number: int) -> None:
        if self._step < 0:
            self._console.say(f"{signal.Signals(number).name}: stopping {len(self._running())} nodes")
            for node in self._nodes:
                node.restart_at_s = None
            self._escalate()
        elif self._step + 1 < len(_ESCALATION):  # asked again: somebody is impatient
            self._escalate()

    def _escalate(self) -> None:
        self._step += 1
        number = _ESCALATION[self._step]
        running = self._running()
        if self._step and running:
            names = ", ".join(n.spec.label for n in running)
            self._console.say(f"still running: {names}; sending {number.name}")
        for node in running:
            assert node.process is not None
            _signal_group(node.process.pid, number)
        self._escalate_at_s = time.monotonic() + self._patience_s

    def _running(self) -> list[_Node]:
        return [n for n in self._nodes if n.process is not None]

    # -- one process -------------------------------------------------------------------------------------------
    def _start(self, node: _Node) -> None:
        spec = node.spec
        node.restart_at_s = None
        line = command(spec, self._parameters)
        try:
            node.process = subprocess.Popen(
                line,
                env=spec.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
            )
        except OSError as problem:
            self._console.say(f"{spec.label} cannot be started: {problem} ({spec.source})")
            self._failed = True
            self._plan_restart(node)
            return
        node.starts += 1
        again = f", start {node.starts}" if node.starts > 1 else ""
        self._console.line(spec.label, f"started, pid {node.process.pid}{again}", on_screen=False)
        for stream, on_screen in ((node.process.stdout, spec.on_screen), (node.process.stderr, True)):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            node.splitters[stream.fileno()] = LineSplitter()
            self._selector.register(stream, selectors.EVENT_READ, (node, stream, on_screen))
        self._write_state()

    def _read(self, fd: int, node: _Node, stream: IO[bytes], on_screen: bool) -> bool:
        """Pass on what one pipe holds. False at its end, or when it holds nothing."""
        try:
            chunk = os.read(fd, 65536)
        except BlockingIOError:
            return False
        for text in node.splitters[fd].feed(chunk):
            self._console.line(node.spec.label, text, on_screen)
        if not chunk:
            self._close(fd, node, stream, on_screen)
        return bool(chunk)

    def _close(self, fd: int, node: _Node, stream: IO[bytes], on_screen: bool) -> None:
        self._selector.unregister(stream)
        for text in node.splitters.pop(fd).flush():
            self._console.line(node.spec.label, text, on_screen)
        stream.close()

    def _reap(self) -> None:
        """Take note of processes that ended, and end what they left in their groups."""
        for node in self._nodes:
            if node.process is None or not _has_ended(node.process.pid):
                continue
            # Its zombie still holds the group's number, so the signal cannot reach a stranger.
            _signal_group(node.process.pid, signal.SIGKILL)
            node.exit_code = node.process.wait()
            for stream, on_screen in ((node.process.stdout, node.spec.on_screen), (node.process.stderr, True)):
                if stream is not None and not stream.closed:
                    fd = stream.fileno()
                    while self._read(fd, node, stream, on_screen):
                        pass
                    if not stream.closed:
                        self._close(fd, node, stream, on_screen)
            node.process = None
            self._report_exit(node)
            self._write_state()

    def _report_exit(self, node: _Node) -> None:
        code, label = node.exit_code or 0, node.spec.label
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if self._step >= 0:
            self._console.line(label, how, on_screen=False)
            return
        restart = f", starting again in {node.spec.respawn_delay_s:g} s" if node.spec.respawn else ""
        self._console.line(label, how + restart)
        self._failed = self._failed or (code != 0 and not node.spec.respawn)
        self._plan_restart(node)

    def _plan_restart(self, node: _Node) -> None:
        if node.spec.respawn and self._step < 0:
            node.restart_at_s = time.monotonic() + node.spec.respawn_delay_s

    def _end_everything(self) -> None:
        """The last resort, for exceptions out of the loop: no process survives the runner."""
        for node in self._running():
            assert node.process is not None
            _signal_group(node.process.pid, signal.SIGKILL)
            node.exit_code = node.process.wait()
            node.process = None
        self._write_state()

    def _write_state(self) -> None:
        """Publish pids for ``status`` and for people; written aside and moved, so that readers see whole files."""
        if self._state_file is None:
            return
        nodes = [
            {
                "name": n.spec.full_name or n.spec.label,
                "label": n.spec.label,
                "pid": n.process.pid if n.process else None,
                "starts": n.starts,
                "exit_code": n.exit_code,
            }
            for n in self._nodes
        ]
        part = self._state_file.with_suffix(".part")
        part.write_text(json.dumps({"pid": os.getpid(), "nodes": nodes}, indent=1) + "\n", encoding="utf-8")
        part.replace(self._state_file)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass


def _die_with(parent: int) -> Callable[[], None]:
    """A function for the child between fork and exec: default signals, and death with the runner."""

    def prepare() -> None:
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):  # a background shell lets its children ignore SIGINT
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the runner died before the line above
            os._exit(1)

    return prepare


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _has_ended(pid: int) -> bool:
    """Whether child ``pid`` is a zombie, without reaping it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
