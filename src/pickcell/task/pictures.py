"""Pictures of a pick for its report: what the cameras saw, the instances found, the grasp chosen."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.cell import HandConfig
from pickcell.grasping.draw import draw_decision
from pickcell.segmentation.overlay import draw_overlay
from pickcell.task.record import PickReport
from pickcell.task.shape_picture import draw_shapes
from pickcell.values import GraspCandidate, GraspDecision, Scene

log = logging.getLogger(__name__)

JPEG_QUALITY = 80
DRAWN_CANDIDATES = 12
DECISION_VIEWS = 2


class PickPictures:
    """Writes pictures into a job's directory and lists them in its report; does nothing without a directory."""

    def __init__(self, directory: Path | None, report: PickReport, hand: HandConfig) -> None:
        self._hand = hand
        self._directory = directory
        self._report = report

    def scene(self, moment: str, scene: Scene) -> None:
        """Each view with its instances outlined and named; what was measured beside the full shapes that are believed."""
        if self._directory is None:
            return
        for view in scene.views:
            self._save(moment, view.camera.name, draw_overlay(view, scene))
        if scene.views and scene.instances:
            self._save(moment, "shapes", draw_shapes(scene))

    def decision(self, scene: Scene, decision: GraspDecision, ranked: tuple[GraspCandidate, ...], chosen: int) -> None:
        """Each view with its instances; the views that see the target best also with the chosen grasp and its rivals."""
        self.scene("before", scene)
        if self._directory is None:
            return
        target = ranked[chosen].instance_id
        best = sorted(scene.views, key=lambda view: -np.count_nonzero(view.labels == target))[:DECISION_VIEWS]
        for view in best:
            image = draw_decision(view, ranked[:DRAWN_CANDIDATES], self._hand, decision.rejected, chosen, target)
            self._save("grasp", view.camera.name, image)

    def _save(self, moment: str, what: str, image: NDArray[np.uint8]) -> None:
        assert self._directory is not None
        name = f"{max(1, self._report.attempts)}_{moment.replace(' ', '_')}_{what}.jpg"
        encoded, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / name).write_bytes(data.tobytes() if encoded else b"")
        except OSError as error:  # a picture is not worth a pick
            log.warning("picture %s not written: %s", name, error)
            return
        self._report.images[f"attempt {max(1, self._report.attempts)}, {moment}, {what}"] = name
