"""Command line of the launch runner."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

from pickcell_bringup.launch_runner.console import Console
from pickcell_bringup.launch_runner.errors import LaunchFileError
from pickcell_bringup.launch_runner.node_spec import NodeSpec, command
from pickcell_bringup.launch_runner.resolve import Argument, resolve
from pickcell_bringup.launch_runner.supervisor import Supervisor


def main(argv: list[str] | None = None) -> int:
    """Resolve and run. Exit codes: 0 ended well, 1 a node failed, 2 the launch file or call is wrong."""
    options = _parser().parse_args(argv)
    try:
        variables = _variables(options.variables)
        if options.show_args:
            print(_argument_text(resolve(options.file, variables, os.environ, strict=False).arguments))
            return 0
        nodes = resolve(options.file, variables, os.environ).nodes
    except (LaunchFileError, ValueError) as problem:
        print(f"launch: {problem}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([_described(node) for node in nodes], indent=1))
        return 0
    if options.print:
        print(_tree_text(nodes))
        return 0
    return _run(nodes, options)


def _run(nodes: list[NodeSpec], options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="pickcell-launch-") as scratch:
        folder = options.log_dir or Path(scratch)
        console = Console(options.log_dir, width=max((len(n.label) for n in nodes), default=0))
        console.say(f"starting {len(nodes)} nodes of {options.file}, runner pid {os.getpid()}")
        supervisor = Supervisor(nodes, console, folder / "parameters", options.state, options.patience)
        code = supervisor.run()
        console.say("all nodes have ended" if code == 0 else "all nodes have ended, at least one badly")
        console.close()
        return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pickcell_bringup.launch_runner", description=sys.modules[__package__ or ""].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", type=Path, help="YAML launch file")
    parser.add_argument("variables", nargs="*", metavar="name:=value", help="launch arguments")
    parser.add_argument("--show-args", action="store_true", help="list the launch arguments and stop")
    parser.add_argument("--print", action="store_true", help="show what would start, and stop")
    parser.add_argument("--json", action="store_true", help="the same for programs")
    parser.add_argument("--log-dir", type=Path, help="keep one log file per node here")
    parser.add_argument("--state", type=Path, help="keep pids and start counts in this JSON file")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds between SIGINT, SIGTERM and SIGKILL (5)")
    return parser


def _variables(words: list[str]) -> dict[str, str]:
    out = {}
    for word in words:
        name, sign, value = word.partition(":=")
        if not sign or not name:
            raise ValueError(f"'{word}' is not name:=value")
        out[name] = value
    return out


def _argument_text(arguments: list[Argument]) -> str:
    lines = []
    first = {a.name: a for a in reversed(arguments)}  # included files declare again what they expect
    for argument in sorted(first.values(), key=arguments.index):
        default = "required" if argument.default is None else f"default: {argument.default!r}"
        choices = f"; one of: {', '.join(argument.choices)}" if argument.choices else ""
        lines.append(f"{argument.name}  ({default}{choices})\n    {argument.description or argument.source}")
    return "\n".join(lines) or "this file takes no arguments"


def _own_environment(node: NodeSpec) -> dict[str, str]:
    """What the launch file adds to the environment."""
    return {k: v for k, v in node.environment.items() if os.environ.get(k) != v}


def _described(node: NodeSpec) -> dict[str, object]:
    return {
        "name": node.full_name,
        "label": node.label,
        "package": node.package,
        "executable": str(node.executable),
        "command": command(node, Path("<parameters>"), write=False),
        "parameters": [p if isinstance(p, dict) else str(p) for p in node.parameters],
        "remaps": [list(r) for r in node.remaps],
        "environment": _own_environment(node),
        "output": node.output,
        "respawn": node.respawn,
        "respawn_delay_s": node.respawn_delay_s,
        "source": node.source,
    }


def _tree_text(nodes: list[NodeSpec]) -> str:
    lines = []
    for node in nodes:
        again = f", again after {node.respawn_delay_s:g} s" if node.respawn else ""
        lines.append(f"{node.full_name or node.label}  ({node.package}/{node.executable.name}{again})  {node.source}")
        for key, value in _own_environment(node).items():
            lines.append(f"    env {key}={value}")
        for parameters in node.parameters:
            lines.append(f"    param {json.dumps(parameters) if isinstance(parameters, dict) else parameters}")
        for source, target in node.remaps:
            lines.append(f"    remap {source} -> {target}")
        lines.append(f"    $ {shlex.join(command(node, Path('<parameters>'), write=False))}")
    return "\n".join(lines) or "nothing would start"


if __name__ == "__main__":
    sys.exit(main())
