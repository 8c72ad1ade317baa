"""Kept tries, read back."""

from __future__ import annotations

import json
from pathlib import Path

from pickcell_sim.tries.attempt import GraspTry


class TryFileError(ValueError):
    """Tries that cannot be used; the message names the file and says what to do."""


def load_tries(folder: Path) -> list[GraspTry]:
    """All tries in a folder, in order of the files' names. Raises TryFileError when there are none, or one is unreadable."""
    files = sorted(folder.glob("*.jsonl"))
    tries: list[GraspTry] = []
    for path in files:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                fields = json.loads(line)
                tries.append(GraspTry(**{**fields, "damage": tuple(map(tuple, fields["damage"]))}))
            except (ValueError, TypeError, KeyError) as error:
                raise TryFileError(f"{path}, line {number}: not a try ({error}); delete it to have it made anew") from None
    if not tries:
        raise TryFileError(f"no tries in {folder}; ./cell tries makes some")
    return tries
