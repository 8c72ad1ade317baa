"""From generated candidates to rated ones: does the hand fit, what does the hold bear, how good is it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pickcell.grasping import pinch, suction
from pickcell.grasping.clearance import PointGrid, ToteRoom, box_distances
from pickcell.grasping.config import GraspConfig
from pickcell.grasping.hand import HandGeometry
from pickcell.grasping.hold import PinchHold, buckling_force_n, pinch_hold, suction_acceleration
from pickcell.grasping.measures import across_share, pose_measures
from pickcell.grasping.obstacles import Obstacles
from pickcell.grasping.surface import Target
from pickcell.grasping.table import CandidateTable, combine
from pickcell.values import Tool, Voxel, VoxelGrid

F64 = NDArray[np.float64]
Reasons = NDArray[np.str_]
Mask = NDArray[np.bool_]

PINCH_WEIGHTS = {
    "antipodal": 2.0,
    "patch": 1.5,
    "balance": 2.0,
    "belief": 2.0,
    "vertical": 0.7,
    "room": 1.5,
    "depth": 1.0,
    "hold": 1.0,
}
SUCTION_WEIGHTS = {"seal": 2.0, "edge": 1.5, "flat": 1.0, "balance": 2.0, "vertical": 1.0, "room": 1.0, "hold": 1.5}

FINGER_BLOCKED = "a finger would touch a neighbour"
BETWEEN = "a neighbour lies between the pads"
FINGER_ON_ITEM = "a finger would come down on the item"
FINGER_WALL = "a finger would touch the tote"
BODY_BLOCKED = "the palm or wrist would touch a neighbour"
BODY_ON_ITEM = "the palm or the cup would touch the item first"
BODY_WALL = "the palm or wrist would touch the tote"
CUP_BLOCKED = "the cup would touch a neighbour"
WEAK_PINCH = "friction cannot hold it at the force that hand and item allow"
WEAK_SEAL = "the seal would peel off under the weight"

N_FINGER = 4
"""Boxes of the fingers: two pads, two shanks."""

CREEP_MPS2 = 0.5
"""Whatever is carried at all is carried with this: a weak hold is a matter of its chances."""

MAX_CHECKED = 260
"""Candidates whose clearance is checked, best before clearance first."""


@dataclass(frozen=True)
class Surroundings:
    """What is around the target."""

    obstacles: Obstacles
    tote: ToteRoom | None
    occupancy: VoxelGrid

    @property
    def floor_z(self) -> float | None:
        """Height of the tote's floor in ``base_link``."""
        return float(self.tote.X_base_tote[2, 3]) if self.tote else None


def unknown_share(grid: VoxelGrid, poses: F64, boxes: F64, last_m: float = 0.04) -> F64:
    """(C,) share of unseen space in the foremost ``last_m`` of the boxes (C, B, 6): samples on a grid in each."""
    u = (np.arange(4) + 0.5) / 4
    grid_u = np.stack(np.meshgrid(u[::2], u[::2], u, indexing="ij"), axis=-1).reshape(-1, 3)
    low, high = boxes[..., :3].copy(), boxes[..., 3:]
    low[..., 2] = np.maximum(low[..., 2], high[..., 2] - last_m)
    local = low[..., None, :] + grid_u * (high - low)[..., None, :]  # (C, B, S, 3)
    local = local.reshape(len(poses), -1, 3)
    world = np.einsum("cij,csj->csi", poses[:, :3, :3], local) + poses[:, None, :3, 3]
    index = np.floor((world - grid.origin) / grid.resolution_m).astype(np.int64)
    inside = np.all((index >= 0) & (index < grid.state.shape), axis=-1)
    index = np.where(inside[..., None], index, 0)
    unknown = grid.state[index[..., 0], index[..., 1], index[..., 2]] == Voxel.UNKNOWN if grid.state.size else inside & False
    return np.asarray((unknown & inside).mean(axis=1), dtype=np.float64)


def _first(conditions: list[Mask], reasons: list[str]) -> Reasons:
    return np.select(conditions, reasons, default="").astype("U64")


def _wall_ok(around: Surroundings, poses: F64, boxes: F64, config: GraspConfig) -> Mask:
    """(C, B) is each box inside the tote with its margins?"""
    if around.tote is None:
        return np.ones((len(poses), boxes.shape[-2]), dtype=bool)
    room = around.tote.room(poses, boxes)
    c = config.clearance
    return np.asarray((room[..., 0] >= c.wall_margin_m) & (room[..., 1] >= c.floor_margin_m - 1e-6))


