"""Ways in which a camera, or the light it sees by, goes wrong, and how strongly. Drawn pictures stay untouched by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.geometry import Pose, make_pose

LIGHT_OFF = 1.0 / 12.0
"""Brightness that is left when the light over a camera is off."""
BLUR_PX = 6.0
PROJECTOR_SHARE = 0.3
"""Share of what a depth camera matches by that its own projector supplies, so that it outlives a dim room (assumed)."""

BLURRED_JUMP_M = 0.02
"""Where depth differs by more than this within the blur, foreground and background mix and nothing can be matched."""


class CameraFault(str, Enum):
    """Ways in which a camera can misbehave, for tests."""

    SILENT = "silent"  # no frames at all
    NAN_DEPTH = "nan_depth"  # colour is fine, every depth is invalid
    FROZEN = "frozen"  # the last picture again and again, with fresh stamps
    STALE = "stale"  # the last frame again and again, with its old stamp
    DARK = "dark"  # the light is off: a twelfth of the brightness
    BLUR = "blur"  # out of focus
    KNOCKED = "knocked"  # hit: it stands 3 cm and 3 degrees off its calibration


def knocked_by_default() -> Pose:
    """3 cm along the picture's x and 3 degrees about its y axis."""
    return make_pose((0.03, 0.0, 0.0), (0.0, np.deg2rad(3.0), 0.0))


@dataclass
class CameraFaults:
    """The faults of one camera. Strengths hold while their fault is active; switching it off restores the default."""

    active: set[CameraFault] = field(default_factory=set)
    blur_px: float = BLUR_PX
    """Standard deviation of the blur, pixels."""
    X_camera_knocked: Pose = field(default_factory=knocked_by_default)
    """Where the camera stands after the knock, in the frame in which it stood before."""

    def set(self, fault: CameraFault, active: bool) -> None:
        """Switch a fault on with its default strength, or off."""
        if active:
            self.active.add(fault)
        else:
            self.active.discard(fault)
        if fault is CameraFault.BLUR:
            self.blur_px = BLUR_PX
        elif fault is CameraFault.KNOCKED:
            self.X_camera_knocked = knocked_by_default()

    def blur(self, sigma_px: float) -> None:
        """Out of focus by this much. Raises ValueError unless it is positive and finite."""
        if not (np.isfinite(sigma_px) and sigma_px > 0):
            raise ValueError(f"a blur has a standard deviation > 0 px, got {sigma_px}")
        self.active.add(CameraFault.BLUR)
        self.blur_px = float(sigma_px)

    def knock(self, X_camera_knocked: Pose) -> None:
        """Stand elsewhere, while frames go on to carry the calibrated pose. Raises ValueError unless it is a (4, 4) pose."""
        X = np.asarray(X_camera_knocked, float)
        if X.shape != (4, 4) or not np.isfinite(X).all():
            raise ValueError(f"a knock is a finite (4, 4) pose in the camera's frame, got shape {X.shape}")
        self.active.add(CameraFault.KNOCKED)
        self.X_camera_knocked = X

    def moved(self, X_world_camera: Pose) -> Pose:
        """Where the camera stands that should stand at ``X_world_camera``."""
        return X_world_camera @ self.X_camera_knocked if CameraFault.KNOCKED in self.active else X_world_camera

    def light(self, room: float) -> float:
        """Brightness over this camera, 1 normal, in a room with brightness ``room``."""
        return room * LIGHT_OFF if CameraFault.DARK in self.active else room

    def color(self, color: NDArray[np.uint8], room: float) -> NDArray[np.uint8]:
        """The picture (H, W, 3) as its light and its focus let it be, before the sensor's noise."""
        light = self.light(room)
        if light != 1.0:
            color = np.clip(color * np.float32(light), 0.0, 255.0).astype(np.uint8)
        if CameraFault.BLUR in self.active:
            color = np.asarray(cv2.GaussianBlur(color, (0, 0), self.blur_px), np.uint8)
        return color

    def depth_luminance(self, luminance: NDArray[np.uint8], room: float) -> NDArray[np.uint8]:
        """(H, W) luminance by which depth is matched: a projector's share does not depend on the room's light."""
        light = self.light(room)
        if light == 1.0:
            return luminance
        seen = PROJECTOR_SHARE + (1.0 - PROJECTOR_SHARE) * light
        return np.clip(luminance * np.float32(seen), 0.0, 255.0).astype(np.uint8)

    def depth(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Measured depth (H, W) less what these faults cost: all of it, or a seam along edges as wide as the blur."""
        if CameraFault.NAN_DEPTH in self.active:
            return np.full_like(depth_m, np.nan)
        if CameraFault.BLUR in self.active:
            size = 2 * round(self.blur_px) + 1
            window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
            holes = ~np.isfinite(depth_m)
            highest = cv2.dilate(np.where(holes, np.float32(-1e3), depth_m), window)
            lowest = cv2.erode(np.where(holes, np.float32(1e3), depth_m), window)
            return np.where(highest - lowest > BLURRED_JUMP_M, np.float32(np.nan), depth_m)
        return depth_m
