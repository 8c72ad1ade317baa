"""Holds on one link of an item with joints: exact mobility, a stable spring on light covers, finer steps for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pybullet as p
import pytest
from cup_rig import fitted, lip_extended, pedestal, remove
from scipy.spatial.transform import Rotation
from sim_rig import cell_named

import pickcell_sim.hand.cup as cup_module
from pickcell_sim.driver import SimDriver
from pickcell_sim.hand.held_part import HeldPart
from pickcell_sim.world import SimWorld

STEP_S = 1 / 240
BOOK = (0.14, 0.21, 0.03)
COVER_M = 0.0025
HINGE_NM = 0.02
HINGE_DAMPING = 0.004


def two_hinges(client: int, fixed: bool = False) -> int:
    """Three boxes in a chain, turned hinges and offset centres of mass, no friction and no damping, bent and at rest."""
    sizes = ([0.07, 0.10, 0.01], [0.05, 0.08, 0.002], [0.03, 0.04, 0.003])
    shapes = [p.createCollisionShape(p.GEOM_BOX, halfExtents=s, physicsClientId=client) for s in sizes]
    body = p.createMultiBody(
        0.0 if fixed else 0.4,
        shapes[0],
        -1,
        [0.0, 0.0, 1.0],
        Rotation.from_euler("xyz", [0.4, -0.7, 1.1]).as_quat().tolist(),
        linkMasses=[0.04, 0.03],
        linkCollisionShapeIndices=shapes[1:],
        linkVisualShapeIndices=[-1, -1],
        linkPositions=[[-0.07, 0.0, 0.01], [0.10, 0.0, 0.01]],
        linkOrientations=[[0, 0, 0, 1], Rotation.from_euler("xyz", [0.3, 0.2, 0.1]).as_quat().tolist()],
        linkInertialFramePositions=[[0.07, 0.0, 0.0], [0.03, 0.01, 0.0]],
        linkInertialFrameOrientations=[[0, 0, 0, 1]] * 2,
        linkParentIndices=[0, 1],
        linkJointTypes=[p.JOINT_REVOLUTE, p.JOINT_PRISMATIC],
        linkJointAxis=[[0, 1, 0], [0.6, 0, 0.8]],
        physicsClientId=client,
    )
    for link in (-1, 0, 1):
        p.changeDynamics(body, link, linearDamping=0, angularDamping=0, jointDamping=0, physicsClientId=client)
        for other in range(link + 1, 2):
            p.setCollisionFilterPair(body, body, link, other, 0, physicsClientId=client)
    for joint, value in ((0, 0.4), (1, 0.02)):
        p.setJointMotorControl2(body, joint, p.VELOCITY_CONTROL, force=0.0, physicsClientId=client)
        p.changeDynamics(body, joint, jointLowerLimit=-3.0, jointUpperLimit=3.0, physicsClientId=client)
        p.resetJointState(body, joint, value, physicsClientId=client)
    return int(body)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("link", [-1, 0, 1])
def test_mobility_predicts_what_physics_does_with_an_impulse(link: int, fixed: bool) -> None:
    """Force and torque at a point of one link of a chain: the velocity there after a step is h W f, for every link."""
    client = p.connect(p.DIRECT)
    try:
        p.setTimeStep(STEP_S, physicsClientId=client)
        body = two_hinges(client, fixed)
        part = HeldPart(client, body, link)
        X, _, _ = part.state()
        point = X[:3, 3] + [0.02, 0.01, 0.03]
        R = Rotation.from_euler("xyz", [0.5, 0.1, -0.4]).as_matrix()
        wrench = 0.02 * np.array([0.3, -0.2, 0.5, 0.01, 0.02, -0.03])
        predicted = STEP_S * part.mobility(R, point, X) @ wrench
        push, twist = R @ wrench[:3], R @ wrench[3:]
        p.applyExternalForce(body, link, push.tolist(), point.tolist(), p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(body, link, twist.tolist(), p.WORLD_FRAME, physicsClientId=client)
        p.stepSimulation(physicsClientId=client)
        X, linear, angular = part.state()
        measured = np.concatenate([R.T @ (linear + np.cross(angular, point - X[:3, 3])), R.T @ angular])
        np.testing.assert_allclose(measured, predicted, rtol=3e-3, atol=1e-3 * np.abs(predicted).max())
        assert part.jointed and (fixed and link == -1) == (not np.any(predicted))
    finally:
        p.disconnect(client)


def add_book(driver: SimDriver, cover_kg: float) -> int:
    """A closed book of 0.4 kg on a pedestal, its front cover (link 0) under the cup, its spine at -x."""
    world, (x, y, z) = driver.world, lip_extended(driver)
    width, height, thickness = BOOK
    block = thickness - COVER_M
    shapes = [
        p.createCollisionShape(
            p.GEOM_BOX,
            halfExtents=[width / 2, height / 2, t / 2],
            collisionFramePosition=[along, 0, 0],
            physicsClientId=world.client,
        )
        for t, along in ((block, 0.0), (COVER_M, width / 2))
    ]
    body = p.createMultiBody(
        0.4 - cover_kg,
        shapes[0],
        -1,
        [x, y, z - COVER_M - block / 2],
        linkMasses=[cover_kg],
        linkCollisionShapeIndices=[shapes[1]],
        linkVisualShapeIndices=[-1],
        linkPositions=[[-width / 2, 0, block / 2 + COVER_M / 2]],
        linkOrientations=[[0, 0, 0, 1]],
        linkInertialFramePositions=[[width / 2, 0, 0]],
        linkInertialFrameOrientations=[[0, 0, 0, 1]],
        linkParentIndices=[0],
        linkJointTypes=[p.JOINT_REVOLUTE],
        linkJointAxis=[[0, -1, 0]],
        physicsClientId=world.client,
    )
    limits = {"jointLowerLimit": 0.0, "jointUpperLimit": 3.0}
    p.changeDynamics(body, 0, **limits, jointDamping=HINGE_DAMPING, physicsClientId=world.client)
    p.setCollisionFilterPair(body, body, -1, 0, 0, physicsClientId=world.client)
    world.add_body(body, 1)

    def brake() -> None:  # each step: PyBullet keeps a motor's strength as an impulse per step
        p.setJointMotorControl2(body, 0, p.VELOCITY_CONTROL, force=HINGE_NM, physicsClientId=world.client)

    world.before_step.append(brake)
    return int(body)


def lift_by_the_cover(driver: SimDriver, cover_kg: float, lasts_s: float, watch: Callable[[], None]) -> int:
    """Seal on the cover of a book, take its pedestal away, and let it hang; the book."""
    pedestal(driver, lip_extended(driver)[2] - BOOK[2])
    stand = p.getBodyUniqueId(p.getNumBodies(physicsClientId=driver.world.client) - 1, physicsClientId=driver.world.client)
    book = add_book(driver, cover_kg)
    driver.set_vacuum(True)
    driver.advance(0.6)
    assert driver.cup.held_body == book and driver.cup.held_link == 0
    remove(driver, stand)
    driver.world.after_step.append(watch)
    driver.advance(lasts_s)
    return book


def test_a_book_hangs_by_its_cover_and_opens() -> None:
    with fitted("40mm") as driver:
        book = lift_by_the_cover(driver, 0.04, 1.5, lambda: None)
        assert driver.cup.held_body == book
        angle = p.getJointState(book, 0, physicsClientId=driver.world.client)[0]
        assert np.rad2deg(angle) > 60.0
        assert driver.cup.held_wrench[2] == pytest.approx(0.4 * 9.81, abs=0.4)


def test_a_cover_light_as_paper_does_not_shake() -> None:
    """5 g on a hinge: the spring sees the exact mobility of the tree, so it calms instead of exciting the cover."""
    with fitted("40mm") as driver:
        speeds: list[float] = []

        def watch() -> None:
            speeds.append(float(np.linalg.norm(driver.cup.held_wrench[:3])))

        lift_by_the_cover(driver, 0.005, 1.5, watch)
        late = np.array(speeds[-240:])
        assert driver.cup.held_body is not None and np.isfinite(late).all()
        assert late.mean() == pytest.approx(0.4 * 9.81, rel=0.25) and late.std() < 0.5


def test_steps_are_halved_while_a_light_cover_is_held_and_only_then() -> None:
    with fitted("40mm") as driver:
        clock = driver.world.clock
        assert clock.substeps == 1
        substeps: list[int] = []
        before = driver.now_s
        lift_by_the_cover(driver, 0.04, 0.2, lambda: substeps.append(clock.substeps))
        assert set(substeps) == {2} and len(substeps) == 2 * 48
        assert driver.now_s - before == pytest.approx(0.8)
        driver.set_vacuum(False)
        driver.advance(0.2)
        assert driver.cup.held_body is None and clock.substeps == 1


def peak_peel_n(rate_hz: float, light_kg: float, monkeypatch: pytest.MonkeyPatch) -> float:
    """Largest F_z + 2 M / r (N) while a book falls open under the cup."""
    monkeypatch.setattr(cup_module, "LIGHT_PART_KG", light_kg)
    cell = cell_named("panda")
    cell = cell.model_copy(update={"hand": cell.hand.fitted("40mm")})
    driver = SimDriver(SimWorld(cell, step_s=1 / rate_hz))
    try:
        driver.advance(0.1)
        peaks: list[float] = []

        def watch() -> None:
            w = driver.cup.held_wrench
            peaks.append(w[2] + 2 * np.hypot(w[3], w[4]) / driver.cup.cup.radius_m)

        lift_by_the_cover(driver, 0.015, 0.215, watch)  # before the block swings against the hand
        return max(peaks)
    finally:
        driver.close()


def test_the_load_of_a_falling_book_does_not_depend_on_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exact mobility of its cover (15 g), even undivided steps of 240 Hz are within 3 % of 960 Hz."""
    coarse = peak_peel_n(240, 0.0, monkeypatch)
    halved = peak_peel_n(240, 0.06, monkeypatch)
    fine = peak_peel_n(960, 0.0, monkeypatch)
    assert halved == pytest.approx(fine, rel=0.03)
    assert coarse == pytest.approx(fine, rel=0.03)
