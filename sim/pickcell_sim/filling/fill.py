"""Fill a tote: items dropped, poured or set in until they lie still, all inside. The seed decides it all.

Items with moving parts settle as rigid stand-ins first, then once more as what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pybullet as p
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.cell import ToteConfig
from pickcell.geometry import Pose, inverse, make_pose, quat_xyzw_from_pose, rotation_angle, transform_points
from pickcell_sim.filling.attitudes import neat_rotation, place_upright, random_rotation
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spawn import item_pose, item_speed, outline, place_item, sleep_items, spawn_item
from pickcell_sim.items.stand_ins import StandIns
from pickcell_sim.world import ItemBody, SimWorld

Array = NDArray[np.float64]

WORKSPACE_M = 0.30
"""Side of the square in the middle of the tote that :func:`fill_packed` and :func:`fill_pile` use."""
LARGE_PACK_M2 = 0.018
"""Footprint of 12 by 15 cm: flat things larger than that are put in first."""
_DROP_GAP_M = 0.015  # low drops: at 240 Hz a faster card could pass through a 6 mm floor
_POUR_GAP_M = 0.05
_FALL_STEPS = 72
_STILL_MPS = 0.006
_SETTLE_STEPS = 1500
_TRIES = 12
_FITTING_TRIES = 20
_LOOKS = 6
"""People put books and bags where there is room."""
_CROWDED = 0.38
"""Bounding boxes of the items per volume of the tote. Dumped boxes fill half of the room that they are in."""
_DUMPED_KINDS = ("irregular", "box", "cylinder", "card")
"""Totes of these alone are dumped in without looking."""
_WAITING_M = 3.0
_CALMING_ROUNDS = 60
_CALMING_STEPS = 12
_CALMED = 0.3
"""Share of its speed that an item keeps after each of those rounds."""
_RIM_OVERHANG_M = 0.03
_WORKSPACE_HEIGHT_M = 0.30
"""Items may stand out of a low tray up to this height above its floor, in the protocols of the 30 cm cube."""
_CROWDED_OVERHANG_M = 0.06
_MARGIN_M = 0.004
_TOPPLED_RAD = 0.26
_CHUTE_HEIGHT_M = 0.4
_CHUTE_WALL_M = 0.02


class FillError(RuntimeError):
    """The items do not fit: after many tries some still lie outside."""


def fill_tote(world: SimWorld, skus: Sequence[str], seed: int, tote: str = "source") -> list[ItemBody]:
    """Drop one piece per entry of ``skus`` into a tote, let all settle, put them to sleep; in spawning order.

    Items that end outside are dropped again. Raises KeyError for an unknown SKU or tote, FillError when they do not fit.
    """
    filling = _Filling(world, tote)
    with _standing_robot(world):
        rng = np.random.default_rng([seed, 101])
        if not all(item_spec(sku).kind in _DUMPED_KINDS for sku in skus):
            filling.arrange(skus)
        for i in _dumping_order(skus, rng, filling.neat):
            filling.drop(filling.add(skus[i]), rng, tumble=True)
        filling.finish(rng)
    return filling.items


def _dumping_order(skus: Sequence[str], rng: np.random.Generator, neat: bool) -> list[int]:
    """Random, but large books, envelopes and bags go below; in a crowded tote the larger goes below the smaller."""
    order = [int(i) for i in rng.permutation(len(skus))]
    if neat:
        return sorted(order, key=lambda i: -float(np.prod(item_spec(skus[i]).size_m)))
    return sorted(order, key=lambda i: not _is_large_pack(skus[i]))


def _is_large_pack(sku: str) -> bool:
    """A book, envelope or bag that covers much of what lies below it."""
    spec = item_spec(sku)
    return spec.structure in ("book", "sheet", "loose") and spec.size_m[0] * spec.size_m[1] > LARGE_PACK_M2


def fill_packed(world: SimWorld, skus: Sequence[str], seed: int, tote: str = "source") -> list[ItemBody]:
    """Stand one piece per entry of ``skus`` upright at random places of a 30 cm square, none touching another.

    The protocol of packed scenes of M. Breyer et al., "Volumetric Grasping Network", CoRL 2020; what cannot stand lies flat.
    Raises KeyError for an unknown SKU or tote, FillError when there is no room for all.
    """
    filling = _Filling(world, tote)
    filling.ceiling_m = max(filling.ceiling_m, _WORKSPACE_HEIGHT_M)
    side = np.minimum(WORKSPACE_M, np.asarray(filling.tote.inner[:2]))
    with _standing_robot(world):
        items = [filling.add(sku) for sku in skus]
        for attempt in range(_TRIES):
            placed = place_upright([item.name for item in items], side, np.random.default_rng([seed, 102, attempt]))
            if placed is None:
                continue
            X_world_items = [filling.tote.X_world_tote @ X for X in placed]
            for item, X in zip(items, X_world_items):
                place_item(world, item, X)
            filling.settle()
            if not any(_toppled(item, X, item_pose(world, item)) for item, X in zip(items, X_world_items)):
                break
        else:
            raise FillError(f"no room to stand {len(skus)} items upright within {side.min():.2f} m: {', '.join(skus)}")
        filling.finish(np.random.default_rng([seed, 103]))
    return filling.items


def fill_pile(world: SimWorld, skus: Sequence[str], seed: int, tote: str = "source") -> list[ItemBody]:
    """Pour one piece per entry of ``skus`` through an open box over a 30 cm square, and take the box away.

    The protocol of piled scenes of M. Breyer et al., "Volumetric Grasping Network", CoRL 2020: any attitude, dropped over
    the square's middle third. Raises KeyError for an unknown SKU or tote, FillError when they will not stay inside.
    """
    filling = _Filling(world, tote)
    filling.ceiling_m = max(filling.ceiling_m, _WORKSPACE_HEIGHT_M)
    side = np.minimum(WORKSPACE_M, np.asarray(filling.tote.inner[:2]))
    rng = np.random.default_rng([seed, 104])
    with _standing_robot(world):
        with _chute(world, filling.tote, side):
            for i in rng.permutation(len(skus)):
                filling.pour(filling.add(skus[int(i)]), side, rng)
            filling.settle()
        filling.finish(rng)
    return filling.items


class _Filling:
    """The items of one tote while it is being filled."""

    def __init__(self, world: SimWorld, tote: str) -> None:
        if tote not in world.cell.totes:
            raise KeyError(f"no tote '{tote}'; the cell has {sorted(world.cell.totes)}")
        self.world = world
        self.tote: ToteConfig = world.cell.totes[tote]
        self.items: list[ItemBody] = []
        self.stand_ins = StandIns(world)
        self.ceiling_m = self.tote.inner[2] + _RIM_OVERHANG_M
        """Nothing may stand higher above the tote's floor."""
        self.looks = 1
        """Places looked at for each item; the one with the least height below is taken."""
        self.neat = False
        """Everything is laid flat along the walls: a crowded tote holds no more."""
        self.overhang_m = _RIM_OVERHANG_M
        self._calming = False
        self._settle_steps = _SETTLE_STEPS
        self._still_mps = _STILL_MPS

    def arrange(self, skus: Sequence[str]) -> None:
        """Fill as people do: look where there is room, and lay things flat where much has to go in."""
        volume = sum(float(np.prod(item_spec(sku).size_m)) for sku in skus)
        self.looks, self._calming = _LOOKS, True
        self.neat = volume > _CROWDED * float(np.prod(self.tote.inner))
        self.overhang_m = _CROWDED_OVERHANG_M if self.neat else _RIM_OVERHANG_M
        # What creeps in a heap of soft things never stops; it is put to sleep in the end.
        self._settle_steps, self._still_mps = _SETTLE_STEPS // 3, 2.0 * _STILL_MPS

    def add(self, sku: str) -> ItemBody:
        """Spawn a piece high up; it passes through the robot until it lies, as filling happens elsewhere in a warehouse."""
        item = spawn_item(self.world, sku, make_pose((0.0, 0.0, _WAITING_M)))
        self._ignore_robot(item, True)
        self.stand_ins.close_all([item])
        self._ignore_robot(item, True)
        self.items.append(item)
        return item

    def drop(self, item: ItemBody, rng: np.random.Generator, tumble: bool) -> None:
        """Put an item in a random pose just above whatever lies below it, and let it fall for a moment.

        ``tumble`` False lays it flat, on its largest side.
        """
        chosen = None
        for _ in range(self.looks):
            rotation, points = self._fitting(item, rng, tumble)
            at = rng.uniform(*self._room(points))
            low, high = points.min(axis=0), points.max(axis=0)
            top = _height_below(self.world, self.tote, item.body, at + low[:2], at + high[:2]) + high[2] - low[2]
            if chosen is None or top < chosen[0]:
                chosen = (top, rotation, points, at)
        assert chosen is not None
        self._let_fall(item, *chosen[1:], _DROP_GAP_M, _FALL_STEPS)

    def _fitting(self, item: ItemBody, rng: np.random.Generator, tumble: bool) -> tuple[Rotation, Array]:
        """A random attitude that fits between the walls, and the item's outline (N, 3) in it."""
        for _ in range(_FITTING_TRIES):
            rotation = random_rotation(item.name, rng, tumble) if not self.neat else neat_rotation(item.name, rng)
            points = outline(item.name) @ rotation.as_matrix().T
            if np.all(np.ptp(points, axis=0)[:2] < np.asarray(self.tote.inner[:2]) - 2.0 * _MARGIN_M):
                break
        return rotation, points

    def pour(self, item: ItemBody, side: Array, rng: np.random.Generator) -> None:
        """Let an item fall in any attitude over the middle third of the workspace, and come to rest."""
        rotation = Rotation.random(random_state=np.random.RandomState(int(rng.integers(2**31))))
        points = outline(item.name) @ rotation.as_matrix().T
        room = np.maximum(0.0, side / 2.0 - 2.0 * _MARGIN_M - np.abs(points[:, :2]).max(axis=0))
        self._let_fall(item, rotation, points, rng.uniform(-1.0, 1.0, 2) * np.minimum(room, side / 6.0), _POUR_GAP_M, 0)
        self.settle()

    def _room(self, points: Array) -> tuple[Array, Array]:
        """Least and largest x, y of an item in the tote's frame so that its ``points`` stay between the walls."""
        inner = np.asarray(self.tote.inner)
        lowest = -inner[:2] / 2 + _MARGIN_M - points[:, :2].min(axis=0)
        highest = inner[:2] / 2 - _MARGIN_M - points[:, :2].max(axis=0)
        middle = (lowest + highest) / 2
        return np.minimum(lowest, middle), np.maximum(highest, middle)

    def _let_fall(self, item: ItemBody, rotation: Rotation, points: Array, at: Array, gap_m: float, steps: int) -> None:
        low, high = points.min(axis=0), points.max(axis=0)
        position = np.array([*at, 0.0])
        position[2] = _height_below(self.world, self.tote, item.body, at + low[:2], at + high[:2]) + gap_m - low[2]
        X_tote_item = np.eye(4)
        X_tote_item[:3, :3] = rotation.as_matrix()
        X_tote_item[:3, 3] = position
        place_item(self.world, item, self.tote.X_world_tote @ X_tote_item)
        self.world.step(steps)

    def settle(self) -> None:
        """Step until every item has been still for a quarter of a second, or 6 s (of soft things 2 s) have passed."""
        still = 0
        for _ in range(self._settle_steps):
            self.world.step()
            still = still + 1 if all(item_speed(self.world, item) < self._still_mps for item in self.items) else 0
            if still >= 60:
                return

    def finish(self, rng: np.random.Generator) -> None:
        """Settle, drop strays again, make stand-ins what they are, and put all to sleep. Raises FillError."""
        self.settle()
        for attempt in range(_TRIES):
            if not self._strays():
                self._open()
            strays = self._strays()
            if not strays:
                break
            self.stand_ins.close_all(self.items)
            for item in strays:
                self.drop(item, rng, tumble=attempt < 3)
            self.settle()
        else:
            raise FillError(f"{[s.name for s in strays]} would not stay in the tote with {len(self.items)} items")
        for item in self.items:
            self._ignore_robot(item, False)
        if self._calming:
            self._calm()
        sleep_items(self.world)

    def _open(self) -> None:
        """Make the items of their parts again and let those settle."""
        swaps = self.stand_ins.swaps
        self.stand_ins.open_all()
        if self.stand_ins.swaps != swaps:
            for item in self.items:
                self.world.wake(item.body)
            self.settle()

    def _calm(self) -> None:
        """Take speed from what still creeps until all sleep: Bullet wakes sleepers with the last of their neighbours."""
        client = self.world.client
        for _ in range(_CALMING_ROUNDS):
            self.world.step(_CALMING_STEPS)
            if all(item.asleep for item in self.items):
                return
            for body in (body for item in self.items if not item.asleep for body in item.bodies):
                linear, angular = (np.asarray(v) for v in p.getBaseVelocity(body, physicsClientId=client))
                p.resetBaseVelocity(body, (_CALMED * linear).tolist(), (_CALMED * angular).tolist(), physicsClientId=client)

    def _strays(self) -> list[ItemBody]:
        return [item for item in self.items if not _inside(self.world, self.tote, item, self.ceiling_m)]

    def _ignore_robot(self, item: ItemBody, ignore: bool) -> None:
        client, robot = self.world.client, self.world.robot
        for part in range(-1, p.getNumJoints(item.body, physicsClientId=client)):
            for link in robot.links.values():
                p.setCollisionFilterPair(item.body, robot.body, part, link, int(not ignore), physicsClientId=client)


