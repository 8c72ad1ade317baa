"""The job queue of a cell: picks wait their turn, one runs at a time; cancel, pause, resume and reset from any thread."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from pickcell.outcome import Code, Outcome, Recovery
from pickcell.task.record import PickReport
from pickcell.task.request import PickRequest
from pickcell.task.stages import Progress

log = logging.getLogger(__name__)


MAY_WORK_LATER = frozenset(
    {
        Code.ITEM_NOT_FOUND,
        Code.NO_GRASP_FOUND,
        Code.UNREACHABLE,
        Code.APPROACH_BLOCKED,
        Code.NO_PATH,
        Code.MISSED,
        Code.SEAL_NOT_MADE,
        Code.SEAL_LOST,
        Code.SLIPPED,
        Code.DROPPED,
        Code.DOUBLE_PICK,
        Code.ITEM_MISMATCH,
    }
)
"""Failures that the next items' removal may cure: what was buried lies free, what leaned lies flat."""
MOST_PUT_OFF = 2
"""... beside tries that put neighbours aside: they make room for the others of the order."""
MOST_DIGS = 4
"""Tries of one item in which neighbours are moved: what has not come by then lies where nothing can be taken."""


class JobState(str, Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class CellState(str, Enum):
    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    NEEDS_PERSON = "needs_person"
    """A pick ended in a way that a person must look at: `reset` continues."""


@dataclass
class Job:
    """One pick on its way through the queue."""

    request: PickRequest
    state: JobState = JobState.QUEUED
    progress: Progress | None = None
    report: PickReport | None = None
    put_off: list[PickReport] = field(default_factory=list)
    """Reports of earlier tries that failed and were put off until others of the order had made room."""
    earlier: list[PickReport] = field(default_factory=list)
    """Reports of all tries up to the one that found no room in the destination: then it waited for an empty one."""
    digs: int = 0
    """Tries in which neighbours were moved."""
    last_try: bool = False
    """Nothing else of the order makes room any more, or it has waited for that often enough: its neighbours may be moved."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


RunPick = Callable[[PickRequest, Callable[[Progress], None]], PickReport]


class Dispatcher:
    """Runs queued picks on one worker thread."""

    KEEP_DONE = 1000

    def __init__(
        self, run_pick: RunPick, changed: Callable[[Job], None] = lambda job: None, moves_neighbours: bool = False
    ) -> None:
        """``run_pick``: :meth:`PickTask.run`. ``changed`` is called from the worker on every progress and at the end.
        ``moves_neighbours``: what ``run_pick`` does when a request says that it may; else that is not asked for."""
        self._moves_neighbours = moves_neighbours
        self._run_pick = run_pick
        self._changed = changed
        self._queue: deque[Job] = deque()
        self._jobs: dict[str, Job] = {}
        self._condition = threading.Condition()
        self._paused = False
        self._alert: PickReport | None = None
        self._current: Job | None = None
        self._closing = False
        self._numbers = itertools.count(1)
        self._session = time.strftime("%Y%m%d-%H%M%S")
        self._worker = threading.Thread(target=self._work, name="pick-worker", daemon=True)

    def start(self) -> None:
        self._worker.start()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Cancel everything and end the worker. False when it did not end in time."""
        with self._condition:
            self._closing = True
            for job in list(self._queue):
                self._finish_unstarted(job, Outcome.failure(Code.CANCELLED, "The cell is shutting down."))
            self._queue.clear()
            if self._current:
                self._current.cancelled.set()
            self._condition.notify_all()
        if self._worker.is_alive():
            self._worker.join(timeout_s)
        return not self._worker.is_alive()

    def submit(self, sku: str, order_id: str = "", line: int = 0) -> Job:
        """Queue a pick; returns at once."""
        with self._condition:
            job = Job(PickRequest(f"{self._session}-{next(self._numbers):04d}", sku, order_id, line))
            self._jobs[job.request.job_id] = job
            self._forget_old()
            self._queue.append(job)
            self._condition.notify_all()
            return job

    def cancel(self, job_id: str) -> Outcome[Job]:
        """Take a queued job out, or stop the running one."""
        with self._condition:
            job = self._jobs.get(job_id)
            if job is None:
                return Outcome.failure(Code.CANCELLED, f"There is no job '{job_id}'.")
            if job.state is JobState.DONE:
                return Outcome.success(job, "The job has already ended.")
            job.cancelled.set()
            if job.state is JobState.QUEUED:
                self._queue.remove(job)
                self._finish_unstarted(job, Outcome.failure(Code.CANCELLED))
                return Outcome.success(job, "Taken out of the queue.")
            return Outcome.success(job, "Stopping the pick that is running.")

    def cancel_order(self, order_id: str) -> int:
        """Cancel all unfinished jobs of an order; returns how many."""
        jobs = [j for j in self.jobs() if j.request.order_id == order_id and j.state is not JobState.DONE]
        return sum(self.cancel(j.request.job_id).ok for j in jobs)

    def pause(self) -> None:
        """Finish the running pick, then wait."""
        with self._condition:
            self._paused = True

    def resume(self) -> None:
        with self._condition:
            self._paused = False
            self._condition.notify_all()

    def reset(self) -> str:
        """A person has looked: go on with the queue. Returns what was cleared."""
        with self._condition:
            alert, self._alert = self._alert, None
            self._paused = False
            self._condition.notify_all()
        return f"Cleared: {alert.text}" if alert else "Nothing had to be cleared."

    def interrupted(self) -> Outcome[None]:
        """CANCELLED while the running job is cancelled or the cell shuts down."""
        job = self._current
        if self._closing or (job is not None and job.cancelled.is_set()):
            return Outcome.failure(Code.CANCELLED)
        return Outcome.success(None)

    @property
    def state(self) -> CellState:
        if self._current is not None:
            return CellState.RUNNING
        if self._alert is not None:
            return CellState.NEEDS_PERSON
        return CellState.PAUSED if self._paused else CellState.IDLE

    @property
    def alert(self) -> PickReport | None:
        """The report that asked for a person."""
        return self._alert

    def job(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def jobs(self) -> list[Job]:
        """All jobs remembered, oldest first."""
        with self._condition:
            return list(self._jobs.values())

    def _forget_old(self) -> None:
        done = [key for key, job in self._jobs.items() if job.state is JobState.DONE]
        for key in done[: max(0, len(done) - self.KEEP_DONE)]:
            del self._jobs[key]

    def _finish_unstarted(self, job: Job, outcome: Outcome[None]) -> None:
        request = job.request
        job.report = PickReport(request.job_id, request.sku, request.order_id, request.line, outcome.code, outcome.text)
        job.state = JobState.DONE
        job.done.set()
        self._tell(job)

    def drain(self) -> None:
        """Run all that is queued in this thread, until nothing is left or a person is needed: for a cell in one process that
        has not been started."""
        while not self._closing and self._queue and not self._paused and self._alert is None:
            self._run_next(self._take_next())

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._closing and (not self._queue or self._paused or self._alert is not None):
                    self._condition.wait()
                if self._closing:
                    return
                job = self._take_next()
            self._run_next(job)

    def _take_next(self) -> Job:
        job = self._queue.popleft()
        job.state = JobState.RUNNING
        self._current = job
        return job

    def _run_next(self, job: Job) -> None:
        """What lies free of an order comes first; neighbours are moved for what is left when nothing else makes room."""
        waiting = [other for other in self._queue if self._same_order(job, other)]
        # put off, and nothing has made room since: without moving anything a further try would end the same
        hopeless = bool(job.put_off) and not self._moved_since(job)
        job.last_try = hopeless or not waiting or self._put_off_enough(job)
        if hopeless and not self._moves_neighbours:
            job.report = job.put_off.pop()
        else:
            also = frozenset(other.request.sku for other in waiting)
            job.request = replace(job.request, may_move=job.last_try, also_wanted=also)
            self._run_guarded(job)
            job.digs += job.report is not None and job.report.moved > 0
        self._current = None
        if not self._put_off(job):
            job.state = JobState.DONE
            job.done.set()
        self._tell(job)

    @staticmethod
    def _same_order(job: Job, other: Job) -> bool:
        return bool(job.request.order_id) and job.request.order_id == other.request.order_id

    def _run_guarded(self, job: Job) -> None:
        """The worker must outlive everything: without it the cell takes jobs and never runs them."""
        try:
            self._run(job)
        except Exception as error:
            log.exception("job %s", job.request.job_id)
            self._failed(job, error)

    def _put_off(self, job: Job) -> bool:
        """Queue a failed piece of an order again behind the others, when they may uncover it. True when it was."""
        report = job.report
        if report is None or report.needs_person or job.cancelled.is_set():
            return False
        if report.code is Code.PLACE_BLOCKED:
            return self._wait_for_a_tote(job, report)
        if report.code not in MAY_WORK_LATER:
            return False
        with self._condition:
            others = [i for i, other in enumerate(self._queue) if self._same_order(job, other)]
            made_room = job.last_try and report.moved > 0 and job.digs < MOST_DIGS  # for others, and perhaps for itself
            if not others or (job.last_try and not made_room):
                return False
            job.put_off.append(report)
            self._queue_again(job, others[-1] + 1)
        return True

    def _wait_for_a_tote(self, job: Job, report: PickReport) -> bool:
        """Queue a piece of an order again, once, before all others: the person who has been called brings an empty
        destination, and what finds no room in that is too large for it. The item lies in the source tote again."""
        if not job.request.order_id or job.earlier:
            return False
        with self._condition:
            job.earlier, job.put_off = [*job.put_off, report], []  # it can be taken: nothing has to make room
            self._queue_again(job, 0)
        return True

    def _queue_again(self, job: Job, place: int) -> None:
        """At a place of the queue, as if it had not been tried. The caller holds the lock."""
        job.report, job.progress, job.state = None, None, JobState.QUEUED
        self._queue.insert(place, job)

    @staticmethod
    def _put_off_enough(job: Job) -> bool:
        """What has waited for others often enough in vain makes room for itself."""
        return len(job.put_off) >= MOST_PUT_OFF + job.digs

    def _moved_since(self, job: Job) -> bool:
        """Whether another piece of the order has been delivered, or has had neighbours put aside, since this job was last
        put off."""
        since = job.put_off[-1].started_unix_s
        others = [j for j in self._jobs.values() if self._same_order(job, j)]
        reports = [r for j in others for r in (j.report, *j.put_off) if r is not None and r is not job.put_off[-1]]
        return any((r.placed or r.moved > 0) and r.started_unix_s > since for r in reports)

    def _failed(self, job: Job, error: Exception) -> None:
        request = job.request
        outcome: Outcome[None] = Outcome.failure(Code.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        job.report = PickReport(request.job_id, request.sku, request.order_id, request.line, outcome.code, outcome.text)
        self._alert = job.report

    def _tell(self, job: Job) -> None:
        """Tell the listener; its faults are its own."""
        try:
            self._changed(job)
        except Exception:
            log.exception("the listener failed on job %s", job.request.job_id)

    def _run(self, job: Job) -> None:
        def progress(step: Progress) -> None:
            job.progress = step
            self._tell(job)

        report = self._run_pick(job.request, progress)
        report.put_off = [f"{before.code.value}: {before.text}" for before in (*job.earlier, *job.put_off)]
        job.report = report
        outcome: Outcome[None] = Outcome(report.code, report.text)
        if outcome.info.recovery is Recovery.ASK_PERSON:
            log.warning("job %s needs a person: %s", job.request.job_id, report.text)
            self._alert = report
