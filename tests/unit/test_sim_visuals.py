"""The render client that physics worlds share: same pictures whatever was drawn before, nothing left over, right bodies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pybullet as p
import pytest

from pickcell.cell import load_cell
from pickcell.geometry import make_pose
from pickcell_sim.items.spawn import clear_items, place_item, spawn_item
from pickcell_sim.vision.rendering import Renderer, View
from pickcell_sim.vision.visuals import NOTHING, Placement, ShapeModel, UrdfModel, VisualPool, VisualScene
from pickcell_sim.world import SimWorld

ROOT = Path(__file__).resolve().parents[2]
CELL = load_cell(ROOT / "config" / "cells" / "panda.yaml", calibrated=False)
CAMERA = CELL.camera("cam_left")
SKUS = ("box-022", "cylinder-001", "card-006", "irregular-054")


@pytest.fixture(params=["egl", "tiny"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[VisualPool]:
    """The pool that this process has, whatever it drew before."""
    if request.param == "tiny":
        monkeypatch.setenv("PICKCELL_RENDERER", "tiny")
    yield VisualPool.shared()


def place(world: SimWorld, skus: tuple[str, ...], shift: float = 0.0) -> None:
    for k, sku in enumerate(skus):
        spawn_item(world, sku, make_pose((0.42 + 0.08 * (k % 3), -0.15 + 0.1 * k + shift, 0.08), (0.1 * k, 0.2, 0.5 * k)))


def look(world: SimWorld) -> View:
    return world.visuals.render(CAMERA.model, CAMERA.X_parent_camera, with_bodies=True)


def assert_same(a: View, b: View) -> None:
    np.testing.assert_array_equal(a.color, b.color)
    np.testing.assert_array_equal(a.depth_m, b.depth_m)
    np.testing.assert_array_equal(a.body_ids, b.body_ids)


def test_a_used_pool_draws_what_a_fresh_one_draws(pool: VisualPool) -> None:
    """After worlds with other items, poses and joint angles, and after the pool was closed altogether."""
    with SimWorld(CELL) as world:
        place(world, SKUS)
        fresh = look(world)
    with SimWorld(CELL) as other:
        place(other, (*SKUS[::-1], "box-022", "box-008"), 0.03)
        p.resetJointState(other.robot.body, other.robot.joints[CELL.arm.joints[0]], 0.5, physicsClientId=other.client)
        assert not np.array_equal(look(other).color, fresh.color)
    with SimWorld(CELL) as world:
        place(world, SKUS)
        assert_same(look(world), fresh)
        pool.close()
        assert_same(look(world), fresh)


def test_two_worlds_side_by_side_show_their_own_bodies(pool: VisualPool) -> None:
    with SimWorld(CELL) as one, SimWorld(CELL) as two:
        place(one, SKUS)
        place(two, SKUS[:2], 0.05)
        alone = [look(one), look(two)]
        for view, world, count in zip(alone, (one, two), (4, 2)):
            assert view.body_ids is not None
            items = {item.body for item in world.item_bodies.values()}
            assert len(items & set(np.unique(view.body_ids))) == count
        assert_same(look(one), alone[0])
        assert_same(look(two), alone[1])


def test_pixels_name_the_physics_bodies(pool: VisualPool) -> None:
    """Bodies of the two clients are numbered differently once something was removed; a picture names physics' own."""
    with SimWorld(CELL) as world:
        place(world, SKUS)
        look(world)
        world.remove_body(1)
        late = spawn_item(world, "card-011", make_pose((0.5, 0.15, 0.10)))
        view = look(world)
        assert view.body_ids is not None
        place_item(world, late, make_pose((0.5, 0.15, -3.0)))
        without = look(world)
        changed = np.abs(view.color.astype(int) - without.color).max(axis=2) > 20
        assert late.body in view.body_ids and late.body not in without.body_ids
        assert changed[view.body_ids == late.body].mean() > 0.6


