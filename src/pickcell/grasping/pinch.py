"""Pinch candidates: antipodal pairs of contacts on the completed shape, turned into poses of the jaw and measured.

Two opposed contacts hold an object if the line between them lies inside both friction cones (Nguyen, "Constructing
force-closure grasps", IJRR 1988). Seeds come from casting through the surface; what counts is then measured under the
whole faces of the pads, because flat pads touch what stands out furthest, not the point that was cast at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.grasping.config import PinchConfig
from pickcell.grasping.hand import HandGeometry
from pickcell.grasping.obstacles import thin
from pickcell.grasping.surface import Surface, Target

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CELLS = 6
"""The pad's face is rasterised into CELLS x CELLS to measure how much of it meets the surface."""

NO_OPPOSITE = "no opposite surface inside the friction cone"
TOO_WIDE = "wider than the jaw opens"
TOO_THIN = "thinner than the jaw can feel"
NO_CONTACT = "the pads miss the surface"
OUTSIDE_CONE = "surface under a pad is outside the friction cone"
SMALL_PATCH = "too little surface under a pad"
EDGE = "the contact is a thin edge"
ON_FLOOR = "the finger tips would touch the floor"


@njit(cache=True)
def _cast(
    origin: F64, direction: F64, points: F64, normals: F64, radius: float, reach: float, cone_cos: float, out: F64
) -> None:
    """Fill ``out`` (R,): how far along each ray (R, 3) the last surface within ``radius`` of the ray lies; 0 where none
    faces along the ray inside the cone, inf where the surface goes on beyond ``reach``."""
    for r in range(origin.shape[0]):
        last = 0.0
        facing = -1.0
        for i in range(points.shape[0]):
            dx = points[i, 0] - origin[r, 0]
            dy = points[i, 1] - origin[r, 1]
            dz = points[i, 2] - origin[r, 2]
            t = dx * direction[r, 0] + dy * direction[r, 1] + dz * direction[r, 2]
            if t <= 0.0005:
                continue
            if dx * dx + dy * dy + dz * dz - t * t > radius * radius:
                continue
            dot = normals[i, 0] * direction[r, 0] + normals[i, 1] * direction[r, 1] + normals[i, 2] * direction[r, 2]
            if t > last and dot > 0.2:
                last = t
                facing = dot
        if last > reach:
            out[r] = np.inf
        elif facing >= cone_cos:
            out[r] = last
        else:
            out[r] = 0.0


