"""Reading captures back (see :mod:`pickcell_sim.items.captures` for how they are made), for scorers and training only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickcell.values import CameraModel, JointState, RgbdFrame


@dataclass(frozen=True)
class LabelledCapture:
    """What the cameras delivered, and the truth about it."""

    name: str
    frames: list[RgbdFrame]
    joints: JointState
    manifest: dict[str, int]
    item_pixels: dict[str, NDArray[np.uint16]]
    """By camera: (H, W) number of the item under each pixel, 0 where none."""
    skus: dict[int, str]
    """SKU of each item number."""

    @property
    def stamp_s(self) -> float:
        return self.joints.stamp_s


def capture_files(folder: Path) -> list[Path]:
    """The captures of a folder that have their truth beside them, sorted. Raises ValueError when there are none."""
    files = sorted(p for p in folder.glob("seed*.npz") if not p.stem.endswith("_truth") and _truth_file(p).exists())
    if not files:
        raise ValueError(f"no captures in {folder}; make some with `python -m pickcell_sim.items frames --folder {folder}`")
    return files


def _truth_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}_truth.npz")


def read_capture(path: Path) -> LabelledCapture:
    """One capture. Raises KeyError naming the entry that a file lacks."""
    data, truth = np.load(path), np.load(_truth_file(path))
    stamp = float(data["stamp_s"])
    names = [str(name) for name in data["cameras"]]
    positions = data["joint_positions"]
    zero = np.zeros(len(positions))
    return LabelledCapture(
        path.stem,
        [_frame(data, name, stamp) for name in names],
        JointState(stamp, tuple(map(str, data["joint_names"])), positions, zero, zero),
        {str(sku): int(n) for sku, n in zip(data["manifest_skus"], data["manifest_counts"])},
        {name: truth[f"{name}_item"] for name in names},
        {int(n): str(sku) for n, sku in zip(truth["item_numbers"], truth["item_skus"])},
    )


def _frame(data: dict[str, NDArray], name: str, stamp: float) -> RgbdFrame:
    color, K = data[f"{name}_color"], data[f"{name}_K"]
    height, width = color.shape[:2]
    camera = CameraModel(name, width, height, K[0, 0], K[1, 1], K[0, 2], K[1, 2], f"{name}_color_optical_frame")
    return RgbdFrame(camera, stamp, color, data[f"{name}_depth_m"], data[f"{name}_X_base_camera"])
