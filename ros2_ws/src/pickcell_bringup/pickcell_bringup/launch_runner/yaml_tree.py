"""YAML as a tree that remembers lines and is strict about types.

The genuine YAML frontend checks the YAML type of every attribute (``default: 1`` is an error where a text is
expected, ``default: "1"`` is right). The same rules hold here, so that a file which runs under this runner also
runs under ``ros2 launch``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pickcell_bringup.launch_runner.errors import LaunchFileError

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Tree:
    """One YAML node of ``file``."""

    node: yaml.Node
    file: Path

    @property
    def line(self) -> int:
        """Line number, from 1."""
        return int(self.node.start_mark.line) + 1

    def error(self, message: str) -> LaunchFileError:
        """The error to raise about this place."""
        return LaunchFileError(self.file, self.line, message)

    @property
    def kind(self) -> str:
        """``map``, ``seq``, or the scalar's YAML type: str, int, float, bool, null."""
        return str(self.node.tag).removeprefix(_TAG)

    def items(self) -> Iterator[tuple[str, Tree, Tree]]:
        """Key, key's place and value of a mapping, in order. Repeated keys are an error (YAML would drop one)."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"a mapping is expected here, not a {self.kind}")
        seen: set[str] = set()
        for key, value in self.node.value:
            place = Tree(key, self.file)
            if key.value in seen:
                raise place.error(f"'{key.value}' appears twice")
            seen.add(key.value)
            yield key.value, place, Tree(value, self.file)

    def entries(self) -> list[Tree]:
        """Elements of a sequence."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error(f"a list is expected here, not a {self.kind}")
        return [Tree(child, self.file) for child in self.node.value]

    def attributes(self, what: str, allowed: tuple[str, ...], required: tuple[str, ...] = ()) -> dict[str, Tree]:
        """The mapping's entries; unknown and missing ones are errors that list the valid choices."""
        found = {}
        for name, place, value in self.items():
            if name not in allowed:
                raise place.error(f"'{name}' of {what} is not supported; use one of: {', '.join(allowed)}")
            found[name] = value
        for name in required:
            if name not in found:
                raise self.error(f"{what} needs '{name}'")
        return found

    def text(self) -> str:
        """A text scalar."""
        if self.kind != "str":
            raise self.error(f"a text is expected here, not {self.kind} {self.scalar()!r}: put it in quotes")
        return str(self.node.value)

    def scalar(self) -> Any:
        """The value as YAML reads it: text, number, boolean, or a list of them."""
        return yaml.SafeLoader("").construct_object(self.node, deep=True)


def load(path: Path) -> Tree:
    """Read one launch file and return its root mapping. Raises LaunchFileError when it cannot be read or parsed."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as problem:
        raise LaunchFileError(path, 1, f"cannot be read: {problem.strerror}") from problem
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise LaunchFileError(path, line, f"is not YAML: {problem.problem}") from problem
    if node is None:
        raise LaunchFileError(path, 1, "is empty; a launch file starts with 'launch:'")
    return Tree(node, path)
