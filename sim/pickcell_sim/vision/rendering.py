"""Pictures of a PyBullet world: pinhole views through EGL (hardware, or Mesa's llvmpipe), or TinyRenderer without it.

Depth is metric distance along the optical axis. Images follow :class:`pickcell.values.CameraModel`: the centre of the
top-left pixel is (0, 0), the optical frame is +z forward, +x right, +y down.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse
from pickcell.values import CameraModel
from pickcell_sim.quiet import quiet_output

NEAR_M = 0.04
FAR_M = 5.0
_TALKATIVE = 4  # pictures after which the plugin has printed all it has to say
_OPTICAL_TO_GL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenGL cameras look along -z with +y up


@dataclass(frozen=True)
class Lighting:
    """One lamp far away. EGL takes its direction only, and always draws shadows; the rest is TinyRenderer's."""

    direction: tuple[float, float, float] = (0.02, -0.03, 1.0)
    """From the scene towards the lamp, world frame. Nearly straight down: the shadow map of a slanting lamp ends inside
    the cell and leaves hard edges on the table."""
    distance_m: float = 20.0
    ambient: float = 0.55
    diffuse: float = 0.42
    specular: float = 0.0


@dataclass(frozen=True)
class View:
    """A rendered view without any noise."""

    color: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    depth_m: NDArray[np.float32]
    """(H, W) metres along the optical axis, NaN where the ray meets nothing."""
    body_ids: NDArray[np.int32] | None
    """(H, W) PyBullet body under each pixel, -1 where none; None when it was not asked for."""


def projection_matrix(camera: CameraModel, near_m: float = NEAR_M, far_m: float = FAR_M) -> NDArray[np.float64]:
    """(4, 4) OpenGL clip matrix of a pinhole camera whose pixel centres are at integer coordinates.

    A point at pixel u lands at (u + 1/2) / width of the viewport, hence the halves (Hartley & Zisserman, ch. 6, with the
    viewport transform of the OpenGL specification).
    """
    P = np.zeros((4, 4))
    P[0, 0] = 2.0 * camera.fx / camera.width
    P[0, 2] = 1.0 - 2.0 * (camera.cx + 0.5) / camera.width
    P[1, 1] = 2.0 * camera.fy / camera.height
    P[1, 2] = 2.0 * (camera.cy + 0.5) / camera.height - 1.0
    P[2, 2] = -(far_m + near_m) / (far_m - near_m)
    P[2, 3] = -2.0 * far_m * near_m / (far_m - near_m)
    P[3, 2] = -1.0
    return P


def view_matrix(X_world_camera: Pose) -> NDArray[np.float64]:
    """(4, 4) OpenGL view matrix of a camera whose optical frame stands at ``X_world_camera``."""
    return inverse(X_world_camera @ _OPTICAL_TO_GL)


def metric_depth(zbuffer: NDArray[np.float32], near_m: float = NEAR_M, far_m: float = FAR_M) -> NDArray[np.float32]:
    """Distance along the optical axis from an OpenGL depth buffer (0..1); NaN where the buffer is empty."""
    z = np.asarray(zbuffer, np.float32)
    depth = np.float32(near_m * far_m) / (np.float32(far_m) - np.float32(far_m - near_m) * z)
    depth[z >= 0.9999] = np.nan  # cleared to 1: nothing was drawn there (0.9999 is 4.97 m of 5)
    return depth


class Renderer:
    """Draws views of one PyBullet client: through EGL when :func:`load_egl` was called before its bodies were made."""

    def __init__(self, client: int, lighting: Lighting | None = None) -> None:
        self._client = client
        self.lighting = lighting or Lighting()
        self._drawn = 0

    @property
    def backend(self) -> str:
        """``egl`` or ``tiny``."""
        return "egl" if self._client in _EGL_CLIENTS else "tiny"

    def render(self, camera: CameraModel, X_world_camera: Pose, with_bodies: bool = False) -> View:
        """Draw one view. ``with_bodies`` adds the body under each pixel (a second pass: 8 ms at 640x480)."""
        with nullcontext() if self._drawn > _TALKATIVE else quiet_output():
            color, depth, bodies = self._draw(camera, X_world_camera, with_bodies)
        self._drawn += 1
        return View(color, depth, bodies)

    def _draw(
        self, camera: CameraModel, X_world_camera: Pose, with_bodies: bool
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32] | None]:
        light = self.lighting
        egl = self.backend == "egl"
        if not egl:  # TinyRenderer draws everything half a pixel to the right and half a pixel up
            camera = replace(camera, cx=camera.cx - 0.5, cy=camera.cy + 0.5)
        _, _, rgba, zbuffer, segmentation = p.getCameraImage(
            camera.width,
            camera.height,
            view_matrix(X_world_camera).flatten(order="F").tolist(),
            projection_matrix(camera).flatten(order="F").tolist(),
            lightDirection=light.direction,
            lightDistance=light.distance_m,
            lightAmbientCoeff=light.ambient,
            lightDiffuseCoeff=light.diffuse,
            lightSpecularCoeff=light.specular,
            shadow=0,
            renderer=p.ER_BULLET_HARDWARE_OPENGL if egl else p.ER_TINY_RENDERER,
            flags=0 if with_bodies else p.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )
        shape = (camera.height, camera.width)
        color = np.ascontiguousarray(np.asarray(rgba, np.uint8).reshape(*shape, 4)[..., :3])
        depth = metric_depth(np.asarray(zbuffer, np.float32).reshape(shape))
        bodies = np.array(segmentation, np.int32).reshape(shape) if with_bodies else None
        return color, depth, bodies


def load_egl(client: int, software: bool = False) -> bool:
    """Let a PyBullet client draw through EGL; False, and TinyRenderer stays, when that cannot be.

    It cannot without a working EGL, when ``software`` is set or ``$PICKCELL_RENDERER`` is ``tiny``, and while another client
    of this process draws through EGL: the plugin would draw the newest world for both. Call it right after connecting:
    bodies that were made before stay invisible. Raises RuntimeError when there are any.
    """
    forget_client(client)
    spec = importlib.util.find_spec("eglRenderer")
    if software or spec is None or spec.origin is None or os.environ.get("PICKCELL_RENDERER") == "tiny":
        return False
    if p.getNumBodies(physicsClientId=client):
        raise RuntimeError("load_egl must be called before the first body is made")
    if any(p.getConnectionInfo(other)["isConnected"] for other in _EGL_CLIENTS):
        return False
    _EGL_CLIENTS.clear()
    with quiet_output():
        if p.loadPlugin(spec.origin, "_eglRendererPlugin", physicsClientId=client) < 0:
            return False
    _EGL_CLIENTS.add(client)
    return True


def forget_client(client: int) -> None:
    """The client is closed: PyBullet gives its number out again."""
    _EGL_CLIENTS.discard(client)


_EGL_CLIENTS: set[int] = set()
