"""Simulated cameras: right geometry, honest calibration, faults by name, and no truth in their frames."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybullet as p
import pytest

from pickcell.cell import load_cell
from pickcell.geometry import inverse, make_pose, rotation_angle, transform_points
from pickcell.values import CameraModel, RgbdFrame
from pickcell_sim.items.spawn import item_pose, place_item, spawn_item
from pickcell_sim.vision.cameras import COSTS_KEPT, CameraFault, ExtrinsicError, SimCameras, truth_body_ids, world_state
from pickcell_sim.vision.depth_noise import DepthNoiseModel
from pickcell_sim.vision.rendering import load_egl, metric_depth, projection_matrix
from pickcell_sim.world import SimWorld

ROOT = Path(__file__).resolve().parents[2]
CELL = load_cell(ROOT / "config" / "cells" / "panda.yaml", calibrated=False)
EXACT = ExtrinsicError(0.0, 0.0)
CLEAN = DepthNoiseModel(
    subpixel_sigma=0.0, disparity_steps=1e6, lateral_sigma_px=0.0, edge_dropout=0.0, occlusion=False, grazing_cos=0.06,
    dark_dropout=0.0, shiny_dropout=0.0, mirror_dropout=0.0, color_sigma=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[SimWorld]:
    with SimWorld(CELL, sleeping=False) as made:
        box = spawn_item(made, "box-022", make_pose((0.5, 0.05, 0.006 + 0.046), (0.0, 0.0, 0.3)))
        spawn_item(made, "cylinder-001", make_pose((0.45, -0.12, 0.006 + 0.0575)))
        assert box.item_id == 1
        yield made


@pytest.mark.parametrize("backend", ["egl", "tiny"])
@pytest.mark.parametrize("camera", ["cam_left", "cam_top"])
def test_depth_and_colour_are_where_the_pinhole_model_says(
    backend: str, camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box's top face is measured at its true height, and the printed face fills exactly its projected outline."""
    if backend == "tiny":
        monkeypatch.setenv("PICKCELL_RENDERER", "tiny")
    with SimWorld(CELL) as world:
        item = spawn_item(world, "box-022", make_pose((0.5, 0.05, 0.2), (0.0, 0.0, 0.3)))
        cameras = SimCameras(world, CELL, 0, noise=CLEAN, extrinsic_error=EXACT)
        frame = cameras.capture(camera)
        assert frame is not None
        X_camera_item = inverse(CELL.X_world_base @ frame.X_base_camera) @ item_pose(world, item)
        labels = truth_body_ids(cameras, camera) == item.body
    model = frame.camera
    corners = np.array([[x, y, 0.046] for x, y in ((-0.091, -0.046), (0.091, -0.046), (0.091, 0.046), (-0.091, 0.046))])
    points = transform_points(X_camera_item, corners)
    normal, offset = X_camera_item[:3, 2], X_camera_item[:3, 2] @ points[0]
    center = transform_points(X_camera_item, [[0.0, 0.0, 0.046]])[0]
    u, v = np.rint([model.fx * center[0] / center[2] + model.cx, model.fy * center[1] / center[2] + model.cy]).astype(int)
    window = np.s_[v - 15 : v + 16, u - 15 : u + 16]
    vs, us = np.mgrid[window]
    rays = np.stack([(us - model.cx) / model.fx, (vs - model.cy) / model.fy, np.ones(us.shape)], axis=-1)
    np.testing.assert_allclose(frame.depth_m[window], offset / (rays @ normal), atol=4e-4 if backend == "egl" else 4e-3)
    assert labels[window].all()
    whole = transform_points(X_camera_item, np.array([[x, y, z] for x in (-0.091, 0.091) for y in (-0.046, 0.046)
                                                      for z in (-0.046, 0.046)]))  # fmt: skip
    pixels = whole[:, :2] / whole[:, 2:] * [model.fx, model.fy] + [model.cx, model.cy]
    rows, columns = np.nonzero(labels)
    measured = [columns.min(), columns.max(), rows.min(), rows.max()]
    expected = [pixels[:, 0].min(), pixels[:, 0].max(), pixels[:, 1].min(), pixels[:, 1].max()]
    np.testing.assert_allclose(measured, expected, atol=1.1)


def test_projection_puts_pixel_centres_at_whole_numbers() -> None:
    camera = CameraModel("c", 640, 480, 500.0, 510.0, 300.0, 250.0, "f")
    P = projection_matrix(camera)
    x, y, z = 0.1, -0.2, 0.8
    clip = P @ [x, -y, -z, 1.0]
    u = (clip[0] / clip[3] + 1.0) / 2.0 * camera.width - 0.5
    v = (1.0 - clip[1] / clip[3]) / 2.0 * camera.height - 0.5
    assert (u, v) == pytest.approx((500.0 * x / z + 300.0, 510.0 * y / z + 250.0))
    buffer = np.array([(clip[2] / clip[3] + 1.0) / 2.0, 1.0], np.float32)
    depth = metric_depth(buffer)
    assert depth[0] == pytest.approx(z, abs=1e-4) and np.isnan(depth[1])


