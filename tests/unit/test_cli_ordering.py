# ruff: noqa: E402
"""Following an order from the command line: nobody at the cell, and the command's end at the worst moment."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

ordering = pytest.importorskip("pickcell_cli.ordering", reason="needs the built workspace")

from pickcell_interfaces.msg import Outcome as OutcomeMsg
from pickcell_interfaces.msg import PickState
from rclpy.task import Future

from pickcell_cli.connection import InterruptedByUserError, NotRunningError


class FakeDisplay:
    interactive, first_sku = False, "a"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def update(self, *_: object) -> None:
        pass


class FakeConnection:
    """A cell that stands in a protective stop and refuses resets while it does."""

    node, interrupted, stats_age_s = None, False, 0.0

    def __init__(self, *services: str, clears: bool = True) -> None:
        self._services, self._clears = services, clears
        self.stopped, self.calls = True, []
        self.state = PickState(state=PickState.NEEDS_RESET, sentence="Waits for a person: protective stop.")

    def offers(self, service: str) -> bool:
        return service in self._services

    def wait_until(self, condition, timeout_s: float) -> bool:
        return bool(condition())

    def call(self, service, name: str, request, timeout_s: float = 10.0):
        self.calls.append(name)
        if name == ordering.SIM_STOP_SERVICE and self._clears:
            self.stopped = request.data
        refused = name == "reset" and self.stopped
        outcome = OutcomeMsg(code="protective_stop" if refused else "ok", text="The arm is stopped." if refused else "Done.")
        return SimpleNamespace(outcome=outcome, success=True)


@pytest.mark.parametrize("attend", ["auto", "reset"])
def test_a_simulated_protective_stop_is_cleared_before_the_reset(attend) -> None:
    connection, display = FakeConnection(ordering.SIM_SERVICE, ordering.SIM_STOP_SERVICE), FakeDisplay()
    ordering.Follower(connection, attend)._attend_alert(connection.state, display)
    assert connection.calls == [ordering.SIM_STOP_SERVICE, "reset"] and not connection.stopped
    assert any("Reset by this command" in note for note in display.notes)


def test_the_rest_is_cancelled_when_resets_are_refused_again_and_again() -> None:
    connection, display = FakeConnection(ordering.SIM_SERVICE, ordering.SIM_STOP_SERVICE, clears=False), FakeDisplay()
    follower = ordering.Follower(connection, "auto")
    for _ in range(ordering.RESETS_TRIED + 1):
        follower._attend_alert(connection.state, display)
    assert connection.calls.count("reset") == ordering.RESETS_TRIED and connection.calls[-1] == "cancel"
    assert "refused 3 resets" in display.notes[-1]


class FakeClient:
    """An action whose acceptance arrives ``after_s`` seconds after the goal was sent, never for None."""

    def __init__(self, after_s: float | None, accepted: bool = True) -> None:
        self.sending, self.cancelled, self.result = Future(), threading.Event(), Future()
        self.handle = SimpleNamespace(
            accepted=accepted, get_result_async=lambda: self.result, cancel_goal_async=self._cancel
        )
        self._after_s = after_s

    def __call__(self, *_: object) -> FakeClient:
        return self

    def server_is_ready(self) -> bool:
        return True

    def send_goal_async(self, goal, feedback_callback) -> Future:
        if self._after_s is not None:
            threading.Timer(self._after_s, lambda: self.sending.set_result(self.handle)).start()
        return self.sending

    def _cancel(self) -> Future:
        self.cancelled.set()
        done: Future = Future()
        for future in (done, self.result):
            future.set_result(None)
        return done


class EndingConnection(FakeConnection):
    """Ctrl-C, or no patience any more, while the acceptance is awaited."""

    def __init__(self, by_user: bool) -> None:
        super().__init__()
        self._by_user, self._waits = by_user, 0

    def wait_until(self, condition, timeout_s: float) -> bool:
        self._waits += 1
        if self._waits > 1 and self._by_user:
            raise InterruptedByUserError
        return bool(condition())


@pytest.mark.parametrize(("by_user", "error"), [(True, InterruptedByUserError), (False, NotRunningError)])
def test_a_job_whose_acceptance_comes_late_is_cancelled(monkeypatch, by_user, error) -> None:
    client, display = FakeClient(after_s=0.3), FakeDisplay()
    monkeypatch.setattr(ordering, "ThreadedActionClient", client)
    with pytest.raises(error):
        ordering.Follower(EndingConnection(by_user), "auto").pick("a", 0.0, display)
    assert client.cancelled.is_set()
    assert any("Cancelled" in note for note in display.notes) == by_user


@pytest.mark.parametrize(("after_s", "accepted"), [(None, True), (0.0, False)])
def test_a_job_that_was_never_taken_needs_no_cancel(monkeypatch, after_s, accepted) -> None:
    client, display = FakeClient(after_s, accepted), FakeDisplay()
    monkeypatch.setattr(ordering, "ThreadedActionClient", client)
    monkeypatch.setattr(ordering, "ACCEPT_WAIT_S", 0.2)
    with pytest.raises(InterruptedByUserError):
        ordering.Follower(EndingConnection(True), "auto").pick("a", 0.0, display)
    assert not client.cancelled.is_set()
    assert any("./cell status" in note for note in display.notes) == (after_s is None)
