"""Reports on disk: a directory per piece (written by the core) and one per order, each with a page that opens anywhere."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pickcell.outcome import Code, Outcome
from pickcell.task.record import PickReport
from pickcell.task.report import ReportItem, write_html
from pickcell_task.desk import Kind, Ticket

log = logging.getLogger(__name__)
JSON_NAME, PAGE_NAME = "report.json", "report.html"


class Paperwork:
    """Reports below one directory."""

    def __init__(self, directory: Path, cell_name: str) -> None:
        self.directory = directory
        self._cell_name = cell_name
        self._filed: set[str] = set()

    def path_of(self, job_id: str) -> Path:
        return self.directory / job_id

    def on_change(self, ticket: Ticket) -> None:
        """Give to :meth:`Desk.listen`: files a ticket once, when it has ended."""
        if not ticket.jobs or not ticket.done or ticket.job_id in self._filed:
            return
        self._filed.add(ticket.job_id)
        filed = self.file(ticket)
        if not filed.ok:
            log.error("%s", filed.text)

    def file(self, ticket: Ticket) -> Outcome[Path]:
        """Write the page of a ticket that has ended, and an order's JSON. LEDGER_UNWRITABLE when the disk refuses."""
        target = self.path_of(ticket.job_id)
        try:
            target.mkdir(parents=True, exist_ok=True)
            if ticket.kind is Kind.ORDER or not (target / JSON_NAME).is_file():
                partial = target / f"{JSON_NAME}.partial"
                partial.write_text(json.dumps(self._summary(ticket), indent=1))
                partial.replace(target / JSON_NAME)
            items = [ReportItem(report, self.path_of(report.job_id)) for report in ticket.reports]
            write_html(target / PAGE_NAME, f"{ticket.kind.value.capitalize()} {ticket.subject}", items, self._facts(ticket))
        except OSError as error:
            return Outcome.failure(Code.LEDGER_UNWRITABLE, f"The report in {target}: {error.strerror}.")
        return Outcome.success(target)

    def _facts(self, ticket: Ticket) -> dict[str, str]:
        reports = ticket.reports
        return {
            "cell": self._cell_name,
            "job": ticket.job_id,
            "delivered": f"{sum(r.code is Code.OK for r in reports)} of {len(ticket.jobs)}",
            "cell time": f"{sum(r.duration_s for r in reports):.1f} s",
        }

    def _summary(self, ticket: Ticket) -> dict[str, object]:
        outcome = ticket.outcome
        return {
            "job_id": ticket.job_id,
            "kind": ticket.kind.value,
            "subject": ticket.subject,
            "code": outcome.code.value,
            "text": outcome.text,
            "items": [report.to_dict() for report in ticket.reports],
        }

    def read(self, job_id: str) -> Outcome[str]:
        """The JSON of a report."""
        path = self.path_of(job_id) / JSON_NAME
        try:
            return Outcome.success(path.read_text())
        except OSError as error:
            return Outcome.failure(Code.ORDER_MALFORMED, f"There is no report of job '{job_id}' ({path}: {error.strerror}).")


def unstarted(ticket_id: str, piece: str, sku: str, line: int, outcome: Outcome[None], now_s: float) -> PickReport:
    """The report of a piece whose pick could not even begin."""
    order_id = "" if ticket_id == piece else ticket_id
    report = PickReport(piece, sku, order_id, line, start_s=now_s)
    report.finish(outcome, now_s)
    return report
