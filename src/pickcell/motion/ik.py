"""Inverse kinematics by Levenberg-Marquardt (Marquardt 1963; damped least squares, Wampler 1986), compiled, many seeds.

Joints at a limit that the step would push further out are frozen for that step, so limits are never left.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pickcell.motion.chain import frame_pose, jacobian

ROTATION_WEIGHT_M = 0.3  # metres of error that a radian counts as: about the lever of the wrist
TOLERANCE = 1e-7  # metres (and weighted radians): far below repeatability, so that dense solutions are smooth


@njit(cache=True, nogil=True)
def rotation_error(a, b, out):  # type: ignore[no-untyped-def]
    """Rotation vector (base axes) that turns pose ``a`` into pose ``b``, into ``out`` (3,)."""
    x = y = z = trace = 0.0
    for k in range(3):
        x += a[1, k] * b[2, k] - a[2, k] * b[1, k]
        y += a[2, k] * b[0, k] - a[0, k] * b[2, k]
        z += a[0, k] * b[1, k] - a[1, k] * b[0, k]
        trace += a[0, k] * b[0, k] + a[1, k] * b[1, k] + a[2, k] * b[2, k]
    s, c = 0.5 * np.sqrt(x * x + y * y + z * z), 0.5 * (trace - 1.0)
    if s > 1e-9:
        f = 0.5 * np.arctan2(s, c) / s
        out[0], out[1], out[2] = f * x, f * y, f * z
    elif c > 0.0:
        out[0], out[1], out[2] = 0.5 * x, 0.5 * y, 0.5 * z
    else:  # half a turn: the axis is not in the antisymmetric part; any fixed one leaves the saddle
        out[0], out[1], out[2] = a[0, 0] * np.pi, a[1, 0] * np.pi, a[2, 0] * np.pi


@njit(cache=True, nogil=True)
def _cholesky_solve(A, b):  # type: ignore[no-untyped-def]
    """Solve the symmetric positive definite system A x = b in place (x in ``b``)."""
    m = b.shape[0]
    for i in range(m):
        for j in range(i + 1):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            A[i, j] = np.sqrt(max(s, 1e-30)) if i == j else s / A[j, j]
    for i in range(m):
        s = b[i]
        for k in range(i):
            s -= A[i, k] * b[k]
        b[i] = s / A[i, i]
    for i in range(m - 1, -1, -1):
        s = b[i]
        for k in range(i + 1, m):
            s -= A[k, i] * b[k]
        b[i] = s / A[i, i]


@njit(cache=True, nogil=True)
def _error(target, pose, free_z, e):  # type: ignore[no-untyped-def]
    """Pose error (6,): metres, then weighted radians; in the tool's axes when ``free_z``, whose z part is then dropped."""
    rotation_error(pose, target, e[3:])
    if free_z:
        zx = pose[1, 2] * target[2, 2] - pose[2, 2] * target[1, 2]
        zy = pose[2, 2] * target[0, 2] - pose[0, 2] * target[2, 2]
        zz = pose[0, 2] * target[1, 2] - pose[1, 2] * target[0, 2]
        s = np.sqrt(zx * zx + zy * zy + zz * zz)
        c = pose[0, 2] * target[0, 2] + pose[1, 2] * target[1, 2] + pose[2, 2] * target[2, 2]
        if s > 1e-12:
            f = np.arctan2(s, c) / s
            e[3], e[4], e[5] = zx * f, zy * f, zz * f
        elif c > 0.0:
            e[3], e[4], e[5] = 0.0, 0.0, 0.0
        else:
            e[3], e[4], e[5] = np.pi * pose[0, 0], np.pi * pose[1, 0], np.pi * pose[2, 0]
        x, y, z = e[3], e[4], e[5]
        e[3] = pose[0, 0] * x + pose[1, 0] * y + pose[2, 0] * z
        e[4] = pose[0, 1] * x + pose[1, 1] * y + pose[2, 1] * z
        e[5] = 0.0
    total = 0.0
    for i in range(3):
        e[i] = target[i, 3] - pose[i, 3]
        e[3 + i] *= ROTATION_WEIGHT_M
        total += e[i] * e[i] + e[3 + i] * e[3 + i]
    return total


@njit(cache=True, nogil=True)
def _weighted_rows(J, pose, free_z, n):  # type: ignore[no-untyped-def]
    """Bring the angular rows of ``J`` to the axes and weight of :func:`_error`, in place."""
    for j in range(n):
        x, y, z = J[3, j], J[4, j], J[5, j]
        if free_z:
            J[3, j] = pose[0, 0] * x + pose[1, 0] * y + pose[2, 0] * z
            J[4, j] = pose[0, 1] * x + pose[1, 1] * y + pose[2, 1] * z
            J[5, j] = 0.0
        J[3, j] *= ROTATION_WEIGHT_M
        J[4, j] *= ROTATION_WEIGHT_M
        J[5, j] *= ROTATION_WEIGHT_M


