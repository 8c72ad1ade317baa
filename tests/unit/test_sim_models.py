"""Books, packs, bags and plush: they weigh what the catalogue says, and open and fold as dry hinges do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybullet as p
import pytest

from pickcell.cell import load_cell
from pickcell.geometry import inverse, make_pose, transform_points
from pickcell_sim.filling.fill import _standing_robot
from pickcell_sim.items import item_spec
from pickcell_sim.items.book import book_description, book_opening_rad, book_shape
from pickcell_sim.items.loose import BALLS, bag_shape
from pickcell_sim.items.models import build, describe
from pickcell_sim.items.spawn import item_pose, item_speed, load_item, place_item, spawn_item
from pickcell_sim.items.spec import all_specs
from pickcell_sim.items.urdf import closed_shape
from pickcell_sim.momentum import momentum
from pickcell_sim.world import ItemBody, SimWorld

CELL = load_cell(Path(__file__).resolve().parents[2] / "config" / "cells" / "panda.yaml", calibrated=False)
STRUCTURED = sorted(s.sku for s in all_specs().values() if s.structure != "rigid")
SAMPLE = ("hardcover-000", "paperback-009", "mailer-000", "polybag-000", "loose_bag-007", "plush-000")
BOOK = "hardcover-000"
FLOOR_M = 0.006
"""Of the source tote."""


@pytest.fixture(autouse=True)
def no_egl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICKCELL_RENDERER", "tiny")


@pytest.fixture
def client() -> Iterator[int]:
    number = p.connect(p.DIRECT)
    yield number
    p.disconnect(physicsClientId=number)


# -- mass and shape ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sku", STRUCTURED)
def test_parts_weigh_together_what_the_spec_says_about_its_centre(sku: str) -> None:
    spec = item_spec(sku)
    shape = closed_shape(describe(spec))
    mass, inertia = shape.mass_kg, np.diag(shape.inertia)
    if spec.structure == "loose":
        bag = bag_shape(spec)
        mass += BALLS * bag.ball_kg
        squares = bag.places**2
        inertia = inertia + bag.ball_kg * (squares.sum(axis=1, keepdims=True) - squares + 0.4 * bag.ball_radius**2).sum(
            axis=0
        )
        assert len(bag.places) == BALLS
    assert mass == pytest.approx(spec.mass_kg, rel=1e-6)
    np.testing.assert_allclose(shape.com, 0.0, atol=1e-9)
    if spec.structure != "plush":  # a toy of blobs is no box
        x, y, z = spec.size_m
        box = spec.mass_kg / 12.0 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
        np.testing.assert_allclose(inertia, box, rtol=0.45 if spec.structure == "loose" else 0.12)
    a, b, c = np.sort(inertia)
    assert 0 < a and a + b >= c * (1 - 1e-9)


@pytest.mark.parametrize("sku", SAMPLE)
def test_bodies_in_physics_are_those_that_were_described(sku: str) -> None:
    with SimWorld(CELL) as world:
        X = make_pose((0.5, 0.0, 0.4), (0.2, -0.4, 0.9))
        item = spawn_item(world, sku, X)
        np.testing.assert_allclose(item_pose(world, item), X, atol=1e-6)
        found = momentum(world.client, item.bodies)
        spec = item_spec(sku)
        assert found.mass_kg == pytest.approx(spec.mass_kg, rel=1e-5)
        assert np.linalg.norm(found.com - X[:3, 3]) < (0.25 * min(spec.size_m) if spec.structure == "loose" else 1e-6)
        assert len(item.contents) == (BALLS if spec.structure == "loose" else 0)
        if spec.structure != "loose":
            expected = X[:3, :3] @ closed_shape(describe(spec)).inertia @ X[:3, :3].T
            np.testing.assert_allclose(found.inertia, expected, rtol=1e-4, atol=1e-8)
        for link in range(-1, p.getNumJoints(item.body, physicsClientId=world.client)):
            info = p.getDynamicsInfo(item.body, link, physicsClientId=world.client)
            assert info[1] == pytest.approx(spec.friction)


@pytest.mark.parametrize("sku", SAMPLE)
def test_closed_items_measure_what_the_spec_says(client: int, sku: str) -> None:
    body = load_item(client, sku, make_pose())
    wall = p.createMultiBody(
        0.0, p.createCollisionShape(p.GEOM_BOX, halfExtents=[1, 1, 1], physicsClientId=client), physicsClientId=client
    )
    reach = np.zeros((3, 2))
    for axis in range(3):
        for k, sign in enumerate((-1.0, 1.0)):
            place = np.zeros(3)
            place[axis] = sign * 1.5
            p.resetBasePositionAndOrientation(wall, place.tolist(), [0, 0, 0, 1], physicsClientId=client)
            reach[axis, k] = 0.5 - min(c[8] for c in p.getClosestPoints(body, wall, 1.0, physicsClientId=client))
    size = np.asarray(item_spec(sku).size_m)
    tolerance = 0.003 if item_spec(sku).structure == "plush" else 0.0006
    np.testing.assert_allclose(reach, np.column_stack([size, size]) / 2.0, atol=tolerance)


def test_more_page_blocks_are_the_same_book() -> None:
    one, three = (closed_shape(book_description(item_spec(BOOK), blocks)) for blocks in (1, 3))
    assert three.mass_kg == pytest.approx(one.mass_kg)
    np.testing.assert_allclose(three.inertia, one.inertia, atol=1e-9)


def test_what_is_rigid_is_not_built_here(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="book, sheet, loose, plush"):
        build(item_spec("box-000"), tmp_path)
    with pytest.raises(ValueError, match="odd number"):
        book_description(item_spec(BOOK), blocks=2)


# -- books -------------------------------------------------------------------------------------------------------------
def reference_opening(cover_kg: float, width: float, torque: float, damping: float, pull_n: float, time_s: float) -> float:
    """Angle (rad) of a plate hinged at one edge, lifted by a vertical force at its other edge, by Runge-Kutta of 4th order.

    I phi'' = (F w - m g w / 2) cos(phi) - T - c phi' about the hinge, I = m (w^2 + t^2) / 3 without the plate's thickness.
    """
    inertia = cover_kg * width**2 / 3.0

    def slope(state: np.ndarray) -> np.ndarray:
        angle, speed = state
        moment = (pull_n * width - cover_kg * 9.81 * width / 2.0) * np.cos(angle) - torque - damping * speed
        return np.array([speed, moment / inertia])

    state, h = np.zeros(2), 1e-5
    for _ in range(round(time_s / h)):
        k1 = slope(state)
        k2 = slope(state + h / 2 * k1)
        k3 = slope(state + h / 2 * k2)
        k4 = slope(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return float(state[0])


@pytest.mark.parametrize("hz", [120, 240, 480, 960])
def test_a_lifted_cover_opens_as_the_equation_of_motion_says(hz: int) -> None:
    """Within 6 % at 120 Hz and 3 % from 240 Hz on."""
    shape = book_shape(item_spec(BOOK))
    pull = 1.25 * (shape.cover_kg * 9.81 / 2.0 + shape.torque_nm / shape.width)
    expected = reference_opening(shape.cover_kg, shape.width, shape.torque_nm, shape.damping, pull, 0.5)
    with SimWorld(CELL, sleeping=False, step_s=1.0 / hz) as world, _standing_robot(world):
        item = spawn_item(world, BOOK, make_pose((0.5, 0.0, FLOOR_M + item_spec(BOOK).size_m[2] / 2)))
        p.createConstraint(
            item.body,
            -1,
            -1,
            -1,
            p.JOINT_FIXED,
            [0, 0, 0],
            [0, 0, 0],
            item_pose(world, item)[:3, 3].tolist(),
            physicsClientId=world.client,
        )  # the block is held, so that only the cover moves
        edge = [shape.width / 2.0, 0.0, -shape.cover / 2.0]  # at the hinge's height, from the cover's centre

        def lift() -> None:
            state = p.getLinkState(item.body, 0, computeForwardKinematics=1, physicsClientId=world.client)
            at = np.asarray(state[0]) + np.reshape(p.getMatrixFromQuaternion(state[1]), (3, 3)) @ edge
            p.applyExternalForce(item.body, 0, [0, 0, pull], at.tolist(), p.WORLD_FRAME, physicsClientId=world.client)

        world.before_step.append(lift)
        world.step(hz // 2)
        found = book_opening_rad(world.client, item.body)
    assert 0.2 < expected < 1.5
    assert found == pytest.approx(expected, rel=0.06 if hz < 240 else 0.03)


def carried_by_cover(blocks_hz: int, seconds: float) -> tuple[float, float, ItemBody]:
    """A book hung on the middle of its front cover and lifted at .5 m/s: opening after .37 s and at most, rad."""
    with SimWorld(CELL, sleeping=False, step_s=1.0 / blocks_hz) as world, _standing_robot(world):
        spec = item_spec(BOOK)
        item = spawn_item(world, BOOK, make_pose((0.8, 0.6, spec.size_m[2] / 2)))
        cover = book_shape(spec)
        hand = p.createMultiBody(0.0, -1, -1, [0.8, 0.6, spec.size_m[2]], physicsClientId=world.client)
        p.createConstraint(
            item.body,
            0,
            hand,
            -1,
            p.JOINT_FIXED,
            [0, 0, 0],
            [0, 0, cover.cover / 2],
            [0, 0, 0],
            physicsClientId=world.client,
        )
        angles = []
        for k in range(round(seconds * blocks_hz)):
            lift = min(0.5 * k / blocks_hz, 0.5)
            p.resetBasePositionAndOrientation(
                hand, [0.8, 0.6, spec.size_m[2] + lift], [0, 0, 0, 1], physicsClientId=world.client
            )
            world.step()
            joints = p.getJointStates(item.body, [0, 1], physicsClientId=world.client)
            angles.append(joints[0][0] + joints[1][0])
        return angles[round(0.37 * blocks_hz)], max(angles), item


def test_a_book_lifted_by_its_cover_flops_open() -> None:
    at_240 = carried_by_cover(240, 2.0)
    assert np.degrees(at_240[0]) > 30.0, "both hinges together, .37 s after the lift began"
    assert np.degrees(at_240[1]) > 90.0
    at_960 = carried_by_cover(960, 2.0)
    assert at_960[1] == pytest.approx(at_240[1], rel=0.05)


@pytest.mark.parametrize("force_n", [20.0, 40.0])
def test_a_book_pinched_across_its_thickness_stays_closed(force_n: float) -> None:
    with SimWorld(CELL, sleeping=False) as world, _standing_robot(world):
        thickness = item_spec(BOOK).size_m[2]
        item = spawn_item(world, BOOK, make_pose((0.8, 0.6, 0.3), (0.0, np.pi / 2, 0.0)))  # the spine up
        pad = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.005, 0.011, 0.011], physicsClientId=world.client)
        pads = []
        for side in (-1.0, 1.0):
            place = [0.8 + side * (thickness / 2 + 0.005), 0.6, 0.3]
            body = p.createMultiBody(1.0, pad, -1, place, physicsClientId=world.client)  # as a finger with its drive
            p.changeDynamics(
                body, -1, lateralFriction=1.0, contactStiffness=3e4, contactDamping=120.0, physicsClientId=world.client
            )
            rail = p.createConstraint(
                body, -1, -1, -1, p.JOINT_PRISMATIC, [1, 0, 0], [0, 0, 0], place, physicsClientId=world.client
            )
            p.changeConstraint(rail, maxForce=500.0, physicsClientId=world.client)
            pads.append((body, -side))
        widest = 0.0

        def squeeze() -> None:
            for body, towards in pads:
                force = towards * force_n * min(1.0, 10.0 * world.time_s)
                p.applyExternalForce(body, -1, [force, 0, 0], [0, 0, 0], p.LINK_FRAME, physicsClientId=world.client)

        world.before_step.append(squeeze)
        for _ in range(240):
            world.step()
            widest = max(widest, book_opening_rad(world.client, item.body))
        assert np.degrees(widest) < 1.0
        assert item_pose(world, item)[2, 3] > 0.25, "and it is held"


# -- packs, bags ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("hz", [120, 240, 480])
@pytest.mark.parametrize("sku", ["mailer-000", "polybag-000", "loose_bag-007", "plush-000"])
def test_nothing_explodes_when_dropped_and_shaken(sku: str, hz: int) -> None:
    """Dropped on an edge from 15 cm, then shaken at 12 m/s^2: no part moves faster than what was put in allows."""
    with SimWorld(CELL, sleeping=False, step_s=1.0 / hz) as world, _standing_robot(world):
        size = np.asarray(item_spec(sku).size_m)
        item = spawn_item(world, sku, make_pose((0.8, 0.6, 0.15 + size[1] / 2), (1.3, 0.1, 0.4)))
        fastest = 0.0
        for _ in range(hz):
            world.step()
            fastest = max(fastest, _fastest_part(world, item))
        fall = np.sqrt(2 * 9.81 * 0.4)
        assert fastest < 2.0 * fall, "a toppling pack's tip moves faster than it fell, but not twice"
        for k in range(hz // 2):
            push = 12.0 * momentum(world.client, item.bodies).mass_kg * (1.0 if (8 * k // hz) % 2 else -1.0)
            base = p.getBasePositionAndOrientation(item.body, physicsClientId=world.client)[0]
            p.applyExternalForce(item.body, -1, [push, 0, 0], base, p.WORLD_FRAME, physicsClientId=world.client)
            world.step()
            fastest = max(fastest, _fastest_part(world, item))
        assert fastest < 6.0
        if item.contents:
            assert np.all(_balls_inside(world, item)), "no ball gets out"


def _fastest_part(world: SimWorld, item: ItemBody) -> float:
    speeds = [np.linalg.norm(p.getBaseVelocity(b, physicsClientId=world.client)[0]) for b in item.bodies]
    for link in range(p.getNumJoints(item.body, physicsClientId=world.client)):
        speeds.append(np.linalg.norm(p.getLinkState(item.body, link, 1, 1, physicsClientId=world.client)[6]))
    return float(max(speeds))


def _balls_inside(world: SimWorld, item: ItemBody) -> np.ndarray:
    places = np.array([p.getBasePositionAndOrientation(b, physicsClientId=world.client)[0] for b in item.contents])
    local = transform_points(inverse(item_pose(world, item)), places)
    return np.all(np.abs(local) < np.asarray(item_spec(item.name).size_m) / 2, axis=1)


def test_the_weight_of_a_loose_bag_shifts_when_it_is_tilted() -> None:
    with SimWorld(CELL, sleeping=False) as world, _standing_robot(world):
        item = spawn_item(world, "loose_bag-000", make_pose((0.8, 0.6, 0.3), (0.9, 0.0, 0.0)))
        hand = p.createConstraint(item.body, -1, -1, -1, p.JOINT_FIXED, [0, 0, 0], [0, 0, 0], [0.8, 0.6, 0.3], [0, 0, 0, 1],
                                  p.getQuaternionFromEuler([0.9, 0.0, 0.0]), physicsClientId=world.client)  # fmt: skip
        p.changeConstraint(hand, maxForce=500.0, physicsClientId=world.client)
        world.step(360)
        low = momentum(world.client, item.bodies).com - item_pose(world, item)[:3, 3]
        assert low[2] < -0.003 and np.all(_balls_inside(world, item))


def test_a_mailer_folds_under_load_and_stays_folded() -> None:
    """Laid over an edge and loaded beyond its hinges' torque; unloaded and lifted off it keeps its fold."""
    with SimWorld(CELL, sleeping=False) as world, _standing_robot(world):
        item = spawn_item(world, "mailer-000", make_pose((0.8, 0.6, 0.5)))
        p.createConstraint(
            item.body, -1, -1, -1, p.JOINT_FIXED, [0, 0, 0], [0, 0, 0], [0.8, 0.6, 0.5], physicsClientId=world.client
        )
        world.step(60)
        assert abs(p.getJointState(item.body, 0, physicsClientId=world.client)[0]) < 0.02, "its own weight does not fold it"
        torque = p.getJointInfo(item.body, 0, physicsClientId=world.client)[7]
        for _ in range(60):
            state = p.getLinkState(item.body, 0, physicsClientId=world.client)
            force = 3.0 * torque / 0.03
            p.applyExternalForce(item.body, 0, [0, 0, -force], state[0], p.WORLD_FRAME, physicsClientId=world.client)
            world.step()
        folded = p.getJointState(item.body, 0, physicsClientId=world.client)[0]
        assert abs(folded) > 0.2
        world.step(240)
        assert p.getJointState(item.body, 0, physicsClientId=world.client)[0] == pytest.approx(folded, abs=0.05)


