"""What the operator sees: a live line per item on a terminal, plain lines elsewhere, and tables at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from pickcell_interfaces.msg import CellStats, ItemResult, PickState
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

STAGES = ("observe", "choose", "clear", "approach", "grasp", "lift", "verify", "transfer", "place", "verify_place", "record")
HEADS = ("look", "choose", "clear", "appr.", "grasp", "lift", "verify", "carry", "place", "check", "rec.")


def make_console() -> Console:
    """Colours on a terminal; elsewhere plain text wide enough for the tables."""
    return Console() if sys.stdout.isatty() else Console(width=150, no_color=True, highlight=False)


class OrderDisplay(AbstractContextManager["OrderDisplay"]):
    """Progress of an order (or a single pick): finished items stay, the running one is a live line."""

    def __init__(self, console: Console, skus: Sequence[str], names: dict[str, str]) -> None:
        self._console = console
        self._skus = list(skus)
        self._names = names
        self._finished = 0
        self._said = ""
        self._note = ""
        self._live: Live | None = None
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
        )
        self._task = self._bar.add_task("queued", total=1.0)
        self._began = time.monotonic()

    @property
    def interactive(self) -> bool:
        """Somebody sits at a terminal."""
        return self._console.is_terminal

    @property
    def first_sku(self) -> str:
        return self._skus[0]

    def __enter__(self) -> OrderDisplay:
        if self._console.is_terminal:
            self._live = Live(self._bar, console=self._console, refresh_per_second=8, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    def update(
        self, item: int, sku: str, stage: str, progress: float, sentence: str, finished: Sequence[ItemResult]
    ) -> None:
        """The newest feedback of the cell."""
        for result in finished[self._finished :]:
            self._say(self._finished_line(self._finished, result))
            self._finished += 1
        label = f"{item + 1}/{len(self._skus)} {self._label(sku)}" if sku else "waiting"
        line = f"{label}  {stage}: {sentence}"
        if self._live is not None:
            self._bar.update(self._task, completed=progress, description=line)
        elif line != self._said:
            self._say(f"[{time.monotonic() - self._began:6.1f} s] {line}")
        self._said = line

    def note(self, text: str) -> None:
        """A message from the cell that is about no item; the same one is said once."""
        if text and text != self._note:
            self._say(text)
        self._note = text

    def _label(self, sku: str) -> str:
        name = self._names.get(sku, "")
        return f"{sku} ({name})" if name and name != sku else sku

    def _finished_line(self, index: int, result: ItemResult) -> str:
        done = result.outcome.code == "ok"
        said = f"delivered by {result.tool}" if done else f"{result.outcome.code}: {result.outcome.text}"
        mark = "+" if done else "-"
        return f" {mark} {index + 1}/{len(self._skus)} {self._label(result.sku)}: {said} ({result.duration:.1f} s)"

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def result_table(items: Sequence[ItemResult], names: dict[str, str]) -> Group:
    """Item, tool, outcome, and cell seconds per stage; reasons of what failed below."""
    table = Table(title="Seconds of cell time per stage", title_justify="left", pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("item")
    table.add_column("tool")
    table.add_column("outcome")
    table.add_column("tries", justify="right")
    for head in HEADS:
        table.add_column(head, justify="right")
    table.add_column("total", justify="right")
    reasons = []
    for i, item in enumerate(items, 1):
        times = {entry.name: entry.value for entry in item.stage_times}
        ok = item.outcome.code == "ok"
        cells = [f"{times[stage]:.1f}" if stage in times else "" for stage in STAGES]
        outcome = Text("delivered" if ok else item.outcome.code, style="green" if ok else "red")
        table.add_row(str(i), item.sku, item.tool, outcome, str(item.attempts), *cells, f"{item.duration:.1f}")
        if not ok:
            name = names.get(item.sku, "")
            reasons.append(Text(f" {i} {item.sku}{f' ({name})' if name else ''}: {item.outcome.text}"))
    return Group(table, *reasons)


def status_text(state: PickState, stats: CellStats | None) -> Group:
    """The cell at a glance."""
    parts: list[Any] = [Text(f"state    {state.state}: {state.sentence}")]
    if state.job.job_id:
        job = state.job
        said = f"{job.items_done} of {job.items_total} done" + (f", {job.outcome.code}" if job.outcome.code else "")
        parts.append(Text(f"job      {job.job_id}, {job.kind} {job.subject}: {job.state}, {said}"))
    parts.append(Text("queue    " + (", ".join(f"{j.job_id} ({j.subject})" for j in state.queue) or "empty")))
    if stats is None:
        return Group(*parts, Text("No statistics have arrived."))
    parts.append(Text(f"since start: {stats.delivered} delivered, {stats.failed} failed, {stats.uph:.0f} units per hour"))
    if stats.failures:
        parts.append(Text("failures " + ", ".join(f"{f.name} {f.value:.0f}" for f in stats.failures)))
    if stats.stage_median:
        parts.append(Text("median   " + ", ".join(f"{s.name} {s.value:.1f} s" for s in stats.stage_median)))
    for node in stats.nodes:
        parts.append(Text(f"node     {node.node}: {'alive' if node.alive else node.note}"))
    for camera in stats.cameras:
        rate = f"{camera.rate:.1f} Hz" if camera.age >= 0 else "no image"
        parts.append(Text(f"camera   {camera.camera}: {rate}{f', {camera.note}' if camera.note else ''}"))
    parts.append(_ledger_table(stats))
    return Group(*parts)


def _ledger_table(stats: CellStats) -> Table | Text:
    if not stats.ledger:
        return Text("ledger   empty: no manifest has been set (pickcell manifest FILE)")
    places = ("source", "hand", "destination", "needs_person")
    counts: dict[str, dict[str, int]] = {}
    for entry in stats.ledger:
        counts.setdefault(entry.sku, {})[entry.place] = entry.count
    table = Table(title="Ledger: pieces per place", title_justify="left", pad_edge=False)
    table.add_column("SKU")
    for place in places:
        table.add_column(place, justify="right")
    for sku, at in sorted(counts.items()):
        table.add_row(sku, *(str(at.get(place, "")) for place in places))
    totals = [str(sum(at.get(place, 0) for at in counts.values())) for place in places]
    table.add_section()
    table.add_row("all", *totals)
    return table
