"""One pick from request to report: observe, choose, approach, grasp, lift, verify, transfer, place, verify, record.

The same code runs in process (benchmarks) and over ROS nodes: it knows the cell only through :mod:`pickcell.ports`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pickcell.catalogue import Catalogue
from pickcell.cell import HandConfig
from pickcell.outcome import Code, Outcome, Recovery
from pickcell.ports import CellPorts
from pickcell.task.aside import AsideTray
from pickcell.task.attempt import Attempt
from pickcell.task.clearing import HELD_DOWN, IN_THE_WAY, Clearing, Moves
from pickcell.task.guard import GuardConfig
from pickcell.task.held import Held
from pickcell.task.hold import HoldConfig, holding
from pickcell.task.ledger import Ledger, Place
from pickcell.task.pictures import PickPictures
from pickcell.task.record import PickReport, write_record
from pickcell.task.request import ANY_ITEM, PickRequest
from pickcell.task.stages import Progress, StageRunner
from pickcell.values import GraspCandidate, RobotReading, Scene, Tool

log = logging.getLogger(__name__)

RETRIED = (Recovery.OBSERVE_AGAIN, Recovery.NEXT_GRASP, Recovery.RETURN_ITEM)


@dataclass(frozen=True)
class TaskConfig:
    """How a pick is run."""

    max_attempts: int = 4
    hand: HandConfig = field(default_factory=HandConfig)
    min_identity: float = 0.2
    """An instance must be the wanted SKU with at least this probability."""
    settle_s: float = 0.15
    """Rest before a wrist reading counts, and how long readings are averaged."""
    seal_wait_s: float = 0.35
    """Time for the vacuum to build up after contact."""
    same_grasp_m: float = 0.012
    """A failed grasp is not tried again within this distance."""
    retreat_m: float = 0.25
    hold: HoldConfig = field(default_factory=HoldConfig)
    guard: GuardConfig | None = None
    """Watches target and way while the hand is on its way (docs/motion.md); None: eyes closed."""
    max_moved: int = 0
    """Neighbours that may be moved out of the way of one item (docs/grasping.md); 0 leaves everything where it is."""
    free_chance: float = 0.25
    """What the choice has to promise of an item that would lie free, for neighbours to be moved for it. Training items:
    books and bags of loose content .10 to .18, all others .38 and more."""
    hopeful_chance: float = 0.5
    """As long as neighbours may be moved, or others of the order may make room, what has less chance is not tried: it mostly
    fails because of what lies on it, and stirs the heap."""


class PickTask:
    """Runs picks one after another, remembering the last look at the cell while nothing has moved since."""

    def __init__(
        self,
        ports: CellPorts,
        catalogue: Catalogue,
        ledger: Ledger,
        config: TaskConfig | None = None,
        report_directory: Path | None = None,
    ) -> None:
        """``report_directory``: where each job gets a directory with report.json and pictures; None: keep no files."""
        self.ports = ports
        self.catalogue = catalogue
        self.ledger = ledger
        config = config or TaskConfig()
        self.config = replace(config, hold=config.hold.within(config.hand.vacuum_max_pa))
        self.report_directory = report_directory
        self.held: Held | None = None
        """What is believed to be in the hand."""
        self.last_scene: Scene | None = None
        self.scene_is_fresh = False
        """Nothing has moved since ``last_scene`` was seen."""
        self.at_home = False
        self.aside = AsideTray()
        self.fallen: int | None = None
        """Ledger id of an item of the running pick that left the hand on the way and may lie in the tote."""
        self.fallen_sku = ""
        self.lost_in_flight: Counter[Tool] = Counter()
        """How often each tool has lost what it carried, in the running pick: the next hold is carried more gently."""

    def run(self, request: PickRequest, progress: Callable[[Progress], None] = lambda p: None) -> PickReport:
        """Pick one item. Never raises for what can go wrong in a cell: the report's code and text say how it ended."""
        report = PickReport(request.job_id, request.sku, request.order_id, request.line)
        report.start_s = self.ports.clock.now_s()
        directory = self.report_directory / request.job_id if self.report_directory else None
        stages = StageRunner(
            self.ports, report, progress, self.config.hand.opening_max_m, self.config.hold.touchdown_force_n
        )
        pictures = PickPictures(directory, report, self.config.hand)
        try:
            outcome = self._run_checked(request, stages, pictures)
        except Exception as error:
            log.exception("pick %s", request.job_id)
            self.ports.arm.stop()
            outcome = Outcome.failure(Code.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        report.finish(outcome, self.ports.clock.now_s())
        booked = self.ledger.record_job(request.job_id, request.sku, "done", report.code.value, report.text)
        if not booked.ok:
            log.error("%s", booked.text)
        if directory:
            written = write_record(report, directory)
            if not written.ok:
                log.error("%s", written.text)
        return report

    def _run_checked(self, request: PickRequest, stages: StageRunner, pictures: PickPictures) -> Outcome[None]:
        known = self._known(request)
        if not known.ok:
            return known
        ready = self._clear_hand(stages, "put back by the next pick")
        if not ready.ok:
            return ready
        accepted = self._in_manifest(request)
        if not accepted.ok:
            return accepted
        self.fallen = None
        self.lost_in_flight.clear()
        failed: list[GraspCandidate] = []
        moves = Moves()
        outcome: Outcome[None] = Outcome.failure(Code.TIMEOUT)
        for number in range(1, self.config.max_attempts + 1):
            stages.report.attempts = number
            attempt, outcome = self._attempt(request, stages, pictures, failed, moves)
            if outcome.code in IN_THE_WAY and attempt.least_chance:  # others of the order come first
                return outcome
            if outcome.ok or attempt.released:  # what has been let go over there must not be picked once more
                return outcome
            log.info("pick %s attempt %d: %s", request.job_id, number, outcome.text)
            if self._must_stand_still(outcome):
                return outcome
            cleared = self._clear_hand(stages, outcome.text)
            if not cleared.ok:
                return cleared
            if outcome.info.recovery not in RETRIED or stages.deadline_passed:
                break
            if outcome.code in HELD_DOWN:
                moves.exhausted = False  # the try has stirred the heap
            if outcome.code in HELD_DOWN and number < self.config.max_attempts and self._may_clear(request, outcome, moves):
                cleared = self._clear_the_way(attempt, stages, moves, covering=True)
                if self._must_stand_still(cleared):
                    return cleared
        if self.fallen is not None:
            return Outcome(outcome.code, f"{outcome.text} The item has not been found again: a person must look.")
        return outcome

    def _attempt(
        self, request: PickRequest, stages: StageRunner, pictures: PickPictures, failed: list[GraspCandidate], moves: Moves
    ) -> tuple[Attempt, Outcome[None]]:
        """One attempt; as long as it can choose nothing for what is in the way, that is moved and it begins anew."""
        attempt = Attempt(self, request, stages, pictures, failed, self._least_chance(request, moves))
        outcome = attempt.run()
        while outcome.code in IN_THE_WAY and self._may_clear(request, outcome, moves):
            cleared = self._clear_the_way(attempt, stages, moves)
            if self._must_stand_still(cleared):
                return attempt, cleared
            if not cleared.ok and not attempt.least_chance:
                break
            failed.clear()  # what could not be reached before may be now
            # when nothing makes room any more, what little chance there is gets its try
            moves.exhausted = not cleared.ok
            attempt = Attempt(self, request, stages, pictures, failed, self._least_chance(request, moves))
            outcome = attempt.run()
        return attempt, outcome

    def aside_is_known(self) -> bool:
        """Whether the cell remembers all that lies on its aside tray: not after a restart with something on it."""
        booked = sum(self.ledger.counts(Place.ASIDE).values())
        if booked == 0:
            self.aside.clear()
        return booked <= self.aside.count

    def _least_chance(self, request: PickRequest, moves: Moves) -> float:
        """What a grasp has to promise while there is a better way than to try it."""
        better = moves.may_go_on(self.config.max_moved) and request.sku != ANY_ITEM and self.fallen is None
        return self.config.hopeful_chance if better else 0.0

    def _may_clear(self, request: PickRequest, outcome: Outcome[None], moves: Moves) -> bool:
        """A particular item that lies in the tote, nothing in the hand, and patience left. What fell from the hand and is
        seen no more may lie anywhere."""
        somewhere = self.fallen is not None and (self.fallen_sku != request.sku or outcome.code is Code.ITEM_NOT_FOUND)
        free = self.held is None and not somewhere
        return request.sku != ANY_ITEM and request.may_move and free and moves.may_go_on(self.config.max_moved)

    def _clear_the_way(self, attempt: Attempt, stages: StageRunner, moves: Moves, covering: bool = False) -> Outcome[None]:
        """One neighbour elsewhere, and an empty hand. What went wrong with it is no reason to give up the pick, as long as
        something was moved; the failure is returned when nothing was. ``covering``: see :class:`Clearing`."""
        before, fallen = len(moves.moved), (self.fallen, self.fallen_sku)
        cleared = Clearing(attempt, moves, covering).run()
        if self._must_stand_still(cleared):
            return cleared
        empty = self._clear_hand(stages, "was being moved aside")
        if not empty.ok:
            return empty
        if self.fallen is not None:  # a neighbour that fell is not what this pick waits for
            self.fallen, self.fallen_sku = fallen
        return cleared if len(moves.moved) == before else Outcome.success(None)

    @staticmethod
    def _must_stand_still(outcome: Outcome[None]) -> bool:
        """After some failures nothing may move any more: what is held stays held, and the next pick clears the hand."""
        if outcome.ok or outcome.code is Code.PLACE_BLOCKED:
            return False  # the item goes back before a person is asked for another tote
        return outcome.info.recovery in (Recovery.WAIT, Recovery.ASK_PERSON, Recovery.NONE)

    def _known(self, request: PickRequest) -> Outcome[None]:
        """Refuse what the catalogue alone can refuse."""
        if request.sku == ANY_ITEM:
            return Outcome.success(None)
        sku = self.catalogue.find(request.sku)
        if not sku.ok:
            return sku.failed_as()
        mass_kg, limit_kg = sku.unwrap().mass_kg, self.config.hand.payload_max_kg
        if mass_kg > limit_kg:
            said = f"SKU '{request.sku}' has {mass_kg:.2f} kg, the limit is {limit_kg} kg."
            return Outcome.failure(Code.ITEM_TOO_HEAVY, said)
        return Outcome.success(None)

    def _in_manifest(self, request: PickRequest) -> Outcome[None]:
        """Refuse what the source tote does not hold, or a ledger that cannot be written."""
        counts = self.ledger.counts(Place.SOURCE)
        if request.sku == ANY_ITEM and not counts:
            return Outcome.failure(Code.ITEM_NOT_IN_MANIFEST, "Nothing is left in the source tote.")
        if request.sku != ANY_ITEM and counts.get(request.sku, 0) < 1:
            if self.ledger.counts(Place.ASIDE).get(request.sku, 0) > 0:
                said = f"SKU '{request.sku}' lies on the aside tray: put it back into the source tote and set the manifest."
                return Outcome.failure(Code.ITEM_NOT_IN_MANIFEST, said)
            return Outcome.failure(Code.ITEM_NOT_IN_MANIFEST, f"SKU '{request.sku}': none left in the source tote.")
        booked = self.ledger.record_job(request.job_id, request.sku, "running")
        return Outcome.success(None) if booked.ok else booked.failed_as()

    def _clear_hand(self, stages: StageRunner, note: str) -> Outcome[None]:
        """An empty hand at home, whatever came before; ``note`` goes into the ledger with an item that is put back."""
        if self.held is not None and self.held.item.tool is Tool.PINCH:
            self.ports.clock.sleep_s(self.config.settle_s)  # what has just been lost lets the jaw close
        reading = self.ports.sensors.reading()
        if not reading.ok:
            return reading.failed_as()
        if self.held is not None:
            cleared = self._put_back(stages, reading.unwrap(), note)
            if not cleared.ok:
                return cleared
        if self.at_home:
            return Outcome.success(None)
        self.scene_is_fresh = False
        loosened = stages.loosen()
        if not loosened.ok:
            return loosened
        out = stages.back_out(self.config.retreat_m)
        home = stages.go_home() if out.ok else out
        self.at_home = home.ok
        return stages.open_hand() if home.ok else home

    def _put_back(self, stages: StageRunner, reading: RobotReading, note: str) -> Outcome[None]:
        """Empty the hand of what it holds, back into the source tote; what it lost on the way becomes ``fallen``."""
        assert self.held is not None, "only called with something in hand"
        held, report = self.held, stages.report
        if not holding(reading, held.item.tool, held.limits).ok:
            self.held = None
            if held.away:
                self.book(held.item_id, Place.NEEDS_PERSON, report, f"left the hand: {note}", held.sku)
                self.fallen, self.fallen_sku = held.item_id, held.sku
            else:
                self.book(held.item_id, Place.SOURCE, report, f"fell back into the tote: {note}")
            return Outcome.success(None)
        if held.lifted:
            if self.last_scene is None:
                return Outcome.failure(Code.NEEDS_RESET, "The hand holds an item and the tote has not been seen yet.")
            carried = stages.carry_back(self.last_scene, held.item, held.lift)
            if carried.code in (Code.NO_PATH, Code.UNREACHABLE):  # nothing else will change that: a person must
                return Outcome.failure(Code.PLACE_BLOCKED, f"It cannot be put back: {carried.text}")
            if not carried.ok:
                return carried
        released = stages.release(held.item, held.give_m)
        if not released.ok:
            return released
        self.book(held.item_id, Place.SOURCE, report, note)
        self.held = None
        return Outcome.success(None)

    def book(self, item_id: int, place: Place, report: PickReport, note: str, sku: str = "") -> None:
        """Book a move that has already happened: a failure is logged and kept, never undone."""
        booked = self.ledger.move(item_id, place, report.job_id, note)
        if not booked.ok:
            log.error("item %d is now %s but the ledger does not know: %s", item_id, place.value, booked.text)
        if place is Place.NEEDS_PERSON:
            report.needs_person = f"Item {item_id} ({sku or report.sku}): {note}"
        elif report.needs_person.startswith(f"Item {item_id} "):
            report.needs_person = ""