@dataclass(frozen=True)
class Fit:
    """How the hand fits at C poses."""

    reason: Reasons
    opening_m: F64
    distance_m: F64
    """(C,) distance of the fingers from the nearest obstacle, capped."""
    soft: F64
    """(C,) weakly believed points in the fingers' way."""
    unknown: F64
    """(C,) share of unseen space that the finger tips enter."""


def fit_jaw(poses: F64, width_m: F64, target: Target, around: Surroundings, hand: HandGeometry, config: GraspConfig) -> Fit:
    """The widest opening at which fingers, palm, wrist and retracted cup fit all along the approach, or why none does."""
    n, c = len(poses), config.clearance
    options = np.minimum(width_m[:, None] + 2.0 * np.array(config.pinch.clearances_m), hand.hand.opening_max_m)
    levels = options.shape[1]
    fingers = hand.pinch_fingers(options).reshape(n, levels * N_FINGER, 6)
    between = hand.pinch_between(options).reshape(n, levels, 6)
    body = np.broadcast_to(hand.pinch_body(), (n, 3, 6))
    boxes = np.concatenate([fingers, between, body], axis=1)
    distance, inside = box_distances(poses, boxes, around.obstacles.hard_thin, c.reach_m)
    own = PointGrid.of(target.body.points[target.body.confidence >= c.hard_confidence])
    ahead = np.broadcast_to(hand.pinch_body(c.top_margin_m), (n, 3, 6))
    _, on_item = box_distances(poses, np.concatenate([fingers, ahead], axis=1), own, 0.0)
    walls = _wall_ok(around, poses, np.concatenate([fingers, body], axis=1), config)
    f = slice(0, levels * N_FINGER)
    gap: F64 = distance[:, f].reshape(n, levels, N_FINGER).min(axis=2)
    item_hits = on_item[:, f].reshape(n, levels, N_FINGER).max(axis=2)
    wall: Mask = np.all(walls[:, f].reshape(n, levels, N_FINGER), axis=2)
    caught = inside[:, levels * N_FINGER : levels * (N_FINGER + 1)]
    fits = (gap >= c.margin_m) & (item_hits <= c.tolerance_points) & wall & (caught <= c.tolerance_points)
    level = np.where(fits.any(axis=1), fits.argmax(axis=1), levels - 1)
    row = np.arange(n)
    body_gap = distance[:, levels * (N_FINGER + 1) :].min(axis=1)
    body_hits = on_item[:, levels * N_FINGER :].max(axis=1)
    body_wall: Mask = np.all(walls[:, levels * N_FINGER :], axis=1)
    reason = _first(
        [
            ~wall[row, level],
            gap[row, level] < c.margin_m,
            caught[row, level] > c.tolerance_points,
            item_hits[row, level] > c.tolerance_points,
            body_hits > c.top_points,
            ~body_wall,
            body_gap < c.margin_m,
        ],
        [FINGER_WALL, FINGER_BLOCKED, BETWEEN, FINGER_ON_ITEM, BODY_ON_ITEM, BODY_WALL, BODY_BLOCKED],
    )
    chosen = fingers.reshape(n, levels, N_FINGER, 6)[row, level]
    good = np.flatnonzero(reason == "")
    # The first pass saw thinned obstacles; whatever is left must also clear every single point.
    exact = np.concatenate([chosen[good], body[good]], axis=1)
    _, hits = box_distances(poses[good], exact, around.obstacles.hard, 0.0)
    reason[good[hits[:, :N_FINGER].any(axis=1)]] = FINGER_BLOCKED
    reason[good[hits[:, N_FINGER:].any(axis=1)]] = BODY_BLOCKED
    _, soft = box_distances(poses, chosen, around.obstacles.soft, 0.0)
    return Fit(
        reason,
        options[row, level],
        gap[row, level],
        soft.sum(axis=1).astype(np.float64),
        unknown_share(around.occupancy, poses, chosen[:, :2]),
    )


WAY = ("room_mm", "soft_points", "unseen_share")


def _way(fit: Fit) -> dict[str, F64]:
    """What the fingers pass on their way in, under the names of :data:`WAY`."""
    return dict(zip(WAY, (1e3 * fit.distance_m, fit.soft, fit.unknown), strict=True))


