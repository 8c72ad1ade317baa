"""The task's decisions, on a fake cell: every way a pick can end, and the ledger after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_cell import FakeCell, Faults

from pickcell.cell import HandConfig
from pickcell.outcome import Code, Outcome, Stage
from pickcell.task.ledger import Ledger, Place
from pickcell.task.pick import PickTask, TaskConfig
from pickcell.task.record import read_record
from pickcell.task.request import ANY_ITEM, PickRequest
from pickcell.values import Sku, Tool, Wrench

MASSES = {"box-1": 0.2, "can-2": 0.3}


class FakeCatalogue:
    def find(self, sku: str) -> Outcome[Sku]:
        known = {**MASSES, "anvil": 40.0}
        if sku not in known:
            return Outcome.failure(Code.ITEM_UNKNOWN, f"'{sku}'")
        return Outcome.success(Sku(sku, sku, "box", np.array([0.08, 0.06, 0.04]), known[sku]))


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert ledger.set_manifest(dict.fromkeys(MASSES, 1) | {"anvil": 1}).ok
    yield ledger
    ledger.close()


def run(ledger, cell: FakeCell, sku="box-1", directory=None):
    task = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(), directory)
    return task, task.run(PickRequest("job-1", sku))


def cell_with(tool=Tool.PINCH, **faults) -> FakeCell:
    return FakeCell(dict(MASSES), tool, Faults(**faults))


@pytest.mark.parametrize("tool", list(Tool))
def test_a_good_pick_is_delivered_and_booked(ledger, tool, tmp_path):
    cell = cell_with(tool)
    _, report = run(ledger, cell, directory=tmp_path)
    assert (report.code, report.placed, report.attempts) == (Code.OK, True, 1), report.text
    assert cell.destination == ["box-1"] and cell.in_hand is None
    assert ledger.counts(Place.DESTINATION) == {"box-1": 1} and ledger.counts(Place.HAND) == {}
    assert report.mass_kg == pytest.approx(0.2, abs=1e-6)
    usual = [stage for stage in Stage if stage not in (Stage.CLEAR, Stage.RECORD)]
    assert [s.stage for s in report.stages if s.stage is not Stage.RECORD] == usual
    assert read_record(tmp_path / "job-1") == report


def test_every_try_teaches_the_choice_how_it_ended(ledger):
    cell = cell_with(misses=1)
    _, report = run(ledger, cell)
    assert report.code is Code.OK
    assert [(sku, code) for _, sku, code in cell.learned] == [("box-1", Code.MISSED), ("box-1", Code.OK)]


def test_any_item_takes_what_can_be_taken_best(ledger):
    cell = cell_with(extra_kg=0.3)  # of what nobody asked for, no weight is expected
    cell.qualities = {"box-1": 0.4, "can-2": 0.8}
    _, report = run(ledger, cell, ANY_ITEM)
    assert report.code is Code.OK, report.text
    assert cell.destination == [report.sku] == ["can-2"]
    assert ledger.counts(Place.DESTINATION) == {"can-2": 1}


def test_any_item_of_an_empty_manifest_is_refused(ledger):
    ledger.set_manifest({})
    _, report = run(ledger, cell_with(), ANY_ITEM)
    assert report.code is Code.ITEM_NOT_IN_MANIFEST


def test_any_item_never_takes_what_the_manifest_does_not_hold(ledger):
    ledger.set_manifest({"can-2": 1})
    cell = cell_with()
    cell.qualities = {"box-1": 0.9, "can-2": 0.2}
    _, report = run(ledger, cell, ANY_ITEM)
    assert (report.code, report.sku) == (Code.OK, "can-2")
    _, report = run(ledger, cell, ANY_ITEM)
    assert report.code is Code.ITEM_NOT_IN_MANIFEST and cell.destination == ["can-2"]


def test_the_last_look_serves_the_next_pick(ledger):
    cell = cell_with()
    task, _ = run(ledger, cell)
    looks = cell.calls["observe"]
    assert task.run(PickRequest("job-2", "can-2")).code is Code.OK
    assert cell.calls["observe"] == looks + 1


@pytest.mark.parametrize(
    ("sku", "code"),
    [("nothing", Code.ITEM_UNKNOWN), ("anvil", Code.ITEM_TOO_HEAVY)],
)
def test_refused_without_moving(ledger, sku, code):
    cell = cell_with()
    _, report = run(ledger, cell, sku)
    assert report.code is code and "execute" not in cell.calls


def test_not_in_manifest_is_refused(ledger):
    assert ledger.set_manifest({"can-2": 1}).ok
    _, report = run(ledger, cell_with())
    assert report.code is Code.ITEM_NOT_IN_MANIFEST


def test_empty_tote(ledger):
    cell = cell_with()
    cell.source.clear()
    _, report = run(ledger, cell)
    assert report.code is Code.SCENE_EMPTY


def test_the_last_item_leaves_an_empty_tote(ledger):
    cell = FakeCell({"box-1": 0.2})
    _, report = run(ledger, cell)
    assert (report.code, report.placed) == (Code.OK, True) and cell.source == []


def test_listed_but_not_seen(ledger):
    cell = cell_with()
    cell.source.remove("box-1")
    _, report = run(ledger, cell)
    assert report.code is Code.ITEM_NOT_FOUND and report.attempts == TaskConfig().max_attempts
    assert ledger.counts(Place.SOURCE)["box-1"] == 1


@pytest.mark.parametrize("code", [Code.CAMERA_MISSING, Code.CAMERA_STALE, Code.NODE_LOST])
def test_perception_failures_end_the_pick_at_once(ledger, code):
    cell = cell_with(observe=lambda n: code)
    _, report = run(ledger, cell)
    assert (report.code, report.attempts) == (code, 1)


def test_bad_depth_is_looked_at_again(ledger):
    cell = cell_with(observe=lambda n: Code.DEPTH_INVALID if n == 1 else None)
    _, report = run(ledger, cell)
    assert (report.code, report.attempts) == (Code.OK, 2)


@pytest.mark.parametrize("code", [Code.NO_GRASP_FOUND])
def test_no_grasp(ledger, code):
    _, report = run(ledger, cell_with(select=lambda n: code))
    assert report.code is code


@pytest.mark.parametrize("code", [Code.UNREACHABLE, Code.APPROACH_BLOCKED, Code.NO_PATH])
def test_no_way_to_any_grasp(ledger, code):
    cell = cell_with(approach=lambda n: code)
    _, report = run(ledger, cell)
    assert report.code in (code, Code.NO_GRASP_FOUND) and cell.source == list(MASSES)


@pytest.mark.parametrize(("tool", "first"), [(Tool.PINCH, Code.MISSED), (Tool.SUCTION, Code.SEAL_NOT_MADE)])
def test_a_missed_grasp_is_followed_by_another_one_elsewhere(ledger, tool, first):
    cell = cell_with(tool, misses=1)
    _, report = run(ledger, cell)
    assert (report.code, report.attempts) == (Code.OK, 2)
    assert [s.code for s in report.stages if s.stage is Stage.GRASP] == [first, Code.OK]


@pytest.mark.parametrize(("tool", "code"), [(Tool.PINCH, Code.DROPPED), (Tool.SUCTION, Code.SEAL_LOST)])
def test_an_item_that_falls_back_is_found_again(ledger, tool, code):
    def drop(n, cell):
        if cell.in_hand and not cell.dropped:
            cell.dropped = True
            cell.lose()

    cell = cell_with(tool, during_execute=lambda n, cell: drop(n, cell) if cell.calls.get("place_destination") else None)
    cell.dropped = False
    _, report = run(ledger, cell)
    assert code in [s.code for s in report.stages], [s.code for s in report.stages]
    assert report.code is Code.OK and ledger.counts(Place.DESTINATION) == {"box-1": 1}
    assert ledger.counts(Place.NEEDS_PERSON) == {}


def vanish_after(planned: str):
    """What is held is gone, and seen no more, once ``planned`` has been planned."""

    def vanish(n, cell):
        if cell.in_hand and cell.calls.get(planned):
            cell.lose()
            cell.source.remove("box-1")

    return vanish


def test_what_is_lost_in_the_lift_lies_in_the_tote_and_needs_nobody(ledger):
    """Whether or not it is seen again: it has never been anywhere else."""
    _, report = run(ledger, cell_with(during_execute=vanish_after("lift")))
    assert not report.placed and report.code is Code.ITEM_NOT_FOUND and report.needs_person == ""
    assert ledger.counts(Place.SOURCE)["box-1"] == 1 and ledger.counts(Place.NEEDS_PERSON) == {}


def test_an_item_that_vanishes_needs_a_person(ledger):
    _, report = run(ledger, cell_with(during_execute=vanish_after("place_destination")))
    assert not report.placed and report.code is Code.ITEM_NOT_FOUND
    assert ledger.counts(Place.NEEDS_PERSON) == {"box-1": 1}


def slips(cell: FakeCell, times: int) -> list[float]:
    """The item slips in the jaw so often on its way; returns the accelerations of the places planned, as they come."""
    planned: list[float] = []
    place = cell.plan_place

    def plan_place(scene, held, tote):
        planned.append(held.max_acceleration_mps2)
        if cell.in_hand and len(planned) <= times and tote == "destination":
            cell.slips_next = True
        return place(scene, held, tote)

    def slip(n, cell):
        if getattr(cell, "slips_next", False):
            cell.commanded = max(cell.commanded, 0.04) + 0.008
            cell.slips_next = False

    cell.plan_place = plan_place  # type: ignore[method-assign]
    cell.faults.during_execute = slip
    return planned


def test_what_is_soft_is_judged_by_its_width_and_let_go_wider(ledger):
    """A jaw that still creeps when its time is over holds what keeps its pads apart; what was squeezed follows them."""
    cell = cell_with()
    cell.squeezed_to_m = 0.02  # of 0.04 that it looked
    opened: list[float] = []
    move = cell.set_jaw

    def set_jaw(width_m, force_n):
        moved = move(width_m, force_n)
        opened.append(width_m)
        return Outcome(Code.TIMEOUT, "creeping", moved.value) if width_m == 0.0 else moved

    cell.set_jaw = set_jaw  # type: ignore[method-assign]
    _, report = run(ledger, cell)
    assert report.placed and report.attempts == 1, report.text
    assert opened[opened.index(0.0) + 1] == pytest.approx(0.04 + 0.02)


def test_what_slips_once_goes_on_gently(ledger):
    cell = cell_with()
    planned = slips(cell, 1)
    _, report = run(ledger, cell)
    assert report.placed and report.code is Code.OK, report.text
    assert planned[1] == pytest.approx(0.5 * planned[0]) and len(planned) == 2
    assert any("slipped once" in s.text for s in report.stages)


def test_what_slips_in_the_lift_is_lifted_on(ledger):
    def slip(n, cell):
        if cell.in_hand and cell.calls.get("lift") == 1:
            cell.commanded = 0.048

    cell = cell_with(during_execute=slip)
    _, report = run(ledger, cell)
    assert report.placed and report.attempts == 1 and cell.calls["lift"] == 2, report.text


def test_what_was_lost_on_the_way_is_carried_more_gently_the_next_time(ledger):
    borne: list[float] = []

    def drop(n, cell):
        if cell.in_hand and cell.calls.get("lift") == 1:
            cell.lose()
            cell.commanded = 0.0

    cell = cell_with(during_execute=drop)
    lift = cell.plan_lift
    cell.plan_lift = lambda scene, held: (borne.append(held.max_acceleration_mps2), lift(scene, held))[1]  # type: ignore
    task, report = run(ledger, cell)
    assert report.placed and Code.DROPPED in [s.code for s in report.stages], report.text
    assert borne[1] == pytest.approx(0.5 * borne[0]) and len(borne) == 2
    task.run(PickRequest("job-2", "can-2"))
    assert borne[2] == pytest.approx(borne[0]), "the next pick begins anew"


def test_what_slips_again_is_put_back(ledger):
    cell = cell_with()
    slips(cell, 2)
    _, report = run(ledger, cell)
    assert Code.SLIPPED in [s.code for s in report.stages]
    assert ledger.counts(Place.NEEDS_PERSON) == {}


@pytest.mark.parametrize(("extra", "code"), [(0.5, Code.DOUBLE_PICK), (-0.15, Code.ITEM_MISMATCH)])
def test_a_wrong_weight_is_put_back(ledger, extra, code):
    cell = cell_with(extra_kg=extra)
    _, report = run(ledger, cell)
    assert report.code in (code, Code.NO_GRASP_FOUND) and cell.destination == []
    assert code in [s.code for s in report.stages]
    assert ledger.counts(Place.SOURCE)["box-1"] == 1 and cell.in_hand is None


def test_no_free_place_puts_the_item_back_and_asks_for_a_person(ledger):
    cell = cell_with()
    place = cell.plan_place
    full = Outcome.failure(Code.PLACE_BLOCKED)
    cell.plan_place = lambda scene, held, tote: full if tote == "destination" else place(scene, held, tote)  # type: ignore
    task, report = run(ledger, cell)
    assert report.code is Code.PLACE_BLOCKED and report.attempts == 1
    assert ledger.counts(Place.SOURCE)["box-1"] == 1 and "box-1" in cell.source and task.held is None


def test_an_item_that_can_be_put_nowhere_goes_back_to_where_it_came_from(ledger):
    cell = cell_with(place=lambda n: Code.PLACE_BLOCKED)
    task, report = run(ledger, cell)
    assert report.code is Code.PLACE_BLOCKED
    assert ledger.counts(Place.SOURCE)["box-1"] == 1 and ledger.counts(Place.HAND) == {}
    assert "box-1" in cell.source and cell.in_hand is None and task.held is None


def test_an_item_that_can_be_put_nowhere_on_the_way_stays_in_the_hand(ledger):
    class FullSource(FakeCell):
        def plan_place(self, scene, held, tote):
            return Outcome.failure(Code.PLACE_BLOCKED) if tote == "source" else super().plan_place(scene, held, tote)

    cell = FullSource(dict(MASSES), faults=Faults(execute=lambda n: Code.MOTION_ABORTED if n == 6 else None))
    task, report = run(ledger, cell)
    assert report.code is Code.PLACE_BLOCKED, report.text
    assert ledger.counts(Place.HAND) == {"box-1": 1} and task.held is not None


def test_an_item_that_does_not_arrive_is_not_counted_as_delivered(ledger):
    _, report = run(ledger, cell_with(lands=False))
    assert report.code is Code.PLACE_UNVERIFIED and not report.placed
    assert ledger.counts(Place.NEEDS_PERSON) == {"box-1": 1}


@pytest.mark.parametrize("code", [Code.MOTION_ABORTED, Code.PROTECTIVE_STOP, Code.ESTOP])
def test_a_failed_motion_is_typed(ledger, code):
    cell = cell_with(execute=lambda n: code if n == 4 else None)
    _, report = run(ledger, cell)
    assert code in [s.code for s in report.stages]
    assert report.code is (Code.OK if code is Code.MOTION_ABORTED else code)


def test_estop_while_moving(ledger):
    def press(n, cell):
        cell.estop = cell.calls.get("approach", 0) > 0

    _, report = run(ledger, cell_with(during_execute=press))
    assert report.code is Code.ESTOP


@pytest.mark.parametrize("code", [Code.NODE_LOST, Code.CANCELLED])
def test_interruption_with_an_item_in_hand_then_the_next_pick_puts_it_back(ledger, code):
    def interrupt(n, cell):
        if cell.in_hand and cell.calls.get("place_destination"):
            cell.stop_reason = Outcome.failure(code)

    cell = cell_with(during_execute=interrupt)
    task, report = run(ledger, cell)
    assert report.code is code and cell.in_hand == "box-1"
    assert ledger.counts(Place.HAND) == {"box-1": 1}
    cell.stop_reason = Outcome.success(None)
    cell.faults.during_execute = lambda n, cell: None
    assert task.run(PickRequest("job-2", "can-2")).code is Code.OK
    assert ledger.counts(Place.SOURCE).get("box-1") == 1 and cell.destination == ["can-2"]


def test_lost_sensors(ledger):
    _, report = run(ledger, cell_with(sensors=lambda n: Code.NODE_LOST if n > 3 else None))
    assert report.code is Code.NODE_LOST


def test_timeout_is_tried_again(ledger):
    _, report = run(ledger, cell_with(observe=lambda n: Code.TIMEOUT if n == 1 else None))
    assert (report.code, report.attempts) == (Code.OK, 2)


def test_nothing_is_lifted_when_the_ledger_cannot_be_written(ledger):
    cell = cell_with()
    task = PickTask(cell, FakeCatalogue(), ledger, TaskConfig())
    ledger.take = lambda sku, job: Outcome.failure(Code.LEDGER_UNWRITABLE, "disk full")  # type: ignore[method-assign]
    lifts_before = cell.calls.get("lift", 0)
    report = task.run(PickRequest("job-1", "box-1"))
    assert report.code is Code.LEDGER_UNWRITABLE and cell.calls.get("lift", 0) == lifts_before
    assert cell.destination == []


def test_a_software_fault_becomes_an_outcome_and_stops_the_arm(ledger):
    cell = cell_with()
    cell.plan_approach = lambda scene, ranked: 1 / 0  # type: ignore[method-assign]
    _, report = run(ledger, cell)
    assert report.code is Code.INTERNAL_ERROR and "ZeroDivisionError" in report.text and cell.stopped == 1


@pytest.mark.parametrize("code", [Code.NO_PATH, Code.MOTION_ABORTED])
def test_a_failure_after_the_release_never_picks_a_second_piece(tmp_path, code):
    ledger = Ledger(tmp_path / "two.sqlite")
    ledger.set_manifest({"box-1": 2}).unwrap()
    cell = cell_with(home=lambda n: code if n > 1 else None)
    cell.source.append("box-1")
    _, report = run(ledger, cell)
    assert report.code is Code.PLACE_UNVERIFIED and cell.destination == ["box-1"] and report.attempts == 1
    assert ledger.counts(Place.NEEDS_PERSON) == {"box-1": 1} and report.needs_person


def test_every_attempt_begins_with_an_empty_hand(ledger):
    cell = cell_with(extra_kg=0.5, place=lambda n: None)
    carried: list[bool] = []
    observe = cell.observe
    cell.observe = lambda manifest, after: (carried.append(cell.in_hand is not None), observe(manifest, after))[1]  # type: ignore
    run(ledger, cell)
    assert len(carried) > 1 and not any(carried)
    assert ledger.counts(Place.HAND) == {}


def test_the_last_piece_in_the_hand_can_be_asked_for_again(ledger):
    def interrupt(n, cell):
        if cell.in_hand and cell.calls.get("place_destination"):
            cell.stop_reason = Outcome.failure(Code.CANCELLED)

    cell = cell_with(during_execute=interrupt)
    task, _ = run(ledger, cell)
    cell.stop_reason, cell.faults.during_execute = Outcome.success(None), lambda n, cell: None
    assert task.run(PickRequest("job-2", "box-1")).code is Code.OK
    assert cell.destination == ["box-1"] and ledger.counts(Place.DESTINATION) == {"box-1": 1}


def test_another_piece_is_not_taken_for_the_one_that_fell(tmp_path):
    ledger = Ledger(tmp_path / "two.sqlite")
    ledger.set_manifest({"box-1": 2}).unwrap()

    def vanish_once(n, cell):
        if cell.in_hand and cell.calls.get("place_destination") and not cell.lost:
            cell.lost.append(cell.in_hand)
            cell.in_hand, cell.target = None, None

    cell = cell_with(during_execute=vanish_once)
    cell.source.append("box-1")
    _, report = run(ledger, cell)
    assert report.code is Code.OK and report.needs_person
    assert ledger.counts(Place.NEEDS_PERSON) == {"box-1": 1} and ledger.counts(Place.SOURCE).get("box-1", 0) == 0


def test_a_deadline_ends_the_attempts_with_an_empty_hand(ledger):
    def late(n, cell):
        if cell.in_hand and not cell.late:
            cell.late, cell.stop_reason = True, Outcome.failure(Code.TIMEOUT)
        elif cell.late:
            cell.stop_reason = Outcome.success(None)

    cell = cell_with(during_execute=late)
    cell.late = False
    _, report = run(ledger, cell)
    assert (report.code, report.attempts) == (Code.TIMEOUT, 1) and cell.in_hand is None
    assert ledger.counts(Place.SOURCE)["box-1"] == 1


def test_a_wrist_that_delivers_no_numbers_stops_the_arm(ledger):
    cell = cell_with()
    reading = cell._reading
    broken = Wrench(0.0, np.full(3, np.nan), np.zeros(3))
    cell._reading = lambda: replace(reading(), wrench=broken)  # type: ignore[method-assign]
    _, report = run(ledger, cell)
    assert not report.placed and cell.destination == []
    assert Code.UNEXPECTED_CONTACT in [s.code for s in report.stages]


def test_a_weak_vacuum_source_lowers_what_counts_as_a_seal(ledger):
    strong, weak = HandConfig(), HandConfig(vacuum_source="blower")
    limits = {
        h.vacuum_source: PickTask(cell_with(), FakeCatalogue(), ledger, TaskConfig(hand=h)).config.hold
        for h in (strong, weak)
    }
    assert limits["ejector"] == TaskConfig().hold
    assert limits["blower"].lost_pa < limits["blower"].seal_pa < weak.vacuum_max_pa
