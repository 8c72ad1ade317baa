"""What is wrong with a launch file, and where."""

from __future__ import annotations

from pathlib import Path


class LaunchFileError(Exception):
    """A launch file that cannot be run; the text starts with ``file:line``."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message