def test_bodies_that_nobody_registered_are_drawn_as_their_client_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Primitives, links, inertial offsets and turned frames: the same picture as the physics client draws by itself."""
    monkeypatch.setenv("PICKCELL_RENDERER", "tiny")
    client = p.connect(p.DIRECT)
    try:
        with SimWorld(CELL):  # draws otherwise than the client under test
            other = VisualScene(client)
            ball = p.createCollisionShape(p.GEOM_SPHERE, radius=0.05, physicsClientId=client)
            p.createMultiBody(0.1, ball, -1, (0.45, 0.0, 0.1), physicsClientId=client)
            box = p.createVisualShape(
                p.GEOM_BOX, halfExtents=(0.03, 0.05, 0.08), rgbaColor=(1, 0, 0, 1),
                visualFramePosition=(0.0, 0.02, 0.0), visualFrameOrientation=p.getQuaternionFromEuler((0.2, 0, 0)),
                physicsClientId=client,
            )  # fmt: skip
            tilt = p.getQuaternionFromEuler((0.3, 0.4, 0.5))
            rod = p.createVisualShape(
                p.GEOM_CYLINDER, radius=0.02, length=0.2, rgbaColor=(0, 1, 0, 1), physicsClientId=client
            )
            p.createMultiBody(
                0.2, -1, box, (0.5, -0.15, 0.1), tilt, baseInertialFramePosition=(0.0, 0.0, 0.03),
                linkMasses=[0.1], linkCollisionShapeIndices=[-1], linkVisualShapeIndices=[rod],
                linkPositions=[(0.0, 0.06, 0.05)], linkOrientations=[tilt], linkInertialFramePositions=[(0.01, 0.0, 0.04)],
                linkInertialFrameOrientations=[(0.0, 0.0, 0.0, 1.0)], linkParentIndices=[0],
                linkJointTypes=[p.JOINT_REVOLUTE], linkJointAxis=[(1, 0, 0)], physicsClientId=client,
            )  # fmt: skip
            p.resetJointState(1, 0, 0.4, physicsClientId=client)
            own = Renderer(client).render(CAMERA.model, CAMERA.X_parent_camera, True)
            mirrored = other.render(CAMERA.model, CAMERA.X_parent_camera, True)
        np.testing.assert_array_equal(mirrored.body_ids, own.body_ids)
        np.testing.assert_allclose(mirrored.depth_m, own.depth_m, atol=2e-4)
        assert np.abs(mirrored.color.astype(int) - own.color).mean() < 0.05
        assert {0, 1} <= set(np.unique(own.body_ids))
    finally:
        p.disconnect(client)


def test_a_stand_in_is_drawn_as_the_item_it_stands_for(pool: VisualPool) -> None:
    """The physics body is exchanged for a plain box; the picture, and the pixels' owner, stay the item's."""
    with SimWorld(CELL) as world:
        item = spawn_item(world, "box-022", make_pose((0.5, 0.05, 0.1), (0.0, 0.0, 0.3)))
        full, model = look(world), world.visuals.model_of(item.body)
        position, quat = p.getBasePositionAndOrientation(item.body, physicsClientId=world.client)
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=(0.02, 0.02, 0.02), physicsClientId=world.client)
        proxy = p.createMultiBody(0.3, shape, -1, position, quat, physicsClientId=world.client)
        world.register_visual(proxy, model)
        world.register_visual(item.body, NOTHING)
        view = look(world)
    assert full.body_ids is not None and view.body_ids is not None
    np.testing.assert_array_equal(view.color, full.color)
    np.testing.assert_array_equal(view.body_ids == proxy, full.body_ids == item.body)


def test_joints_are_mirrored_and_a_rigid_body_shows_the_angles_it_was_given(pool: VisualPool, tmp_path: Path) -> None:
    urdf = tmp_path / "flap.urdf"
    urdf.write_text(FLAP)
    with SimWorld(CELL) as world:
        flap = p.loadURDF(str(urdf), (0.5, 0.0, 0.15), flags=p.URDF_IGNORE_VISUAL_SHAPES, physicsClientId=world.client)
        world.register_visual(flap, UrdfModel(str(urdf)))
        views = []
        for angle in (0.0, 1.0, 0.0):
            p.resetJointState(flap, 0, angle, physicsClientId=world.client)
            views.append(look(world))
        assert_same(views[0], views[2])
        p.resetJointState(flap, 0, 1.0, physicsClientId=world.client)
        position, quat = p.getBasePositionAndOrientation(flap, physicsClientId=world.client)
        rigid = p.createMultiBody(0.1, -1, -1, position, quat, physicsClientId=world.client)
        p.removeBody(flap, physicsClientId=world.client)
        world.visuals.forget(flap)
        world.register_visual(rigid, UrdfModel(str(urdf)), angles=(1.0,))
        open_again = look(world)
    assert not np.array_equal(views[0].color, views[1].color)
    np.testing.assert_array_equal(open_again.color, views[1].color)


FLAP = """<?xml version="1.0"?>
<robot name="flap">
  <link name="a">
    <inertial><origin xyz="0.02 0 0"/><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/>
    </inertial>
    <visual><geometry><box size="0.2 0.15 0.01"/></geometry><material name="r"><color rgba="1 0 0 1"/></material></visual>
  </link>
  <link name="b">
    <inertial><mass value="0.1"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial>
    <visual><origin xyz="0.1 0 0"/><geometry><box size="0.2 0.15 0.01"/></geometry>
      <material name="g"><color rgba="0 1 0 1"/></material></visual>
  </link>
  <joint name="hinge" type="revolute"><parent link="a"/><child link="b"/><origin xyz="-0.1 0 0.012"/><axis xyz="0 -1 0"/>
    <limit lower="0" upper="3" effort="1" velocity="1"/></joint>
