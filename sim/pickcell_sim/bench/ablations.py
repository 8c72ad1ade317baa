"""The grasp choice with one of its parts taken away: what that part is worth is the difference on the same totes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pickcell.catalogue import Catalogue
from pickcell.cell import CellConfig
from pickcell.grasping import GraspSelector
from pickcell.grasping.config import GraspConfig
from pickcell.grasping.cost import CostConfig
from pickcell.outcome import Outcome
from pickcell.values import GraspDecision, Instance, Scene, Tool
from pickcell_sim.bench.suites import Strategy

TOLD = {
    Strategy.SUCTION: (Tool.SUCTION,),
    Strategy.PINCH: (Tool.PINCH,),
    Strategy.WITHOUT_REFUSAL: (Tool.PINCH, Tool.SUCTION),
}
"""Strategies that take what they are told, and the tools that they have."""
TAKES_WHAT_IT_CAN = CostConfig(person_s=np.inf)
"""A cell with one tool has nothing to choose: it takes what it is told as well as it can, whatever comes of it."""


def selector_of(strategy: Strategy, cell: CellConfig, catalogue: Catalogue) -> GraspSelector:
    """The grasp choice that a strategy stands for. Raises what GraspSelector raises."""
    if strategy is Strategy.WITHOUT_SCORE:
        return GraspSelector(cell, catalogue, GraspConfig.analytic())
    if strategy is Strategy.WITHOUT_KNOWLEDGE:
        return GraspSelector(cell)
    if strategy is Strategy.WITHOUT_COMPLETION:
        return SeenOnlySelector(cell, catalogue)
    config = GraspConfig(tools=TOLD[strategy], prices=TAKES_WHAT_IT_CAN) if strategy in TOLD else None
    return GraspSelector(cell, catalogue, config)


class SeenOnlySelector(GraspSelector):
    """Chooses by measured surface alone: of the wanted item and of everything that stands around it."""

    _seen: tuple[Scene, Scene] | None = None

    def select(self, scene: Scene, instance_id: int, sku: str = "") -> Outcome[GraspDecision]:
        """As :meth:`GraspSelector.select`."""
        if self._seen is None or self._seen[0] is not scene:
            self._seen = (scene, replace(scene, instances=tuple(seen_only(i) for i in scene.instances)))
        return super().select(self._seen[1], instance_id, sku)


def seen_only(instance: Instance) -> Instance:
    """The instance without what was completed of it: its shape is its measured surface, its box an upright one."""
    points = np.asarray(instance.visible.points, dtype=np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return instance
    low, high = points.min(axis=0), points.max(axis=0)
    order = np.argsort(low - high, kind="stable")
    X_base_box = np.eye(4)
    X_base_box[:3, :3] = np.eye(3)[:, order]
    X_base_box[:3, 2] *= np.linalg.det(X_base_box[:3, :3])
    X_base_box[:3, 3] = 0.5 * (low + high)
    shape = replace(
        instance.shape,
        cloud=instance.visible,
        confidence=np.ones(len(instance.visible), dtype=np.float32),
        X_base_box=X_base_box,
        extents_m=(high - low)[order],
    )
    return replace(instance, shape=shape)
