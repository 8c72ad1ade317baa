"""A folder of pictures as the input of a calibration: pictures, and ``session.yaml`` that says what they are.

    board: a3                         # as printed by ./cell calibrate board
    places: {lying: lying}            # optional: name -> lying, leaning, unknown, or a pose (see docs/calibration.md)
    intrinsics: {cam_left: {fx: 655.9, fy: 655.9, cx: 319.5, cy: 239.5}}        # optional, else from the cell file
    pictures:
      - {camera: cam_left, file: left.png, place: lying}
      - {camera: cam_wrist, file: wrist_00.png, place: lying, joints: [0.0, -0.29, 0.0, -2.58, 0.0, 2.29, 0.0]}

Pictures are rectified (no lens distortion), PNG or JPEG; ``depth:`` may name a 16-bit PNG in millimetres, 0 for none. A
wrist camera's picture needs the arm's joints (rad, in the cell file's order) or ``X_base_tool0`` at its capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from pickcell.calibration.board import BOARDS, Board, find_corners
from pickcell.calibration.page import page_size_m
from pickcell.calibration.views import LEANED_SIGMA_M, LEANED_SIGMA_RAD, PLACES, BoardPlace, BoardView
from pickcell.cell import CellConfig
from pickcell.config_file import Strict, checked, read_mapping
from pickcell.geometry import Pose, inverse, pose_from_quat_xyzw
from pickcell.motion.model import RobotModel
from pickcell.values import CameraModel

SESSION_FILE = "session.yaml"


class PicturesError(ValueError):
    """A folder of pictures that cannot be used; the message names the file and what is wrong."""


class GivenPose(Strict):
    """A pose in ``base_link``."""

    position: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    quat_xyzw: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    sigma_mm: Annotated[float, Field(gt=0.0)] = 1e3 * LEANED_SIGMA_M
    """Of a board's place: how well it is known, per axis."""
    sigma_deg: Annotated[float, Field(gt=0.0)] = float(np.rad2deg(LEANED_SIGMA_RAD))

    @model_validator(mode="after")
    def _unit(self) -> GivenPose:
        if abs(float(np.linalg.norm(self.quat_xyzw)) - 1.0) > 1e-3:
            raise ValueError("quat_xyzw is not a unit quaternion")
        return self

    @property
    def pose(self) -> Pose:
        return pose_from_quat_xyzw(self.position, self.quat_xyzw)


class Intrinsics(Strict):
    """Of a rectified picture, pixels; the centre of the upper left pixel is (0, 0)."""

    fx: Annotated[float, Field(gt=0.0)]
    fy: Annotated[float, Field(gt=0.0)]
    cx: FiniteFloat
    cy: FiniteFloat


class Picture(Strict):
    """One picture, and where the arm stood."""

    camera: str
    file: str
    place: str = "lying"
    depth: str = ""
    joints: tuple[FiniteFloat, ...] = ()
    X_base_tool0: GivenPose | None = None


