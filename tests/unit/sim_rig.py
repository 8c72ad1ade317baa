"""What the simulator's tests share: a driven cell without cameras, blocks to grasp, and straight tool motions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pinocchio as pin
import pybullet as p

from pickcell.cell import CellConfig, load_cell
from pickcell.description import expand_urdf
from pickcell.values import JointTrajectory
from pickcell_sim.driver import SimDriver
from pickcell_sim.world import SimWorld

CELLS = Path(__file__).parents[2] / "config" / "cells"
POINT_S = 0.01


def cell_named(name: str) -> CellConfig:
    return load_cell(CELLS / f"{name}.yaml", calibrated=False)


@contextmanager
def driven(name: str = "panda", seed: int = 0) -> Iterator[SimDriver]:
    """A cell whose hand has the cup that the closed forms of the tests are about."""
    cell = cell_named(name)
    cell = cell.model_copy(update={"hand": cell.hand.fitted("30mm")})
    driver = SimDriver.create(cell, seed, cameras=False)
    try:
        driver.step(24)
        yield driver
    finally:
        driver.close()


def add_block(
    world: SimWorld,
    size: tuple[float, float, float],
    mass: float,
    centre: tuple[float, float, float],
    friction: float = 0.7,
    item_id: int = 1,
    cylinder: bool = False,
) -> int:
    """A block (or, along its x, a cylinder of diameter size[1]) with its centre at a place in the world; its body."""
    client = world.client
    if cylinder:
        turn = p.getQuaternionFromEuler([0, np.pi / 2, 0])
        shape = p.createCollisionShape(
            p.GEOM_CYLINDER, radius=size[1] / 2, height=size[0], collisionFrameOrientation=turn, physicsClientId=client
        )
    else:
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[s / 2 for s in size], physicsClientId=client)
    body = p.createMultiBody(mass, shape, -1, centre, physicsClientId=client)
    p.changeDynamics(body, -1, lateralFriction=friction, physicsClientId=client)
    world.add_body(body, item_id)
    return int(body)


def height(world: SimWorld, body: int) -> float:
    return float(p.getBasePositionAndOrientation(body, physicsClientId=world.client)[0][2])


class ToolMotion:
    """Straight motions of tool0 with a fixed attitude, by numerical inverse kinematics."""

    def __init__(self, cell: CellConfig) -> None:
        self.cell = cell
        self.model = pin.buildModelFromXML(expand_urdf(cell, meshes=False))
        self.data = self.model.createData()
        self.frame = self.model.getFrameId("tool0")
        self.index = [self.model.joints[self.model.getJointId(n)].idx_q for n in cell.arm.joints]

    def pose(self, q: np.ndarray) -> pin.SE3:
        full = pin.neutral(self.model)
        full[self.index] = q
        pin.framesForwardKinematics(self.model, self.data, full)
        return self.data.oMf[self.frame].copy()

    def solve(self, target: pin.SE3, q: np.ndarray) -> np.ndarray:
        full = pin.neutral(self.model)
        full[self.index] = q
        for _ in range(60):
            pin.framesForwardKinematics(self.model, self.data, full)
            error = pin.log6(self.data.oMf[self.frame].actInv(target)).vector
            if np.linalg.norm(error) < 1e-9:
                break
            J = pin.computeFrameJacobian(self.model, self.data, full, self.frame, pin.LOCAL)[:, self.index]
            full[self.index] += J.T @ np.linalg.solve(J @ J.T + 1e-8 * np.eye(6), error)
        return full[self.index].copy()

    def line(self, q_start: np.ndarray, offset: tuple[float, float, float], acceleration: float) -> JointTrajectory:
        """Move by ``offset`` (m, base axes) with this peak acceleration: s(u) = 10u^3 - 15u^4 + 6u^5, s'' <= 5.774 / T^2."""
        start = self.pose(q_start)
        distance = float(np.linalg.norm(offset))
        points = max(5, int(np.ceil(np.sqrt(5.774 * distance / acceleration) / POINT_S)))
        u = np.linspace(0.0, 1.0, points + 1)
        path, q = [], np.asarray(q_start, dtype=float)
        for s in u**3 * (10 + u * (-15 + 6 * u)):
            q = self.solve(pin.SE3(start.rotation, start.translation + s * np.asarray(offset)), q)
            path.append(q)
        times = POINT_S * np.arange(points + 1)
        return JointTrajectory(self.cell.arm.joints, times, np.array(path), np.gradient(np.array(path), times, axis=0))
