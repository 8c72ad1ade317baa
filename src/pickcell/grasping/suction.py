"""Suction candidates: where the cup's lip would seal on surface that has really been seen.

The rim is sampled like the ring of springs of Dex-Net 3.0 (Mahler et al., ICRA 2018): at each of its points the height of
the surface is read, a plane is fitted, and what the compliant lip cannot follow is a leak. Completed surface does not
count: a seal on a guess fails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.grasping.config import SuctionConfig
from pickcell.grasping.obstacles import thin
from pickcell.grasping.surface import Surface, Target

F64 = NDArray[np.float64]

SAME_FACE = 0.4
"""Cosine: points whose normals are further from the cup's axis belong to another face, and do not carry the lip."""

HARMONICS = 4
"""Of the rim's profile that are kept."""

TILTED = "the surface is too steep for the cup"
OFF_EDGE = "the lip would reach past the edge of the seen surface"
CURVED = "the lip cannot follow the surface"
ROUGH = "normals under the cup disagree"


@njit(cache=True)
def _fit(centers: F64, normals: F64, points: F64, point_normals: F64, radius: float, out: F64) -> None:
    """Plane of the surface within ``radius`` of each centre (K, 3), along its normal: fills ``out`` (K, 8) with unit
    normal (3), point of the plane on the cup's axis (3), rms angle of the normals (rad), number of points."""
    for k in range(centers.shape[0]):
        # Frame with z along the seed's normal.
        z = normals[k]
        x = np.array([1.0, 0.0, 0.0]) if abs(z[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
        x = x - z * (x[0] * z[0] + x[1] * z[1] + x[2] * z[2])
        x = x / np.sqrt(x[0] ** 2 + x[1] ** 2 + x[2] ** 2)
        y = np.array([z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0]])
        suu, suv, svv, su, sv, suw, svw, sw, n = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0
        for i in range(points.shape[0]):
            dx = points[i, 0] - centers[k, 0]
            dy = points[i, 1] - centers[k, 1]
            dz = points[i, 2] - centers[k, 2]
            if dx * dx + dy * dy + dz * dz > radius * radius:
                continue
            if point_normals[i, 0] * z[0] + point_normals[i, 1] * z[1] + point_normals[i, 2] * z[2] < SAME_FACE:
                continue
            u = dx * x[0] + dy * x[1] + dz * x[2]
            v = dx * y[0] + dy * y[1] + dz * y[2]
            w = dx * z[0] + dy * z[1] + dz * z[2]
            suu += u * u
            suv += u * v
            svv += v * v
            su += u
            sv += v
            suw += u * w
            svw += v * w
            sw += w
            n += 1
        out[k, 7] = n
        if n < 6:
            continue
        A = np.array([[suu, suv, su], [suv, svv, sv], [su, sv, float(n)]])
        for d in range(3):
            A[d, d] += 1e-12
        a, b, c = np.linalg.solve(A, np.array([suw, svw, sw]))
        norm = np.sqrt(a * a + b * b + 1.0)
        fit = (z - a * x - b * y) / norm
        for d in range(3):
            out[k, d] = fit[d]
            out[k, 3 + d] = centers[k, d] + c * z[d]
        spread = 0.0
        for i in range(points.shape[0]):
            dx = points[i, 0] - centers[k, 0]
            dy = points[i, 1] - centers[k, 1]
            dz = points[i, 2] - centers[k, 2]
            if dx * dx + dy * dy + dz * dz > radius * radius:
                continue
            dot = point_normals[i, 0] * fit[0] + point_normals[i, 1] * fit[1] + point_normals[i, 2] * fit[2]
            angle = np.arccos(min(1.0, max(-1.0, dot)))
            spread += angle * angle
        out[k, 6] = np.sqrt(spread / n)


@njit(cache=True)
def _rim(
    centers: F64,
    axes: F64,
    points: F64,
    normals: F64,
    radius: float,
    samples: int,
    reach: float,
    depth: float,
    out: F64,
) -> None:
    """Surface along a ring of ``radius`` about each centre (K, 3) and axis (K, 3): fills ``out`` (K, samples) with the mean
    height along the axis of the surface within ``reach`` of each ring sample, NaN where there is none."""
    for k in range(centers.shape[0]):
        z = axes[k]
        x = np.array([1.0, 0.0, 0.0]) if abs(z[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
        x = x - z * (x[0] * z[0] + x[1] * z[1] + x[2] * z[2])
        x = x / np.sqrt(x[0] ** 2 + x[1] ** 2 + x[2] ** 2)
        y = np.array([z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0]])
        weight = np.zeros(samples)
        height = np.zeros(samples)
        far2 = (radius + reach) ** 2 + depth**2
        for i in range(points.shape[0]):
            dx = points[i, 0] - centers[k, 0]
            dy = points[i, 1] - centers[k, 1]
            dz = points[i, 2] - centers[k, 2]
            if dx * dx + dy * dy + dz * dz > far2:  # most points: neither on the ring nor near it
                continue
            w = dx * z[0] + dy * z[1] + dz * z[2]
            if abs(w) > depth:
                continue
            if normals[i, 0] * z[0] + normals[i, 1] * z[1] + normals[i, 2] * z[2] < SAME_FACE:
                continue
            u = dx * x[0] + dy * x[1] + dz * x[2]
            v = dx * y[0] + dy * y[1] + dz * y[2]
            rho = np.sqrt(u * u + v * v)
            if abs(rho - radius) > reach:
                continue
            turn = np.arctan2(v, u) / (2.0 * np.pi) * samples
            span = int(np.ceil(reach / radius / (2.0 * np.pi) * samples))
            for s in range(int(np.floor(turn)) - span, int(np.floor(turn)) + span + 2):
                a = 2.0 * np.pi * s / samples
                gap2 = (u - radius * np.cos(a)) ** 2 + (v - radius * np.sin(a)) ** 2
                if gap2 < reach * reach:
                    g = 1.0 - gap2 / (reach * reach)
                    weight[s % samples] += g
                    height[s % samples] += g * w
        for s in range(samples):
            out[k, s] = height[s] / weight[s] if weight[s] > 0.05 else np.nan


def rim_shape(heights: F64) -> tuple[F64, F64, F64]:
    """Coverage (K,), middle height (K,) and gap (K,) of rims from their heights (K, S), NaN where nothing is.

    The gap is half the range of the rim's profile, smoothed to its first harmonics: what the lip has to follow (a saddle
    or a cylinder is the second, a ledge the first few) stays, the noise of depth images mostly goes.
    """
    known = np.isfinite(heights)
    angle = np.linspace(0.0, 2.0 * np.pi, heights.shape[1], endpoint=False)
    waves = [np.ones_like(angle)]
    for k in range(1, HARMONICS + 1):
        waves += [np.cos(k * angle), np.sin(k * angle)]
    B = np.column_stack(waves)
    normal_matrix = np.einsum("sa,ks,sb->kab", B, known, B) + 1e-3 * np.eye(B.shape[1])
    right = np.einsum("sa,ks->ka", B, np.where(known, heights, 0.0))
    profile = np.linalg.solve(normal_matrix, right[..., None])[..., 0] @ B.T
    low, high = profile.min(axis=1), profile.max(axis=1)
    return known.mean(axis=1), 0.5 * (low + high), 0.5 * (high - low)


@dataclass(frozen=True)
class SuctionBatch:
    """Places for the cup with what was measured at each; arrays over K places."""

    center: F64
    """(K, 3) of the lip on the surface, in ``base_link``."""
    normal: F64
    """(K, 3) out of the surface."""
    support: F64
    """(K,) share of the rim that lies on measured surface."""
    edge: F64
    """(K,) share of a ring one edge margin wider that does."""
    gap_m: F64
    """(K,) largest deviation of the rim from its plane."""
    spread_rad: F64
    """(K,) rms angle of the normals under the cup."""
    tilt_rad: F64
    reason: NDArray[np.str_]
    """(K,) why a place is out, "" when it is not."""

    def __len__(self) -> int:
        return len(self.center)

    def take(self, index: NDArray[np.intp] | slice) -> SuctionBatch:
        return SuctionBatch(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def generate(target: Target, cup_radius_m: float, config: SuctionConfig, known_flat: bool = False) -> SuctionBatch:
    """Places for the cup on the seen surface, the impossible ones with a reason. Deterministic.

    ``known_flat``: the catalogue says that the item has plane faces, so that more of a deviation is put down to noise.
    """
    seen = target.seen
    if len(seen) < 12:
        zero = np.zeros(0)
        return SuctionBatch(np.zeros((0, 3)), np.zeros((0, 3)), zero, zero, zero, zero, zero, np.zeros(0, dtype="U64"))
    centers, normals = _seeds(target, cup_radius_m, config)
    fit = np.zeros((len(centers), 8))
    _fit(centers, normals, seen.points, seen.normals, cup_radius_m, fit)
    good = fit[:, 7] >= 6
    center, normal = np.where(good[:, None], fit[:, 3:6], centers), np.where(good[:, None], fit[:, :3], normals)
    reach = max(0.0035, 1.5 * seen.spacing_m)
    rim, outer = np.zeros((2, len(center), config.rim_samples))
    depth = 4.0 * config.lip_conformity_m
    _rim(center, normal, seen.points, seen.normals, cup_radius_m, config.rim_samples, reach, depth, rim)
    _rim(
        center,
        normal,
        seen.points,
        seen.normals,
        cup_radius_m + config.edge_margin_m,
        config.rim_samples,
        reach,
        depth,
        outer,
    )
    beyond = np.zeros_like(rim)
    wider = cup_radius_m + reach  # samples there find a surface only when it goes on to the lip itself
    _rim(center, normal, seen.points, seen.normals, wider, config.rim_samples, reach, depth, beyond)
    # The lip rests where the rim does, not where the middle bulges or dips.
    support, lift, gap = rim_shape(rim)
    edge = np.isfinite(outer).mean(axis=1)
    support = np.minimum(support, np.isfinite(beyond).mean(axis=1))
    conformity = config.lip_conformity_m * (config.known_flat_factor if known_flat else 1.0)
    tilt = np.arccos(np.clip(normal[:, 2], -1.0, 1.0))
    reason = np.select(
        [
            tilt > np.deg2rad(config.max_tilt_deg),
            (support < config.min_rim_support) | ~good,
            gap > config.gap_tolerance * conformity,
            fit[:, 6] > np.deg2rad(config.max_normal_spread_deg),
        ],
        [TILTED, OFF_EDGE, CURVED, ROUGH],
        default="",
    )
    return SuctionBatch(center + lift[:, None] * normal, normal, support, edge, gap, fit[:, 6], tilt, reason.astype("U64"))


def _seeds(target: Target, cup_radius_m: float, config: SuctionConfig) -> tuple[F64, F64]:
    """Points spread over the seen surface, and the one nearest above the centre of mass, where the moment is least."""
    seen = target.seen
    up = np.flatnonzero(seen.normals[:, 2] > np.cos(np.deg2rad(min(config.max_tilt_deg + 15.0, 85.0))))
    pool = up if len(up) else np.arange(len(seen))
    size = max(0.006, 2.0 * seen.spacing_m)
    chosen = pool[thin(seen.points[pool], size)]
    if len(chosen) > config.max_seeds:
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, config.max_seeds).astype(np.intp))]
    over = pool[np.argmin(np.linalg.norm(seen.points[pool, :2] - target.center[:2], axis=1))]
    chosen = np.concatenate([[over], chosen[chosen != over]])
    return np.ascontiguousarray(seen.points[chosen]), np.ascontiguousarray(_smooth_normals(seen, chosen, 0.7 * cup_radius_m))


