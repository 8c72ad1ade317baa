"""The pictures of a simulated session as a folder that ``./cell calibrate images`` takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pickcell.calibration.board import Board
from pickcell.calibration.pictures import Picture, PictureSession, write_session
from pickcell.cell import CellConfig
from pickcell_sim.calibration.session import Shot


def save_album(folder: Path, cell: CellConfig, board: Board, shots: Sequence[Shot]) -> None:
    """Write colour as PNG, depth as 16-bit PNG in millimetres, and the list of them. OSError when that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, shot in enumerate(shots):
        frame = shot.frame
        file = f"{number:03d}_{frame.camera.name}.png"
        depth = np.nan_to_num(np.rint(1e3 * frame.depth_m), nan=0.0).astype(np.uint16)
        _write(folder / file, cv2.cvtColor(frame.color, cv2.COLOR_RGB2BGR))
        _write(folder / f"{number:03d}_depth.png", depth)
        joints = () if shot.joints is None else tuple(round(float(q), 6) for q in shot.joints)
        pictures.append(
            Picture(camera=frame.camera.name, file=file, place=shot.place, depth=f"{number:03d}_depth.png", joints=joints)
        )
    write_session(folder, PictureSession(board=board.paper, pictures=tuple(pictures)))


def _write(path: Path, picture: NDArray[np.generic]) -> None:
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"cannot write {path}: is the disk full?")