def test_frames_carry_the_calibration_not_the_truth(world: SimWorld) -> None:
    """The rendering is off by the extrinsic error, the pose in the frame is the nominal one, and the error is fixed."""
    cameras = SimCameras(world, CELL, 7)
    shifts = []
    for config in CELL.cameras:
        frame = cameras.capture(config.name)
        assert frame is not None
        X_parent = world.X_world_link("tool0") if config.parent == "tool0" else np.eye(4)
        nominal = inverse(CELL.X_world_base) @ X_parent @ config.X_parent_camera
        np.testing.assert_allclose(frame.X_base_camera, nominal, atol=1e-9)
        X_error = cameras._cameras[config.name].X_nominal_true
        shifts.append(np.linalg.norm(X_error[:3, 3]))
        assert 0 < shifts[-1] < 0.006 and 0 < rotation_angle(X_error) < np.deg2rad(0.6)
        same = SimCameras(world, CELL, 7)._cameras[config.name].X_nominal_true
        np.testing.assert_array_equal(same, X_error)
    assert len(set(shifts)) == len(shifts), "each camera has an error of its own"
    assert not np.array_equal(SimCameras(world, CELL, 8)._cameras["cam_left"].X_nominal_true, X_error)


def test_fixed_cameras_see_the_inside_of_both_totes(world: SimWorld) -> None:
    """Every tote floor corner lies within the picture of the cameras meant for it."""
    for name, totes in {"cam_left": ["source"], "cam_right": ["source"], "cam_top": ["source", "destination"]}.items():
        config = CELL.camera(name)
        for tote in totes:
            x, y, z = CELL.totes[tote].inner
            corners = np.array([[sx * x / 2, sy * y / 2, h] for sx in (-1, 1) for sy in (-1, 1) for h in (0.0, z)])
            points = transform_points(inverse(config.X_parent_camera) @ CELL.totes[tote].X_world_tote, corners)
            uv = points[:, :2] / points[:, 2:] * config.model.fx + [config.model.cx, config.model.cy]
            assert np.all(uv > 0) and np.all(uv < [config.width - 1, config.height - 1]), f"{name} cuts tote {tote} off"


def test_still_worlds_are_drawn_once_and_noise_is_new_in_every_frame(world: SimWorld) -> None:
    cameras = SimCameras(world, CELL, 1)
    first, second = cameras.capture("cam_left"), cameras.capture("cam_left")
    assert first is not None and second is not None
    assert (cameras.stats.rendered, cameras.stats.reused) == (1, 1)
    assert not np.array_equal(first.color, second.color)
    item = world.item_bodies[1]
    X = item_pose(world, item)
    before = world_state(world.client)
    place_item(world, item, make_pose((0.0, 0.0, 0.001)) @ X)
    assert world_state(world.client) != before
    cameras.capture("cam_left")
    place_item(world, item, X)
    assert cameras.stats.rendered == 2
    cameras.forget()
    cameras.capture("cam_left")
    assert cameras.stats.rendered == 3
    assert "3 drawn" in cameras.stats.text()
    cameras.stats.noise_ms.extend([1.0] * 2 * COSTS_KEPT)  # a cell runs for days
    assert len(cameras.stats.noise_ms) == COSTS_KEPT and "noise 1.0 ms" in cameras.stats.text()


def test_the_wrist_camera_moves_with_the_arm(world: SimWorld) -> None:
    cameras = SimCameras(world, CELL, 1)
    first = cameras.capture("cam_wrist")
    joint = world.robot.joints[CELL.arm.joints[0]]
    p.resetJointState(world.robot.body, joint, 0.3, physicsClientId=world.client)
    second = cameras.capture("cam_wrist")
    p.resetJointState(world.robot.body, joint, CELL.arm.home[0], physicsClientId=world.client)
    assert first is not None and second is not None
    turned = rotation_angle(inverse(first.X_base_camera) @ second.X_base_camera)
    assert turned == pytest.approx(0.3 - CELL.arm.home[0], abs=1e-3) and cameras.stats.rendered == 2


