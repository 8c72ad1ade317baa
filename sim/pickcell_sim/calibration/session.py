"""A calibration session in the simulated cell: the board is laid down, the arm stops here and there, cameras take pictures.

What comes out is what a person with a real cell would have: pictures with noise, joint positions with the encoders' noise,
and where the board was meant to be put. Where cameras and board truly are stays here, for the score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.calibration.board import Board
from pickcell.calibration.page import page_size_m
from pickcell.calibration.reprojection import moved
from pickcell.calibration.views import PLACES
from pickcell.cell import CellConfig
from pickcell.description import expand_urdf
from pickcell.geometry import Pose
from pickcell.motion.model import RobotModel
from pickcell.values import RgbdFrame
from pickcell_sim.calibration.plate import add_plate
from pickcell_sim.calibration.stops import stops
from pickcell_sim.data.generate import stand
from pickcell_sim.driver import ENCODER_NOISE_RAD
from pickcell_sim.vision.cameras import ExtrinsicError, SimCameras, truth_parent_camera
from pickcell_sim.world import SimWorld

UNCALIBRATED = ExtrinsicError(0.004, float(np.deg2rad(0.6)))
"""A new cell, or one that was knocked: 7 mm and 1 degree in the mean, all axes together."""
SLIP = 0.5
"""How far from where it should the board comes to lie, as a share of what the routine allows for (standard deviations)."""
STOPS = 12
"""At each place of the board."""
FIXED_PICTURES = 3
"""Of each fixed camera at each place: their noise evens out."""
ASIDE_RAD = -1.3
"""By how much the arm's first joint is turned from home while fixed cameras take pictures."""


@dataclass(frozen=True)
class Shot:
    """One picture."""

    frame: RgbdFrame
    joints: NDArray[np.float64] | None
    """(n,) of the arm as measured, for a camera on the wrist."""
    place: str


class Session:
    """Use it as a context manager."""

    def __init__(self, cell: CellConfig, board: Board, seed: int, *, error: ExtrinsicError | None = None) -> None:
        """``error``: how far off the extrinsics are. Raises ValueError when the board does not fit into the tote."""
        self.cell, self.board, self.seed = cell, board, seed
        self.robot = RobotModel(expand_urdf(cell, meshes=False), cell.arm.joints)
        self.meant = {name: place(cell, page_size_m(board)) for name, place in PLACES.items()}
        """Where a person means to put the board, and how well that works out."""
        self._rng = np.random.default_rng([seed, 502])
        self._world = SimWorld(cell, seed)
        self._cameras = SimCameras(self._world, cell, seed, extrinsic_error=error or UNCALIBRATED)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._world.close()

    def shots(self, count: int = STOPS, places: Sequence[str] = tuple(PLACES)) -> Iterator[Shot]:
        """Put the board at each place in turn, and photograph it from ``count`` stops of the arm there."""
        for name in places:
            place = self.meant[name]
            slip = moved(place.X_base_board, SLIP * self._rng.normal(0.0, np.sqrt(np.diag(place.covariance))))
            plate = add_plate(self._world, self.board, self.cell.X_world_base @ slip)
            fixed = [config.name for config in self.cell.fixed_cameras]
            yield from self._pictures(name, self._aside, fixed * FIXED_PICTURES)
            wrist = [config.name for config in self.cell.cameras if config.parent != "world"]
            for q in stops(self.cell, self.robot, place.X_base_board, count, self.seed):
                yield from self._pictures(name, q, wrist)
            self._world.visuals.forget(plate)
            p.removeBody(plate, physicsClientId=self._world.client)

    @property
    def _aside(self) -> NDArray[np.float64]:
        """The arm swung away from the tote: neither it nor its shadow is on the board."""
        q = np.array(self.cell.arm.home)
        q[0] += ASIDE_RAD
        return q

    def _pictures(self, place: str, q: NDArray[np.float64], cameras: Sequence[str]) -> Iterator[Shot]:
        """Pictures of some cameras with the arm at ``q``."""
        stand(self._world, dict(zip(self.cell.arm.joints, map(float, q))))
        measured = self._world.robot.positions(self.cell.arm.joints)
        measured = measured + self._rng.normal(0.0, ENCODER_NOISE_RAD, len(measured))
        for name in cameras:
            frame = self._cameras.capture(name)
            if frame is not None:
                yield Shot(frame, None if self.cell.camera(name).parent == "world" else measured, place)

    def true_parent_camera(self, camera: str) -> Pose:
        """Ground truth, for the score: not for whoever calibrates."""
        return truth_parent_camera(self._cameras, camera)
