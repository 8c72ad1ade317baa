"""Node ``pick_task``: runs the core's pick over the stage nodes and drivers. One worker thread picks, the executor answers.

Services, actions and topics: see docs/interfaces.md; parameters: config/pick_task.param.yaml.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields

from rclpy.node import Node

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.outcome import Code, Outcome, Stage
from pickcell.task.dispatcher import Dispatcher, Job, JobState
from pickcell.task.guard import GuardConfig
from pickcell.task.ledger import Ledger
from pickcell.task.pick import PickTask, TaskConfig
from pickcell.task.record import PickReport
from pickcell.task.request import PickRequest
from pickcell.task.stages import Progress
from pickcell_node.files import below_root
from pickcell_node.main import run
from pickcell_node.parameters import read_parameters
from pickcell_task.actions import Actions
from pickcell_task.board import Board
from pickcell_task.cell_ports import RosCell
from pickcell_task.desk import Desk, Ticket
from pickcell_task.guard import guarded
from pickcell_task.paperwork import Paperwork, unstarted
from pickcell_task.services import OperatorServices
from pickcell_task.stage_ports import CallLimits
from pickcell_task.statistics import CellStatistics

SCENE_KEEPS_S = 3.0
"""Wall time after which a look at the totes is not trusted any more by the next pick: people reach in."""


@dataclass(frozen=True)
class PickTaskParameters:
    """See config/pick_task.param.yaml."""

    cell: str
    catalogue: str
    ledger_file: str
    report_directory: str
    observe_timeout_s: float
    select_timeout_s: float
    plan_timeout_s: float
    service_wait_s: float
    heartbeat_max_age_s: float
    reading_max_age_s: float
    ready_wait_s: float
    max_moved: int
    guard: bool

    def __post_init__(self) -> None:
        above_zero = [f.name for f in fields(self) if f.name.endswith("_s") and f.name != "ready_wait_s"]
        for name in above_zero:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.max_moved < 0:
            raise ValueError(f"max_moved must be >= 0, got {self.max_moved}")


class PickTaskApp:
    def __init__(self) -> None:
        self.node = Node("pick_task")
        self.parameters = parameters = read_parameters(self.node, PickTaskParameters)
        cell = load_cell(parameters.cell)
        catalogue = load_catalogue(parameters.catalogue) if parameters.catalogue else load_catalogue()
        self._ledger = Ledger(below_root(parameters.ledger_file))
        self._paperwork = Paperwork(below_root(parameters.report_directory), cell.name)
        self._dispatcher = Dispatcher(self._pick, self._changed, moves_neighbours=parameters.max_moved > 0)
        limits = CallLimits(
            parameters.service_wait_s, parameters.observe_timeout_s, parameters.select_timeout_s, parameters.plan_timeout_s
        )
        self._cell = RosCell(
            self.node,
            cell,
            limits,
            parameters.heartbeat_max_age_s,
            parameters.reading_max_age_s,
            self._dispatcher.interrupted,
            SCENE_KEEPS_S,
        )
        guard = GuardConfig() if parameters.guard else None
        config = TaskConfig(hand=cell.hand, max_moved=parameters.max_moved, guard=guard)
        self._task = PickTask(self._cell, catalogue, self._ledger, config, self._paperwork.directory)
        self._desk = Desk(self._dispatcher, catalogue)
        self._desk.listen(self._paperwork.on_change)  # first of all, so that the report is there when others hear of the end
        self._board = Board(self.node, self._desk, self._ledger, self._cell, CellStatistics())
        self._actions = Actions(self.node, self._desk)
        cell_services = (self._task, self._ledger, self._cell.sensors, self._paperwork)
        self._services = OperatorServices(self.node, self._desk, *cell_services)
        self._ended_at = 0.0
        self._recover()
        self._dispatcher.start()

    def _recover(self) -> None:
        """After a crash: what was in the hand needs a person, and no job begins before one has looked."""
        recovered = self._ledger.recover()
        if not recovered.ok:
            self._desk.ask_person(recovered.text)
            return
        for note in recovered.unwrap():
            self.node.get_logger().warning(note)
        in_hand = [note for note in recovered.unwrap() if note.startswith("Item ")]
        if in_hand:
            self._desk.ask_person(" ".join(in_hand))

    def close(self) -> None:
        """The arm first, then everything else."""
        log = self.node.get_logger().error
        for step in (self._cell.arm.stop, self._close_dispatcher, self._actions.close, self._ledger.close):
            guarded(log, step)()

    def _close_dispatcher(self) -> None:
        self._dispatcher.close(timeout_s=1.0)

    # --- on the worker's thread --------------------------------------------------------------------------------------

    def _changed(self, job: Job) -> None:
        """Every step of a job; the worker may be held here while the cell is paused."""
        stage = job.progress.stage if job.state is JobState.RUNNING and job.progress is not None else None
        if stage is Stage.OBSERVE:
            self._cell.interruptions.begin_attempt()
        paused_s = self._desk.changed(job)
        if stage is not None and paused_s > 0:
            self._cell.interruptions.stood_still(stage, paused_s)
            if paused_s > SCENE_KEEPS_S:
                self._task.scene_is_fresh = False

    def _pick(self, request: PickRequest, progress: Callable[[Progress], None]) -> PickReport:
        """Run one piece. Never raises: whatever goes wrong is in the report."""
        ticket = self._desk.ticket_of(request.job_id)
        try:
            report = self._pick_when_ready(request, progress, ticket)
        except Exception as error:
            self.node.get_logger().error(traceback.format_exc())
            self._cell.arm.stop()
            outcome: Outcome[None] = Outcome.failure(Code.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            report = self._unstarted(ticket, request, outcome)
        self._cell.interruptions.end_pick()
        self._ended_at = time.monotonic()
        said = f"{request.job_id} {request.sku}: {report.code.value} in {report.duration_s:.1f} s. {report.text}"
        self.node.get_logger().info(said)
        return report

    def _pick_when_ready(self, request: PickRequest, progress: Callable[[Progress], None], ticket: Ticket) -> PickReport:
        ready = self._cell.wait_ready(self.parameters.ready_wait_s, self._board.say_waiting)
        self._board.say_waiting("")
        if not ready.ok:
            return self._unstarted(ticket, request, ready)
        self._cell.interruptions.begin_pick(ticket.timeout_s)
        if time.monotonic() - self._ended_at > SCENE_KEEPS_S:
            self._task.scene_is_fresh = False
        return self._task.run(request, progress)

    def _unstarted(self, ticket: Ticket, request: PickRequest, outcome: Outcome[None]) -> PickReport:
        now_s = self._cell.clock.now_s()
        return unstarted(ticket.job_id, request.job_id, request.sku, request.line, outcome, now_s)


def main() -> None:
    raise SystemExit(run("pick_task", PickTaskApp))


if __name__ == "__main__":
    main()