@njit(cache=True, nogil=True)
def _step(J, e, q, lower, upper, damping, frozen, dq, A, b):  # type: ignore[no-untyped-def]
    """dq = J^T (J J^T + damping I)^-1 e, with joints frozen that sit at a limit and would move out of it."""
    n = q.shape[0]
    frozen[:] = False
    for _ in range(n):
        for r in range(6):
            for c in range(r + 1):
                s = 0.0
                for j in range(n):
                    if not frozen[j]:
                        s += J[r, j] * J[c, j]
                A[r, c] = s
            A[r, r] += damping
            b[r] = e[r]
        _cholesky_solve(A, b)
        again = False
        for j in range(n):
            dq[j] = 0.0
            if not frozen[j]:
                for r in range(6):
                    dq[j] += J[r, j] * b[r]
                if (q[j] <= lower[j] and dq[j] < 0.0) or (q[j] >= upper[j] and dq[j] > 0.0):
                    frozen[j] = True
                    again = True
        if not again:
            return


@njit(cache=True, nogil=True)
def solve_one(chain, body, local, target, q, lower, upper, free_z, iterations):  # type: ignore[no-untyped-def]
    """Move ``q`` (n,) in place until the frame reaches ``target`` (3, 4). True when it is within TOLERANCE."""
    n = q.shape[0]
    bodies = np.empty((chain.parent.shape[0], 3, 4))
    pose, J = np.empty((3, 4)), np.empty((6, n))
    e, e_next, A, b = np.empty(6), np.empty(6), np.empty((6, 6)), np.empty(6)
    dq, q_next, frozen = np.empty(n), np.empty(n), np.zeros(n, np.bool_)
    frame_pose(chain, body, local, q, bodies, pose)
    error, damping = _error(target, pose, free_z, e), 1e-3
    for _ in range(iterations):
        if error < TOLERANCE * TOLERANCE:
            return True
        jacobian(chain, body, n, bodies, pose, J)
        _weighted_rows(J, pose, free_z, n)
        while True:
            _step(J, e, q, lower, upper, damping, frozen, dq, A, b)
            biggest = 0.0
            for j in range(n):
                biggest = max(biggest, abs(dq[j]))
            scale = min(1.0, 0.6 / biggest) if biggest > 0.0 else 1.0
            for j in range(n):
                q_next[j] = min(max(q[j] + scale * dq[j], lower[j]), upper[j])
            frame_pose(chain, body, local, q_next, bodies, pose)
            error_next = _error(target, pose, free_z, e_next)
            if error_next < error:
                break
            damping *= 6.0
            if damping > 1e3:
                return False
        stalled = error_next > 0.999 * error
        q[:] = q_next
        e[:] = e_next
        error = error_next
        damping = max(damping * 0.15, 1e-10)
        if stalled:
            return False
    return error < TOLERANCE * TOLERANCE


@njit(cache=True, nogil=True)
def solve_batch(chain, body, local, targets, seeds, lower, upper, free_z, iterations):  # type: ignore[no-untyped-def]
    """Solve every target (T, 3, 4) from every one of its seeds (T, S, n). Returns (T, S, n) and success (T, S)."""
    q = seeds.copy()
    ok = np.zeros(seeds.shape[:2], np.bool_)
    for t in range(q.shape[0]):
        for s in range(q.shape[1]):
            ok[t, s] = solve_one(chain, body, local, targets[t], q[t, s], lower, upper, free_z[t], iterations)
    return q, ok


@njit(cache=True, nogil=True)
def nearest_seeds(poses, targets, free_z, count):  # type: ignore[no-untyped-def]
    """Indices (T, count) of the stored poses (M, 3, 4) closest to each target, best first."""
    out = np.zeros((targets.shape[0], count), np.int64)
    cost = np.empty(poses.shape[0])
    for t in range(targets.shape[0]):
        X = targets[t]
        for m in range(poses.shape[0]):
            P = poses[m]
            d = np.sqrt((P[0, 3] - X[0, 3]) ** 2 + (P[1, 3] - X[1, 3]) ** 2 + (P[2, 3] - X[2, 3]) ** 2)
            dot = P[0, 2] * X[0, 2] + P[1, 2] * X[1, 2] + P[2, 2] * X[2, 2]
            if not free_z[t]:
                dot += P[0, 0] * X[0, 0] + P[1, 0] * X[1, 0] + P[2, 0] * X[2, 0] - 1.0
            cost[m] = d + 0.25 * (1.0 - dot)
        for k in range(count):
            best = np.argmin(cost)
            out[t, k] = best
            cost[best] = np.inf
    return out


@njit(cache=True, nogil=True)
def follow_line(chain, body, local, q0, direction, step, count, jump, lower, upper):  # type: ignore[no-untyped-def]
    """Configurations (K, n), K <= count + 1, whose frame moves along ``direction`` (3,) by ``step`` metres each, orientation
    kept, from ``q0``. Ends early where a joint limit, a singularity or a jump of more than ``jump`` rad stops it."""
    n = q0.shape[0]
    out = np.empty((count + 1, n))
    out[0] = q0
    bodies, pose = np.empty((chain.parent.shape[0], 3, 4)), np.empty((3, 4))
    frame_pose(chain, body, local, q0, bodies, pose)
    target = pose.copy()
    for k in range(1, count + 1):
        for i in range(3):
            target[i, 3] = pose[i, 3] + k * step * direction[i]
        out[k] = out[k - 1]
        if k > 1:  # start from the linear prediction: fewer iterations and a smoother sequence
            for j in range(n):
                out[k, j] = min(max(2.0 * out[k - 1, j] - out[k - 2, j], lower[j]), upper[j])
        if not solve_one(chain, body, local, target, out[k], lower, upper, False, 30):
            return out[:k]
        for j in range(n):
            if abs(out[k, j] - out[k - 1, j]) > jump:
                return out[:k]
    return out
