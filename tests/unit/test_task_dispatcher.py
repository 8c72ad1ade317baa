"""The queue: picks wait their turn; cancel, pause, resume and reset do what they say."""

from __future__ import annotations

import threading

import pytest

from pickcell.outcome import Code, Stage
from pickcell.task.dispatcher import CellState, Dispatcher, JobState
from pickcell.task.record import PickReport
from pickcell.task.stages import Progress

WAIT_S = 5.0


class SlowPick:
    """A pick that runs until it is told to end, or is interrupted."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.started = threading.Event()
        self.code = Code.OK
        self.order: list[str] = []
        self.interrupted = lambda: None

    def __call__(self, request, progress):
        self.order.append(request.sku)
        progress(Progress(request.job_id, Stage.OBSERVE, 1, 0.0, "looking"))
        self.started.set()
        while not self.release.wait(0.005):
            outcome = self.interrupted()
            if outcome is not None and not outcome.ok:
                return PickReport(request.job_id, request.sku, code=outcome.code, text=outcome.text)
        return PickReport(request.job_id, request.sku, code=self.code, text="said")


@pytest.fixture
def pick():
    return SlowPick()


@pytest.fixture
def cell(pick):
    dispatcher = Dispatcher(pick)
    pick.interrupted = dispatcher.interrupted
    dispatcher.start()
    yield dispatcher
    assert dispatcher.close()


def test_a_busy_cell_queues_and_keeps_the_order(cell, pick):
    jobs = [cell.submit(sku) for sku in "abc"]
    assert pick.started.wait(WAIT_S)
    assert [j.state for j in jobs] == [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    pick.release.set()
    assert all(j.done.wait(WAIT_S) for j in jobs) and pick.order == list("abc")
    assert cell.state is CellState.IDLE


def test_cancel_queued_and_running(cell, pick):
    first, second = cell.submit("a"), cell.submit("b")
    assert pick.started.wait(WAIT_S)
    assert cell.cancel(second.request.job_id).ok and second.report.code is Code.CANCELLED
    assert cell.cancel(first.request.job_id).ok and first.done.wait(WAIT_S)
    assert first.report.code is Code.CANCELLED and pick.order == ["a"]
    assert not cell.cancel("no-such-job").ok
    assert "already ended" in cell.cancel(first.request.job_id).text


def test_cancelling_an_order_leaves_others(cell, pick):
    jobs = [cell.submit("a", "o1"), cell.submit("b", "o1"), cell.submit("c", "o2")]
    assert pick.started.wait(WAIT_S)
    assert cell.cancel_order("o1") == 2
    assert jobs[0].done.wait(WAIT_S)
    pick.release.set()
    assert jobs[2].done.wait(WAIT_S) and jobs[2].report.code is Code.OK
    assert {j.report.code for j in jobs[:2]} == {Code.CANCELLED}


def test_pause_holds_the_queue_and_resume_goes_on(cell, pick):
    cell.pause()
    job = cell.submit("a")
    assert not job.done.wait(0.1) and cell.state is CellState.PAUSED
    pick.release.set()
    cell.resume()
    assert job.done.wait(WAIT_S)


def test_a_pick_that_needs_a_person_holds_the_queue_until_reset(cell, pick):
    pick.code = Code.PLACE_BLOCKED
    pick.release.set()
    first, second = cell.submit("a"), cell.submit("b")
    assert first.done.wait(WAIT_S) and not second.done.wait(0.1)
    assert cell.state is CellState.NEEDS_PERSON and cell.alert is first.report
    pick.code = Code.OK
    assert "said" in cell.reset()
    assert second.done.wait(WAIT_S) and cell.state is CellState.IDLE


def test_closing_cancels_everything(pick):
    dispatcher = Dispatcher(pick)
    pick.interrupted = dispatcher.interrupted
    dispatcher.start()
    jobs = [dispatcher.submit("a"), dispatcher.submit("b")]
    assert pick.started.wait(WAIT_S)
    assert dispatcher.close()
    assert [j.report.code for j in jobs] == [Code.CANCELLED, Code.CANCELLED]


def test_the_worker_outlives_a_fault_and_a_bad_listener(pick):
    def listener(job):
        raise RuntimeError("listener")

    def run(request, progress):
        if request.sku == "bad":
            raise ZeroDivisionError("pick")
        return PickReport(request.job_id, request.sku)

    dispatcher = Dispatcher(run, listener)
    dispatcher.start()
    bad, good = dispatcher.submit("bad"), dispatcher.submit("good")
    assert bad.done.wait(WAIT_S) and bad.report.code is Code.INTERNAL_ERROR
    assert dispatcher.state is CellState.NEEDS_PERSON
    dispatcher.reset()
    assert good.done.wait(WAIT_S) and good.report.code is Code.OK
    assert dispatcher.close()


def buried_until(delivered: set[str], first: str):
    """A pick of "buried" that works only once ``first`` has been delivered."""

    def run(request, progress):
        ok = request.sku != "buried" or first in delivered
        if ok:
            delivered.add(request.sku)
        code = Code.OK if ok else Code.NO_GRASP_FOUND
        return PickReport(request.job_id, request.sku, request.order_id, code=code, placed=ok)

    return run


def test_a_buried_piece_of_an_order_is_tried_again_after_the_others():
    dispatcher = Dispatcher(buried_until(set(), "b"))
    jobs = [dispatcher.submit(sku, "order") for sku in ("buried", "a", "b")]
    single = dispatcher.submit("c")
    dispatcher.start()
    assert all(job.done.wait(WAIT_S) for job in [*jobs, single])
    assert [job.report.code for job in jobs] == [Code.OK] * 3
    assert [r.code for r in jobs[0].put_off] == [Code.NO_GRASP_FOUND]
    assert dispatcher.close()


def test_the_last_piece_is_tried_again_after_one_that_was_put_off():
    """b fails while a is still in the way; a works at its second try; then b does."""
    delivered: set[str] = set()
    tries: list[str] = []

    def run(request, progress):
        tries.append(request.sku)
        ok = {"a": tries.count("a") > 1, "b": "a" in delivered, "c": True}[request.sku]
        if ok:
            delivered.add(request.sku)
        code = Code.OK if ok else Code.ITEM_NOT_FOUND
        return PickReport(request.job_id, request.sku, request.order_id, code=code, placed=ok)

    dispatcher = Dispatcher(run)
    jobs = [dispatcher.submit(sku, "order") for sku in ("a", "c", "b")]
    dispatcher.start()
    assert all(job.done.wait(WAIT_S) for job in jobs)
    assert {job.report.code for job in jobs} == {Code.OK} and tries == ["a", "c", "b", "a", "b"]
    assert dispatcher.close()


def test_what_lies_free_comes_first_and_neighbours_are_moved_for_the_rest():
    asked: list[tuple[str, bool, frozenset[str]]] = []

    def run(request, progress):
        asked.append((request.sku, request.may_move, request.also_wanted))
        ok = request.sku == "free" or request.may_move
        code = Code.OK if ok else Code.NO_GRASP_FOUND
        return PickReport(request.job_id, request.sku, request.order_id, code=code, placed=ok)

    dispatcher = Dispatcher(run, moves_neighbours=True)
    jobs = [dispatcher.submit(sku, "order") for sku in ("deep", "free", "deeper")]
    dispatcher.drain()
    assert all(job.report.code is Code.OK and job.done.is_set() for job in jobs)
    assert [(sku, moves) for sku, moves, _ in asked][:3] == [("deep", False), ("free", False), ("deeper", False)]
    assert {(sku, moves) for sku, moves, _ in asked[3:]} >= {("deep", True), ("deeper", True)}
    assert asked[0][2] == {"free", "deeper"}


def test_what_has_waited_often_enough_makes_room_for_itself():
    """Others keep coming, and none of them uncovers it."""
    asked: list[tuple[str, bool]] = []

    def run(request, progress):
        asked.append((request.sku, request.may_move))
        tries = sum(sku == request.sku for sku, _ in asked)
        ok = request.may_move if request.sku == "deep" else tries > int(request.sku)
        code = Code.OK if ok else Code.NO_GRASP_FOUND
        return PickReport(request.job_id, request.sku, request.order_id, code=code, placed=ok)

    dispatcher = Dispatcher(run, moves_neighbours=True)
    jobs = [dispatcher.submit(sku, "order") for sku in ("deep", "0", "1", "2", "3")]
    dispatcher.drain()
    assert jobs[0].report.code is Code.OK
    assert [moves for sku, moves in asked if sku == "deep"] == [False, False, True]


def test_digging_comes_to_an_end():
    """Every try moves something, and the item never comes."""
    tries: list[str] = []

    def run(request, progress):
        tries.append(request.sku)
        moved = 2 if request.may_move else 0
        return PickReport(request.job_id, request.sku, request.order_id, code=Code.NO_GRASP_FOUND, moved=moved)

    dispatcher = Dispatcher(run, moves_neighbours=True)
    jobs = [dispatcher.submit(sku, "order") for sku in "ab"]
    dispatcher.drain()
    assert all(job.done.is_set() for job in jobs) and len(tries) < 20


def test_a_single_pick_may_move_neighbours_at_once():
    asked: list[bool] = []

    def run(request, progress):
        asked.append(request.may_move)
        return PickReport(request.job_id, request.sku, code=Code.NO_GRASP_FOUND)

    dispatcher = Dispatcher(run, moves_neighbours=True)
    dispatcher.submit("a")
    dispatcher.drain()
    assert asked == [True]


def test_pieces_that_never_work_are_not_tried_for_ever():
    tries: list[str] = []

    def run(request, progress):
        tries.append(request.sku)
        return PickReport(request.job_id, request.sku, request.order_id, code=Code.NO_GRASP_FOUND)

    dispatcher = Dispatcher(run)
    jobs = [dispatcher.submit(sku, "order") for sku in "ab"]
    dispatcher.start()
    assert all(job.done.wait(WAIT_S) for job in jobs)
    assert {job.report.code for job in jobs} == {Code.NO_GRASP_FOUND} and tries == ["a", "b"]
    assert dispatcher.close()


def full_until(changes: int):
    """The destination has no room until it has been changed so often; a person is called each time."""
    tried: list[str] = []

    def run(request, progress):
        tried.append(request.sku)
        full = request.sku == "large" and tried.count("large") <= changes
        code = Code.PLACE_BLOCKED if full else Code.OK
        return PickReport(request.job_id, request.sku, code=code, text=code.value, placed=not full)

    return run, tried


def test_a_piece_of_an_order_waits_for_an_empty_destination():
    run, tried = full_until(1)
    queue = Dispatcher(run)
    jobs = [queue.submit(sku, "order") for sku in ("large", "small")]
    queue.drain()
    assert tried == ["large"] and queue.state is CellState.NEEDS_PERSON and jobs[0].state is JobState.QUEUED
    queue.reset()
    queue.drain()
    assert tried == ["large", "large", "small"] and all(job.done.is_set() for job in jobs)
    assert jobs[0].report.placed and jobs[0].report.put_off == ["place_blocked: place_blocked"]


def test_what_fits_into_no_tote_is_given_up_and_a_single_pick_says_so_at_once():
    run, tried = full_until(9)
    queue = Dispatcher(run)
    job = queue.submit("large", "order")
    for _ in range(5):
        queue.drain()
        queue.reset()
    assert job.done.is_set() and tried == ["large"] * 2 and job.report.code is Code.PLACE_BLOCKED
    single = queue.submit("large")
    queue.drain()
    assert single.done.is_set() and single.report.code is Code.PLACE_BLOCKED
