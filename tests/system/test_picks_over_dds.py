"""The whole cell over real DDS: an order from another process, and perception killed in the middle of a pick."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Cell, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
ORDER = "order: quick\nlines:\n  - {sku: box-008}\n  - {sku: cylinder-001}\n"


def test_an_order_is_delivered_and_a_dead_node_is_survived(cell: Cell, tmp_path: Path) -> None:
    up = cell.run("up", "--timeout", "180")
    assert up.returncode == 0, up.stderr
    order = tmp_path / "quick.yaml"
    order.write_text(ORDER)
    picked = cell.run("order", str(order), "--html", str(tmp_path / "report.html"), "--json", str(tmp_path / "result.json"))
    result = json.loads((tmp_path / "result.json").read_text())
    assert picked.returncode in (0, 1), picked.stderr
    assert sum(item["outcome"]["code"] == "ok" for item in result["items"]) >= 1, picked.stdout
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text()

    _kill_perception_in_the_middle_of_a_pick(cell)
    assert cell.run("wait", "--timeout", "120").returncode == 0
    again = cell.run("pick", "--sku", "irregular-907")
    assert again.returncode in (0, 1) and "node_lost" not in again.stdout, again.stdout

    assert cell.run("down").returncode == 0 and cell.processes() == []


def _kill_perception_in_the_middle_of_a_pick(cell: Cell) -> None:
    """The pick ends typed, and the node is started again by the runner."""
    picking = subprocess.Popen(cell.command("pick", "--sku", "box-013"), env=cell.env, stdout=subprocess.PIPE, text=True)
    assert picking.stdout is not None
    for line in picking.stdout:
        if "approach:" in line or "grasp:" in line:
            break
    os.kill(cell.nodes()["scene"]["pid"], signal.SIGKILL)
    said = picking.communicate(timeout=120)[0]
    assert picking.returncode == 1 and "node_lost" in said, said
    until(lambda: cell.nodes()["scene"]["starts"] == 2 and cell.nodes()["scene"]["pid"], 30.0)
