"""Ids from look to look: kept through movement and absence, given up when the item is gone, never given twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickcell.geometry import make_pose
from pickcell.tracking import IdentityKeeper, KeeperConfig
from pickcell.tracking import identities as module
from pickcell.values import Identity, Instance, PointCloud, ShapeEstimate

RED, BLUE, GREEN = (200, 40, 30), (30, 60, 200), (40, 180, 60)


def item(
    x: float, y: float, color: tuple[int, int, int], size: tuple[float, float] = (0.06, 0.04), sku: str = ""
) -> Instance:
    """The upper face of a box of that size, and 3 cm high, at a place on the floor."""
    u, v = (g.ravel() for g in np.meshgrid(np.linspace(-0.5, 0.5, 12), np.linspace(-0.5, 0.5, 9)))
    points = np.column_stack([x + size[0] * u, y + size[1] * v, np.full(len(u), 0.03)])
    normals = np.tile([0.0, 0.0, 1.0], (len(points), 1))
    cloud = PointCloud(points, normals, np.tile(np.array(color, np.uint8), (len(points), 1)))
    shape = ShapeEstimate(cloud, np.ones(len(points)), make_pose((x, y, 0.015)), np.array([max(size), min(size), 0.03]))
    identity = Identity(sku, 0.9, ((sku, 0.9),)) if sku else Identity.unknown()
    return Instance(1, cloud, shape, identity, 1.0)


def test_the_first_look_numbers_from_1_and_the_next_the_same_in_any_order() -> None:
    keeper = IdentityKeeper()
    seen = [item(0.0, 0.0, RED), item(0.1, 0.0, BLUE), item(0.0, 0.1, GREEN)]
    assert keeper.assign(seen) == [1, 2, 3]
    assert keeper.assign([seen[2], seen[0], seen[1]]) == [3, 1, 2]


def test_like_items_stay_themselves_when_all_move_a_little() -> None:
    keeper = IdentityKeeper()
    assert keeper.assign([item(0.07 * k, 0.0, RED) for k in range(4)]) == [1, 2, 3, 4]
    assert keeper.assign([item(0.07 * k + 0.02, 0.005, RED) for k in range(4)]) == [1, 2, 3, 4]


def test_what_tracking_saw_leads_over_any_distance() -> None:
    keeper = IdentityKeeper()
    assert keeper.assign([item(0.0, 0.0, RED), item(0.30, 0.0, RED)]) == [1, 2]
    moved = [item(0.30, 0.05, RED), item(0.05, 0.0, RED)]  # they changed places
    assert keeper.assign(moved, {1: make_pose((0.30, 0.05, 0.0)), 2: make_pose((-0.25, 0.0, 0.0))}) == [1, 2]


def test_a_new_item_in_an_old_place_is_a_new_one() -> None:
    keeper = IdentityKeeper()
    keeper.assign([item(0.0, 0.0, RED, sku="a")])
    other = item(0.0, 0.0, BLUE, (0.12, 0.10), sku="b")
    below = replace(other, visible=replace(other.visible, points=other.visible.points - [0.0, 0.0, 0.03]))
    assert keeper.assign([below]) == [2]


def test_a_hidden_item_is_remembered_for_some_looks_only() -> None:
    keeper = IdentityKeeper(KeeperConfig(remembered_looks=2))
    a, b = item(0.0, 0.0, RED), item(0.2, 0.0, BLUE)
    assert keeper.assign([a, b]) == [1, 2]
    assert keeper.assign([a]) == [1]
    assert keeper.assign([a, b]) == [1, 2]
    assert [keeper.assign([a]) for _ in range(2)] == [[1], [1]]
    assert keeper.assign([a, b]) == [1, 3], "two looks without it: forgotten"


def test_after_forgetting_numbers_go_on() -> None:
    keeper = IdentityKeeper()
    assert keeper.assign([item(0.0, 0.0, RED)]) == [1]
    keeper.forget()
    assert keeper.assign([item(0.0, 0.0, RED)]) == [2]
    assert keeper.assign([]) == []


def test_numbers_start_over_but_never_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_ID", 3)
    keeper = IdentityKeeper(KeeperConfig(remembered_looks=1))
    still = item(0.0, 0.0, RED)
    assert keeper.assign([still]) == [1]
    for k, expected in enumerate((2, 3, 2, 3)):
        assert keeper.assign([still, item(0.3 * (k + 1), 0.5, BLUE)]) == [1, expected]


def test_an_instance_of_which_nothing_is_seen_is_refused() -> None:
    nothing = PointCloud(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    with pytest.raises(ValueError, match="nothing is seen"):
        IdentityKeeper().assign([replace(item(0.0, 0.0, RED), visible=nothing)])


@given(seed=st.integers(0, 10_000), looks=st.integers(1, 4))
def test_ids_are_different_and_positive_whatever_is_seen(seed: int, looks: int) -> None:
    rng, keeper = np.random.default_rng(seed), IdentityKeeper()
    for _ in range(looks):
        seen = [item(*rng.uniform(-0.2, 0.2, 2), (RED, BLUE, GREEN)[rng.integers(3)]) for _ in range(rng.integers(0, 8))]
        ids = keeper.assign(seen)
        assert len(set(ids)) == len(ids) == len(seen) and all(i > 0 for i in ids)
