"""What the planner's own calls cost over whole picks from made-up totes, and how long their legs take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pickcell.cell import CellConfig
from pickcell.motion import made_up
from pickcell.motion.planner import MotionPlanner
from pickcell.outcome import Outcome
from pickcell.values import JointTrajectory, Tool

BOXES, GRASPS = 14, 30


@dataclass
class Calls:
    """By name of the call, or of the leg."""

    wall_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    leg_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def make(self, name: str, plan: Callable[[], Outcome[Any]]) -> Any:
        """Time one planning call; its value, or None when it failed."""
        begin = time.perf_counter()
        outcome = plan()
        self.wall_ms[name].append(1e3 * (time.perf_counter() - begin))
        self.failed[name] += not outcome.ok
        return outcome.value if outcome.ok else None

    def moved(self, **legs: JointTrajectory) -> None:
        for name, trajectory in legs.items():
            self.leg_s[name].append(trajectory.duration_s)


def whole_picks(cell: CellConfig, planner: MotionPlanner, count: int, seed: int) -> Calls:
    """``count`` picks from totes of BOXES boxes with GRASPS ranked grasps each, the tools in turn."""
    calls, home = Calls(), np.array(cell.arm.home)
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        boxes = made_up.random_boxes(cell, BOXES, rng)
        scene = made_up.make_scene(cell, boxes)
        tops = sorted(range(len(boxes)), key=lambda i: -boxes[i].X_base_box[2, 3])[:4]
        index, tool = tops[int(rng.integers(4))], (Tool.PINCH, Tool.SUCTION)[k % 2]
        ranked = tuple(made_up.top_grasps(boxes[index], index + 1, tool, rng, GRASPS))
        approach = calls.make("plan_approach", partial(planner.plan_approach, home, scene, ranked))
        if approach is None:
            continue
        held, q = made_up.held(scene, approach.candidate), approach.contact.positions[-1]
        lift = calls.make("plan_lift", partial(planner.plan_lift, q, scene, held))
        if lift is None:
            continue
        place = calls.make("plan_place", partial(planner.plan_place, lift.positions[-1], scene, held, "destination"))
        if place is None:
            continue
        back = calls.make("plan_home", partial(planner.plan_home, place.retreat.positions[-1], scene))
        if back is not None:
            calls.moved(approach=approach.approach, contact=approach.contact, lift=lift, transfer=place.transfer)
            calls.moved(lower=place.lower, retreat=place.retreat, home=back)
    return calls