def test_hinges_keep_their_torque_when_steps_are_divided() -> None:
    """A cover that just rests at 240 Hz must rest at 960 Hz too: the motor's strength is kept per step by the engine."""
    shape = book_shape(item_spec(BOOK))
    pull = 0.9 * shape.torque_nm / shape.width + shape.cover_kg * 9.81 / 2
    more = 1.6 * shape.torque_nm / shape.width + shape.cover_kg * 9.81 / 2
    for substeps in (1, 4):
        for force, opens in ((pull, False), (more, True)):
            with SimWorld(CELL, sleeping=False) as world, _standing_robot(world):
                item = spawn_item(world, BOOK, make_pose((0.5, 0.0, FLOOR_M + 0.015)))
                p.createConstraint(
                    item.body,
                    -1,
                    -1,
                    -1,
                    p.JOINT_FIXED,
                    [0, 0, 0],
                    [0, 0, 0],
                    item_pose(world, item)[:3, 3],
                    physicsClientId=world.client,
                )
                world.step(2)
                world.set_substeps(substeps)

                def lift(force: float = force, item: ItemBody = item, world: SimWorld = world) -> None:
                    x, y, z = p.getLinkState(item.body, 0, computeForwardKinematics=1, physicsClientId=world.client)[0]
                    p.applyExternalForce(
                        item.body,
                        0,
                        [0, 0, force],
                        [x + shape.width / 2.0, y, z],
                        p.WORLD_FRAME,
                        physicsClientId=world.client,
                    )

                world.before_step.append(lift)
                world.step(60)
                assert (book_opening_rad(world.client, item.body) > 0.05) is opens, (substeps, force)


@pytest.mark.parametrize("sku", SAMPLE)
def test_placing_closes_and_stills_an_item_with_all_its_parts(sku: str) -> None:
    with SimWorld(CELL) as world, _standing_robot(world):
        item = spawn_item(world, sku, make_pose((0.5, 0.0, 0.3), (0.8, 0.0, 0.0)))
        world.step(30)
        for joint in range(p.getNumJoints(item.body, physicsClientId=world.client)):
            p.resetJointState(item.body, joint, 0.3, 1.0, physicsClientId=world.client)
        X = make_pose((0.45, 0.1, 0.5), (0.0, 0.3, 1.0))
        place_item(world, item, X)
        assert item_speed(world, item) < 1e-6
        assert book_opening_rad(world.client, item.body) == 0.0
        np.testing.assert_allclose(item_pose(world, item), X, atol=1e-6)
        if item.contents:
            assert np.all(_balls_inside(world, item))
            p.resetBasePositionAndOrientation(item.contents[0], [0, 0, 2], [0, 0, 0, 1], physicsClientId=world.client)
            place_item(world, item, X)
            assert np.all(_balls_inside(world, item)), "what got out is put back"