def _height_below(world: SimWorld, tote: ToteConfig, body: int, low: Array, high: Array) -> float:
    """Top (m above the tote's floor) of the items whose bounding boxes overlap the given footprint in the tote frame."""
    X_tote_world = inverse(tote.X_world_tote)
    top = 0.0
    for other in world.item_bodies.values():
        if other.body == body:
            continue
        points = _points_in(X_tote_world, world, other)
        other_low, other_high = points.min(axis=0), points.max(axis=0)
        beside = np.any(other_high[:2] < low[:2]) or np.any(other_low[:2] > high[:2])
        if not beside and other_low[2] < _WAITING_M / 2:
            top = max(top, float(other_high[2]))
    return top


def _points_in(X_tote_world: Pose, world: SimWorld, item: ItemBody) -> Array:
    return transform_points(X_tote_world @ item_pose(world, item), outline(item.name))


def _inside(world: SimWorld, tote: ToteConfig, item: ItemBody, ceiling_m: float) -> bool:
    """Whether the whole item is within the tote's walls, and not higher than ``ceiling_m`` above its floor."""
    points = _points_in(inverse(tote.X_world_tote), world, item)
    inner = np.asarray(tote.inner)
    within = np.all(np.abs(points[:, :2]) < inner[:2] / 2 + tote.wall / 2)
    return bool(within and points[:, 2].min() > -0.004 and points[:, 2].max() < ceiling_m)


