"""Compile everything once, into numba's cache on disk: a cold planner would take a minute for its first plan."""

from __future__ import annotations

import time

import numpy as np

from pickcell.cell import CellConfig, load_cell
from pickcell.description import expand_urdf, urdf_directory
from pickcell.motion import made_up
from pickcell.motion.planner import MotionPlanner
from pickcell.values import Tool


def default_cell() -> CellConfig:
    """The reference cell of the repository."""
    return load_cell(urdf_directory().parent / "config" / "cells" / "panda.yaml", calibrated=False)


def warm(cell: CellConfig | None = None, urdf: str | None = None) -> float:
    """Plan picks with each tool in a made-up scene, so that every compiled function is in the cache.

    Any cell will do, the reference cell when none is given: the compiled code does not depend on it.
    Returns the seconds it took; a few when all was compiled before.
    """
    begin = time.perf_counter()
    cell = cell or default_cell()
    planner = MotionPlanner(cell, urdf or expand_urdf(cell))
    rng = np.random.default_rng(0)
    boxes = made_up.random_boxes(cell, 4, rng)
    scene = made_up.make_scene(cell, boxes)
    home = np.array(cell.arm.home)
    robot = planner.core.robot
    robot.jacobian(home, "tool0")
    planner.core.solvers[Tool.SUCTION].solve([planner.core.solvers[Tool.SUCTION].pose(home)], home, free_z=True)
    for tool in (Tool.PINCH, Tool.SUCTION):
        for index, box in enumerate(boxes):
            ranked = tuple(made_up.top_grasps(box, index + 1, tool, rng, 6))
            approach = planner.plan_approach(home, scene, ranked)
            if approach.value is None:
                continue
            end = approach.value.contact.positions[-1]
            held = made_up.held(scene, approach.value.candidate)
            lift = planner.plan_lift(end, scene, held)
            planner.plan_home(end, scene)
            planner.plan_retreat(end, 0.1)
            if lift.value is not None:
                planner.plan_place(lift.value.positions[-1], scene, held, "destination")
    return time.perf_counter() - begin
