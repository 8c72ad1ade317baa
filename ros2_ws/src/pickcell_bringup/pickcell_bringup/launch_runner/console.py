"""Lines of many processes on one screen and in files: prefixed, coloured, complete."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_LONGEST_LINE = 64 * 1024


class LineSplitter:
    """Turns chunks of bytes into lines; an endless line is cut rather than kept in memory."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Complete lines, decoded, without their ends."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [line.rstrip(b"\r").decode("utf-8", errors="replace") for line in lines]

    def flush(self) -> list[str]:
        """What is left when the stream ends."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", errors="replace")] if rest else []


class Console:
    """Writes to the screen, to ``launch.log`` and to one ``<label>.log`` per process below ``folder``."""

    def __init__(self, folder: Path | None, screen: IO[str] | None = None, width: int = 0) -> None:
        self._folder = folder
        self._screen = sys.stdout if screen is None else screen
        self._width = width
        colour_wanted = self._screen.isatty() and "NO_COLOR" not in os.environ
        self._colour = colour_wanted or os.environ.get("FORCE_COLOR", "") not in ("", "0")
        self._files: dict[str, IO[str]] = {}
        self._order: dict[str, int] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def line(self, label: str, text: str, on_screen: bool = True) -> None:
        """One line of process ``label``; files always get it."""
        stamp = time.strftime("%H:%M:%S") + f".{int(time.time() % 1 * 1000):03d}"
        self._write(label, f"{stamp} {text}")
        self._write("launch", f"{stamp} [{label}] {text}")
        if not on_screen:
            return
        name = f"[{label}]".ljust(self._width + 2)
        if self._colour:
            colour = _COLOURS[self._order.setdefault(label, len(self._order)) % len(_COLOURS)]
            name = f"\033[{colour}m{name}\033[0m"
        try:
            print(f"{name} {text}", file=self._screen, flush=True)
        except (BrokenPipeError, ValueError):  # the reader went away; files still tell everything
            self._screen = open(os.devnull, "w")

    def say(self, text: str) -> None:
        """One line of the runner itself."""
        self.line("launch", text)

    def close(self) -> None:
        """Close the files."""
        for stream in self._files.values():
            stream.close()
        self._files.clear()

    def _write(self, label: str, text: str) -> None:
        if self._folder is None:
            return
        if label not in self._files:
            self._files[label] = (self._folder / f"{label}.log").open("a", encoding="utf-8", buffering=1)
        self._files[label].write(text + "\n")