def test_each_fault_does_what_its_name_says(world: SimWorld) -> None:
    cameras = SimCameras(world, CELL, 2)
    good = cameras.capture("cam_left")
    assert good is not None

    def with_fault(fault: CameraFault) -> RgbdFrame:
        cameras.set_fault("cam_left", fault)
        assert cameras.faults("cam_left") == {fault} and not cameras.faults("cam_right")
        try:
            return cameras.capture("cam_left")  # type: ignore[return-value]
        finally:
            cameras.set_fault("cam_left", fault.value, False)

    assert with_fault(CameraFault.SILENT) is None
    nan = with_fault(CameraFault.NAN_DEPTH)
    assert np.isnan(nan.depth_m).all() and nan.color.mean() == pytest.approx(good.color.mean(), rel=0.02)
    last = cameras.capture("cam_left")
    world.step(3)
    frozen, stale = with_fault(CameraFault.FROZEN), with_fault(CameraFault.STALE)
    assert frozen.stamp_s == world.time_s > last.stamp_s
    np.testing.assert_array_equal(frozen.color, last.color)
    assert stale.stamp_s < world.time_s
    assert with_fault(CameraFault.DARK).color.mean() < 0.2 * good.color.mean()
    blurred = with_fault(CameraFault.BLUR)
    sharp, soft = (np.abs(np.diff(f.color.astype(float), axis=1)).mean() for f in (good, blurred))
    assert soft < 0.9 * sharp
    knocked = with_fault(CameraFault.KNOCKED)
    np.testing.assert_array_equal(knocked.X_base_camera, good.X_base_camera)
    assert np.abs(knocked.color.astype(float) - good.color).mean() > 2.0
    assert not cameras.faults("cam_left")


def test_wrong_names_list_the_valid_ones(world: SimWorld) -> None:
    cameras = SimCameras(world, CELL, 0)
    with pytest.raises(KeyError, match="cam_left"):
        cameras.capture("cam_back")
    with pytest.raises(ValueError, match="nan_depth"):
        cameras.set_fault("cam_left", "on_fire")


def test_shiny_bodies_lose_depth(world: SimWorld) -> None:
    cameras = SimCameras(world, CELL, 3)
    frame = cameras.capture("cam_right")
    assert frame is not None
    bodies = truth_body_ids(cameras, "cam_right")
    shiny = next(item for item in world.item_bodies.values() if item.shiny)
    matte = next(item for item in world.item_bodies.values() if not item.shiny)
    lost = {item.item_id: np.isnan(frame.depth_m[bodies == item.body]).mean() for item in (shiny, matte)}
    assert lost[shiny.item_id] > 0.15 and lost[matte.item_id] < 0.12


def stand_at_home(world: SimWorld) -> None:
    for index in world.robot.joints.values():
        p.resetJointState(world.robot.body, index, 0.0, 0.0, physicsClientId=world.client)
    for name, value in zip(CELL.arm.joints, CELL.arm.home):
        p.resetJointState(world.robot.body, world.robot.joints[name], value, 0.0, physicsClientId=world.client)


def test_shiny_pixels_stay_known_while_the_arm_moves_and_are_exact_when_it_stands(world: SimWorld) -> None:
    stand_at_home(world)
    cameras = SimCameras(world, CELL, 3)
    cameras.capture("cam_right")
    camera = cameras._cameras["cam_right"]
    exact = camera.shiny.copy()
    joint = world.robot.joints[CELL.arm.joints[0]]
    p.resetJointState(world.robot.body, joint, 0.2, 0.5, physicsClientId=world.client)
    cameras.capture("cam_right")
    moving = camera.shiny.copy()
    assert not camera.shiny_exact and moving.sum() > 0.5 * exact.sum() and not np.any(moving & ~exact)
    stand_at_home(world)
    cameras.capture("cam_right")
    assert camera.shiny_exact
    np.testing.assert_array_equal(camera.shiny, exact)


def test_a_client_with_bodies_cannot_begin_to_draw_by_egl(world: SimWorld) -> None:
    """It would never show the bodies it has."""
    with pytest.raises(RuntimeError, match="before the first body"):
        load_egl(world.client)


def test_truth_is_read_by_scorer_benchmarks_and_labelled_scenes_only() -> None:
    """No file of the core, of a node or of another part of the simulator imports what tells items apart."""
    allowed = {"scorer.py", "generate.py", "cameras.py", "truth.py"}
    found = []
    for folder in ("src/pickcell", "ros2_ws/src", "sim/pickcell_sim"):
        for path in (ROOT / folder).rglob("*.py"):
            if (
                path.name in allowed
                or path.parts[-2:] == ("calibration", "session.py")
                or "bench" in path.parts
                or "build" in path.parts
                or "install" in path.parts
            ):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom | ast.Import):
                    names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                    if any(n.endswith("scorer") or n in ("truth_body_ids", "truth_parent_camera", "Scorer") for n in names):
                        found.append(str(path.relative_to(ROOT)))
    assert not found
