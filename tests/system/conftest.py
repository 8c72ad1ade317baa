"""A cell of a test's own, beside any running one, driven by the entry script as a person would."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


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


def until(condition: Callable[[], object], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
