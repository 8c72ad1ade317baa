"""Motions checked by conservative advancement against the same checked configuration by configuration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from motion_cells import cell, planner

from pickcell.geometry import make_pose
from pickcell.motion import made_up
from pickcell.motion.checking import Checker, path_clearance
from pickcell.motion.sweep import STEP_SLACK_M, edge_free, samples_free
from pickcell.values import Tool

DENSE = 600
THIN_M = 2e-4
"""What a dense sampling may miss of an overlap."""


def _checkers() -> list[Checker]:
    """Free motion with an empty hand, with an item on the cup, and motion in contact, over a full tote."""
    core, rng, panda = planner("panda").core, np.random.default_rng(3), cell("panda")
    boxes = made_up.random_boxes(panda, 12, rng)
    scene = made_up.make_scene(panda, boxes)
    nobody = np.zeros((0, 4))
    empty = core.empty_hand(Tool.PINCH, 0.06, False)
    grasp = made_up.top_grasps(boxes[0], 1, Tool.SUCTION, rng, 1)[0]
    held = made_up.held(scene, grasp)
    loaded, world = core.holding(held), core.worlds.full(scene, nobody)
    return [core.checker(empty, world), core.checker(loaded, world), core.checker(empty, world, contact=True)]


@pytest.fixture(scope="module", params=range(3), ids=["empty hand", "with an item", "in contact"])
def checker(request) -> Checker:
    return _checkers()[request.param]


def _free(checker: Checker, count: int, seed: int) -> np.ndarray:
    """Configurations with the tool over and in the totes, where there is something to hit."""
    rng, panda = np.random.default_rng(seed), cell("panda")
    poses = []
    for k in range(3 * count):
        tote = ("source", "destination")[k % 2]
        at = rng.uniform([-0.4, -0.4, 0.2], [0.4, 0.4, 2.0]) * np.array(panda.totes[tote].inner)
        poses.append(panda.X_base_tote(tote) @ make_pose(at, (np.pi, 0.0, rng.uniform(-np.pi, np.pi))))
    solved = planner("panda").core.solvers[Tool.PINCH].solve(np.array(poses), np.array(panda.arm.home), count=1)
    qs = np.array([q[0] for q in solved if len(q)])
    return qs[path_clearance(checker, qs) >= 0.0][:count]


def test_a_free_edge_is_free_all_along_and_a_blocked_one_is_not(checker):
    qs = _free(checker, 120, 5)
    said, rng = {True: 0, False: 0}, np.random.default_rng(6)
    for a, b in itertools.pairwise(qs):
        b = a + rng.uniform(0.3, 1.0) * (b - a)
        free = edge_free(checker, a, b)
        least = path_clearance(checker, a + np.linspace(0.0, 1.0, DENSE)[1:, None] * (b - a)).min()
        said[bool(free)] += 1
        assert least >= -0.5 * STEP_SLACK_M if free else least < THIN_M
    assert min(said.values()) > 20, "both answers must have been asked for"


def test_samples_agree_with_edges(checker):
    qs = _free(checker, 60, 7)
    said = {True: 0, False: 0}
    for a, b in itertools.pairwise(qs):
        dense = a + np.linspace(0.0, 0.5, 150)[:, None] * (b - a)
        free, least = samples_free(checker, dense), path_clearance(checker, dense).min()
        said[bool(free)] += 1
        assert least >= -0.5 * STEP_SLACK_M if free else least < THIN_M
    assert min(said.values()) > 5


def test_the_ends_count_too(checker):
    qs = np.random.default_rng(8).uniform(checker.lower, checker.upper, (4000, len(checker.lower)))
    gaps = path_clearance(checker, qs)
    free, blocked = qs[gaps >= 0.0][0], qs[gaps < 0.0][0]
    assert not edge_free(checker, free, blocked)
    assert not samples_free(checker, np.array([free, blocked]))
    near = free + 1e-6
    assert edge_free(checker, blocked, blocked) == (path_clearance(checker, blocked[None])[0] >= 0.0)
    assert edge_free(checker, free, near) and samples_free(checker, np.array([free, near]))
