"""Where the project's files are: settings, robot descriptions, trained networks."""

from __future__ import annotations

import os
from pathlib import Path

_INSTALLED_BY = ("pickcell_bringup", "pickcell_description")
"""ROS packages that install such folders under their share."""


def shared_directory(name: str, variable: str) -> Path:
    """The folder ``name``: ``$variable`` when set, else the repository's, else the one an installed workspace has.

    Where there is none the repository's is returned, so that a message about a missing file names it.
    """
    if override := os.environ.get(variable):
        return Path(override)
    own = Path(__file__).resolve().parents[2] / name
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    installed = [Path(prefix) / "share" / package / name for prefix in prefixes for package in _INSTALLED_BY]
    return next((path for path in (own, *installed) if path.is_dir()), own)
