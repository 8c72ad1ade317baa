"""The task's ports over the simulator, in process and in lock-step: clock, arm, hand and sensors."""

from __future__ import annotations

import math

from pickcell.outcome import Code, Outcome
from pickcell.ports import StopWhen
from pickcell.values import JawState, JointTrajectory, RobotReading
from pickcell_sim.driver import HandBusyError, SimDriver
from pickcell_sim.hand.suction import AMBIENT_PA
from pickcell_sim.robot.arm import ArmState, GoalRejectedError

WATCH_S = 0.010
"""Period at which ``stop_when`` looks at the readings: drivers deliver about as fast."""
MOTION_SLACK_S = 3.0
JAW_TIMEOUT_S = 3.0
VENTED_PA = 2_000.0
VENT_TIMEOUT_S = 0.5
"""Switching the vacuum off ends when the line is vented, so that the next motion does not tear at the item."""


class SimPorts:
    """Implements ClockPort, ArmPort, HandPort and SensorPort. Physics advances only inside these calls."""

    def __init__(self, driver: SimDriver) -> None:
        self.driver = driver

    # -- ClockPort ---------------------------------------------------------------------------------------------------
    def now_s(self) -> float:
        return self.driver.now_s

    def sleep_s(self, duration_s: float) -> None:
        self.driver.advance(duration_s)

    def charge(self, seconds: float) -> None:
        """Advance physics by the duration of a computation, which the cell has spent waiting (or moving)."""
        self.driver.advance(seconds)

    # -- ArmPort -----------------------------------------------------------------------------------------------------
    def execute(self, trajectory: JointTrajectory, stop_when: StopWhen | None = None) -> Outcome[str]:
        refused = self._stopped()
        if refused is not None:
            return refused.failed_as()
        try:
            self.driver.follow(trajectory)
        except GoalRejectedError as error:
            return Outcome.failure(Code.MOTION_ABORTED, f"{error}.")
        sentence = self._run(trajectory.duration_s + MOTION_SLACK_S, stop_when)
        status = self.driver.arm_status
        if sentence:
            return Outcome.success(sentence, sentence)
        if status.state is ArmState.SUCCEEDED:
            return Outcome.success("")
        refused = self._stopped()
        if refused is not None:
            return Outcome.failure(refused.code, f"{status.text}.")
        if status.state is ArmState.STOPPED:
            return Outcome.failure(Code.CANCELLED, f"{status.text}.")
        return Outcome.failure(Code.MOTION_ABORTED, f"{status.text or 'it took too long'}.")

    def _run(self, timeout_s: float, stop_when: StopWhen | None) -> str:
        """Step until the arm is done; the sentence of ``stop_when`` if it spoke, with the arm then standing."""
        sentence, deadline, look_s = "", self.driver.now_s + timeout_s, self.driver.now_s
        while not self.driver.arm_status.done and self.driver.now_s < deadline:
            if stop_when is not None and not sentence and self.driver.now_s >= look_s - 1e-9:
                look_s += WATCH_S
                sentence = stop_when(self.driver.reading()) or ""
                if sentence:
                    self.driver.stop()
            self.driver.step()
        if not self.driver.arm_status.done:
            self.driver.stop()
        return sentence

    def stop(self) -> None:
        self.driver.stop()
        while self.driver.arm_status.state is ArmState.STOPPING:
            self.driver.step()

    def _stopped(self) -> Outcome[None] | None:
        """The failure that stands for a stop being active, None when there is none."""
        if self.driver.estop:
            return Outcome.failure(Code.ESTOP)
        if self.driver.protective_stop:
            return Outcome.failure(Code.PROTECTIVE_STOP, f"{self.driver.arm.protective_text}.")
        return None

    # -- HandPort ----------------------------------------------------------------------------------------------------
    def set_jaw(self, width_m: float, force_n: float) -> Outcome[JawState]:
        if self.driver.estop:
            return Outcome.failure(Code.ESTOP)
        self.driver.move_jaw(width_m, force_n)
        deadline = self.driver.now_s + JAW_TIMEOUT_S
        self.driver.step()
        while self.driver.jaw_state().moving:
            if self.driver.now_s > deadline:
                return Outcome.failure(Code.TIMEOUT, f"The jaw still moves {JAW_TIMEOUT_S:.0f} s after its command.")
            self.driver.step()
        return Outcome.success(self.driver.jaw_state())

    def set_vacuum(self, on: bool, most_pa: float = math.inf) -> Outcome[None]:
        self.driver.regulate_vacuum(most_pa)
        try:
            self.driver.set_vacuum(on)
        except HandBusyError as error:
            return Outcome.failure(Code.BUSY, f"{error}.")
        deadline = self.driver.now_s + VENT_TIMEOUT_S
        while not on and AMBIENT_PA - self.driver.pressure_pa() > VENTED_PA and self.driver.now_s < deadline:
            self.driver.step()
        return Outcome.success(None)

    # -- SensorPort --------------------------------------------------------------------------------------------------
    def reading(self) -> Outcome[RobotReading]:
        return Outcome.success(self.driver.reading())
