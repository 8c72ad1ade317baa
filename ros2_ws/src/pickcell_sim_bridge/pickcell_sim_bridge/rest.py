"""When nothing in the simulated cell moves, physics need not run: time passes, and every sensor goes on reading the same."""

from __future__ import annotations

import numpy as np

from pickcell_sim.driver import SimDriver
from pickcell_sim.world import STEP_S

STILL_SPEED = 2e-3
"""rad/s and m/s of a joint at rest."""
REST_AFTER_S = 0.5
"""The world must have been still for this long: sensors with filters have settled by then."""


class Rest:
    """Decides whether physics may be left out, and lets time pass without it."""

    def __init__(self) -> None:
        self._still_since_s: float | None = None

    def wake(self) -> None:
        """A command is coming: physics runs."""
        self._still_since_s = None

    def look(self, driver: SimDriver) -> None:
        """Take note of whether anything moves. Call after physics has run."""
        if not _still(driver):
            self._still_since_s = None
        elif self._still_since_s is None:
            self._still_since_s = driver.now_s

    def since_s(self, now_s: float) -> float:
        """For how long nothing has moved."""
        return 0.0 if self._still_since_s is None else now_s - self._still_since_s

    def resting(self, now_s: float) -> bool:
        return self.since_s(now_s) >= REST_AFTER_S

    def pass_time(self, driver: SimDriver, duration_s: float) -> None:
        """Let time pass without physics, in whole steps."""
        driver.world.steps += max(1, round(duration_s / STEP_S))


def _still(driver: SimDriver) -> bool:
    """Arm, jaw and cup at rest with nothing held (a hold is physics at work), and every piece asleep."""
    if driver.vacuum_on or not driver.arm_status.done:
        return False
    jaw = driver.jaw_state()
    if jaw.moving or jaw.stalled:
        return False
    if not all(item.asleep for item in driver.world.item_bodies.values()):
        return False
    return bool(np.abs(driver.joint_states().velocities).max() < STILL_SPEED)
