"""Mass, momentum and kinetic energy of bodies in PyBullet, links and all; and setting a body in motion by its momentum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pybullet as p
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Momentum:
    """Of some bodies together, world axes, SI."""

    mass_kg: float
    com: Array
    """(3,) centre of mass."""
    linear: Array
    """(3,) kg m/s."""
    angular: Array
    """(3,) about the centre of mass, kg m^2/s."""
    inertia: Array
    """(3, 3) about the centre of mass, as they are arranged now."""
    energy_j: float
    """Kinetic."""


def momentum(client: int, bodies: Sequence[int]) -> Momentum:
    """Mass properties and momentum of bodies with all their links. Raises ValueError when they weigh nothing."""
    masses, places, velocities, inertias, spins = (np.array(v) for v in zip(*_parts(client, bodies)))
    total = float(masses.sum())
    if total <= 0.0:
        raise ValueError(f"bodies {list(bodies)} weigh nothing: what is fixed has no momentum")
    com, linear = masses @ places / total, masses @ velocities
    offsets = places - com
    own = np.einsum("nij,nj->ni", inertias, spins)
    angular = (own + np.cross(offsets, masses[:, None] * velocities)).sum(axis=0)
    squares = np.einsum("ni,ni->n", offsets, offsets)
    steiner = squares[:, None, None] * np.eye(3) - np.einsum("ni,nj->nij", offsets, offsets)
    inertia = (inertias + masses[:, None, None] * steiner).sum(axis=0)
    energy = 0.5 * float(masses @ np.einsum("ni,ni->n", velocities, velocities) + np.einsum("ni,ni->", spins, own))
    return Momentum(total, com, linear, angular, inertia, energy)


def _parts(client: int, bodies: Sequence[int]) -> list[tuple[float, Array, Array, Array, Array]]:
    """Mass, centre, velocity, inertia (3, 3) and angular velocity of every link, world axes."""
    found = []
    for body in bodies:
        place, turn = p.getBasePositionAndOrientation(body, physicsClientId=client)
        velocity, spin = p.getBaseVelocity(body, physicsClientId=client)
        found.append(_part(client, body, -1, place, turn, velocity, spin))
        for link in range(p.getNumJoints(body, physicsClientId=client)):
            state = p.getLinkState(body, link, computeLinkVelocity=1, computeForwardKinematics=1, physicsClientId=client)
            found.append(_part(client, body, link, state[0], state[1], state[6], state[7]))
    return found


def _part(
    client: int,
    body: int,
    link: int,
    place: Sequence[float],
    turn: Sequence[float],
    velocity: Sequence[float],
    spin: Sequence[float],
) -> tuple[float, Array, Array, Array, Array]:
    info = p.getDynamicsInfo(body, link, physicsClientId=client)
    R = np.reshape(p.getMatrixFromQuaternion(turn), (3, 3))
    inertia = R @ np.diag(info[2]) @ R.T
    return float(info[0]), np.asarray(place), np.asarray(velocity), inertia, np.asarray(spin)


def set_motion(client: int, bodies: Sequence[int], linear: Array, angular: Array) -> None:
    """Let bodies move as one rigid thing, joints at rest, with a momentum (3,) and one about their centre of mass (3,).

    Momentum is preserved exactly; the energy of motions within (opening, rolling content) is lost.
    """
    now = momentum(client, bodies)
    velocity, spin = linear / now.mass_kg, np.linalg.solve(now.inertia, angular)
    for body in bodies:
        place = np.asarray(p.getBasePositionAndOrientation(body, physicsClientId=client)[0])
        at_base = velocity + np.cross(spin, place - now.com)
        for joint in range(p.getNumJoints(body, physicsClientId=client)):
            angle = p.getJointState(body, joint, physicsClientId=client)[0]
            p.resetJointState(body, joint, angle, 0.0, physicsClientId=client)
        p.resetBaseVelocity(body, at_base.tolist(), spin.tolist(), physicsClientId=client)
