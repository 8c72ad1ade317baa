"""Where cameras truly stand, as calibration has found it: a file beside the cell's, laid over its ``cameras``.

``config/cells/NAME.yaml`` says where cameras are meant to be (eye, target, up); ``config/cells/calibration/NAME.yaml``, when
it is there, where they are. Written by ``./cell calibrate``; delete it, or one camera in it, to go back to the design.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, FiniteFloat, model_validator

from pickcell.config_file import Strict, checked, read_mapping
from pickcell.geometry import Pose, pose_from_quat_xyzw, quat_xyzw_from_pose

FOLDER = "calibration"
"""Below the folder of the cell file."""
UNIT_TOLERANCE = 1e-3
_HEAD = """\
# Where the cameras of a cell stand, written by ./cell calibrate: see docs/calibration.md. Used instead of eye, target and up
# of the cell file. Metres; quaternions x, y, z, w; optical frames (+z forward, +x right, +y down). The file before this one
# is kept as {name}.bak. Delete this file to go back to the cell file's own poses.
"""


class CameraPosesError(ValueError):
    """A file of camera poses that cannot be used or written; the message names the file and every wrong key."""


class CalibratedPose(Strict):
    """``X_parent_camera`` of one camera, and how it was found."""

    parent: Literal["world", "tool0"]
    position: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    """Optical centre in the parent frame, metres."""
    quat_xyzw: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    """Optical frame in the parent frame, a unit quaternion x, y, z, w."""
    date: str = ""
    rms_px: Annotated[float, Field(ge=0.0)] = 0.0
    """Root mean square distance between corners seen and expected."""
    corners: Annotated[int, Field(ge=0)] = 0
    pictures: Annotated[int, Field(ge=0)] = 0
    uncertainty_mm: Annotated[float, Field(ge=0.0)] = 0.0
    """Standard deviation of where a point at the board is, as the fit says."""
    uncertainty_deg: Annotated[float, Field(ge=0.0)] = 0.0
    board: str = ""

    @model_validator(mode="after")
    def _unit(self) -> CalibratedPose:
        length = sum(v * v for v in self.quat_xyzw) ** 0.5
        if abs(length - 1.0) > UNIT_TOLERANCE:
            raise ValueError(f"quat_xyzw has length {length:.4f}, a unit quaternion has 1")
        return self

    @property
    def X_parent_camera(self) -> Pose:
        return pose_from_quat_xyzw(self.position, self.quat_xyzw)

    @staticmethod
    def numbers(X_parent_camera: Pose) -> tuple[tuple[float, float, float], tuple[float, float, float, float]]:
        """Position and quaternion of a pose, rounded to the micrometre and microradian."""
        x, y, z = (round(float(v), 6) for v in X_parent_camera[:3, 3])
        a, b, c, d = (round(float(v), 8) for v in quat_xyzw_from_pose(X_parent_camera))
        return (x, y, z), (a, b, c, d)


class CameraPoses(Strict):
    """The file."""

    cell: str
    """Name of the cell that it belongs to."""
    cameras: Annotated[dict[str, CalibratedPose], Field(min_length=1)]

    def with_others_of(self, before: CameraPoses | None) -> CameraPoses:
        """These, and the cameras of an older file that these do not name."""
        return self if before is None else CameraPoses(cell=self.cell, cameras={**before.cameras, **self.cameras})


def camera_poses_path(cell_file: Path) -> Path:
    """Where the camera poses of a cell file are kept, whether they are there or not (links are followed first)."""
    there = cell_file.resolve()
    return there.parent / FOLDER / there.name


def read_camera_poses(path: Path) -> CameraPoses:
    """Raises CameraPosesError naming the file, each wrong key and what is expected."""
    data = read_mapping(path, "file of camera poses", CameraPosesError, "the keys cell and cameras, see docs/calibration.md")
    return checked(CameraPoses, data, path, "file of camera poses", CameraPosesError)


def write_camera_poses(path: Path, poses: CameraPoses) -> None:
    """Write the file in one step: readers see the old one or the new one, also when the power fails. The old one is kept
    beside it, with the ending ``.bak``. Raises CameraPosesError when it cannot be written."""
    text = _HEAD.format(name=path.name) + yaml.safe_dump(poses.model_dump(mode="json"), sort_keys=False, width=120)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            kept = path.with_name(path.name + ".bak.part")
            kept.write_bytes(path.read_bytes())
            kept.replace(path.with_name(path.name + ".bak"))
        part.replace(path)
    except OSError as failure:
        raise CameraPosesError(f"cannot write {path}: {failure.strerror}") from failure
