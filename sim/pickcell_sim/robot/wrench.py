"""The wrist's force/torque sensor: the reaction of the flange joint, filtered, with noise and a bias."""

from __future__ import annotations

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.values import Wrench
from pickcell_sim.robot.body import RobotBody
from pickcell_sim.world import StepClock

FILTER_S = 0.012
"""Time constant of the sensor's low-pass filter."""
FORCE_NOISE_N = 0.05
TORQUE_NOISE_NM = 0.005
FORCE_BIAS_N = 0.05
TORQUE_BIAS_NM = 0.005
"""Standard deviations: noise is drawn for each reading, the bias once per simulation (a sensor tared some time ago)."""


class WristSensor:
    """Force and torque on the hand at tool0, in tool0. Call :meth:`observe` after each physics step."""

    def __init__(self, robot: RobotBody, clock: StepClock, rng: np.random.Generator) -> None:
        self._robot = robot
        self._link = robot.link("tool0")
        self._clock = clock
        self._rng = rng
        self._bias = np.concatenate([rng.normal(0.0, FORCE_BIAS_N, 3), rng.normal(0.0, TORQUE_BIAS_NM, 3)])
        self._value: NDArray[np.float64] | None = None
        robot.watch(self._link)
        p.enableJointForceTorqueSensor(robot.body, self._link, True, physicsClientId=robot.client)

    def observe(self) -> None:
        """Take in the joint's reaction of the last step."""
        reaction = self._robot.states[self._link][2]
        # PyBullet gives the force of the arm on the hand, in tool0; the sensor is asked for the load that the hand carries.
        load = -np.asarray(reaction)
        share = 1.0 - float(np.exp(-self._clock.step_s / FILTER_S))
        self._value = load if self._value is None else self._value + share * (load - self._value)

    def state(self, stamp_s: float) -> Wrench:
        """One reading, with its noise."""
        value = np.zeros(6) if self._value is None else self._value
        noise = np.concatenate([self._rng.normal(0.0, FORCE_NOISE_N, 3), self._rng.normal(0.0, TORQUE_NOISE_NM, 3)])
        measured = value + self._bias + noise
        return Wrench(stamp_s, measured[:3], measured[3:])
