"""Is a motion clear all along? Conservative advancement, each link and each pair of links at its own pace: compiled.

Between two checks of a link none of its spheres moves further than the clearance found plus STEP_SLACK_M, so nothing
thin is jumped over (Schwarzer, Saha, Latombe, Adaptive Dynamic Collision Checking, 2005). What moves little, or far from
everything, is looked at once or twice while the fingertips are followed closely.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.motion.chain import PRISMATIC, body_poses
from pickcell.motion.checking import CEILING_M
from pickcell.motion.field import IGNORE, least_distance

STEP_SLACK_M = 0.008
"""Motion allowed beyond the clearance found: no sphere goes deeper than that into its margin, and mostly half as deep."""
FAR_M = 0.15
"""Above this nobody needs to know how far something is."""
ROUGH_M = 0.02
"""A link whose bounding ball is clear by more is not looked at sphere by sphere."""
SOON = 0.3
"""What is due within this share of its step is looked at now: one set of forward kinematics serves all."""


@njit(cache=True, nogil=True)
def _at(bodies, b, x, y, z):  # type: ignore[no-untyped-def]
    """The point (x, y, z) of body ``b`` in base_link."""
    return (
        bodies[b, 0, 0] * x + bodies[b, 0, 1] * y + bodies[b, 0, 2] * z + bodies[b, 0, 3],
        bodies[b, 1, 0] * x + bodies[b, 1, 1] * y + bodies[b, 1, 2] * z + bodies[b, 1, 3],
        bodies[b, 2, 0] * x + bodies[b, 2, 1] * y + bodies[b, 2, 2] * z + bodies[b, 2, 3],
    )


@njit(cache=True, nogil=True)
def _place(centres, first, last, bodies, b, out):  # type: ignore[no-untyped-def]
    """Rows ``first`` to ``last`` of centres in body ``b`` to base_link, into the same rows of ``out``."""
    for s in range(first, last):
        out[s, 0], out[s, 1], out[s, 2] = _at(bodies, b, centres[s, 0], centres[s, 1], centres[s, 2])


class Scratch(NamedTuple):
    """Where the spheres are at the configuration that is being looked at, as far as they have been placed."""

    centres: NDArray[np.float64]
    """(L, 3) of the links' balls."""
    balls: NDArray[np.float64]
    """(C, 3) centres of clusters."""
    points: NDArray[np.float64]
    """(N, 3) centres of spheres."""
    has_balls: NDArray[np.bool_]
    """(L,)"""
    has_points: NDArray[np.bool_]
    """(C,)"""


@njit(cache=True, nogil=True)
def _scratch(spheres):  # type: ignore[no-untyped-def]
    clusters = spheres.cluster_ball.shape[0]
    return Scratch(
        np.empty((spheres.body.shape[0], 3)),
        np.empty((clusters, 3)),
        np.empty((spheres.radius.shape[0], 3)),
        np.zeros(spheres.body.shape[0], np.bool_),
        np.zeros(clusters, np.bool_),
    )


@njit(cache=True, nogil=True)
def _refined_link(world, m_fixed, m_seen, first, last, shape, placed, bodies, b):  # type: ignore[no-untyped-def]
    """Clearance of the clusters ``first`` to ``last`` of body ``b`` from the world, at most CEILING_M; stops below 0."""
    cluster_ball, cluster_start, centre, radius = shape
    balls, points, has_points = placed
    best = CEILING_M
    for k in range(first, last):
        r = cluster_ball[k, 3]
        if least_distance(world, m_fixed, m_seen, best + r, balls[k, 0], balls[k, 1], balls[k, 2]) - r > best:
            continue
        if not has_points[k]:
            _place(centre, cluster_start[k], cluster_start[k + 1], bodies, b, points)
            has_points[k] = True
        for s in range(cluster_start[k], cluster_start[k + 1]):
            r = radius[s]
            best = min(best, least_distance(world, m_fixed, m_seen, best + r, points[s, 0], points[s, 1], points[s, 2]) - r)
            if best < 0.0:
                return best
    return best


