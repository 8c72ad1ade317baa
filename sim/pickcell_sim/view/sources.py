"""Where the scenes that are shown come from: files made by ``./cell data``, or a tote that is filled for it.

True shapes are drawn for people only, as a layer of its own; perception gets the frames and the manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pickcell.catalogue import Catalogue, load_catalogue
from pickcell.cell import CellConfig
from pickcell.description import expand_urdf
from pickcell.segmentation.overlay import instance_color
from pickcell.view.draw import draw
from pickcell.view.layers import item_points
from pickcell.view.look import Onlooker
from pickcell.view.marks import Drawing, Layer
from pickcell.view.page import DrawError
from pickcell_sim.bench.suites import Suite, SuiteError, load_suite
from pickcell_sim.data.generate import capture, fill_world
from pickcell_sim.data.scene_file import ItemTruth, LabelledScene, SceneFileError, read_scene, scene_files
from pickcell_sim.vision.cameras import SimCameras
from pickcell_sim.world import SimWorld

PROCESSED_AFTER_S = 0.05
"""From capture to the look."""


class Source(Protocol):
    """Scenes by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all scenes, at least one."""

    def draw(self, name: str) -> Drawing:
        """Look at one of them. Raises DrawError."""


class SceneFolder:
    """The scenes of a folder."""

    def __init__(self, folder: Path, perception: str) -> None:
        """Raises SceneFileError when there are none, ValueError for an unknown perception."""
        self._files = {path.name.removesuffix(".scene.npz"): path for path in scene_files(folder)}
        self._eyes = Eyes(perception)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._files)

    def draw(self, name: str) -> Drawing:
        """Read a scene and look at it. Raises DrawError when the file is damaged or its suite unknown, ModelError."""
        try:
            scene = read_scene(self._files[name])
            cell = load_suite(scene.suite).load_cell()
        except (SceneFileError, SuiteError) as problem:
            raise DrawError(str(problem)) from None
        return self._eyes.draw(cell, scene)


class SimTote:
    """One tote, filled by a suite's recipe and photographed by noisy cameras."""

    def __init__(self, suite: Suite, seed: int, cell: CellConfig, perception: str) -> None:
        """Fills it: seconds. Raises FillError when nothing drawn stays in it, ModelError, ValueError for an unknown
        perception."""
        self._eyes, self._cell = Eyes(perception), cell
        self._eyes.open(cell)  # a missing network is noticed before the tote is filled
        name = f"{suite.name}-{suite.split}-{seed:06d}"
        with SimWorld(cell, seed) as world:
            fill_world(world, suite, seed)
            self._scene = capture(world, cell, SimCameras(world, cell, seed), name)

    @property
    def names(self) -> tuple[str, ...]:
        return (self._scene.name,)

    def draw(self, name: str) -> Drawing:
        """Look at it. Raises ModelError."""
        return self._eyes.draw(self._cell, self._scene)


class Eyes:
    """Looks at labelled scenes of any cell."""

    def __init__(self, perception: str) -> None:
        """``perception``: ``geometric`` or ``learned``."""
        self._perception = perception
        self._catalogue: Catalogue = load_catalogue()
        self._onlookers: dict[str, Onlooker] = {}

    def open(self, cell: CellConfig) -> None:
        """Load what is needed for a cell, unless it is loaded. Raises ValueError, ModelError."""
        if cell.name not in self._onlookers:
            self._onlookers[cell.name] = Onlooker(cell, expand_urdf(cell), self._catalogue, self._perception)

    def draw(self, cell: CellConfig, scene: LabelledScene) -> Drawing:
        """What the cell makes of the frames, and the true shapes. Raises ValueError, ModelError."""
        self.open(cell)
        look = self._onlookers[cell.name].look(scene.frames, scene.joints, scene.manifest, scene.stamp_s + PROCESSED_AFTER_S)
        return draw(cell, look, self._catalogue, (truth_layer(scene.items),))


def truth_layer(items: tuple[ItemTruth, ...]) -> Layer:
    """The true surface of every item, also of those that no camera sees."""
    marks = tuple(
        item_points(f"{item.number:03d}", item.points, item.normals, instance_color(item.number)) for item in items
    )
    return Layer("truth", "True shapes", marks, shown=False, hint="What really lies there; the cell is not told")
