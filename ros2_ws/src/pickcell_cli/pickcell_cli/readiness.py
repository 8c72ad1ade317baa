"""Can the cell pick? Its nodes are there, its cameras deliver, its arm and hand report."""

from __future__ import annotations

import time
from collections.abc import Callable

from pickcell_cli.connection import POLL_S, Connection, InterruptedByUserError
from pickcell_cli.manifest import send_manifest, simulated_manifest

SIM_GRACE_S = 1.0
"""How long a simulator may take to show its services after everything else is there."""


def missing(connection: Connection) -> list[str]:
    """What a pick would lack now, in words; empty when nothing."""
    stats = connection.stats
    if stats is None or connection.stats_age_s > 2.5:
        return ["pick_task is not there yet"]
    faults = [f"{node.node}: {node.note}" for node in stats.nodes if not node.alive]
    faults += [f"{camera.camera}: {camera.note}" for camera in stats.cameras if camera.note]
    if not faults and not stats.cameras:
        faults = ["no camera is reported yet"]
    return faults


def wait_ready(connection: Connection, timeout_s: float, say: Callable[[str], None]) -> bool:
    """Wait until nothing is missing; ``say`` what is, at every change. False after ``timeout_s`` of wall time.

    A simulated cell is then told what lies in its tote, as the host of a real one would do.
    """
    end = time.monotonic() + timeout_s
    said = ""
    while faults := missing(connection):
        if connection.interrupted:
            raise InterruptedByUserError
        if time.monotonic() >= end:
            return False
        if (text := "waiting for " + "; ".join(faults)) != said:
            said = text
            say(text)
        time.sleep(POLL_S)
    connection.wait_until(lambda: simulated_manifest(connection) is not None, SIM_GRACE_S)
    manifest = simulated_manifest(connection)
    if manifest is not None:
        outcome = send_manifest(connection, manifest)
        say(f"manifest from the simulator: {outcome.text}")
        return outcome.code == "ok"
    say("ready")
    return True
