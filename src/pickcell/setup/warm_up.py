"""Compile the numerical kernels (numba) once, before the cell starts.

Compiled at first use they would stretch the first pick by two minutes, and a stage that takes a minute looks like a
lost node. ``pickcell_sim.warm`` touches every stage once; what it compiles stays in the ``__pycache__`` folders beside
the sources, for all later processes. It needs no ROS, so it runs while the workspace is built.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pickcell.setup import virtual_env
from pickcell.setup.environment import process_environment
from pickcell.setup.layout import Layout
from pickcell.setup.progress import Progress, end_group
from pickcell.setup.ros_source import RosSource

STAMP = "pickcell-warm"
SKIP = "PICKCELL_NO_WARM_UP"
"""Set it to leave this out, for example while working on the kernels."""


def warm_key(layout: Layout) -> str:
    """Hash over the environment and every source that holds kernels."""
    digest = hashlib.sha256(virtual_env.read_stamp(layout).get("key", "").encode())
    for path in _kernel_sources(layout):
        digest.update(f"{path.relative_to(layout.root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _kernel_sources(layout: Layout) -> list[Path]:
    every = [path for folder in ("src", "sim") for path in sorted((layout.root / folder).rglob("*.py"))]
    return [path for path in every if b"njit" in (text := path.read_bytes()) or b"numba" in text]


def is_warm(layout: Layout, env: Mapping[str, str]) -> bool:
    """Whether all kernels were compiled, or the user does not want it."""
    stamp = layout.venv / STAMP
    return bool(env.get(SKIP)) or (stamp.is_file() and stamp.read_text() == warm_key(layout))


def forget_kernels(layout: Layout) -> None:
    """Remove what was compiled before. Numba looks at the age of a kernel's own file only: one that calls a kernel of
    another file, which has changed since, would go on with the old one."""
    for folder in ("src", "sim"):
        for pattern in ("*.nbi", "*.nbc"):
            for path in (layout.root / folder).rglob(pattern):
                path.unlink(missing_ok=True)


def forget_stale_kernels(layout: Layout) -> None:
    """The same, where any source with kernels is newer than the oldest that was compiled: for who works on them."""
    compiled = [path.stat().st_mtime for folder in ("src", "sim") for path in (layout.root / folder).rglob("*.nbi")]
    newest = max((path.stat().st_mtime for path in _kernel_sources(layout)), default=0.0)
    if compiled and newest > min(compiled):
        forget_kernels(layout)


class WarmUp:
    """Compilation in the background. Always end it with :meth:`finish` or :meth:`stop`."""

    def __init__(self, layout: Layout, env: Mapping[str, str], ros: RosSource) -> None:
        self._layout = layout
        self._key = warm_key(layout)
        self._log = layout.logs / "setup" / "warm-up.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        forget_kernels(layout)
        with self._log.open("w") as sink:
            self._process = subprocess.Popen(
                [str(layout.python), "-m", "pickcell_sim.warm"], env=process_environment(layout, env, ros), cwd=layout.root,
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True, text=True,
            )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, good or bad."""
        return self._process.poll() is not None

    def finish(self, progress: Progress) -> None:
        """Wait for the end. A failure is told but not fatal: everything works without, only the first pick is slow."""
        with progress.step("Compiling numerical kernels (once)"):
            code = self._process.wait()
        if code == 0:
            (self._layout.venv / STAMP).write_text(self._key)
        else:
            progress.say(f"  it ended with code {code} (log: {self._log}); the kernels are compiled at first use instead")

    def stop(self) -> None:
        """End it now, if it still runs."""
        if not self.ended:
            end_group(self._process)
