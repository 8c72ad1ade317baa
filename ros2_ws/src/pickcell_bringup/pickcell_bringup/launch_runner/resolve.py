"""Resolve a tree of launch files into node processes, as launch and launch_ros would.

Scoping follows the genuine tool: an ``include`` shares its parent's variables both ways, a ``group`` restores
variables, environment and namespace at its end, and command-line values win over every default.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pickcell_bringup.launch_runner import substitutions as subs
from pickcell_bringup.launch_runner.ament_index import AmentIndex
from pickcell_bringup.launch_runner.errors import LaunchFileError
from pickcell_bringup.launch_runner.node_spec import NodeSpec
from pickcell_bringup.launch_runner.yaml_tree import Tree, load

ACTIONS = ("arg", "let", "set_env", "include", "group", "push_ros_namespace", "node")
_CONDITIONS = ("if", "unless")
_NODE_ATTRIBUTES = (
    "pkg", "exec", "name", "namespace", "param", "remap", "args", "env", "output", "respawn", "respawn_delay", *_CONDITIONS,
)  # fmt: skip
_NAMESPACE = "ros_namespace"
_MAX_INCLUDES = 20


@dataclass(frozen=True)
class Argument:
    """A declared launch argument and the value it got."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...]
    source: str


@dataclass
class Resolved:
    """Nodes in start order and the arguments the files declare."""

    nodes: list[NodeSpec] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)