def _room_score(fit: Fit) -> F64:
    """1 with 8 mm of seen, free space around the fingers; less for tight gaps and for entering what nobody has seen."""
    room = 0.55 + 0.45 * np.clip(fit.distance_m / 0.008, 0.0, 1.0)
    return np.asarray(room * np.maximum(np.exp(-fit.soft / 10.0), 0.5) * (1.0 - 0.4 * fit.unknown), dtype=np.float64)


def rate_pinch(
    target: Target, around: Surroundings, hand: HandGeometry, config: GraspConfig, thickness_m: float, factor: float
) -> CandidateTable:
    """All pinch candidates, rated. ``thickness_m``: the item's smallest side; ``factor`` scales every quality."""
    batch = pinch.generate(target, hand, config.pinch, around.floor_z, config.clearance.floor_margin_m)
    good = np.flatnonzero(batch.reason == "")
    scores = _pinch_scores(batch, target, config)
    merit = combine(scores, {k: PINCH_WEIGHTS[k] for k in scores})
    blocked = good[_pads_blocked(batch.take(good), around, hand, config)]
    batch.reason[blocked] = FINGER_BLOCKED
    good = np.setdiff1d(good, blocked)
    out = np.flatnonzero(batch.reason != "")
    if len(good) > MAX_CHECKED:
        good = np.sort(good[np.argsort(-merit[good], kind="stable")[:MAX_CHECKED]])
    rows = np.concatenate([good, out])
    batch, scores = batch.take(rows), {k: v[rows] for k, v in scores.items()}
    n, k = len(batch), len(good)
    reason, opening = batch.reason.copy(), batch.width_m.copy()
    room, hold, force, acceleration = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    way = {name: np.zeros(n) for name in WAY}
    if k:
        fit = fit_jaw(batch.poses[:k], batch.width_m[:k], target, around, hand, config)
        reason[:k], opening[:k], room[:k] = fit.reason, fit.opening_m, _room_score(fit)
        for name, values in _way(fit).items():
            way[name][:k] = values
        held = _holds(batch.take(slice(0, k)), target, hand, config, thickness_m)
        force[:k], acceleration[:k] = held.force_n, np.maximum(held.max_acceleration, CREEP_MPS2)
        hold[:k] = np.clip(0.4 + 0.6 * acceleration[:k] / config.tcp_acceleration_max, 0.0, 1.0)
        reason[:k][~held.holds & (reason[:k] == "")] = WEAK_PINCH
    scores |= {"room": room, "hold": hold}
    quality = factor * combine(scores, PINCH_WEIGHTS)
    measures = pose_measures(batch.poses, target, around.tote) | way | {
        "width_mm": 1e3 * batch.width_m,
        "clearance_mm": 500.0 * (opening - batch.width_m),
        "cone": batch.cone,
        "pad_share": batch.patch,
        "pad_height_mm": 1e3 * batch.patch_height_m,
        "pad_radius_mm": 1e3 * batch.patch_radius_m,
        "belief_share": batch.confidence,
        "across": across_share(batch.poses, target),
        "force_n": force,
        "used_mps2": acceleration,
    }  # fmt: skip
    return CandidateTable(
        Tool.PINCH, batch.poses, quality, batch.width_m, opening, force, acceleration, scores, reason, measures
    )


def _pads_blocked(batch: pinch.PinchBatch, around: Surroundings, hand: HandGeometry, config: GraspConfig) -> Mask:
    """(C,) do even the narrowest open pads meet a neighbour? A quick look at two boxes before all of the hand is checked,
    so that in clutter the candidates that are checked are not all from the same blocked side."""
    widths = np.minimum(batch.width_m + 2.0 * min(config.pinch.clearances_m), hand.hand.opening_max_m)
    pads = hand.pinch_fingers(widths)[:, :2]
    distance, _ = box_distances(batch.poses, pads, around.obstacles.hard_thin, config.clearance.margin_m)
    return np.asarray(distance.min(axis=1, initial=np.inf) < config.clearance.margin_m)


