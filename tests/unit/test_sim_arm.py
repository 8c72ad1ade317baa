"""The arm's controller: tracking, replacing goals, stopping, refusing, and protective stop."""

from __future__ import annotations

import numpy as np
import pytest
from sim_rig import ToolMotion, add_block, driven

from pickcell.values import JointTrajectory
from pickcell_sim.driver import SimDriver
from pickcell_sim.robot.arm import ArmState, GoalRejectedError

STEP_S = 1 / 240


def home(driver: SimDriver) -> np.ndarray:
    return np.array(driver.cell.arm.home)


def joint_move(
    driver: SimDriver, joint: int, angle: float, duration: float, start: np.ndarray | None = None
) -> JointTrajectory:
    """One joint moves by a smooth fifth-order profile."""
    u = np.linspace(0, 1, 60)
    s = u**3 * (10 + u * (-15 + 6 * u))
    ds = 30 * u**2 * (1 - u) ** 2 / duration
    q = np.tile(home(driver) if start is None else start, (60, 1))
    v = np.zeros_like(q)
    q[:, joint] += angle * s
    v[:, joint] = angle * ds
    return JointTrajectory(driver.cell.arm.joints, u * duration, q, v)


@pytest.mark.parametrize(("cell", "speed", "acceleration"), [("panda", 1.0, 4.0), ("iiwa", 0.75, 2.2)])
def test_tracks_fast_lines_within_two_millimetres(cell: str, speed: float, acceleration: float) -> None:
    """Half a metre across, in front of the robot where its joints are fast enough."""
    with driven(cell) as driver:
        motion = ToolMotion(driver.cell)
        driver.follow(motion.line(home(driver), (0.2, -0.25, 0.0), 1.0))
        driver.advance(2.0)
        assert driver.arm_status.state is ArmState.SUCCEEDED
        trajectory = motion.line(driver.arm.desired, (0.0, 0.5, 0.0), acceleration)
        driver.follow(trajectory)
        start = driver.now_s
        worst, fastest, last = 0.0, 0.0, None
        base = np.array(driver.cell.base_position)
        while not driver.arm_status.done:
            driver.step()
            tool = driver.world.X_world_link("tool0")[:3, 3] - base
            t = min(driver.now_s - start, trajectory.duration_s)
            q = np.array([np.interp(t, trajectory.times_s, trajectory.positions[:, j]) for j in range(7)])
            worst = max(worst, float(np.linalg.norm(tool - motion.pose(q).translation)))
            if last is not None:
                fastest = max(fastest, float(np.linalg.norm(tool - last)) / STEP_S)
            last = tool
        assert driver.arm_status.state is ArmState.SUCCEEDED
        assert fastest > speed
        assert worst < 0.002


def test_stands_still_under_gravity_and_knows_no_outside_torque() -> None:
    with driven() as driver:
        driver.advance(1.0)
        np.testing.assert_allclose(driver.arm.position, home(driver), atol=2e-4)
        assert np.abs(driver.arm.external_torque).max() < 0.3


def test_a_new_goal_replaces_the_running_one_without_a_jump() -> None:
    with driven() as driver:
        driver.follow(joint_move(driver, 0, 0.6, 1.2))
        driver.advance(0.5)
        here, speed = driver.arm.position.copy(), driver.arm.velocity.copy()
        assert speed[0] > 0.5
        number = driver.follow(joint_move(driver, 0, -0.4, 1.5, start=here))
        limits = np.array(driver.cell.arm.acceleration_max)
        while not driver.arm_status.done:
            before = driver.arm.velocity.copy()
            driver.step()
            assert (np.abs(driver.arm.velocity - before) / STEP_S < 1.3 * limits).all()
        assert driver.arm_status.goal == number and driver.arm_status.state is ArmState.SUCCEEDED
        np.testing.assert_allclose(driver.arm.position[0], here[0] - 0.4, atol=2e-3)


def test_a_goal_can_be_entered_in_the_middle() -> None:
    with driven() as driver:
        trajectory = joint_move(driver, 0, 0.6, 1.2)
        driver.follow(trajectory)
        driver.advance(0.5)
        driver.follow(trajectory, elapsed_s=0.5)
        driver.advance(0.72)
        np.testing.assert_allclose(driver.arm.position[0], home(driver)[0] + 0.6, atol=2e-3)


def test_stop_decelerates_within_the_limits_and_holds() -> None:
    with driven() as driver:
        driver.follow(joint_move(driver, 0, 1.0, 1.2))
        driver.advance(0.6)
        driver.stop()
        assert driver.arm_status.state is ArmState.STOPPING
        limits = np.array(driver.cell.arm.acceleration_max)
        start = driver.now_s
        while not driver.arm_status.done:
            before = driver.arm.velocity.copy()
            driver.step()
            assert (np.abs(driver.arm.velocity - before) / STEP_S < 1.1 * limits + 0.1).all()
        assert driver.arm_status.state is ArmState.STOPPED
        assert driver.now_s - start < 0.3
        stood = driver.arm.position.copy()
        driver.advance(0.5)
        np.testing.assert_allclose(driver.arm.position, stood, atol=5e-4)


