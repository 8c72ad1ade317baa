"""What is in the way of an item, and moving it out of the way, in a cell whose items lie on each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_cell import FakeCell, Faults

from pickcell.geometry import make_pose, transform_points
from pickcell.outcome import Code, Outcome, Stage
from pickcell.task.blockers import blockers, without_room_over
from pickcell.task.ledger import Ledger, Place
from pickcell.task.lying_free import alone
from pickcell.task.pick import PickTask, TaskConfig
from pickcell.task.request import PickRequest
from pickcell.values import (
    GraspCandidate,
    GraspDecision,
    HeightMap,
    Identity,
    Instance,
    PointCloud,
    Scene,
    ShapeEstimate,
    Sku,
    VoxelGrid,
)

SIZE = (0.08, 0.06, 0.04)
MASSES = {"box-1": 0.2, "can-2": 0.3, "card-3": 0.05}


class FakeCatalogue:
    def find(self, sku: str) -> Outcome[Sku]:
        return Outcome.success(Sku(sku, sku, "box", np.array(SIZE), MASSES[sku]))


def solid(at: tuple[float, float, float], size: tuple[float, float, float] = SIZE) -> ShapeEstimate:
    """A box with points every 4 mm, its underside's middle at ``at``."""
    axes = [np.linspace(-0.5 * s, 0.5 * s, max(2, int(s / 0.004))) for s in size]
    points = np.array(np.meshgrid(*axes)).reshape(3, -1).T
    surface = points[(np.abs(np.abs(points) - 0.5 * np.array(size)) < 1e-9).any(axis=1)]
    X = make_pose(np.add(at, (0.0, 0.0, 0.5 * size[2])))
    normals = np.tile([0.0, 0.0, 1.0], (len(surface), 1))
    cloud = PointCloud(transform_points(X, surface), normals, np.full((len(surface), 3), 128, np.uint8))
    return ShapeEstimate(cloud, np.ones(len(surface)), X, np.array(size))


def scene_of(shapes: dict[int, ShapeEstimate]) -> Scene:
    instances = tuple(
        Instance(k, shape.cloud, shape, Identity(f"sku-{k}", 0.9, ((f"sku-{k}", 0.9),)), 1.0) for k, shape in shapes.items()
    )
    corner = make_pose((-0.18, -0.27, 0.0))
    height = HeightMap(corner, 0.005, np.zeros((72, 108), np.float32))
    return Scene(0.0, instances, VoxelGrid(np.zeros(3), 0.01, np.zeros((2, 2, 2))), {"source": height})


def test_what_lies_on_it_is_most_in_the_way() -> None:
    scene = scene_of({1: solid((0, 0, 0)), 2: solid((0.01, 0, 0.04)), 3: solid((0, 0.07, 0.0)), 4: solid((0.1, 0.2, 0))})
    found = blockers(scene, 1)
    assert [b.instance.id for b in found] == [2, 3]
    assert found[0].weight > 0.7 > found[1].weight > 0.0


def test_what_lies_on_what_lies_on_it_is_in_the_way_too() -> None:
    scene = scene_of({1: solid((0, 0, 0)), 2: solid((0, 0.03, 0.04)), 3: solid((0, 0.08, 0.08)), 4: solid((0, -0.2, 0))})
    weight = {b.instance.id: b.weight for b in blockers(scene, 1)}
    assert set(weight) == {2, 3} and weight[2] > weight[3]


def test_nothing_is_in_the_way_of_what_lies_alone() -> None:
    assert blockers(scene_of({1: solid((0, 0, 0)), 2: solid((0.1, 0.2, 0))}), 1) == []
    assert blockers(scene_of({1: solid((0, 0, 0))}), 1) == []


def test_an_unseen_item_is_looked_for_under_the_largest() -> None:
    scene = scene_of({1: solid((0, 0, 0)), 2: solid((0.0, 0.2, 0.0), (0.12, 0.1, 0.05))})
    assert [b.instance.id for b in blockers(scene, None)] == [2, 1]


