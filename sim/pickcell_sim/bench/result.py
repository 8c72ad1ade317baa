"""The one shape of every benchmark's result, and the page made from the kept ones."""

from __future__ import annotations

import json
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


@dataclass(frozen=True)
class BenchResult:
    suite: str
    seed: int
    n: int
    config: dict[str, Any]
    machine: dict[str, Any]
    commit: str
    metrics: dict[str, Metric]

    def to_dict(self) -> dict[str, Any]:
        metrics = {name: vars(metric) for name, metric in self.metrics.items()}
        return {**{k: v for k, v in vars(self).items() if k != "metrics"}, "metrics": metrics}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> BenchResult:
        """Raises KeyError naming what a result file lacks."""
        metrics = {name: Metric(**metric) for name, metric in data["metrics"].items()}
        return BenchResult(**{**data, "metrics": metrics})

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_dict(), indent=1) + "\n")


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


def markdown_table(result: BenchResult) -> str:
    """The metrics as a Markdown table."""
    lines = ["| metric | value | 95 % interval | unit |", "|---|---:|---:|---|"]
    for name, m in result.metrics.items():
        lines.append(f"| {name} | {m.value:.4g} | {m.low:.4g} .. {m.high:.4g} | {m.unit} |")
    return "\n".join(lines)


def write_page(directory: Path) -> Path:
    """Make ``README.md`` in the directory of kept results from its JSON files. Raises ValueError naming a bad file."""
    parts = ["# Benchmarks", "", "Made from the JSON files beside it by `./cell bench page`.", ""]
    for path in sorted(directory.glob("*.json")):
        try:
            result = BenchResult.from_dict(json.loads(path.read_text()))
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a benchmark result: {error}") from error
        machine = ", ".join(f"{key} {value}" for key, value in result.machine.items())
        config = ", ".join(f"{key} {value}" for key, value in result.config.items() if not isinstance(value, dict))
        parts += [f"## {path.stem}", "", f"Seed {result.seed}, n = {result.n}, commit {result.commit}. {config}.", ""]
        parts += [f"Machine: {machine}.", "", markdown_table(result), ""]
        parts += _tallies(result)
    page = directory / "README.md"
    page.write_text("\n".join(parts))
    return page


def _tallies(result: BenchResult) -> list[str]:
    """Counts kept in the configuration, such as outcomes by code."""
    lines: list[str] = []
    for key, value in result.config.items():
        if isinstance(value, dict):
            said = ", ".join(f"{name} {count}" for name, count in value.items())
            lines += [f"{key.replace('_', ' ').capitalize()}: {said}.", ""]
    return lines
