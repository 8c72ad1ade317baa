"""Items as bodies of the simulated world. An item's ``name`` in the world is its SKU: ground truth, for the scorer."""

from __future__ import annotations

from functools import cache

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose, pose_from_quat_xyzw, quat_xyzw_from_pose
from pickcell_sim.items.assets import ensure_item, item_spec
from pickcell_sim.items.irregular import load_blob
from pickcell_sim.items.mesh import CYLINDER_SEGMENTS
from pickcell_sim.world import ItemBody, SimWorld


def load_item(client: int, sku: str, X_world_item: Pose) -> int:
    """Load one piece of a SKU into a PyBullet client, its centre of mass at a pose. Raises KeyError for an unknown SKU."""
    spec = item_spec(sku)
    body = p.loadURDF(
        str(ensure_item(sku)),
        X_world_item[:3, 3].tolist(),
        quat_xyzw_from_pose(X_world_item).tolist(),
        flags=p.URDF_USE_INERTIA_FROM_FILE,
        physicsClientId=client,
    )
    p.changeDynamics(
        body,
        -1,
        lateralFriction=spec.friction,
        spinningFriction=0.002,
        rollingFriction=0.0008 if spec.kind == "cylinder" else 0.0002,
        restitution=0.05,
        physicsClientId=client,
    )
    return int(body)


def spawn_item(world: SimWorld, sku: str, X_world_item: Pose) -> ItemBody:
    """Add one piece of a SKU to the world, numbered after those there are."""
    body = load_item(world.client, sku, X_world_item)
    number = max(world.item_bodies, default=0) + 1
    return world.add_body(body, number, name=sku, shiny=item_spec(sku).shiny)


def clear_items(world: SimWorld) -> None:
    """Take all items out of the world."""
    for number in list(world.item_bodies):
        world.remove_body(number)


def item_pose(world: SimWorld, item: ItemBody) -> Pose:
    """True pose of a piece's centre of mass in the world."""
    position, orientation = p.getBasePositionAndOrientation(item.body, physicsClientId=world.client)
    return pose_from_quat_xyzw(position, orientation)


def place_item(world: SimWorld, item: ItemBody, X_world_item: Pose) -> None:
    """Move a piece to a pose, at rest and awake."""
    quat = quat_xyzw_from_pose(X_world_item).tolist()
    p.resetBasePositionAndOrientation(item.body, X_world_item[:3, 3].tolist(), quat, physicsClientId=world.client)
    p.resetBaseVelocity(item.body, [0, 0, 0], [0, 0, 0], physicsClientId=world.client)
    world.wake(item.body)


def item_speed(world: SimWorld, item: ItemBody) -> float:
    """Fastest a point near the surface of a piece moves, m/s."""
    linear, angular = p.getBaseVelocity(item.body, physicsClientId=world.client)
    return float(np.linalg.norm(linear) + np.linalg.norm(angular) * max(item_spec(item.name).size_m) / 2.0)


def sleep_items(world: SimWorld) -> None:
    """Put all items to sleep where they are; a touch wakes them."""
    for item in world.item_bodies.values():
        p.resetBaseVelocity(item.body, [0, 0, 0], [0, 0, 0], physicsClientId=world.client)
        p.changeDynamics(item.body, -1, activationState=p.ACTIVATION_STATE_SLEEP, physicsClientId=world.client)
        item.asleep, item.still_since_s = True, world.time_s


@cache
def outline(sku: str) -> NDArray[np.float64]:
    """(N, 3) points whose convex hull is the item's, in its own frame."""
    spec = item_spec(sku)
    if spec.kind == "irregular":
        return np.vstack([part.vertices for part in load_blob(spec.source, spec.scale).parts])
    half = 0.5 * np.asarray(spec.size_m)
    if spec.kind == "cylinder":
        angles = np.linspace(0.0, 2.0 * np.pi, CYLINDER_SEGMENTS, endpoint=False)
        ring = np.column_stack([half[0] * np.cos(angles), half[0] * np.sin(angles)])
        return np.vstack([np.column_stack([ring, np.full(len(ring), z)]) for z in (-half[2], half[2])])
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return signs * half
