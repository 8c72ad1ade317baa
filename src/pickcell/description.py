"""The cell's robot as URDF text, expanded from the xacro files under ``urdf/`` with the cell file's arguments."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import xacro

from pickcell.cell import CellConfig
from pickcell.resources import shared_directory

URDF_DIR_VARIABLE = "PICKCELL_URDF_DIR"


class DescriptionError(ValueError):
    """A robot description that cannot be expanded; the message names the file and what is wrong."""


def urdf_directory() -> Path:
    """The folder with the cell's xacro files: ``$PICKCELL_URDF_DIR`` when set, else ``urdf/``.

    Raises DescriptionError naming the folder when it is not there.
    """
    directory = shared_directory("urdf", URDF_DIR_VARIABLE)
    if not directory.is_dir():
        raise DescriptionError(f"no folder with xacro files at {directory}; set {URDF_DIR_VARIABLE}")
    return directory


def mesh_directory() -> Path | None:
    """The folder of the arms' display meshes (the data package that comes with PyBullet), None where it is not installed.

    The package is located, not imported, so the core stays free of the simulator.
    """
    spec = find_spec("pybullet_data")
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return Path(locations[0]) if locations else None


def expand_urdf(cell: CellConfig, meshes: bool = True) -> str:
    """The URDF of ``cell``'s arm and hand.

    ``meshes``: draw the arm with meshes where they are found; otherwise, and always for collision, with primitive solids.
    Raises DescriptionError when the file is missing, cannot be expanded, or lacks a joint that the cell names.
    """
    path = urdf_directory() / cell.urdf
    text = _expand(path, tuple(sorted(_arguments(cell, meshes).items())))
    missing = [joint for joint in (*cell.arm.joints, *cell.hand.jaw_joints, cell.hand.cup_joint) if f'"{joint}"' not in text]
    if missing:
        raise DescriptionError(f"{path} has no joints {missing}, which the cell '{cell.name}' names")
    return text


def _arguments(cell: CellConfig, meshes: bool) -> dict[str, str]:
    """xacro arguments: the hand's sizes and wrist camera from the cell, overridden by the cell's ``urdf_args``."""
    hand = cell.hand
    wrist = next((c for c in cell.cameras if c.parent == "tool0"), None)
    directory = mesh_directory() if meshes else None
    arguments = {
        "mesh_dir": str(directory) if directory else "",
        "camera_xyz": " ".join(f"{v:g}" for v in wrist.X_parent_camera[:3, 3]) if wrist else "",
        "opening": f"{hand.opening_max_m:g}",
        "pad_width": f"{hand.pad_width_m:g}",
        "finger_thickness": f"{hand.finger_thickness_m:g}",
        "finger_length": f"{hand.finger_length_m:g}",
        "pad_to_tip": f"{hand.pad_to_tip_m:g}",
        "cup_radius": f"{hand.cup_radius_m:g}",
        "cup_stroke": f"{hand.cup_stroke_m:g}",
        "pinch_force": f"{hand.pinch_force_max_n:g}",
    }
    return {**arguments, **cell.urdf_args}


@lru_cache(maxsize=16)
def _expand(path: Path, arguments: tuple[tuple[str, str], ...]) -> str:
    if not path.is_file():
        raise DescriptionError(
            f"no robot description {path}; the folder has {sorted(p.name for p in path.parent.glob('*'))}"
        )
    try:
        document = xacro.process_file(str(path), mappings=dict(arguments))
    except Exception as error:  # xacro raises bare Exceptions, XML and OS errors alike
        raise DescriptionError(f"{path} cannot be expanded: {error}") from error
    return str(document.toprettyxml(indent="  "))