@njit(cache=True, nogil=True)
def _refined_pair(m, of_a, of_b, shape, placed, bodies, a, b):  # type: ignore[no-untyped-def]
    """Gap less ``m`` of the clusters ``of_a`` of body ``a`` to ``of_b`` of body ``b``, at most CEILING_M; stops below 0."""
    cluster_ball, start, centre, radius = shape
    balls, points, has_points = placed
    best = CEILING_M + m
    for k in range(of_a[0], of_a[1]):
        x, y, z, r = balls[k, 0], balls[k, 1], balls[k, 2], cluster_ball[k, 3]
        for n in range(of_b[0], of_b[1]):
            reach = r + cluster_ball[n, 3] + best
            if (x - balls[n, 0]) ** 2 + (y - balls[n, 1]) ** 2 + (z - balls[n, 2]) ** 2 > reach * reach:
                continue
            if not has_points[k]:
                _place(centre, start[k], start[k + 1], bodies, a, points)
                has_points[k] = True
            if not has_points[n]:
                _place(centre, start[n], start[n + 1], bodies, b, points)
                has_points[n] = True
            for s in range(start[k], start[k + 1]):
                px, py, pz, pr = points[s, 0], points[s, 1], points[s, 2], radius[s]
                for t in range(start[n], start[n + 1]):
                    d2 = (px - points[t, 0]) ** 2 + (py - points[t, 1]) ** 2 + (pz - points[t, 2]) ** 2
                    reach = max(pr + radius[t] + best, 0.0)
                    if d2 < reach * reach:
                        best = np.sqrt(d2) - pr - radius[t]
            if best < m:
                return best - m
    return best - m


@njit(cache=True, nogil=True)
def _look(checker, bodies, wanted, scratch, gaps):  # type: ignore[no-untyped-def]
    """Clearances of the ``wanted`` (L + P,) links and pairs into ``gaps``; lower bounds of them above ROUGH_M. False, and
    the rest left out, as soon as one is negative.

    All in one function: taking an array out of the checker counts a reference, which costs more than a look at a ball.
    """
    spheres, world = checker.spheres, checker.world
    m_fixed, m_seen, m_own = checker.margins.fixed, checker.margins.seen, checker.margins.own
    body, ball, cluster, pairs = spheres.body, spheres.ball, spheres.cluster, spheres.pairs
    cluster_ball = spheres.cluster_ball
    shape = (cluster_ball, spheres.cluster_start, spheres.centre, spheres.radius)
    centres, balls, has_balls = scratch.centres, scratch.balls, scratch.has_balls
    placed = (balls, scratch.points, scratch.has_points)
    links = body.shape[0]
    for g in range(links):
        centres[g, 0], centres[g, 1], centres[g, 2] = _at(bodies, body[g], ball[g, 0], ball[g, 1], ball[g, 2])
        has_balls[g] = False
    scratch.has_points[:] = False
    for k in range(links + pairs.shape[0] - 1, -1, -1):  # tip first: what collides most often
        if not wanted[k]:
            continue
        if k < links:
            g = k
            gap = (
                least_distance(world, m_fixed[g], m_seen[g], FAR_M, centres[g, 0], centres[g, 1], centres[g, 2]) - ball[g, 3]
            )
            if gap <= ROUGH_M:
                if not has_balls[g]:
                    _place(cluster_ball, cluster[g], cluster[g + 1], bodies, body[g], balls)
                    has_balls[g] = True
                gap = _refined_link(world, m_fixed[g], m_seen[g], cluster[g], cluster[g + 1], shape, placed, bodies, body[g])
        else:
            m, g, h = m_own[k - links], pairs[k - links, 0], pairs[k - links, 1]
            gap = (centres[g, 0] - centres[h, 0]) ** 2 + (centres[g, 1] - centres[h, 1]) ** 2
            gap = np.sqrt(gap + (centres[g, 2] - centres[h, 2]) ** 2) - ball[g, 3] - ball[h, 3] - m
            if gap <= ROUGH_M:
                for one in (g, h):
                    if not has_balls[one]:
                        _place(cluster_ball, cluster[one], cluster[one + 1], bodies, body[one], balls)
                        has_balls[one] = True
                of_g, of_h = (cluster[g], cluster[g + 1]), (cluster[h], cluster[h + 1])
                gap = _refined_pair(m, of_g, of_h, shape, placed, bodies, body[g], body[h])
        gaps[k] = gap
        if gap < 0.0:
            return False
    return True