@njit(cache=True)
def _measure(
    poses: F64,
    points: F64,
    normals: F64,
    confidence: F64,
    pad: F64,
    skin: float,
    out: F64,
) -> None:
    """Close flat pads on the surface at each pose, move the pose to the middle between them, and fill ``out`` (C, 11):
    width, cosine of the normals' angle to the closing axis (left, right), share of the pad's face in contact (left,
    right), mean confidence (left, right), height of the contact along the approach (smaller side), mean z of the
    contact, points under the pads (smaller side), extent of the contact across the pad (smaller side).

    ``pad``: half width (y), back (z, negative), front (z). A width of -1 says that a pad meets nothing.
    """
    half_y, back, front = pad[0], pad[1], pad[2]
    local = np.empty((points.shape[0], 3))
    index = np.empty(points.shape[0], dtype=np.int64)
    for c in range(poses.shape[0]):
        pose = poses[c]
        n_in = 0
        low, high = np.inf, -np.inf
        for i in range(points.shape[0]):
            dx = points[i, 0] - pose[0, 3]
            dy = points[i, 1] - pose[1, 3]
            dz = points[i, 2] - pose[2, 3]
            z = pose[0, 2] * dx + pose[1, 2] * dy + pose[2, 2] * dz
            if z < back or z > front:
                continue
            y = pose[0, 1] * dx + pose[1, 1] * dy + pose[2, 1] * dz
            if abs(y) > half_y:
                continue
            x = pose[0, 0] * dx + pose[1, 0] * dy + pose[2, 0] * dz
            local[n_in, 0], local[n_in, 1], local[n_in, 2] = x, y, z
            index[n_in] = i
            n_in += 1
            low, high = min(low, x), max(high, x)
        out[c, 0] = -1.0
        if n_in < 4:
            continue
        width = high - low
        out[c, 0] = width
        shift = 0.5 * (high + low)
        for k in range(3):
            pose[k, 3] += shift * pose[k, 0]
        fewest = 1 << 30
        shortest, narrowest, z_sum, n_all = np.inf, np.inf, 0.0, 0
        for side in range(2):
            sign = -1.0 if side == 0 else 1.0
            # Thin things would count their far side as well: a skin never reaches past the middle.
            limit = min(skin, 0.5 * width)
            cells = np.zeros((CELLS, CELLS), dtype=np.uint8)
            count = 0
            nx, ny, nz, conf = 0.0, 0.0, 0.0, 0.0
            z_low, z_high, y_low, y_high = np.inf, -np.inf, np.inf, -np.inf
            for j in range(n_in):
                depth = high - local[j, 0] if side == 1 else local[j, 0] - low
                if depth > limit:
                    continue
                i = index[j]
                dot = sign * (normals[i, 0] * pose[0, 0] + normals[i, 1] * pose[1, 0] + normals[i, 2] * pose[2, 0])
                if dot < 0.3:  # a face seen from the side (the top of a box) is not what the pad rests on
                    continue
                nx += normals[i, 0]
                ny += normals[i, 1]
                nz += normals[i, 2]
                conf += confidence[i]
                count += 1
                y, z = local[j, 1], local[j, 2]
                z_low, z_high = min(z_low, z), max(z_high, z)
                y_low, y_high = min(y_low, y), max(y_high, y)
                z_sum += z
                n_all += 1
                a = min(CELLS - 1, int((y + half_y) / (2.0 * half_y) * CELLS))
                b = min(CELLS - 1, int((z - back) / (front - back) * CELLS))
                cells[a, b] = 1
            fewest = min(fewest, count)
            if count == 0:
                continue
            norm = np.sqrt(nx * nx + ny * ny + nz * nz)
            if norm > 1e-9:
                out[c, 1 + side] = sign * (nx * pose[0, 0] + ny * pose[1, 0] + nz * pose[2, 0]) / norm
            out[c, 3 + side] = cells.sum() / (CELLS * CELLS)
            out[c, 5 + side] = conf / count
            shortest = min(shortest, z_high - z_low)
            narrowest = min(narrowest, y_high - y_low)
        out[c, 9] = fewest
        if fewest > 0:
            out[c, 7] = shortest
            out[c, 8] = z_sum / n_all
            out[c, 10] = narrowest