def _toppled(item: ItemBody, X_world_placed: Pose, X_world_item: Pose) -> bool:
    """Whether an item fell over. Blobs and toys have no base: they settle on whatever side they find."""
    spec = item_spec(item.name)
    stands = spec.kind != "irregular" and spec.structure != "plush"
    return bool(stands and rotation_angle(inverse(X_world_placed) @ X_world_item) > _TOPPLED_RAD)


@contextmanager
def _chute(world: SimWorld, tote: ToteConfig, side: Array) -> Iterator[None]:
    """Four walls round the workspace, open above and below."""
    reach = side / 2.0 + _CHUTE_WALL_M / 2.0
    z, half = _CHUTE_HEIGHT_M / 2.0, _CHUTE_WALL_M / 2.0
    shape = p.createCollisionShapeArray(
        shapeTypes=[p.GEOM_BOX] * 4,
        halfExtents=[[half, reach[1] + half, z]] * 2 + [[reach[0] + half, half, z]] * 2,
        collisionFramePositions=[[-reach[0], 0, z], [reach[0], 0, z], [0, -reach[1], z], [0, reach[1], z]],
        physicsClientId=world.client,
    )
    X = tote.X_world_tote
    body = p.createMultiBody(0.0, shape, -1, X[:3, 3].tolist(), quat_xyzw_from_pose(X), physicsClientId=world.client)
    for link in world.robot.links.values():
        p.setCollisionFilterPair(body, world.robot.body, -1, link, 0, physicsClientId=world.client)
    try:
        yield
    finally:
        p.removeBody(body, physicsClientId=world.client)


@contextmanager
def _standing_robot(world: SimWorld) -> Iterator[None]:
    """Keep the robot where it stands while physics runs, whether or not anything controls it."""
    robot, joints = world.robot.body, list(world.robot.joints.values())
    positions = [s[0] for s in p.getJointStates(robot, joints, physicsClientId=world.client)]

    def hold() -> None:
        for joint, position in zip(joints, positions):
            p.resetJointState(robot, joint, position, 0.0, physicsClientId=world.client)

    world.before_step.append(hold)
    try:
        yield
    finally:
        world.before_step.remove(hold)
        hold()
