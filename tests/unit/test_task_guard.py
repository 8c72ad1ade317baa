"""Eyes open on the way to a grasp: what is seen to move is chosen anew, what is seen once only is not believed."""

from __future__ import annotations

import numpy as np
import pytest
from fake_cell import FakeCell
from test_task_pick import MASSES, FakeCatalogue

from pickcell.geometry import make_pose
from pickcell.grasping.verdict import verdict
from pickcell.outcome import Code, Outcome
from pickcell.task.guard import GuardConfig
from pickcell.task.ledger import Ledger, Place
from pickcell.task.pick import PickTask, TaskConfig
from pickcell.task.request import PickRequest
from pickcell.values import Tool, Track, TrackState, VoxelGrid, Watched

GRID = VoxelGrid(np.zeros(3), 0.01, np.zeros((2, 2, 2)))


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path / "ledger.sqlite")
    opened.set_manifest(dict.fromkeys(MASSES, 1)).unwrap()
    yield opened
    opened.close()


def seen(x_m: float = 0.0, state: TrackState = TrackState.STILL, turn: float = 0.0, grid: VoxelGrid | None = GRID):
    track = Track(1, make_pose((x_m, 0.0, 0.0), (0.0, 0.0, turn)), state, 0.9)
    return Outcome.success(Watched(0.0, (track,), grid, ()))


def pick(ledger, cell):
    task = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(guard=GuardConfig()))
    return task.run(PickRequest("job-1", "box-1"))


def codes(report):
    return [stage.code for stage in report.stages]


def cell_with_glances(*glances) -> FakeCell:
    cell = FakeCell(dict(MASSES), Tool.PINCH)
    cell.glances = list(glances)
    return cell


@pytest.mark.parametrize(
    "glance",
    [seen(0.03, TrackState.MOVED), seen(0.0, TrackState.MOVED, turn=0.6), seen(0.0, TrackState.LOST)],
    ids=["shoved", "turned", "gone"],
)
def test_what_moved_is_looked_for_and_chosen_anew(ledger, glance):
    cell = cell_with_glances(glance, glance)
    report = pick(ledger, cell)
    assert Code.TARGET_MOVED in codes(report) and cell.calls["observe"] >= 2
    assert report.placed and report.attempts == 2, report.text
    assert cell.followed[0] == (1,) and cell.followed[-1] == (), "nobody watches any longer than to contact"


def test_the_grasp_is_not_blamed(ledger):
    cell = cell_with_glances(seen(0.03), seen(0.03))
    pick(ledger, cell)
    assert (1, "box-1", Code.TARGET_MOVED) in cell.learned  # said, and passed over by the choice
    assert verdict(Code.TARGET_MOVED) is None and verdict(Code.PATH_BLOCKED) is None


@pytest.mark.parametrize(
    "glances",
    [
        [seen(0.03), seen(0.0), seen(0.03), seen(0.0)],
        [seen(0.03), seen(state=TrackState.HIDDEN)] * 3,
        [seen(0.03), Outcome.failure(Code.CAMERA_STALE)] * 3,
        [seen(0.004)] * 6,
        [seen(0.05, TrackState.HIDDEN)] * 6,
        [None] * 6,
        [Outcome.failure(Code.CAMERA_STALE)] * 6,
        [Outcome.success(Watched(0.0, (), None, ()))] * 6,
    ],
    ids=[
        "once only",
        "hidden in between",
        "blind in between",
        "hardly",
        "hidden",
        "nothing new",
        "no camera",
        "not followed",
    ],
)
def test_no_reason_to_stop(ledger, glances):
    report = pick(ledger, cell_with_glances(*glances))
    assert report.placed and report.attempts == 1, report.text


def test_what_comes_into_the_way_stops_the_arm(ledger):
    cell = cell_with_glances(*[seen()] * 4)
    cell.way = Outcome.failure(Code.PATH_BLOCKED, "In 0.4 s: hand_link against items (-20 mm).")
    report = pick(ledger, cell)
    assert Code.PATH_BLOCKED in codes(report)
    assert report.placed and ledger.counts(Place.DESTINATION)["box-1"] == 1, "once it has gone the pick goes on"


def test_without_the_space_around_nobody_asks_for_the_way(ledger):
    cell = cell_with_glances(*[seen(grid=None)] * 4)
    cell.way = Outcome.failure(Code.PATH_BLOCKED)
    assert pick(ledger, cell).attempts == 1


def test_with_eyes_closed_nothing_is_followed(ledger):
    cell = cell_with_glances(seen(0.03), seen(0.03))
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig()).run(PickRequest("job-1", "box-1"))
    assert report.attempts == 1 and cell.followed == []
