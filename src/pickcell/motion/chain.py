"""Forward kinematics and Jacobians of a tree of rigid bodies, compiled. Poses are (3, 4) blocks [R | p] in ``base_link``.

Links that do not move against each other are one body; body 0 is the base. A configuration is the vector of all moving
joints: the arm's n first, then the hand's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

REVOLUTE = 0
PRISMATIC = 1


class Chain(NamedTuple):
    """A tree of bodies, each after its parent."""

    parent: NDArray[np.int64]
    """(B,) body that carries this one; -1 for body 0."""
    joint: NDArray[np.int64]
    """(B,) index into the configuration; -1 for body 0."""
    kind: NDArray[np.int64]
    """(B,) REVOLUTE or PRISMATIC."""
    offset: NDArray[np.float64]
    """(B, 3, 4) body in its parent at joint position 0."""
    axis: NDArray[np.float64]
    """(B, 3) unit joint axis in the body."""


@njit(cache=True, nogil=True)
def compose(a, b, out):  # type: ignore[no-untyped-def]
    """out = a b for (3, 4) poses; ``out`` must be neither of them."""
    for i in range(3):
        for j in range(4):
            s = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]
            out[i, j] = s + a[i, 3] if j == 3 else s


@njit(cache=True, nogil=True)
def body_poses(chain, q, out):  # type: ignore[no-untyped-def]
    """Poses of all bodies at configuration ``q`` into ``out`` (B, 3, 4). Rodrigues' formula turns each revolute joint."""
    out[0] = chain.offset[0]
    for b in range(1, chain.parent.shape[0]):
        P, X, a = out[chain.parent[b]], chain.offset[b], chain.axis[b]
        M = out[b]
        compose(P, X, M)
        value = q[chain.joint[b]]
        if chain.kind[b] == PRISMATIC:
            for i in range(3):
                M[i, 3] += value * (M[i, 0] * a[0] + M[i, 1] * a[1] + M[i, 2] * a[2])
        elif a[2] == 1.0:  # as nearly all arms are described
            s, c = np.sin(value), np.cos(value)
            for i in range(3):
                u, v = M[i, 0], M[i, 1]
                M[i, 0], M[i, 1] = c * u + s * v, c * v - s * u
        else:
            s, c = np.sin(value), np.cos(value)
            t = 1.0 - c
            x, y, z = a[0], a[1], a[2]
            r00, r01, r02 = c + x * x * t, x * y * t - z * s, x * z * t + y * s
            r10, r11, r12 = y * x * t + z * s, c + y * y * t, y * z * t - x * s
            r20, r21, r22 = z * x * t - y * s, z * y * t + x * s, c + z * z * t
            for i in range(3):
                u, v, w = M[i, 0], M[i, 1], M[i, 2]
                M[i, 0] = u * r00 + v * r10 + w * r20
                M[i, 1] = u * r01 + v * r11 + w * r21
                M[i, 2] = u * r02 + v * r12 + w * r22


@njit(cache=True, nogil=True)
def frame_pose(chain, body, local, q, bodies, out):  # type: ignore[no-untyped-def]
    """Pose of the frame fixed at ``local`` (3, 4) in ``body``; ``bodies`` (B, 3, 4) is scratch and keeps all poses."""
    body_poses(chain, q, bodies)
    compose(bodies[body], local, out)


@njit(cache=True, nogil=True)
def jacobian(chain, body, n, bodies, pose, out):  # type: ignore[no-untyped-def]
    """Geometric Jacobian (6, n) of a frame at ``pose`` fixed to ``body``: linear over angular velocity, in base_link.

    ``bodies`` are the poses at the configuration; only the first ``n`` joints (the arm's) get a column.
    """
    out[:] = 0.0
    b = body
    while b > 0:
        j = chain.joint[b]
        if j < n:
            a, B = chain.axis[b], bodies[b]
            wx = B[0, 0] * a[0] + B[0, 1] * a[1] + B[0, 2] * a[2]
            wy = B[1, 0] * a[0] + B[1, 1] * a[1] + B[1, 2] * a[2]
            wz = B[2, 0] * a[0] + B[2, 1] * a[1] + B[2, 2] * a[2]
            if chain.kind[b] == PRISMATIC:
                out[0, j], out[1, j], out[2, j] = wx, wy, wz
            else:
                dx, dy, dz = pose[0, 3] - B[0, 3], pose[1, 3] - B[1, 3], pose[2, 3] - B[2, 3]
                out[0, j] = wy * dz - wz * dy
                out[1, j] = wz * dx - wx * dz
                out[2, j] = wx * dy - wy * dx
                out[3, j], out[4, j], out[5, j] = wx, wy, wz
        b = chain.parent[b]


@njit(cache=True, nogil=True)
def frame_poses(chain, body, local, qs):  # type: ignore[no-untyped-def]
    """Poses (K, 3, 4) of one frame along configurations ``qs`` (K, n)."""
    out = np.empty((qs.shape[0], 3, 4))
    bodies = np.empty((chain.parent.shape[0], 3, 4))
    for k in range(qs.shape[0]):
        frame_pose(chain, body, local, qs[k], bodies, out[k])
    return out
