"""The one shape of every benchmark's result, and what its figures depend on."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Metric:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    unit: str

    @staticmethod
    def of(triple: tuple[float, float, float], unit: str) -> Metric:
        return Metric(*triple, unit)

    def to_dict(self) -> dict[str, Any]:
        """JSON has no NaN: what could not be measured is null."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in vars(self).items()}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Metric:
        return Metric(**{k: math.nan if v is None else v for k, v in data.items()})

    def text(self, digits: int = 3) -> str:
        """Value and interval for a table; a dash when nothing was measured."""
        if not math.isfinite(self.value):
            return "-"
        if not math.isfinite(self.low):
            return f"{self.value:.{digits}g} (?)"
        return f"{self.value:.{digits}g} ({self.low:.{digits}g} .. {self.high:.{digits}g})"


@dataclass(frozen=True)
class BenchResult:
    suite: str
    seed: int
    n: int
    config: dict[str, Any]
    machine: dict[str, Any]
    commit: str
    metrics: dict[str, Metric]
    episodes: tuple[dict[str, Any], ...] = ()
    """One row of counts per tote, where there are totes: lets two results be compared seed by seed."""

    def to_dict(self) -> dict[str, Any]:
        data = {k: v for k, v in vars(self).items() if k not in ("metrics", "episodes")}
        data["metrics"] = {name: metric.to_dict() for name, metric in self.metrics.items()}
        return {**data, "episodes": list(self.episodes)} if self.episodes else data

    @staticmethod
    def from_dict(data: dict[str, Any]) -> BenchResult:
        """Raises KeyError naming what a result file lacks."""
        metrics = {name: Metric.from_dict(metric) for name, metric in data["metrics"].items()}
        return BenchResult(**{**data, "metrics": metrics, "episodes": tuple(data.get("episodes", ()))})

    @staticmethod
    def read(path: Path) -> BenchResult:
        """A kept result. Raises ValueError naming a file that is none, OSError for one that cannot be read."""
        try:
            return BenchResult.from_dict(json.loads(path.read_text()))
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a benchmark result: {error}") from error

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self.to_dict()
        rows = [json.dumps(row) for row in data.pop("episodes", [])]
        text = json.dumps(data, indent=1)
        if rows:  # one line each
            text = text[:-2] + ',\n "episodes": [\n  ' + ",\n  ".join(rows) + "\n ]\n}"
        path.write_text(text + "\n")


def machine_facts() -> dict[str, Any]:
    """What the figures depend on: processor, cores, memory, load, Python."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "gpu": "none used",
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def commit_id(root: Path) -> str:
    """Short commit of the working tree, with ``+`` when it holds changes that are not committed."""
    try:
        sha = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return sha.stdout.strip() + ("+" if dirty.stdout.strip() else "")
