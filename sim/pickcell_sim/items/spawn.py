"""Items as bodies of the simulated world. An item's ``name`` in the world is its SKU: ground truth, for the scorer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse, make_pose, pose_from_quat_xyzw, quat_xyzw_from_pose, transform_points
from pickcell_sim.items.assets import ensure_item, item_spec
from pickcell_sim.items.irregular import load_blob
from pickcell_sim.items.loose import add_contents, bag_shape
from pickcell_sim.items.mesh import CYLINDER_SEGMENTS
from pickcell_sim.items.plush import CONTACT_DAMPING, CONTACT_STIFFNESS, plush_outline
from pickcell_sim.items.rigid import hull_points
from pickcell_sim.items.shelf import SHELF
from pickcell_sim.items.spec import ItemSpec
from pickcell_sim.vision.visuals import NOTHING, UrdfModel
from pickcell_sim.world import ItemBody, SimWorld

ROUND_KINDS = ("cylinder", "bottle", "can", "jar", "tube")
"""Kinds that roll on their side."""
STICK_RAD = 0.003
"""A hinge gives way by this much before it slips: the play of paper and glue (assumed)."""
STICK_GAIN = 0.1
"""Share of that play that is taken back per step while the hinge sticks."""
SPINNING_M = 0.002
"""Friction against turning on the spot, as a length: about the radius of a contact patch."""


def load_item(client: int, sku: str, X_world_item: Pose, drawn: bool = True) -> int:
    """Load one piece of a SKU into a PyBullet client, its frame at a pose. Raises KeyError for an unknown SKU.

    A bag of loose content is loaded empty. ``drawn``: the client draws it by itself; else it is loaded without its looks.
    """
    spec = item_spec(sku)
    body = int(
        p.loadURDF(
            str(ensure_item(sku)),
            X_world_item[:3, 3].tolist(),
            quat_xyzw_from_pose(X_world_item).tolist(),
            flags=p.URDF_USE_INERTIA_FROM_FILE | (0 if drawn else p.URDF_IGNORE_VISUAL_SHAPES),
            physicsClientId=client,
        )
    )
    set_surface(client, body, spec)
    brake_hinges(client, body)
    return body


def set_surface(client: int, body: int, spec: ItemSpec) -> None:
    """Give all links of a body the friction and softness of a SKU's surface.

    The base loses the linear damping that PyBullet gives to every body, so that things fall as they fall; of links damping
    cannot be said, PyBullet would change the base's.
    """
    p.changeDynamics(body, -1, linearDamping=0.0, physicsClientId=client)
    soft: dict[str, float] = {}
    if spec.structure == "plush" or spec.contact_stiffness_n_per_m > 0.0:
        soft = {
            "contactStiffness": spec.contact_stiffness_n_per_m or CONTACT_STIFFNESS,
            "contactDamping": CONTACT_DAMPING,
        }
    for link in range(-1, p.getNumJoints(body, physicsClientId=client)):
        p.changeDynamics(
            body,
            link,
            lateralFriction=spec.friction,
            spinningFriction=SPINNING_M,
            rollingFriction=0.0008 if spec.kind in ROUND_KINDS else 0.0002,
            restitution=0.05,
            **soft,
            physicsClientId=client,
        )


def brake_hinges(client: int, body: int) -> None:
    """Give each hinge of a body its Coulomb torque (the URDF's joint friction) as a motor that holds still.

    Enough for a client without :class:`HingeBrakes`, as long as the length of its steps stays the same.
    """
    joints = list(range(p.getNumJoints(body, physicsClientId=client)))
    if joints:
        torques = [p.getJointInfo(body, joint, physicsClientId=client)[7] for joint in joints]
        p.setJointMotorControlArray(
            body, joints, p.VELOCITY_CONTROL, targetVelocities=[0.0] * len(joints), forces=torques, physicsClientId=client
        )


class HingeBrakes:
    """Dry friction in the hinges of a world's items. One per world, by :meth:`of`; runs before each physics step.

    A motor that merely holds still creeps, because the contact solver stops before it has converged. This one holds the
    angle where the hinge last stuck, with at most the Coulomb torque; an angle that slips drags that reference along, as
    in Dahl's model of friction (P. Dahl, "A solid friction model", 1968).
    """

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._step_s = world.step_s
        self._hinges: dict[int, _Hinges] = {}
        """By item number."""

    @staticmethod
    def of(world: SimWorld) -> HingeBrakes:
        """The one of a world, attached now unless there is one."""
        for control in world.before_step:
            if isinstance(control, HingeBrakes):
                return control
        brakes = HingeBrakes(world)
        world.before_step.append(brakes)
        return brakes

    def forget(self, item: ItemBody) -> None:
        """The joints of an item were set: let them stick where they are at the next step."""
        self._hinges.pop(item.item_id, None)

    def __call__(self) -> None:
        world = self._world
        anew = world.step_s != self._step_s  # PyBullet keeps a motor's strength as an impulse per step
        self._step_s = world.step_s
        for item in world.item_bodies.values():
            if not item.asleep or anew:
                self._brake(item, anew)

    def _brake(self, item: ItemBody, anew: bool) -> None:
        client = self._world.client
        hinges = self._hinges.get(item.item_id)
        if hinges is None or hinges.item is not item or hinges.body != item.body:  # numbers are given out again
            hinges = self._hinges[item.item_id] = _Hinges.of(client, item)
            anew = True
        if not hinges.joints:
            return
        moved = anew
        for k, state in enumerate(p.getJointStates(item.body, hinges.joints, physicsClientId=client)):
            angle = min(max(hinges.stuck[k], state[0] - STICK_RAD), state[0] + STICK_RAD)
            if angle != hinges.stuck[k]:
                hinges.stuck[k], moved = angle, True
        if moved:
            n = len(hinges.joints)
            p.setJointMotorControlArray(
                item.body,
                hinges.joints,
                p.POSITION_CONTROL,
                targetPositions=hinges.stuck,
                targetVelocities=[0.0] * n,
                forces=hinges.torques,
                positionGains=[STICK_GAIN] * n,
                velocityGains=[1.0] * n,
                physicsClientId=client,
            )


@dataclass
class _Hinges:
    """Joints of an item's base body, with their Coulomb torques and the angles at which they stick."""

    item: ItemBody
    body: int
    joints: list[int]
    torques: list[float]
    stuck: list[float]

    @staticmethod
    def of(client: int, item: ItemBody) -> _Hinges:
        joints = list(range(p.getNumJoints(item.body, physicsClientId=client)))
        torques = [float(p.getJointInfo(item.body, joint, physicsClientId=client)[7]) for joint in joints]
        states = p.getJointStates(item.body, joints, physicsClientId=client) if joints else ()
        return _Hinges(item, item.body, joints, torques, [float(state[0]) for state in states])


def spawn_item(world: SimWorld, sku: str, X_world_item: Pose) -> ItemBody:
    """Add one piece of a SKU to the world, numbered after those there are; a bag comes with its loose content."""
    spec = item_spec(sku)
    body = load_item(world.client, sku, X_world_item, drawn=world.window)
    world.register_visual(body, UrdfModel(str(ensure_item(sku))))
    contents: tuple[int, ...] = ()
    if spec.structure == "loose":
        contents = add_contents(world.client, spec, body, X_world_item)
        for ball in contents:
            world.register_visual(ball, NOTHING)
    if p.getNumJoints(body, physicsClientId=world.client):
        HingeBrakes.of(world)
    number = max(world.item_bodies, default=0) + 1
    return world.add_body(body, number, name=sku, shiny=spec.shiny, contents=contents)


def clear_items(world: SimWorld) -> None:
    """Take all items out of the world."""
    for number in list(world.item_bodies):
        world.remove_body(number)


def item_pose(world: SimWorld, item: ItemBody) -> Pose:
    """True pose of a piece's centre of mass in the world."""
    position, orientation = p.getBasePositionAndOrientation(item.body, physicsClientId=world.client)
    return pose_from_quat_xyzw(position, orientation)


def place_item(world: SimWorld, item: ItemBody, X_world_item: Pose) -> None:
    """Move a piece to a pose, closed, at rest and awake; loose content moves with it."""
    client = world.client
    X_new_old = X_world_item @ inverse(item_pose(world, item))
    balls = [transform_points(X_new_old, _positions(client, item.contents))] if item.contents else []
    set_base(client, item.body, X_world_item)
    for joint in range(p.getNumJoints(item.body, physicsClientId=client)):
        p.resetJointState(item.body, joint, 0.0, 0.0, physicsClientId=client)
    if p.getNumJoints(item.body, physicsClientId=client):
        HingeBrakes.of(world).forget(item)
    for places in balls:
        inside = np.all(
            np.abs(transform_points(inverse(X_world_item), places)) < 0.5 * np.asarray(item_spec(item.name).size_m)
        )
        if not inside:  # some got out: pack the bag anew
            places = transform_points(X_world_item, bag_shape(item_spec(item.name)).places)
        for body, place in zip(item.contents, places):
            set_base(client, body, make_pose(place))
    world.wake(item.body)


def set_base(client: int, body: int, X_world_body: Pose) -> None:
    """Put a body's base at a pose, at rest."""
    quat = quat_xyzw_from_pose(X_world_body).tolist()
    p.resetBasePositionAndOrientation(body, X_world_body[:3, 3].tolist(), quat, physicsClientId=client)
    p.resetBaseVelocity(body, [0, 0, 0], [0, 0, 0], physicsClientId=client)


def _positions(client: int, bodies: tuple[int, ...]) -> NDArray[np.float64]:
    """(N, 3) places of bodies in the world."""
    return np.array([p.getBasePositionAndOrientation(body, physicsClientId=client)[0] for body in bodies])


def item_speed(world: SimWorld, item: ItemBody) -> float:
    """Fastest a point near the surface of a piece moves, m/s; its hinges and loose content are counted in."""
    client = world.client
    reach = max(item_spec(item.name).size_m) / 2.0
    linear, angular = p.getBaseVelocity(item.body, physicsClientId=client)
    speed = float(np.linalg.norm(linear) + np.linalg.norm(angular) * reach)
    joints = list(range(p.getNumJoints(item.body, physicsClientId=client)))
    if joints:
        speed += max(abs(state[1]) for state in p.getJointStates(item.body, joints, physicsClientId=client)) * reach
    for ball in item.contents:
        speed = max(speed, float(np.linalg.norm(p.getBaseVelocity(ball, physicsClientId=client)[0])))
    return speed


def sleep_items(world: SimWorld) -> None:
    """Put all items to sleep where they are; a touch wakes them."""
    for item in world.item_bodies.values():
        put_to_sleep(world.client, item)
        item.asleep, item.still_since_s = True, world.time_s


def put_to_sleep(client: int, item: ItemBody) -> None:
    """Stop all bodies and joints of a piece, and let physics pass over them until something touches them."""
    for body in item.bodies:
        for joint in range(p.getNumJoints(body, physicsClientId=client)):
            angle = p.getJointState(body, joint, physicsClientId=client)[0]
            p.resetJointState(body, joint, angle, 0.0, physicsClientId=client)
        p.resetBaseVelocity(body, [0, 0, 0], [0, 0, 0], physicsClientId=client)
        p.changeDynamics(body, -1, activationState=p.ACTIVATION_STATE_SLEEP, physicsClientId=client)


@cache
def outline(sku: str) -> NDArray[np.float64]:
    """(N, 3) points whose convex hull is the item's when it is closed, in its own frame."""
    spec = item_spec(sku)
    if spec.kind == "irregular":
        return np.vstack([part.vertices for part in load_blob(spec.source, spec.scale).parts])
    if spec.structure == "plush":
        return plush_outline(spec)
    if spec.structure == "rigid" and spec.kind in SHELF:
        return hull_points(spec)
    half = 0.5 * np.asarray(spec.size_m)
    if spec.kind in ROUND_KINDS:
        angles = np.linspace(0.0, 2.0 * np.pi, CYLINDER_SEGMENTS, endpoint=False)
        ring = np.column_stack([half[0] * np.cos(angles), half[0] * np.sin(angles)])
        return np.vstack([np.column_stack([ring, np.full(len(ring), z)]) for z in (-half[2], half[2])])
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return signs * half
