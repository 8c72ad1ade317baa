"""Cameras and what they deliver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose
from pickcell.values.frozen import freeze


@dataclass(frozen=True)
class CameraModel:
    """A pinhole camera without distortion; colour and depth are registered to the same optical frame."""

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    frame_id: str
    """The optical frame: +z forward, +x right, +y down (REP 103)."""

    @staticmethod
    def from_fov(name: str, width: int, height: int, hfov_rad: float) -> CameraModel:
        """A camera with square pixels, its centre in the image's middle, and the given horizontal field of view."""
        f = 0.5 * width / np.tan(0.5 * hfov_rad)
        return CameraModel(name, width, height, f, f, 0.5 * (width - 1), 0.5 * (height - 1), f"{name}_color_optical_frame")

    @property
    def K(self) -> NDArray[np.float64]:
        """The 3x3 intrinsic matrix in pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class RgbdFrame:
    """One colour image with registered depth, and where the camera stood by its calibration."""

    camera: CameraModel
    stamp_s: float
    """Time of capture."""
    color: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    depth_m: NDArray[np.float32]
    """(H, W) distance along the optical axis in metres; NaN where there is none (REP 118)."""
    X_base_camera: Pose
    """Optical frame in ``base_link`` as calibrated: carries a small error, like every calibration."""

    def __post_init__(self) -> None:
        freeze(self, "color", (self.camera.height, self.camera.width, 3), np.uint8)
        freeze(self, "depth_m", (self.camera.height, self.camera.width), np.float32)
        freeze(self, "X_base_camera", (4, 4), np.float64)
