"""RRT-Connect (Kuffner & LaValle 2000) with several goals, then shortcutting (Geraerts & Overmars 2007): compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from pickcell.motion.sweep import edge_free


@njit(cache=True, nogil=True)
def _nearest(nodes, count, q, weight):  # type: ignore[no-untyped-def]
    best, index = np.inf, 0
    for k in range(count):
        d = 0.0
        for j in range(q.shape[0]):
            d += (weight[j] * (nodes[k, j] - q[j])) ** 2
        if d < best:
            best, index = d, k
    return index, np.sqrt(best)


@njit(cache=True, nogil=True)
def _trace(nodes, parent, index, n):  # type: ignore[no-untyped-def]
    """Nodes from ``index`` to its tree's root, and the root's index."""
    count, k, root = 1, index, index
    while parent[k] >= 0:
        count += 1
        k = parent[k]
    out = np.empty((count, n))
    k = index
    for i in range(count):
        out[i] = nodes[k]
        root = k
        k = parent[k]
    return out, root


@njit(cache=True, nogil=True)
def _toward(q_from, q_to, distance, step, out):  # type: ignore[no-untyped-def]
    f = min(1.0, step / distance) if distance > 0.0 else 1.0
    for j in range(q_from.shape[0]):
        out[j] = q_from[j] + f * (q_to[j] - q_from[j])
    return f >= 1.0


@njit(cache=True, nogil=True)
def _at_once(checker, start, goals, guides):  # type: ignore[no-untyped-def]
    """A path straight to a goal, or over one of ``guides`` (K, n), and the goal's index; (0, n) and -1 if there is none."""
    n = start.shape[0]
    for g in range(goals.shape[0]):
        if edge_free(checker, start, goals[g]):
            out = np.empty((2, n))
            out[0], out[1] = start, goals[g]
            return out, g
    for k in range(guides.shape[0]):
        if edge_free(checker, start, guides[k]):
            for g in range(goals.shape[0]):
                if edge_free(checker, guides[k], goals[g]):
                    out = np.empty((3, n))
                    out[0], out[1], out[2] = start, guides[k], goals[g]
                    return out, g
    return np.empty((0, n)), -1


@njit(cache=True, nogil=True)
def rrt_connect(checker, start, goals, guides, max_nodes, step, seed):  # type: ignore[no-untyped-def]
    """A path (K, n) from ``start`` (n,) to one of ``goals`` (G, n), best tried first, and the goal's index; (0, n) and -1
    when none was found with ``max_nodes`` nodes per tree. ``guides`` (K, n): over which to try to pass before searching at
    random. ``step``: metres of robot motion per extension."""
    n = start.shape[0]
    path, which = _at_once(checker, start, goals, guides)
    if which >= 0:
        return path, which
    np.random.seed(seed)
    weight = checker.reach
    samples = 4 * max_nodes
    max_nodes = max(max_nodes, goals.shape[0])
    nodes = np.empty((2, max_nodes, n))
    parent = np.full((2, max_nodes), -1)
    count = np.array([1, goals.shape[0]])
    nodes[0, 0] = start
    for g in range(goals.shape[0]):
        nodes[1, g] = goals[g]
    sample, new = np.empty(n), np.empty(n)
    a = 0
    for _ in range(samples):
        b = 1 - a
        for j in range(n):
            sample[j] = checker.lower[j] + np.random.random() * (checker.upper[j] - checker.lower[j])
        near, d = _nearest(nodes[a], count[a], sample, weight)
        _toward(nodes[a, near], sample, d, step, new)
        if count[a] < max_nodes and edge_free(checker, nodes[a, near], new):
            nodes[a, count[a]] = new
            parent[a, count[a]] = near
            tip_a = count[a]
            count[a] += 1
            tip_b, d = _nearest(nodes[b], count[b], nodes[a, tip_a], weight)
            while True:
                arrived = _toward(nodes[b, tip_b], nodes[a, tip_a], d, step, new)
                if count[b] >= max_nodes or not edge_free(checker, nodes[b, tip_b], new):
                    break
                if arrived:
                    tip_s, tip_g = (tip_a, tip_b) if a == 0 else (tip_b, tip_a)
                    head, _ = _trace(nodes[0], parent[0], tip_s, n)
                    tail, root = _trace(nodes[1], parent[1], tip_g, n)
                    out = np.empty((head.shape[0] + tail.shape[0], n))
                    for k in range(head.shape[0]):
                        out[k] = head[head.shape[0] - 1 - k]
                    out[head.shape[0] :] = tail
                    return out, root
                nodes[b, count[b]] = new
                parent[b, count[b]] = tip_b
                tip_b = count[b]
                count[b] += 1
                d = 0.0
                for j in range(n):
                    d += (weight[j] * (nodes[b, tip_b, j] - nodes[a, tip_a, j])) ** 2
                d = np.sqrt(d)
        if count[0] >= max_nodes and count[1] >= max_nodes:
            break
        a = b
    return np.empty((0, n)), -1


@njit(cache=True, nogil=True)
def _length(path, weight):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(path.shape[0] - 1):
        d = 0.0
        for j in range(path.shape[1]):
            d += (weight[j] * (path[k + 1, j] - path[k, j])) ** 2
        total += np.sqrt(d)
    return total


@njit(cache=True, nogil=True)
def _skipping(checker, path):  # type: ignore[no-untyped-def]
    """The path less the vertices that need not be visited: from each, straight to the furthest that can be reached."""
    out = path.copy()
    count, i, last = 1, 0, path.shape[0] - 1
    while i < last:
        j = last
        while j > i + 1 and not edge_free(checker, path[i], path[j]):
            j -= 1
        out[count] = path[j]
        count += 1
        i = j
    return out[:count].copy()


@njit(cache=True, nogil=True)
def shortcut(checker, path, tries, seed):  # type: ignore[no-untyped-def]
    """Leave out what need not be visited, then replace pieces between two random points of the path by straight motions
    where those are free and shorter."""
    np.random.seed(seed)
    n = path.shape[1]
    path = _skipping(checker, path)
    a, b = np.empty(n), np.empty(n)
    for _ in range(tries):
        k = path.shape[0]
        if k <= 2:
            break
        i, j = np.random.randint(0, k - 1), np.random.randint(0, k - 1)
        if i > j:
            i, j = j, i
        if i == j:
            continue
        f, g = np.random.random(), np.random.random()
        if np.random.random() < 0.3:  # vertex to vertex: removes whole corners
            f, g = 0.0, 1.0
        a[:] = path[i] + f * (path[i + 1] - path[i])
        b[:] = path[j] + g * (path[j + 1] - path[j])
        if not edge_free(checker, a, b):
            continue
        new = np.empty((i + 1 + 2 + (k - j - 1), n))
        new[: i + 1] = path[: i + 1]
        new[i + 1], new[i + 2] = a, b
        new[i + 3 :] = path[j + 1 :]
        if _length(new, checker.reach) < _length(path, checker.reach) - 1e-6:
            path = _without_repeats(new)
    return path


@njit(cache=True, nogil=True)
def _without_repeats(path):  # type: ignore[no-untyped-def]
    keep = np.ones(path.shape[0], np.bool_)
    last = 0
    for k in range(1, path.shape[0]):
        d = 0.0
        for j in range(path.shape[1]):
            d = max(d, abs(path[k, j] - path[last, j]))
        if d < 1e-7 and k < path.shape[0] - 1:
            keep[k] = False
        else:
            last = k
    return path[keep]
