"""Where nodes keep their files."""

from __future__ import annotations

import os
from pathlib import Path


def below_root(text: str) -> Path:
    """Relative paths are below the repository when the environment names it; its ``var`` may be kept elsewhere."""
    apart = os.environ.get("PICKCELL_VAR")
    if apart and Path(text).parts[:1] == ("var",):
        return Path(apart).joinpath(*Path(text).parts[1:])
    return Path(os.environ.get("PICKCELL_ROOT", ".")) / text
