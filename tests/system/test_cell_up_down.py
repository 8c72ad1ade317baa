"""``./cell up`` and ``./cell down`` with the real nodes: ready, respawning, interruptible, and gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from conftest import Cell, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


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
    until(lambda: cell.nodes()["scene"]["starts"] == 2 and cell.nodes()["scene"]["pid"], 20.0)
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
    until(lambda: len(cell.nodes()) >= 3, 60.0)
    starting.send_signal(signal.SIGINT)
    _, said = starting.communicate(timeout=60)
    assert starting.returncode == 130 and "interrupted" in said
    assert cell.processes() == []
    # The lock is free: the next start gets past it (and is stopped at once).
    second = subprocess.Popen(cell.command("up"), env=cell.env, stderr=subprocess.PIPE, text=True)
    until(lambda: "pick_task" in cell.nodes() and cell.nodes()["pick_task"]["pid"], 60.0)
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=60)
    assert second.returncode == 130 and cell.processes() == []