def test_stop_at_rest_changes_nothing() -> None:
    with driven() as driver:
        driver.stop()
        assert driver.arm_status.state is ArmState.IDLE


def broken(trajectory: JointTrajectory, **changes: object) -> JointTrajectory:
    fields = {k: getattr(trajectory, k) for k in ("joint_names", "times_s", "positions", "velocities")}
    return JointTrajectory(**{**fields, **changes})  # type: ignore[arg-type]


def test_refuses_what_it_cannot_follow_and_says_why() -> None:
    with driven() as driver:
        good = joint_move(driver, 0, 0.3, 1.0)
        nan = good.positions.copy()
        nan[3, 2] = np.nan
        cases = [
            (broken(good, joint_names=("a", *good.joint_names[1:])), "the arm has"),
            (broken(good, positions=nan), "not finite"),
            (joint_move(driver, 0, 4.0, 9.0), "position limits of .*panda_joint1"),
            (joint_move(driver, 0, 1.5, 0.6), "velocity limits of .*panda_joint1"),
            (joint_move(driver, 0, 0.3, 1.0, start=home(driver) + 0.2), "0.200 rad away"),
        ]
        for trajectory, message in cases:
            with pytest.raises(GoalRejectedError, match=message):
                driver.follow(trajectory)
        assert driver.arm_status.state is ArmState.IDLE


def test_joints_may_come_in_any_order() -> None:
    with driven() as driver:
        good = joint_move(driver, 0, 0.3, 1.0)
        order = list(reversed(range(7)))
        names = tuple(good.joint_names[i] for i in order)
        driver.follow(JointTrajectory(names, good.times_s, good.positions[:, order], good.velocities[:, order]))
        driver.advance(1.2)
        assert driver.arm_status.state is ArmState.SUCCEEDED
        assert driver.arm.position[0] == pytest.approx(home(driver)[0] + 0.3, abs=1e-3)


def test_pushing_on_something_solid_ends_in_protective_stop() -> None:
    """The closed hand is driven 60 mm into a block that stands on the table."""
    with driven() as driver:
        tip = driver.world.X_world_link("tcp_pinch")[:3, 3] - [0, 0, 0.01]
        add_block(driver.world, (0.16, 0.16, tip[2] - 0.02), 200.0, (tip[0], tip[1], (tip[2] - 0.02) / 2))
        driver.move_jaw(0.0, 20.0)
        driver.advance(0.6)
        driver.follow(ToolMotion(driver.cell).line(home(driver), (0, 0, -0.08), 1.0))
        driver.advance(1.5)
        assert driver.protective_stop
        assert driver.arm_status.state is ArmState.ABORTED and "protective stop" in driver.arm_status.text
        assert np.abs(driver.arm.velocity).max() < 0.02
        with pytest.raises(GoalRejectedError, match="protective stop"):
            driver.follow(joint_move(driver, 0, 0.1, 1.0, start=driver.arm.position))
        driver.clear_protective_stop()
        up = ToolMotion(driver.cell).line(driver.arm.position, (0, 0, 0.05), 1.0)
        driver.follow(up)
        driver.advance(up.duration_s + 0.3)
        assert driver.arm_status.state is ArmState.SUCCEEDED and not driver.protective_stop


def test_a_payload_and_brisk_motion_do_not_trip_the_protective_stop() -> None:
    with driven() as driver:
        for direction in (0.3, -0.3):
            driver.follow(ToolMotion(driver.cell).line(driver.arm.position, (0, direction, 0), 7.0))
            while not driver.arm_status.done:
                driver.step()
            assert driver.arm_status.state is ArmState.SUCCEEDED


def test_emergency_stop_aborts_the_goal_and_blocks_new_ones() -> None:
    with driven() as driver:
        driver.follow(joint_move(driver, 0, 0.6, 1.2))
        driver.advance(0.5)
        driver.set_estop(True)
        driver.advance(0.5)
        assert driver.arm_status.state is ArmState.ABORTED and driver.reading().estop
        assert np.abs(driver.arm.velocity).max() < 1e-3
        with pytest.raises(GoalRejectedError, match="emergency stop"):
            driver.follow(joint_move(driver, 0, 0.1, 1.0))
        driver.set_estop(False)
        driver.follow(joint_move(driver, 0, 0.1, 1.0, start=driver.arm.desired))
        driver.advance(1.3)
        assert driver.arm_status.state is ArmState.SUCCEEDED
