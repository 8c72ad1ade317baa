"""Rigid stand-ins for books, sheets and bags that nothing happens to: one body of the same shape and weight.

A closed book that lies in a tote moves like a box, and a box is several times cheaper to simulate. An item is made of its
parts again as soon as the robot, or something that moves fast, comes near it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
import pybullet as p
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.geometry import Pose, inverse, make_pose, transform_points
from pickcell_sim.items.assets import ensure_item, item_spec
from pickcell_sim.items.loose import bag_shape, filter_contents
from pickcell_sim.items.models import describe
from pickcell_sim.items.sheet_model import sheet_outline_boxes
from pickcell_sim.items.spawn import HingeBrakes, item_pose, item_speed, set_base, set_surface
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.items.urdf import Box, closed_shape
from pickcell_sim.momentum import momentum, set_motion
from pickcell_sim.vision.visuals import NOTHING, UrdfModel
from pickcell_sim.world import ItemBody, SimWorld

Array = NDArray[np.float64]

STRUCTURES = ("book", "sheet", "loose")
"""What has a stand-in; plush is one body already."""
NEAR_M = 0.035
"""Between bounding boxes, from the robot or a fast item: closer than this an item is made of its parts."""
FAR_M = 0.05
"""Farther than this from all of them it may stand as one body again."""
FAST_MPS = 0.15
"""Items that move faster than this open what they come near."""
CLOSED_RAD = 0.02
"""Hinges within this count as closed: what a stand-in would change by closing them is below 3 mm at 15 cm."""
CALM_MPS = 0.02
CHECK_EVERY = 3
"""Steps between looks: at 1.2 m/s the robot comes 1.5 cm nearer in between."""
PARKED_Z_M = -40.0
PARKED_PITCH_M = 2.0


@dataclass
class _Enrolled:
    """An item's parts and its stand-in, one of which is in the world while the other is parked."""

    item: ItemBody
    parts: int
    """The body with joints, or the shell."""
    contents: tuple[int, ...]
    stand_in: int
    places: Array = field(default_factory=lambda: np.zeros((0, 3)))
    """(N, 3) of the contents in the item's frame while the stand-in stands for them."""
    closed: bool = False
    """The stand-in is in the world, the parts are parked."""


@dataclass
class _Pool:
    """The stand-ins of one world, whoever swaps them."""

    items: dict[int, _Enrolled] = field(default_factory=dict)
    """By item number."""
    spare: dict[str, list[int]] = field(default_factory=dict)
    """Stand-ins of items that were taken away, by SKU."""


_POOLS: WeakKeyDictionary[SimWorld, _Pool] = WeakKeyDictionary()


