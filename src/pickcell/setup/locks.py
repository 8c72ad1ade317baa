"""Locks that cannot be left behind: the kernel drops them with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """``flock`` on a file, whose text says who holds it. The file stays; the lock does not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The open descriptor, to hand the lock on to a child. Raises ValueError when not held."""
        if self._fd is None:
            raise ValueError(f"lock {self.path} is not held")
        return self._fd

    def acquire(self, wait: bool = False) -> bool:
        """Take the lock; without ``wait`` return False at once when another process has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return True

    def release(self) -> None:
        """Give it back (or, after handing it on, forget it)."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def holder(self) -> int | None:
        """Pid written by the last holder, for messages."""
        try:
            return int(self.path.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def is_held(self) -> bool:
        """Whether any process holds it now."""
        if not self.path.exists():
            return False
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