</robot>
"""


def test_visuals_are_used_again_and_few_are_kept(pool: VisualPool) -> None:
    with SimWorld(CELL) as world:
        look(world)
        pool.drop_parked()
        place(world, SKUS)
        look(world)
        loads, size = pool.loads, pool.size
        for k in range(3):
            clear_items(world)
            place(world, SKUS, 0.01 * k)
            look(world)
            assert pool.size == size
        if pool.backend == "egl":
            assert pool.loads == loads and p.getNumBodies(physicsClientId=pool.client) == sum(size)
        moves = pool.moves
        look(world)
        assert pool.moves == moves, "what has not moved is not touched"
        clear_items(world)
        look(world)
        assert pool.size == (size[0] - 4, 4 if pool.backend == "egl" else 0)


def test_a_full_pool_drops_what_was_unused_for_longest() -> None:
    pool = VisualPool(software=True, parked_max=1)
    try:
        shapes = [ShapeModel(p.GEOM_SPHERE, (radius, 0.0, 0.0)) for radius in (0.01, 0.02, 0.03)]
        at = (0.5, 0.0, 0.1), (0.0, 0.0, 0.0, 1.0)

        def show(*indices: int) -> None:
            pool.draw([Placement(i, shapes[i], *at) for i in indices], CAMERA.model, CAMERA.X_parent_camera)

        show(0)
        show(1)
        show(2)
        assert pool.size == (1, 1) and p.getNumBodies(physicsClientId=pool.client) == 2
        show(1)  # was parked last: still there
        assert pool.loads == 3
        show(0)
        assert pool.loads == 4 and pool.size == (1, 1)
    finally:
        pool.close()


def test_memory_does_not_grow_over_spawn_and_remove(pool: VisualPool) -> None:
    """30 rounds of four items each, with a picture in each round, after a few that warm up."""
    if pool.backend == "tiny":
        pytest.skip("the pool without EGL keeps nothing")
    process = psutil.Process()
    with SimWorld(CELL) as world:

        def cycle(k: int) -> None:
            place(world, SKUS, 0.001 * k)
            look(world)
            clear_items(world)

        for k in range(5):
            cycle(k)
        before = process.memory_info().rss
        bodies = p.getNumBodies(physicsClientId=pool.client)
        for k in range(30):
            cycle(k)
        assert p.getNumBodies(physicsClientId=pool.client) == bodies
        assert (process.memory_info().rss - before) / 2**20 < 12.0
