"""Which true surface a camera could see, what lies over what, and the solid inside of items; compiled loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse
from pickcell.values import CameraModel

F64 = NDArray[np.float64]

START_M = 0.0008
"""Rays leave a surface this far above it: what lies closer counts as no cover."""
GRAZING = 0.09
"""Cosine of 85 degrees: surface seen at a flatter angle gives no depth."""
COVERED_M = 0.0005


@dataclass(frozen=True)
class Solids:
    """Convex parts packed for the compiled loops, all in ``base_link``."""

    planes: F64
    """(P, 4) outward normal, offset."""
    first: NDArray[np.int64]
    """(K + 1,) first plane of each part."""
    spheres: F64
    """(K, 4) centre and radius around each part."""
    groups: F64
    """(G, 4) spheres around whole items or pieces of furniture."""
    group_first: NDArray[np.int64]
    """(G + 1,) first part of each."""

    @staticmethod
    def pack(groups: list[tuple[tuple[F64, ...], F64]]) -> Solids:
        """From the parts' planes and spheres (K, 4) of each group."""
        planes = [part for parts, _ in groups for part in parts]
        counts = [len(parts) for parts, _ in groups]
        return Solids(
            np.ascontiguousarray(np.vstack(planes)) if planes else np.zeros((0, 4)),
            np.concatenate([[0], np.cumsum([len(part) for part in planes])]).astype(np.int64),
            np.vstack([spheres for _, spheres in groups]) if groups else np.zeros((0, 4)),
            np.array([_around(spheres) for _, spheres in groups]).reshape(-1, 4),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )


def _around(spheres: F64) -> F64:
    """(4,) a sphere around spheres (K, 4)."""
    low, high = (spheres[:, :3] + side * spheres[:, 3:] for side in (-1.0, 1.0))
    middle = 0.5 * (low.min(axis=0) + high.max(axis=0))
    return np.array([*middle, float((np.linalg.norm(spheres[:, :3] - middle, axis=1) + spheres[:, 3]).max())])


def box_planes(X: Pose, half: F64) -> F64:
    """(6, 4) planes of a box with centre and axes ``X``."""
    normals = np.vstack([X[:3, :3].T, -X[:3, :3].T])
    return np.column_stack([normals, np.concatenate([half, half]) + normals @ X[:3, 3]])


def seen(points: F64, normals: F64, cameras: list[tuple[CameraModel, Pose]], solids: Solids) -> NDArray[np.bool_]:
    """Which surface points (N, 3) at least one camera (with its pose in ``base_link``) sees: inside its image, facing it,
    nothing in between."""
    models = np.array([[c.fx, c.fy, c.cx, c.cy, c.width, c.height] for c, _ in cameras], dtype=float).reshape(-1, 6)
    eyes = np.array([X[:3, 3] for _, X in cameras]).reshape(-1, 3)
    views = np.array([inverse(X)[:3] for _, X in cameras]).reshape(-1, 3, 4)
    out = np.zeros(len(points), np.bool_)
    packed = (solids.planes, solids.first, solids.spheres, solids.groups, solids.group_first)
    _seen(points, normals, models, eyes, views, *packed, out)
    return out


@njit(cache=True, nogil=True)
def _misses(sphere, ax, ay, az, dx, dy, dz, length2):  # type: ignore[no-untyped-def]
    """Does the segment a + t d, t in 0..1, stay out of a sphere?"""
    cx, cy, cz = sphere[0] - ax, sphere[1] - ay, sphere[2] - az
    t = min(max((cx * dx + cy * dy + cz * dz) / length2, 0.0), 1.0)
    ex, ey, ez = cx - t * dx, cy - t * dy, cz - t * dz
    return ex * ex + ey * ey + ez * ez > sphere[3] * sphere[3]


@njit(cache=True, nogil=True)
def _blocked(ax, ay, az, dx, dy, dz, planes, first, spheres, groups, group_first):  # type: ignore[no-untyped-def]
    """Does the segment a + t d, t in 0..1, pass through a solid? Clipped against each plane (Cyrus, Beck 1978)."""
    length2 = dx * dx + dy * dy + dz * dz
    for g in range(groups.shape[0]):
        if _misses(groups[g], ax, ay, az, dx, dy, dz, length2):
            continue
        for k in range(group_first[g], group_first[g + 1]):
            if _misses(spheres[k], ax, ay, az, dx, dy, dz, length2):
                continue
            near, far = 0.0, 1.0
            for i in range(first[k], first[k + 1]):
                rate = planes[i, 0] * dx + planes[i, 1] * dy + planes[i, 2] * dz
                gap = planes[i, 3] - planes[i, 0] * ax - planes[i, 1] * ay - planes[i, 2] * az
                if rate > 1e-12:
                    far = min(far, gap / rate)
                elif rate < -1e-12:
                    near = max(near, gap / rate)
                elif gap < 0.0:
                    far = -1.0
                if near >= far:
                    break
            if near < far:
                return True
    return False


