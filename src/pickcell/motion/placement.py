"""Where in a tote a held item fits: lowest, flattest, nearest place for its footprint, from the tote's height map.

The item's underside is sunk onto the map for every place and yaw (a max-plus correlation): the height at which it first
touches, and how hollow it then stands. Cells nobody has seen are avoided; small holes in the map are closed first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import correlate, maximum_filter

from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell.motion.config import PlaceConfig
from pickcell.values import HeightMap

Array = NDArray[np.float64]

ON_TOP_M = 0.006
"""A cell of the map shows an item when it is not this much higher than the item's surface there."""
HOLE_CELLS = 2
"""Unseen holes up to twice this wide (cells) take the height of their highest neighbour."""


@dataclass(frozen=True)
class Places:
    """Ranked places for an item, best first."""

    X_base_tcp: Array
    """(K, 4, 4) tool at release."""
    cost: Array
    """(K,) metres, see PlaceConfig."""
    note: str = ""
    """Why these are not what they should be; empty when they are."""


def upright(R: Array) -> Array:
    """The rotation (3, 3) nearest to ``R`` whose z axis points straight down: a tool that hangs vertically."""
    down = np.array([0.0, 0.0, -1.0])
    axis = np.cross(R[:, 2], down)
    s, c = float(np.linalg.norm(axis)), float(R[:, 2] @ down)
    if s < 1e-9:
        return R if c > 0 else R @ np.diag([1.0, -1.0, -1.0])
    k = axis / s
    K = np.array([[0.0, -k[2], k[1]], [k[2], 0.0, -k[0]], [-k[1], k[0], 0.0]])
    return np.asarray((np.eye(3) + s * K + (1.0 - c) * (K @ K)) @ R)


def aligned_yaw(xy: Array) -> float:
    """Turn (rad) about z that lays the smallest rectangle around the points (N, 2) along the axes, in -pi/4..pi/4."""
    angles = np.deg2rad(np.arange(0.0, 90.0, 3.0))
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    u, v = c * xy[:, 0] - s * xy[:, 1], s * xy[:, 0] + c * xy[:, 1]
    area = np.ptp(u, axis=1) * np.ptp(v, axis=1)
    best = float(angles[int(np.argmin(area))])
    return best if best <= np.pi / 4 else best - np.pi / 2


