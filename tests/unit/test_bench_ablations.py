"""The grasp choice without one of its parts: each strategy takes away what it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from grasping_worlds import CELL, Shelf, box, instance, placed, scene, sku

from pickcell_sim.bench.ablations import seen_only, selector_of
from pickcell_sim.bench.suites import Strategy

SHELF = Shelf(sku("soap", "box", (0.10, 0.05, 0.04), 0.1))
WORLD = scene(instance(placed(box(0.10, 0.05, 0.04))))


@pytest.mark.parametrize("strategy", list(Strategy))
def test_every_strategy_takes_a_plain_box(strategy):
    decision = selector_of(strategy, CELL, SHELF).select(WORLD, 1, "soap").unwrap()
    tools = {candidate.tool.value for candidate in decision.ranked}
    assert tools == {strategy.value} if strategy in (Strategy.SUCTION, Strategy.PINCH) else tools


def test_without_knowledge_the_item_is_nobody():
    known = selector_of(Strategy.AUTO, CELL, SHELF).select(WORLD, 1, "soap").unwrap()
    unknown = selector_of(Strategy.WITHOUT_KNOWLEDGE, CELL, SHELF).select(WORLD, 1, "soap").unwrap()
    assert "'box'" in known.explanation and "'box'" not in unknown.explanation


def test_without_score_nothing_is_foreseen_and_nothing_learned():
    selector = selector_of(Strategy.WITHOUT_SCORE, CELL, SHELF)
    assert selector.config.score == "analytic" and not selector.config.experience


def test_what_is_only_believed_is_taken_away():
    whole = WORLD.instances[0]
    seen = seen_only(whole)
    assert len(seen.shape.cloud) == len(whole.visible) < len(whole.shape.cloud)
    assert (seen.shape.confidence == 1.0).all()
    assert np.linalg.det(seen.shape.X_base_box[:3, :3]) == pytest.approx(1.0)
    assert (np.diff(seen.shape.extents_m) <= 0).all()
    inside = (whole.visible.points - seen.shape.X_base_box[:3, 3]) @ seen.shape.X_base_box[:3, :3]
    assert (np.abs(inside) <= seen.shape.extents_m / 2 + 1e-6).all()


def test_a_scene_is_stripped_once():
    selector = selector_of(Strategy.WITHOUT_COMPLETION, CELL, SHELF)
    selector.select(WORLD, 1, "soap")
    first = selector._seen[1]
    selector.select(WORLD, 1, "soap")
    assert selector._seen[1] is first
