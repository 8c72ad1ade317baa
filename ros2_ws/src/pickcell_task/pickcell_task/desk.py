"""The cell's front desk, without ROS: takes picks and orders, follows them through the dispatcher, can tell of each.

A *ticket* is what an operator asked for: a pick of one piece, or an order of several. Each piece is one job of the core's
:class:`~pickcell.task.dispatcher.Dispatcher`. Tickets are told apart by ``job_id``; that of a pick is its only job's.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pickcell.outcome import Code, Outcome
from pickcell.task.dispatcher import Dispatcher, Job, JobState
from pickcell.task.record import PickReport
from pickcell.task.request import ANY_ITEM, OrderLine, check_line

log = logging.getLogger(__name__)

KEEP = 200
"""Ended tickets that are remembered."""


class Kind(str, Enum):
    PICK = "pick"
    ORDER = "order"


class CellState(str, Enum):
    IDLE = "idle"
    WORKING = "working"
    PAUSED = "paused"
    NEEDS_RESET = "needs_reset"


@dataclass
class Ticket:
    """A pick or an order on its way."""

    job_id: str
    kind: Kind
    subject: str
    """The SKU, or the order's name."""
    jobs: list[Job] = field(default_factory=list)
    timeout_s: float = 0.0
    """Longest cell time per piece, 0: no limit."""
    cancelling: bool = False

    @property
    def done(self) -> bool:
        return all(job.report is not None and job.state is JobState.DONE for job in self.jobs)

    @property
    def running(self) -> bool:
        return not self.done and any(job.state is not JobState.QUEUED for job in self.jobs)

    @property
    def reports(self) -> list[PickReport]:
        """Of the pieces that have ended, in order."""
        return [job.report for job in self.jobs if job.state is JobState.DONE and job.report is not None]

    @property
    def current(self) -> Job | None:
        """The piece being picked."""
        return next((job for job in self.jobs if job.state is JobState.RUNNING), None)

    @property
    def progress(self) -> float:
        """Share that is done, 0..1."""
        current = self.current
        part = current.progress.fraction if current is not None and current.progress is not None else 0.0
        return min(1.0, (len(self.reports) + part) / max(1, len(self.jobs)))

    @property
    def outcome(self) -> Outcome[None]:
        """OK when every piece was delivered, else that of the first piece that was not. Meaningful once ``done``."""
        reports = self.reports
        failed = next((report for report in reports if report.code is not Code.OK), None)
        if failed is not None:
            text = failed.text if len(reports) == 1 else f"{failed.sku}: {failed.text}"
            return Outcome(failed.code, text)
        return Outcome.success(None, f"{len(reports)} of {len(self.jobs)} delivered.")


@dataclass(frozen=True)
class Alert:
    """Something that only a person can settle."""

    job_id: str
    """Ticket it concerns, empty for none."""
    code: Code
    text: str


