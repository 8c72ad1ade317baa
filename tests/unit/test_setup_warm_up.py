"""Kernels are compiled once, beside the build, and a failure of it stops nothing."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest

from pickcell.setup.layout import Layout
from pickcell.setup.progress import Progress
from pickcell.setup.ros_source import RosSource
from pickcell.setup.warm_up import SKIP, WarmUp, forget_stale_kernels, is_warm

WHEELS = RosSource("wheels", "test")
ENV = {"PATH": os.environ["PATH"]}
"""Not the tests' own environment, whose paths lead to the real simulator."""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/kernel.py").write_text("from numba import njit\n")
    (tmp_path / "src/plain.py").write_text("x = 1\n")
    (tmp_path / "sim/pickcell_sim").mkdir(parents=True)
    return Layout(tmp_path)


def _program(layout: Layout, text: str) -> None:
    (layout.root / "sim/pickcell_sim/warm.py").write_text(text)


def test_after_a_good_run_it_is_warm_until_a_kernel_changes(layout: Layout) -> None:
    _program(layout, "print('compiled')")
    assert not is_warm(layout, {})
    WarmUp(layout, ENV, WHEELS).finish(Progress(io.StringIO()))
    assert is_warm(layout, {})
    (layout.root / "src/plain.py").write_text("x = 2\n")
    assert is_warm(layout, {})
    (layout.root / "src/kernel.py").write_text("from numba import njit  # changed\n")
    assert not is_warm(layout, {})
    assert is_warm(layout, {SKIP: "1"})


def test_what_was_compiled_from_older_sources_is_forgotten(layout: Layout) -> None:
    """Also of files that did not change: they may call a kernel that did."""
    _program(layout, "print('compiled')")
    old = layout.root / "src/__pycache__/kernel.caller-1.py311.1.nbc"
    old.parent.mkdir()
    old.write_text("stale")
    WarmUp(layout, ENV, WHEELS).finish(Progress(io.StringIO()))
    assert not old.exists()


def test_who_works_on_kernels_tests_the_new_ones(layout: Layout) -> None:
    old, new = layout.root / "src/__pycache__/caller-1.nbi", layout.root / "src/__pycache__/caller-1.nbc"
    old.parent.mkdir()
    for path in (old, new):
        path.write_text("compiled")
    later = old.stat().st_mtime
    os.utime(layout.root / "src/kernel.py", (later - 10.0, later - 10.0))
    forget_stale_kernels(layout)
    assert old.exists(), "nothing has changed since"
    os.utime(layout.root / "src/plain.py", (later + 10.0, later + 10.0))
    forget_stale_kernels(layout)
    assert old.exists(), "what holds no kernels does not matter"
    os.utime(layout.root / "src/kernel.py", (later + 10.0, later + 10.0))
    forget_stale_kernels(layout)
    assert not old.exists() and not new.exists()


def test_a_failure_is_told_and_tried_again_next_time(layout: Layout) -> None:
    _program(layout, "raise SystemExit(3)")
    screen = io.StringIO()
    WarmUp(layout, ENV, WHEELS).finish(Progress(screen))
    assert "ended with code 3" in screen.getvalue() and "warm-up.log" in screen.getvalue()
    assert not is_warm(layout, {})


def test_stopping_ends_the_compilation(layout: Layout) -> None:
    _program(layout, "import time; print('begun', flush=True); time.sleep(60)")
    warm_up = WarmUp(layout, ENV, WHEELS)
    log = layout.logs / "setup/warm-up.log"
    end = time.monotonic() + 10
    while "begun" not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    warm_up.stop()
    assert warm_up.ended
    warm_up.stop()  # harmless
    assert not is_warm(layout, {})