def _smooth_normals(seen: Surface, index: NDArray[np.intp], radius_m: float) -> F64:
    """Mean normal (K, 3) of the surface around the chosen points: one point's normal is noisy."""
    mean = _mean_normals(seen.points, seen.normals, np.asarray(index, dtype=np.int64), radius_m)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return np.where(length > 1e-6, mean / np.maximum(length, 1e-6), seen.normals[index])


@njit(cache=True)
def _mean_normals(points: F64, normals: F64, index: NDArray[np.int64], radius: float) -> F64:
    """Sum (K, 3) of the normals within ``radius`` of each chosen point that do not point elsewhere than its own."""
    out = np.zeros((len(index), 3))
    for k in range(len(index)):
        at, own = points[index[k]], normals[index[k]]
        for i in range(len(points)):
            dx, dy, dz = points[i, 0] - at[0], points[i, 1] - at[1], points[i, 2] - at[2]
            if dx * dx + dy * dy + dz * dz > radius * radius:
                continue
            if normals[i, 0] * own[0] + normals[i, 1] * own[1] + normals[i, 2] * own[2] > 0.5:
                for d in range(3):
                    out[k, d] += normals[i, d]
    return out


def cup_poses(center: F64, normal: F64, yaws_rad: F64) -> F64:
    """Poses (K, Y, 4, 4) of the cup at ``center`` (K, 3), +z into the surface, one per yaw; yaw 0 has x as near as may be
    to the base's x."""
    z = -normal
    x = np.array([1.0, 0.0, 0.0]) - z * z[:, :1]
    short = np.linalg.norm(x, axis=1) < 1e-3
    x[short] = np.array([0.0, 1.0, 0.0]) - z[short] * z[short, 1:2]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.cross(z, x)
    c, s = np.cos(yaws_rad)[None, :, None], np.sin(yaws_rad)[None, :, None]
    poses = np.tile(np.eye(4), (len(center), len(yaws_rad), 1, 1))
    poses[..., :3, 0] = c * x[:, None] + s * y[:, None]
    poses[..., :3, 1] = c * y[:, None] - s * x[:, None]
    poses[..., :3, 2] = z[:, None]
    poses[..., :3, 3] = center[:, None]
    return poses
