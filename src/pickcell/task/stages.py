"""Running stages: each is timed, reported as it goes, watched for interruptions, and ends in an outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pickcell.outcome import Code, Outcome, Stage
from pickcell.ports import CellPorts
from pickcell.task.hold import HoldConfig, average_wrench, force_change_n
from pickcell.task.record import PickReport, StageRecord
from pickcell.values import HeldItem, JointTrajectory, PlacePlan, RobotReading, Scene, Tool, Wrench

OPENING_FORCE_N = 8.0
"""Little: the jaw may open against a wall of the tote."""
RELEASE_M = 0.02
"""How much the jaw opens to let go."""
SLOWER_DOWN = 2.0
"""Going down takes this much longer than going up did: it ends in contact."""
LEAVE_M = 0.25
"""Way up after letting go: out of a tote."""

Watch = Callable[[RobotReading], Outcome[None]]
"""Judges a reading while the arm moves: a failure stops the arm and becomes the motion's outcome."""


@dataclass(frozen=True)
class Progress:
    """What a pick is doing now, for people and hosts."""

    job_id: str
    stage: Stage
    attempt: int
    fraction: float
    """0..1 along the stages of the attempt."""
    text: str


class StageRunner:
    """Times stages into a report and offers the motions that several stages share."""

    def __init__(
        self,
        ports: CellPorts,
        report: PickReport,
        progress: Callable[[Progress], None],
        opening_max_m: float,
        touchdown_force_n: float,
    ) -> None:
        self.ports = ports
        self.opening_max_m = opening_max_m
        self.touchdown_force_n = touchdown_force_n
        self.report = report
        self._progress = progress
        self._current: StageRecord | None = None
        self.deadline_passed = False

    @contextmanager
    def stage(self, stage: Stage, text: str) -> Iterator[StageRecord]:
        """Announce and time a stage; the body stores its outcome in the record."""
        attempt = max(1, self.report.attempts)
        record = StageRecord(stage, attempt, self.ports.clock.now_s())
        order = list(Stage)
        self._progress(Progress(self.report.job_id, stage, attempt, order.index(stage) / len(order), text))
        self._current = record
        try:
            yield record
        except Exception as error:
            record.code, record.text = Code.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
            raise
        finally:
            record.duration_s = self.ports.clock.now_s() - record.start_s
            self.report.stages.append(record)
            self._current = None

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Count the wall time of the body as computation of the current stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._current is not None:
                self._current.compute_s += time.perf_counter() - start

    def interrupted(self) -> Outcome[None]:
        """Whether the pick must not go on, as the cell's ports say it; remembers when the reason is its deadline."""
        verdict = self.ports.interrupted()
        self.deadline_passed = self.deadline_passed or verdict.code is Code.TIMEOUT
        return verdict

    # -- motions -------------------------------------------------------------------------------------------------

    def move(self, trajectory: JointTrajectory, watch: Watch | None = None) -> Outcome[None]:
        """Run a trajectory. Interruptions and failures found by ``watch`` stop the arm and come back typed."""
        stopped: list[Outcome[None]] = []

        def stop_when(reading: RobotReading) -> str | None:
            interrupted = self.interrupted()
            verdict = interrupted if not interrupted.ok or watch is None else watch(reading)
            if verdict.ok:
                return None
            stopped.append(verdict)
            return verdict.text

        executed = self.ports.arm.execute(trajectory, stop_when)
        if stopped:
            return stopped[0]
        return Outcome.success(None) if executed.ok else executed.failed_as()

    def rest_wrench(self, duration_s: float) -> Outcome[Wrench]:
        """The wrist's force with the arm at rest: waits half of ``duration_s``, averages over the other half."""
        self.ports.clock.sleep_s(0.5 * duration_s)
        readings: list[RobotReading] = []
        end_s = self.ports.clock.now_s() + 0.5 * duration_s
        while not readings or self.ports.clock.now_s() < end_s:
            reading = self.ports.sensors.reading()
            if not reading.ok:
                return reading.failed_as()
            readings.append(reading.unwrap())
            self.ports.clock.sleep_s(0.01)
        return Outcome.success(average_wrench(readings))

    def collision_watch(self, config: HoldConfig, tare: Wrench) -> Watch:
        """Stops a free motion when the wrist feels more than inertia can explain."""

        def watch(reading: RobotReading) -> Outcome[None]:
            force = force_change_n(reading.wrench, tare)
            if not force <= config.collision_force_n:  # also when the sensor delivers no number
                return Outcome.failure(Code.UNEXPECTED_CONTACT, f"{force:.0f} N.")
            return Outcome.success(None)

        return watch

    def loosen(self) -> Outcome[None]:
        """Vacuum off, jaw a little wider: whatever the hand holds stays where it is, and nothing wedges it in."""
        released = self.ports.hand.set_vacuum(False)
        return self._open_jaw(RELEASE_M) if released.ok else released

    def open_hand(self) -> Outcome[None]:
        """Jaw wide open; only where there is room for it."""
        return self._open_jaw(self.opening_max_m)

    def _open_jaw(self, wider_m: float) -> Outcome[None]:
        reading = self.ports.sensors.reading()
        if not reading.ok:
            return reading.failed_as()
        width_m = min(reading.unwrap().jaw.width_m + wider_m, self.opening_max_m)
        opened = self.ports.hand.set_jaw(width_m, OPENING_FORCE_N)
        return Outcome.success(None) if opened.ok else opened.failed_as()

    def back_out(self, distance_m: float) -> Outcome[None]:
        """Straight up out of whatever the hand is in, as far as there is a way; no way at all is no failure."""
        with self.computing():
            up = self.ports.motion.plan_retreat(distance_m)
        return self.move(up.unwrap()) if up.ok else Outcome.success(None)

    def go_home(self) -> Outcome[None]:
        """Home with an empty hand that is out of the totes."""
        with self.computing():
            home = self.ports.motion.plan_home(None)
        return self.move(home.unwrap()) if home.ok else home.failed_as()

    def place(self, scene: Scene, held: HeldItem, tote: str, watch: Watch | None = None) -> Outcome[PlacePlan]:
        """Carry what is held to a free place in ``tote`` and lower it there until it touches down, without letting go."""
        with self.computing():
            planned = self.ports.motion.plan_place(scene, held, tote)
        if not planned.ok:
            return planned
        plan = planned.unwrap()
        carried = self.move(plan.transfer, watch)
        if not carried.ok:
            return carried.failed_as()
        lowered = self._lower(plan.lower, watch)
        return planned if lowered.ok else lowered.failed_as()

    def _lower(self, down: JointTrajectory, watch: Watch | None) -> Outcome[bool]:
        """Down to the end, or until something below pushes back (true): then it stands, and may be let go."""
        reading = self.ports.sensors.reading()
        if not reading.ok:
            return reading.failed_as()
        tare = reading.unwrap().wrench
        touched = False

        def lower_watch(reading: RobotReading) -> Outcome[None]:
            nonlocal touched
            touched = not force_change_n(reading.wrench, tare) <= self.touchdown_force_n
            if touched:
                return Outcome.failure(Code.UNEXPECTED_CONTACT, "Touched down.")
            return watch(reading) if watch else Outcome.success(None)

        lowered = self.move(down, lower_watch)
        return Outcome.success(touched) if touched or lowered.ok else lowered.failed_as()

    def carry_back(self, scene: Scene, held: HeldItem, lift: JointTrajectory | None = None) -> Outcome[None]:
        """Lift what is held and lower it into the source tote as it was last seen, without letting go; where nothing else is
        free, back down to where it was taken from (``lift``: what has just lifted it)."""
        ways_up = [lift] if lift is not None else []
        with self.computing():
            up = self.ports.motion.plan_lift(scene, held)
        if up.ok:
            lifted = self.move(up.unwrap())
            if not lifted.ok:
                return lifted
            ways_up.append(up.unwrap())
        placed = self.place(scene, held, "source")
        if lift is None or placed.code not in (Code.PLACE_BLOCKED, Code.NO_PATH, Code.UNREACHABLE):
            return Outcome.success(None) if placed.ok else placed.failed_as()
        for way in reversed(ways_up):
            lowered = self._lower(way.reversed(SLOWER_DOWN), None)
            if not lowered.ok:
                return lowered.failed_as()
            if lowered.unwrap():
                break
        return Outcome.success(None)

    def leave(self) -> Outcome[None]:
        """Up and out of a tote, from where the hand really stands: lowering may have touched down early."""
        with self.computing():
            up = self.ports.motion.plan_retreat(LEAVE_M)
        return self.move(up.unwrap()) if up.ok else up.failed_as()

    def release(self, held: HeldItem, give_m: float = 0.0) -> Outcome[None]:
        """Let go of what is held. The jaw opens a little only: walls and neighbours may be close. ``give_m``: by how much
        the item was squeezed, and follows the pads."""
        if held.tool is Tool.SUCTION:
            return self.ports.hand.set_vacuum(False)
        return self._open_jaw(RELEASE_M + give_m)
