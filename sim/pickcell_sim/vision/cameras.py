"""The cell's RGB-D cameras in simulation: rendered, noisy, a little off their calibration, and able to fail.

A camera is drawn from where it truly stands: its nominal pose in the cell file times a small error drawn once from the
seed. The frame it delivers carries the nominal (calibrated) pose, as a real driver would. Which body is under a pixel is
known only to :func:`truth_body_ids`, which is for the scorer.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.cell import CameraConfig, CellConfig
from pickcell.geometry import Pose, inverse, make_pose
from pickcell.values import RgbdFrame
from pickcell_sim.vision.depth_noise import DepthNoiseModel, NoiseSource
from pickcell_sim.vision.faults import CameraFault, CameraFaults
from pickcell_sim.vision.rendering import Lighting, View
from pickcell_sim.vision.visuals import VisualScene

_SAME_SURFACE_M = 0.003
_MOVING_RADPS = 0.02
COSTS_KEPT = 500
"""Captures over which the costs are taken."""


class CameraWorld(Protocol):
    """What the cameras need of the simulated world."""

    @property
    def client(self) -> int:
        """PyBullet physics client."""

    @property
    def visuals(self) -> VisualScene:
        """What there is to see."""

    @property
    def time_s(self) -> float:
        """Cell time."""

    def X_world_link(self, link: str) -> Pose:
        """Where a link of the robot is, in the world (the URDF link frame)."""

    def shiny_bodies(self) -> frozenset[int]:
        """Bodies whose surface reflects like metal or foil."""


@dataclass(frozen=True)
class ExtrinsicError:
    """How well the cameras are calibrated: standard deviations per axis (assumed: a good hand-eye calibration)."""

    translation_m: float = 0.001
    rotation_rad: float = float(np.deg2rad(0.1))


@dataclass
class CaptureStats:
    """How many captures there were, and what the last of them cost."""

    rendered: int = 0
    reused: int = 0
    render_ms: deque[float] = field(default_factory=lambda: deque(maxlen=COSTS_KEPT))
    noise_ms: deque[float] = field(default_factory=lambda: deque(maxlen=COSTS_KEPT))

    def text(self) -> str:
        """One line: how many views were drawn and reused, and their median cost."""
        render = np.median(self.render_ms) if self.render_ms else float("nan")
        noise = np.median(self.noise_ms) if self.noise_ms else float("nan")
        return f"{self.rendered} drawn ({render:.1f} ms), {self.reused} reused, noise {noise:.1f} ms (medians)"


@dataclass
class _Camera:
    config: CameraConfig
    X_nominal_true: Pose
    noise: NoiseSource
    faults: CameraFaults = field(default_factory=CameraFaults)
    state: bytes = b""
    clean: View | None = None
    luminance: NDArray[np.uint8] | None = None
    shiny: NDArray[np.bool_] | None = None
    shiny_exact: bool = False
    pose: bytes = b""
    last: RgbdFrame | None = None


class SimCameras:
    """All cameras of a cell file. The clean rendering of a camera is kept while nothing in the world moves."""

    def __init__(
        self,
        world: CameraWorld,
        cell: CellConfig,
        seed: int,
        *,
        noise: DepthNoiseModel | None = None,
        extrinsic_error: ExtrinsicError | None = None,
        lighting: Lighting | None = None,
    ) -> None:
        self._world = world
        self._cell = cell
        self._lighting = lighting
        error = extrinsic_error or ExtrinsicError()
        self._cameras: dict[str, _Camera] = {}
        for index, config in enumerate(cell.cameras):
            rng = np.random.default_rng([seed, index, 0])
            offset = make_pose(rng.normal(0.0, error.translation_m, 3), rng.normal(0.0, error.rotation_rad, 3))
            self._cameras[config.name] = _Camera(config, offset, NoiseSource([seed, index, 1], noise))
        self.stats = CaptureStats()
        self._light = 1.0

    @property
    def backend(self) -> str:
        """``egl`` or ``tiny``."""
        return self._world.visuals.pool.backend

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._cameras)

    def set_fault(self, camera: str, fault: CameraFault | str, active: bool = True) -> None:
        """Switch a fault of one camera on or off. Raises ValueError or KeyError listing the valid names."""
        try:
            fault = CameraFault(fault)
        except ValueError:
            raise ValueError(f"no fault '{fault}'; there are {[f.value for f in CameraFault]}") from None
        self._camera(camera).faults.set(fault, active)

    def faults(self, camera: str) -> frozenset[CameraFault]:
        """Faults that are active on one camera."""
        return frozenset(self._camera(camera).faults.active)

    def blur(self, camera: str, sigma_px: float) -> None:
        """The fault ``blur`` with a strength of its own; :meth:`set_fault` ends it. KeyError, ValueError."""
        self._camera(camera).faults.blur(sigma_px)

    def knock(self, camera: str, X_camera_knocked: Pose) -> None:
        """The fault ``knocked`` with an offset (4, 4) in its frame; :meth:`set_fault` ends it. KeyError, ValueError."""
        self._camera(camera).faults.knock(X_camera_knocked)

    @property
    def light(self) -> float:
        """Brightness of the room for all cameras, 1 normal."""
        return self._light

    def set_light(self, brightness: float) -> None:
        """Dim (or brighten) the room: colours follow, and depth loses dark surfaces. Raises ValueError unless in 0..2."""
        if not 0.0 <= brightness <= 2.0:
            raise ValueError(f"the room's brightness is a factor from 0 to 2, got {brightness}")
        self._light = float(brightness)

    def forget(self) -> None:
        """Drop the kept renderings: needed after a change that moves nothing (a colour, a lamp)."""
        for camera in self._cameras.values():
            camera.state = camera.pose = b""

    def capture(self, name: str) -> RgbdFrame | None:
        """One frame now, stamped with cell time; None from a silent camera. KeyError lists the cameras there are."""
        camera = self._camera(name)
        stamp = self._world.time_s
        if CameraFault.SILENT in camera.faults.active:
            return None
        if camera.last is not None and CameraFault.STALE in camera.faults.active:
            return camera.last
        if camera.last is not None and CameraFault.FROZEN in camera.faults.active:
            last = camera.last
            return RgbdFrame(last.camera, stamp, last.color, last.depth_m, last.X_base_camera)
        self._draw(camera)
        color, depth = self._measure(camera)
        X_base_camera = inverse(self._cell.X_world_base) @ self._X_world_parent(camera) @ camera.config.X_parent_camera
        camera.last = RgbdFrame(camera.config.model, stamp, color, depth, X_base_camera)
        return camera.last

    def _camera(self, name: str) -> _Camera:
        if name not in self._cameras:
            raise KeyError(f"no camera '{name}'; the cell has {list(self._cameras)}")
        return self._cameras[name]

    def _X_world_parent(self, camera: _Camera) -> Pose:
        parent = camera.config.parent
        return np.eye(4) if parent == "world" else self._world.X_world_link(parent)

    def _X_world_true(self, camera: _Camera) -> Pose:
        """Off from the design: what calibration believes moves no camera."""
        return camera.faults.moved(self._X_world_parent(camera) @ camera.config.X_parent_designed @ camera.X_nominal_true)

    def _draw(self, camera: _Camera) -> None:
        """Refresh the clean rendering, unless neither the camera nor anything in the world has moved since."""
        X = self._X_world_true(camera)
        key = np.round(X, 5).tobytes()
        state, moving = world_state(self._world.client)
        if key + state == camera.state and (moving or camera.shiny_exact):
            self.stats.reused += 1
            return
        start = time.perf_counter()
        shiny = self._world.shiny_bodies()
        # Which pixels are shiny costs a second pass. While the arm moves, the mask of before does for what has not moved.
        carry_over = moving and camera.pose == key and camera.shiny is not None and camera.clean is not None
        exact = bool(shiny) and not carry_over
        view = self._world.visuals.render(camera.config.model, X, exact, self._lighting)
        if carry_over:
            with np.errstate(invalid="ignore"):
                camera.shiny = camera.shiny & (np.abs(view.depth_m - camera.clean.depth_m) < _SAME_SURFACE_M)
        elif view.body_ids is not None:
            camera.shiny = np.isin(view.body_ids, list(shiny))
        else:
            camera.shiny = np.zeros(view.depth_m.shape, bool)
        camera.shiny_exact = exact or not shiny
        camera.clean = View(view.color, view.depth_m, None)
        camera.luminance = cv2.cvtColor(view.color, cv2.COLOR_RGB2GRAY)
        camera.state, camera.pose = key + state, key
        self.stats.rendered += 1
        self.stats.render_ms.append(1e3 * (time.perf_counter() - start))

    def _measure(self, camera: _Camera) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Noisy colour and depth from the clean rendering, with the active faults."""
        start = time.perf_counter()
        assert camera.clean is not None and camera.luminance is not None and camera.shiny is not None
        color = camera.noise.color(camera.faults.color(camera.clean.color, self._light))
        luminance = camera.faults.depth_luminance(camera.luminance, self._light)
        depth = camera.noise.depth(camera.clean.depth_m, luminance, camera.shiny, camera.config.model.fx)
        depth = camera.faults.depth(depth)
        self.stats.noise_ms.append(1e3 * (time.perf_counter() - start))
        return color, depth


