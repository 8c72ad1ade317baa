"""The selector as others use it: ranking, reasons, codes, and an independent check that nothing returned collides."""

from __future__ import annotations

import dataclasses
import time
from typing import get_args

import numpy as np
import pytest
from grasping_worlds import CELL, FLOOR, Shelf, box, cylinder, instance, placed, scene, sku, sphere
from hypothesis import given, settings
from hypothesis import strategies as st

from pickcell.catalogue import Kind
from pickcell.geometry import inverse, transform_points
from pickcell.grasping import GraspSelector
from pickcell.grasping.chance import RATING
from pickcell.grasping.config import GraspConfig
from pickcell.grasping.hand import LIP_RETRACTED_M, PALM_M
from pickcell.grasping.prior import KIND_PRIORS
from pickcell.outcome import Code
from pickcell.values import GraspCandidate, Identity, PointCloud, Scene, ShapeEstimate, Tool, Voxel

SHELF = Shelf(
    sku("card-1", "card", (0.085, 0.055, 0.001), 0.01),
    sku("box-1", "box", (0.10, 0.06, 0.05), 0.25),
    sku("heavy-1", "box", (0.10, 0.06, 0.05), 0.5),
    sku("pack-1", "shrink", (0.10, 0.06, 0.05), 0.25),
    sku("anvil", "box", (0.10, 0.06, 0.05), 2.5),
)
SELECTOR = GraspSelector(CELL, SHELF)
ANALYTIC = GraspSelector(CELL, SHELF, GraspConfig.analytic())


def ranked(s: Scene, number: int = 1, name: str = "") -> tuple[GraspCandidate, ...]:
    return SELECTOR.select(s, number, name).unwrap().ranked


def hand_samples(candidate: GraspCandidate, back_m: float) -> np.ndarray:
    """Points (N, 3) filling the hand's solid parts, drawn ``back_m`` back along the approach, in base_link. Written from
    the description of the hand and not from the code under test."""
    hand = CELL.hand
    suction = candidate.tool is Tool.SUCTION
    tcp = LIP_RETRACTED_M + hand.cup_stroke_m if suction else PALM_M[2] + hand.finger_length_m - hand.pad_to_tip_m

    def fill(low, high, n):
        axes = [np.linspace(a, b, k) for a, b, k in zip(low, high, n)]
        return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)

    half, thick, y = candidate.opening_m / 2, hand.finger_thickness_m, hand.pad_width_m / 2
    tip = PALM_M[2] + hand.finger_length_m
    # the straight part of a finger is 55 mm long, the shank above it stands further out, clear of the cup
    parts = [fill((-0.08, -0.03, 0.0), (0.08, 0.03, 0.075), (33, 13, 16))]
    for sign in (-1, 1):
        pad = fill((half, -y, tip - 0.055), (half + thick, y, tip), (4, 6, 17))
        inner = half + hand.cup_radius_m + 0.001
        shank = fill((inner, -y, 0.075), (inner + 0.010, y, tip - 0.055), (4, 6, 24))
        parts += [pad * [sign, 1, 1], shank * [sign, 1, 1]]
    local = np.vstack(parts) - [0.0, 0.0, tcp + back_m]
    return transform_points(candidate.X_base_tcp, local)


def hits(candidate: GraspCandidate, points: np.ndarray, tolerance_m: float = 0.0035) -> int:
    """How many of the points lie within ``tolerance_m`` of the hand's filling, anywhere along the approach."""
    from scipy.spatial import cKDTree

    count = 0
    for back in np.linspace(0.0, candidate.standoff_m, 9):
        distance, _ = cKDTree(hand_samples(candidate, back)).query(points, distance_upper_bound=tolerance_m)
        count += int(np.isfinite(distance).sum())
    return count


def test_plain_box_gets_both_tools_ranked_by_cost():
    result = SELECTOR.select(scene(instance(placed(box(0.10, 0.06, 0.05)), noise_m=0.0005)), 1, "box-1")
    decision = result.unwrap()
    costs = [c.cost_s for c in decision.ranked]
    assert costs == sorted(costs) and costs[0] > 0.0
    assert {c.tool for c in decision.ranked} == {Tool.PINCH, Tool.SUCTION}
    assert len(decision.ranked) <= 32 and len(decision.rejected) <= 200
    assert all(c.rejection == "" for c in decision.ranked)
    assert all(c.rejection and c.quality == 0.0 for c in decision.rejected)
    assert "m/s2" in decision.explanation and "Rejected" in decision.explanation


def test_every_kind_of_the_catalogue_has_a_prior():
    assert set(KIND_PRIORS) == set(get_args(Kind))


