"""The task's ports over the simulator: lock-step time, stopping on evidence, typed failures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_rig import ToolMotion, cell_named, driven

from pickcell.outcome import Code
from pickcell.values import JointTrajectory, RobotReading
from pickcell_sim.driver import SimDriver
from pickcell_sim.ports import SimPorts


def down(driver: SimDriver, distance: float = 0.1, acceleration: float = 1.0) -> JointTrajectory:
    return ToolMotion(driver.cell).line(np.array(driver.cell.arm.home), (0, 0, -distance), acceleration)


def test_a_motion_takes_the_cell_time_it_should() -> None:
    with driven() as driver:
        ports, trajectory = SimPorts(driver), down(driver)
        before = ports.now_s()
        assert ports.execute(trajectory).unwrap() == ""
        assert trajectory.duration_s <= ports.now_s() - before < trajectory.duration_s + 0.1


def test_stop_when_is_asked_every_ten_milliseconds_and_stops_the_arm() -> None:
    with driven() as driver:
        ports = SimPorts(driver)
        stamps: list[float] = []

        def stop_when(reading: RobotReading) -> str | None:
            stamps.append(reading.stamp_s)
            return "far enough" if len(stamps) == 20 else None

        outcome = ports.execute(down(driver), stop_when)
        assert outcome.ok and outcome.unwrap() == "far enough"
        np.testing.assert_allclose(np.diff(stamps[:20]), 0.010, atol=1 / 240 + 1e-6)
        assert np.diff(stamps[:20]).mean() == pytest.approx(0.010, abs=3e-4)
        assert driver.arm_status.done and np.abs(driver.arm.velocity).max() < 0.01


def test_failures_are_typed() -> None:
    with driven() as driver:
        ports = SimPorts(driver)
        trajectory = down(driver)
        moved = JointTrajectory(
            trajectory.joint_names, trajectory.times_s, trajectory.positions + 0.3, trajectory.velocities
        )
        elsewhere = ports.execute(moved)
        assert elsewhere.code is Code.MOTION_ABORTED and "away from" in elsewhere.text

        cancelled = ports.execute(trajectory, lambda _: driver.stop())  # type: ignore[func-returns-value]
        assert cancelled.code is Code.CANCELLED
        driver.advance(0.2)

        def press(_: RobotReading) -> None:
            driver.set_estop(True)

        here = ToolMotion(driver.cell).line(driver.arm.desired, (0, 0, -0.05), 1.0)
        pressed = ports.execute(here, press)
        assert pressed.code is Code.ESTOP and "emergency" in pressed.text
        assert ports.execute(here).code is Code.ESTOP
        assert ports.set_jaw(0.05, 20.0).code is Code.ESTOP
        driver.set_estop(False)
        driver.arm.protective_stop = True
        assert ports.execute(here).code is Code.PROTECTIVE_STOP
        driver.clear_protective_stop()
        assert ports.execute(ToolMotion(driver.cell).line(driver.arm.desired, (0, 0, 0.02), 1.0)).ok


def test_switching_the_vacuum_off_waits_for_the_line_to_vent() -> None:
    with driven() as driver:
        ports = SimPorts(driver)
        assert ports.set_vacuum(True).ok
        ports.sleep_s(0.5)
        reading = ports.reading().unwrap()
        assert reading.vacuum_on
        assert reading.joints.select((driver.cell.hand.cup_joint,))[0] == pytest.approx(
            driver.cell.hand.cup_stroke_m, abs=1e-3
        )
        assert ports.set_vacuum(False).ok
        assert ports.reading().unwrap().vacuum_pa < 3_000


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0.0, 0.02), min_size=1, max_size=12))
def test_charged_time_is_never_lost(durations: list[float]) -> None:
    """However computation times are split, cell time lags what was charged by less than one step."""
    ports = SimPorts(SHARED)
    before, owed = ports.now_s(), SHARED._owed_s
    for duration in durations:
        ports.charge(duration)
    lag = before + owed + sum(durations) - ports.now_s()
    assert -1e-9 <= lag < 1 / 240 + 1e-9


SHARED = SimDriver.create(cell_named("panda"), 0, cameras=False)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="duration >= 0"):
        SHARED.advance(-1.0)
    with pytest.raises(ValueError, match="duration >= 0"):
        SHARED.advance(float("nan"))


def test_a_world_without_cameras_says_so() -> None:
    with pytest.raises(RuntimeError, match="without cameras"):
        SHARED.capture("cam_left")
