"""``./cell test``: every check of the project in layers, cheap ones first, with one summary at the end."""

from __future__ import annotations

import os
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pickcell.setup.layout import Layout
from pickcell.setup.operate import run_attached
from pickcell.setup.progress import StepFailed, clock

LAYERS = ("lint", "types", "unit", "contract", "nodes", "system")
PYTHON_FOLDERS = ("src", "sim", "tests", "ros2_ws/src")
_NO_TESTS = 5
"""pytest's exit code when it collected nothing."""


@dataclass
class Result:
    """Counts of one layer."""

    layer: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def line(self) -> str:
        """One line of the summary."""
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"  {self.layer:9} {counts:36} {clock(self.seconds):>12}"


def run(layout: Layout, env: Mapping[str, str], layers: Sequence[str], words: Sequence[str], keep_going: bool) -> int:
    """Run ``layers`` (all when empty); ``words`` go to pytest. Returns 0 when all passed."""
    unknown = [layer for layer in layers if layer not in LAYERS]
    if unknown:
        raise StepFailed(f"there is no test layer '{unknown[0]}'", f"there are: {', '.join(LAYERS)}")
    chosen = [layer for layer in LAYERS if not layers or layer in layers]
    # Tests must neither meet a running cell nor another user's nodes: a domain of their own.
    quiet = {**env, "ROS_DOMAIN_ID": str(20 + os.getpid() % 70)}
    results: list[Result] = []
    for number, layer in enumerate(chosen, 1):
        print(f"\n[{number}/{len(chosen)}] {layer}", flush=True)
        begun_s = time.monotonic()
        result = _tools(layout, quiet, layer) if layer in ("lint", "types") else _pytest(layout, quiet, layer, words)
        result.seconds = time.monotonic() - begun_s
        results.append(result)
        if result.failed and not keep_going:
            break
    left_out = chosen[len(results) :]
    print("\n" + "\n".join(result.line() for result in results))
    if left_out:
        print(f"  not run because of the failure: {', '.join(left_out)} (./cell test -k runs them all the same)")
    print(closing_line(results))
    return 1 if any(result.failed for result in results) else 0


def closing_line(results: Sequence[Result]) -> str:
    """The last line, in pytest's manner."""
    parts = []
    for name in ("failed", "passed", "skipped"):
        count = sum(int(getattr(result, name)) for result in results)
        if count or name == "passed":
            parts.append(f"{count} {name}")
    seconds = sum(result.seconds for result in results)
    text = f" {', '.join(parts)} in {seconds:.2f}s ({int(seconds) // 60}:{int(seconds) % 60:02d}) "
    return text.center(100, "=")


def _tools(layout: Layout, env: Mapping[str, str], layer: str) -> Result:
    """ruff or mypy: each command counts as one check."""
    python = str(layout.python)
    folders = [f for f in PYTHON_FOLDERS if (layout.root / f).is_dir()]
    commands = {
        "lint": [[python, "-m", "ruff", "check", *folders], [python, "-m", "ruff", "format", "--check", *folders]],
        "types": [[python, "-m", "mypy"]],
    }[layer]
    result = Result(layer)
    for command in commands:
        if run_attached(command, env, layout.root) == 0:
            result.passed += 1
        else:
            result.failed += 1
    return result


def _pytest(layout: Layout, env: Mapping[str, str], layer: str, words: Sequence[str]) -> Result:
    """One folder of tests, counted from pytest's own report."""
    result = Result(layer)
    folder = layout.root / "tests" / layer
    report = layout.var / "test" / f"{layer}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [str(layout.python), "-m", "pytest", str(folder.relative_to(layout.root)), "-q", "-m", "not slow"]
    command += [f"--junitxml={report}", "-o", "junit_family=xunit2", *words]
    code = run_attached(command, env, layout.root)
    if report.is_file():
        count_junit(report, result)
    if code not in (0, _NO_TESTS) and not result.failed:
        result.failed = 1  # a collection error or a crash has no test to its name
        print(f"pytest ended with code {code}", file=sys.stderr)
    return result


def count_junit(report: Path, result: Result) -> None:
    """Add the counts of a JUnit report to ``result``."""
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        total, failures, errors, skipped = (int(suite.get(k, "0")) for k in ("tests", "failures", "errors", "skipped"))
        result.failed += failures + errors
        result.skipped += skipped
        result.passed += total - failures - errors - skipped