class StandIns:
    """Swaps items of one world. Attach with :meth:`attach`; :meth:`close_all` and :meth:`open_all` work without."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        pool = _POOLS.setdefault(world, _Pool())
        self._items, self._spare = pool.items, pool.spare
        self._sleeping: dict[int, tuple[int, tuple[Sequence[float], Sequence[float]]]] = {}
        """By item: body and box of one that sleeps."""
        self._robot_joints = p.getNumJoints(world.robot.body, physicsClientId=world.client)
        self.swaps = 0

    def attach(self) -> StandIns:
        """From now on look after all items of the world, before each of its steps; in the place of any other."""
        for other in [c for c in self._world.before_step if isinstance(c, StandIns) and c is not self]:
            other.detach()
        if self not in self._world.before_step:
            self._world.before_step.insert(0, self)
        return self

    def detach(self) -> None:
        """Leave all items as they are now."""
        if self in self._world.before_step:
            self._world.before_step.remove(self)

    def __call__(self) -> None:
        if self._world.steps % CHECK_EVERY == 0:
            self.update()

    # -- which item stands as what -----------------------------------------------------------------------------------
    def update(self) -> None:
        """Enrol new items, forget those that are gone, and swap by who is near whom."""
        self._reconcile()
        world = self._world
        items = [world.item_bodies[number] for number in self._items]
        if not items:
            return
        agents_low, agents_high, owners = self._agents()
        corners = np.array([self._box(item) for item in items])
        gaps = _gaps(corners[:, 0], corners[:, 1], agents_low, agents_high)
        numbers = np.array([item.item_id for item in items])
        gaps[numbers[:, None] == owners[None]] = np.inf  # an item is not near itself
        for item, gap in zip(items, gaps.min(axis=1)):
            if self._items[item.item_id].closed:
                if gap < NEAR_M:
                    self.open(item)
            elif gap > FAR_M and not item.held and self._is_calm(item):
                self.close(item)

    def close_all(self, items: Iterable[ItemBody]) -> None:
        """Let stand-ins stand for all of these that can have one, wherever the robot is."""
        self._reconcile()
        for item in items:
            if item.item_id in self._items and not self._items[item.item_id].closed:
                self.close(item)

    def open_all(self) -> None:
        """Make every item of its parts again."""
        self._reconcile()
        for number, enrolled in self._items.items():
            if enrolled.closed:
                self.open(self._world.item_bodies[number])

    def _reconcile(self) -> None:
        world = self._world
        # Numbers of items that were taken away are given out again.
        for number in [n for n, e in self._items.items() if world.item_bodies.get(n) is not e.item]:
            gone = self._items.pop(number)
            self._sleeping.pop(number, None)
            if not gone.closed:
                self._spare.setdefault(gone.item.name, []).append(gone.stand_in)
                continue
            for body in (gone.parts, *gone.contents):  # the stand-in was the one in the world, and went with the item
                world.visuals.forget(body)
                p.removeBody(body, physicsClientId=world.client)
        for number, item in world.item_bodies.items():
            if number not in self._items and item.name and item_spec(item.name).structure in STRUCTURES:
                self._items[number] = self._enrol(item)

    def _enrol(self, item: ItemBody) -> _Enrolled:
        spare = self._spare.get(item.name)
        stand_in = spare.pop() if spare else self._make(item.name)
        return _Enrolled(item, item.body, item.contents, stand_in)

    def _make(self, sku: str) -> int:
        """A new stand-in of a SKU, parked."""
        world, spec = self._world, item_spec(sku)
        body = stand_in_body(world.client, spec)
        self._park(spec, body, ())
        return body

    def _is_calm(self, item: ItemBody) -> bool:
        """Whether a stand-in would not change anything that matters: still, and all hinges closed."""
        client = self._world.client
        joints = list(range(p.getNumJoints(item.body, physicsClientId=client)))
        if any(
            abs(s[0]) > CLOSED_RAD for s in (p.getJointStates(item.body, joints, physicsClientId=client) if joints else ())
        ):
            return False
        return item.asleep or item_speed(self._world, item) < CALM_MPS

    # -- swapping ----------------------------------------------------------------------------------------------------
    def close(self, item: ItemBody) -> None:
        """Let the stand-in stand for an item of this pose and momentum."""
        world, enrolled = self._world, self._items[item.item_id]
        X = item_pose(world, item)
        if enrolled.contents:
            places = [p.getBasePositionAndOrientation(b, physicsClientId=world.client)[0] for b in enrolled.contents]
            enrolled.places = transform_points(inverse(X), np.array(places))
        self._swap(item, enrolled, X, enrolled.stand_in, ())
        enrolled.closed = True

    def open(self, item: ItemBody) -> None:
        """Make an item of its parts, closed, with the pose and momentum of its stand-in."""
        world, enrolled = self._world, self._items[item.item_id]
        X = item_pose(world, item)
        self._swap(item, enrolled, X, enrolled.parts, enrolled.contents)
        enrolled.closed = False

    def _swap(self, item: ItemBody, enrolled: _Enrolled, X: Pose, body: int, contents: tuple[int, ...]) -> None:
        world, client, spec = self._world, self._world.client, item_spec(item.name)
        before = momentum(client, item.bodies)
        leaving = item.bodies
        set_base(client, body, X)
        joints = range(p.getNumJoints(body, physicsClientId=client))
        for joint in joints:
            p.resetJointState(body, joint, 0.0, 0.0, physicsClientId=client)
        for ball, place in zip(contents, transform_points(X, enrolled.places) if contents else ()):
            set_base(client, ball, make_pose(place))
        set_motion(client, (body, *contents), before.linear, before.angular)
        world.register_visual(body, UrdfModel(str(ensure_item(item.name))))
        _collide(client, spec, body, contents, True)
        world.swap_bodies(item.item_id, body, contents)
        if joints:
            HingeBrakes.of(world).forget(item)
        self._park(spec, leaving[0], leaving[1:])
        self.swaps += 1

    def _park(self, spec: ItemSpec, body: int, contents: tuple[int, ...]) -> None:
        """Far away, still, asleep, unseen and touching nothing."""
        world, client = self._world, self._world.client
        _collide(client, spec, body, contents, False)
        place = make_pose((PARKED_PITCH_M * body, 0.0, PARKED_Z_M))
        for each in (body, *contents):
            set_base(client, each, place)
            world.register_visual(each, NOTHING)
            for state in (p.ACTIVATION_STATE_ENABLE_SLEEPING, p.ACTIVATION_STATE_SLEEP):
                p.changeDynamics(each, -1, activationState=state, physicsClientId=client)

    # -- who is near -------------------------------------------------------------------------------------------------
    def _agents(self) -> tuple[Array, Array, NDArray[np.int64]]:
        """Corners (N, 3), (N, 3) of the boxes round robot links and fast items, and the items' numbers (0: the robot)."""
        world, client = self._world, self._world.client
        robot = world.robot.body
        corners = [p.getAABB(robot, link, physicsClientId=client) for link in range(-1, self._robot_joints)]
        owners = [0] * len(corners)
        for item in world.item_bodies.values():
            if item.held or (not item.asleep and self._is_fast(item)):
                corners.append(self._box(item))
                owners.append(item.item_id)
        both = np.array(corners)
        return both[:, 0], both[:, 1], np.array(owners)

    def _is_fast(self, item: ItemBody) -> bool:
        linear, _ = p.getBaseVelocity(item.body, physicsClientId=self._world.client)
        return max(map(abs, linear)) > FAST_MPS

    def _box(self, item: ItemBody) -> tuple[Sequence[float], Sequence[float]]:
        """Lower and upper corner of the box round an item with all its links; kept while it sleeps."""
        kept = self._sleeping.get(item.item_id)
        if kept is not None and item.asleep and kept[0] == item.body:
            return kept[1]
        client = self._world.client
        links = range(-1, p.getNumJoints(item.body, physicsClientId=client))
        corners = np.array([p.getAABB(item.body, link, physicsClientId=client) for link in links])
        box = (corners[:, 0].min(axis=0).tolist(), corners[:, 1].max(axis=0).tolist())
        if item.asleep:
            self._sleeping[item.item_id] = (item.body, box)
        else:
            self._sleeping.pop(item.item_id, None)
        return box