def test_nothing_is_put_down_where_the_item_lies() -> None:
    scene = scene_of({1: solid((0, 0, 0)), 2: solid((0.1, 0.2, 0))})
    height = without_room_over(scene, 1).heightmaps["source"].height_m
    x, y = (np.indices(height.shape) + 0.5) * 0.005 - np.array([0.18, 0.27])[:, None, None]
    unseen = np.isnan(height)
    assert unseen[(np.abs(x) < 0.04) & (np.abs(y) < 0.03)].all()
    assert not unseen[np.hypot(x, y) > 0.13].any()
    assert without_room_over(scene, 99) is scene


class Heap(FakeCell):
    """``heights``: SKU -> underside of what lies at the same place; nothing is taken from under anything."""

    def __init__(self, heights: dict[str, float], faults: Faults | None = None) -> None:
        super().__init__(dict(MASSES), faults=faults or Faults())
        self.heights = heights
        self.carried_aside: list[str] = []
        self.standing = False
        self.free_chance: dict[str, float] = {}
        """SKU -> quality of the best grasp on it if it lay free."""

    def observe(self, manifest, not_before_s):
        seen = super().observe(manifest, not_before_s)
        if seen.value is None:
            return seen
        at = {sku: (0.2 * self.carried_aside.count(sku), 0.0, self.heights[sku]) for sku in self.source}
        instances = []
        for instance, sku in zip(seen.value.instances, self.source):
            shape = solid(at[sku])
            if self.standing:
                turned = make_pose((0.0, 0.0, 0.0), (0.5 * np.pi, 0.0, 0.0))
                shape = replace(shape, X_base_box=shape.X_base_box @ turned)
            instances.append(replace(instance, visible=shape.cloud, shape=shape))
        source = HeightMap(make_pose((-0.2, -0.2, 0.0)), 0.01, np.zeros((80, 40), np.float32))
        scene = replace(seen.value, instances=tuple(instances), heightmaps={**seen.value.heightmaps, "source": source})
        return replace(seen, value=scene)

    def select(self, scene, instance_id, sku):
        if not scene.heightmaps:  # the item as if it lay free
            best = GraspCandidate(self.tool, instance_id, np.eye(4), self.free_chance.get(sku, 0.9), 0.04, 0.06)
            return Outcome.success(GraspDecision((best,), (), "It lies free."))
        mine = self.source[instance_id - 1]
        over = [o for o in self.source if o not in self.carried_aside and self.heights[o] > self.heights[mine]]
        if over and mine not in self.carried_aside:
            return Outcome.failure(Code.NO_GRASP_FOUND, f"{over} on it.")
        return super().select(scene, instance_id, sku)

    def _let_go(self):
        if self.in_hand is not None and getattr(self, "place_tote", "") == "source":
            self.carried_aside.append(self.in_hand)
        super()._let_go()


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert ledger.set_manifest(dict.fromkeys(MASSES, 1)).ok
    yield ledger
    ledger.close()


STACK = {"box-1": 0.0, "can-2": 0.04, "card-3": 0.08}


def test_a_buried_item_is_dug_out_from_the_top(ledger) -> None:
    cell = Heap(STACK)
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(PickRequest("job-1", "box-1"))
    assert report.code is Code.OK, report.text
    assert cell.carried_aside == ["card-3", "can-2"] and cell.destination == ["box-1"]
    assert report.attempts == 1, "moving neighbours is no attempt at the item"
    said = [s.text for s in report.stages if s.stage is Stage.CLEAR]
    assert len(said) == 2 and "card-3" in said[0] and "can-2" in said[1]
    assert ledger.counts(Place.SOURCE) == {"can-2": 1, "card-3": 1} and ledger.counts(Place.HAND) == {}


