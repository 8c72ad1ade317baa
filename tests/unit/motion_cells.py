"""The two cells and their planners, built once for all tests of motion."""

from functools import cache
from pathlib import Path

from pickcell.cell import CellConfig, load_cell
from pickcell.description import expand_urdf
from pickcell.motion import MotionPlanner, RobotModel

CONFIG = Path(__file__).resolve().parents[2] / "config" / "cells"
ARMS = ("panda", "iiwa")


@cache
def cell(arm: str) -> CellConfig:
    return load_cell(CONFIG / f"{arm}.yaml", calibrated=False)


@cache
def urdf(arm: str) -> str:
    return expand_urdf(cell(arm))


@cache
def robot(arm: str) -> RobotModel:
    return RobotModel(urdf(arm), cell(arm).arm.joints)


@cache
def planner(arm: str) -> MotionPlanner:
    return MotionPlanner(cell(arm), urdf(arm))