@pytest.mark.parametrize("only", list(Tool))
def test_one_tool_alone_can_be_asked_for(only):
    s = scene(instance(placed(box(0.10, 0.06, 0.05))))
    both = GraspSelector(CELL).select(s, 1).unwrap().ranked
    alone = GraspSelector(CELL, config=GraspConfig(tools=(only,))).select(s, 1).unwrap().ranked
    assert {c.tool for c in both} == set(Tool) and {c.tool for c in alone} == {only}


def test_a_weak_vacuum_source_lowers_what_a_hold_is_trusted_with():
    weak = CELL.model_copy(update={"hand": CELL.hand.fitted(CELL.hand.cup, "blower")})
    s = scene(instance(placed(box(0.10, 0.06, 0.05))))
    best = {}
    for cell in (CELL, weak):
        ranked = GraspSelector(cell, SHELF, GraspConfig(tools=(Tool.SUCTION,))).select(s, 1, "box-1").value.ranked
        best[cell.hand.vacuum_source] = max((c.max_acceleration_mps2 for c in ranked), default=0.0)
    assert best["blower"] < best["ejector"]


def test_no_tool_at_all_is_a_mistake():
    with pytest.raises(ValueError, match="pinch"):
        GraspSelector(CELL, config=GraspConfig(tools=()))


def test_card_is_sucked_and_a_ball_is_pinched():
    card = ANALYTIC.select(scene(instance(placed(box(0.085, 0.055, 0.001)))), 1, "card-1").unwrap()
    assert {c.tool for c in card.ranked} == {Tool.SUCTION}
    assert any(c.tool is Tool.PINCH for c in card.rejected)
    assert "no pinch grasp is possible" in card.explanation
    rod = ANALYTIC.select(scene(instance(placed(cylinder(0.02, 0.12), rpy=(np.pi / 2, 0, 0)))), 1, "").unwrap()
    assert {c.tool for c in rod.ranked} == {Tool.PINCH}


def test_twins_and_yaws_are_offered():
    decision = SELECTOR.select(scene(instance(placed(box(0.10, 0.06, 0.05)))), 1, "").unwrap()
    best = next(c for c in decision.ranked if c.tool is Tool.PINCH)
    twins = [c for c in decision.ranked if np.allclose(c.X_base_tcp[:3, 0], -best.X_base_tcp[:3, 0], atol=1e-9)]
    assert any(np.allclose(c.X_base_tcp[:3, 3], best.X_base_tcp[:3, 3]) for c in twins)
    cup = [c for c in decision.ranked if c.tool is Tool.SUCTION]
    same_place = [c for c in cup if np.allclose(c.X_base_tcp[:3, 3], cup[0].X_base_tcp[:3, 3])]
    assert len(same_place) >= 2


@pytest.mark.parametrize(("probability", "limited"), [(0.05, False), (0.3, True)])
def test_what_may_well_be_a_pack_in_thin_film_is_sucked_gently(probability, limited):
    seen = instance(placed(box(0.10, 0.06, 0.05)), noise_m=0.0005)
    taken_for = Identity("box-1", 1.0 - probability, (("box-1", 1.0 - probability), ("pack-1", probability)))
    found = scene(dataclasses.replace(seen, identity=taken_for))
    sucked = [c for c in ranked(found, name="box-1") if c.tool is Tool.SUCTION]
    assert sucked and all((0.0 < c.vacuum_pa < 25e3) is limited for c in sucked)


def test_what_is_too_heavy_for_gentle_suction_is_not_sucked_gently_on_a_suspicion():
    seen = instance(placed(box(0.10, 0.06, 0.05)), noise_m=0.0005)
    taken_for = Identity("heavy-1", 0.7, (("heavy-1", 0.7), ("pack-1", 0.3)))
    found = scene(dataclasses.replace(seen, identity=taken_for))
    sucked = [c for c in ranked(found, name="heavy-1") if c.tool is Tool.SUCTION]
    assert sucked and all(c.vacuum_pa == 0.0 for c in sucked), "19 kPa under this cup lift less than it weighs"


def test_too_heavy_is_refused_by_the_catalogue():
    s = scene(instance(placed(box(0.10, 0.06, 0.05))))
    assert SELECTOR.select(s, 1, "anvil").code is Code.ITEM_TOO_HEAVY
    recognised = instance(placed(box(0.10, 0.06, 0.05)), identity=Identity("anvil", 0.95))
    assert SELECTOR.select(scene(recognised), 1, "").code is Code.ITEM_TOO_HEAVY
    unsure = instance(placed(box(0.10, 0.06, 0.05)), identity=Identity("anvil", 0.3))
    assert SELECTOR.select(scene(unsure), 1, "").ok


