"""Actions ``pick_item`` and ``fulfil_order``: a goal becomes a ticket at the desk and ends with it.

Goals are not executed on a thread each: feedback is sent when the desk reports a change, and the result when the ticket has
ended. Any number of goals can wait at the cost of nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from pickcell_interfaces.action import FulfilOrder, PickItem
from pickcell_interfaces.msg import ItemResult
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from pickcell.outcome import Code, Outcome
from pickcell_conversions.jobs import delivered, item_result
from pickcell_conversions.outcomes import outcome_to_msg
from pickcell_task.desk import Desk, Ticket

log = logging.getLogger(__name__)

QUEUED = "queued"


class Actions:
    """Offers both actions on a node."""

    def __init__(self, node: Node, desk: Desk) -> None:
        self._desk = desk
        self._goals: dict[str, ServerGoalHandle] = {}
        self._lock = threading.Lock()
        self._servers = [
            self._server(node, PickItem, "pick_item", self._accept_pick),
            self._server(node, FulfilOrder, "fulfil_order", self._accept_order),
        ]
        desk.listen(self._on_change)

    def _server(self, node: Node, action: Any, name: str, accepted: Callable[[ServerGoalHandle], None]) -> ActionServer:
        return ActionServer(
            node,
            action,
            name,
            execute_callback=lambda goal: action.Result(),  # never used: each goal brings its own, see _finish
            handle_accepted_callback=accepted,
            cancel_callback=self._on_cancel,
        )

    def _accept_pick(self, goal: ServerGoalHandle) -> None:
        self._begin(goal, PickItem, lambda: self._desk.pick(goal.request.sku, goal.request.timeout))

    def _accept_order(self, goal: ServerGoalHandle) -> None:
        lines = [(line.sku, line.quantity) for line in goal.request.lines]
        self._begin(goal, FulfilOrder, lambda: self._desk.order(goal.request.order_id, lines))

    def _begin(self, goal: ServerGoalHandle, action: Any, ask: Callable[[], Outcome[Ticket]]) -> None:
        try:
            asked = ask()
        except Exception as error:  # an exception here would end the node
            log.exception("a goal of %s", action.__name__)
            asked = Outcome.failure(Code.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        if not asked.ok:
            self._end(goal, action.Result(outcome=outcome_to_msg(asked)), succeeded=False)
            return
        ticket = asked.unwrap()
        with self._lock:
            self._goals[ticket.job_id] = goal
        self._on_change(ticket)  # it may have begun, or even ended, meanwhile

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        with self._lock:
            job_id = next((job_id for job_id, other in self._goals.items() if other.goal_id == goal.goal_id), "")
        if not job_id:
            return CancelResponse.REJECT
        # Off this callback: the goal must be in its state "canceling" before the ticket ends and settles it.
        threading.Thread(target=self._desk.cancel, args=(job_id,), daemon=True).start()
        return CancelResponse.ACCEPT

    def _on_change(self, ticket: Ticket) -> None:
        with self._lock:
            goal = self._goals.pop(ticket.job_id, None) if ticket.done else self._goals.get(ticket.job_id)
        if goal is None:
            return
        is_pick = isinstance(goal.request, PickItem.Goal)
        goal.publish_feedback((pick_feedback if is_pick else order_feedback)(ticket))
        if ticket.done:
            result = (pick_result if is_pick else order_result)(ticket)
            self._end(goal, result, succeeded=ticket.outcome.ok)

    @staticmethod
    def _end(goal: ServerGoalHandle, result: Any, succeeded: bool) -> None:
        """Settle the goal on the executor's thread."""

        def settle(handle: ServerGoalHandle) -> Any:
            if handle.is_cancel_requested:
                handle.canceled()
            elif succeeded:
                handle.succeed()
            else:
                handle.abort()
            return result

        goal.execute(settle)

    def close(self) -> None:
        for server in self._servers:
            server.destroy()


def pick_result(ticket: Ticket) -> PickItem.Result:
    (report,) = ticket.reports
    return PickItem.Result(
        outcome=outcome_to_msg(ticket.outcome),
        job_id=ticket.job_id,
        item=item_result(report),
        duration=report.duration_s,
        report_id=ticket.job_id,
    )


def pick_feedback(ticket: Ticket) -> PickItem.Feedback:
    stage, sentence = _where(ticket)
    return PickItem.Feedback(job_id=ticket.job_id, stage=stage, progress=ticket.progress, sentence=sentence)


def order_result(ticket: Ticket) -> FulfilOrder.Result:
    reports = ticket.reports
    return FulfilOrder.Result(
        outcome=outcome_to_msg(ticket.outcome),
        job_id=ticket.job_id,
        items=_items(ticket),
        delivered=delivered(reports),
        duration=float(sum(report.duration_s for report in reports)),
        report_id=ticket.job_id,
    )


def order_feedback(ticket: Ticket) -> FulfilOrder.Feedback:
    stage, sentence = _where(ticket)
    current = ticket.current
    return FulfilOrder.Feedback(
        job_id=ticket.job_id,
        item=min(len(ticket.reports), len(ticket.jobs) - 1),
        items_total=len(ticket.jobs),
        sku=current.request.sku if current is not None else "",
        stage=stage,
        progress=ticket.progress,
        sentence=sentence,
        finished=[item_result(report) for report in sorted(ticket.reports, key=lambda r: r.start_s + r.duration_s)],
    )


def _items(ticket: Ticket) -> list[ItemResult]:
    return [item_result(report) for report in ticket.reports]


def _where(ticket: Ticket) -> tuple[str, str]:
    """Stage and sentence of what is going on."""
    current = ticket.current
    if current is not None and current.progress is not None:
        return current.progress.stage.value, current.progress.text
    if ticket.done:
        return "done", ticket.outcome.text
    return (QUEUED, "Waits for its turn.") if not ticket.running else ("begin", "Begins.")
