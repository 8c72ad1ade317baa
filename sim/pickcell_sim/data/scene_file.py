"""One look at a filled tote in one file: what the cameras delivered, and the truth about it.

The truth is for scorers and training only; :func:`read_scene` keeps both apart in :class:`LabelledScene`.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.values import CameraModel, JointState, RgbdFrame

F64 = NDArray[np.float64]
DEPTH_UNIT_M = 1e-4
"""Depth is kept in tenths of a millimetre; 0 is no depth."""
_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class SceneFileError(ValueError):
    """A scene file that cannot be read; the message names it and says what is wrong."""


@dataclass(frozen=True)
class ItemTruth:
    """One item as it really lies, in ``base_link``."""

    number: int
    """Its value in the item pictures."""
    sku: str
    planes: tuple[F64, ...]
    """Per convex part (F, 4) outward unit normal and offset: inside, ``normal @ x <= offset``."""
    points: NDArray[np.float32]
    """(N, 3) even samples of its surface, metres."""
    normals: NDArray[np.float32]
    """(N, 3) outward."""

    def inside(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(N,) whether points (N, 3) lie in it."""
        out = np.zeros(len(points), bool)
        for planes in self.planes:
            out |= np.all(points @ planes[:, :3].T <= planes[:, 3], axis=1)
        return out


@dataclass(frozen=True)
class LabelledScene:
    """What the cameras delivered, and the truth about it."""

    name: str
    frames: list[RgbdFrame]
    joints: JointState
    manifest: dict[str, int]
    """SKU -> pieces in the source tote."""
    item_pixels: dict[str, NDArray[np.uint8]]
    """By camera: (H, W) number of the item under each pixel, 0 where none."""
    items: tuple[ItemTruth, ...]

    @property
    def stamp_s(self) -> float:
        return self.joints.stamp_s

    @property
    def suite(self) -> str:
        """Name of the suite whose recipe filled the tote."""
        return self.name.split("-")[0]

    @property
    def skus(self) -> dict[int, str]:
        """SKU of each item number."""
        return {item.number: item.sku for item in self.items}


def scene_files(folder: Path) -> list[Path]:
    """The scenes of a folder, sorted. Raises SceneFileError when there are none."""
    files = sorted(folder.glob("*.scene.npz"))
    if not files:
        raise SceneFileError(f"no scenes in {folder}; make some: ./cell data --folder {folder} (see ./cell data --help)")
    return files


def scene_path(folder: Path, name: str) -> Path:
    """Where the scene of that name is kept."""
    return folder / f"{name}.scene.npz"


def write_scene(folder: Path, scene: LabelledScene) -> Path:
    """Write a scene; it appears under its name only when it is complete. Raises OSError (a full disk)."""
    entries: dict[str, object] = {
        "stamp_s": scene.stamp_s,
        "joint_names": list(scene.joints.names),
        "joint_positions": scene.joints.positions,
        "skus": list(scene.manifest),
        "counts": list(scene.manifest.values()),
        "cameras": [frame.camera.name for frame in scene.frames],
        "item_numbers": np.array([item.number for item in scene.items], np.int64),
        "item_skus": [item.sku for item in scene.items],
        "part_counts": np.array([len(item.planes) for item in scene.items], np.int64),
        "point_counts": np.array([len(item.points) for item in scene.items], np.int64),
    }
    parts = [planes for item in scene.items for planes in item.planes]
    entries["plane_counts"] = np.array([len(planes) for planes in parts], np.int64)
    entries["planes"] = np.vstack([*parts, np.zeros((0, 4))])
    entries["points"] = np.vstack([*(i.points for i in scene.items), np.zeros((0, 3))]).astype(np.float32)
    entries["normals"] = np.vstack([*(i.normals for i in scene.items), np.zeros((0, 3))]).astype(np.float16)
    for frame in scene.frames:
        name = frame.camera.name
        depth = np.nan_to_num(np.rint(frame.depth_m / DEPTH_UNIT_M), nan=0.0)
        entries[f"{name}_color"] = _png(frame.color[:, :, ::-1])
        entries[f"{name}_depth"] = _png(np.clip(depth, 0, 65535).astype(np.uint16))
        entries[f"{name}_item"] = _png(scene.item_pixels[name])
        entries[f"{name}_K"] = frame.camera.K
        entries[f"{name}_X_base_camera"] = frame.X_base_camera
    folder.mkdir(parents=True, exist_ok=True)
    path = scene_path(folder, scene.name)
    half_way = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with half_way.open("wb") as file:
            np.savez(file, **entries)
        half_way.replace(path)
    finally:
        half_way.unlink(missing_ok=True)
    return path


def read_scene(path: Path) -> LabelledScene:
    """Read a scene back. Raises SceneFileError naming the file when it is damaged or of another kind."""
    try:
        with np.load(path) as data:
            return _scene({key: data[key] for key in data.files}, path)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as problem:
        raise SceneFileError(f"{path} is no scene file, or a damaged one ({problem}): remove it and make it anew") from None


def _scene(data: dict[str, NDArray], path: Path) -> LabelledScene:
    stamp = float(data["stamp_s"])
    cameras = [str(name) for name in data["cameras"]]
    positions = data["joint_positions"]
    zero = np.zeros(len(positions))
    return LabelledScene(
        path.name.removesuffix(".scene.npz"),
        [_frame(data, name, stamp) for name in cameras],
        JointState(stamp, tuple(map(str, data["joint_names"])), positions, zero, zero),
        {str(sku): int(n) for sku, n in zip(data["skus"], data["counts"])},
        {name: _picture(data[f"{name}_item"]).astype(np.uint8) for name in cameras},
        _items(data),
    )


def _items(data: dict[str, NDArray]) -> tuple[ItemTruth, ...]:
    parts = np.split(data["planes"], np.cumsum(data["plane_counts"])[:-1]) if len(data["plane_counts"]) else []
    cuts = np.cumsum(data["point_counts"])[:-1]
    points, normals = np.split(data["points"], cuts), np.split(data["normals"].astype(np.float32), cuts)
    first, out = 0, []
    for i, (number, sku, count) in enumerate(zip(data["item_numbers"], data["item_skus"], data["part_counts"])):
        out.append(ItemTruth(int(number), str(sku), tuple(parts[first : first + count]), points[i], normals[i]))
        first += int(count)
    return tuple(out)


def _frame(data: dict[str, NDArray], name: str, stamp: float) -> RgbdFrame:
    color, K = np.ascontiguousarray(_picture(data[f"{name}_color"])[:, :, ::-1]), data[f"{name}_K"]
    depth = _picture(data[f"{name}_depth"]).astype(np.float32) * np.float32(DEPTH_UNIT_M)
    depth[depth == 0] = np.nan
    height, width = color.shape[:2]
    camera = CameraModel(name, width, height, K[0, 0], K[1, 1], K[0, 2], K[1, 2], f"{name}_color_optical_frame")
    return RgbdFrame(camera, stamp, color, depth, data[f"{name}_X_base_camera"])


def _png(picture: NDArray) -> NDArray[np.uint8]:
    ok, data = cv2.imencode(".png", np.ascontiguousarray(picture), _FAST)
    if not ok:
        raise ValueError(f"a picture of shape {picture.shape} and type {picture.dtype} cannot be written as PNG")
    return data.ravel()


def _picture(data: NDArray[np.uint8]) -> NDArray:
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError("a picture in it cannot be decoded")
    return picture
