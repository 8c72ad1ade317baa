"""Forces by which something outside the cell moves a body along a path: bounded, so that what stands in the way is felt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet as p
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell_sim.world import SimWorld

Array = NDArray[np.float64]

RESPONSE_S = 0.03
"""Time constant with which a guided body follows its path: critically damped, seven physics steps."""


def smooth_step(u: float) -> tuple[float, float]:
    """Share of the way and its rate d/du at the share ``u`` of the time: the path of least jerk.

    10 u^3 - 15 u^4 + 6 u^5 (Flash and Hogan, "The coordination of arm movements", J. Neuroscience 5, 1985): how hands move.
    Its peak rate is 1.875.
    """
    u = min(max(u, 0.0), 1.0)
    return u**3 * (10.0 + u * (6.0 * u - 15.0)), 30.0 * u**2 * (1.0 - u) ** 2


def follow_law(mass: Array | float, error: Array | float, error_rate: Array | float) -> Array:
    """Force that takes an error to zero with the response time, critically damped; with an inertia for mass, a torque."""
    return np.asarray(mass * (error / RESPONSE_S**2 + 2.0 * error_rate / RESPONSE_S))


def bounded(force: Array, limit: float) -> Array:
    """``force`` (3,), shortened to ``limit``."""
    size = float(np.linalg.norm(force))
    return force * (limit / size) if size > limit else force


@dataclass(frozen=True)
class Motion:
    """Where a body is and how it moves, in the world."""

    position: Array
    rotation: Rotation
    velocity: Array
    spin: Array


def motion_of(world: SimWorld, body: int) -> Motion:
    """Present motion of a body's base (its inertial frame)."""
    position, quat = p.getBasePositionAndOrientation(body, physicsClientId=world.client)
    velocity, spin = p.getBaseVelocity(body, physicsClientId=world.client)
    return Motion(np.array(position), Rotation.from_quat(quat), np.array(velocity), np.array(spin))


def push_item(world: SimWorld, body: int, force: Array, torque: Array) -> None:
    """Apply ``force`` (N) and ``torque`` (Nm), world axes, for one physics step: shared by the links by their mass, at
    their centres, so that an item with joints moves as one. Wakes it."""
    client = world.client
    world.wake(body)
    position, _ = p.getBasePositionAndOrientation(body, physicsClientId=client)
    places = {-1: position}
    for link in range(p.getNumJoints(body, physicsClientId=client)):
        places[link] = p.getLinkState(body, link, computeForwardKinematics=True, physicsClientId=client)[0]
    masses = {link: float(p.getDynamicsInfo(body, link, physicsClientId=client)[0]) for link in places}
    total = sum(masses.values())
    for link, place in places.items():
        share = force * (masses[link] / total)
        p.applyExternalForce(body, link, share.tolist(), place, p.WORLD_FRAME, physicsClientId=client)
    p.applyExternalTorque(body, -1, torque.tolist(), p.WORLD_FRAME, physicsClientId=client)


def item_mass(world: SimWorld, body: int) -> float:
    """Mass of an item with all of its links and what lies loose in it, kg."""
    item = world.item_of_body(body)
    total = 0.0
    for each in item.bodies if item is not None else (body,):
        for link in range(-1, p.getNumJoints(each, physicsClientId=world.client)):
            total += float(p.getDynamicsInfo(each, link, physicsClientId=world.client)[0])
    return total
