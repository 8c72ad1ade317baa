"""One attempt at a pick, from a look at the tote to the item in its new place."""

from __future__ import annotations

import math
from dataclasses import replace

from pickcell.outcome import Code, Outcome, Recovery, Stage
from pickcell.task.choice import Choice
from pickcell.task.guard import ApproachGuard
from pickcell.task.held import Held
from pickcell.task.hold import HoldConfig, hold_lost, holding, judge_weight, measured_mass_kg, sealed
from pickcell.task.ledger import Place
from pickcell.task.place_check import check_placed
from pickcell.task.request import ANY_ITEM
from pickcell.task.stages import OPENING_FORCE_N, Watch
from pickcell.values import (
    ApproachPlan,
    GraspCandidate,
    HeldItem,
    JointTrajectory,
    PlacePlan,
    RobotReading,
    Scene,
    Tool,
    Wrench,
)

NOT_MOVED = (Code.PLACE_BLOCKED, Code.NO_PATH, Code.UNREACHABLE)
"""How planning fails: the arm still stands where it stood."""
SLIPPED_SHARE = 0.5
"""Of the acceleration that a hold was trusted with, once it has slipped."""
LOST_SHARE = 0.5
"""... for every time that this tool has lost something from its hold in the same pick."""
LOST_IN_FLIGHT = (Code.SEAL_LOST, Code.DROPPED)
NOT_THE_GRASPS_FAULT = (Code.PAUSED, Code.TIMEOUT, Code.CANCELLED, Code.TARGET_MOVED, Code.PATH_BLOCKED)