@dataclass(frozen=True)
class PinchBatch:
    """Poses of the jaw with what was measured at each; arrays over C candidates."""

    poses: F64
    """(C, 4, 4) ``X_base_tcp_pinch``, centred between the contacts."""
    width_m: F64
    cone: F64
    """(C,) angle of the worse contact to the closing axis over the friction angle: 0 best, 1 at the cone's edge."""
    patch: F64
    """(C,) share of the pad's face in contact, worse side."""
    patch_height_m: F64
    patch_radius_m: F64
    """(C,) radius of a disc with the area of the worse side's contact."""
    confidence: F64
    """(C,) belief in the worse side's surface."""
    tilt_rad: F64
    reason: NDArray[np.str_]
    """(C,) why a candidate is out, "" when it is not."""

    def __len__(self) -> int:
        return len(self.poses)

    def take(self, index: NDArray[np.intp] | slice) -> PinchBatch:
        return PinchBatch(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def closing_directions(target: Target, seeds: NDArray[np.intp], config: PinchConfig) -> tuple[NDArray[np.intp], F64]:
    """Rays into the body: (R,) index of the seed point and (R, 3) unit direction.

    Per seed: against its normal, the same levelled, and along the box axes that lie within its friction cone (they are
    free of the normal's noise). Only directions that an allowed approach can be perpendicular to.
    """
    inward = -target.body.normals[seeds]
    level = inward * np.array([1.0, 1.0, 0.0])
    length = np.linalg.norm(level, axis=1, keepdims=True)
    level = np.divide(level, length, out=np.zeros_like(level), where=length > 1e-6)
    options = [inward, level]
    for k in range(3):
        axis = target.axes[:, k]
        options.append(np.sign(inward @ axis)[:, None] * axis)
    directions = np.stack(options, axis=1)  # (S, 5, 3)
    cone = np.cos(np.arctan(config.friction))
    ok = (np.einsum("sok,sk->so", directions, inward) >= cone) & (np.linalg.norm(directions, axis=2) > 0.9)
    ok &= np.abs(directions[:, :, 2]) <= np.sin(np.deg2rad(config.max_tilt_deg))
    for later in range(1, directions.shape[1]):  # drop directions that repeat an earlier one within 4 degrees
        same = np.einsum("sok,sk->so", directions[:, :later], directions[:, later]) > np.cos(np.deg2rad(4.0))
        ok[:, later] &= ~np.any(same & ok[:, :later], axis=1)
    seed, option = np.nonzero(ok)
    return seeds[seed], np.ascontiguousarray(directions[seed, option])


def jaw_poses(center: F64, closing: F64, config: PinchConfig) -> tuple[F64, F64, NDArray[np.intp]]:
    """Poses (C, 4, 4) of the jaw for closing axes (P, 3) through ``center`` (P, 3): the steepest approach and turns of it
    about the closing axis, all within the allowed tilt; with the tilt (C,) in rad and the index (C,) of the pair."""
    down = np.array([0.0, 0.0, -1.0])
    steep = down - closing * (closing @ down)[:, None]
    steep /= np.linalg.norm(steep, axis=1, keepdims=True)
    side = np.cross(closing, steep)
    n = int(config.max_tilt_deg / config.tilt_step_deg)
    angles = np.deg2rad(config.tilt_step_deg) * np.arange(-n, n + 1)
    approach = np.cos(angles)[None, :, None] * steep[:, None, :] + np.sin(angles)[None, :, None] * side[:, None, :]
    tilt = np.arccos(np.clip(-approach[:, :, 2], -1.0, 1.0))
    pair, turn = np.nonzero(tilt <= np.deg2rad(config.max_tilt_deg) + 1e-9)
    z = approach[pair, turn]
    x = closing[pair]
    poses = np.tile(np.eye(4), (len(pair), 1, 1))
    poses[:, :3, 0], poses[:, :3, 1], poses[:, :3, 2] = x, np.cross(z, x), z
    poses[:, :3, 3] = center[pair]
    return poses, tilt[pair, turn], pair


def lift_off_floor(poses: F64, hand: HandGeometry, opening_m: float, floor_z: float | None, margin_m: float) -> F64:
    """Draw poses back along their approach until the finger tips keep ``margin_m`` from a level floor; returns the
    distance (C,) they were drawn back. ``floor_z`` in ``base_link``; None: no floor is known."""
    if floor_z is None:
        return np.zeros(len(poses))
    tip = hand.hand.pad_to_tip_m
    reach_x = opening_m / 2 + hand.hand.finger_thickness_m
    y = hand.hand.pad_width_m / 2
    lowest = poses[:, 2, 3] + tip * poses[:, 2, 2] - reach_x * np.abs(poses[:, 2, 0]) - y * np.abs(poses[:, 2, 1])
    back = np.maximum(0.0, floor_z + margin_m - lowest) / np.maximum(-poses[:, 2, 2], 0.5)
    poses[:, :3, 3] -= back[:, None] * poses[:, :3, 2]
    return back


def measure(poses: F64, surface: Surface, hand: HandGeometry, config: PinchConfig) -> F64:
    """Close the pads at each pose (C, 4, 4), which is centred in place; see :func:`_measure` for the columns (C, 11)."""
    out = np.zeros((len(poses), 11))
    pad = np.array([hand.hand.pad_width_m / 2, -hand.pad_below_m, hand.hand.pad_to_tip_m])
    _measure(poses, surface.points, surface.normals, surface.confidence, pad, config.skin_m, out)
    return out


def generate(
    target: Target, hand: HandGeometry, config: PinchConfig, floor_z: float | None, floor_margin_m: float
) -> PinchBatch:
    """All pinch candidates on the target with their measures; the impossible ones carry a reason.

    Clearance against the scene is not looked at here. Deterministic. Empty when no seed allows an approach from above.
    """
    body = target.body
    steep = np.abs(body.normals[:, 2]) <= np.sin(np.deg2rad(config.max_tilt_deg) + np.arctan(config.friction))
    seeds = _spread(body, np.flatnonzero(steep), config.max_seeds)
    origin, closing = closing_directions(target, seeds, config)
    reach = np.zeros(len(origin))
    jaw = hand.hand.opening_max_m - 2.0 * min(config.clearances_m)
    cone_cos = float(np.cos(np.arctan(config.friction)))
    radius = max(0.004, 1.3 * body.spacing_m)
    _cast(body.points[origin], closing, body.points, body.normals, radius, jaw, cone_cos, reach)
    reason = np.where(np.isinf(reach), TOO_WIDE, np.where(reach == 0.0, NO_OPPOSITE, ""))
    good = reason == ""
    lost = _failed_pairs(body.points[origin[~good]], closing[~good], reason[~good], config)
    center = body.points[origin[good]] + 0.5 * reach[good, None] * closing[good]
    poses, tilt, _ = jaw_poses(center, closing[good], config)
    if len(poses) > config.max_poses:
        keep = np.unique(np.linspace(0, len(poses) - 1, config.max_poses).astype(np.intp))
        poses, tilt = poses[keep], tilt[keep]
    opening = hand.hand.opening_max_m
    back = lift_off_floor(poses, hand, opening, floor_z, floor_margin_m)
    return _join(_judge(poses, tilt, back, measure(poses, body, hand, config), hand, config), lost)


def _spread(body: Surface, candidates: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """At most ``limit`` of the candidate points, spread evenly over the surface."""
    size = 2.0 * body.spacing_m
    chosen = candidates[thin(body.points[candidates], size)] if len(candidates) else candidates
    if len(chosen) > limit:
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, limit).astype(np.intp))]
    return chosen


