"""Perturbations of the cell: someone reaches in, a camera is knocked, the light fails, a lens blurs."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pybullet as p
import pytest
from sim_rig import cell_named, driven

from pickcell.geometry import inverse, make_pose, rotation_angle, transform_points
from pickcell.values import RgbdFrame
from pickcell_sim.driver import SimDriver
from pickcell_sim.items.spawn import spawn_item
from pickcell_sim.perturbations import Kind, Perturbation, Perturbations, PerturbationScript, draw_script
from pickcell_sim.perturbations.act import Scene
from pickcell_sim.perturbations.intruder import REACH_M, Intruder
from pickcell_sim.scoring.scorer import Scorer
from pickcell_sim.vision.cameras import CameraFault, SimCameras, truth_body_ids

MASS_N = 1.5 * 9.81


def reach_in(variant: str, along: float = 0.6, force_n: float = 100.0, seed: int = 0) -> Perturbation:
    size = {"width_m": 0.08, "length_m": 0.3}
    magnitude = {"along": along, "height_m": 0.4, "speed_mps": 1.5, "stay_s": 0.8, "force_n": force_n, **size}
    return Perturbation(Kind.INTRUDER, "approach", 0.2, magnitude, variant, seed)


def act_of(perturbations: Perturbations) -> Intruder:
    (running,) = perturbations._running
    assert isinstance(running.act, Intruder)
    return running.act


@pytest.fixture(scope="module")
def seeing() -> Iterator[SimDriver]:
    """A cell with cameras and two items."""
    driver = SimDriver.create(cell_named("panda"), 2)
    try:
        spawn_item(driver.world, "box-022", make_pose((0.5, 0.05, 0.0525), (0.0, 0.0, 0.3)))
        spawn_item(driver.world, "cylinder-018", make_pose((0.42, -0.15, 0.2), (1.57, 0.0, 0.0)))
        driver.advance(1.0)
        yield driver
    finally:
        driver.close()


def frame(driver: SimDriver, camera: str) -> RgbdFrame:
    taken = driver.capture(camera)
    assert taken is not None
    return taken


@pytest.mark.parametrize("variant", ["box", "cylinder"])
def test_someone_reaches_in_is_seen_in_depth_and_leaves(seeing: SimDriver, variant: str) -> None:
    driver, perturbation = seeing, reach_in(variant)
    bodies = p.getNumBodies(physicsClientId=driver.world.client)
    before = frame(driver, "cam_top").depth_m
    with Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
        perturbations.on_stage("approach")
        driver.advance(0.19)
        assert p.getNumBodies(physicsClientId=driver.world.client) == bodies, "not before its moment"
        driver.advance(0.02)
        act = act_of(perturbations)
        driver.advance(act.reach_s + 0.4)
        body, stop = act._body, act._stop
        assert driver.world.item_of_body(body) is None, "no item: no scorer counts it"
        place = np.array(p.getBasePositionAndOrientation(body, physicsClientId=driver.world.client)[0])
        np.testing.assert_allclose(place, stop, atol=0.003)
        during = frame(driver, "cam_top").depth_m
        mask = truth_body_ids(driver.cameras, "cam_top") == body  # type: ignore[arg-type]
        driver.advance(act.reach_s + 1.0)
        after = frame(driver, "cam_top").depth_m
    assert mask.sum() > 1500
    with np.errstate(invalid="ignore"):
        nearer = before - during
        assert np.nanmedian(nearer[mask]) == pytest.approx(stop[2], abs=0.12), "it hides what is 0.4 m below"
        assert np.isfinite(during[mask]).mean() > 0.7
        assert np.nanmedian(np.abs(after - before)[mask]) < 0.02, "gone again, but for noise"
    assert p.getNumBodies(physicsClientId=driver.world.client) == bodies
    began, ended = perturbations.log
    assert (began.body, began.note, ended.what) == (body, variant, "ended")
    assert ended.magnitude["seconds"] == pytest.approx(2 * act.reach_s + 0.8, abs=0.01)
    assert ended.magnitude["robot_force_n"] == 0.0


def test_it_comes_from_outside_and_keeps_its_speed() -> None:
    with driven() as driver:
        perturbation = reach_in("box")
        with Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
            perturbations.on_stage("approach")
            driver.advance(0.22)
            act = act_of(perturbations)
            client, path, speeds = driver.world.client, [], []
            for _ in range(int(240 * act.reach_s)):
                driver.step()
                path.append(p.getBasePositionAndOrientation(act._body, physicsClientId=client)[0])
                speeds.append(np.linalg.norm(p.getBaseVelocity(act._body, physicsClientId=client)[0]))
        way = np.array(path)
        base = np.array(driver.cell.base_position)[:2]
        assert np.linalg.norm(way[0] - act._stop) == pytest.approx(REACH_M, abs=0.01)
        assert np.linalg.norm(way[0, :2] - base) > np.linalg.norm(act._stop[:2] - base) + 0.4
        assert max(speeds) == pytest.approx(1.5, rel=0.05) and np.ptp(way[:, 2]) < 0.005
        assert p.getNumBodies(physicsClientId=client) == 2 + len(driver.cell.totes), "closing takes it away midway"


def test_people_who_come_again_cost_the_renderer_nothing(seeing: SimDriver) -> None:
    """Sizes are rounded, so that a store of shapes serves any number of picks."""
    pool, loads = seeing.world.visuals.pool, []
    for width_m in (0.078, 0.082, 0.084):
        perturbation = reach_in("box")
        perturbation.magnitude["width_m"] = width_m
        with Perturbations(seeing, PerturbationScript((perturbation,))) as perturbations:
            perturbations.on_stage("approach")
            seeing.advance(1.2)
            frame(seeing, "cam_top")
        frame(seeing, "cam_top")
        loads.append(pool.loads)
    assert loads[0] == loads[1] == loads[2]


def test_it_comes_into_being_where_no_fixed_camera_sees_it() -> None:
    seen = 0
    with driven() as driver:
        for seed in range(100):
            (perturbation,) = draw_script("intruder", seed).perturbations
            act = Intruder(Scene(driver), perturbation)
            stop, away = act._place(driver.world)
            tip = stop + (REACH_M - 0.5 * perturbation.magnitude["length_m"]) * away
            for camera in driver.cell.fixed_cameras:
                x, y, z = transform_points(inverse(camera.X_parent_camera), [tip])[0]
                u, v = camera.model.fx * x / z + camera.model.cx, camera.model.fy * y / z + camera.model.cy
                seen += bool(z > 0 and 0 < u < camera.width and 0 < v < camera.height)
    assert seen <= 3


@pytest.mark.parametrize("force_n", [20.0, 100.0])
def test_an_arm_in_the_way_is_touched_with_no_more_than_a_hand_bears(force_n: float) -> None:
    """It reaches to where the hand stands at home: contact, a bounded lasting push, and it gives way instead of passing."""
    with driven() as driver:
        tool = driver.world.X_world_link("tool0")[:3, 3]
        perturbation = reach_in("cylinder", along=0.0, force_n=force_n)
        perturbation.magnitude["height_m"] = float(tool[2] - 0.02)
        with Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
            perturbations.on_stage("approach")
            driver.advance(0.22)
            act = act_of(perturbations)
            driver.advance(act.reach_s + 0.3)
            resting = [act._contact_n(driver.world) for _ in range(24) if driver.step() is None]
            place = np.array(p.getBasePositionAndOrientation(act._body, physicsClientId=driver.world.client)[0])
            driver.advance(act.reach_s + 1.0)
        ended = perturbations.log[-1]
    assert ended.what == "ended" and ended.magnitude["robot_force_n"] > 0.0
    assert 0.0 < np.mean(resting) < 1.3 * (force_n + MASS_N)
    assert np.linalg.norm(place - act._stop) > 0.02 and ended.magnitude["pushed_aside_m"] > 0.02


def test_items_it_meets_are_pushed_and_woken() -> None:
    with driven() as driver:
        item = spawn_item(driver.world, "box-022", make_pose((0.5, 0.0, 0.0525)))
        driver.advance(1.0)
        scorer, start = Scorer(driver.world), driver.world.item_bodies[item.item_id]
        assert start.asleep
        before = scorer.snapshot()
        perturbation = reach_in("box", along=0.0)
        perturbation.magnitude.update(height_m=0.05, width_m=0.1)
        client = driver.world.client
        for body in driver.world.totes.values():  # no wall in the way
            for link in range(-1, p.getNumJoints(body, physicsClientId=client)):
                p.setCollisionFilterGroupMask(body, link, 0, 0, physicsClientId=client)
        with Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
            perturbations.on_stage("approach")
            driver.advance(2.0)
        moved = scorer.snapshot().items[item.item_id].X_world_item - before.items[item.item_id].X_world_item
        assert np.linalg.norm(moved[:2, 3]) > 0.05


# -- sight ---------------------------------------------------------------------------------------------------------------


def sight(kind: Kind, seed: int = 0, **magnitude: float) -> Perturbation:
    return Perturbation(kind, "observe", 0.1, magnitude, seed=seed)


def cameras_of(driver: SimDriver) -> SimCameras:
    assert driver.cameras is not None
    return driver.cameras


@pytest.mark.parametrize("turn_deg", [1.0, 5.0])
def test_a_knocked_camera_shows_the_cell_shifted_by_the_scripted_angle(seeing: SimDriver, turn_deg: float) -> None:
    driver, cameras = seeing, cameras_of(seeing)
    good = {name: frame(driver, name) for name in cameras.names}
    masks = {name: truth_body_ids(cameras, name) for name in cameras.names}
    perturbation = sight(Kind.CAMERA_KNOCKED, 3, offset_m=0.02, turn_deg=turn_deg)
    with Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
        perturbations.on_stage("observe")
        driver.advance(0.09)
        assert not any(cameras.faults(name) for name in cameras.names), "not before its moment"
        driver.advance(5.0)
        (began,) = perturbations.log
        name = began.camera
        assert cameras.faults(name) == {CameraFault.KNOCKED} and perturbations.active == (Kind.CAMERA_KNOCKED,)
        assert not any(cameras.faults(other) for other in cameras.names if other != name)
        knocked, seen = frame(driver, name), truth_body_ids(cameras, name)
        X_camera_knocked = cameras._cameras[name].faults.X_camera_knocked
    np.testing.assert_allclose(knocked.X_base_camera, good[name].X_base_camera, atol=1e-4)  # the calibration does not know
    assert np.rad2deg(rotation_angle(X_camera_knocked)) == pytest.approx(turn_deg)
    assert np.linalg.norm(X_camera_knocked[:3, 3]) == pytest.approx(0.02)
    box = driver.world.item_bodies[1].body
    shift = centre_of(seen == box) - centre_of(masks[name] == box)
    expected = predicted_shift(good[name], masks[name] == box, X_camera_knocked)
    np.testing.assert_allclose(shift, expected, atol=2.0)
    assert np.linalg.norm(shift) > 3.0
    assert not cameras.faults(name), "set right when the perturbations are closed"
    assert np.abs(frame(driver, name).color.astype(float) - good[name].color).mean() < 3.0


def centre_of(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def predicted_shift(good: RgbdFrame, mask: np.ndarray, X_camera_knocked: np.ndarray) -> np.ndarray:
    """(2,) pixels by which the surface under a mask moves in the picture when its camera is knocked."""
    rows, columns = np.nonzero(mask & np.isfinite(good.depth_m))
    z, m = good.depth_m[rows, columns], good.camera
    points = np.column_stack([(columns - m.cx) / m.fx * z, (rows - m.cy) / m.fy * z, z])
    moved = transform_points(inverse(X_camera_knocked), points)
    pixels = moved[:, :2] / moved[:, 2:] * [m.fx, m.fy] + [m.cx, m.cy]
    return np.asarray(pixels.mean(axis=0) - [columns.mean(), rows.mean()])


def test_dimmed_lights_darken_all_pictures_and_cost_depth_for_a_while(seeing: SimDriver) -> None:
    driver, cameras = seeing, cameras_of(seeing)
    names = cameras.names
    good = {name: frame(driver, name) for name in names}
    perturbation = sight(Kind.LIGHTS_DIMMED, brightness=0.1, lasts_s=1.0)
    with Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
        perturbations.on_stage("observe")
        driver.advance(0.09)
        assert cameras.light == 1.0
        driver.advance(0.5)
        dark = {name: frame(driver, name) for name in names}
        driver.advance(1.0)
        again = {name: frame(driver, name) for name in names}
        assert [e.what for e in perturbations.log] == ["began", "ended"]
    for name in names:
        assert dark[name].color.mean() == pytest.approx(0.1 * good[name].color.mean(), abs=2.0)
        lost, before = (np.isnan(f[name].depth_m).mean() for f in (dark, good))
        assert lost > before + 0.01, name
        assert again[name].color.mean() == pytest.approx(good[name].color.mean(), abs=1.0)


def test_a_blurred_lens_costs_one_camera_its_sharpness(seeing: SimDriver) -> None:
    driver, cameras = seeing, cameras_of(seeing)
    good = {name: sharpness(frame(driver, name)) for name in cameras.names}
    holes = {name: np.isnan(frame(driver, name).depth_m).mean() for name in cameras.names}
    soft: list[float] = []
    for sigma_px in (2.0, 6.0):
        perturbation = sight(Kind.LENS_BLURRED, 5, sigma_px=sigma_px, lasts_s=1.0)
        with Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
            perturbations.on_stage("observe")
            driver.advance(0.09)
            assert not any(cameras.faults(name) for name in cameras.names)
            driver.advance(0.5)
            blurred = {name: sharpness(frame(driver, name)) for name in cameras.names}
            name = perturbations.log[0].camera
            assert np.isnan(frame(driver, name).depth_m).mean() > holes[name] + 0.01, "edges have no depth"
            driver.advance(1.0)
            assert not cameras.faults(name)
        assert all(blurred[other] == pytest.approx(good[other], rel=0.1) for other in cameras.names if other != name)
        soft.append(blurred[name])
    assert soft[1] < soft[0] < 0.5 * good[name]


def sharpness(taken: RgbdFrame) -> float:
    """Variance of the Laplacian, less what the sensor's noise gives by itself."""
    gray = cv2.cvtColor(cv2.GaussianBlur(taken.color, (0, 0), 1.0), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(gray.astype(np.float32), cv2.CV_32F).var())


