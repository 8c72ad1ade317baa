"""The parts of the node ``pick_task`` that need no running node: interruptions, guards, statistics, the desk's pause."""

from __future__ import annotations

import sqlite3
import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("pickcell_task.desk", reason="needs the built workspace")

from pickcell_interfaces.srv import Explain

from pickcell.outcome import Code, Outcome, Recovery, Stage
from pickcell.task.dispatcher import Dispatcher, Job
from pickcell.task.record import PickReport
from pickcell.task.stages import Progress
from pickcell_task.board import Board
from pickcell_task.desk import Desk
from pickcell_task.guard import guarded, guarded_service
from pickcell_task.interruptions import Interruptions
from pickcell_task.statistics import CellStatistics


class FakeClock:
    t_s = 100.0

    def now_s(self) -> float:
        return self.t_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def interruptions(clock) -> Interruptions:
    return Interruptions(clock.now_s, scene_keeps_s=3.0)


def test_the_deadline_is_told_once_so_that_recovery_can_move(clock, interruptions) -> None:
    interruptions.begin_pick(5.0)
    clock.t_s += 4.9
    assert interruptions.verdict().ok
    clock.t_s += 0.2
    assert interruptions.verdict().code is Code.TIMEOUT
    assert interruptions.verdict().ok
    interruptions.begin_attempt()
    assert interruptions.verdict().ok
    interruptions.begin_pick(0.0)
    clock.t_s += 1e6
    assert interruptions.verdict().ok, "no limit"


def test_a_pause_does_not_count_as_time_of_the_pick(clock, interruptions) -> None:
    interruptions.begin_pick(5.0)
    clock.t_s += 62.0
    interruptions.stood_still(Stage.TRANSFER, 60.0)
    assert interruptions.verdict().ok
    clock.t_s += 4.0
    assert interruptions.verdict().code is Code.TIMEOUT


@pytest.mark.parametrize("stage", list(Stage))
def test_after_a_long_pause_with_an_empty_hand_the_cell_looks_again(interruptions, stage) -> None:
    interruptions.stood_still(stage, 2.0)
    assert interruptions.verdict().ok, "a short pause changes nothing"
    interruptions.stood_still(stage, 10.0)
    verdict = interruptions.verdict()
    if stage not in (Stage.CHOOSE, Stage.APPROACH, Stage.GRASP):
        assert verdict.ok
        return
    assert verdict.info.recovery is Recovery.OBSERVE_AGAIN and verdict.code is not Code.TIMEOUT and "10 s" in verdict.text
    assert interruptions.verdict().ok
    interruptions.stood_still(stage, 10.0)
    interruptions.begin_attempt()
    assert interruptions.verdict().ok, "it has looked meanwhile"


def test_a_guard_logs_and_answers() -> None:
    said: list[str] = []

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    guarded(said.append, broken)()
    response = guarded_service(said.append, broken)(Explain.Request(), Explain.Response())
    assert response.outcome.code == "internal_error" and "disk I/O error" in response.outcome.text
    assert len(said) == 2 and all("Traceback" in text for text in said)


def test_statistics_can_be_read_while_they_grow() -> None:
    statistics, codes = CellStatistics(), list(Code)
    stop = threading.Event()

    def add() -> None:
        number = 0
        while not stop.is_set() and number < 20_000:
            statistics.add(PickReport(str(number), "a", "", 0, codes[number % len(codes)], ""))
            number += 1

    worker = threading.Thread(target=add)
    worker.start()
    for _ in range(300):
        totals = statistics.totals()
        assert totals.failed == sum(totals.failures.values())
    stop.set()
    worker.join()
    totals = statistics.totals()
    assert totals.delivered > 0 and Code.OK.value not in totals.failures


def test_a_ledger_that_cannot_be_read_does_not_silence_the_statistics() -> None:
    errors, published = [], []

    def counts(_: object) -> dict[str, int]:
        raise sqlite3.OperationalError("disk I/O error")

    logger = SimpleNamespace(error=lambda text, **_: errors.append(text))
    from builtin_interfaces.msg import Time

    clock = SimpleNamespace(now=lambda: SimpleNamespace(to_msg=Time))
    board = Board.__new__(Board)
    board._node = SimpleNamespace(get_clock=lambda: clock, get_logger=lambda: logger)
    board._statistics, board._ledger = CellStatistics(), SimpleNamespace(counts=counts)
    board._cell = SimpleNamespace(health=list, watch=SimpleNamespace(cameras=list))
    board._stats = SimpleNamespace(publish=published.append)
    board.publish_stats()
    assert len(published) == 1 and list(published[0].ledger) == [] and "disk I/O error" in errors[0]


class PausedDesk:
    """A desk whose only job has two steps; ``stood_s`` is how long each was held."""

    def __init__(self) -> None:
        self.stood_s: list[float] = []
        self.dispatcher = Dispatcher(self._run, self._changed)
        catalogue = SimpleNamespace(find=lambda sku: Outcome.success(sku))
        self.desk = Desk(self.dispatcher, catalogue)  # type: ignore[arg-type]
        self.dispatcher.start()

    def _changed(self, job: Job) -> None:
        self.stood_s.append(self.desk.changed(job))

    def _run(self, request, progress) -> PickReport:
        for stage in (Stage.OBSERVE, Stage.CHOOSE):
            progress(Progress(request.job_id, stage, 1, 0.0, "Working"))
        report = PickReport(request.job_id, request.sku, "", 0)
        report.finish(Outcome.success(None), 1.0)
        return report


def test_the_desk_says_for_how_long_it_was_paused_and_survives_its_listeners() -> None:
    cell = PausedDesk()
    heard = []

    def broken(_: object) -> None:
        raise RuntimeError("a listener's fault")

    cell.desk.listen(broken)
    cell.desk.listen(heard.append)
    cell.desk._paused.set()  # as by `pause` between the start of a job and its first stage
    ticket = cell.desk.pick("a").unwrap()
    time.sleep(0.3)
    assert cell.desk.resume().ok
    assert ticket.jobs[0].done.wait(5.0) and heard
    assert cell.dispatcher.close()
    assert 0.2 < max(cell.stood_s) < 2.0 and sum(stood > 0 for stood in cell.stood_s) == 1
