"""Is the robot clear of everything at a configuration: compiled, with the clearance as the answer.

A clearance is the smallest distance over all spheres less the margin asked of their link: negative means not allowed.
Along motions: :mod:`pickcell.motion.sweep`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.motion.chain import Chain, body_poses
from pickcell.motion.field import IGNORE, World, fixed_distance, least_distance, seen_distance
from pickcell.motion.model import Spheres

CEILING_M = 0.05
"""Clearances above this are not told apart: far links need no look at their spheres."""


class Margins(NamedTuple):
    """How far each link (group of spheres) must stay away, metres."""

    fixed: NDArray[np.float64]
    """(L,) from table and furniture."""
    seen: NDArray[np.float64]
    """(L,) from what the cameras saw."""
    own: NDArray[np.float64]
    """(P,) between the pairs of links of the robot."""


class Checker(NamedTuple):
    """All that a collision check needs."""

    chain: Chain
    spheres: Spheres
    world: World
    margins: Margins
    reach: NDArray[np.float64]
    """(n,) metres that a radian of each joint moves any sphere at most."""
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


@njit(cache=True, nogil=True)
def place_group(spheres, bodies, g, points):  # type: ignore[no-untyped-def]
    """Sphere centres of one link into their rows of ``points`` (N, 3)."""
    X = bodies[spheres.body[g]]
    for s in range(spheres.start[g], spheres.start[g + 1]):
        c = spheres.centre[s]
        for i in range(3):
            points[s, i] = X[i, 0] * c[0] + X[i, 1] * c[1] + X[i, 2] * c[2] + X[i, 3]


@njit(cache=True, nogil=True)
def _world_gap(spheres, world, points, g, m_fixed, m_seen, best):  # type: ignore[no-untyped-def]
    """Smallest clearance of a placed group from the world, or ``best`` when that is smaller. Stops below zero."""
    for s in range(spheres.start[g], spheres.start[g + 1]):
        x, y, z, r = points[s, 0], points[s, 1], points[s, 2], spheres.radius[s]
        best = min(best, least_distance(world, m_fixed, m_seen, best + r, x, y, z) - r)
        if best < 0.0:
            return best
    return best


@njit(cache=True, nogil=True)
def _pair_gap(spheres, points, balls, a, b, best):  # type: ignore[no-untyped-def]
    """Smallest gap between two placed groups, or ``best`` when that is smaller. Compares squares before any root."""
    bx, by, bz, br = balls[b, 0], balls[b, 1], balls[b, 2], spheres.ball[b, 3]
    for s in range(spheres.start[a], spheres.start[a + 1]):
        x, y, z, r = points[s, 0], points[s, 1], points[s, 2], spheres.radius[s]
        reach = max(r + br + best, 0.0)
        if (x - bx) ** 2 + (y - by) ** 2 + (z - bz) ** 2 >= reach * reach:
            continue
        for t in range(spheres.start[b], spheres.start[b + 1]):
            d2 = (x - points[t, 0]) ** 2 + (y - points[t, 1]) ** 2 + (z - points[t, 2]) ** 2
            reach = max(r + spheres.radius[t] + best, 0.0)
            if d2 < reach * reach:
                best = np.sqrt(d2) - r - spheres.radius[t]
    return best


@njit(cache=True, nogil=True)
def clearance(checker, q, bodies, points, placed):  # type: ignore[no-untyped-def]
    """Clearance (m, at most CEILING_M) at configuration ``q`` (n,); the first negative one found, if any.

    Scratch: ``bodies`` (B, 3, 4), ``points`` (N, 3), ``placed`` (L,) bool.
    """
    spheres, world, margins = checker.spheres, checker.world, checker.margins
    body_poses(checker.chain, q, bodies)
    groups = spheres.body.shape[0]
    balls = np.empty((groups, 3))
    best = CEILING_M
    for g in range(groups - 1, -1, -1):  # tip first: what collides most often
        X, c = bodies[spheres.body[g]], spheres.ball[g]
        for i in range(3):
            balls[g, i] = X[i, 0] * c[0] + X[i, 1] * c[1] + X[i, 2] * c[2] + X[i, 3]
        placed[g] = False
        m_fixed, m_seen = margins.fixed[g], margins.seen[g]
        x, y, z = balls[g, 0], balls[g, 1], balls[g, 2]
        if least_distance(world, m_fixed, m_seen, best + c[3], x, y, z) - c[3] < best:
            place_group(spheres, bodies, g, points)
            placed[g] = True
            best = _world_gap(spheres, world, points, g, m_fixed, m_seen, best)
            if best < 0.0:
                return best
    for p in range(spheres.pairs.shape[0]):
        a, b, m = spheres.pairs[p, 0], spheres.pairs[p, 1], margins.own[p]
        if m <= IGNORE:
            continue
        dx, dy, dz = balls[a, 0] - balls[b, 0], balls[a, 1] - balls[b, 1], balls[a, 2] - balls[b, 2]
        far = spheres.ball[a, 3] + spheres.ball[b, 3] + m + best
        if far > 0.0 and dx * dx + dy * dy + dz * dz < far * far:
            for g in (a, b):
                if not placed[g]:
                    place_group(spheres, bodies, g, points)
                    placed[g] = True
            best = min(best, _pair_gap(spheres, points, balls, a, b, best + m) - m)
            if best < 0.0:
                return best
    return best


@njit(cache=True, nogil=True)
def path_clearance(checker, qs):  # type: ignore[no-untyped-def]
    """Clearance (K,) at each of the configurations (K, n)."""
    bodies = np.empty((checker.chain.parent.shape[0], 3, 4))
    points, placed = np.empty((checker.spheres.radius.shape[0], 3)), np.zeros(checker.spheres.body.shape[0], np.bool_)
    out = np.empty(qs.shape[0])
    for k in range(qs.shape[0]):
        out[k] = clearance(checker, qs[k], bodies, points, placed)
    return out


@njit(cache=True, nogil=True)
def first_blocked(checker, qs):  # type: ignore[no-untyped-def]
    """Index of the first configuration of (K, n) that is not allowed, -1 when all are."""
    bodies = np.empty((checker.chain.parent.shape[0], 3, 4))
    points, placed = np.empty((checker.spheres.radius.shape[0], 3)), np.zeros(checker.spheres.body.shape[0], np.bool_)
    for k in range(qs.shape[0]):
        if clearance(checker, qs[k], bodies, points, placed) < 0.0:
            return k
    return -1


@njit(cache=True, nogil=True)
def group_clearances(checker, q, against_seen):  # type: ignore[no-untyped-def]
    """Distance (L,) of each link from the seen obstacles or from the furniture at ``q`` (n,), margins not deducted."""
    spheres = checker.spheres
    bodies, points = np.empty((checker.chain.parent.shape[0], 3, 4)), np.empty((spheres.radius.shape[0], 3))
    body_poses(checker.chain, q, bodies)
    out = np.full(spheres.body.shape[0], np.inf)
    for g in range(out.shape[0]):
        place_group(spheres, bodies, g, points)
        for s in range(spheres.start[g], spheres.start[g + 1]):
            x, y, z = points[s, 0], points[s, 1], points[s, 2]
            d = seen_distance(checker.world, x, y, z) if against_seen else fixed_distance(checker.world, x, y, z)
            out[g] = min(out[g], d - spheres.radius[s])
    return out


@njit(cache=True, nogil=True)
def pair_clearances(checker, q):  # type: ignore[no-untyped-def]
    """Gap (P,) between each pair of links that is checked, margins not deducted."""
    spheres = checker.spheres
    bodies, points = np.empty((checker.chain.parent.shape[0], 3, 4)), np.empty((spheres.radius.shape[0], 3))
    body_poses(checker.chain, q, bodies)
    balls = np.empty((spheres.body.shape[0], 3))
    for g in range(spheres.body.shape[0]):
        place_group(spheres, bodies, g, points)
        X, c = bodies[spheres.body[g]], spheres.ball[g]
        for i in range(3):
            balls[g, i] = X[i, 0] * c[0] + X[i, 1] * c[1] + X[i, 2] * c[2] + X[i, 3]
    out = np.empty(spheres.pairs.shape[0])
    for p in range(out.shape[0]):
        out[p] = _pair_gap(spheres, points, balls, spheres.pairs[p, 0], spheres.pairs[p, 1], 1e3)
    return out


@njit(cache=True, nogil=True)
def rigid_clearance(world, points, radius, m_fixed, m_seen, poses):  # type: ignore[no-untyped-def]
    """Clearance (K,) of spheres (M, 3), (M,) that are rigid to a frame, at each of its ``poses`` (K, 3, 4): the hand before
    any thought of the arm. Margins (M,) per sphere."""
    out = np.full(poses.shape[0], CEILING_M)
    for k in range(poses.shape[0]):
        X = poses[k]
        for s in range(points.shape[0]):
            p = points[s]
            x = X[0, 0] * p[0] + X[0, 1] * p[1] + X[0, 2] * p[2] + X[0, 3]
            y = X[1, 0] * p[0] + X[1, 1] * p[1] + X[1, 2] * p[2] + X[1, 3]
            z = X[2, 0] * p[0] + X[2, 1] * p[1] + X[2, 2] * p[2] + X[2, 3]
            d = min(fixed_distance(world, x, y, z) - m_fixed[s], seen_distance(world, x, y, z) - m_seen[s]) - radius[s]
            if d < out[k]:
                out[k] = d
                if d < 0.0:
                    break
    return out