class PictureSession(Strict):
    """The file ``session.yaml``."""

    board: Literal[tuple(BOARDS)] = "a3"  # type: ignore[valid-type]
    places: dict[str, Literal["lying", "leaning", "unknown"] | GivenPose] = {"lying": "lying", "leaning": "leaning"}
    intrinsics: dict[str, Intrinsics] = {}
    pictures: Annotated[tuple[Picture, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _places_are_there(self) -> PictureSession:
        unknown = sorted({p.place for p in self.pictures} - set(self.places))
        if unknown:
            raise ValueError(f"pictures name places {unknown}; places has {sorted(self.places)}")
        nobody = sorted(set(self.intrinsics) - {p.camera for p in self.pictures})
        if nobody:
            raise ValueError(
                f"intrinsics are of {nobody}; there are pictures of {sorted({p.camera for p in self.pictures})}"
            )
        return self

    @property
    def chosen_board(self) -> Board:
        return BOARDS[self.board]


@dataclass(frozen=True)
class Looked:
    """One picture after the board was looked for."""

    picture: Picture
    view: BoardView | None
    text: str
    """Why there is no view; else how many corners there are."""


def read_session(folder: Path) -> PictureSession:
    """Raises PicturesError naming the file, each wrong key and what is expected."""
    path = folder / SESSION_FILE
    data = read_mapping(path, "list of pictures", PicturesError, "the keys board and pictures, see docs/calibration.md")
    return checked(PictureSession, data, path, "list of pictures", PicturesError)


def write_session(folder: Path, session: PictureSession) -> None:
    """Write the list beside its pictures. OSError when that fails."""
    said = session.model_dump(mode="json", exclude_defaults=True)
    (folder / SESSION_FILE).write_text(yaml.safe_dump(said, sort_keys=False, width=120), encoding="utf-8")


def places_of(session: PictureSession, cell: CellConfig) -> dict[str, BoardPlace]:
    """Where the board lay. Raises ValueError when it does not fit into the cell's source tote."""
    size = page_size_m(session.chosen_board)
    used = {picture.place for picture in session.pictures}
    out = {}
    for name, where in session.places.items():
        if name not in used:
            continue
        if isinstance(where, GivenPose):
            out[name] = BoardPlace.known(where.pose, 1e-3 * where.sigma_mm, float(np.deg2rad(where.sigma_deg)))
        else:
            out[name] = BoardPlace.unknown() if where == "unknown" else PLACES[where](cell, size)
    return out


def look(folder: Path, session: PictureSession, cell: CellConfig, robot: RobotModel) -> Iterator[Looked]:
    """Look for the board in each picture, in the order of the list.

    Raises PicturesError for a camera that the cell does not have, an unreadable file, a picture of another size than the
    camera's, and joints that are missing or too many.
    """
    names = [camera.name for camera in cell.cameras]
    for picture in session.pictures:
        if picture.camera not in names:
            raise PicturesError(f"{picture.file}: no camera '{picture.camera}'; the cell has {names}")
        camera = _model(cell, picture.camera, session.intrinsics)
        color = _read(folder / picture.file, cv2.IMREAD_COLOR, camera)
        depth = _depth(folder / picture.depth, camera) if picture.depth else None
        X_base_parent = _base_parent(picture, cell, robot)
        seen = find_corners(session.chosen_board, np.ascontiguousarray(color[..., ::-1], np.uint8))
        if seen.value is None:
            yield Looked(picture, None, seen.text)
            continue
        view = BoardView(camera, seen.value, X_base_parent, picture.place, depth)
        yield Looked(picture, view, f"{len(seen.value)} corners")


def _model(cell: CellConfig, name: str, intrinsics: Mapping[str, Intrinsics]) -> CameraModel:
    model = cell.camera(name).model
    return replace(model, **intrinsics[name].model_dump()) if name in intrinsics else model


def _read(path: Path, flags: int, camera: CameraModel) -> NDArray[np.generic]:
    picture = cv2.imread(str(path), flags) if path.is_file() else None
    if picture is None:
        raise PicturesError(f"{path} is not there, or no picture that can be read")
    if picture.shape[:2] != (camera.height, camera.width):
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise PicturesError(f"{path} has {size} pixels, {camera.name} has {camera.width} x {camera.height} by the cell file")
    return np.asarray(picture)


def _depth(path: Path, camera: CameraModel) -> NDArray[np.float32]:
    raw = _read(path, cv2.IMREAD_UNCHANGED, camera)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise PicturesError(f"{path} is no 16-bit picture with one channel (millimetres, 0 for none)")
    depth = raw.astype(np.float32) * np.float32(1e-3)
    depth[raw == 0] = np.nan
    return depth


def _base_parent(picture: Picture, cell: CellConfig, robot: RobotModel) -> Pose:
    """What carries the camera at the capture, in ``base_link``."""
    if cell.camera(picture.camera).parent == "world":
        return inverse(cell.X_world_base)
    if picture.X_base_tool0 is not None:
        return picture.X_base_tool0.pose
    if len(picture.joints) != len(cell.arm.joints):
        raise PicturesError(
            f"{picture.file}: a camera on the wrist needs joints ({len(cell.arm.joints)} numbers, rad) or X_base_tool0, "
            f"got {len(picture.joints)} numbers"
        )
    return robot.fk(picture.joints, "tool0")