def coarse_heights(heightmap: HeightMap, cell_m: float) -> tuple[Array, float]:
    """The map (nx, ny) at about ``cell_m`` by its cells' maximum, holes closed, NaN where unseen; and the cell size."""
    h = np.asarray(heightmap.height_m, dtype=float)
    factor = max(1, round(cell_m / heightmap.resolution_m))
    nx, ny = (max(1, n // factor) for n in h.shape)
    h = h[: nx * factor, : ny * factor] if min(h.shape) >= factor else h[:1, :1]
    blocks = h.reshape(nx, factor, ny, factor)
    unseen = np.isnan(blocks).mean(axis=(1, 3)) > 0.5
    out = np.where(np.isnan(blocks), -np.inf, blocks).max(axis=(1, 3))
    out[unseen | ~np.isfinite(out)] = np.nan
    for _ in range(HOLE_CELLS):
        holes = np.isnan(out)
        if not holes.any() or holes.all():
            break
        filled = highest_around(out)
        crowded = correlate((~holes).astype(float), np.ones((3, 3)), mode="constant")
        out = np.where(holes & (crowded >= 5) & np.isfinite(filled), filled, out)
    return out, factor * heightmap.resolution_m


def highest_around(heights: Array) -> Array:
    """The highest seen of each cell and its eight neighbours (nx, ny); -inf where none of them is seen."""
    return np.asarray(maximum_filter(np.where(np.isnan(heights), -np.inf, heights), size=3, mode="nearest"))


def grown_over_unseen(heights: Array) -> Array:
    """The map (nx, ny), of which something is seen, with every unseen cell as high as the highest of the nearest seen ones:
    what hides a place is likely to stand beside it."""
    out = np.array(heights)
    while np.isnan(out).any():
        grown = highest_around(out)
        out = np.where(np.isnan(out) & np.isfinite(grown), grown, out)
    return out


def without_item(heightmap: HeightMap, points_base: NDArray[np.floating]) -> HeightMap:
    """The map after an item was taken: where its surface points (N, 3) were on top there is now, at most, what its underside
    lay on. So an item may go back to where it came from."""
    if len(points_base) == 0:
        return heightmap
    local = transform_points(inverse(heightmap.X_base_map), points_base)
    shape = np.array(heightmap.height_m.shape)
    cells = np.floor(local[:, :2] / heightmap.resolution_m).astype(np.int64)
    inside = np.all((cells >= 0) & (cells < shape), axis=1)
    at, z = tuple(cells[inside].T), local[inside, 2]
    top, low = np.full(tuple(shape), -np.inf), np.full(tuple(shape), np.inf)
    np.maximum.at(top, at, z)
    np.minimum.at(low, at, z)
    height = np.array(heightmap.height_m)
    # surface that is known from above alone has no underside: there the lowest of the item stands for it
    under = np.where(top - low > ON_TOP_M, low, float(z.min(initial=np.inf)))
    own = np.isfinite(top) & (height < top + ON_TOP_M)
    height[own] = np.minimum(height[own], np.maximum(under[own], 0.0))
    return replace(heightmap, height_m=height)


def underside(points: Array, cell_m: float, ring_m: float) -> tuple[Array, Array]:
    """Lowest point of the item per cell (nu, nv), inf where it is not, widened by a ring; and the corner (2,) of cell 0."""
    ring = int(np.ceil(ring_m / cell_m - 1e-9))
    low = points[:, :2].min(axis=0)
    index = np.floor((points[:, :2] - low) / cell_m).astype(np.int64) + ring
    shape = index.max(axis=0) + 1 + ring
    bottom = np.full((int(shape[0]), int(shape[1])), np.inf)
    np.minimum.at(bottom, (index[:, 0], index[:, 1]), points[:, 2])
    # The cloud may be sparse: the inside of the footprint is filled from its neighbours, then the ring is added.
    for _ in range(1 + ring):
        padded = np.pad(bottom, 1, constant_values=np.inf)
        n, m = bottom.shape
        bottom = np.min([padded[i : i + n, j : j + m] for i in range(3) for j in range(3)], axis=0)
    return bottom, low - ring * cell_m


@njit(cache=True, nogil=True)
def sink(height, bottom):  # type: ignore[no-untyped-def]
    """For each position of the footprint ``bottom`` (nu, nv) in ``height`` (nx, ny): z of the item's frame where it first
    touches (inf: over an unseen cell), and the mean gap under its lowest 10 mm. Both (nx - nu + 1, ny - nv + 1)."""
    nx, ny = height.shape
    nu, nv = bottom.shape
    touch = np.full((nx - nu + 1, ny - nv + 1), -np.inf)
    gap = np.zeros(touch.shape)
    lowest = np.inf
    for u in range(nu):
        for v in range(nv):
            lowest = min(lowest, bottom[u, v])
    for i in range(touch.shape[0]):
        for j in range(touch.shape[1]):
            z = -np.inf
            for u in range(nu):
                for v in range(nv):
                    b = bottom[u, v]
                    if b < np.inf:
                        h = height[i + u, j + v]
                        if np.isnan(h):
                            z = np.inf
                        elif h - b > z:
                            z = h - b
            touch[i, j] = z
            total, count = 0.0, 0
            if z < np.inf:
                for u in range(nu):
                    for v in range(nv):
                        if bottom[u, v] < lowest + 0.010:
                            total += z + bottom[u, v] - height[i + u, j + v]
                            count += 1
            gap[i, j] = total / count if count else 0.0
    return touch, gap


def _yaw_places(heights: Array, cell: float, item: Array, depth: float, config: PlaceConfig) -> tuple[Array, Array, Array]:
    """All places of the item in one orientation: tool positions (K, 3) in the map frame, support heights, gaps (K,).

    ``item``: its points (N, 3) in axes parallel to the map's, origin at the tool.
    """
    bottom, corner = underside(item, cell, config.neighbour_clearance_m)
    # the ring may overlap the wall clearance, the item may not: both are kept by the larger of the two
    edge = max(0, int(np.ceil((config.wall_clearance_m - config.neighbour_clearance_m) / cell - 1e-9)))
    inner = heights[edge : heights.shape[0] - edge, edge : heights.shape[1] - edge] if edge else heights
    if inner.shape[0] < bottom.shape[0] or inner.shape[1] < bottom.shape[1]:
        return np.zeros((0, 3)), np.zeros(0), np.zeros(0)
    touch, gap = sink(np.ascontiguousarray(inner), bottom)
    i, j = np.nonzero(np.isfinite(touch))
    z = touch[i, j]
    lowest, top = z + item[:, 2].min(), z + item[:, 2].max()
    tall = float(np.ptp(item[:, 2])) > depth  # what is taller than the tote stands out wherever it is put
    fits = (lowest < depth - 0.03) & ((top < depth + config.protrude_m) | (tall & (lowest < 0.03)))
    i, j, z = i[fits], j[fits], z[fits]
    xy = np.column_stack([i, j]) * cell + edge * cell - corner
    return np.column_stack([xy, z]), lowest[fits], gap[i, j]


def rank_places(
    heightmap: HeightMap, depth_m: float, item_tcp: Array, X_base_tcp_now: Pose, X_base_tcp_grasp: Pose, config: PlaceConfig
) -> Places:
    """Rank places for an item (surface points (N, 3) in the tool frame) held by a tool that stands at ``X_base_tcp_now``.

    The tool hangs vertically, or, after those, as it did at the grasp; it is turned so that the item lies along the walls,
    and half-way between. An empty result means that the tote is full, or too small.
    """
    heights, cell = coarse_heights(heightmap, config.map_cell_m)
    note = ""
    if np.isnan(heights).all():
        note = "nothing is known of the tote: its middle is used"
        heights = np.zeros_like(heights)
    X_map_base = inverse(heightmap.X_base_map)
    now = X_map_base @ X_base_tcp_now
    places = _rank_known(heights, cell, depth_m, item_tcp, now, X_map_base @ X_base_tcp_grasp, config)
    if len(places[0]) == 0 and np.isnan(heights).any():
        note = "no room among what was seen: unseen floor is used, taken as high as what is seen around it"
        filled = grown_over_unseen(heights)
        places = _rank_known(filled, cell, depth_m, item_tcp, now, X_map_base @ X_base_tcp_grasp, config)
    poses, cost = places
    if note.startswith("nothing") and len(poses):
        middle = 0.5 * cell * np.array(heights.shape)
        cost = cost + np.linalg.norm(poses[:, :2, 3] - middle, axis=1)
    order = np.argsort(cost, kind="stable")
    return Places(heightmap.X_base_map @ poses[order], cost[order], note)


def _rank_known(
    heights: Array, cell: float, depth: float, item_tcp: Array, now: Pose, grasp: Pose, config: PlaceConfig
) -> tuple[Array, Array]:
    """Tool poses (K, 4, 4) in the map frame, and their costs."""
    poses, costs = [np.zeros((0, 4, 4))], [np.zeros(0)]
    vertical = upright(now[:3, :3])
    tilted = grasp[:3, :3]
    starts = [(vertical, 0.0)] if np.allclose(vertical, tilted, atol=0.05) else [(vertical, 0.0), (tilted, 0.02)]
    for R0, penalty in starts:
        base = aligned_yaw((item_tcp @ R0.T)[:, :2])
        for k in range(config.yaws):
            yaw = base + 2.0 * np.pi * k / config.yaws
            R = make_pose((0, 0, 0), (0, 0, yaw))[:3, :3] @ R0
            xyz, support, gap = _yaw_places(heights, cell, item_tcp @ R.T, depth, config)
            if len(xyz) == 0:
                continue
            turn = abs((yaw + np.pi) % (2.0 * np.pi) - np.pi)
            way = np.linalg.norm(xyz[:, :2] - now[:2, 3], axis=1)
            cost = (
                np.maximum(support, 0.0)
                + config.gap_weight * gap
                + config.distance_weight * way
                + config.yaw_weight * turn
                + penalty
            )
            best = np.argsort(cost, kind="stable")[: config.per_yaw]
            X = np.tile(np.eye(4), (len(best), 1, 1))
            X[:, :3, :3] = R
            X[:, :3, 3] = xyz[best] + [0.0, 0.0, config.drop_m]
            poses.append(X)
            costs.append(cost[best])
    return np.concatenate(poses), np.concatenate(costs)
