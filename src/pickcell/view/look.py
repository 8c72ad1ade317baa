"""One look at the cell with all that a person may want to see of it, also what later stages do not need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pickcell.cell import CellConfig
from pickcell.identity import ColorGallery
from pickcell.outcome import Outcome
from pickcell.perception import PerceptionPipeline
from pickcell.segmentation.choose import GEOMETRIC, make_segmenter
from pickcell.values import CameraHealth, JointState, PointCloud, RgbdFrame, Scene, Sku


@dataclass(frozen=True)
class Look:
    """What went in and what came out."""

    frames: tuple[RgbdFrame, ...]
    """As the cameras delivered them, poses as calibrated."""
    outcome: Outcome[Scene]
    surface: PointCloud
    """All that was fused, floor and walls of the source tote included; empty when fusion failed."""
    cameras: tuple[CameraHealth, ...]
    """Of all cameras of the cell, also when the look failed."""


class Onlooker:
    """Runs perception for a person's eyes. Not thread-safe: one call at a time."""

    def __init__(self, cell: CellConfig, urdf: str, catalogue: Mapping[str, Sku], perception: str = GEOMETRIC) -> None:
        """``urdf``: the robot's description, empty for none; ``catalogue``: SKU -> product; ``perception``: segmenter and
        completer by name (``geometric``, ``learned``).

        Raises ValueError for another name, ModelError when a network is missing or unusable."""
        self.cell = cell
        self._urdf, self._catalogue, self._perception = urdf, catalogue, perception
        self._segmenter = make_segmenter(perception, cell, ColorGallery(catalogue))

    def look(self, frames: Sequence[RgbdFrame], joints: JointState, manifest: Mapping[str, int], now_s: float) -> Look:
        """Arguments and exceptions are those of :meth:`PerceptionPipeline.observe`."""
        # A pipeline of its own for each look: fusion remembers how the cameras stood at the last one, and scenes that were
        # made with other calibration errors would pass for knocked cameras.
        pipeline = PerceptionPipeline(
            self.cell, self._urdf, self._catalogue, segmenter=self._segmenter, completion=self._perception
        )
        outcome = pipeline.observe(list(frames), joints, manifest, now_s)
        return Look(tuple(frames), outcome, pipeline.surface, pipeline.cameras)