@njit(cache=True, nogil=True)
def _bounds(checker, dq, travel, bend):  # type: ignore[no-untyped-def]
    """Of each link, and each pair against each other, into (L + P,) each: how far it moves over ``dq`` (n,) at most, and how
    much its velocity may change on the way.

    A second derivative of a point by two joints is at most its distance from the axis of the one nearer the tip.
    """
    links, swings, pair_swings = checker.spheres.body.shape[0], checker.spheres.swing, checker.spheres.pair_swing
    for k in range(travel.shape[0]):
        travel[k], bend[k], before = 0.0, 0.0, 0.0
        for j in range(dq.shape[0]):
            swing, turn = swings[k, j] if k < links else pair_swings[k - links, j], abs(dq[j])
            if swing > 0.0:
                travel[k] += swing * turn
                bend[k] += swing * turn * (turn + 2.0 * before)
                before += turn


@njit(cache=True, nogil=True)
def _watched(margins, out):  # type: ignore[no-untyped-def]
    """Which links and pairs are to be checked at all, into ``out`` (L + P,)."""
    fixed, seen, own = margins.fixed, margins.seen, margins.own
    links = fixed.shape[0]
    for k in range(out.shape[0]):
        out[k] = (fixed[k] > IGNORE or seen[k] > IGNORE) if k < links else own[k - links] > IGNORE


@njit(cache=True, nogil=True)
def _twists(chain, bodies, dq, out):  # type: ignore[no-untyped-def]
    """Angular velocity, and velocity of the origin, of every body (B, 2, 3) when joints move by ``dq`` (n,) in unit time."""
    out[0] = 0.0
    for b in range(1, chain.parent.shape[0]):
        X, P, u, w = bodies[b], bodies[chain.parent[b]], out[b], out[chain.parent[b]]
        d0, d1, d2 = X[0, 3] - P[0, 3], X[1, 3] - P[1, 3], X[2, 3] - P[2, 3]
        u[0] = w[0]
        u[1, 0] = w[1, 0] + w[0, 1] * d2 - w[0, 2] * d1
        u[1, 1] = w[1, 1] + w[0, 2] * d0 - w[0, 0] * d2
        u[1, 2] = w[1, 2] + w[0, 0] * d1 - w[0, 1] * d0
        a, moved = chain.axis[b], dq[chain.joint[b]]
        for i in range(3):
            axis = X[i, 0] * a[0] + X[i, 1] * a[1] + X[i, 2] * a[2]
            u[1 if chain.kind[b] == PRISMATIC else 0, i] += axis * moved


@njit(cache=True, nogil=True)
def _speeds(spheres, bodies, twists, wanted, out):  # type: ignore[no-untyped-def]
    """Upper bounds of the speed of any sphere of the ``wanted`` links, and of the farther link of a pair as seen from the
    nearer, into ``out`` (L + P,)."""
    body, ball, pairs = spheres.body, spheres.ball, spheres.pairs
    links = body.shape[0]
    for k in range(out.shape[0]):
        if not wanted[k]:
            continue
        g, o = k, 0
        if k >= links:
            g, a = pairs[k - links, 0], pairs[k - links, 1]
            if body[a] > body[g]:
                g, a = a, g
            o = body[a]
        b = body[g]
        px = bodies[b, 0, 0] * ball[g, 0] + bodies[b, 0, 1] * ball[g, 1] + bodies[b, 0, 2] * ball[g, 2]
        py = bodies[b, 1, 0] * ball[g, 0] + bodies[b, 1, 1] * ball[g, 1] + bodies[b, 1, 2] * ball[g, 2]
        pz = bodies[b, 2, 0] * ball[g, 0] + bodies[b, 2, 1] * ball[g, 1] + bodies[b, 2, 2] * ball[g, 2]
        qx, qy, qz = (
            px + bodies[b, 0, 3] - bodies[o, 0, 3],
            py + bodies[b, 1, 3] - bodies[o, 1, 3],
            pz + bodies[b, 2, 3] - bodies[o, 2, 3],
        )
        ux, uy, uz, wx, wy, wz = (
            twists[b, 0, 0],
            twists[b, 0, 1],
            twists[b, 0, 2],
            twists[o, 0, 0],
            twists[o, 0, 1],
            twists[o, 0, 2],
        )
        vx = twists[b, 1, 0] + uy * pz - uz * py - twists[o, 1, 0] - wy * qz + wz * qy
        vy = twists[b, 1, 1] + uz * px - ux * pz - twists[o, 1, 1] - wz * qx + wx * qz
        vz = twists[b, 1, 2] + ux * py - uy * px - twists[o, 1, 2] - wx * qy + wy * qx
        spin = np.sqrt((ux - wx) ** 2 + (uy - wy) ** 2 + (uz - wz) ** 2)
        out[k] = np.sqrt(vx * vx + vy * vy + vz * vz) + spin * ball[g, 3]


