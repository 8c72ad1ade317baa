"""Orders and picks through the cell's actions: send the goal, follow its feedback, cancel it on Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pickcell_interfaces.action import FulfilOrder, PickItem
from pickcell_interfaces.msg import ItemResult, OrderLine, PickState
from pickcell_interfaces.msg import Outcome as OutcomeMsg
from pickcell_interfaces.srv import Cancel, Reset
from std_srvs.srv import SetBool

from pickcell_cli.connection import POLL_S, Connection, InterruptedByUserError, NotRunningError
from pickcell_cli.display import OrderDisplay
from pickcell_cli.manifest import SIM_SERVICE
from pickcell_node.action_client import ThreadedActionClient

CANCEL_WAIT_S = 8.0
ACCEPT_WAIT_S = 2.0
"""How long a goal that is given up before its acceptance has arrived is waited for, so that it can be cancelled."""
RESETS_TRIED = 3
"""After so many refused resets in a row, the rest of the job is cancelled."""
SIM_STOP_SERVICE = "/sim/protective_stop"
LOST_S = 6.0
"""A cell that does not know a job any more for so long has been restarted."""


@dataclass
class Ended:
    """How the goal ended."""

    outcome: OutcomeMsg
    job_id: str
    items: list[ItemResult] = field(default_factory=list)


class Follower:
    """One goal of ``pick_item`` or ``fulfil_order``."""

    def __init__(self, connection: Connection, attend: str) -> None:
        """``attend``: who looks when the cell asks for a person: wait, reset, cancel, or auto."""
        self._connection = connection
        self._attend = attend
        self._news: deque[Any] = deque()  # feedback that is not shown yet: a stage may be shorter than a poll
        self._job_id = ""
        self._known_at = 0.0
        self._refused = 0  # resets that the cell has refused in a row

    def order(self, order_id: str, lines: Sequence[tuple[str, int]], display: OrderDisplay) -> Ended:
        goal = FulfilOrder.Goal(order_id=order_id, lines=[OrderLine(sku=sku, quantity=n) for sku, n in lines])
        result = self._follow(FulfilOrder, "fulfil_order", goal, display)
        return Ended(result.outcome, result.job_id, list(result.items))

    def pick(self, sku: str, timeout_s: float, display: OrderDisplay) -> Ended:
        goal = PickItem.Goal(sku=sku, timeout=timeout_s)
        result = self._follow(PickItem, "pick_item", goal, display)
        return Ended(result.outcome, result.job_id, [result.item] if result.job_id else [])

    def _follow(self, action: Any, name: str, goal: Any, display: OrderDisplay) -> Any:
        connection = self._connection
        client = ThreadedActionClient(connection.node, action, name)
        if not connection.wait_until(client.server_is_ready, 5.0):
            raise NotRunningError(f"nobody offers the action '{name}'")
        sending = client.send_goal_async(goal, feedback_callback=self._take)
        result: Any = None
        try:
            if not connection.wait_until(sending.done, 5.0) or not sending.result().accepted:
                raise NotRunningError(f"the action '{name}' does not answer")
            result = sending.result().get_result_async()
            self._known_at = time.monotonic()
            while not result.done():
                if connection.interrupted:
                    raise InterruptedByUserError
                self._show(display)
                self._check(display)
                time.sleep(POLL_S)
        except BaseException as error:  # whatever ends this command, its job must not run on unattended
            self._withdraw(sending, result, display, by_user=isinstance(error, InterruptedByUserError | KeyboardInterrupt))
            raise
        self._show(display)
        return result.result().result

    def _take(self, msg: Any) -> None:
        self._news.append(msg.feedback)
        self._job_id = msg.feedback.job_id

    def _show(self, display: OrderDisplay) -> None:
        while self._news:
            feedback = self._news.popleft()
            if isinstance(feedback, FulfilOrder.Feedback):
                item, sku, finished = feedback.item, feedback.sku, feedback.finished
            else:
                item, sku, finished = 0, display.first_sku if feedback.stage != "queued" else "", []
            display.update(item, sku, feedback.stage, feedback.progress, feedback.sentence, finished)

    def _check(self, display: OrderDisplay) -> None:
        """Is the cell still there, does it still know the job, does it ask for a person?"""
        state = self._connection.state
        stats = self._connection.stats_age_s
        known = state is None or not self._job_id or self._job_id in (state.job.job_id, *(j.job_id for j in state.queue))
        if known and stats < LOST_S:
            self._known_at = time.monotonic()
        elif time.monotonic() - self._known_at > LOST_S:
            raise NotRunningError("it was restarted, or does not answer any more, while this job ran")
        if state is None:
            return
        if state.state == PickState.NEEDS_RESET:
            self._attend_alert(state, display)
        elif state.state == PickState.PAUSED or state.sentence.startswith("Waits: "):
            display.note(f" ! {state.sentence}")

    def _attend_alert(self, state: PickState, display: OrderDisplay) -> None:
        display.note(f" ! {state.sentence}")
        how = self._attend
        if how == "auto":
            simulated = self._connection.offers(SIM_SERVICE)
            how = "reset" if simulated else ("wait" if display.interactive else "cancel")
        if how == "wait":
            display.note(" ! Look into the cell, then run './cell run pickcell reset' (python -m pickcell_cli reset).")
        elif how == "cancel" or self._refused >= RESETS_TRIED:
            answer = self._connection.call(Cancel, "cancel", Cancel.Request(job_id=self._job_id))
            why = "Nobody attends" if how == "cancel" else f"The cell has refused {self._refused} resets"
            display.note(f" ! {why}: the rest is cancelled. {answer.outcome.text}")
        else:
            self._reset(display)
        self._connection.wait_until(lambda: self._connection.state is not state, 2.0)

    def _reset(self, display: OrderDisplay) -> None:
        """Reset the cell. In simulation the protective stop goes first: nobody else can clear it on the arm."""
        connection = self._connection
        if connection.offers(SIM_STOP_SERVICE):
            connection.call(SetBool, SIM_STOP_SERVICE, SetBool.Request(data=False))
        outcome = connection.call(Reset, "reset", Reset.Request()).outcome
        accepted = outcome.code == OutcomeMsg.OK
        self._refused = 0 if accepted else self._refused + 1
        display.note(f" ! {'Reset by this command' if accepted else 'The cell refuses to be reset'} ({outcome.text})")

    def _withdraw(self, sending: Any, result: Any, display: OrderDisplay, by_user: bool) -> None:
        """Cancel a goal, whose acceptance may not have arrived yet; after Ctrl-C wait for the cell to say that it did."""
        if by_user:
            display.note(" ! Interrupted: asking the cell to cancel this job ...")
        if not _done_within(sending, ACCEPT_WAIT_S):
            display.note(" ! The cell has not answered: './cell status' shows whether it took this job.")
            return
        handle = sending.result()
        if not handle.accepted:
            return
        asked = handle.cancel_goal_async()
        if not by_user:
            _done_within(asked, ACCEPT_WAIT_S)
            return
        stopped = _done_within(result or handle.get_result_async(), CANCEL_WAIT_S)
        display.note(f" ! {'Cancelled, the arm stands still.' if stopped else 'No answer: look at the cell.'}")


def _done_within(future: Any, timeout_s: float) -> bool:
    """Whether a future is done within ``timeout_s``, Ctrl-C or not."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return bool(future.done()) or done.wait(timeout_s)
