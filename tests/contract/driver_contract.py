"""What the task may rely on from arm, hand, sensors and clock, whoever implements them.

A test module gives a fixture ``cell`` (a :class:`DrivenCell`, arm anywhere, nothing held) and inherits the suite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sim_rig import ToolMotion

from pickcell.cell import CellConfig
from pickcell.outcome import Code
from pickcell.ports import ArmPort, ClockPort, HandPort, SensorPort
from pickcell.values import JointTrajectory

WALL_M = 0.006
HAND_WEIGHT_N = (2.0, 30.0)


@dataclass
class DrivenCell:
    """The ports under test, and the button next to the robot."""

    config: CellConfig
    clock: ClockPort
    arm: ArmPort
    hand: HandPort
    sensors: SensorPort
    press_estop: Callable[[bool], None]
    release_protective_stop: Callable[[], None]

    @property
    def home(self) -> np.ndarray:
        return np.array(self.config.arm.home)

    def q(self) -> np.ndarray:
        return self.sensors.reading().unwrap().joints.select(self.config.arm.joints)

    def joint_motion(self, goal: np.ndarray, duration_s: float) -> JointTrajectory:
        """From where the arm is to ``goal``, quintic, at rest at both ends."""
        start, t = self.q(), np.linspace(0.0, duration_s, max(10, int(duration_s * 50)))
        s = (t / duration_s)[:, None]
        positions = start + (goal - start) * s**3 * (10 - 15 * s + 6 * s**2)
        velocities = (goal - start) * 30 * s**2 * (1 - s) ** 2 / duration_s
        return JointTrajectory(self.config.arm.joints, t, positions, velocities)

    def go(self, goal: np.ndarray) -> None:
        duration_s = max(0.4, 2.5 * float(np.abs(goal - self.q()).max()))
        outcome = self.arm.execute(self.joint_motion(goal, duration_s))
        assert outcome.ok, outcome.text

    def tool_line(self, offset: tuple[float, float, float], acceleration: float = 2.0) -> JointTrajectory:
        return ToolMotion(self.config).line(self.q(), offset, acceleration)

    def line(self, offset: tuple[float, float, float]) -> None:
        outcome = self.arm.execute(self.tool_line(offset))
        assert outcome.ok, outcome.text

    def speed(self) -> float:
        """Largest joint speed of the arm, rad/s."""
        joints = self.sensors.reading().unwrap().joints
        return float(np.abs(joints.velocities[: len(self.config.arm.joints)]).max())

    def X_base_tool(self) -> np.ndarray:
        return ToolMotion(self.config).pose(self.q()).homogeneous


class DriverContract:
    """The suite."""

    # --- clock and readings ------------------------------------------------------------------------------------------

    def test_sleeping_takes_cell_time(self, cell: DrivenCell) -> None:
        before = cell.clock.now_s()
        cell.clock.sleep_s(0.25)
        assert 0.24 <= cell.clock.now_s() - before < 0.6

    def test_readings_are_complete_and_fresh(self, cell: DrivenCell) -> None:
        cell.clock.sleep_s(0.1)
        reading = cell.sensors.reading().unwrap()
        assert set(cell.config.arm.joints) | set(cell.config.hand.jaw_joints) <= set(reading.joints.names)
        assert cell.clock.now_s() - reading.stamp_s < 0.3
        assert not (reading.estop or reading.protective_stop)
        assert abs(reading.vacuum_pa) < 1500 and not reading.vacuum_on
        assert HAND_WEIGHT_N[0] < np.linalg.norm(reading.wrench.force_n) < HAND_WEIGHT_N[1]

    def test_stamps_rise(self, cell: DrivenCell) -> None:
        stamps = []
        for _ in range(5):
            cell.clock.sleep_s(0.05)
            stamps.append(cell.sensors.reading().unwrap().stamp_s)
        assert np.all(np.diff(stamps) > 0)

    # --- arm ---------------------------------------------------------------------------------------------------------

    def test_runs_to_the_end(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        goal = cell.home + 0.15
        outcome = cell.arm.execute(cell.joint_motion(goal, 0.8))
        assert outcome.ok and outcome.value == ""
        assert np.abs(cell.q() - goal).max() < 0.01
        assert cell.speed() < 0.05

    def test_stop_when_stops_on_the_way(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        goal = cell.home.copy()
        goal[0] += 0.8
        seen = []

        def watch(reading) -> str | None:
            seen.append(reading.stamp_s)
            return "far enough" if reading.joints.positions[0] > cell.home[0] + 0.3 else None

        outcome = cell.arm.execute(cell.joint_motion(goal, 2.0), watch)
        assert outcome.ok and outcome.value == "far enough"
        assert cell.home[0] + 0.29 < cell.q()[0] < goal[0] - 0.1
        assert cell.speed() < 0.05, "it stands still when the call returns"
        assert np.median(np.diff(sorted(set(seen)))) < 0.015, "looked at a hundred times a second"

    def test_a_stop_from_inside_cancels(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        goal = cell.home.copy()
        goal[0] += 0.8

        def watch(reading) -> str | None:
            if reading.joints.positions[0] > cell.home[0] + 0.2:
                cell.arm.stop()
            return None

        outcome = cell.arm.execute(cell.joint_motion(goal, 2.0), watch)
        assert outcome.code is Code.CANCELLED
        assert cell.q()[0] < goal[0] - 0.1
        assert cell.speed() < 0.05

    def test_a_trajectory_from_elsewhere_is_refused(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        before = cell.q()
        motion = cell.joint_motion(cell.home, 0.5)
        shifted = JointTrajectory(motion.joint_names, motion.times_s, motion.positions + 0.3, motion.velocities)
        outcome = cell.arm.execute(shifted)
        assert outcome.code is Code.MOTION_ABORTED and "rad away" in outcome.text
        assert np.abs(cell.q() - before).max() < 0.005

    def test_emergency_stop(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        goal = cell.home.copy()
        goal[0] += 0.8
        pressed = []

        def watch(reading) -> str | None:
            if reading.joints.positions[0] > cell.home[0] + 0.2 and not pressed:
                pressed.append(True)
                cell.press_estop(True)
            return None

        try:
            assert cell.arm.execute(cell.joint_motion(goal, 2.0), watch).code is Code.ESTOP
            cell.clock.sleep_s(0.5)
            assert cell.speed() < 0.05
            assert cell.sensors.reading().unwrap().estop
            assert cell.arm.execute(cell.joint_motion(cell.home, 1.0)).code is Code.ESTOP
        finally:
            cell.press_estop(False)
        cell.clock.sleep_s(0.2)
        cell.go(cell.home)

    # --- hand --------------------------------------------------------------------------------------------------------

    def test_jaw_goes_where_it_is_told(self, cell: DrivenCell) -> None:
        for width in (0.02, 0.09):
            jaw = cell.hand.set_jaw(width, 30.0).unwrap()
            assert abs(jaw.width_m - width) < 0.002
            assert not jaw.stalled and not jaw.moving
            assert not cell.sensors.reading().unwrap().jaw.stalled

    def test_jaw_closes_on_nothing(self, cell: DrivenCell) -> None:
        jaw = cell.hand.set_jaw(0.0, 30.0).unwrap()
        assert jaw.width_m < 0.0015 and not jaw.stalled
        cell.hand.set_jaw(cell.config.hand.opening_max_m, 30.0)

    def test_jaw_stalls_on_a_wall_and_keeps_holding(self, cell: DrivenCell) -> None:
        """The hand closes on the near wall of the source tote."""
        lift_m = self._straddle_wall(cell)
        try:
            jaw = cell.hand.set_jaw(0.0, 20.0).unwrap()
            assert jaw.stalled and not jaw.moving
            assert abs(jaw.width_m - WALL_M) < 0.003
            cell.clock.sleep_s(0.3)
            reading = cell.sensors.reading().unwrap()
            assert reading.jaw.stalled, "still holding"
            assert 8.0 < reading.jaw.force_n < 30.0
        finally:
            assert cell.hand.set_jaw(cell.config.hand.opening_max_m, 20.0).ok
            cell.line((0.0, 0.0, lift_m))
            cell.go(cell.home)

    @staticmethod
    def _straddle_wall(cell: DrivenCell) -> float:
        """Lower the open hand so that its pads stand on both sides of the wall; how far it must go up again."""
        cell.go(cell.home)
        assert cell.hand.set_jaw(0.08, 20.0).ok
        X = cell.X_base_tool()
        # At home the closing axis lies in the horizontal plane: turn it along the tote's x, across the near wall.
        tote = cell.config.totes["source"]
        closing = X[:3, 0]
        angle = float(np.arctan2(closing[1], closing[0]))
        turned = cell.q()
        turned[-1] += (angle + np.pi / 2) % np.pi - np.pi / 2
        cell.go(turned)
        X = cell.X_base_tool()
        wall_x = tote.position[0] - 0.5 * (tote.inner[0] + tote.wall) - cell.config.base_position[0]
        cell.line((wall_x - X[0, 3], tote.position[1] - X[1, 3], 0.0))
        X = cell.X_base_tool()
        rim_z = tote.position[2] + tote.inner[2] - cell.config.base_position[2]
        tip_z = X[2, 3] - 0.205
        drop = tip_z - (rim_z - 0.02)
        cell.line((0.0, 0.0, -drop))
        return drop

    def test_touching_the_floor_stops_the_approach(self, cell: DrivenCell) -> None:
        """The closed hand comes down on the floor of the source tote; the wrist feels it."""
        cell.go(cell.home)
        assert cell.hand.set_jaw(0.0, 20.0).ok
        tare = cell.sensors.reading().unwrap().wrench.force_n
        tote = cell.config.totes["source"]
        floor_z = tote.position[2] - cell.config.base_position[2]
        X = cell.X_base_tool()
        centre = np.array(tote.position[:2]) - np.array(cell.config.base_position[:2])
        cell.line((centre[0] - X[0, 3], centre[1] - X[1, 3], 0.0))
        drop = cell.X_base_tool()[2, 3] - 0.205 - floor_z
        cell.line((0.0, 0.0, -(drop - 0.003)))

        def contact(reading) -> str | None:
            return "contact" if np.linalg.norm(reading.wrench.force_n - tare) > 8.0 else None

        try:
            # Slowly: steel on steel gives 200 N per millimetre, and any stop takes some hundredths of a second.
            outcome = cell.arm.execute(cell.tool_line((0.0, 0.0, -0.006), 0.002), contact)
            assert outcome.ok and outcome.value == "contact", outcome.text
            tip_z = cell.X_base_tool()[2, 3] - 0.205
            assert abs(tip_z - floor_z) < 0.006
        finally:
            cell.line((0.0, 0.0, drop))
            cell.go(cell.home)
            cell.hand.set_jaw(cell.config.hand.opening_max_m, 20.0)

    def test_vacuum_draws_and_vents(self, cell: DrivenCell) -> None:
        cell.go(cell.home)
        assert cell.hand.set_vacuum(True).ok
        cell.clock.sleep_s(0.4)
        on = cell.sensors.reading().unwrap()
        assert on.vacuum_on and on.vacuum_pa > 500.0, "the open line keeps up a little vacuum"
        slide = on.joints.select((cell.config.hand.cup_joint,))[0]
        assert slide > 0.9 * cell.config.hand.cup_stroke_m
        assert cell.hand.set_vacuum(False).ok
        cell.clock.sleep_s(0.6)
        off = cell.sensors.reading().unwrap()
        assert not off.vacuum_on and off.vacuum_pa < 600.0
        assert off.joints.select((cell.config.hand.cup_joint,))[0] < 0.1 * cell.config.hand.cup_stroke_m