def test_missing_instance_names_those_there_are():
    result = SELECTOR.select(scene(instance(placed(box(0.1, 0.06, 0.05)), number=4)), 9, "")
    assert result.code is Code.ITEM_NOT_FOUND and "[4]" in result.text


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_little_surface_is_an_outcome(count):
    whole = instance(placed(box(0.10, 0.06, 0.05)))
    tiny = whole.visible.select(np.arange(count))
    shape = ShapeEstimate(tiny, np.ones(count), np.eye(4), np.zeros(3))
    result = SELECTOR.select(scene(dataclasses.replace(whole, visible=tiny, shape=shape)), 1, "")
    assert result.code is Code.NO_GRASP_FOUND and "surface" in result.text


def test_not_a_number_in_the_cloud_does_not_come_out():
    whole = instance(placed(box(0.10, 0.06, 0.05)))

    def spoil(cloud: PointCloud) -> PointCloud:
        points, normals = cloud.points.copy(), cloud.normals.copy()
        points[::17] = np.nan
        normals[::13] = np.nan
        normals[::11] = 0.0
        return PointCloud(points, normals, cloud.colors)

    confidence = whole.shape.confidence.copy()
    confidence[::7] = np.nan
    shape = ShapeEstimate(spoil(whole.shape.cloud), confidence, np.full((4, 4), np.nan), np.full(3, np.nan))
    spoiled = dataclasses.replace(whole, visible=spoil(whole.visible), shape=shape, exposure=float("nan"))
    for candidate in ranked(scene(spoiled)):
        numbers = [candidate.quality, candidate.width_m, candidate.opening_m, candidate.force_n]
        numbers += [candidate.max_acceleration_mps2, *candidate.scores.values()]
        assert np.isfinite(candidate.X_base_tcp).all() and np.isfinite(numbers).all()


def test_deterministic():
    s = scene(instance(placed(box(0.10, 0.06, 0.05)), noise_m=0.0005), instance(placed(sphere(0.03), x=0.09), number=2))
    first, second = ranked(s), GraspSelector(CELL, SHELF).select(s, 1, "").unwrap().ranked
    assert len(first) == len(second)
    assert all(np.array_equal(a.X_base_tcp, b.X_base_tcp) and a.quality == b.quality for a, b in zip(first, second))


def test_walls_keep_the_fingers_out():
    inner = CELL.totes["source"].inner
    x = inner[0] / 2 - 0.03 - 0.003  # 3 mm from the wall: no room for a finger on that side
    decision = SELECTOR.select(scene(instance(placed(box(0.06, 0.06, 0.05), x=x))), 1, "").unwrap()
    pinches = [c for c in decision.ranked if c.tool is Tool.PINCH]
    assert pinches and all(abs(c.X_base_tcp[1, 0]) > 0.9 for c in pinches)  # closing along the wall only
    for c in decision.ranked:
        below = hand_samples(c, 0.0)
        below = below[below[:, 2] < FLOOR[2] + inner[2]] - FLOOR
        assert np.all(np.abs(below[:, 0]) <= inner[0] / 2) and np.all(np.abs(below[:, 1]) <= inner[1] / 2)
        assert np.all(below[:, 2] >= 0.0)


def test_boxed_in_item_leaves_suction_only_and_says_why():
    middle = instance(placed(box(0.08, 0.06, 0.06)))
    around = [
        instance(placed(box(0.08, 0.06, 0.06), x=dx, y=dy), number=2 + i)
        for i, (dx, dy) in enumerate([(0.086, 0), (-0.086, 0), (0, 0.066), (0, -0.066)])
    ]
    decision = SELECTOR.select(scene(middle, *around), 1, "").unwrap()
    assert {c.tool for c in decision.ranked} == {Tool.SUCTION}
    assert "neighbour" in decision.explanation


def test_unowned_occupied_space_blocks():
    target = instance(placed(box(0.10, 0.06, 0.05)))
    u = np.arange(-0.12, 0.121, 0.01)
    x, y = (a.ravel() for a in np.meshgrid(u, u))
    lid = FLOOR + np.column_stack([x, y, np.full(x.size, 0.085)])
    assert SELECTOR.select(scene(target), 1, "").ok
    blocked = SELECTOR.select(scene(target, occupied=lid), 1, "")
    assert blocked.code is Code.NO_GRASP_FOUND and "neighbour" in blocked.text
    assert blocked.value is not None and blocked.value.rejected and not blocked.value.ranked


