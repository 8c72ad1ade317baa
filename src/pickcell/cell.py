"""A cell as one YAML file: arm, hand, totes, cameras, limits. See ``config/cells/panda.yaml`` for every key explained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pickcell.camera_poses import CalibratedPose, CameraPoses, CameraPosesError, camera_poses_path, read_camera_poses
from pickcell.config_file import Strict, checked, read_mapping
from pickcell.geometry import Pose, inverse, look_at, make_pose, rotation_angle
from pickcell.values import CameraModel

Vector3 = tuple[float, float, float]

CALIBRATED_WITHIN_M = 0.25
CALIBRATED_WITHIN_RAD = float(np.deg2rad(30.0))
"""A calibration farther than this from a camera's eye, target and up is of another place, or of another camera."""

CUP_RADII_M = {"20mm": 0.010, "30mm": 0.015, "40mm": 0.020}
"""Lip radius of every cup that the hand can be fitted with, by name."""

SOURCE_VACUUM_PA = {"ejector": 75_000.0, "blower": 22_000.0}
"""What every vacuum source reaches on a tight seal, by name."""


class CellConfigError(ValueError):
    """A cell file that cannot be used; the message names the file and every wrong key."""


class ArmConfig(Strict):
    joints: tuple[str, ...]
    """Names of the arm's joints, base to tip."""
    home: tuple[float, ...]
    """Joint positions (rad) from which the wrist camera sees the source tote and the fixed cameras see past the arm."""
    acceleration_max: tuple[float, ...]
    """rad/s^2 per joint (URDF has no such limit)."""
    jerk_max: tuple[float, ...]
    """rad/s^3 per joint."""
    velocity_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the URDF's joint velocity limits that is used."""
    tcp_acceleration_max: Annotated[float, Field(gt=0)] = 5.0
    """m/s^2 of the TCP with an empty hand; a held item lowers it."""
    contact_speed: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """m/s of the TCP on the last stretch to contact."""

    @model_validator(mode="after")
    def _same_length(self) -> ArmConfig:
        n = len(self.joints)
        for key in ("home", "acceleration_max", "jerk_max"):
            if len(getattr(self, key)) != n:
                raise ValueError(f"{key} has {len(getattr(self, key))} values for {n} joints")
        return self


class HandConfig(Strict):
    """Geometry of the hybrid hand as the planner needs it; the shapes themselves are in the URDF."""

    jaw_joints: tuple[str, str] = ("jaw_left_joint", "jaw_right_joint")
    cup_joint: str = "cup_slide_joint"
    """Prismatic joint of the pneumatic slide: extended while the vacuum is on, retracted by a spring while off."""
    opening_max_m: float = 0.10
    pad_width_m: float = 0.022
    """Pad size across the closing axis (along tcp_pinch y)."""
    pad_height_m: float = 0.024
    finger_thickness_m: float = 0.012
    """Finger size along the closing axis."""
    finger_length_m: float = 0.13
    """From the palm to the tip."""
    pad_to_tip_m: float = 0.010
    """From the origin of tcp_pinch forward to the finger tip."""
    pinch_force_max_n: float = 60.0
    cup: Literal["20mm", "30mm", "40mm"] = "20mm"
    """Which cup is fitted. A small one seals on narrow things, a large one bears more and is harder to peel off."""
    vacuum_source: Literal["ejector", "blower"] = "ejector"
    """``ejector``: deep vacuum, little flow. ``blower``: shallow vacuum that bears leaks."""
    cup_radius_m: Annotated[float, Field(gt=0)] = CUP_RADII_M["20mm"]
    """Follows from ``cup`` unless given."""
    cup_stroke_m: float = 0.10
    payload_max_kg: float = 0.9

    @model_validator(mode="before")
    @classmethod
    def _radius_of_the_cup(cls, data: Any) -> Any:
        if isinstance(data, dict) and "cup_radius_m" not in data and data.get("cup") in CUP_RADII_M:
            return {**data, "cup_radius_m": CUP_RADII_M[data["cup"]]}
        return data

    @property
    def vacuum_max_pa(self) -> float:
        """What the vacuum source reaches on a tight seal."""
        return SOURCE_VACUUM_PA[self.vacuum_source]

    def fitted(self, cup: str, vacuum_source: str | None = None) -> HandConfig:
        """The same hand with another cup, and another vacuum source if named. Raises ValueError listing what there is."""
        values = self.model_dump(exclude={"cup_radius_m"})
        return HandConfig(**{**values, "cup": cup, "vacuum_source": vacuum_source or self.vacuum_source})


class ToteConfig(Strict):
    """An open container, axes parallel to the world's after ``yaw``; its frame is at the centre of the inner floor."""

    position: Vector3
    """Centre of the inner floor in the world, metres."""
    yaw: float = 0.0
    inner: Vector3
    """Inner length (x), width (y), depth (z), metres."""
    wall: float = 0.006

    @property
    def X_world_tote(self) -> Pose:
        return make_pose(self.position, (0.0, 0.0, self.yaw))