@njit(cache=True, nogil=True)
def _share(room, speed, travel, bend):  # type: ignore[no-untyped-def]
    """Share of the motion in which nothing moves further than ``room``: from the speed now and its greatest change, or from
    the greatest speed anywhere."""
    if travel <= room:
        return 1.0
    if speed >= travel or bend <= 0.0:
        return room / max(travel, speed)
    return max(room / travel, (np.sqrt(speed * speed + 2.0 * bend * room) - speed) / bend)


@njit(cache=True, nogil=True)
def edge_free(checker, a, b):  # type: ignore[no-untyped-def]
    """True when the straight joint motion from ``a`` (excluded) to ``b`` (included) is allowed all along."""
    spheres, chain = checker.spheres, checker.chain
    n, count = a.shape[0], spheres.body.shape[0] + spheres.pairs.shape[0]
    bodies, twists = np.empty((chain.parent.shape[0], 3, 4)), np.empty((chain.parent.shape[0], 2, 3))
    scratch, wanted = _scratch(spheres), np.empty(count, np.bool_)
    travel, bend, gaps, speeds = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    due, end, step = np.zeros(count), np.full(count, -1.0), np.zeros(count)
    dq, q = b - a, np.empty(n)
    _bounds(checker, dq, travel, bend)
    _watched(checker.margins, wanted)
    body_poses(chain, b, bodies)
    if not _look(checker, bodies, wanted, scratch, gaps):
        return False
    _twists(chain, bodies, dq, twists)
    _speeds(spheres, bodies, twists, wanted, speeds)
    for k in range(count):
        if wanted[k]:  # from here on the clearance at b covers the rest
            end[k] = 1.0 - _share(gaps[k] + STEP_SLACK_M, speeds[k], travel[k], bend[k])
    s, first = 0.0, True
    while s <= 1.0:
        for j in range(n):
            q[j] = a[j] + s * dq[j]
        body_poses(chain, q, bodies)
        for k in range(count):
            wanted[k] = due[k] < end[k] and due[k] - s <= SOON * step[k]
            gaps[k] = 0.0
        if not _look(checker, bodies, wanted, scratch, gaps) and not first:
            return False
        _twists(chain, bodies, dq, twists)
        _speeds(spheres, bodies, twists, wanted, speeds)
        first, ahead = False, 2.0
        for k in range(count):
            if wanted[k]:
                step[k] = _share(max(gaps[k], 0.0) + STEP_SLACK_M, speeds[k], travel[k], bend[k])
                due[k] = s + step[k]
            if due[k] < end[k]:
                ahead = min(ahead, due[k])
        s = ahead
    return True


@njit(cache=True, nogil=True)
def samples_free(checker, qs):  # type: ignore[no-untyped-def]
    """True when the motion through the dense configurations (K, n) is allowed; the first and the last are checked, and
    consecutive ones must be a small motion apart."""
    spheres, chain = checker.spheres, checker.chain
    count = spheres.body.shape[0] + spheres.pairs.shape[0]
    bodies, scratch = np.empty((chain.parent.shape[0], 3, 4)), _scratch(spheres)
    watched, wanted, gaps = np.empty(count, np.bool_), np.empty(count, np.bool_), np.empty(count)
    travel, bend, left = np.empty(count), np.empty(count), np.full(count, -1.0)
    _watched(checker.margins, watched)
    last = qs.shape[0] - 1
    for i in range(qs.shape[0]):
        if i > 0:
            _bounds(checker, qs[i] - qs[i - 1], travel, bend)
        some = False
        for k in range(count):
            if i > 0:
                left[k] -= travel[k]
            wanted[k] = watched[k] and (left[k] < 0.0 or i == last)
            some = some or wanted[k]
        if some:
            body_poses(chain, qs[i], bodies)
            if not _look(checker, bodies, wanted, scratch, gaps):
                return False
            for k in range(count):
                if wanted[k]:
                    left[k] = gaps[k] + STEP_SLACK_M
    return True
