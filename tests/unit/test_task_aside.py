"""The aside tray: what was put there is remembered, and who asks for it is told where it lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_task_clearing import STACK, FakeCatalogue, Heap, solid
from test_task_clearing import ledger as ledger  # the fixture

from pickcell.geometry import make_pose
from pickcell.outcome import Code
from pickcell.task.aside import ASIDE, AsideTray
from pickcell.task.ledger import Place
from pickcell.task.pick import PickTask, TaskConfig
from pickcell.task.request import PickRequest
from pickcell.values import HeightMap, HeldItem, JointTrajectory, PlacePlan, Scene, Tool, VoxelGrid

SIZE = (0.08, 0.06, 0.04)
STAND = JointTrajectory(("a",), np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1)))
CORNER = make_pose((-0.2, -0.7, 0.0))


def tray_map(height: np.ndarray) -> HeightMap:
    return HeightMap(CORNER, 0.01, height.astype(np.float32))


def seen_as(height: np.ndarray | None) -> Scene:
    maps = {} if height is None else {ASIDE: tray_map(height)}
    return Scene(1.0, (), VoxelGrid(np.zeros(3), 0.01, np.zeros((2, 2, 2))), maps)


def put_at(tray: AsideTray, scene: Scene, place: tuple[float, float, float]) -> None:
    held = HeldItem(Tool.SUCTION, solid((0.5, 0.0, 0.0), SIZE), make_pose((0.5, 0.0, 0.04)), 0.2, 4.0)
    tray.put(scene, held, PlacePlan(ASIDE, make_pose(np.add(place, (0.0, 0.0, 0.04))), STAND, STAND, STAND))


def test_an_unseen_tray_is_known_to_be_empty_until_something_is_put_there() -> None:
    tray, scene = AsideTray(), seen_as(np.full((40, 30), np.nan))
    assert np.all(tray.shown_in(scene).heightmaps[ASIDE].height_m == 0.0)
    put_at(tray, scene, (0.0, -0.55, 0.0))
    height = tray.shown_in(scene).heightmaps[ASIDE].height_m
    assert height[20, 15] == pytest.approx(0.04) and height[0, 0] == 0.0
    assert 0.08 * 0.06 <= np.count_nonzero(height) * 1e-4 <= 0.12 * 0.10
    tray.clear()
    assert np.all(tray.shown_in(scene).heightmaps[ASIDE].height_m == 0.0)


def test_what_is_put_on_top_raises_the_map_and_what_is_seen_counts_too() -> None:
    tray, scene = AsideTray(), seen_as(np.full((40, 30), np.nan))
    put_at(tray, scene, (0.0, -0.55, 0.0))
    put_at(tray, scene, (0.0, -0.55, 0.04))
    assert tray.shown_in(scene).heightmaps[ASIDE].height_m[20, 15] == pytest.approx(0.08)
    higher = np.full((40, 30), np.nan)
    higher[20, 15], higher[2, 2] = 0.10, 0.03
    shown = tray.shown_in(seen_as(higher)).heightmaps[ASIDE].height_m
    assert shown[20, 15] == pytest.approx(0.10) and shown[2, 2] == pytest.approx(0.03)


def test_a_cell_without_a_tray_shows_none() -> None:
    scene = seen_as(None)
    assert AsideTray().shown_in(scene) is scene


class HeapWithTray(Heap):
    def observe(self, manifest, not_before_s):
        seen = super().observe(manifest, not_before_s)
        if seen.value is None:
            return seen
        maps = {**seen.value.heightmaps, ASIDE: tray_map(np.full((40, 30), np.nan))}
        return replace(seen, value=replace(seen.value, heightmaps=maps))


def dug_out(ledger, request: PickRequest) -> tuple[PickTask, HeapWithTray]:
    cell = HeapWithTray(STACK)
    task = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6))
    report = task.run(request)
    assert report.code is Code.OK, report.text
    assert report.moved == 2
    return task, cell


def test_neighbours_go_to_the_tray_and_are_booked_there(ledger) -> None:
    task, _ = dug_out(ledger, PickRequest("job-1", "box-1"))
    assert ledger.counts(Place.ASIDE) == {"can-2": 1, "card-3": 1} and ledger.counts(Place.SOURCE) == {}
    assert task.aside.count == 2 and task.aside_is_known()
    later = task.run(PickRequest("job-2", "card-3"))
    assert later.code is Code.ITEM_NOT_IN_MANIFEST and "aside tray" in later.text


def test_what_the_order_waits_for_stays_in_the_source_tote(ledger) -> None:
    dug_out(ledger, PickRequest("job-1", "box-1", "order", also_wanted=frozenset({"card-3"})))
    assert ledger.counts(Place.ASIDE) == {"can-2": 1} and ledger.counts(Place.SOURCE) == {"card-3": 1}


def test_after_a_restart_a_tray_that_is_not_empty_is_left_alone(ledger) -> None:
    ledger.move(ledger.take("card-3", "earlier").unwrap(), Place.ASIDE, "earlier").unwrap()
    task = PickTask(HeapWithTray({"box-1": 0.0, "can-2": 0.04}), FakeCatalogue(), ledger, TaskConfig(max_moved=6))
    assert not task.aside_is_known()
