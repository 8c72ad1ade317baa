"""The cameras see worse: one is knocked off its calibration, one is out of focus, or the room goes dark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pickcell.geometry import Pose
from pickcell_sim.perturbations.act import Missed, Struck, Timed
from pickcell_sim.vision.faults import CameraFault

NO_CAMERAS = "this world has no cameras"


@dataclass
class _OneCamera(Timed):
    """An act on one camera that does not have the fault yet."""

    camera: str = ""

    def _choose(self, fault: CameraFault) -> Missed | None:
        """Which camera: the seed decides. Missed when there is none to choose."""
        cameras = self.scene.driver.cameras
        if cameras is None:
            return Missed(NO_CAMERAS)
        well = [name for name in cameras.names if fault not in cameras.faults(name)]
        if not well:
            return Missed(f"all cameras are {fault.value} already")
        self.camera = str(self.perturbation.rng().choice(well))
        self.began_s = self.scene.driver.now_s
        return None

    def _end(self, fault: CameraFault) -> None:
        if self.scene.driver.cameras is not None:
            self.scene.driver.cameras.set_fault(self.camera, fault, False)


class KnockedCamera(_OneCamera):
    """``camera_knocked``: remains until the perturbations are closed, as until a person has set the camera right."""

    def begin(self) -> Struck | Missed:
        missed = self._choose(CameraFault.KNOCKED)
        if missed is not None:
            return missed
        assert self.scene.driver.cameras is not None
        self.scene.driver.cameras.knock(self.camera, self.offset())
        return Struck(camera=self.camera)

    def offset(self) -> Pose:
        """(4, 4) new pose in the camera's old frame: both lengths as scripted, both directions from the seed."""
        rng = self.perturbation.rng()
        way, axis = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        m = self.perturbation.magnitude
        X = np.eye(4)
        X[:3, :3] = Rotation.from_rotvec(np.deg2rad(m["turn_deg"]) * axis).as_matrix()
        X[:3, 3] = m["offset_m"] * way
        return X

    def step(self) -> bool:
        return True

    def end(self) -> None:
        self._end(CameraFault.KNOCKED)


class BlurredLens(_OneCamera):
    """``lens_blurred``."""

    def begin(self) -> Struck | Missed:
        missed = self._choose(CameraFault.BLUR)
        if missed is not None:
            return missed
        assert self.scene.driver.cameras is not None
        self.scene.driver.cameras.blur(self.camera, self.perturbation.magnitude["sigma_px"])
        return Struck(camera=self.camera)

    def step(self) -> bool:
        return self.elapsed_s < self.perturbation.magnitude["lasts_s"]

    def end(self) -> None:
        self._end(CameraFault.BLUR)


class DimmedLights(Timed):
    """``lights_dimmed``."""

    def begin(self) -> Struck | Missed:
        cameras = self.scene.driver.cameras
        if cameras is None:
            return Missed(NO_CAMERAS)
        if cameras.light != 1.0:
            return Missed("the lights are not at their normal brightness already")
        self.began_s = self.scene.driver.now_s
        cameras.set_light(self.perturbation.magnitude["brightness"])
        return Struck()

    def step(self) -> bool:
        return self.elapsed_s < self.perturbation.magnitude["lasts_s"]

    def end(self) -> None:
        if self.scene.driver.cameras is not None:
            self.scene.driver.cameras.set_light(1.0)
