"""Find packages and their executables by the ament index, i.e. ``AMENT_PREFIX_PATH``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pickcell_bringup.launch_runner.substitutions import SubstitutionError


class AmentIndex:
    """Look-ups in the prefixes of one environment; the first prefix that has the package wins."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._prefixes = [Path(p) for p in environment.get("AMENT_PREFIX_PATH", "").split(":") if p]

    def prefix(self, package: str) -> Path:
        """Install prefix of ``package``. Raises SubstitutionError."""
        for prefix in self._prefixes:
            if (prefix / "share/ament_index/resource_index/packages" / package).exists():
                return prefix
        places = ", ".join(str(p) for p in self._prefixes) or "AMENT_PREFIX_PATH is empty"
        raise SubstitutionError(f"package '{package}' is not installed (looked in: {places})")

    def share(self, package: str) -> Path:
        """Its share folder."""
        return self.prefix(package) / "share" / package

    def executable(self, package: str, name: str) -> Path:
        """Program ``name`` of ``package``, in ``lib/<package>``. Raises SubstitutionError listing what is there."""
        folder = self.prefix(package) / "lib" / package
        path = folder / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
        there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        raise SubstitutionError(f"package '{package}' has no executable '{name}'; it has: {', '.join(there) or 'none'}")
