"""Where things are: the repository's own folders, as one value that every other module is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths of one checkout. Nothing here touches the disk."""

    root: Path
    var_folder: Path | None = None
    """Where run-time files go instead of ``var``: two cells of one checkout need two (and two ROS domains)."""

    @property
    def venv(self) -> Path:
        """The project's virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter every node and tool runs under."""
        return self.venv / "bin" / "python"

    @property
    def requirements(self) -> Path:
        """Folder of requirement files and their pins."""
        return self.root / "requirements"

    @property
    def workspace(self) -> Path:
        """The colcon workspace."""
        return self.root / "ros2_ws"

    @property
    def install(self) -> Path:
        """What colcon installed, one prefix per package."""
        return self.workspace / "install"

    @property
    def var(self) -> Path:
        """Everything written at run time: logs, pid and lock files, reports."""
        return self.var_folder or self.root / "var"

    @property
    def logs(self) -> Path:
        """One folder per run below this."""
        return self.var / "log"

    @property
    def run(self) -> Path:
        """Pid, state and lock files of what is running."""
        return self.var / "run"

    @property
    def fastdds_profile(self) -> Path:
        """Fast DDS profile with a shared-memory segment large enough for images."""
        return self.root / "config" / "fastdds_shm16.xml"


def layout_from(env: Mapping[str, str]) -> Layout:
    """The layout of the checkout this module belongs to; ``PICKCELL_VAR`` moves the run-time files."""
    folder = env.get("PICKCELL_VAR")
    return Layout(find_root(), Path(folder).expanduser().resolve() if folder else None)


def find_root(start: Path | None = None) -> Path:
    """Return the repository this module belongs to (or that ``start`` lies in).

    Raises FileNotFoundError when no parent folder holds both ``pyproject.toml`` and ``ros2_ws``.
    """
    here = (start or Path(__file__)).resolve()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "ros2_ws").is_dir():
            return folder
    raise FileNotFoundError(f"no pickcell checkout around {here}: expected pyproject.toml beside ros2_ws/")
