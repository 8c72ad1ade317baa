"""Whole grasps with known poses: lifted, carried fast and set down, by suction and by pinch, with both arms."""

from __future__ import annotations

import numpy as np
import pybullet as p
import pytest
from sim_rig import ToolMotion, add_block, driven

from pickcell.outcome import Outcome
from pickcell_sim.driver import SimDriver
from pickcell_sim.ports import SimPorts
from pickcell_sim.scoring.truth import Truth

CARRY_MPS2 = {"panda": 4.0, "iiwa": 2.5}
"""The second arm's elbow is too slow for more."""

LONG_REST_S = 3.0
"""Longer than anything stays awake by itself: what is in the hand must not fall asleep."""


class Hand:
    """Moves the hand in straight lines by way of the ports, watching its peak acceleration."""

    def __init__(self, driver: SimDriver) -> None:
        self.driver, self.ports, self.motion = driver, SimPorts(driver), ToolMotion(driver.cell)
        self.peak = 0.0

    def move(self, offset: tuple[float, float, float], acceleration: float) -> Outcome[str]:
        speeds: list[np.ndarray] = []

        def watch(_: object) -> None:
            state = p.getLinkState(
                self.driver.world.robot.body,
                self.driver.world.robot.link("tool0"),
                computeLinkVelocity=True,
                physicsClientId=self.driver.world.client,
            )
            speeds.append(np.array(state[6]))

        outcome = self.ports.execute(self.motion.line(self.driver.arm.desired, offset, acceleration), watch)
        if len(speeds) > 3:
            self.peak = max(self.peak, float(np.linalg.norm(np.diff(speeds, axis=0), axis=1).max() / 0.010))
        return outcome


def block_under_the_hand(driver: SimDriver, mass: float, size: tuple[float, float, float]) -> float:
    """A block settled on the tote's floor below the hand; the height of its top."""
    x, y, _ = driver.world.X_world_link("tool0")[:3, 3]
    floor = driver.cell.totes["source"].position[2]
    add_block(driver.world, size, mass, (x, y, floor + size[2] / 2 + 0.001), friction=0.6)
    driver.advance(0.4)
    return floor + size[2]


@pytest.mark.parametrize(("cell", "mass"), [("panda", 0.4), ("panda", 0.1), ("iiwa", 0.4)])
def test_suction_lifts_carries_and_sets_down(cell: str, mass: float) -> None:
    with driven(cell) as driver:
        hand, truth = Hand(driver), Truth(driver)
        top = block_under_the_hand(driver, mass, (0.10, 0.08, 0.05))
        rest = driver.wrench().force_n[2]
        hand.ports.set_vacuum(True)
        driver.advance(0.3)
        lip = driver.world.X_world_link("tcp_suction")[2, 3]
        assert hand.move((0, 0, top - lip - 0.004), 1.5).ok
        driver.advance(0.15)
        assert truth.hand().sucked == 1
        assert hand.move((0, 0, 0.2), 2.0).ok
        driver.advance(LONG_REST_S)
        assert driver.wrench().force_n[2] - rest == pytest.approx(mass * 9.81, abs=0.25)
        start = truth.item_pose(1)[:3, 3]
        for offset in ((0.0, 0.2, 0.0), (0.1, -0.2, 0.0), (-0.1, 0.0, 0.0)):
            assert hand.move(offset, CARRY_MPS2[cell]).ok
            assert truth.hand().sucked == 1 and truth.hand().peel_use < 0.9
        assert hand.peak > 0.85 * CARRY_MPS2[cell]
        driver.advance(0.3)
        np.testing.assert_allclose(truth.item_pose(1)[:3, 3], start, atol=0.003)
        assert hand.move((0, 0, -0.2), 2.0).ok
        hand.ports.set_vacuum(False)
        driver.advance(0.2)
        assert truth.hand().items == () and truth.tote_of(1) == "source" and truth.speed(1) < 0.01


@pytest.mark.parametrize(("cell", "mass"), [("panda", 0.5), ("panda", 0.05), ("iiwa", 0.5)])
def test_pinch_lifts_carries_and_sets_down(cell: str, mass: float) -> None:
    with driven(cell) as driver:
        hand, truth = Hand(driver), Truth(driver)
        top = block_under_the_hand(driver, mass, (0.08, 0.05, 0.05))  # 50 mm along the closing axis
        rest = driver.wrench().force_n[2]
        tcp = driver.world.X_world_link("tcp_pinch")[2, 3]
        assert hand.move((0, 0, top - 0.025 - tcp), 1.5).ok
        closed = hand.ports.set_jaw(0.0, 25.0).unwrap()
        assert closed.stalled and closed.width_m == pytest.approx(0.05, abs=0.002)
        assert truth.hand().pinched == (1,)
        assert hand.move((0, 0, 0.2), 2.0).ok
        driver.advance(LONG_REST_S)
        assert driver.wrench().force_n[2] - rest == pytest.approx(mass * 9.81, abs=0.25)
        in_hand = np.linalg.inv(driver.world.X_world_link("tcp_pinch")) @ truth.item_pose(1)
        for offset in ((0.0, 0.2, 0.0), (0.1, -0.2, 0.0), (-0.1, 0.0, 0.0)):
            assert hand.move(offset, CARRY_MPS2[cell]).ok
        assert hand.peak > 0.85 * CARRY_MPS2[cell]
        after = np.linalg.inv(driver.world.X_world_link("tcp_pinch")) @ truth.item_pose(1)
        assert np.linalg.norm(after[:3, 3] - in_hand[:3, 3]) < 0.004
        assert truth.hand().pinched == (1,)
        assert hand.move((0, 0, -0.197), 2.0).ok
        assert hand.ports.set_jaw(0.10, 25.0).ok
        driver.advance(0.3)
        assert truth.hand().items == () and truth.tote_of(1) == "source"


def test_too_fast_for_the_seal_drops_the_item() -> None:
    """0.85 kg with its centre 65 mm below the lip: m g + 2 m a d / r exceeds 53 N from 6.1 m/s^2 on."""
    for acceleration, holds in ((2.5, True), (12.0, False)):
        with driven() as driver:
            hand, truth = Hand(driver), Truth(driver)
            top = block_under_the_hand(driver, 0.85, (0.10, 0.08, 0.13))
            hand.ports.set_vacuum(True)
            driver.advance(0.3)
            lip = driver.world.X_world_link("tcp_suction")[2, 3]
            hand.move((0, 0, top - lip - 0.004), 1.5)
            driver.advance(0.3)
            hand.move((0, 0, 0.15), 1.0)
            assert truth.hand().sucked == 1
            assert hand.move((0.0, 0.16, 0.0), acceleration).ok
            assert (truth.hand().sucked == 1) == holds
            driver.advance(0.2)
            assert holds == (driver.reading().vacuum_pa > 50e3)