def _gaps(low: Array, high: Array, other_low: Array, other_high: Array) -> Array:
    """(N, M) distances between axis-parallel boxes."""
    apart = np.maximum(low[:, None] - other_high[None], other_low[None] - high[:, None])
    return np.asarray(np.sqrt(np.square(np.maximum(apart, 0.0)).sum(axis=-1)))


def stand_in_body(client: int, spec: ItemSpec) -> int:
    """One rigid body with the outer shape, mass and inertia of a closed item, its frame at the world's origin."""
    shape = closed_shape(describe(spec))
    boxes = sheet_outline_boxes(spec) if spec.structure == "sheet" else shape.boxes
    inertia, mass = np.diag(shape.inertia), shape.mass_kg
    if spec.structure == "loose":
        bag = bag_shape(spec)
        mass = spec.mass_kg
        inertia = inertia + _point_inertia(bag.ball_kg, bag.ball_radius, bag.places)
    body = int(p.createMultiBody(mass, _compound(client, boxes), -1, physicsClientId=client))
    p.changeDynamics(body, -1, localInertiaDiagonal=inertia.tolist(), physicsClientId=client)
    set_surface(client, body, spec)
    return body


def _point_inertia(mass: float, radius: float, places: Array) -> Array:
    """(3,) moments about the origin of equal balls."""
    squares = places**2
    return np.asarray(mass * (squares.sum(axis=1, keepdims=True) - squares + 0.4 * radius**2).sum(axis=0))


def _compound(client: int, boxes: Iterable[Box]) -> int:
    boxes = list(boxes)
    return int(
        p.createCollisionShapeArray(
            shapeTypes=[p.GEOM_BOX] * len(boxes),
            halfExtents=[[0.5 * s for s in box.size] for box in boxes],
            collisionFramePositions=[list(box.centre) for box in boxes],
            collisionFrameOrientations=[Rotation.from_euler("xyz", box.rpy).as_quat().tolist() for box in boxes],
            physicsClientId=client,
        )
    )


def _collide(client: int, spec: ItemSpec, body: int, contents: tuple[int, ...], active: bool) -> None:
    """Switch all collisions of an item's bodies on or off."""
    if contents:
        filter_contents(client, body, contents, active)
        return
    for link in range(-1, p.getNumJoints(body, physicsClientId=client)):
        p.setCollisionFilterGroupMask(body, link, int(active), -1 if active else 0, physicsClientId=client)
