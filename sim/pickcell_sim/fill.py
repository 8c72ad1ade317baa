"""Fill a tote: items dropped in one by one in random poses until they lie still, all inside. The seed decides it all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pybullet as p
from scipy.spatial.transform import Rotation

from pickcell.cell import ToteConfig
from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spawn import item_pose, item_speed, outline, place_item, sleep_items, spawn_item
from pickcell_sim.world import ItemBody, SimWorld

_DROP_GAP_M = 0.015  # low drops: at 240 Hz a faster card could pass through a 6 mm floor
_FALL_STEPS = 72
_STILL_MPS = 0.006
_SETTLE_STEPS = 1500
_TRIES = 12
_WAITING_M = 3.0
_RIM_OVERHANG_M = 0.03


class FillError(RuntimeError):
    """The items do not fit: after many tries some still lie outside."""


def fill_tote(world: SimWorld, skus: Sequence[str], seed: int, tote: str = "source") -> list[ItemBody]:
    """Drop one piece per entry of ``skus`` into a tote, let all settle, put them to sleep; in spawning order.

    Items that end outside are dropped again. Raises KeyError for an unknown SKU or tote, FillError when they do not fit.
    """
    config = world.cell.totes.get(tote)
    if config is None:
        raise KeyError(f"no tote '{tote}'; the cell has {sorted(world.cell.totes)}")
    with _standing_robot(world):
        spawned = _drop_all(world, config, skus, np.random.default_rng([seed, 101]))
    sleep_items(world)
    return spawned


def _drop_all(world: SimWorld, tote: ToteConfig, skus: Sequence[str], rng: np.random.Generator) -> list[ItemBody]:
    """Drop one item after the other, then again those that did not stay inside. Raises FillError."""
    spawned: list[ItemBody] = []
    for i in rng.permutation(len(skus)):
        item = spawn_item(world, skus[int(i)], make_pose((0.0, 0.0, _WAITING_M)))
        _ignore_robot(world, item, True)
        _drop(world, tote, item, rng, tumble=True)
        spawned.append(item)
    _settle(world, spawned)
    for attempt in range(_TRIES):
        strays = [item for item in spawned if not _inside(world, tote, item)]
        if not strays:
            break
        for item in strays:
            _drop(world, tote, item, rng, tumble=attempt < 3)
        _settle(world, spawned)
    else:
        raise FillError(f"{[s.name for s in strays]} would not stay in the tote with {len(skus)} items")
    for item in spawned:
        _ignore_robot(world, item, False)
    return spawned


def _drop(world: SimWorld, tote: ToteConfig, item: ItemBody, rng: np.random.Generator, tumble: bool) -> None:
    """Put an item in a random pose just above whatever lies below it, and let it fall for a moment.

    ``tumble`` False lays it flat, on its largest side.
    """
    rotation = _random_rotation(item, rng, tumble)
    points = outline(item.name) @ rotation.as_matrix().T
    low, high = points.min(axis=0), points.max(axis=0)
    inner = np.asarray(tote.inner)
    margin = 0.004
    lowest = -inner[:2] / 2 + margin - low[:2]
    highest = inner[:2] / 2 - margin - high[:2]
    middle = (lowest + highest) / 2
    lowest, highest = np.minimum(lowest, middle), np.maximum(highest, middle)
    position = np.array([*rng.uniform(lowest, highest), 0.0])
    position[2] = _height_below(world, tote, item.body, position + low, position + high) + _DROP_GAP_M - low[2]
    X_tote_item = np.eye(4)
    X_tote_item[:3, :3] = rotation.as_matrix()
    X_tote_item[:3, 3] = position
    place_item(world, item, tote.X_world_tote @ X_tote_item)
    world.step(_FALL_STEPS)


def _random_rotation(item: ItemBody, rng: np.random.Generator, tumble: bool) -> Rotation:
    """A random attitude: any for blobs, mostly on a side for boxes and cylinders, mostly flat for cards."""
    yaw = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi))
    size = np.asarray(item_spec(item.name).size_m)
    if not tumble:
        return yaw * _upright_axis(int(np.argmin(size)))
    if item_spec(item.name).kind == "irregular":
        return Rotation.random(random_state=np.random.RandomState(int(rng.integers(2**31))))
    if item_spec(item.name).kind == "card":
        tilt = rng.uniform(0.0, 0.35) if rng.random() < 0.8 else rng.uniform(0.35, 1.2)
        flip = Rotation.from_euler("x", np.pi if rng.random() < 0.3 else 0.0)
        return yaw * Rotation.from_euler("x", tilt) * flip
    axis = int(rng.choice(3, p=_side_odds(size)))
    flip = Rotation.from_euler("x", np.pi if rng.random() < 0.5 else 0.0)
    return yaw * Rotation.from_euler("xy", rng.normal(0.0, 0.25, 2)) * flip * _upright_axis(axis)


def _side_odds(size: np.ndarray) -> np.ndarray:
    """Odds of standing on each of the three pairs of sides: by their area, as dumped items tend to."""
    areas = np.array([size[1] * size[2], size[0] * size[2], size[0] * size[1]])
    return areas / areas.sum()


def _upright_axis(axis: int) -> Rotation:
    """The rotation that turns the item's own axis 0, 1 or 2 up."""
    return (Rotation.from_euler("y", -np.pi / 2), Rotation.from_euler("x", np.pi / 2), Rotation.identity())[axis]


def _height_below(world: SimWorld, tote: ToteConfig, body: int, low: np.ndarray, high: np.ndarray) -> float:
    """Top (m above the tote's floor) of the items whose bounding boxes overlap the given footprint in the tote frame."""
    X_tote_world = inverse(tote.X_world_tote)
    top = 0.0
    for other in world.item_bodies.values():
        if other.body == body:
            continue
        points = _points_in(X_tote_world, world, other)
        other_low, other_high = points.min(axis=0), points.max(axis=0)
        beside = np.any(other_high[:2] < low[:2]) or np.any(other_low[:2] > high[:2])
        if not beside:
            top = max(top, float(other_high[2]))
    return top


def _points_in(X_tote_world: Pose, world: SimWorld, item: ItemBody) -> np.ndarray:
    return transform_points(X_tote_world @ item_pose(world, item), outline(item.name))


def _settle(world: SimWorld, spawned: list[ItemBody]) -> None:
    """Step until every item has been still for a quarter of a second, or 6 s have passed."""
    still = 0
    for _ in range(_SETTLE_STEPS):
        world.step()
        still = still + 1 if all(item_speed(world, item) < _STILL_MPS for item in spawned) else 0
        if still >= 60:
            return


def _inside(world: SimWorld, tote: ToteConfig, item: ItemBody) -> bool:
    """Whether the whole item is within the tote's walls, standing out of its rim by 3 cm at most."""
    points = _points_in(inverse(tote.X_world_tote), world, item)
    inner = np.asarray(tote.inner)
    within = np.all(np.abs(points[:, :2]) < inner[:2] / 2 + tote.wall / 2)
    return bool(within and points[:, 2].min() > -0.004 and points[:, 2].max() < inner[2] + _RIM_OVERHANG_M)


def _ignore_robot(world: SimWorld, item: ItemBody, ignore: bool) -> None:
    """Let an item fall through the robot while the tote is being filled: in a warehouse that happens elsewhere."""
    for link in world.robot.links.values():
        p.setCollisionFilterPair(item.body, world.robot.body, -1, link, int(not ignore), physicsClientId=world.client)


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
