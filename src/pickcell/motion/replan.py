"""A new way to the goal for an arm that is moving: brake, search from where that ends, and smooth it all out again."""

from __future__ import annotations

import numpy as np
import ruckig
from numpy.typing import NDArray

from pickcell.motion.checking import Checker, path_clearance
from pickcell.motion.core import Load, MotionCore
from pickcell.motion.sweep import samples_free
from pickcell.motion.timing import (
    DT_S,
    JointLimits,
    Motion,
    State,
    Tool,
    along_vertices,
    peak_tool_acceleration,
    sampled,
    shorten,
)
from pickcell.outcome import Code, Outcome

Array = NDArray[np.float64]

SOFTENINGS = 4
"""How often a stop is made softer for the sake of what is held, before it is made as hard as the joints allow."""
NODES = 300
"""Of the search: an arm that has not found a way by then had better stand still and look."""


def braking(state: State, limits: JointLimits, tool: Tool, tool_cap: float) -> Motion:
    """From a moving state to rest as quickly as the joints may, more softly where the tool would exceed its cap and that
    helps."""
    soft, hardest = 1.0, _stop(state, limits, 1.0)
    motion = hardest
    for _ in range(SOFTENINGS):
        peak = peak_tool_acceleration(tool, motion.position, DT_S) if len(motion.position) > 2 else 0.0
        if peak <= tool_cap:
            return motion
        soft *= max(0.3, 0.9 * tool_cap / peak)
        motion = _stop(state, limits, soft)
        if _leaves(motion, limits):
            break
    return hardest


def _leaves(motion: Motion, limits: JointLimits) -> bool:
    """Whether it goes beyond a joint's range."""
    return bool(np.any(motion.position < limits.lower) or np.any(motion.position > limits.upper))


def _stop(state: State, limits: JointLimits, soft: float) -> Motion:
    n = len(state[0])
    given = ruckig.InputParameter(n)
    given.control_interface = ruckig.ControlInterface.Velocity
    given.current_position, given.current_velocity, given.current_acceleration = (v.tolist() for v in state)
    given.target_velocity, given.target_acceleration = [0.0] * n, [0.0] * n
    given.max_velocity = limits.velocity.tolist()
    given.max_acceleration = np.maximum(soft * limits.acceleration, 1.001 * np.abs(state[2])).tolist()
    given.max_jerk = limits.jerk.tolist()
    given.synchronization = ruckig.Synchronization.No  # each joint as soon as it can
    given.duration_discretization = ruckig.DurationDiscretization.Discrete
    found = ruckig.Trajectory(n)
    ruckig.Ruckig(n, DT_S).calculate(given, found)
    motion = sampled(found)
    motion.velocity[-1], motion.acceleration[-1] = 0.0, 0.0
    return motion


def replan(
    core: MotionCore, state: State, goals: Array, load: Load, checker: Checker, tries: int
) -> Outcome[tuple[Motion, int]]:
    """A motion from the moving ``state`` to rest at one of ``goals`` (G, n), best first, and which of them.

    ``tries``: time-domain shortcuts, .2 ms each. Fails with UNEXPECTED_CONTACT when not even stopping is free any more (the
    outcome's value is then the stop and -1: it is better than going on), else with NO_PATH.
    """
    tool = core.tool(load)
    stop = braking(state, core.limits, tool, load.acceleration)
    allowed = checker
    if path_clearance(checker, state[0][None, :])[0] < 0.0:
        allowed = core.relaxed(checker, state[0])
    if not samples_free(allowed, stop.position):
        stop = _stop(state, core.limits, 1.0)
        if not samples_free(allowed, stop.position):
            said = f"Braking ends in {core.blocker(checker, stop.position[-1])}."
            return Outcome(Code.UNEXPECTED_CONTACT, said, (stop, -1))
    if _leaves(stop, core.limits):
        return Outcome(Code.NO_PATH, "Braking ends beyond a joint's range.", (stop, -1))
    found = core.path(stop.position[-1], goals, load, checker, NODES)
    if not found.ok:
        return Outcome(found.code, found.text, (stop, -1))
    head, path, which = found.unwrap()
    whole = stop.then(head).then(along_vertices(path, core.limits, tool, load.acceleration))
    rng = np.random.default_rng(core.config.seed)
    return Outcome.success((shorten(whole, core.limits, tool, load.acceleration, checker, tries, rng), which))
