"""Topics for screens and hosts: ``pick/state``, ``stats``, ``alerts``."""

from __future__ import annotations

import sqlite3
import threading

from pickcell_interfaces.msg import Alert as AlertMsg
from pickcell_interfaces.msg import CellStats, LedgerCount, PickState
from pickcell_interfaces.msg import Job as JobMsg
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from pickcell.task.ledger import Ledger, Place
from pickcell.task.record import PickReport
from pickcell_conversions.outcomes import code_msg, named_values_to_msg, outcome_to_msg
from pickcell_task.cell_ports import RosCell
from pickcell_task.desk import Alert, CellState, Desk, Ticket
from pickcell_task.guard import guarded
from pickcell_task.statistics import CellStatistics


def latched(depth: int) -> QoSProfile:
    return QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def job_msg(ticket: Ticket) -> JobMsg:
    """A ticket as a message."""
    if ticket.done:
        state = JobMsg.DONE
    elif ticket.cancelling:
        state = JobMsg.CANCELLING
    else:
        state = JobMsg.RUNNING if ticket.running else JobMsg.QUEUED
    msg = JobMsg(job_id=ticket.job_id, kind=ticket.kind.value, state=state, subject=ticket.subject)
    msg.items_total = len(ticket.jobs)
    msg.items_done = len(ticket.reports)
    if ticket.done and ticket.jobs:
        msg.outcome = outcome_to_msg(ticket.outcome)
    return msg


class Board:
    """Publishes what the desk, the ledger and the node watch know."""

    def __init__(self, node: Node, desk: Desk, ledger: Ledger, cell: RosCell, statistics: CellStatistics) -> None:
        self._node = node
        self._desk = desk
        self._ledger = ledger
        self._cell = cell
        self._statistics = statistics
        self._waiting_for = ""
        self._alert: Alert | None = None
        self._told_missing: set[str] = set()
        self._lock = threading.Lock()
        self._state = node.create_publisher(PickState, "pick/state", latched(1))
        self._stats = node.create_publisher(CellStats, "stats", latched(1))
        self._alerts = node.create_publisher(AlertMsg, "alerts", latched(10))
        # A steady clock: the board must also say so when cell time stands still.
        tick = guarded(node.get_logger().error, self.publish_stats)
        node.create_timer(1.0, tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        desk.listen(self._on_change)
        self.publish_state()

    def say_waiting(self, text: str) -> None:
        """What the running job waits for before it can begin; empty: nothing any more."""
        self._waiting_for = text
        self.publish_state()

    def _on_change(self, ticket: Ticket) -> None:
        for report in ticket.reports:
            self._statistics.add(report)
            self._tell_missing(ticket, report)
        self.publish_state()
        self._follow_alert()

    def _tell_missing(self, ticket: Ticket, report: PickReport) -> None:
        """An item whose place is not known is for a person to find; the cell goes on meanwhile."""
        if report.needs_person and report.job_id not in self._told_missing:
            self._told_missing.add(report.job_id)
            self._publish_alert(Alert(ticket.job_id, report.code, report.needs_person), cleared=False)

    def _follow_alert(self) -> None:
        """Tell when a person begins or ceases to be needed."""
        with self._lock:
            now, before = self._desk.alert, self._alert
            if now == before:
                return
            self._alert = now
            if before is not None:
                self._publish_alert(before, cleared=True)
            if now is not None:
                self._publish_alert(now, cleared=False)

    def _publish_alert(self, alert: Alert, cleared: bool) -> None:
        msg = AlertMsg(stamp=self._node.get_clock().now().to_msg(), job_id=alert.job_id, cleared=cleared)
        msg.outcome = code_msg(alert.code, alert.text)
        self._alerts.publish(msg)

    def publish_state(self) -> None:
        running = self._desk.running() or self._desk.last_ended()
        msg = PickState(stamp=self._node.get_clock().now().to_msg(), state=self._desk.state.value)
        if running is not None:
            msg.job = job_msg(running)
            msg.progress = running.progress
            current = running.current
            if current is not None:
                msg.sku = current.request.sku
                msg.stage = current.progress.stage.value if current.progress is not None else ""
        msg.sentence = self._sentence(running)
        msg.queue = [job_msg(ticket) for ticket in self._desk.waiting()]
        self._state.publish(msg)

    def _sentence(self, ticket: Ticket | None) -> str:
        if (alert := self._desk.alert) is not None:
            return f"Waits for a person: {alert.text}"
        if self._desk.state is CellState.PAUSED:
            return "Paused: call resume."
        if self._waiting_for:
            return f"Waits: {self._waiting_for}"
        if ticket is None:
            return "Waits for a job."
        current = ticket.current
        if current is not None and current.progress is not None:
            return f"{current.progress.text} ({current.request.sku}, attempt {current.progress.attempt})."
        return ticket.outcome.text if ticket.done else "Begins."

    def publish_stats(self) -> None:
        totals = self._statistics.totals()
        msg = CellStats(stamp=self._node.get_clock().now().to_msg())
        msg.delivered, msg.failed, msg.uph = totals.delivered, totals.failed, totals.uph
        msg.failures = named_values_to_msg(totals.failures)
        msg.stage_median = named_values_to_msg(totals.stage_medians)
        msg.ledger = self._counts()
        msg.nodes = self._cell.health()
        msg.cameras = self._cell.watch.cameras()
        self._stats.publish(msg)

    def _counts(self) -> list[LedgerCount]:
        """The inventory; empty while the ledger cannot be read: that must not silence the rest."""
        try:
            return [
                LedgerCount(sku=sku, place=place.value, count=count)
                for place in Place
                for sku, count in self._ledger.counts(place).items()
            ]
        except sqlite3.Error as error:
            self._node.get_logger().error(f"The ledger cannot be read: {error}", throttle_duration_sec=10.0)
            return []
