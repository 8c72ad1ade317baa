"""Filled totes, photographed: drawn from a benchmark suite's recipe, captured at several stages of being emptied.

A *varied* scene is made for training: cameras a little elsewhere, another lamp, the arm somewhere over the totes, and items
taken out from the top between captures. A *plain* one is what the cell sees before its first pick.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pybullet as p

from pickcell.cell import CameraConfig, CellConfig
from pickcell.geometry import inverse, transform_points, transform_vectors
from pickcell.values import JointState
from pickcell_sim.bench.suites import Fill, Suite, draw_tote
from pickcell_sim.data.scene_file import ItemTruth, LabelledScene, scene_path, write_scene
from pickcell_sim.filling.fill import FillError, fill_packed, fill_pile, fill_tote
from pickcell_sim.items.spawn import item_pose
from pickcell_sim.oracle.shapes import item_surface
from pickcell_sim.vision.cameras import SimCameras, truth_body_ids
from pickcell_sim.vision.rendering import Lighting
from pickcell_sim.world import SimWorld

REDRAWS = 8
SETTLE_STEPS = 120
FILLS = {Fill.DUMPED: fill_tote, Fill.PACKED: fill_packed, Fill.PILE: fill_pile}


@dataclass(frozen=True)
class Variety:
    """How much varied scenes differ from plain ones."""

    stages: int = 4
    """Captures per fill; between two of them items are taken out."""
    taken_share: float = 0.3
    """Of the items that are left, before each further capture."""
    camera_shift_m: float = 0.05
    """Standard deviation of where a camera stands, per axis."""
    camera_turn_m: float = 0.03
    """... and of the point it looks at."""
    lamp_tilt: float = 0.35
    """Standard deviation of the lamp's horizontal direction, per axis, against 1 upwards."""
    arm_rad: float = 0.35
    """Standard deviation of each joint from home, from the second capture on."""
    hand_above_m: float = 0.32
    """The hand stays so far above the table."""


@dataclass(frozen=True)
class SceneJob:
    """The scenes of one fill."""

    suite: Suite
    """Its split decides the items."""
    seed: int
    variety: Variety | None = None
    """None: one plain scene."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scenes this job makes."""
        stem = f"{self.suite.name}-{self.suite.split}-{self.seed:06d}"
        return tuple(f"{stem}-{k}" for k in range(self.variety.stages)) if self.variety else (stem,)

    def is_done(self, folder: Path) -> bool:
        """All its scenes are in the folder."""
        return all(scene_path(folder, name).exists() for name in self.names)

    def run(self, folder: Path) -> list[Path]:
        """Make its scenes. Raises FillError when nothing drawn will stay in the tote, OSError when the disk is full."""
        return [write_scene(folder, scene) for scene in self._scenes()]

    def _scenes(self) -> Iterator[LabelledScene]:
        rng = np.random.default_rng([self.seed, 401])
        plain = self.suite.load_cell()
        cell = _moved_cameras(plain, self.variety, rng) if self.variety else plain
        with SimWorld(cell, self.seed) as world:
            fill_world(world, self.suite, self.seed)
            for stage, name in enumerate(self.names):
                if stage and self.variety and take_from_the_top(world, self.variety.taken_share, rng):
                    world.step(SETTLE_STEPS)
                yield self._capture(world, cell, name, stage, rng)

    def _capture(self, world: SimWorld, cell: CellConfig, name: str, stage: int, rng: np.random.Generator) -> LabelledScene:
        home = dict(zip(cell.arm.joints, cell.arm.home))
        lighting = None
        if self.variety:
            tilt = rng.normal(0.0, self.variety.lamp_tilt, 2)
            lighting = Lighting(direction=(float(tilt[0]), float(tilt[1]), 1.0))
            if stage:
                stand(world, _away_from_home(world, home, self.variety, rng))
        cameras = SimCameras(world, cell, int(rng.integers(2**31)) if self.variety else self.seed, lighting=lighting)
        scene = capture(world, cell, cameras, name)
        stand(world, home)
        return scene


def fill_world(world: SimWorld, suite: Suite, seed: int) -> None:
    """Fill the source tote by a suite's recipe. Raises FillError when nothing drawn will stay in it."""
    for redraw in range(REDRAWS):
        contents = draw_tote(suite, seed, redraw=redraw).contents
        try:
            FILLS[suite.fill](world, contents.skus, seed)
            return
        except FillError:
            for number in list(world.item_bodies):
                world.remove_body(number)
    raise FillError(f"suite {suite.name}, seed {seed}: {REDRAWS} draws did not fit into the tote")


