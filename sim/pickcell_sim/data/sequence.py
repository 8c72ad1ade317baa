"""Filled totes in motion, photographed at camera rate: an item is shoved, or the arm crosses the view.

What tracking is measured on. Each frame is a scene file of its own; the first shows the tote at rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from pickcell_sim.bench.suites import Suite
from pickcell_sim.data.generate import capture, fill_world, stand
from pickcell_sim.data.scene_file import LabelledScene, scene_path, write_scene
from pickcell_sim.items.spawn import item_pose
from pickcell_sim.perturbations.guided import follow_law, item_mass, motion_of, push_item, smooth_step
from pickcell_sim.perturbations.shove import free_direction
from pickcell_sim.vision.cameras import SimCameras
from pickcell_sim.world import ItemBody, SimWorld

FRAME_S = 0.1
SHOVE_M = 0.05
SHOVE_S = 0.6
COAST_S = 0.4
FINGER_N = 25.0
"""A finger pushes no harder."""
CROSSING_FRAMES = 12
HAND_LOW_M, HAND_HIGH_M = 0.22, 0.42
"""Height of the hand above the table while the arm crosses."""


class Movement(Enum):
    """What happens in a sequence."""

    SHOVE = "shove"
    CROSSING = "crossing"


@dataclass(frozen=True)
class SequenceJob:
    """The frames of one movement in one fill."""

    suite: Suite
    seed: int
    movement: Movement

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its frames, in order."""
        stem = f"{self.suite.name}-{self.suite.split}-{self.seed:06d}-{self.movement.value}"
        moving = CROSSING_FRAMES if self.movement is Movement.CROSSING else round((SHOVE_S + COAST_S) / FRAME_S)
        return tuple(f"{stem}-{k:02d}" for k in range(1 + moving))

    def is_done(self, folder: Path) -> bool:
        """All its frames are in the folder."""
        return all(scene_path(folder, name).exists() for name in self.names)

    def run(self, folder: Path) -> list[Path]:
        """Make its frames. Raises FillError when nothing drawn will stay in the tote, OSError when the disk is full."""
        return [write_scene(folder, scene) for scene in self._frames()]

    def _frames(self) -> Iterator[LabelledScene]:
        rng = np.random.default_rng([self.seed, 402])
        cell = self.suite.load_cell()
        with SimWorld(cell, self.seed) as world:
            fill_world(world, self.suite, self.seed)
            cameras = SimCameras(world, cell, self.seed)
            names = iter(self.names)
            yield capture(world, cell, cameras, next(names))
            moving = _shove(world, rng) if self.movement is Movement.SHOVE else _cross(world, rng)
            for _ in moving:
                yield capture(world, cell, cameras, next(names))


def _shove(world: SimWorld, rng: np.random.Generator) -> Iterator[None]:
    """Push one of the items that lie highest by 5 cm, as far as a finger can; a stop for each frame."""
    items = sorted(world.item_bodies.values(), key=lambda item: -item_pose(world, item)[2, 3])
    item = items[int(rng.integers(max(1, len(items) // 3)))]
    direction = free_direction(world, item, SHOVE_M, float(rng.uniform(0.0, 2.0 * np.pi)))
    start, mass = motion_of(world, item.body).position, item_mass(world, item.body)
    steps = round(FRAME_S / world.step_s)
    for frame in range(round((SHOVE_S + COAST_S) / FRAME_S)):
        for k in range(steps):
            spent = (frame * steps + k) * world.step_s
            if spent < SHOVE_S:
                _push(world, item, direction, start, mass, spent)
            world.step()
        yield


def _push(world: SimWorld, item: ItemBody, direction: np.ndarray, start: np.ndarray, mass: float, spent_s: float) -> None:
    share, rate = smooth_step(spent_s / SHOVE_S)
    now = motion_of(world, item.body)
    lag = share * SHOVE_M - float((now.position - start) @ direction)
    slow = rate / SHOVE_S * SHOVE_M - float(now.velocity @ direction)
    weight = 0.6 * 9.81 * mass  # what rubs below it
    force = float(np.clip(follow_law(mass, lag, slow) + weight * (lag > 0), 0.0, FINGER_N))
    push_item(world, item.body, force * direction, np.zeros(3))


def _cross(world: SimWorld, rng: np.random.Generator) -> Iterator[None]:
    """The arm goes from home across the source tote and back; a stop for each frame."""
    arm = world.cell.arm
    home = dict(zip(arm.joints, arm.home))
    corners = [home, _above_tote(world, home, rng), _above_tote(world, home, rng), home]
    for share in np.linspace(0.0, len(corners) - 1, CROSSING_FRAMES):
        k = min(int(share), len(corners) - 2)
        part = share - k
        stand(world, {j: (1.0 - part) * corners[k][j] + part * corners[k + 1][j] for j in home})
        yield
    stand(world, home)


def _above_tote(world: SimWorld, home: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
    """A posture with the hand over the source tote; home when none is found."""
    X_tote_world = np.linalg.inv(world.cell.totes["source"].X_world_tote)
    half = 0.5 * np.asarray(world.cell.totes["source"].inner[:2])
    for _ in range(600):
        posture = {
            name: float(np.clip(q + rng.normal(0.0, 0.5), world.robot.lower[name], world.robot.upper[name]))
            for name, q in home.items()
        }
        stand(world, posture)
        hand = world.X_world_link("tcp_pinch")[:3, 3]
        inside = np.abs((X_tote_world @ np.append(hand, 1.0))[:2]) < half
        if inside.all() and HAND_LOW_M < hand[2] < HAND_HIGH_M:
            return posture
    return home
