"""The operator's command line against the real task node: exit codes, what it prints, Ctrl-C, faults."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("pickcell_interfaces.msg", reason="needs the built workspace")

from fake_cell_processes import SKUS, FakeCellProcesses, Process
from ros_processes import free_domain

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    cell = FakeCellProcesses(tmp_path_factory.mktemp("cell"), free_domain())
    yield cell
    cell.close()


@pytest.fixture
def filled(cell, tmp_path):
    """The cell idle, with three pieces of each product."""
    code, said = cell.run_client("wait", "--timeout", "30")
    assert code == 0, said
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("items: {" + ", ".join(f"{sku}: 3" for sku in SKUS) + "}\n")
    cell.run_client("reset")
    code, said = cell.run_client("manifest", str(manifest))
    assert code == 0, said
    return cell


def order_file(folder: Path, text: str) -> str:
    path = folder / "order.yaml"
    path.write_text(text)
    return str(path)


def test_a_pick_is_followed_to_its_table(filled, tmp_path):
    page, data = tmp_path / "page.html", tmp_path / "result.json"
    code, said = filled.run_client("pick", "--sku", "flat-a", "--html", str(page), "--json", str(data))
    assert code == 0, said
    for word in ("observe: Looking", "transfer: Carrying", "delivered", "1 of 1 delivered", f"file://{page}"):
        assert word in said, said
    assert "\x1b[" not in said, "no terminal, no colours"
    assert "<html" in page.read_text()
    result = json.loads(data.read_text())
    assert result["items"][0]["sku"] == "flat-a" and result["outcome"]["code"] == "ok"
    code, said = filled.run_client("explain")
    assert code == 0 and "It is a box." in said
    code, said = filled.run_client("report")
    assert code == 0 and "report.html" in said
    code, said = filled.run_client("report", "--json")
    assert code == 0 and json.loads(said)["sku"] == "flat-a"


def test_an_order_with_a_failure_exits_with_1_and_says_why(filled, tmp_path):
    path = order_file(tmp_path, "order: mixed\nlines:\n  - {sku: flat-a}\n  - {sku: flat-b, quantity: 1}\n")
    manifest = tmp_path / "less.yaml"
    manifest.write_text("items: {flat-b: 1}\n")
    assert filled.run_client("manifest", str(manifest))[0] == 0
    code, said = filled.run_client("order", path, timeout_s=60.0)
    assert code == 1, said
    assert "- 1/2 flat-a" in said and "item_not_in_manifest" in said and "+ 2/2 flat-b" in said
    assert "1 of 2 delivered" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lines:\n  - {sku: flat-a}\n  - {sku: flat-b, quantity: 0}\n", ("order.yaml:3", "'quantity'", "1..")),
        ("lines:\n  - {sku: flat-a, quantity: .nan}\n", ("order.yaml:2", "'quantity'")),
        ("lines:\n  - {quantity: 1}\n", ("order.yaml:2", "'sku'")),
        ("lines: []\n", ("order.yaml", "at least one")),
        ("lines:\n  - {sku: [\n", ("order.yaml:", "not valid YAML")),
        ("order: x\n", ("order.yaml", "'lines'")),
    ],
)
def test_a_malformed_order_exits_with_2_naming_file_and_line(cell, tmp_path, text, words):
    code, said = cell.run_client("order", order_file(tmp_path, text))
    assert code == 2 and all(word in said for word in words), said


def test_an_unknown_sku_exits_with_2_and_names_near_ones(filled, tmp_path):
    code, said = filled.run_client("order", order_file(tmp_path, "lines:\n  - {sku: flat-d}\n"))
    assert code == 2 and "item_unknown" in said and "flat-a" in said, said
    code, said = filled.run_client("pick", "--sku", "flat-d")
    assert code == 2 and "item_unknown" in said, said


def test_wrong_words_exit_with_2(cell):
    for words in (("pick",), ("pick", "--sku", ""), ("pick", "--sku", "flat-a", "--timeout", "nan"), ("fly",), ()):
        assert cell.run_client(*words)[0] == 2


def test_a_cell_that_is_not_running_exits_with_3_and_says_how_to_start_it(tmp_path):
    for words in (("status",), ("pick", "--sku", "flat-a"), ("pause",)):
        deaf = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}  # another cell may run on this machine
        process = Process(free_domain(), "-m", "pickcell_cli", *words, env=deaf)
        try:
            assert process.wait(20.0) == 3
            assert "./cell up" in process.output
        finally:
            process.kill()


def test_status_shows_state_nodes_and_ledger(filled):
    code, said = filled.run_client("status")
    assert code == 0, said
    for word in ("state    idle", "/scene: alive", "/motion_planner: alive", "drivers: alive", "flat-c", "needs_person"):
        assert word in said, said
    code, said = filled.run_client("status", "--json")
    assert code == 0
    status = json.loads(said)
    assert status["state"]["state"] == "idle" and {n["node"] for n in status["stats"]["nodes"]} >= {"/scene", "drivers"}


def test_ctrl_c_cancels_the_order_and_leaves_nothing(filled, tmp_path):
    path = order_file(tmp_path, "order: stopped\nlines:\n  - {sku: flat-a, quantity: 3}\n")
    client = filled.client("order", path)
    end = time.monotonic() + 30.0
    while "approach:" not in client.output:
        assert time.monotonic() < end, client.output
        time.sleep(0.05)
    client.send(signal.SIGINT)
    assert client.wait(12.0) == 130
    assert "Cancelled, the arm stands still." in client.output
    code, said = filled.run_client("status", "--json")
    state = json.loads(said)["state"]
    assert code == 0 and state["state"] == "idle" and not state["queue"]
    assert state["job"]["subject"] == "stopped" and state["job"]["outcome"]["code"] == "cancelled"


def test_queue_and_cancel_by_id(filled):
    assert filled.run_client("pause")[0] == 0
    code, said = filled.run_client("pick", "--sku", "flat-a", "--queue")
    assert code == 0 and "Queued as " in said
    job_id = said.split("Queued as ")[1].split(",")[0]
    code, said = filled.run_client("cancel", job_id)
    assert code == 0, said
    assert filled.run_client("resume")[0] == 0
    code, said = filled.run_client("cancel", job_id)
    assert code == 2 and "already ended" in said


def test_a_cell_that_asks_for_a_person_with_nobody_there_cancels_the_rest(filled, tmp_path):
    filled.fault.write_text("protective_stop Someone leant on the arm.")
    path = order_file(tmp_path, "lines:\n  - {sku: flat-a, quantity: 2}\n")
    code, said = filled.run_client("order", path, timeout_s=60.0)
    filled.fault.unlink()
    assert code == 1 and "Waits for a person" in said and "leant" in said, said
    assert "Nobody attends: the rest is cancelled" in said
    code, said = filled.run_client("reset")
    assert code == 0 and "Cleared" in said


def test_a_cell_that_dies_under_an_order_is_noticed(filled, tmp_path):
    """Last in this file: it ends the task node."""
    path = order_file(tmp_path, "lines:\n  - {sku: flat-a, quantity: 3}\n")
    client = filled.client("order", path)
    end = time.monotonic() + 30.0
    while "approach:" not in client.output:
        assert time.monotonic() < end, client.output
        time.sleep(0.05)
    filled.processes["pick_task"].kill()
    assert client.wait(25.0) == 3
    assert "./cell up" in client.output
