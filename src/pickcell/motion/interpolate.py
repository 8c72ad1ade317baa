"""The state of a trajectory at any time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickcell.values import JointTrajectory

Array = NDArray[np.float64]


def sample(trajectory: JointTrajectory, t: ArrayLike) -> tuple[Array, Array]:
    """Positions and velocities, each (..., n), at times ``t`` in seconds from the start.

    Cubic Hermite interpolation between the stored states; before the start and after the end the robot stands still there.
    Raises ValueError for times that are not finite.
    """
    t = np.asarray(t, dtype=float)
    if not np.all(np.isfinite(t)):
        raise ValueError("sample times must be finite")
    times, P, V = trajectory.times_s, trajectory.positions, trajectory.velocities
    if len(times) == 1:
        q = np.broadcast_to(P[0], (*t.shape, P.shape[1])).copy()
        return q, np.zeros_like(q)
    inside = np.clip(t, times[0], times[-1])
    k = np.clip(np.searchsorted(times, inside, side="right") - 1, 0, len(times) - 2)
    h = (times[k + 1] - times[k])[..., None]
    u = ((inside - times[k])[..., None]) / h
    d = P[k + 1] - P[k]
    q = P[k] + u * (h * V[k] + u * (3 * d - h * (2 * V[k] + V[k + 1]) + u * (h * (V[k] + V[k + 1]) - 2 * d)))
    v = V[k] + u * (2 * (3 * d / h - 2 * V[k] - V[k + 1]) + u * 3 * (V[k] + V[k + 1] - 2 * d / h))
    outside = ((t < times[0]) | (t > times[-1]))[..., None]
    return q, np.where(outside, 0.0, v)


def resample(trajectory: JointTrajectory, step_s: float) -> JointTrajectory:
    """The same motion at another sampling step; the last state is kept exactly. Raises ValueError for a step <= 0."""
    if not step_s > 0:
        raise ValueError(f"the step must be > 0 s, got {step_s}")
    end = trajectory.duration_s
    t = np.arange(0.0, end - 1e-9, step_s)
    t = np.append(t, end) if len(t) else np.array([end])
    q, v = sample(trajectory, t)
    return JointTrajectory(trajectory.joint_names, t, q, v)
