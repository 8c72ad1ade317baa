"""The runner with real processes: output, respawn, escalation, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BRINGUP = Path(__file__).resolve().parents[2] / "ros2_ws/src/pickcell_bringup"

SLEEPER = """
import time
print("up", flush=True)
try:
    time.sleep(120)
except KeyboardInterrupt:
    print("asked to stop", flush=True)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(120)
"""
PARENT = """
import subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(120)"
child = subprocess.Popen([sys.executable, "-c", deaf])
print("child", child.pid, flush=True)
try:
    time.sleep(120)
except KeyboardInterrupt:
    pass
"""
CRASHER = """
import sys
print("no end of line", end="")
sys.stderr.write("it broke\\n")
sys.exit(3)
"""


class Cell:
    """A launch file with given programs, and the runner on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.json"
        self.logs = folder / "logs"
        self._lib = folder / "prefix/lib/demo"
        self._lib.mkdir(parents=True)
        marker = folder / "prefix/share/ament_index/resource_index/packages/demo"
        marker.parent.mkdir(parents=True)
        marker.touch()
        self.process: subprocess.Popen[str] | None = None

    def start(self, programs: dict[str, tuple[str, str]], patience_s: float = 0.5, shell_background: bool = False) -> None:
        """``programs``: name -> (source, further YAML attributes)."""
        text = "launch:\n"
        for name, (source, attributes) in programs.items():
            path = self._lib / name
            path.write_text(f"#!{sys.executable}\n{source}")
            path.chmod(0o755)
            text += f"- node: {{pkg: demo, exec: {name}, name: {name}, output: screen{attributes}}}\n"
        (self.folder / "a.launch.yaml").write_text(text)
        env = dict(os.environ, PYTHONPATH=str(BRINGUP), AMENT_PREFIX_PATH=str(self.folder / "prefix"), PYTHONUNBUFFERED="1")
        command = [sys.executable, "-m", "pickcell_bringup.launch_runner", str(self.folder / "a.launch.yaml")]
        command += ["--state", str(self.state), "--log-dir", str(self.logs), "--patience", str(patience_s)]
        ignore = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if shell_background else None
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, preexec_fn=ignore)  # type: ignore[assignment]

    def nodes(self) -> dict[str, dict[str, int]]:
        """The state file's nodes by label; empty before it exists."""
        with contextlib.suppress(OSError, ValueError):
            return {n["label"]: n for n in json.loads(self.state.read_text())["nodes"]}
        return {}

    def pids(self) -> list[int]:
        return [n["pid"] for n in self.nodes().values() if n["pid"]]

    def log(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def end(self, timeout_s: float = 15.0) -> tuple[int, str]:
        assert self.process is not None
        out, _ = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    made = Cell(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def _until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_every_node_cleanly(cell: Cell, number: signal.Signals) -> None:
    cell.start({"one": (SLEEPER, ""), "two": (SLEEPER, ", respawn: true")})
    _until(lambda: "up" in cell.log("one") and "up" in cell.log("two"))
    pids = cell.pids()
    assert len(pids) == 2
    assert all(os.getpgid(pid) == pid for pid in pids)  # a process group each
    assert cell.process is not None
    cell.process.send_signal(number)
    code, out = cell.end()
    assert code == 0
    assert "asked to stop" in cell.log("one") and "asked to stop" in cell.log("two")
    assert not any(_alive(pid) for pid in pids)
    assert "[one]" in out and "all nodes have ended" in out


def test_started_in_a_scripts_background_nodes_still_get_sigint(cell: Cell) -> None:
    cell.start({"one": (SLEEPER, "")}, shell_background=True)
    _until(lambda: "up" in cell.log("one"))
    assert cell.process is not None
    cell.process.send_signal(signal.SIGINT)
    assert cell.end()[0] == 0
    assert "asked to stop" in cell.log("one")


def test_a_stubborn_node_is_ended_by_force(cell: Cell) -> None:
    cell.start({"mule": (STUBBORN, "")}, patience_s=0.3)
    _until(lambda: "up" in cell.log("mule"))
    pids = cell.pids()
    assert cell.process is not None
    cell.process.send_signal(signal.SIGINT)
    code, out = cell.end()
    assert code == 0
    assert "sending SIGTERM" in out and "sending SIGKILL" in out
    assert not any(_alive(pid) for pid in pids)


def test_a_second_ctrl_c_hurries(cell: Cell) -> None:
    cell.start({"mule": (STUBBORN, "")}, patience_s=60.0)
    _until(lambda: "up" in cell.log("mule"))
    assert cell.process is not None
    for wanted in ("SIGINT", "sending SIGTERM", "sending SIGKILL"):
        cell.process.send_signal(signal.SIGINT)
        _until(lambda wanted=wanted: wanted in cell.log("launch"))
    assert cell.end()[0] == 0


def test_what_a_node_started_ends_with_it(cell: Cell) -> None:
    cell.start({"parent": (PARENT, "")})
    _until(lambda: "child" in cell.log("parent"))
    child = int(cell.log("parent").split("child")[1].split()[0])
    assert _alive(child)
    assert cell.process is not None
    cell.process.send_signal(signal.SIGINT)
    cell.end()
    _until(lambda: not _alive(child), 3.0)


def test_nodes_die_with_a_killed_runner(cell: Cell) -> None:
    cell.start({"one": (SLEEPER, ""), "mule": (STUBBORN, "")})
    _until(lambda: "up" in cell.log("one") and "up" in cell.log("mule"))
    pids = cell.pids()
    assert cell.process is not None
    cell.process.kill()
    cell.end()
    _until(lambda: not any(_alive(pid) for pid in pids), 3.0)


def test_a_killed_node_comes_back_after_its_delay(cell: Cell) -> None:
    cell.start({"one": (SLEEPER, ", respawn: true, respawn_delay: 0.5"), "two": (SLEEPER, "")})
    _until(lambda: "up" in cell.log("one") and "up" in cell.log("two"))
    first, other = cell.nodes()["one"]["pid"], cell.nodes()["two"]["pid"]
    killed_at = time.monotonic()
    os.kill(first, signal.SIGKILL)
    _until(lambda: cell.nodes()["one"]["starts"] == 2 and cell.nodes()["one"]["pid"])
    assert time.monotonic() - killed_at >= 0.5
    assert cell.nodes()["one"]["pid"] != first
    assert cell.nodes()["two"] == {"name": "/two", "label": "two", "pid": other, "starts": 1, "exit_code": None}
    assert "ended by SIGKILL, starting again in 0.5 s" in cell.log("launch")


def test_a_failing_node_is_reported_and_the_rest_goes_on(cell: Cell) -> None:
    cell.start({"bad": (CRASHER, ""), "one": (SLEEPER, "")})
    _until(lambda: "ended with code 3" in cell.log("launch") and "up" in cell.log("one"))
    assert "no end of line" in cell.log("bad") and "it broke" in cell.log("bad")
    assert cell.nodes()["bad"]["exit_code"] == 3
    assert len(cell.pids()) == 1
    assert cell.process is not None
    cell.process.send_signal(signal.SIGINT)
    code, out = cell.end()
    assert code == 1
    assert "at least one badly" in out


def test_the_runner_ends_when_its_nodes_have_ended(cell: Cell) -> None:
    cell.start({"quick": ("print('done')", "")})
    code, out = cell.end()
    assert (code, "done" in out) == (0, True)


def test_a_program_that_cannot_be_executed_is_named(cell: Cell) -> None:
    cell.start({"broken": ("", "")})
    cell.end()
    (cell.folder / "prefix/lib/demo/broken").write_text("#!/no/such/interpreter\n")
    env = dict(os.environ, PYTHONPATH=str(BRINGUP), AMENT_PREFIX_PATH=str(cell.folder / "prefix"))
    command = [sys.executable, "-m", "pickcell_bringup.launch_runner", str(cell.folder / "a.launch.yaml")]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20)
    assert result.returncode == 1
    assert "broken cannot be started" in result.stdout and "a.launch.yaml:2" in result.stdout


def test_print_shows_what_would_start_and_starts_nothing(cell: Cell) -> None:
    cell.start({"one": (SLEEPER, ", param: [{name: rate, value: 3}]")})
    _until(lambda: "up" in cell.log("one"))
    assert cell.process is not None
    cell.process.send_signal(signal.SIGINT)
    cell.end()
    env = dict(os.environ, PYTHONPATH=str(BRINGUP), AMENT_PREFIX_PATH=str(cell.folder / "prefix"))
    command = [sys.executable, "-m", "pickcell_bringup.launch_runner", str(cell.folder / "a.launch.yaml")]
    shown = subprocess.run([*command, "--print"], env=env, capture_output=True, text=True, timeout=20, check=True)
    assert "/one  (demo/one)" in shown.stdout and '{"rate": 3}' in shown.stdout
    listed = subprocess.run([*command, "--json"], env=env, capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(listed.stdout)[0]["parameters"] == [{"rate": 3}]
    wrong = subprocess.run([*command, "x:=1"], env=env, capture_output=True, text=True, timeout=20)
    assert wrong.returncode == 2 and "no argument 'x'" in wrong.stderr