class Attempt(Choice):
    """The whole of it: choose, take, deliver."""

    item_id: int | None = None
    released = False
    """The item has been let go over the destination: whatever fails now, it is not to be picked again."""
    tare: Wrench | None = None
    width_at_grasp_m = 0.0
    give_m = 0.0
    """How much narrower the item is in the closed jaw than it looked."""
    guard: ApproachGuard | None = None

    def run(self) -> Outcome[None]:
        """Observe to record. After a failure the arm stands, and the hand may still hold something."""
        seen = self._observe()
        if not seen.ok:
            return seen.failed_as()
        scene = seen.unwrap()
        chosen = self._choose(scene)
        if not chosen.ok:
            return chosen.failed_as()
        plan = chosen.unwrap()
        outcome = self.take(scene, plan)
        if not outcome.ok:
            self.not_taken(plan.candidate, outcome.code)
            self.pictures.scene("at failure", scene)
            return outcome.failed_as()
        held = outcome.unwrap()
        placed = self.deliver(scene, held)
        self.came_of(plan.candidate, placed.code)
        if not placed.ok and not self.released:
            self.pictures.scene("at failure", scene)
            return placed.failed_as()
        return self._confirm(scene, held, placed)

    def not_taken(self, candidate: GraspCandidate, code: Code) -> None:
        """A grasp has failed. It is not tried again, unless the fault was not its own."""
        self.came_of(candidate, code)
        if code not in NOT_THE_GRASPS_FAULT:
            self.failed.append(candidate)

    def came_of(self, candidate: GraspCandidate, code: Code) -> None:
        """Tell the choice what came of a grasp, and remember what was lost on the way."""
        self.learn(candidate, code)
        if code in LOST_IN_FLIGHT:
            self.task.lost_in_flight[candidate.tool] += 1

    # -- take ----------------------------------------------------------------------------------------------------

    def take(self, scene: Scene, plan: ApproachPlan) -> Outcome[HeldItem]:
        self.task.at_home = False
        self.task.scene_is_fresh = False
        steps = (
            (Stage.APPROACH, f"Moving to the {plan.candidate.tool.value} grasp", self._approach),
            (Stage.GRASP, "Taking hold", self._grasp),
            (Stage.LIFT, "Lifting", self._lift),
            (Stage.VERIFY, "Checking the hold", self._verify),
        )
        for stage, text, step in steps:
            with self.stages.stage(stage, text) as record:
                outcome = step(scene, plan)
                record.code, record.text = outcome.code, outcome.text
            if not outcome.ok:
                return outcome.failed_as()
        assert self.task.held is not None, "what is lifted is held"
        return Outcome.success(self.task.held.item)

    def _approach(self, scene: Scene, plan: ApproachPlan) -> Outcome[None]:
        candidate = plan.candidate
        if candidate.tool is Tool.SUCTION:
            prepared = self.ports.hand.set_vacuum(True, candidate.vacuum_pa or math.inf)
            if not prepared.ok:
                return prepared
        opened = self.ports.hand.set_jaw(candidate.opening_m, OPENING_FORCE_N)
        if not opened.ok:
            return opened.failed_as()
        reading = self.ports.sensors.reading()
        if not reading.ok:
            return reading.failed_as()
        if self.config.guard is not None:
            self.guard = ApproachGuard(self.ports, self.config.guard, scene, plan)
        watch = self.stages.collision_watch(self.config.hold, reading.unwrap().wrench)
        return self.stages.move(plan.approach, self._guarded(plan.approach, watch, way=True))

    def _guarded(self, leg: JointTrajectory, watch: Watch, way: bool) -> Watch:
        return self.guard.along(leg, watch, way) if self.guard is not None else watch

    def _grasp(self, scene: Scene, plan: ApproachPlan) -> Outcome[None]:
        tared = self.stages.rest_wrench(self.config.settle_s)
        if not tared.ok:
            return tared.failed_as()
        self.tare = tared.unwrap()
        watch = self._guarded(plan.contact, self._contact_watch(plan.candidate, self.tare), way=False)
        contact = self.stages.move(plan.contact, watch)
        if self.guard is not None:
            self.guard.close()
        if not contact.ok and contact.code is not Code.UNEXPECTED_CONTACT:
            return contact
        if plan.candidate.tool is Tool.SUCTION:
            return self._wait_for_seal(self._hold_limits(plan.candidate))
        if not contact.ok:
            return contact
        closed = self.ports.hand.set_jaw(0.0, plan.candidate.force_n)
        if not closed.ok and closed.code is not Code.TIMEOUT:  # what is soft goes on giving way: its width tells
            return closed.failed_as()
        reading = self.ports.sensors.reading()
        if not reading.ok:
            return reading.failed_as()
        self.width_at_grasp_m = reading.unwrap().jaw.width_m
        self.give_m = max(0.0, plan.candidate.width_m - self.width_at_grasp_m)
        return holding(reading.unwrap(), Tool.PINCH, self.config.hold)

    def _contact_watch(self, candidate: GraspCandidate, tare: Wrench) -> Watch:
        """Ends the last stretch on a seal (suction) or on a push (both)."""
        axis = 2  # tool0's z is the approach axis of both tools

        def watch(reading: RobotReading) -> Outcome[None]:
            if candidate.tool is Tool.SUCTION and sealed(reading, self._hold_limits(candidate)):
                return Outcome.failure(Code.UNEXPECTED_CONTACT, "Sealed.")
            push = abs(float(reading.wrench.force_n[axis] - tare.force_n[axis]))
            if push > self.config.hold.contact_force_n:
                return Outcome.failure(Code.UNEXPECTED_CONTACT, f"{push:.0f} N along the approach.")
            return Outcome.success(None)

        return watch

    def _hold_limits(self, candidate: GraspCandidate) -> HoldConfig:
        """What counts as a seal under the vacuum that this grasp works with."""
        return self.config.hold.within(candidate.vacuum_pa or math.inf)

    def _wait_for_seal(self, limits: HoldConfig) -> Outcome[None]:
        end_s = self.ports.clock.now_s() + self.config.seal_wait_s
        while True:
            reading = self.ports.sensors.reading()
            if not reading.ok:
                return reading.failed_as()
            if sealed(reading.unwrap(), limits):
                return Outcome.success(None)
            if self.ports.clock.now_s() >= end_s:
                return holding(reading.unwrap(), Tool.SUCTION, limits)
            self.ports.clock.sleep_s(0.02)

    def _lift(self, scene: Scene, plan: ApproachPlan) -> Outcome[None]:
        fallen = self.task.fallen
        if (
            fallen is not None
            and self.task.fallen_sku == self.sku
            and self.task.ledger.counts(Place.SOURCE).get(self.sku, 0) == 0
        ):
            # no other piece can be in the tote: this is the one that fell before
            self.task.book(fallen, Place.SOURCE, self.stages.report, "found again in the tote")
            self.task.fallen = None
        taken = self.task.ledger.take(self.sku, self.request.job_id)
        if not taken.ok:
            return taken.failed_as()
        self.item_id = taken.unwrap()
        held = self._held(scene, plan.candidate)
        self.task.held = Held(self.item_id, self.sku, held, self._hold_limits(plan.candidate), self.give_m)
        raised = self._raise(scene, self.task.held)
        if raised.ok:
            self.task.held.lift = raised.unwrap()
        elif raised.code is Code.SLIPPED:
            gentler = self._after_slip(held)
            raised = self._raise(scene, self.task.held) if gentler is not None else raised
        if raised.code is Code.PROTECTIVE_STOP:
            self.task.held.lifted = False  # jammed among its neighbours: letting go where it is frees it
        return Outcome.success(None) if raised.ok else raised.failed_as()

    def _raise(self, scene: Scene, held: Held) -> Outcome[JointTrajectory]:
        """Straight up from where the arm is; what it ran."""
        with self.stages.computing():
            lift = self.ports.motion.plan_lift(scene, held.item)
        if not lift.ok:
            return lift
        held.lifted = True
        moved = self.stages.move(lift.unwrap(), self._hold_watch(held.item.tool, held.limits))
        return lift if moved.ok else moved.failed_as()

    def _hold_watch(self, tool: Tool, limits: HoldConfig) -> Watch:
        return lambda reading: hold_lost(reading, tool, self.width_at_grasp_m, limits, self.give_m)

    def _held(self, scene: Scene, candidate: GraspCandidate) -> HeldItem:
        sku = self.task.catalogue.find(self.sku).unwrap()
        shape = scene.instance(candidate.instance_id).shape
        trusted = LOST_SHARE ** self.task.lost_in_flight[candidate.tool]
        return HeldItem(candidate.tool, shape, candidate.X_base_tcp, sku.mass_kg, trusted * candidate.max_acceleration_mps2)

    def _verify(self, scene: Scene, plan: ApproachPlan) -> Outcome[None]:
        assert self.tare is not None, "the wrist is tared before every contact"
        loaded = self.stages.rest_wrench(self.config.settle_s)
        if not loaded.ok:
            return loaded.failed_as()
        reading = self.ports.sensors.reading()
        if not reading.ok:
            return reading.failed_as()
        still = holding(reading.unwrap(), plan.candidate.tool, self._hold_limits(plan.candidate))
        if not still.ok:
            return still
        mass_kg = measured_mass_kg(loaded.unwrap(), self.tare)
        self.stages.report.mass_kg = mass_kg
        if self.request.sku == ANY_ITEM:  # no particular weight is expected of something that nobody asked for
            return Outcome.success(None, f"Lifted {mass_kg * 1e3:.0f} g.")
        expected = self.task.catalogue.find(self.sku).unwrap().mass_kg
        weighed = judge_weight(mass_kg, expected, self.config.hold)
        return Outcome.success(None, weighed.text) if weighed.ok else weighed.failed_as()

    # -- deliver -------------------------------------------------------------------------------------------------

    def deliver(self, scene: Scene, held: HeldItem) -> Outcome[PlacePlan]:
        with self.stages.stage(Stage.TRANSFER, "Carrying it over") as record:
            outcome = self._carry(scene, held, "destination")
            record.code, record.text = outcome.code, outcome.text
            if not outcome.ok:
                return outcome
        with self.stages.stage(Stage.PLACE, "Setting it down") as record:
            released = self._set_down(held)
            record.code, record.text = released.code, released.text
        return outcome if released.ok else released.failed_as()

    def _carry(self, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        """What is held to a free place in ``tote``, without letting go. What has slipped and is still held goes on, gently:
        the way back would be no safer."""
        placed = self._carry_once(scene, held, tote)
        gentler = self._after_slip(held) if placed.code is Code.SLIPPED else None
        if gentler is None:
            return placed
        placed = self._carry_once(scene, gentler, tote)
        return replace(placed, text=f"It slipped once and was carried on gently. {placed.text}".rstrip())

    def _after_slip(self, held: HeldItem) -> HeldItem | None:
        """The hold as it is now, trusted with half as much; None when nothing is held any more, or nobody knows."""
        self.ports.clock.sleep_s(self.config.settle_s)
        reading = self.ports.sensors.reading()
        if not reading.ok or not holding(reading.unwrap(), held.tool, self.config.hold).ok:
            return None
        self.width_at_grasp_m = reading.unwrap().jaw.width_m
        gentler = replace(held, max_acceleration_mps2=SLIPPED_SHARE * held.max_acceleration_mps2)
        if self.task.held is not None:
            self.task.held.item = gentler
        return gentler

    def _carry_once(self, scene: Scene, held: HeldItem, tote: str) -> Outcome[PlacePlan]:
        believed = self.task.held
        limits = believed.limits if believed is not None else self.config.hold
        before = believed is not None and believed.away
        if believed is not None:
            believed.away = before or tote != "source"
        placed = self.stages.place(scene, held, tote, self._hold_watch(held.tool, limits))
        if believed is not None and placed.code in NOT_MOVED:
            believed.away = before
        elif believed is not None:
            believed.lift = None
        return placed

    def _set_down(self, held: HeldItem) -> Outcome[None]:
        assert self.item_id is not None, "the item is booked before it is lifted"
        booked = self.task.ledger.move(self.item_id, Place.DESTINATION, self.request.job_id)
        if not booked.ok:
            return booked.failed_as()
        released = self.stages.release(held, self.give_m)
        if not released.ok:
            self.task.book(self.item_id, Place.HAND, self.stages.report, "the hand did not open")
            return released
        self.task.held = None
        self.released = True
        return self.stages.leave()

    def _confirm(self, scene: Scene, held: HeldItem, placed: Outcome[PlacePlan]) -> Outcome[None]:
        """The item has left the hand; see that it lies where it was put. The look serves the next pick as well."""
        with self.stages.stage(Stage.VERIFY_PLACE, "Checking the destination") as record:
            left = placed.failed_as() if not placed.ok else self.stages.go_home()
            self.task.at_home = left.ok
            outcome = self._confirm_seen(scene, held) if left.ok else self._unconfirmed(left)
            record.code, record.text = outcome.code, outcome.text
        assert self.item_id is not None, "the item is booked before it is lifted"
        self.stages.report.placed = outcome.ok
        if outcome.code is Code.PLACE_UNVERIFIED:
            self.task.book(self.item_id, Place.NEEDS_PERSON, self.stages.report, outcome.text)
        with self.stages.stage(Stage.RECORD, "Writing the report"):
            if self.task.last_scene is not None:
                self.pictures.scene("after", self.task.last_scene)
        return outcome

    def _confirm_seen(self, scene: Scene, held: HeldItem) -> Outcome[None]:
        seen = self._look()
        if seen.value is None:
            return self._unconfirmed(seen.failed_as())
        return check_placed(scene, seen.value, held, "destination")

    @staticmethod
    def _unconfirmed(failure: Outcome[None]) -> Outcome[None]:
        """What the failure of a step after the release means: the cell's own stops stay what they are."""
        if failure.info.recovery in (Recovery.WAIT, Recovery.ASK_PERSON, Recovery.NONE):
            return failure
        return Outcome.failure(Code.PLACE_UNVERIFIED, failure.text)
