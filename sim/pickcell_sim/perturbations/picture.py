"""Before and after of every kind of perturbation, for the documentation.

``./cell run python -m pickcell_sim.perturbations.picture`` writes docs/images/perturbations.jpg.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pybullet as p
import typer
from numpy.typing import NDArray

from pickcell.cell import CellConfig, load_cell
from pickcell.geometry import look_at, make_pose
from pickcell.values import CameraModel
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling.fill import fill_tote
from pickcell_sim.items.assets import item_spec
from pickcell_sim.items.spawn import spawn_item
from pickcell_sim.items.spec import REPOSITORY
from pickcell_sim.items.totes import load_tote
from pickcell_sim.perturbations.kinds import Kind
from pickcell_sim.perturbations.runner import LogEntry, Perturbations
from pickcell_sim.perturbations.script import Perturbation, PerturbationScript, draw_script
from pickcell_sim.ports import SimPorts

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 400, 300
BAR = 34
SUPERSAMPLING = 2
FILL_SEED = 3
TARGET_SKU = "box-009"
PINCHED_SKU = "box-008"
SUCKED_SKU = "box-015"
PINCH_N = 8.0

Eye = tuple[float, float, float]
VIEWS: dict[Kind, tuple[Eye, Eye, float]] = {
    Kind.TARGET_SHIFT: ((0.98, -0.42, 0.72), (0.50, 0.0, 0.06), 36.0),
    Kind.NEIGHBOUR_SHIFT: ((0.98, -0.42, 0.72), (0.50, 0.0, 0.06), 36.0),
    Kind.INTRUDER: ((1.75, 1.15, 1.25), (0.36, 0.20, 0.30), 40.0),
    Kind.SLIP_IN_HAND: ((0.95, 0.45, 0.75), (0.48, 0.0, 0.44), 30.0),
    Kind.VACUUM_LEAK: ((1.05, 0.50, 0.70), (0.48, 0.0, 0.36), 36.0),
}
"""Eye, target and horizontal field of view (degrees) of what no camera of the cell would show best."""

SHOWN: dict[Kind, tuple[int, float]] = {
    Kind.TARGET_SHIFT: (0, 1.2),
    Kind.NEIGHBOUR_SHIFT: (13, 1.2),
    Kind.INTRUDER: (1, 2.0),
    Kind.SLIP_IN_HAND: (8, 0.35),
    Kind.VACUUM_LEAK: (10, 0.2),
    Kind.CAMERA_KNOCKED: (4, 0.2),
    Kind.LIGHTS_DIMMED: (3, 0.2),
    Kind.LENS_BLURRED: (1, 0.2),
}
"""Seed, and seconds after the strike at which the second picture is taken."""


def look(driver: SimDriver, kind: Kind, camera: str) -> Picture:
    """(HEIGHT, WIDTH, 3) RGB: of the camera it is about, or from a good place."""
    if kind in VIEWS:
        eye, target, fov_deg = VIEWS[kind]
        model = CameraModel.from_fov("picture", SUPERSAMPLING * WIDTH, SUPERSAMPLING * HEIGHT, float(np.deg2rad(fov_deg)))
        view = driver.world.visuals.render(model, look_at(eye, target))
        image = np.where(np.isfinite(view.depth_m)[..., None], view.color, np.uint8(255))
    else:
        frame = driver.capture(camera)
        assert frame is not None
        image = frame.color
    return np.asarray(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def tote_cell(cell: CellConfig) -> SimDriver:
    """The demo's tote."""
    driver = SimDriver.create(cell, FILL_SEED)
    contents = load_tote(REPOSITORY / "config" / "totes" / "demo.yaml")
    fill_tote(driver.world, contents.skus, contents.seed)
    return driver


def held_cell(cell: CellConfig, *, cup: bool) -> SimDriver:
    """A box between the pads, or on the cup, held there by nothing else: its pedestal has been taken away."""
    driver = SimDriver.create(cell, FILL_SEED)
    sku = SUCKED_SKU if cup else PINCHED_SKU
    client, half = driver.world.client, 0.5 * item_spec(sku).size_m[2]
    driver.step(24)
    if cup:  # a little overtravel of the slide presses the lip on
        place = driver.world.X_world_link("tcp_suction")[:3, 3] - [0.0, 0.0, cell.hand.cup_stroke_m - 0.005 + half]
    else:
        place = driver.world.X_world_link("tcp_pinch")[:3, 3]
    top = float(place[2]) - half
    shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.03, 0.03, 0.5 * top], physicsClientId=client)
    pedestal = p.createMultiBody(0.0, shape, -1, [*place[:2], 0.5 * top], physicsClientId=client)
    spawn_item(driver.world, sku, make_pose(tuple(place)))
    if cup:
        driver.set_vacuum(True)
    else:
        SimPorts(driver).set_jaw(0.0, PINCH_N)
    driver.advance(0.6)
    p.removeBody(pedestal, physicsClientId=client)
    driver.advance(0.3)
    return driver


