"""``./cell up`` and ``./cell down`` with the real nodes: ready, respawning, interruptible, and gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


class Cell:
    """A cell of its own beside any running one: own run-time folder, own ROS domain."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # 90..101: the last domains whose ports lie below Linux' ephemeral range
        self.env = {**os.environ, "PICKCELL_VAR": str(folder), "ROS_DOMAIN_ID": str(90 + os.getpid() % 12)}

    def command(self, *words: str) -> list[str]:
        return [str(ROOT / "cell"), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), env=self.env, capture_output=True, text=True, timeout=240)

    def nodes(self) -> dict[str, dict[str, int]]:
        path = self.folder / "log/latest/processes.json"
        return {n["label"]: n for n in json.loads(path.read_text())["nodes"]} if path.exists() else {}

    def processes(self) -> list[int]:
        """All processes started by this cell's runner, and the runner."""
        marker = f"PICKCELL_RUN={self.folder}/log/".encode()
        found = []
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and marker in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    made = Cell(tmp_path)
    yield made
    made.run("down")


def _until(condition: Callable[[], object], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_up_status_respawn_down(cell: Cell) -> None:
    up = cell.run("up", "--timeout", "180")
    assert up.returncode == 0, up.stderr
    again = cell.run("up")
    assert again.returncode == 0 and "already up" in again.stderr
    status = cell.run("status")
    assert status.returncode == 0, status.stderr
    assert len(cell.processes()) == 1 + len(cell.nodes())

    before = cell.nodes()["scene"]["pid"]
    os.kill(before, signal.SIGKILL)
    _until(lambda: cell.nodes()["scene"]["starts"] == 2 and cell.nodes()["scene"]["pid"], 20.0)
    assert cell.nodes()["scene"]["pid"] != before
    assert cell.nodes()["pick_task"]["starts"] == 1
    assert cell.run("wait", "--timeout", "90").returncode == 0  # and the cell can pick again

    down = cell.run("down")
    assert down.returncode == 0 and "The cell is down" in down.stderr
    assert cell.processes() == []
    assert "No cell is up" in cell.run("down").stderr
    assert cell.run("status").returncode == 3  # the cell is not running


def test_ctrl_c_while_starting_leaves_no_process_and_no_lock(cell: Cell) -> None:
    starting = subprocess.Popen(cell.command("up"), env=cell.env, stderr=subprocess.PIPE, text=True)
    _until(lambda: len(cell.nodes()) >= 3, 60.0)
    starting.send_signal(signal.SIGINT)
    _, said = starting.communicate(timeout=60)
    assert starting.returncode == 130 and "interrupted" in said
    assert cell.processes() == []
    # The lock is free: the next start gets past it (and is stopped at once).
    second = subprocess.Popen(cell.command("up"), env=cell.env, stderr=subprocess.PIPE, text=True)
    _until(lambda: "pick_task" in cell.nodes() and cell.nodes()["pick_task"]["pid"], 60.0)
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=60)
    assert second.returncode == 130 and cell.processes() == []