class Resolver:
    """Walks launch files once. ``strict`` False collects arguments even when required ones are missing."""

    def __init__(self, variables: Mapping[str, str], environment: Mapping[str, str], strict: bool = True) -> None:
        self.variables = dict(variables)
        self.environment = dict(environment)
        self.index = AmentIndex(environment)
        self.strict = strict
        self.resolved = Resolved()
        self._depth = 0

    def file(self, path: Path) -> None:
        """Resolve one file's actions into :attr:`resolved`. Raises LaunchFileError."""
        root = load(path)
        actions = root.attributes("the file", ("launch",), ("launch",))["launch"]
        self._children(actions.entries())

    def _children(self, actions: list[Tree]) -> None:
        for entry in actions:
            pairs = list(entry.items())
            if len(pairs) != 1:
                raise entry.error("each action is one '- name: ...' entry")
            name, place, body = pairs[0]
            if name not in ACTIONS:
                raise place.error(f"action '{name}' is not supported; use one of: {', '.join(ACTIONS)}")
            try:
                getattr(self, f"_do_{name}")(body)
            except subs.SubstitutionError as problem:
                raise body.error(str(problem)) from problem

    # -- texts -------------------------------------------------------------------------------------------------
    def _scope(self, tree: Tree) -> subs.Scope:
        return subs.Scope(self.variables, self.environment, tree.file.parent, self.index.share)

    def _text(self, tree: Tree) -> str:
        try:
            return subs.expand(tree.text(), self._scope(tree))
        except subs.SubstitutionError as problem:
            raise tree.error(str(problem)) from problem

    def _wanted(self, attributes: dict[str, Tree]) -> bool:
        if "if" in attributes and "unless" in attributes:
            raise attributes["unless"].error("'if' and 'unless' exclude each other")
        for key, expected in (("if", True), ("unless", False)):
            if key in attributes:
                tree = attributes[key]
                try:
                    return subs.truth(self._text(tree)) is expected
                except subs.SubstitutionError as problem:
                    raise tree.error(str(problem)) from problem
        return True

    # -- actions -----------------------------------------------------------------------------------------------
    def _do_arg(self, body: Tree) -> None:
        allowed = ("name", "default", "description", "choice", *_CONDITIONS)
        attributes = body.attributes("arg", allowed, ("name",))
        if not self._wanted(attributes):
            return
        name = attributes["name"].text()
        default = self._text(attributes["default"]) if "default" in attributes else None
        description = self._text(attributes["description"]) if "description" in attributes else ""
        choices = []
        for choice in attributes["choice"].entries() if "choice" in attributes else []:
            choices.append(self._text(choice.attributes("choice", ("value",), ("value",))["value"]))
        source = f"{body.file}:{body.line}"
        self.resolved.arguments.append(Argument(name, default, description, tuple(choices), source))
        if name not in self.variables:
            if default is None:
                if not self.strict:
                    return
                raise body.error(f"launch argument '{name}' has no default: give {name}:=<value>")
            self.variables[name] = default
        if choices and self.variables[name] not in choices:
            raise body.error(f"{name}:={self.variables[name]} is not one of: {', '.join(choices)}")

    def _do_let(self, body: Tree) -> None:
        attributes = body.attributes("let", ("name", "value", *_CONDITIONS), ("name", "value"))
        if self._wanted(attributes):
            self.variables[self._text(attributes["name"])] = self._text(attributes["value"])

    def _do_set_env(self, body: Tree) -> None:
        attributes = body.attributes("set_env", ("name", "value", *_CONDITIONS), ("name", "value"))
        if self._wanted(attributes):
            self.environment[self._text(attributes["name"])] = self._text(attributes["value"])

    def _do_push_ros_namespace(self, body: Tree) -> None:
        attributes = body.attributes("push_ros_namespace", ("namespace", *_CONDITIONS), ("namespace",))
        if self._wanted(attributes):
            pushed = _join_namespace(self.variables.get(_NAMESPACE), self._text(attributes["namespace"]))
            if pushed:
                self.variables[_NAMESPACE] = pushed

    def _do_include(self, body: Tree) -> None:
        attributes = body.attributes("include", ("file", "arg", *_CONDITIONS), ("file",))
        if not self._wanted(attributes):
            return
        path = Path(self._text(attributes["file"]))
        path = path if path.is_absolute() else body.file.parent / path
        if not path.name.endswith((".yaml", ".yml")):
            raise attributes["file"].error(f"only YAML launch files can be included, not {path.name}")
        if not path.is_file():
            raise attributes["file"].error(f"there is no file {path}")
        values = {}
        for argument in attributes["arg"].entries() if "arg" in attributes else []:
            pair = argument.attributes("arg", ("name", "value"), ("name", "value"))
            values[self._text(pair["name"])] = self._text(pair["value"])
        if self._depth >= _MAX_INCLUDES:
            raise body.error(f"includes are nested deeper than {_MAX_INCLUDES}: does a file include itself?")
        self.variables.update(values)
        self._depth += 1
        self.file(path)
        self._depth -= 1

    def _do_group(self, body: Tree) -> None:
        children = body
        if isinstance(body.node, yaml.MappingNode):
            attributes = body.attributes("group", ("children", *_CONDITIONS), ("children",))
            if not self._wanted(attributes):
                return
            children = attributes["children"]
        kept = dict(self.variables), dict(self.environment)
        self._children(children.entries())
        self.variables, self.environment = kept

    def _do_node(self, body: Tree) -> None:
        attributes = body.attributes("node", _NODE_ATTRIBUTES, ("pkg", "exec"))
        if not self._wanted(attributes):
            return
        package, executable = self._text(attributes["pkg"]), self._text(attributes["exec"])
        try:
            program = self.index.executable(package, executable)
        except subs.SubstitutionError as problem:
            raise attributes["exec"].error(str(problem)) from problem
        own = self._text(attributes["namespace"]) if "namespace" in attributes else None
        output = self._text(attributes["output"]) if "output" in attributes else "log"
        if output not in ("screen", "log", "both"):
            raise attributes["output"].error(f"output '{output}' is not supported; use one of: screen, log, both")
        environment = dict(self.environment)
        for entry in attributes["env"].entries() if "env" in attributes else []:
            pair = entry.attributes("env", ("name", "value"), ("name", "value"))
            environment[self._text(pair["name"])] = self._text(pair["value"])
        remaps = []
        for entry in attributes["remap"].entries() if "remap" in attributes else []:
            pair = entry.attributes("remap", ("from", "to"), ("from", "to"))
            remaps.append((self._text(pair["from"]), self._text(pair["to"])))
        self.resolved.nodes.append(
            NodeSpec(
                package=package,
                executable=program,
                name=self._text(attributes["name"]) if "name" in attributes else None,
                namespace=_absolute(_join_namespace(self.variables.get(_NAMESPACE), own)),
                arguments=tuple(self._split(attributes["args"])) if "args" in attributes else (),
                parameters=tuple(self._parameters(attributes["param"])) if "param" in attributes else (),
                remaps=tuple(remaps),
                environment=environment,
                output=output,
                respawn=self._respawn(attributes),
                respawn_delay_s=_delay(attributes),
                source=f"{body.file}:{body.line}",
            )
        )

    # -- parts of a node ---------------------------------------------------------------------------------------
    def _respawn(self, attributes: dict[str, Tree]) -> bool:
        tree = attributes.get("respawn")
        if tree is None:
            return False
        if tree.kind == "bool":
            return bool(tree.scalar())
        try:
            return subs.truth(self._text(tree))
        except subs.SubstitutionError as problem:
            raise tree.error(str(problem)) from problem

    def _split(self, tree: Tree) -> list[str]:
        """Arguments of a command line: literal parts are split as by a shell, substituted values never are."""
        words: list[str] = []
        current: str | None = None
        for piece in subs.parse(tree.text()):
            if isinstance(piece, subs.Call):
                current = (current or "") + subs.perform((piece,), self._scope(tree))
                continue
            parts = shlex.split(piece)
            if current is not None and (not parts or piece[0].isspace()):
                words.append(current)
                current = None
            for number, part in enumerate(parts):
                if number and current is not None:
                    words.append(current)
                    current = None
                current = (current or "") + part
            if current is not None and piece and piece[-1].isspace():
                words.append(current)
                current = None
        return words + ([current] if current is not None else [])

    def _parameters(self, tree: Tree) -> list[Path | dict[str, Any]]:
        out: list[Path | dict[str, Any]] = []
        for entry in tree.entries():
            keys = {name for name, _, _ in entry.items()}
            if "from" in keys:
                attributes = entry.attributes("param", ("from",), ("from",))
                path = Path(self._text(attributes["from"]))
                if not path.is_file():
                    raise attributes["from"].error(f"there is no parameter file {path}")
                out.append(path)
            else:
                out.append(self._inline(entry))
        return out

    def _inline(self, entry: Tree) -> dict[str, Any]:
        """One inline parameter, possibly nested, as a dictionary."""
        attributes = entry.attributes("param", ("name", "value", "param"), ("name",))
        if ("value" in attributes) == ("param" in attributes):
            raise entry.error("a param has either 'value' or nested 'param'")
        name = self._text(attributes["name"])
        if "param" in attributes:
            nested: dict[str, Any] = {}
            for child in attributes["param"].entries():
                nested.update(self._inline(child))
            return {name: nested}
        return {name: self._value(attributes["value"])}

    def _value(self, tree: Tree) -> Any:
        """A parameter value: literals keep their YAML type, substituted texts are read as YAML afterwards."""
        if isinstance(tree.node, yaml.MappingNode):
            raise tree.error("a parameter value is a scalar or a list; nest with 'param'")
        items = tree.entries() if isinstance(tree.node, yaml.SequenceNode) else [tree]
        substituted = any(i.kind == "str" and subs.has_call(subs.parse(i.text())) for i in items)
        values = [self._text(i) if i.kind == "str" else i.scalar() for i in items]
        if substituted:
            values = [_from_yaml(v, i) if isinstance(v, str) else v for v, i in zip(values, items)]
        if not isinstance(tree.node, yaml.SequenceNode):
            if values[0] is None:
                raise tree.error("a parameter value cannot be empty")
            return values[0]
        if not values or len({type(v) for v in values}) != 1 or type(values[0]) not in (bool, int, float, str):
            raise tree.error("a list parameter needs elements of one type: bool, int, float or text")
        return values


