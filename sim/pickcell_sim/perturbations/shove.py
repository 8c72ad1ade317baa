"""An item is shoved: a finger pushes it along and turns it, with no more than a finger's force. It is never teleported."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pybullet as p

from pickcell.cell import ToteConfig
from pickcell.geometry import inverse, transform_points, transform_vectors
from pickcell_sim.perturbations.act import Missed, Struck, Timed
from pickcell_sim.perturbations.guided import (
    RESPONSE_S,
    Array,
    Motion,
    follow_law,
    item_mass,
    motion_of,
    push_item,
    smooth_step,
)
from pickcell_sim.perturbations.kinds import Kind
from pickcell_sim.scoring.truth import Truth
from pickcell_sim.world import ItemBody, SimWorld

LEAN_S = 0.15
"""For so long after its path has ended the finger still pushes what has been held back."""
COAST_S = 0.3
"""After the push the item slides on; then it is measured how far it came."""
PERSISTENCE = 0.7
"""How fast the finger pushes harder while the item lags, as a share of what would swing a free item (1)."""
DIRECTIONS = 12


@dataclass
class Shove(Timed):
    """Kinds ``target_shift`` and ``neighbour_shift``."""

    item: ItemBody | None = None
    _start: Motion | None = None
    _direction: Array = field(default_factory=lambda: np.zeros(3))
    _mass: float = 0.0
    _inertia: float = 0.0
    _arm_m: float = 0.0
    _spent_s: float = 0.0
    _patience: Array = field(default_factory=lambda: np.zeros(2))
    """Force (N) and torque (Nm) by which the finger has come to push harder than the item alone would need."""
    _peak_n: float = 0.0

    def begin(self) -> Struck | Missed:
        world = self.scene.driver.world
        item = self._whom()
        if isinstance(item, Missed):
            return item
        self.item, self.began_s = item, world.time_s
        self._start = motion_of(world, item.body)
        self._direction = free_direction(
            world, item, self.perturbation.magnitude["distance_m"], self.perturbation.rng().uniform(0.0, 2.0 * np.pi)
        )
        self._mass = item_mass(world, item.body)
        low, high = (np.array(v) for v in p.getAABB(item.body, -1, physicsClientId=world.client))
        self._inertia = self._mass * float(np.sum((high - low)[:2] ** 2)) / 12.0
        self._arm_m = 0.5 * float(np.linalg.norm((high - low)[:2]))
        return Struck(item.body, item)

    def _whom(self) -> ItemBody | Missed:
        target = self.scene.target
        if target is None:
            return Missed("there is no item to shove")
        if self.perturbation.kind is Kind.TARGET_SHIFT:
            return target
        gap = self.perturbation.magnitude["gap_m"]
        near = neighbours(self.scene.driver.world, target, gap)
        if not near:
            return Missed(f"nothing lies within {100 * gap:.0f} cm of item {target.item_id}")
        return near[int(self.perturbation.rng().integers(len(near)))]

    def step(self) -> bool:
        """The finger moves on along its path and pushes the item if it lags behind; it cannot pull it back."""
        assert self.item is not None
        world, push_s = self.scene.driver.world, self.perturbation.magnitude["push_s"]
        if self.item.item_id not in world.item_bodies:  # somebody took it away
            return False
        self._spent_s += world.step_s  # its own clock: cell time stands still within substeps
        if self._spent_s <= push_s + LEAN_S:
            push, twist = self._push(world.step_s)
            push_item(world, self.item.body, push * self._direction, np.array([0.0, 0.0, twist]))
            self._peak_n = max(self._peak_n, push)
        return self._spent_s < push_s + LEAN_S + COAST_S

    def _push(self, step_s: float) -> tuple[float, float]:
        """Force along the direction (N) and torque about the vertical (Nm) for the coming step."""
        assert self.item is not None and self._start is not None
        m = self.perturbation.magnitude
        share, rate = smooth_step(self._spent_s / m["push_s"])
        turn = float(np.deg2rad(m["turn_deg"]))
        goal = np.array([m["distance_m"], abs(turn)])
        now, sign = motion_of(self.scene.driver.world, self.item.body), float(np.sign(turn))
        turned = float((now.rotation * self._start.rotation.inv()).as_rotvec()[2])
        done = np.array([float((now.position - self._start.position) @ self._direction), sign * turned])
        speed = np.array([float(now.velocity @ self._direction), sign * float(now.spin[2])])
        lag, inertia = share * goal - done, np.array([self._mass, self._inertia])
        limit = m["force_n"] * np.array([1.0, self._arm_m])
        # An integral part, so that a light item wedged behind heavy ones is pushed as hard as the finger can. The loop
        # m s^3 + 2 m s^2 / T + m s / T^2 + k is stable for k < 2 m / T^3 (Routh).
        self._patience = np.clip(self._patience + PERSISTENCE * inertia / RESPONSE_S**3 * lag * step_s, 0.0, limit)
        force = follow_law(inertia, lag, rate / m["push_s"] * goal - speed) + self._patience
        force = np.clip(force, 0.0, limit)
        return float(force[0]), sign * float(force[1])

    def end(self) -> None:
        assert self.item is not None and self._start is not None
        if self.item.item_id not in self.scene.driver.world.item_bodies:
            return
        now = motion_of(self.scene.driver.world, self.item.body)
        moved = now.position - self._start.position
        self.measured = {
            "moved_m": float(np.linalg.norm(moved)),
            "along_m": float(moved @ self._direction),
            "turned_deg": float(np.rad2deg((now.rotation * self._start.rotation.inv()).as_rotvec()[2])),
            "peak_force_n": self._peak_n,
        }


def free_direction(world: SimWorld, item: ItemBody, distance_m: float, first_rad: float) -> Array:
    """(3,) horizontal unit vector along which an item in a tote can go that far before its box meets a wall.

    The first such of evenly spread directions, beginning at ``first_rad``; when there is none, the one with most room.
    """
    angles = first_rad + 2.0 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    directions = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(DIRECTIONS)])
    tote = _tote_with(world, item)
    if tote is None:
        return directions[0]
    X_tote_world = inverse(tote.X_world_tote)
    low, high = p.getAABB(item.body, -1, physicsClientId=world.client)
    corners = np.array([[x, y, low[2]] for x in (low[0], high[0]) for y in (low[1], high[1])])
    inside = transform_points(X_tote_world, corners)[:, :2]
    ways = transform_vectors(X_tote_world, directions)[:, :2]
    half = 0.5 * np.asarray(tote.inner[:2])
    with np.errstate(divide="ignore"):
        room = np.where(ways > 0, half - inside.max(axis=0), half + inside.min(axis=0)) / np.abs(ways)
    way = room.min(axis=1)
    free = np.flatnonzero(way >= distance_m)
    return directions[int(free[0]) if free.size else int(np.argmax(way))]


def _tote_with(world: SimWorld, item: ItemBody) -> ToteConfig | None:
    place = motion_of(world, item.body).position
    for tote in world.cell.totes.values():
        x, y, _ = transform_points(inverse(tote.X_world_tote), [place])[0]
        if abs(x) < 0.5 * tote.inner[0] and abs(y) < 0.5 * tote.inner[1]:
            return tote
    return None


def neighbours(world: SimWorld, target: ItemBody, gap_m: float) -> list[ItemBody]:
    """Other items whose surface is within ``gap_m`` of the target's, by number."""
    near = []
    for number in sorted(world.item_bodies):
        other = world.item_bodies[number]
        if other is not target and p.getClosestPoints(target.body, other.body, gap_m, physicsClientId=world.client):
            near.append(other)
    return near


def item_near_tool(driver_truth: Truth, world: SimWorld, sku: str = "") -> ItemBody | None:
    """The piece nearest to the hand, of one SKU if it is named: in the source tote if any lies there, else anywhere."""
    pieces = [i for i in sorted(world.item_bodies) if not sku or world.item_bodies[i].name == sku]
    inside = set(driver_truth.items_in("source"))
    pieces = [i for i in pieces if i in inside] or pieces
    tool = world.X_world_link("tcp_pinch")[:3, 3]
    nearest = min(pieces, key=lambda i: float(np.linalg.norm(driver_truth.item_pose(i)[:3, 3] - tool)), default=None)
    return None if nearest is None else world.item_bodies[nearest]
