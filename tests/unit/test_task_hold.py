"""What the hand's sensors say of a hold: what is soft breathes, what trembles is held, what is gone is gone."""

from __future__ import annotations

import numpy as np
import pytest

from pickcell.outcome import Code
from pickcell.task.hold import HoldConfig, hold_lost, holding
from pickcell.values import JawState, JointState, RobotReading, Tool, Wrench

CONFIG = HoldConfig()
AMBIENT_PA = 100e3


def reading(width_m: float = 0.04, vacuum_pa: float = 0.0, stalled: bool = True) -> RobotReading:
    none = np.zeros(1)
    return RobotReading(
        JointState(0.0, ("j",), none, none, none),
        JawState(0.0, width_m, 10.0, not stalled, stalled),
        Wrench(0.0, np.zeros(3), np.zeros(3)),
        AMBIENT_PA - vacuum_pa,
        AMBIENT_PA,
        vacuum_pa > 0.0,
        False,
        False,
    )


@pytest.mark.parametrize("stalled", [True, False])
def test_pads_that_stay_apart_hold_even_while_the_item_trembles(stalled):
    assert holding(reading(stalled=stalled), Tool.PINCH, CONFIG).ok
    assert holding(reading(0.0005, stalled=stalled), Tool.PINCH, CONFIG).code is Code.MISSED


def test_a_vacuum_line_tells_of_a_seal():
    assert holding(reading(vacuum_pa=30e3), Tool.SUCTION, CONFIG).ok
    assert holding(reading(vacuum_pa=5e3), Tool.SUCTION, CONFIG).code is Code.SEAL_NOT_MADE
    assert hold_lost(reading(vacuum_pa=5e3), Tool.SUCTION, 0.0, CONFIG).code is Code.SEAL_LOST


@pytest.mark.parametrize("change_m", [-0.007, 0.007])
def test_what_is_stiff_slips_where_what_is_soft_breathes(change_m):
    moved = reading(0.04 + change_m)
    assert hold_lost(moved, Tool.PINCH, 0.04, CONFIG).code is Code.SLIPPED
    assert hold_lost(moved, Tool.PINCH, 0.04, CONFIG, give_m=0.01).code is Code.SLIPPED
    assert hold_lost(moved, Tool.PINCH, 0.04, CONFIG, give_m=0.035).ok
    assert hold_lost(reading(0.001), Tool.PINCH, 0.04, CONFIG, give_m=0.035).code is Code.DROPPED