def _judge(poses: F64, tilt: F64, back: F64, m: F64, hand: HandGeometry, config: PinchConfig) -> PinchBatch:
    """Name what rules a measured pose out."""
    friction_angle = np.arctan(config.friction)
    angle = np.arccos(np.clip(m[:, 1:3].min(axis=1), -1.0, 1.0))
    cone = angle / friction_angle
    patch = m[:, 3:5].min(axis=1)
    width = m[:, 0]
    jaw = hand.hand.opening_max_m - 2.0 * min(config.clearances_m)
    area = patch * hand.hand.pad_width_m * hand.hand.pad_height_m
    missed = (width < 0.0) | (m[:, 9] < 2)
    reason = np.select(
        [
            missed & (back > 0.0),
            missed,
            width > jaw,
            width < config.min_width_m,
            cone > 1.0,
            (m[:, 7] < config.min_patch_height_m) | (m[:, 10] < config.min_patch_breadth_m),
            patch < config.min_patch,
        ],
        [ON_FLOOR, NO_CONTACT, TOO_WIDE, TOO_THIN, OUTSIDE_CONE, EDGE, SMALL_PATCH],
        default="",
    )
    return PinchBatch(
        poses,
        np.maximum(width, 0.0),
        np.clip(cone, 0.0, 10.0),
        patch,
        m[:, 7],
        np.sqrt(area / np.pi),
        m[:, 5:7].min(axis=1),
        tilt,
        reason.astype("U64"),
    )


def _failed_pairs(points: F64, closing: F64, reason: NDArray[np.str_], config: PinchConfig) -> PinchBatch:
    """Seeds without an opposite surface, as poses at the seed, so that they can be shown."""
    if len(points) == 0:
        return _empty()
    poses, tilt, pair = jaw_poses(points, closing, config)
    _, first = np.unique(pair, return_index=True)
    poses, tilt, pair = poses[first], tilt[first], pair[first]
    zero = np.zeros(len(poses))
    return PinchBatch(poses, zero, zero + 10.0, zero, zero, zero, zero, tilt, reason[pair].astype("U64"))


def _empty() -> PinchBatch:
    zero = np.zeros(0)
    return PinchBatch(np.zeros((0, 4, 4)), zero, zero, zero, zero, zero, zero, zero, np.zeros(0, dtype="U64"))


def _join(a: PinchBatch, b: PinchBatch) -> PinchBatch:
    return PinchBatch(*(np.concatenate([getattr(a, name), getattr(b, name)]) for name in PinchBatch.__dataclass_fields__))