def _pinch_scores(batch: pinch.PinchBatch, target: Target, config: GraspConfig) -> dict[str, F64]:
    """Parts of the quality that need no look at the surroundings, (C,) each."""
    arm = target.center - batch.poses[:, :3, 3]
    offset = _moment_arm(batch.poses, arm)
    above = np.maximum(0.0, arm[:, 2])  # a centre of mass above the closing axis wants to swing down
    return {
        "antipodal": np.clip(1.0 - 0.5 * batch.cone**2, 0.05, 1.0),
        "patch": np.clip(batch.patch / 0.45, 0.0, 1.0) ** 0.5,
        "balance": np.exp(-((offset / 0.035) ** 2)) * 0.9 + 0.1,
        "belief": 0.35 + 0.65 * batch.confidence,
        "vertical": 1.0 - 0.4 * (batch.tilt_rad / np.deg2rad(config.pinch.max_tilt_deg)) ** 2,
        "depth": np.clip(batch.patch_height_m / 0.015, 0.1, 1.0) ** 0.5 * (0.5 + 0.5 * np.exp(-((above / 0.03) ** 2))),
    }


def _moment_arm(poses: F64, arm: F64) -> F64:
    """(C,) horizontal distance of the centre of mass (``arm``, from the TCP) from the closing axis: what gravity turns
    the item about that axis with."""
    across = np.cross(poses[:, :3, 0], np.array([0.0, 0.0, 1.0]))
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    return np.asarray(np.abs((across * arm).sum(axis=1)), dtype=np.float64)


def _holds(
    batch: pinch.PinchBatch, target: Target, hand: HandGeometry, config: GraspConfig, thickness_m: float
) -> PinchHold:
    """The holds: limited by the hand, and for plates pinched on their edges by buckling."""
    width = batch.width_m
    breadth = target.extents_m[0] * target.extents_m[1] / np.maximum(width, 1e-3)
    critical = buckling_force_n(thickness_m, width, breadth, config.pinch.youngs_modulus_pa)
    edgewise = width > 5.0 * thickness_m
    most = hand.hand.pinch_force_max_n
    allowed = np.where(edgewise, np.minimum(most, config.pinch.crush_share * critical), most)
    offset = _moment_arm(batch.poses, target.center - batch.poses[:, :3, 3])
    limit = config.tcp_acceleration_max
    slope = batch.cone * np.arctan(config.pinch.friction)
    return pinch_hold(target.mass_kg, offset, batch.patch_radius_m, slope, allowed, limit, config.pinch)


def rate_suction(
    target: Target,
    around: Surroundings,
    hand: HandGeometry,
    config: GraspConfig,
    factor: float,
    known_flat: bool = False,
    film_pa: float = np.inf,
) -> CandidateTable:
    """All suction candidates, rated: each place with the best of the yaws that fit, and its other yaws behind.

    ``film_pa``: vacuum that the item's film bears under this cup."""
    s = replace(config.suction, vacuum_pa=min(config.suction.vacuum_pa, film_pa))
    vacuum_pa = float(film_pa) if film_pa < config.suction.vacuum_pa else 0.0
    radius = hand.hand.cup_radius_m
    batch = suction.generate(target, radius, s, known_flat)
    good, bad = np.flatnonzero(batch.reason == ""), np.flatnonzero(batch.reason != "")
    yaws = np.deg2rad(np.array(s.yaws_deg))
    poses = suction.cup_poses(batch.center, batch.normal, yaws)
    spread = np.repeat(good, len(yaws))
    rows = np.concatenate([spread, bad])
    flat = np.concatenate([poses[good].reshape(-1, 4, 4), poses[bad, 0]])
    batch = batch.take(rows)
    n, k = len(rows), len(spread)
    reason, room = batch.reason.copy(), np.zeros(n)
    way = {name: np.zeros(n) for name in WAY}
    if k:
        fit = fit_cup(flat[:k], target, around, hand, config)
        reason[:k], room[:k] = fit.reason, _room_score(fit)
        for name, values in _way(fit).items():
            way[name][:k] = values
    arm = target.center - batch.center
    lateral, lever = np.linalg.norm(arm[:, :2], axis=1), np.linalg.norm(arm, axis=1)
    leak = np.clip(0.25 * (batch.gap_m / s.lip_conformity_m) ** 2 + 2.0 * (1.0 - batch.support), 0.0, 0.9)
    bears = suction_acceleration(target.mass_kg, lateral, lever, radius, leak, s)
    reason[(reason == "") & (bears < s.least_acceleration)] = WEAK_SEAL
    acceleration = np.clip(bears, CREEP_MPS2, config.tcp_acceleration_max)
    scores = {
        "seal": np.clip(1.0 - 0.5 * (batch.gap_m / s.lip_conformity_m) ** 2, 0.1, 1.0),
        "edge": 0.3 + 0.7 * batch.edge,
        "flat": np.clip(1.0 - 0.6 * batch.spread_rad / np.deg2rad(s.max_normal_spread_deg), 0.05, 1.0),
        "balance": 0.1 + 0.9 * np.exp(-((lateral / 0.04) ** 2)),
        "vertical": 1.0 - 0.45 * (batch.tilt_rad / np.deg2rad(s.max_tilt_deg)) ** 2,
        "room": room,
        "hold": np.clip(0.3 + 0.7 * acceleration / config.tcp_acceleration_max, 0.0, 1.0),
    }
    quality = factor * combine(scores, SUCTION_WEIGHTS) if n else np.zeros(0)
    opening = np.full(n, hand.beside_cup(s.beside_cup_m))
    zero = np.zeros(n)
    measures = pose_measures(flat, target, around.tote) | way | {
        "vacuum_kpa": np.full(n, 1e-3 * s.vacuum_pa),
        "gap_mm": 1e3 * batch.gap_m,
        "rim_share": batch.support,
        "margin_share": batch.edge,
        "spread_deg": np.rad2deg(batch.spread_rad),
        "leak": leak,
        "bears_mps2": np.clip(bears, -20.0, 60.0),
        "used_mps2": acceleration,
    }  # fmt: skip
    return CandidateTable(
        Tool.SUCTION, flat, quality, zero, opening, zero.copy(), acceleration, scores, reason, measures, vacuum_pa
    )


