"""The manifest: telling the cell what is in the source tote, from a file or, in simulation, from the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pickcell_interfaces.msg import ManifestLine
from pickcell_interfaces.msg import Outcome as OutcomeMsg
from pickcell_interfaces.srv import SetManifest
from std_srvs.srv import Trigger

from pickcell_cli.connection import Connection

SIM_SERVICE = "/sim/manifest"
"""What the simulator put into the tote: for the host that fills the tote, never for a node of the pipeline."""


class ManifestError(ValueError):
    """A manifest file that cannot be used; the text names the file and what is expected."""


def read_manifest(path: Path) -> dict[str, int]:
    """SKU -> pieces from a YAML file with the key ``items`` (a mapping SKU: count), as the files of config/totes have."""
    expected = "expected the key 'items' with a mapping SKU: count"
    try:
        data: Any = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ManifestError(f"{path}:{mark.line + 1 if mark else '?'}: not valid YAML; {expected}") from error
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, dict):
        raise ManifestError(f"{path}: {expected}")
    for sku, count in items.items():
        if not isinstance(sku, str) or isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ManifestError(f"{path}: '{sku}: {count}': a SKU needs a whole number >= 0 of pieces")
    return dict(items)


def simulated_manifest(connection: Connection) -> dict[str, int] | None:
    """What the simulator filled in, None when the cell is not a simulated one."""
    if not connection.offers(SIM_SERVICE):
        return None
    answer = connection.call(Trigger, SIM_SERVICE, Trigger.Request())
    return {str(sku): int(count) for sku, count in json.loads(answer.message).items()} if answer.success else None


def send_manifest(connection: Connection, manifest: dict[str, int]) -> OutcomeMsg:
    lines = [ManifestLine(sku=sku, count=count) for sku, count in sorted(manifest.items())]
    return connection.call(SetManifest, "set_manifest", SetManifest.Request(lines=lines)).outcome
