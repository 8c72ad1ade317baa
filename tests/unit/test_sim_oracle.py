"""Perception from the truth: poses, sizes, maps and what can be seen agree with what was put there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybullet as p
import pytest
from sim_rig import add_block, cell_named

from pickcell.catalogue import load_catalogue
from pickcell.geometry import inverse, make_pose, rotation_angle, transform_points
from pickcell.outcome import Code
from pickcell.task.ledger import Ledger
from pickcell.task.pick import PickTask
from pickcell.task.request import PickRequest
from pickcell.values import Instance, Scene, Voxel
from pickcell_sim.cell import InProcessCell
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling.fill import fill_tote
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spawn import item_pose, outline, spawn_item
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.items.totes import load_split, load_tote
from pickcell_sim.oracle.perception import OraclePerception
from pickcell_sim.oracle.shapes import convex_part, item_surface
from pickcell_sim.scoring.scorer import PickResult, Scorer

CATALOGUE = load_catalogue()
FLOOR = 0.006
DEMO = load_tote(REPOSITORY / "config" / "totes" / "demo.yaml")


@pytest.fixture
def driver() -> Iterator[SimDriver]:
    driver = SimDriver.create(cell_named("panda"), 0, cameras=False)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[SimDriver, Scene]]:
    driver = SimDriver.create(cell_named("panda"), DEMO.seed, cameras=False)
    fill_tote(driver.world, DEMO.skus, DEMO.seed)
    oracle = OraclePerception(driver, driver.cell, CATALOGUE)
    yield driver, oracle.observe([], driver.joint_states(), DEMO.manifest, driver.now_s).unwrap()
    driver.close()


def look(driver: SimDriver, **manifest: int) -> Scene:
    seen = OraclePerception(driver, driver.cell, CATALOGUE).observe([], driver.joint_states(), manifest, driver.now_s)
    assert seen.value is not None
    return seen.value


def at(x: float, y: float, z: float, yaw: float = 0.0) -> np.ndarray:
    return make_pose((x, y, FLOOR + z), (0.0, 0.0, yaw))


def test_instances_are_the_items_with_their_true_sizes_poses_and_names(demo: tuple[SimDriver, Scene]) -> None:
    driver, scene = demo
    assert [i.identity.sku for i in scene.instances] == [item.name for item in driver.world.item_bodies.values()]
    for instance in scene.instances:
        item = driver.world.item_bodies[instance.id]
        assert instance.identity.confidence == 1.0
        size = np.sort(item_spec(item.name).size_m)[::-1]
        np.testing.assert_allclose(instance.shape.extents_m, size, atol=2e-3)
        X_base_item = inverse(driver.cell.X_world_base) @ item_pose(driver.world, item)
        turned = X_base_item[:3, :3].T @ instance.shape.X_base_box[:3, :3]
        if item_spec(item.name).kind != "irregular":
            np.testing.assert_allclose(instance.shape.X_base_box[:3, 3], X_base_item[:3, 3], atol=2e-4)
            np.testing.assert_allclose(np.abs(turned).max(axis=0), 1.0, atol=1e-6)  # axes parallel to the item's
        local = transform_points(inverse(instance.shape.X_base_box), instance.shape.cloud.points)
        assert (np.abs(local) <= 0.5 * instance.shape.extents_m + 1e-4).all()
        assert (np.ptp(local, axis=0) > 0.9 * instance.shape.extents_m - 0.004).all()


KIND_SKUS = sorted({sku.rpartition("-")[0]: sku for sku in load_split("test") if not sku.startswith("irregular")}.values())


@pytest.mark.parametrize("sku", KIND_SKUS)
def test_every_kind_of_item_has_its_true_shape(driver: SimDriver, sku: str) -> None:
    size = np.asarray(item_spec(sku).size_m)
    item = spawn_item(driver.world, sku, at(0.5, 0.0, size[2] / 2 + 0.001, 0.3))
    instance = look(driver, **{sku: 1}).instances[0]
    np.testing.assert_allclose(instance.shape.extents_m, np.sort(size)[::-1], atol=2e-4)
    X_base_item = inverse(driver.cell.X_world_base) @ item_pose(driver.world, item)
    hull = outline(sku)
    middle = transform_points(X_base_item, 0.5 * (hull.min(axis=0) + hull.max(axis=0))[None])[0]
    np.testing.assert_allclose(instance.shape.X_base_box[:3, 3], middle, atol=1e-3)
    cloud = instance.shape.cloud
    assert len(cloud) > 500 and len(instance.visible) > 0.2 * len(cloud)
    np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1.0, atol=1e-5)
    solid = item_surface(driver.world.client, item)
    outside, beneath = (
        np.min([(p @ planes[:, :3].T - planes[:, 3]).max(axis=1) for planes in solid.planes], axis=0)
        for p in (solid.points + 1e-3 * solid.normals, solid.points - 2e-4 * solid.normals)
    )
    assert (outside > 0).mean() > 0.97 and (beneath < 0).all()  # a step along the normal leaves the item
    assert (instance.visible.normals[:, 2] > -0.6).all() and instance.exposure == 1.0


def test_samples_of_a_box_lie_on_it_evenly_with_outward_normals() -> None:
    half = np.array([0.06, 0.04, 0.0005])
    part = convex_part(-1, np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half)
    assert len(part.planes) == 6
    distance = np.abs(np.abs(part.points) - half).min(axis=1)
    assert distance.max() < 1e-9
    assert (np.einsum("ij,ij->i", part.points / half, part.normals) > 0.99).all()
    top = part.points[part.normals[:, 2] > 0.9]
    assert len(top) == pytest.approx(0.12 * 0.08 / 0.003**2, rel=0.05)


def test_heights_and_occupancy_of_stacked_boxes(driver: SimDriver) -> None:
    add_block(driver.world, (0.12, 0.10, 0.06), 0.3, (0.50, 0.0, FLOOR + 0.03), item_id=1)
    add_block(driver.world, (0.05, 0.04, 0.02), 0.1, (0.50, 0.0, FLOOR + 0.07), item_id=2)
    scene = look(driver)
    heights = scene.heightmaps["source"]
    X = inverse(driver.cell.X_world_base)

    def height_at(x: float, y: float) -> float:
        local = transform_points(inverse(heights.X_base_map) @ X, np.array([[x, y, 0.0]]))[0]
        return float(heights.height_m[tuple((local[:2] / heights.resolution_m).astype(int))])

    assert height_at(0.50, 0.0) == pytest.approx(0.08, abs=1e-4)
    assert height_at(0.545, 0.03) == pytest.approx(0.06, abs=1e-4)
    assert height_at(0.60, 0.1) == 0.0
    assert not np.isnan(heights.height_m).any() and scene.heightmaps["destination"].height_m.max() == 0.0

    def voxel(x: float, y: float, z: float) -> int:
        point = transform_points(X, np.array([[x, y, FLOOR + z]]))[0]
        return int(
            scene.occupancy.state[tuple(((point - scene.occupancy.origin) / scene.occupancy.resolution_m).astype(int))]
        )

    assert voxel(0.5, 0.0, 0.03) == Voxel.UNKNOWN  # the inside of a box
    assert voxel(0.545, 0.03, 0.0595) == Voxel.OCCUPIED
    assert voxel(0.545, 0.03, 0.075) == Voxel.FREE
    assert voxel(0.5, 0.0, -0.003) == Voxel.OCCUPIED  # the tote's floor
    assert voxel(0.45, 0.25, 0.05) == Voxel.FREE


def test_what_lies_under_something_is_neither_seen_nor_free(driver: SimDriver) -> None:
    add_block(driver.world, (0.16, 0.16, 0.004), 0.1, (0.50, 0.0, FLOOR + 0.002), item_id=1)
    add_block(driver.world, (0.08, 0.16, 0.002), 0.1, (0.54, 0.0, FLOOR + 0.005), item_id=2)
    below, above = look(driver).instances
    assert above.exposure == 1.0 and below.exposure == pytest.approx(0.5, abs=0.05)
    X_world_base = driver.cell.X_world_base
    tops = [transform_points(X_world_base, i.visible.points)[i.visible.normals[:, 2] > 0.9] for i in (below, above)]
    assert tops[0][:, 0].max() < 0.505  # covered by a sheet of 2 mm
    assert np.ptp(tops[1][:, 0]) > 0.07
    assert (below.visible.normals[:, 2] > -0.5).all()
    down = below.shape.cloud.normals[:, 2] < -0.9
    assert down.sum() > 2000  # the shape has its underside all the same


def test_an_empty_tote_is_said_to_be_empty_and_still_mapped(driver: SimDriver) -> None:
    oracle = OraclePerception(driver.world, driver.cell, CATALOGUE)
    seen = oracle.observe([], driver.joint_states(), {}, 0.0)
    assert seen.code is Code.SCENE_EMPTY and seen.value is not None
    assert set(seen.value.heightmaps) == {"source", "destination", "aside"} and oracle.cameras == ()


def test_an_item_off_the_manifest_is_not_named_and_one_elsewhere_is_no_instance(driver: SimDriver) -> None:
    spawn_item(driver.world, "box-001", at(0.5, 0.0, 0.03))
    spawn_item(driver.world, "box-001", at(0.5, -0.2, 0.03))
    there = driver.cell.totes["destination"].position
    spawn_item(driver.world, "box-002", at(there[0], there[1], 0.04))
    scene = look(driver, **{"box-002": 1})
    assert [i.id for i in scene.instances] == [1, 2]
    assert all(i.identity.sku is None for i in scene.instances)
    assert scene.heightmaps["destination"].height_m.max() > 0.05
    named = look(driver, **{"box-001": 2, "card-001": 1}).instances[0].identity
    assert named.ranking[0] == ("box-001", 1.0) and dict(named.ranking)["card-001"] == 0.0


def hinged_book(client: int, opening_rad: float) -> int:
    """Two boards of 100 x 150 x 4 mm, the upper one on a hinge along y at the spine (-x)."""
    board = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.05, 0.075, 0.002], physicsClientId=client)
    cover = p.createCollisionShape(
        p.GEOM_BOX, halfExtents=[0.05, 0.075, 0.002], collisionFramePosition=[0.05, 0, 0.002], physicsClientId=client
    )
    body = p.createMultiBody(
        0.3, board, -1, [0.5, 0.0, FLOOR + 0.002], linkMasses=[0.1], linkCollisionShapeIndices=[cover],
        linkVisualShapeIndices=[-1], linkPositions=[[-0.05, 0, 0.002]], linkOrientations=[[0, 0, 0, 1]],
        linkInertialFramePositions=[[0.05, 0, 0.002]], linkInertialFrameOrientations=[[0, 0, 0, 1]], linkParentIndices=[0],
        linkJointTypes=[p.JOINT_REVOLUTE], linkJointAxis=[[0, -1, 0]], physicsClientId=client,
    )  # fmt: skip
    p.resetJointState(body, 0, opening_rad, physicsClientId=client)
    return int(body)


def book_seen(driver: SimDriver, opening_rad: float) -> Instance:
    driver.world.add_body(hinged_book(driver.world.client, opening_rad), 1)
    return look(driver).instances[0]


def test_a_closed_book_is_one_solid_without_inner_faces(driver: SimDriver) -> None:
    book = book_seen(driver, 0.0)
    np.testing.assert_allclose(book.shape.extents_m, [0.15, 0.10, 0.008], atol=1e-4)
    local = transform_points(inverse(book.shape.X_base_box), book.shape.cloud.points)
    inner = (np.abs(local[:, 2]) < 5e-4) & (np.abs(local[:, 0]) < 0.07) & (np.abs(local[:, 1]) < 0.045)
    assert not inner.any()


def test_an_open_book_is_seen_as_its_links_are_posed(driver: SimDriver) -> None:
    book = book_seen(driver, 0.5 * np.pi)
    points = transform_points(driver.cell.X_world_base, book.shape.cloud.points)
    assert points[:, 2].max() == pytest.approx(FLOOR + 0.104, abs=0.003)
    tallest = points[points[:, 2] > FLOOR + 0.05]
    assert np.ptp(tallest[:, 0]) < 0.008  # the cover stands on the spine's side
    assert look(driver).heightmaps["source"].height_m.max() == pytest.approx(0.104, abs=0.003)


def test_poses_are_taken_anew_at_each_look(driver: SimDriver) -> None:
    item = spawn_item(driver.world, "box-003", at(0.5, 0.0, 0.05))
    oracle = OraclePerception(driver, driver.cell, CATALOGUE)
    first = oracle.observe([], driver.joint_states(), {}, 0.0).unwrap().instances[0].shape.X_base_box
    moved = make_pose((0.05, 0.03, 0.0), (0, 0, 0.4)) @ item_pose(driver.world, item)
    quat = p.getQuaternionFromEuler([0, 0, 0.4])
    p.resetBasePositionAndOrientation(item.body, moved[:3, 3], quat, physicsClientId=driver.world.client)
    second = oracle.observe([], driver.joint_states(), {}, 0.0).unwrap().instances[0].shape.X_base_box
    assert rotation_angle(inverse(first) @ second) == pytest.approx(0.4, abs=1e-6)


def test_a_pick_without_cameras(tmp_path: Path, driver: SimDriver) -> None:
    cell = driver.cell
    for sku, place in (("box-015", at(0.5, 0.0, 0.04)), ("cylinder-001", at(0.45, 0.16, 0.06))):
        spawn_item(driver.world, sku, place)
    driver.advance(0.5)
    manifest = {"box-015": 1, "cylinder-001": 1}
    ports = InProcessCell(driver, cell, CATALOGUE, perception=OraclePerception(driver, cell, CATALOGUE), charge=False)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.set_manifest(manifest).unwrap()
    scorer = Scorer(driver.world)
    before = scorer.snapshot()
    report = PickTask(ports, CATALOGUE, ledger, None, tmp_path / "jobs").run(PickRequest("job", "box-015"))
    ledger.close()
    assert report.code is Code.OK, report.text
    assert scorer.score(before, "box-015").result is PickResult.SUCCESS
    assert report.images == {} and (tmp_path / "jobs" / "job").is_dir()
