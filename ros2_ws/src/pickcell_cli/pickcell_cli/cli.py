"""Commands of the operator.

Exit codes: 0 done (all delivered), 1 some failed or refused, 2 wrong call or malformed order, 3 the cell is not running,
130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pickcell_interfaces.srv import Cancel, Explain, GetReport, Pause, Pick, Reset, Resume

from pickcell_cli.connection import Connection, InterruptedByUserError, NotRunningError
from pickcell_cli.display import OrderDisplay, make_console, result_table, status_text
from pickcell_cli.manifest import ManifestError, read_manifest, send_manifest, simulated_manifest
from pickcell_cli.ordering import Ended, Follower
from pickcell_cli.plain import to_plain
from pickcell_cli.readiness import wait_ready

OK, FAILED, USAGE, NOT_RUNNING, INTERRUPTED = 0, 1, 2, 3, 130
WRONG_REQUEST = ("order_malformed", "item_unknown")
"""Codes of an answer that mean that the call was wrong."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    options = _parser().parse_args(argv)
    try:
        code = options.run(options)
    except (NotRunningError, ManifestError) as error:
        print(error, file=sys.stderr)
        code = NOT_RUNNING if isinstance(error, NotRunningError) else USAGE
    except (InterruptedByUserError, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    raise SystemExit(code)


# --- picking -----------------------------------------------------------------------------------------------------------


def pick(options: argparse.Namespace) -> int:
    if not options.sku.strip() or not (math.isfinite(options.timeout) and options.timeout >= 0):
        print("pick: --sku must not be empty and --timeout must be a number of seconds >= 0", file=sys.stderr)
        return USAGE
    with Connection() as connection:
        connection.watch()
        if options.queue:
            answer = connection.call(Pick, "pick", Pick.Request(sku=options.sku, timeout=options.timeout))
            print(answer.outcome.text)
            return _code(answer.outcome.code)
        with OrderDisplay(make_console(), [options.sku], _names()) as display:
            ended = Follower(connection, options.attend).pick(options.sku, options.timeout, display)
        return _finish(connection, ended, options)


def order(options: argparse.Namespace) -> int:
    from pickcell.task.request import load_order

    loaded = load_order(options.file)
    if not loaded.ok:
        print(loaded.text, file=sys.stderr)
        return USAGE
    wanted = loaded.unwrap()
    lines = [(line.sku, line.quantity) for line in wanted.lines]
    with Connection() as connection:
        connection.watch()
        skus = [sku for sku, quantity in lines for _ in range(quantity)]
        with OrderDisplay(make_console(), skus, _names()) as display:
            ended = Follower(connection, options.attend).order(wanted.order_id, lines, display)
        return _finish(connection, ended, options)


def _finish(connection: Connection, ended: Ended, options: argparse.Namespace) -> int:
    """Table, reasons, report; the exit code."""
    console = make_console()
    if not ended.job_id:
        print(f"{ended.outcome.code}: {ended.outcome.text}", file=sys.stderr)
        return _code(ended.outcome.code)
    console.print(result_table(ended.items, _names()))
    delivered = sum(item.outcome.code == "ok" for item in ended.items)
    seconds = sum(item.duration for item in ended.items)
    console.print(f"{delivered} of {len(ended.items)} delivered in {seconds:.1f} s of cell time. Job {ended.job_id}.")
    page = _page(connection, ended.job_id)
    if page is not None and options.html:
        shutil.copyfile(page, options.html)
        page = Path(options.html).resolve()
    if page is not None:
        console.print(f"Report: file://{page}", soft_wrap=True)
    if options.json:
        data = {"job_id": ended.job_id, "outcome": to_plain(ended.outcome), "items": to_plain(ended.items)}
        Path(options.json).write_text(json.dumps(data, indent=1))
    return OK if delivered == len(ended.items) else FAILED


def _page(connection: Connection, job_id: str) -> Path | None:
    """The report's page, when it lies on this machine."""
    answer = connection.call(GetReport, "get_report", GetReport.Request(job_id=job_id))
    page = Path(answer.directory) / "report.html"
    return page if answer.directory and page.is_file() else None


def _names() -> dict[str, str]:
    """SKU -> name, for people; empty when the catalogue is not here."""
    from pickcell.catalogue import CatalogueError, load_catalogue  # not needed, and not paid for, by most commands

    try:
        return {sku: entry.name for sku, entry in load_catalogue().items()}
    except CatalogueError:
        return {}


def _code(code: str) -> int:
    return OK if code == "ok" else USAGE if code in WRONG_REQUEST else FAILED


# --- looking and steering -------------------------------------------------------------------------------------------------


def status(options: argparse.Namespace) -> int:
    with Connection() as connection:
        connection.watch()
        if not connection.wait_until(lambda: connection.state is not None and connection.stats is not None, 5.0):
            raise NotRunningError("nothing arrives on pick/state and stats")
        if not connection.wait_until(lambda: connection.stats_age_s < 1.5, 3.0):
            raise NotRunningError("its last word is old")
        if options.json:
            print(json.dumps({"state": to_plain(connection.state), "stats": to_plain(connection.stats)}, indent=1))
        else:
            make_console().print(status_text(connection.state, connection.stats))
        return OK


def steer(options: argparse.Namespace) -> int:
    """cancel, pause, resume, reset: one call, its sentence, its code."""
    service, request = {
        "cancel": (Cancel, lambda: Cancel.Request(job_id=options.job)),
        "pause": (Pause, Pause.Request),
        "resume": (Resume, Resume.Request),
        "reset": (Reset, Reset.Request),
    }[options.command]
    with Connection() as connection:
        answer = connection.call(service, options.command, request())
        return _say(answer.outcome, answer.outcome.text)


def explain(options: argparse.Namespace) -> int:
    with Connection() as connection:
        answer = connection.call(Explain, "explain", Explain.Request(job_id=options.job))
        return _say(answer.outcome, f"{answer.job_id}: {answer.sentence}" if answer.sentence else answer.outcome.text)


def report(options: argparse.Namespace) -> int:
    with Connection() as connection:
        answer = connection.call(GetReport, "get_report", GetReport.Request(job_id=options.job))
        if answer.outcome.code != "ok":
            return _say(answer.outcome, answer.outcome.text)
        if options.json:
            print(answer.json)
            return OK
        page = Path(answer.directory) / "report.html"
        if options.html and page.is_file():
            shutil.copyfile(page, options.html)
            page = Path(options.html).resolve()
        print(f"{answer.job_id}: file://{page}" if page.is_file() else f"{answer.job_id}: {answer.directory}")
        return OK


def manifest(options: argparse.Namespace) -> int:
    items = read_manifest(Path(options.file)) if options.file else None
    with Connection() as connection:
        if items is None:
            connection.wait_until(lambda: simulated_manifest(connection) is not None, 5.0)
            items = simulated_manifest(connection)
        if items is None:
            print("manifest: name a file; only a simulated cell can tell by itself what is in its tote", file=sys.stderr)
            return USAGE
        outcome = send_manifest(connection, items)
        return _say(outcome, outcome.text)


def wait(options: argparse.Namespace) -> int:
    """Until the cell can pick. In simulation also hands it the manifest of the tote that was filled."""
    with Connection() as connection:
        connection.watch()
        return OK if wait_ready(connection, options.timeout, lambda text: print(text, flush=True)) else FAILED


def _say(outcome: Any, text: str) -> int:
    code = _code(outcome.code)
    print(text if code == OK else f"{outcome.code}: {text}", file=sys.stdout if code == OK else sys.stderr)
    return code


# --- the words ------------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pickcell", description="Talks to a running cell.", epilog=__doc__.split("\n\n")[1]
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(run=run)
        return command

    one = add("pick", pick, "pick one piece and follow it")
    one.add_argument(
        "--sku", required=True, help="what to pick, as in the catalogue; '*' (quoted): whatever can be taken best"
    )
    one.add_argument("--timeout", type=float, default=0.0, metavar="S", help="longest cell time it may take (0: no limit)")
    one.add_argument("--queue", action="store_true", help="only queue it, print the job's id and return")
    many = add("order", order, "pick an order and follow it")
    many.add_argument("file", help="order file, see config/orders/demo.yaml")
    for command in (one, many):
        command.add_argument("--html", metavar="FILE", help="also write the report page here")
        command.add_argument("--json", metavar="FILE", help="also write the result here as JSON")
        command.add_argument(
            "--attend",
            choices=("auto", "wait", "reset", "cancel"),
            default="auto",
            help="when the cell asks for a person: wait for a reset from elsewhere, reset it, or cancel the rest. auto: "
            "reset a simulated cell (nobody can look into it); else wait at a terminal and cancel without one",
        )
    add("status", status, "what the cell is doing, its queue, ledger, nodes and cameras").add_argument(
        "--json", action="store_true"
    )
    add("cancel", steer, "cancel a job").add_argument("job", nargs="?", default="", help="its id; default: the running one")
    add("pause", steer, "stand still after the running stage")
    add("resume", steer, "go on after pause")
    add("reset", steer, "go on after the cell has asked for a person")
    add("explain", explain, "why the cell did what it did last").add_argument("job", nargs="?", default="")
    told = add("report", report, "where the report of a job is")
    told.add_argument("job", nargs="?", default="", help="its id; default: the last one that ended")
    told.add_argument("--json", action="store_true", help="print it as JSON")
    told.add_argument("--html", metavar="FILE", help="copy its page here")
    add("manifest", manifest, "tell the cell what is in the source tote").add_argument(
        "file", nargs="?", help="YAML with 'items: {SKU: count}'; default: what the simulator filled in"
    )
    add("wait", wait, "wait until the cell can pick").add_argument("--timeout", type=float, default=60.0, metavar="S")
    return parser
