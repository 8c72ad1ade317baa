"""The commands behind ``./cell``."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pickcell.setup import prepare, session, workspace
from pickcell.setup.environment import changed_variables, export_lines, process_environment
from pickcell.setup.layout import Layout, layout_from
from pickcell.setup.locks import FileLock
from pickcell.setup.progress import Progress, StepFailed, interruptible
from pickcell.setup.ros_source import choose_ros

DESCRIPTION = """\
pickcell: a robot workcell that picks single items out of cluttered totes, on ROS 2.

  ./cell demo      see it work: sets everything up, starts the simulated cell with a full tote,
                   picks an order, writes a report with pictures, and stops again
  ./cell test      check that everything works here
"""
EPILOG = """\
examples:
  ./cell up                                    start the simulated cell and leave it running
  ./cell pick --sku SKU                        pick one item (./cell status shows what is in the tote)
  ./cell order config/orders/demo.yaml         pick a whole order; ends with a table and an HTML report
  ./cell down                                  stop it
  ./cell up --cell iiwa --tote demo --seed 7   another arm, the same tote, other randomness
  ./cell bench pick --n 100 --seed 0           measure success, damage and speed
  ./cell run rviz2                             any program, in the cell's environment

The first command prepares everything (Python 3.11 environment, ROS 2 Jazzy, build): minutes, once.
Something wrong? ./cell doctor says what, and how to mend it.
Where next: README.md, then docs/; logs are in var/log/latest/, reports in var/reports/.
./cell COMMAND --help tells more about each command.
"""
_CLIENT = {
    "pick": "pick one item: ./cell pick --sku SKU",
    "order": "pick an order: ./cell order config/orders/demo.yaml",
    "status": "what the cell is doing, its queue, inventory, nodes and cameras",
    "cancel": "cancel the running job, or another one",
    "pause": "stand still after the running stage",
    "resume": "go on after pause",
    "reset": "go on after the cell has asked for a person",
    "explain": "why the cell did what it did last",
    "report": "where the report of a job is",
    "manifest": "tell the cell what is in the source tote",
    "wait": "wait until the cell can pick",
}
_SIMULATION = {
    "bench": ("pickcell_sim.bench", "measure: ./cell bench pick --n 100 --seed 0 [--json FILE]"),
    "calibrate": ("pickcell_sim.calibration", "find where the cameras stand, with a printed board: ./cell calibrate --help"),
    "data": ("pickcell_sim.data", "make labelled scenes to train and measure on: ./cell data tote packed pile -n 40"),
    "tries": ("pickcell_sim.tries", "try grasps, good and bad ones, to learn their chances from: ./cell tries -n 100"),
    "train": ("pickcell_sim.training", "train a network on them: ./cell train segmentation"),
    "eval": ("pickcell_sim.bench.see", "measure what was learned: ./cell eval see"),
    "view": ("pickcell_sim.view", "show what the cell sees, in the browser: ./cell view sim"),
}
MODULES = {name: ("pickcell_cli", [name]) for name in _CLIENT} | {
    name: (module, list[str]()) for name, (module, _) in _SIMULATION.items()
}
"""Commands that other modules implement: they get all further words as they are. Add a line to add a command."""
_MODULE_HELP = {**_CLIENT, **{name: text for name, (_, text) in _SIMULATION.items()}}


@dataclass(frozen=True)
class Call:
    """What every command gets."""

    layout: Layout
    env: Mapping[str, str]
    progress: Progress
    options: argparse.Namespace
    rest: list[str]

    def prepared(self) -> dict[str, str]:
        """Make sure everything is set up; return the environment for programs that talk to the running cell."""
        prepare.prepare(self.layout, self.env, self.progress)
        return session.client_environment(self.layout, self.env)


def main(argv: Sequence[str]) -> int:
    """Run one command. Exit codes: 0 done, 1 it failed, 2 wrong call, 130 interrupted."""
    words = list(argv)
    if words and words[0] in MODULES:
        return _guarded(lambda: _module(_call(argparse.Namespace(), words[1:]), words[0]))
    parser = _parser()
    if not words:
        parser.print_help()
        return 0
    if "--" in words:  # what follows belongs to the program behind the command
        at = words.index("--")
        words, after = words[:at], words[at + 1 :]
    else:
        after = []
    options, rest = parser.parse_known_args(words)
    strange = rest if not options.takes_rest else [word for word in rest if word.startswith("-")]
    if strange or (after and not options.takes_rest):
        parser.error(f"unrecognised: {' '.join(strange or after)} (see ./cell {options.command} --help)")
    rest += after
    return _guarded(lambda: int(options.run(_call(options, rest))))


def _call(options: argparse.Namespace, rest: list[str]) -> Call:
    env = prepare.default_environment()
    return Call(layout_from(env), env, Progress(), options, rest)


def _guarded(action: Callable[[], int]) -> int:
    try:
        with interruptible():
            return action()
    except StepFailed as problem:
        print(problem.text(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left running that this command started", file=sys.stderr)
        return 130


def _module(call: Call, name: str) -> int:
    """Become the module that implements the command (signals and the terminal are its own)."""
    module, first = MODULES[name]
    env = call.prepared()
    python = str(call.layout.python)
    sys.stdout.flush()
    os.execve(python, [python, "-m", module, *first, *call.rest], env)


def _setup(call: Call) -> int:
    if call.options.rebuild:
        workspace.clean(call.layout)
    prepare.prepare(call.layout, call.env, call.progress, force_build=call.options.rebuild, warm=True)
    call.progress.say("Everything is set up. Next: ./cell demo")
    return 0


def _build(call: Call) -> int:
    """Build some or all packages, for people who change interfaces."""
    select = call.options.packages or None
    lock = FileLock(call.layout.root / "var/run/setup.lock")
    lock.acquire(wait=True)
    try:
        prepare.build(call.layout, call.env, choose_ros(call.env), call.progress, select)
    finally:
        lock.release()
    return 0


def _env(call: Call) -> int:
    print(export_lines(changed_variables(call.layout, call.env)))
    return 0


def _shell(call: Call) -> int:
    env = call.prepared()
    shell = env.get("SHELL") or "/bin/bash"
    call.progress.say(f"{shell} with ROS 2 and this workspace; 'exit' leaves it. Build with: cd ros2_ws && colcon build")
    env["PICKCELL_SHELL"] = "1"
    arguments = [shell]
    if shell.endswith("/bash"):
        # bash reads the user's start-up files, which may reorder PATH; ours is applied after them.
        rc = call.layout.run / "shell.bashrc"
        rc.parent.mkdir(parents=True, exist_ok=True)
        lines = export_lines({k: v for k, v in env.items() if call.env.get(k) != v})
        rc.write_text(f'[ -f ~/.bashrc ] && . ~/.bashrc\n{lines}\nPS1="(pickcell) $PS1"\n')
        arguments += ["--rcfile", str(rc), "-i"]
    os.execve(shell, arguments, env)


def _run(call: Call) -> int:
    if not call.options.program:
        raise StepFailed("no program was given", todo="./cell run PROGRAM [ARGUMENT ...]")
    env = call.prepared()
    command = [call.options.program, *call.options.arguments]
    try:
        os.execvpe(command[0], command, env)
    except OSError as problem:
        raise StepFailed(f"{command[0]}: {problem.strerror}") from problem


def _up(call: Call) -> int:
    from pickcell.setup import operate

    return operate.up(call.layout, call.env, call.progress, call.options, call.rest)


def _down(call: Call) -> int:
    from pickcell.setup import operate

    return operate.down(call.layout, call.progress)


def _demo(call: Call) -> int:
    from pickcell.setup import operate

    return operate.demo(call.layout, call.env, call.progress, call.options)


def _test(call: Call) -> int:
    from pickcell.setup import checks

    with_nodes = not call.options.layers or {"nodes", "system"} & set(call.options.layers)
    prepare.prepare(call.layout, call.env, call.progress, warm=bool(with_nodes))
    env = process_environment(call.layout, call.env)
    return checks.run(call.layout, env, call.options.layers, call.rest, call.options.keep_going)


def _doctor(call: Call) -> int:
    from pickcell.setup import doctor

    return doctor.main(call.layout, call.env)


def _lock(call: Call) -> int:
    from pickcell.setup import virtual_env

    path = virtual_env.write_core_lock(call.layout)
    call.progress.say(f"{path} now pins what is installed in {call.layout.venv}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./cell", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")

    def add(name: str, run: Callable[[Call], int], text: str, more: str = "", rest: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=more, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.set_defaults(run=run, takes_rest=rest)
        return command

    demo = add("demo", _demo, "set up, start the simulated cell, pick the demo order, write a report, stop", _DEMO_MORE)
    _up_options(demo)
    demo.add_argument("--order", default="config/orders/demo.yaml", metavar="FILE", help="order file")
    demo.add_argument("--keep", action="store_true", help="leave the cell running afterwards")
    test = add("test", _test, "lint, types, unit, contract, node and system tests", _TEST_MORE, rest=True)
    test.add_argument("layers", nargs="*", metavar="LAYER", help="only these: lint types unit contract nodes system")
    test.add_argument("-k", "--keep-going", action="store_true", help="run the later layers although an earlier one failed")
    up = add("up", _up, "start the cell in the background and wait until it can pick", _UP_MORE, rest=True)
    _up_options(up)
    up.add_argument("--show-args", action="store_true", help="list the launch arguments and stop")
    up.add_argument("--print", action="store_true", dest="print_tree", help="show what would start and stop")
    add("down", _down, "stop the cell, and see that nothing of it is left")
    for name, text in _MODULE_HELP.items():
        commands.add_parser(name, help=text)
    add("doctor", _doctor, "say what is there, what is missing, and how to mend it")
    add("shell", _shell, "a shell in the cell's environment (ROS 2, workspace, Python)")
    run = add("run", _run, "one program in the cell's environment")
    run.add_argument("program", nargs="?")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    setup = add("setup", _setup, "only prepare everything (any other command does it too)")
    setup.add_argument("--rebuild", action="store_true", help="build the workspace again from nothing")
    build = add("build", _build, "build the workspace again, or some packages with what they need")
    build.add_argument("packages", nargs="*", metavar="PACKAGE")
    add("env", _env, 'print the environment for a shell: eval "$(./cell env)"')
    add("lock", _lock, "for maintainers: pin what is installed now in requirements/core.lock")
    return parser


def _up_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cell", metavar="NAME|FILE", help="cell: a name of config/cells or a file")
    parser.add_argument(
        "--tote", metavar="NAME|FILE", help="content of the source tote: a name of config/totes, a file, or 'empty'"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="decides everything random in the simulator")
    parser.add_argument("--window", action="store_true", help="also open the simulator's window")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--live", action="store_true", help="cell time follows the clock (the default)")
    pace.add_argument("--pace", type=_pace, metavar="X", help="cell seconds per second; 0: as fast as the computer can")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="how long it may take to be ready (120)")


def _pace(word: str) -> float:
    """A real-time factor from the command line."""
    try:
        factor = float(word)
    except ValueError:
        factor = math.nan
    if not 0.0 <= factor < math.inf:
        raise argparse.ArgumentTypeError(f"'{word}' is no pace: cell seconds per second, 0 for as fast as possible")
    return factor


_DEMO_MORE = """\
The tote is config/totes/demo.yaml, the order config/orders/demo.yaml. The exit code is 0 when at least three
quarters of the ordered items were delivered. The report is one HTML file: open it in any browser.
"""
_TEST_MORE = """\
Without a layer all run, in this order, and stop at the first that fails (-k goes on). Words after -- go to pytest:
  ./cell test unit -- -k ledger -x
"""
_UP_MORE = """\
Further name:=value words go to launch/pick.launch.yaml; --show-args lists them. Logs: var/log/latest/ (launch.log has
all lines, <node>.log those of one node). Under a full ROS 2 installation the same file also runs with
'ros2 launch pickcell_bringup pick.launch.yaml'.
"""