def _from_yaml(text: str, place: Tree) -> Any:
    """A substituted text as YAML would read it; an empty one stays text."""
    try:
        value = yaml.safe_load(text) if text else ""
    except yaml.YAMLError as problem:
        raise place.error(f"the substituted value {text!r} is not YAML; quote it") from problem
    if not isinstance(value, (bool, int, float, str, list)):
        raise place.error(f"the substituted value {text!r} is not a scalar or list; quote it to keep it a text")
    return value


def _delay(attributes: dict[str, Tree]) -> float:
    tree = attributes.get("respawn_delay")
    if tree is None:
        return 0.0
    if tree.kind != "float" or not 0.0 <= float(tree.scalar()) < 1e6:
        raise tree.error(f"respawn_delay is a number of seconds such as 2.0, not {tree.scalar()!r}")
    return float(tree.scalar())


def _join_namespace(base: str | None, own: str | None) -> str | None:
    """``own`` below ``base``; an absolute ``own`` stands alone."""
    if not own or own.startswith("/"):
        return own or base
    return f"{base.rstrip('/')}/{own}" if base else own


def _absolute(namespace: str | None) -> str | None:
    if namespace is None:
        return None
    return namespace if namespace.startswith("/") else f"/{namespace}"


def resolve(
    path: Path, variables: Mapping[str, str], environment: Mapping[str, str], strict: bool = True, check: bool = True
) -> Resolved:
    """Resolve ``path`` with ``name:=value`` variables. Raises LaunchFileError; ``check`` refuses unknown variables."""
    resolver = Resolver(variables, environment, strict)
    try:
        resolver.file(path.absolute())
    except RecursionError as problem:
        raise LaunchFileError(path, 1, "is nested too deeply") from problem
    declared = {a.name for a in resolver.resolved.arguments}
    unknown = sorted(set(variables) - declared)
    if check and unknown:
        raise LaunchFileError(path, 1, f"no argument '{unknown[0]}'; it takes: {', '.join(sorted(declared)) or 'none'}")
    return resolver.resolved