def test_little_chance_waits_while_others_of_the_order_may_make_room(ledger) -> None:
    cell = Heap(STACK)
    cell.qualities = {"card-3": 0.3}
    request = PickRequest("job-1", "card-3", "order", may_move=False)
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(request)
    assert report.code is Code.NO_GRASP_FOUND and "30%" in report.text and "approach" not in cell.calls
    still = PickTask(cell, FakeCatalogue(), ledger).run(replace(request, job_id="job-2"))
    assert still.code is Code.OK, "where nothing is ever moved there is nothing to wait for"


def test_little_chance_gets_its_try_when_nothing_makes_room(ledger) -> None:
    cell = Heap({sku: 0.0 for sku in MASSES})
    cell.qualities = dict.fromkeys(MASSES, 0.2)
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(PickRequest("job-1", "can-2"))
    assert report.code is Code.OK and cell.destination == ["can-2"] and cell.carried_aside == [], report.text


def test_no_more_is_moved_than_allowed(ledger) -> None:
    cell = Heap(STACK)
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=1)).run(PickRequest("job-1", "box-1"))
    assert report.code is Code.NO_GRASP_FOUND and cell.carried_aside == ["card-3"]
    cell = Heap(STACK)
    report = PickTask(cell, FakeCatalogue(), ledger).run(PickRequest("job-2", "box-1"))
    assert report.code is Code.NO_GRASP_FOUND and cell.carried_aside == []
    assert Stage.CLEAR not in [s.stage for s in report.stages]


def test_nothing_is_moved_for_what_could_not_be_taken_lying_free_either(ledger) -> None:
    cell = Heap(STACK)
    cell.free_chance = {"box-1": 0.15}
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(PickRequest("job-1", "box-1"))
    assert report.code is Code.NO_GRASP_FOUND and cell.carried_aside == []
    assert any("even lying free" in s.text for s in report.stages if s.stage is Stage.CLEAR)
    other = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(PickRequest("job-2", "can-2"))
    assert other.code is Code.OK and cell.carried_aside == ["card-3"]


def test_what_stands_may_be_taken_otherwise_than_lying(ledger) -> None:
    cell = Heap(STACK)
    cell.free_chance = {"box-1": 0.15}
    cell.standing = True
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(PickRequest("job-1", "box-1"))
    assert report.code is Code.OK and cell.carried_aside == ["card-3", "can-2"]


@pytest.mark.parametrize("kind", ["box", "plush"])
def test_an_item_alone_lies_on_its_largest_side_in_the_middle_of_the_tote(kind) -> None:
    floor = scene_of({}).heightmaps["source"]
    lone = alone(Sku("a", "a", kind, np.array((0.2, 0.1, 0.03)), 0.3), floor)
    if kind == "plush":
        assert lone is None
        return
    points = lone.instances[0].shape.cloud.points
    np.testing.assert_allclose(points.min(axis=0), (-0.05, -0.1, 0.0), atol=1e-6)  # along the longer side of the tote
    np.testing.assert_allclose(points.max(axis=0), (0.05, 0.1, 0.03), atol=1e-6)
    assert lone.instances[0].visible.normals[:, 2].min() > -0.5, "nobody sees its underside"


def test_a_neighbour_that_slips_lies_in_the_tote_again(ledger) -> None:
    cell = Heap(STACK, Faults(misses=1))
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(PickRequest("job-1", "box-1"))
    assert report.code is Code.OK, report.text
    assert report.needs_person == "" and ledger.counts(Place.NEEDS_PERSON) == {}


def test_a_stop_while_clearing_is_a_stop(ledger) -> None:
    def press(number: int, cell: FakeCell) -> None:
        cell.estop = True

    cell = Heap(STACK, Faults(during_execute=press))
    report = PickTask(cell, FakeCatalogue(), ledger, TaskConfig(max_moved=6)).run(PickRequest("job-1", "box-1"))
    assert report.code is Code.ESTOP and cell.destination == []
