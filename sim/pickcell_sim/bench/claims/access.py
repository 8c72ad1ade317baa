"""How often a jaw can reach books and boxes as they lie in full totes: the access that the damage ratio hinges on.

True scenes of totes filled by dropping, each item offered to the product's own choice of grasps, one tool at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.grasping import GraspConfig, GraspSelector
from pickcell.values import Scene, Tool
from pickcell_sim.bench.claims.shares import GROUPS
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling.fill import fill_tote
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.items.totes import mixed_tote
from pickcell_sim.oracle.perception import OraclePerception

ITEMS = 15
MIX = {"hardcover": 25, "paperback": 20, "box": 25, "shrink": 15, "can": 5, "bottle": 5, "irregular": 5}
"""As in the suite ``books_boxes``."""

Counts = dict[str, tuple[int, int]]
"""By group of kinds: how many items had a grasp, of how many."""


@dataclass(frozen=True)
class Access:
    """What each tool found to hold on to."""

    pinch: Counts
    suction: Counts

    def shares(self) -> dict[str, float]:
        """Share of each group that the jaw can take."""
        return {group: hits / n for group, (hits, n) in self.pinch.items() if n}


def measure_access(totes: int, seed: int = 0) -> Access:
    """Offer every book and box of ``totes`` full totes to both tools. Deterministic; about ten seconds per tote.

    Raises ValueError for less than one tote.
    """
    if totes < 1:
        raise ValueError(f"access is measured on at least one tote, got {totes}")
    found: dict[Tool, Counts] = {tool: {group: (0, 0) for group in GROUPS} for tool in Tool}
    for k in range(totes):
        for tool, counted in _one_tote(1000 * seed + k).items():
            for group, (hits, n) in counted.items():
                before = found[tool][group]
                found[tool][group] = (before[0] + hits, before[1] + n)
    return Access(found[Tool.PINCH], found[Tool.SUCTION])


def _one_tote(seed: int) -> Mapping[Tool, Counts]:
    cell, catalogue = load_cell(REPOSITORY / "config" / "cells" / "panda.yaml", calibrated=False), load_catalogue()
    contents = mixed_tote(seed, ITEMS, "test", MIX)
    driver = SimDriver.create(cell, seed, cameras=False)
    try:
        fill_tote(driver.world, contents.skus, seed)
        oracle = OraclePerception(driver, cell, catalogue)
        scene = oracle.observe([], driver.joint_states(), contents.manifest, driver.now_s).unwrap()
    finally:
        driver.close()
    return {tool: _graspable(scene, GraspSelector(cell, catalogue, GraspConfig(tools=(tool,)))) for tool in Tool}


def _graspable(scene: Scene, selector: GraspSelector) -> Counts:
    counted: Counts = {}
    for group, kinds in GROUPS.items():
        mine = [i for i in scene.instances if i.identity.sku and i.identity.sku.rpartition("-")[0] in kinds]
        counted[group] = (sum(selector.select(scene, i.id, i.identity.sku or "").ok for i in mine), len(mine))
    return counted