def test_the_seed_chooses_the_camera_and_only_one_that_is_well(seeing: SimDriver) -> None:
    cameras = cameras_of(seeing)

    def struck(seed: int) -> str:
        perturbation = sight(Kind.LENS_BLURRED, seed, sigma_px=3.0, lasts_s=0.1)
        with Perturbations(seeing, PerturbationScript((perturbation,))) as perturbations:
            perturbations.on_stage("observe")
            seeing.advance(0.15)
            return perturbations.log[0].camera or perturbations.log[0].note

    chosen = [struck(seed) for seed in range(12)]
    assert chosen == [struck(seed) for seed in range(12)] and set(chosen) == set(cameras.names)
    for name in cameras.names[1:]:
        cameras.set_fault(name, CameraFault.BLUR)
    assert {struck(seed) for seed in range(4)} == {cameras.names[0]}
    cameras.set_fault(cameras.names[0], CameraFault.BLUR)
    assert "already" in struck(0)
    for name in cameras.names:
        cameras.set_fault(name, CameraFault.BLUR, False)


def test_strengths_outside_their_range_are_refused(seeing: SimDriver) -> None:
    cameras = cameras_of(seeing)
    for wrong in (-0.1, 2.5, float("nan")):
        with pytest.raises(ValueError, match="brightness"):
            cameras.set_light(wrong)
    with pytest.raises(ValueError, match="blur"):
        cameras.blur("cam_left", 0.0)
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        cameras.knock("cam_left", np.eye(3))
    with pytest.raises(KeyError, match="cam_left"):
        cameras.knock("cam_back", np.eye(4))
    assert cameras.light == 1.0 and not cameras.faults("cam_left")