def test_unknown_space_lowers_the_rating_and_forbids_nothing():
    """What it does to the chance is learned: never anything good."""
    target = instance(placed(box(0.10, 0.06, 0.05)))
    free = scene(target)
    unknown = dataclasses.replace(
        free, occupancy=dataclasses.replace(free.occupancy, state=np.full_like(free.occupancy.state, Voxel.UNKNOWN))
    )
    for tool in Tool:
        seen, unseen = (
            max((c for c in ranked(world) if c.tool is tool), key=lambda c: c.quality) for world in (free, unknown)
        )
        assert unseen.quality <= seen.quality and unseen.scores[RATING] < seen.scores[RATING]


def test_buried_items_rank_lower():
    free = ranked(scene(instance(placed(box(0.10, 0.06, 0.05)), exposure=1.0)))
    buried = ranked(scene(instance(placed(box(0.10, 0.06, 0.05)), exposure=0.2)))
    assert buried[0].quality < free[0].quality


SHAPES = st.sampled_from(["box", "flat", "rod", "can", "ball"])


def _mesh(kind: str, rng: np.random.Generator):
    yaw = rng.uniform(0, np.pi)
    if kind == "box":
        return box(*rng.uniform(0.03, 0.10, 3)), (0, 0, yaw)
    if kind == "flat":
        return box(rng.uniform(0.06, 0.12), rng.uniform(0.04, 0.09), rng.uniform(0.01, 0.03)), (0, 0, yaw)
    if kind == "rod":
        return cylinder(rng.uniform(0.012, 0.03), rng.uniform(0.06, 0.12)), (np.pi / 2, 0, yaw)
    if kind == "can":
        return cylinder(rng.uniform(0.02, 0.04), rng.uniform(0.04, 0.10)), (0, 0, yaw)
    return sphere(rng.uniform(0.02, 0.045)), (0, 0, yaw)


@given(kinds=st.lists(SHAPES, min_size=3, max_size=6), seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_no_returned_grasp_collides_with_a_neighbour(kinds, seed):
    """Brute force: the hand is filled with points and slid back along the approach; no measured point of a neighbour may
    lie deeper in it than the spacing of the filling allows to tell."""
    rng = np.random.default_rng(seed)
    items = []
    for i, kind in enumerate(kinds):
        mesh, rpy = _mesh(kind, rng)
        x, y = (0.0, 0.0) if i == 0 else rng.uniform(-0.11, 0.11, 2)
        items.append(instance(placed(mesh, x=x, y=y, rpy=rpy), number=i + 1, seed=i, spacing_m=0.004))
    own = items[0].shape.cloud.points
    result = SELECTOR.select(scene(*items), 1, "")
    if not result.ok:
        assert result.code is Code.NO_GRASP_FOUND
        return
    from scipy.spatial import cKDTree

    others = np.vstack([i.visible.points for i in items[1:]]).astype(float)
    apart = cKDTree(own).query(others)[0] > 0.004  # touching points cannot be told from the item's own edge
    for candidate in result.unwrap().ranked[::3]:
        assert 0.0 <= candidate.quality <= 1.0
        assert candidate.opening_m <= CELL.hand.opening_max_m + 1e-12
        local = transform_points(inverse(candidate.X_base_tcp), others[apart])
        # the box that bounds the hand, a first and coarse check of the frames
        assert np.isfinite(local).all()
        # The filling is spaced 5 mm at most, so 1 mm around its points lies inside the solid or within 1 mm of it.
        assert hits(candidate, others[apart], tolerance_m=0.001) == 0


def test_whole_tote_is_fast_enough():
    rng = np.random.default_rng(1)
    items = []
    for i in range(24):
        mesh, rpy = _mesh(["box", "flat", "rod", "can", "ball"][i % 5], rng)
        x, y = -0.12 + 0.08 * (i % 4), -0.2 + 0.08 * (i // 4)
        items.append(instance(placed(mesh, x=x, y=y, rpy=rpy), number=i + 1, seed=i, spacing_m=0.003))
    s = scene(*items)
    SELECTOR.select(s, 1, "")  # compile
    begin = time.process_time()
    for i in range(24):
        SELECTOR.select(s, i + 1, "")
    mean_ms = 1e3 * (time.process_time() - begin) / 24
    assert mean_ms < 150.0, f"{mean_ms:.0f} ms of CPU per instance"


def test_whatever_is_ranked_can_be_carried():
    """A planner refuses an item that may not be accelerated at all."""
    heavy = scene(instance(placed(box(0.18, 0.12, 0.09))))
    for candidate in SELECTOR.select(heavy, 1, "").value.ranked:
        assert candidate.max_acceleration_mps2 >= 0.5
