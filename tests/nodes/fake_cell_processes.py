"""The real ``pick_task`` node with fake drivers and stage nodes around it: each a process, all in a domain of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from ros_processes import CELL_FILE, ROOT, SHM_PROFILE

HERE = Path(__file__).parent
STAGES = ("scene", "grasp_selector", "motion_planner")
SKUS = ("flat-a", "flat-b", "flat-c")


class Process:
    """A Python program in the cell's domain; its output is kept."""

    def __init__(self, domain: int, *command: str, env: dict[str, str] | None = None) -> None:
        full = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "FASTRTPS_DEFAULT_PROFILES_FILE": str(SHM_PROFILE),
            **(env or {}),
        }
        self._log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=full,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class FakeCellProcesses:
    """Starts everything; ``catalogue`` has three products of 0.1 kg."""

    def __init__(self, folder: Path, domain: int) -> None:
        self.folder = folder
        self.domain = domain
        self.fault = folder / "fault"
        entry = {"kind": "card", "dimensions_m": [0.08, 0.06, 0.01], "mass_kg": 0.1}
        catalogue = {"format": 1, "version": "test", "skus": {sku: {"name": f"Flat {sku[-1]}", **entry} for sku in SKUS}}
        self.catalogue = folder / "catalogue.yaml"
        self.catalogue.write_text(yaml.safe_dump(catalogue))
        self.processes: dict[str, Process] = {}
        self.processes["drivers"] = Process(domain, str(HERE / "fake_drivers.py"))
        for stage in STAGES:
            self.start_stage(stage)
        self.start_task()

    def start_stage(self, name: str) -> None:
        self.processes[name] = Process(self.domain, str(HERE / "fake_stages.py"), name, env={"FAKE_FAULT": str(self.fault)})

    def start_task(self) -> None:
        values = {
            "cell": CELL_FILE,
            "catalogue": self.catalogue,
            "ledger_file": self.folder / "ledger.sqlite",
            "report_directory": self.folder / "reports",
            "guard": "true",
            "reading_max_age_s": 2.0,  # the fakes' time is the wall clock's: a busy machine must not end their picks
        }
        words = [word for key, value in values.items() for word in ("-p", f"{key}:={value}")]
        command = ("-m", "pickcell_task.pick_task", "--ros-args", "--params-file", str(ROOT / "config/pick_task.param.yaml"))
        self.processes["pick_task"] = Process(self.domain, *command, *words)

    def client(self, *words: str) -> Process:
        """The operator's command line."""
        return Process(self.domain, "-m", "pickcell_cli", *words)

    def run_client(self, *words: str, timeout_s: float = 40.0) -> tuple[int, str]:
        """Exit code and output of one command."""
        process = self.client(*words)
        try:
            return process.wait(timeout_s), process.output
        finally:
            process.kill()

    def close(self) -> None:
        for process in self.processes.values():
            if process.process.poll() is None:
                process.send(signal.SIGINT)
        end = time.monotonic() + 5.0
        for process in self.processes.values():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            process.kill()