def fit_cup(poses: F64, target: Target, around: Surroundings, hand: HandGeometry, config: GraspConfig) -> Fit:
    """Do cup, fingers, palm and wrist fit at these poses of the cup, all along the approach and its overtravel?"""
    c, n = config.clearance, len(poses)
    opening = hand.beside_cup(config.suction.beside_cup_m)
    ahead = np.array([0.0, 0.0, 0.0, 0.0, 0.0, config.suction.overtravel_m])
    fingers, body = hand.suction_fingers(opening) + ahead, hand.suction_body() + ahead
    boxes = np.concatenate([fingers, body, hand.suction_cup(-0.001)])
    distance, inside = box_distances(poses, boxes, around.obstacles.hard_thin, c.reach_m)
    own = PointGrid.of(target.body.points[target.body.confidence >= c.hard_confidence])
    own_boxes = np.concatenate([fingers, body, hand.suction_cup(-0.006)])
    _, on_item = box_distances(poses, own_boxes, own, 0.0)
    walls = _wall_ok(around, poses, np.concatenate([fingers, body]), config)
    reason = _first(
        [
            inside[:, -1] > 0,
            ~np.all(walls[:, :N_FINGER], axis=1),
            ~np.all(walls[:, N_FINGER:], axis=1),
            distance[:, :N_FINGER].min(axis=1) < c.margin_m,
            distance[:, N_FINGER:-1].min(axis=1) < c.margin_m,
            on_item[:, :N_FINGER].max(axis=1) > c.tolerance_points,
            on_item[:, N_FINGER:].max(axis=1) > c.tolerance_points,
        ],
        [CUP_BLOCKED, FINGER_WALL, BODY_WALL, FINGER_BLOCKED, BODY_BLOCKED, FINGER_ON_ITEM, BODY_ON_ITEM],
    )
    good = np.flatnonzero(reason == "")
    _, hits = box_distances(poses[good], boxes, around.obstacles.hard, 0.0)
    reason[good[hits[:, :N_FINGER].any(axis=1)]] = FINGER_BLOCKED
    reason[good[hits[:, N_FINGER:-1].any(axis=1)]] = BODY_BLOCKED
    reason[good[hits[:, -1] > 0]] = CUP_BLOCKED
    _, soft = box_distances(poses, fingers, around.obstacles.soft, 0.0)
    broad = np.broadcast_to(fingers[:2], (n, 2, 6))
    unknown = unknown_share(around.occupancy, poses, broad)
    return Fit(reason, np.full(n, opening), distance[:, :N_FINGER].min(axis=1), soft.sum(axis=1).astype(np.float64), unknown)