class Desk:
    """Tickets on top of a dispatcher. Safe to call from any thread; ``listen`` callbacks run on the thread of the change."""

    def __init__(self, dispatcher: Dispatcher, catalogue: Mapping[str, Any]) -> None:
        self._dispatcher = dispatcher
        self._catalogue = catalogue
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()
        self._by_job: dict[str, Ticket] = {}
        self._lock = threading.RLock()
        self._listeners: list[Callable[[Ticket], None]] = []
        self._numbers = 0
        self._ended: list[str] = []
        """Ids of the tickets that have ended, in that sequence."""
        self._paused = threading.Event()
        self._waiting_for_person = ""
        self._standing = False

    def listen(self, callback: Callable[[Ticket], None]) -> None:
        """Call ``callback`` with the ticket at every change."""
        self._listeners.append(callback)

    # --- asking for work -------------------------------------------------------------------------------------------

    def pick(self, sku: str, timeout_s: float = 0.0) -> Outcome[Ticket]:
        """Queue one piece. ORDER_MALFORMED or ITEM_UNKNOWN says what is wrong with the request."""
        line = self._check(sku, 1, "pick")
        if not line.ok:
            return line.failed_as()
        if not (math.isfinite(timeout_s) and timeout_s >= 0):
            return Outcome.failure(Code.ORDER_MALFORMED, f"pick: 'timeout' must be seconds >= 0, got {timeout_s}.")
        job = self._dispatcher.submit(line.unwrap().sku)
        ticket = Ticket(job.request.job_id, Kind.PICK, line.unwrap().sku, [job], float(timeout_s))
        self._register(ticket)
        self._tell(ticket)
        return Outcome.success(ticket, self._place_in_queue(ticket))

    def order(self, name: str, lines: Sequence[tuple[str, Any]]) -> Outcome[Ticket]:
        """Queue all pieces of an order; ``lines``: (SKU, quantity). Nothing is queued unless all lines are right."""
        if not lines:
            return Outcome.failure(Code.ORDER_MALFORMED, "order: 'lines' is empty.")
        checked: list[OrderLine] = []
        for i, (sku, quantity) in enumerate(lines):
            line = self._check(sku, quantity, f"order line {i}")
            if not line.ok:
                return line.failed_as()
            checked.append(line.unwrap())
        self._numbers += 1
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:40] or "order"
        ticket = Ticket(f"{slug}-{time.strftime('%Y%m%d-%H%M%S')}-{self._numbers}", Kind.ORDER, name or slug)
        for i, line in enumerate(checked):
            for _ in range(line.quantity):
                ticket.jobs.append(self._dispatcher.submit(line.sku, ticket.job_id, i))
        self._register(ticket)
        self._tell(ticket)
        return Outcome.success(ticket, self._place_in_queue(ticket))

    def _check(self, sku: Any, quantity: Any, where: str) -> Outcome[OrderLine]:
        line = check_line(sku, quantity, where)
        if not line.ok or line.unwrap().sku == ANY_ITEM:
            return line
        found = self._catalogue.find(line.unwrap().sku)  # type: ignore[attr-defined]
        return line if found.ok else Outcome(found.code, f"{where}: {found.text}")

    def _register(self, ticket: Ticket) -> None:
        # Never calls out with the lock held: the dispatcher calls `changed` under a lock of its own.
        with self._lock:
            self._tickets[ticket.job_id] = ticket
            for job in ticket.jobs:
                self._by_job[job.request.job_id] = ticket
            forgotten, self._ended = self._ended[:-KEEP], self._ended[-KEEP:]
            for job_id in forgotten:
                for job in self._tickets.pop(job_id).jobs:
                    self._by_job.pop(job.request.job_id, None)

    def ticket_of(self, piece: str) -> Ticket:
        """The ticket that a dispatcher's job belongs to. A job may begin a moment before its ticket is registered."""
        end = time.monotonic() + 5.0
        while time.monotonic() < end:
            if (ticket := self._by_job.get(piece)) is not None:
                return ticket
            time.sleep(0.001)
        raise KeyError(f"no ticket for job '{piece}'")

    def position(self, ticket: Ticket) -> int:
        """Tickets before this one, the running one included."""
        with self._lock:
            tickets = list(self._tickets.values())
        return sum(not other.done for other in tickets[: tickets.index(ticket)])

    def _place_in_queue(self, ticket: Ticket) -> str:
        before = self.position(ticket)
        return f"Queued as {ticket.job_id}, {'starts now' if before == 0 else f'{before} before it'}."

    # --- looking up ------------------------------------------------------------------------------------------------

    def find(self, job_id: str) -> Outcome[Ticket]:
        """By id of a ticket or of one of its pieces. Empty: the running one, or else the one that ended last."""
        with self._lock:
            if job_id:
                ticket = self._tickets.get(job_id) or self._by_job.get(job_id)
                if ticket is None:
                    return Outcome.failure(Code.ORDER_MALFORMED, f"There is no job '{job_id}'.")
                return Outcome.success(ticket)
            tickets = list(self._tickets.values())
        running = next((t for t in tickets if t.running), None)
        found = running or self.last_ended() or (tickets[0] if tickets else None)
        if found is None:
            return Outcome.failure(Code.ORDER_MALFORMED, "There has been no job yet.")
        return Outcome.success(found)

    def last_ended(self) -> Ticket | None:
        with self._lock:
            return self._tickets[self._ended[-1]] if self._ended else None

    def running(self) -> Ticket | None:
        with self._lock:
            return next((t for t in self._tickets.values() if t.running), None)

    def waiting(self) -> list[Ticket]:
        """Not yet begun, next first."""
        with self._lock:
            return [t for t in self._tickets.values() if not t.done and not t.running]

    def explain(self, ticket: Ticket) -> str:
        """What the cell decided last for it, and what came of it."""
        current = ticket.current
        if current is not None and current.progress is not None:
            return f"{current.request.sku}, attempt {current.progress.attempt}: {current.progress.text}."
        reports = ticket.reports
        if not reports:
            return "It waits in the queue: nothing has been decided yet."
        last = reports[-1]
        return f"{last.sku}: {last.explanation} {last.text}".replace("  ", " ")

    # --- steering --------------------------------------------------------------------------------------------------

    def cancel(self, job_id: str) -> Outcome[Ticket]:
        """Cancel a ticket, or one piece of an order by the piece's own id. Empty: the running ticket."""
        found = self.find(job_id)
        if not found.ok:
            return found
        ticket = found.unwrap()
        if ticket.done or (not job_id and not ticket.running):
            return Outcome.failure(Code.ORDER_MALFORMED, f"Nothing to cancel: job {ticket.job_id} has already ended.")
        piece = [j for j in ticket.jobs if j.request.job_id == job_id and ticket.kind is Kind.ORDER]
        was_running = ticket.running
        if not piece:
            ticket.cancelling = True
        # From the back, so that the dispatcher does not begin a piece that is about to be taken out.
        for job in reversed(piece or ticket.jobs):
            if job.state is not JobState.DONE:
                self._dispatcher.cancel(job.request.job_id)
        self._tell(ticket)
        return Outcome.success(ticket, "Stopping the pick that is running." if was_running else "Taken out of the queue.")

    def pause(self) -> Outcome[None]:
        """Stand still after the running stage; queued jobs wait."""
        if (alert := self.alert) is not None:
            return Outcome.failure(Code.NEEDS_RESET, alert.text)
        self._paused.set()
        self._dispatcher.pause()
        self._tell_current()
        return Outcome.success(None, "The cell stands still after the running stage.")

    def resume(self) -> Outcome[None]:
        if (alert := self.alert) is not None:
            return Outcome.failure(Code.NEEDS_RESET, alert.text)
        was = self._paused.is_set()
        self._paused.clear()
        self._dispatcher.resume()
        self._tell_current()
        return Outcome.success(None, "Going on." if was else "The cell was not paused.")

    def reset(self) -> str:
        """A person has looked: go on. Returns what was cleared."""
        waiting, self._waiting_for_person = self._waiting_for_person, ""
        self._paused.clear()
        said = self._dispatcher.reset()
        self._tell_current()
        return f"Cleared: {waiting}" if waiting else said

    def ask_person(self, text: str) -> None:
        """Begin no job before somebody has called :meth:`reset`."""
        self._waiting_for_person = text
        self._dispatcher.pause()
        self._tell_current()

    @property
    def alert(self) -> Alert | None:
        """Why the cell waits for a person, None when it does not."""
        if self._waiting_for_person:
            return Alert("", Code.NEEDS_RESET, self._waiting_for_person)
        report = self._dispatcher.alert
        return Alert(report.order_id or report.job_id, report.code, report.text) if report is not None else None

    @property
    def state(self) -> CellState:
        if self.alert is not None:
            return CellState.NEEDS_RESET
        running = self.running() is not None
        if self._paused.is_set() and (self._standing or not running):
            return CellState.PAUSED
        return CellState.WORKING if running else CellState.IDLE

    # --- called by the dispatcher's worker ---------------------------------------------------------------------------

    def changed(self, job: Job) -> float:
        """Give as ``changed`` to the dispatcher. Holds the worker between two stages while the cell is paused.

        Returns for how many seconds it did so.
        """
        ticket = self.ticket_of(job.request.job_id)
        self._tell(ticket)
        if job.state is not JobState.RUNNING or not self._paused.is_set():
            return 0.0
        since = time.monotonic()
        self._standing = True
        self._tell(ticket)
        while self._paused.is_set() and self._dispatcher.interrupted().ok:
            time.sleep(0.02)
        self._standing = False
        self._tell(ticket)
        return time.monotonic() - since

    def _tell(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket.jobs and ticket.done and ticket.job_id not in self._ended:
                self._ended.append(ticket.job_id)
        for callback in self._listeners:
            try:
                callback(ticket)
            except Exception:  # a fault of one listener must neither end the node nor keep the news from the others
                log.exception("%s failed on job %s", callback, ticket.job_id)

    def _tell_current(self) -> None:
        """Something changed that concerns no ticket in particular."""
        found = self.find("")
        self._tell(found.value or Ticket("", Kind.PICK, ""))
