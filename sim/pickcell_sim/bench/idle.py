"""What a cell that is up and waits costs: processor time of all its processes, read from the operating system."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import psutil

from pickcell_sim.bench import statistics
from pickcell_sim.bench.result import BenchResult, Metric, commit_id, machine_facts

RUN_MARKER = "PICKCELL_RUN"
"""Environment variable that the entry script gives to every process of a cell; its value is the run's log directory."""


class NoCellError(RuntimeError):
    """No cell is up."""


def cell_processes(var: Path) -> dict[psutil.Process, str]:
    """Processes of the running cell whose run-time folder is ``var``, with the node's name. Raises NoCellError."""
    found: dict[psutil.Process, str] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_MARKER, "").startswith(f"{var.resolve()}/log/"):
                found[process] = _name(process)
        except psutil.Error:
            continue
    if not found:
        raise NoCellError(f"no cell is up in {var}; start it with './cell up'")
    return found


def _name(process: psutil.Process) -> str:
    if any("launch_runner" in word for word in process.cmdline()):
        return "launch_runner"
    words = [word for word in process.cmdline() if not word.startswith("-")]
    return next((Path(w).name for w in words if "/lib/pickcell_" in w), words[-1].split("/")[-1] if words else "?")


def measure(var: Path, seconds: int) -> dict[str, list[float]]:
    """Share of one core per second and process, by name."""
    processes = cell_processes(var)
    shares: dict[str, list[float]] = {name: [] for name in processes.values()}
    before = {p: sum(p.cpu_times()[:2]) for p in processes}
    for _ in range(seconds):
        start = time.monotonic()
        time.sleep(1.0)
        elapsed = time.monotonic() - start
        for process, name in processes.items():
            now = sum(process.cpu_times()[:2])
            shares[name].append((now - before[process]) / elapsed)
            before[process] = now
    return shares


def summarise(shares: dict[str, list[float]], seconds: int, root: Path) -> BenchResult:
    """Mean share of one core, of the whole cell and of each process."""

    def mean(values: np.ndarray) -> float:
        return float(values.mean())

    whole = np.sum([np.array(values) for values in shares.values()], axis=0)
    metrics = {"cell_cpu_share": Metric.of(statistics.bootstrap(whole, mean), "share of one core")}
    for name, values in sorted(shares.items()):
        metrics[f"{name}_cpu_share"] = Metric.of(statistics.bootstrap(np.array(values), mean), "share of one core")
    facts = {"seconds": seconds, "processes": len(shares), "domain": os.environ.get("ROS_DOMAIN_ID", "0")}
    return BenchResult("idle", 0, seconds, facts, machine_facts(), commit_id(root), metrics)