@njit(cache=True, nogil=True)
def _seen(points, normals, models, eyes, views, planes, first, spheres, groups, group_first, out):  # type: ignore[no-untyped-def]
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for c in range(eyes.shape[0]):
            dx, dy, dz = eyes[c, 0] - x, eyes[c, 1] - y, eyes[c, 2] - z
            range_m = np.sqrt(dx * dx + dy * dy + dz * dz)
            if normals[n, 0] * dx + normals[n, 1] * dy + normals[n, 2] * dz < GRAZING * range_m:
                continue
            X = views[c]
            depth = X[2, 0] * x + X[2, 1] * y + X[2, 2] * z + X[2, 3]
            if depth < 0.05:
                continue
            u = models[c, 0] * (X[0, 0] * x + X[0, 1] * y + X[0, 2] * z + X[0, 3]) / depth + models[c, 2]
            v = models[c, 1] * (X[1, 0] * x + X[1, 1] * y + X[1, 2] * z + X[1, 3]) / depth + models[c, 3]
            if u < 0 or v < 0 or u > models[c, 4] - 1 or v > models[c, 5] - 1:
                continue
            ax, ay, az = x + START_M * normals[n, 0], y + START_M * normals[n, 1], z + START_M * normals[n, 2]
            rx, ry, rz = eyes[c, 0] - ax, eyes[c, 1] - ay, eyes[c, 2] - az
            if not _blocked(ax, ay, az, rx, ry, rz, planes, first, spheres, groups, group_first):
                out[n] = True
                break


def exposures(points: F64, owner: NDArray[np.int64], count: int, size_xy: F64, cell_m: float = 0.004) -> F64:
    """(count,) share of each item's footprint over which nothing else lies; ``points`` (N, 3) in the tote's frame,
    ``owner`` (N,) in 0..count-1, ``size_xy`` (2,) of the tote's floor."""
    shape = np.ceil(size_xy / cell_m).astype(np.int64) + 2
    cells = np.clip(np.floor((points[:, :2] + 0.5 * size_xy) / cell_m).astype(np.int64) + 1, 0, shape - 1)
    flat = cells[:, 0] * shape[1] + cells[:, 1]
    return np.asarray(_exposures(flat, np.ascontiguousarray(points[:, 2]), owner, count, int(shape[0] * shape[1])))


@njit(cache=True, nogil=True)
def _exposures(cell, height, owner, count, cells):  # type: ignore[no-untyped-def]
    own = np.full((count, cells), -np.inf)
    top = np.full(cells, -np.inf)
    for n in range(cell.shape[0]):
        own[owner[n], cell[n]] = max(own[owner[n], cell[n]], height[n])
        top[cell[n]] = max(top[cell[n]], height[n])
    out = np.ones(count)
    for i in range(count):
        all_cells, free = 0, 0
        for c in range(cells):
            if own[i, c] > -np.inf:
                all_cells += 1
                if own[i, c] >= top[c] - COVERED_M:
                    free += 1
        if all_cells > 0:
            out[i] = free / all_cells
    return out


def top_heights(points: F64, size_xy: F64, ceiling_m: float, resolution_m: float) -> NDArray[np.float32]:
    """(nx, ny) height of the topmost of ``points`` (N, 3), given in the frame of a height map; the floor's 0 elsewhere."""
    shape = np.ceil(size_xy / resolution_m - 1e-9).astype(np.int64)
    out = np.zeros((int(shape[0]), int(shape[1])), np.float32)
    cells = np.floor(points[:, :2] / resolution_m).astype(np.int64)
    within = np.all((cells >= 0) & (cells < shape), axis=1) & (points[:, 2] < ceiling_m) & (points[:, 2] > -0.03)
    np.maximum.at(out, (cells[within, 0], cells[within, 1]), points[within, 2].astype(np.float32))
    return out


def inside_solids(shape: tuple[int, int, int], origin: F64, resolution: float, solids: Solids) -> NDArray[np.bool_]:
    """Which voxels (nx, ny, nz) of a grid have their centre in a solid."""
    inside = np.zeros(shape, np.bool_)
    _fill_inside(inside, origin, resolution, solids.planes, solids.first, solids.spheres)
    return inside


@njit(cache=True, nogil=True)
def _fill_inside(inside, origin, resolution, planes, first, spheres):  # type: ignore[no-untyped-def]
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for part in range(spheres.shape[0]):
        for a in range(3):
            low[a] = max(0, int(np.floor((spheres[part, a] - spheres[part, 3] - origin[a]) / resolution)))
            high[a] = min(inside.shape[a], int(np.ceil((spheres[part, a] + spheres[part, 3] - origin[a]) / resolution)) + 1)
        for i in range(low[0], high[0]):
            x = origin[0] + (i + 0.5) * resolution
            for j in range(low[1], high[1]):
                y = origin[1] + (j + 0.5) * resolution
                for k in range(low[2], high[2]):
                    z = origin[2] + (k + 0.5) * resolution
                    within = True
                    for m in range(first[part], first[part + 1]):
                        if planes[m, 0] * x + planes[m, 1] * y + planes[m, 2] * z > planes[m, 3]:
                            within = False
                            break
                    if within:
                        inside[i, j, k] = True
