"""Labelled scenes as the stages see them: depth prepared, the robot left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.description import expand_urdf
from pickcell.fusion import FusedScene, Fusion, FusionConfig
from pickcell.fusion.depth import prepare_depth
from pickcell.fusion.frames import project
from pickcell.fusion.tsdf import DepthView
from pickcell.geometry import Pose
from pickcell.motion import RobotModel
from pickcell.outcome import Outcome
from pickcell.values import CameraModel
from pickcell_sim.bench.suites import load_suite
from pickcell_sim.data.scene_file import LabelledScene, read_scene


class SceneViews:
    """Prepares the scenes of one cell. Varied scenes have cameras of their own; totes and robot are the cell's."""

    def __init__(self, cell: CellConfig, config: FusionConfig | None = None) -> None:
        self.cell = cell
        self._config = config or FusionConfig()
        self._fusion = Fusion(cell, self._config)
        self._robot = RobotModel(expand_urdf(cell), cell.arm.joints, cell.hand.jaw_joints, cell.hand.cup_joint)

    @staticmethod
    def of(scene: LabelledScene) -> SceneViews:
        """The one for the cell that a scene was made in."""
        return _of_suite(scene.suite)

    def depth_views(self, scene: LabelledScene) -> list[DepthView]:
        """One per frame, where the calibration has the camera."""
        spheres = self.spheres(scene)
        return [
            DepthView(frame.camera, frame.X_base_camera, *prepare_depth(frame, self._config, spheres))
            for frame in scene.frames
        ]

    def fuse(self, scene: LabelledScene) -> Outcome[FusedScene]:
        """The fused scene."""
        return self._fusion.fuse(scene.frames, self.spheres(scene), scene.stamp_s + 0.05)[0]

    def spheres(self, scene: LabelledScene) -> NDArray[np.float64]:
        """(N, 4) x, y, z, radius in ``base_link`` of the robot."""
        return self._robot.spheres(scene.joints.select(self.cell.arm.joints))


def fused_scenes(files: Iterable[Path]) -> Iterator[tuple[LabelledScene, SceneViews, FusedScene]]:
    """The scenes of which the cameras can be fused, one after the other. Raises SceneFileError for a file that is none."""
    for path in files:
        scene = read_scene(path)
        views = SceneViews.of(scene)
        fused = views.fuse(scene).value
        if fused is not None:
            yield scene, views, fused


def items_under(
    points: NDArray[np.float64],
    camera: CameraModel,
    X_base_camera: Pose,
    depth_m: NDArray[np.float32],
    item_pixels: NDArray[np.uint8],
    within_m: float,
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Rows of the points (N, 3) in ``base_link`` that a camera sees, its depth there agreeing to ``within_m``, and the item
    number under each."""
    u, v, z = project(camera, X_base_camera, points)
    column, row = np.nan_to_num(np.round(u), nan=-1).astype(int), np.nan_to_num(np.round(v), nan=-1).astype(int)
    height, width = depth_m.shape
    index = np.flatnonzero((z > 0.05) & (column >= 0) & (column < width) & (row >= 0) & (row < height))
    depth = depth_m[row[index], column[index]]
    index = index[(depth > 0) & (np.abs(depth - z[index]) < within_m)]
    return index, item_pixels[row[index], column[index]]


@cache
def _of_suite(suite: str) -> SceneViews:
    return SceneViews(load_suite(suite).load_cell())