class CameraConfig(Strict):
    name: str
    parent: Literal["world", "tool0"] = "world"
    eye: Vector3
    """Optical centre in the parent frame, metres."""
    target: Vector3
    """A point on the optical axis in the parent frame."""
    up: Vector3 = (0.0, 0.0, 1.0)
    """Direction that is up in the image, in the parent frame."""
    width: int = 640
    height: int = 480
    hfov_deg: float = 60.0
    rate_hz: float = 10.0
    max_age_s: float = 0.5
    """An older image is stale."""
    calibrated: CalibratedPose | None = None
    """Where calibration has found it, laid over eye, target and up: not a key of the cell file, see docs/calibration.md."""

    @model_validator(mode="after")
    def _calibrated_where_it_is_meant(self) -> CameraConfig:
        if self.calibrated is None:
            return self
        if self.calibrated.parent != self.parent:
            raise ValueError(f"calibrated on {self.calibrated.parent}, but the cell file has it on {self.parent}")
        off = inverse(self.X_parent_designed) @ self.calibrated.X_parent_camera
        far_m, turned = float(np.linalg.norm(off[:3, 3])), rotation_angle(off)
        if far_m > CALIBRATED_WITHIN_M or turned > CALIBRATED_WITHIN_RAD:
            raise ValueError(
                f"calibrated {far_m:.2f} m and {np.rad2deg(turned):.0f} deg from eye, target and up of the cell file: "
                "put those right, or delete the calibration and calibrate anew"
            )
        return self

    @property
    def model(self) -> CameraModel:
        return CameraModel.from_fov(self.name, self.width, self.height, float(np.deg2rad(self.hfov_deg)))

    @property
    def X_parent_designed(self) -> Pose:
        """Where it is meant to be."""
        return look_at(self.eye, self.target, self.up)

    @property
    def X_parent_camera(self) -> Pose:
        """Where it is, as far as is known: as calibrated, or as designed when it has not been calibrated."""
        return self.X_parent_designed if self.calibrated is None else self.calibrated.X_parent_camera


class CellConfig(Strict):
    name: str
    urdf: str
    """xacro file, relative to the directory ``urdf/``."""
    urdf_args: dict[str, str] = {}
    base_position: Vector3 = (0.0, 0.0, 0.0)
    """``base_link`` in the world (top of the riser)."""
    arm: ArmConfig
    hand: HandConfig = HandConfig()
    totes: dict[str, ToteConfig]
    cameras: tuple[CameraConfig, ...]
    path: str = ""
    """The file this was read from."""

    @model_validator(mode="after")
    def _complete(self) -> CellConfig:
        for tote in ("source", "destination"):
            if tote not in self.totes:
                raise ValueError(f"totes: needs '{tote}', has {sorted(self.totes)}")
        names = [camera.name for camera in self.cameras]
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"cameras: names must be unique and at least one is needed, got {names}")
        return self

    @property
    def X_world_base(self) -> Pose:
        return make_pose(self.base_position)

    def X_base_tote(self, tote: str) -> Pose:
        """Frame at the centre of the tote's inner floor. Raises KeyError naming the totes there are."""
        if tote not in self.totes:
            raise KeyError(f"no tote '{tote}'; the cell has {sorted(self.totes)}")
        return inverse(self.X_world_base) @ self.totes[tote].X_world_tote

    def camera(self, name: str) -> CameraConfig:
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise KeyError(f"no camera '{name}'; the cell has {[c.name for c in self.cameras]}")

    @property
    def fixed_cameras(self) -> tuple[CameraConfig, ...]:
        return tuple(c for c in self.cameras if c.parent == "world")


def load_cell(path: str | Path, calibrated: bool = True) -> CellConfig:
    """Read and check a cell file, and lay over it what calibration has found of its cameras, when there is such a file.

    ``calibrated``: False takes the cameras as designed. Raises CellConfigError naming the file, each wrong key and what is
    expected.
    """
    path = Path(path)
    data = read_mapping(path, "cell file", CellConfigError, "a mapping of keys, see config/cells/panda.yaml")
    cell = checked(CellConfig, {**data, "path": str(path)}, path, "cell", CellConfigError)
    overlay = camera_poses_path(path)
    if not (calibrated and overlay.is_file()):
        return cell
    try:
        return with_camera_poses(cell, read_camera_poses(overlay), overlay)
    except CameraPosesError as problem:
        raise CellConfigError(str(problem)) from problem


def with_camera_poses(cell: CellConfig, poses: CameraPoses, overlay: Path) -> CellConfig:
    """The cell with its cameras where ``poses``, of the file ``overlay``, has them. Raises CellConfigError when they are not
    of this cell, or too far from where the cameras are meant to be."""
    if poses.cell != cell.name:
        raise CellConfigError(f"{overlay} belongs to the cell '{poses.cell}', not to '{cell.name}'")
    unknown = sorted(set(poses.cameras) - {camera.name for camera in cell.cameras})
    if unknown:
        raise CellConfigError(f"{overlay} has cameras {unknown}; the cell has {[c.name for c in cell.cameras]}")
    cameras = []
    for camera in cell.cameras:
        data = {**camera.model_dump(exclude={"calibrated"}), "calibrated": poses.cameras.get(camera.name)}
        cameras.append(checked(CameraConfig, data, overlay, f"calibration of {camera.name}", CellConfigError))
    return cell.model_copy(update={"cameras": tuple(cameras)})