def capture(world: SimWorld, cell: CellConfig, cameras: SimCameras, name: str) -> LabelledScene:
    """What the cameras deliver now, and the truth about it."""
    frames = [frame for frame in map(cameras.capture, cameras.names) if frame is not None]
    pixels = {each: _numbers(truth_body_ids(cameras, each), world) for each in cameras.names}
    manifest: dict[str, int] = {}
    for item in world.item_bodies.values():
        manifest[item.name] = manifest.get(item.name, 0) + 1
    return LabelledScene(name, frames, _joints(world), manifest, pixels, _truth(world, cell))


def _moved_cameras(cell: CellConfig, variety: Variety, rng: np.random.Generator) -> CellConfig:
    """The cell with its fixed cameras elsewhere."""

    def moved(camera: CameraConfig) -> CameraConfig:
        if camera.parent != "world":
            return camera
        eye = np.array(camera.eye) + rng.normal(0.0, variety.camera_shift_m, 3)
        target = np.array(camera.target) + rng.normal(0.0, variety.camera_turn_m, 3)
        return camera.model_copy(
            update={"eye": tuple(map(float, eye)), "target": tuple(map(float, target)), "calibrated": None}
        )

    return cell.model_copy(update={"cameras": tuple(moved(camera) for camera in cell.cameras)})


def take_from_the_top(
    world: SimWorld, share: float, rng: np.random.Generator, least_left: int = 1, spread_m: float = 0.01
) -> bool:
    """Take out the items that lie highest, more or less (by ``spread_m``); what is left has yet to settle. False, and
    nothing taken, when fewer than ``least_left`` would be left."""
    items = list(world.item_bodies.values())
    taken = max(1, round(share * len(items)))
    if len(items) - taken < least_left:
        return False
    heights = np.array([item_pose(world, item)[2, 3] for item in items]) + rng.normal(0.0, spread_m, len(items))
    for i in np.argsort(-heights)[:taken]:
        world.remove_body(items[int(i)].item_id)
    return True


def _away_from_home(world: SimWorld, home: dict[str, float], variety: Variety, rng: np.random.Generator) -> dict[str, float]:
    """A posture of the arm with its hand well above the totes; home when none is found."""
    for _ in range(20):
        posture = {
            name: float(np.clip(q + rng.normal(0.0, variety.arm_rad), world.robot.lower[name], world.robot.upper[name]))
            for name, q in home.items()
        }
        stand(world, posture)
        if world.X_world_link("tcp_pinch")[2, 3] > variety.hand_above_m:
            return posture
    return home


def stand(world: SimWorld, posture: dict[str, float]) -> None:
    """Put the arm there: for pictures only, no physics runs meanwhile."""
    for name, q in posture.items():
        p.resetJointState(world.robot.body, world.robot.joints[name], q, physicsClientId=world.client)


def _joints(world: SimWorld) -> JointState:
    names = tuple(world.robot.joints)
    positions = world.robot.positions(names)
    zero = np.zeros(len(names))
    return JointState(world.time_s, names, positions, zero, zero)


def _numbers(bodies: np.ndarray, world: SimWorld) -> np.ndarray:
    """(H, W) item number under each pixel, 0 where there is none."""
    owners = {body: item.item_id for item in world.item_bodies.values() for body in item.bodies}
    lookup = np.zeros(max(int(bodies.max(initial=0)), *owners, 0) + 2, np.uint8)
    lookup[list(owners)] = list(owners.values())
    return lookup[bodies]  # -1 (nothing) reads the last entry, which is 0


def _truth(world: SimWorld, cell: CellConfig) -> tuple[ItemTruth, ...]:
    X = inverse(cell.X_world_base)
    out = []
    for item in world.item_bodies.values():
        surface = item_surface(world.client, item)
        planes = []
        for each in surface.planes:
            normals = transform_vectors(X, each[:, :3])
            planes.append(np.column_stack([normals, each[:, 3] + normals @ X[:3, 3]]))
        points = transform_points(X, surface.points).astype(np.float32)
        normals = transform_vectors(X, surface.normals).astype(np.float32)
        out.append(ItemTruth(item.item_id, item.name, tuple(planes), points, normals))
    return tuple(out)


class Job(Protocol):
    """Something that makes scenes."""

    def run(self, folder: Path) -> list[Path]:
        """Make them."""


def make_scenes(job: Job, folder: Path) -> list[Path]:
    """Make a job's scenes; a function that can be sent to another process."""
    return job.run(folder)