def before_and_after(cell: CellConfig, kind: Kind) -> tuple[Picture, Picture, list[LogEntry], Perturbation]:
    """One perturbation of a kind, drawn from the project's ranges, in a cell that suits it."""
    seed, after_s = SHOWN[kind]
    (perturbation,) = draw_script(kind, seed).perturbations
    hold = kind in (Kind.SLIP_IN_HAND, Kind.VACUUM_LEAK)
    driver = held_cell(cell, cup=kind is Kind.VACUUM_LEAK) if hold else tote_cell(cell)
    with closing(driver), Perturbations(driver, PerturbationScript((perturbation,))) as perturbations:
        camera = _camera_struck(cell, perturbation) if kind not in VIEWS else ""
        before = look(driver, kind, camera)
        perturbations.on_stage(perturbation.stage, None if hold else TARGET_SKU)
        driver.advance(perturbation.delay_s + after_s)
        return before, look(driver, kind, camera), list(perturbations.log), perturbation


def _camera_struck(cell: CellConfig, perturbation: Perturbation) -> str:
    """The camera that the perturbation is about to strike, the first one when it is about all."""
    if perturbation.kind is Kind.LIGHTS_DIMMED:
        return cell.cameras[0].name
    return str(perturbation.rng().choice([camera.name for camera in cell.cameras]))


def caption(kind: Kind, perturbation: Perturbation) -> str:
    """Kind and what was scripted, in a line."""
    m = perturbation.magnitude
    match kind:
        case Kind.TARGET_SHIFT | Kind.NEIGHBOUR_SHIFT:
            said = f"{100 * m['distance_m']:.1f} cm, {m['turn_deg']:.0f} deg"
        case Kind.INTRUDER:
            said = f"{perturbation.variant}, {m['speed_mps']:.1f} m/s, stays {m['stay_s']:.1f} s"
        case Kind.SLIP_IN_HAND:
            slick = f"friction x {m['friction_factor']:.2f}"
            said = f"{m['impulse_ns']:.1f} Ns tug" if perturbation.variant == "tug" else slick
        case Kind.VACUUM_LEAK:
            said = f"leak x {m['leak_factor']:.0f}"
        case Kind.CAMERA_KNOCKED:
            said = f"{100 * m['offset_m']:.1f} cm, {m['turn_deg']:.1f} deg"
        case Kind.LIGHTS_DIMMED:
            said = f"brightness x {m['brightness']:.2f}"
        case Kind.LENS_BLURRED:
            said = f"{m['sigma_px']:.1f} px"
    return f"{kind.value}: {said}"


def pair(cell: CellConfig, kind: Kind, say: Callable[[str], None]) -> Picture:
    """Both pictures side by side under a caption."""
    before, after, log, perturbation = before_and_after(cell, kind)
    for entry in log:
        say(f"{entry.time_s:7.3f} {entry.kind} {entry.what} {entry.sku or entry.camera} {entry.note} {entry.magnitude}")
    bar = np.full((BAR, 2 * WIDTH + 4, 3), 255, np.uint8)
    cv2.putText(bar, caption(kind, perturbation), (6, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.62, (30, 30, 30), 1, cv2.LINE_AA)
    gap = np.full((HEIGHT, 4, 3), 255, np.uint8)
    return np.vstack([bar, np.hstack([before, gap, after])])


def main(
    out: Annotated[Path, typer.Option(help="File to write.")] = REPOSITORY / "docs" / "images" / "perturbations.jpg",
    cell: Annotated[Path, typer.Option(help="Cell file.")] = REPOSITORY / "config" / "cells" / "panda.yaml",
) -> None:
    """Draw all kinds, before and after."""
    loaded = load_cell(cell)
    pairs = [pair(loaded, kind, typer.echo) for kind in Kind]
    gap = np.full((pairs[0].shape[0], 16, 3), 255, np.uint8)
    rows = [np.hstack([pairs[i], gap, pairs[i + 1]]) for i in range(0, len(pairs), 2)]
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), np.vstack(rows)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    typer.echo(f"Written: {out}")


if __name__ == "__main__":
    typer.run(main)