def world_state(client: int) -> tuple[bytes, bool]:
    """A key that changes when any body or joint moves by more than about 20 um or mrad, or bodies come and go; and
    whether any joint is moving now."""
    values: list[float] = []
    moving = False
    for index in range(p.getNumBodies(physicsClientId=client)):
        body = p.getBodyUniqueId(index, physicsClientId=client)
        position, orientation = p.getBasePositionAndOrientation(body, physicsClientId=client)
        values.append(float(body))
        values.extend(position)
        values.extend(orientation)
        joints = p.getNumJoints(body, physicsClientId=client)
        if joints:
            states = p.getJointStates(body, range(joints), physicsClientId=client)
            values.extend(s[0] for s in states)
            moving = moving or any(abs(s[1]) > _MOVING_RADPS for s in states)
    return np.round(np.asarray(values) * 25_000.0).astype(np.int64).tobytes(), moving


def truth_body_ids(cameras: SimCameras, name: str) -> NDArray[np.int32]:
    """(H, W) body under each pixel as the camera truly stands, -1 where none. Ground truth: for the scorer alone."""
    camera = cameras._camera(name)
    X = cameras._X_world_true(camera)
    view = cameras._world.visuals.render(camera.config.model, X, True, cameras._lighting)
    assert view.body_ids is not None
    return view.body_ids


def truth_parent_camera(cameras: SimCameras, name: str) -> Pose:
    """``X_parent_camera`` as the camera truly stands, faults apart. Ground truth: for whoever scores a calibration alone."""
    camera = cameras._camera(name)
    return camera.config.X_parent_designed @ camera.X_nominal_true
