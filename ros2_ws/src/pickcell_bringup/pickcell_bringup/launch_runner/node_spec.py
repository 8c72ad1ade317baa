"""What one node's process needs: the outcome of resolving a launch file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class NodeSpec:
    """A resolved ``node`` action. ``parameters`` holds file paths and inline dictionaries, in order."""

    package: str
    executable: Path
    name: str | None
    namespace: str | None
    arguments: tuple[str, ...] = ()
    parameters: tuple[Path | dict[str, Any], ...] = ()
    remaps: tuple[tuple[str, str], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    """The complete environment of the process."""
    output: str = "log"
    respawn: bool = False
    respawn_delay_s: float = 0.0
    source: str = ""
    """``file:line`` of the action."""

    @property
    def full_name(self) -> str | None:
        """Fully qualified node name; None while the file leaves the name to the executable."""
        return f"{(self.namespace or '').rstrip('/')}/{self.name}" if self.name else None

    @property
    def label(self) -> str:
        """Short name for logs: the node's name, else the executable's."""
        return (self.full_name or self.executable.name).lstrip("/").replace("/", ".")

    @property
    def on_screen(self) -> bool:
        """Whether stdout goes to the screen (stderr always does, as with ``ros2 launch``)."""
        return self.output in ("screen", "both")


def write_parameter_file(spec: NodeSpec, parameters: dict[str, Any], path: Path) -> None:
    """Write inline parameters as the file rcl reads, addressed to this node, or to any when its name is open."""
    rule = spec.full_name if spec.full_name and spec.namespace else "/**"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({rule: {"ros__parameters": parameters}}, default_flow_style=False), encoding="utf-8")


def command(spec: NodeSpec, parameter_folder: Path, write: bool = True) -> list[str]:
    """The command line, in launch_ros' order; inline parameters go through files in ``parameter_folder``."""
    out = [str(spec.executable), *spec.arguments, "--ros-args"]
    if spec.name:
        out += ["-r", f"__node:={spec.name}"]
    if spec.namespace:
        out += ["-r", f"__ns:={spec.namespace}"]
    for number, parameters in enumerate(spec.parameters):
        if isinstance(parameters, dict):
            path = parameter_folder / f"{re.sub(r'[^A-Za-z0-9_.]', '_', spec.label)}-{number}.yaml"
            if write:
                write_parameter_file(spec, parameters, path)
        else:
            path = parameters
        out += ["--params-file", str(path)]
    for source, target in spec.remaps:
        out += ["-r", f"{source}:={target}"]
    return out
