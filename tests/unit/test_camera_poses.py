"""The file of camera poses beside a cell file: used everywhere, written in one step, and refused when it cannot be right."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from pickcell.calibration.reprojection import moved
from pickcell.camera_poses import (
    CalibratedPose,
    CameraPoses,
    CameraPosesError,
    camera_poses_path,
    read_camera_poses,
    write_camera_poses,
)
from pickcell.cell import CellConfigError, load_cell
from pickcell.description import expand_urdf
from pickcell.geometry import Pose, quat_xyzw_from_pose

PANDA = Path(__file__).resolve().parents[2] / "config/cells/panda.yaml"
DESIGNED = load_cell(PANDA, calibrated=False)
OFF = np.array([0.004, -0.003, 0.002, 0.01, 0.0, -0.01])


@pytest.fixture
def cell_file(tmp_path: Path) -> Path:
    return Path(shutil.copy(PANDA, tmp_path / "panda.yaml"))


def entry(X: Pose, parent: str = "world", **more: object) -> CalibratedPose:
    position, quat = CalibratedPose.numbers(X)
    return CalibratedPose(parent=parent, position=position, quat_xyzw=quat, **more)  # type: ignore[arg-type]


def poses(camera: str = "cam_left", parent: str = "world", off: np.ndarray = OFF) -> CameraPoses:
    X = moved(DESIGNED.camera(camera).X_parent_camera, off)
    return CameraPoses(cell="panda", cameras={camera: entry(X, parent, rms_px=0.1, corners=24, date="today")})


def test_without_a_file_cameras_are_as_designed(cell_file: Path) -> None:
    cell = load_cell(cell_file)
    assert all(camera.calibrated is None for camera in cell.cameras)
    np.testing.assert_array_equal(cell.camera("cam_left").X_parent_camera, cell.camera("cam_left").X_parent_designed)


def test_what_was_written_is_used_and_the_rest_stays(cell_file: Path) -> None:
    write_camera_poses(camera_poses_path(cell_file), poses())
    cell = load_cell(cell_file)
    expected = moved(DESIGNED.camera("cam_left").X_parent_camera, OFF)
    np.testing.assert_allclose(cell.camera("cam_left").X_parent_camera, expected, atol=1e-6)
    np.testing.assert_array_equal(cell.camera("cam_top").X_parent_camera, DESIGNED.camera("cam_top").X_parent_camera)
    again = load_cell(cell_file, calibrated=False)
    assert again.camera("cam_left").calibrated is None


def test_a_link_to_the_cell_file_leads_to_its_calibration(cell_file: Path, tmp_path: Path) -> None:
    """Installed workspaces link to the project's files."""
    write_camera_poses(camera_poses_path(cell_file), poses())
    link = tmp_path / "installed.yaml"
    link.symlink_to(cell_file)
    assert load_cell(link).camera("cam_left").calibrated is not None


def test_the_wrist_camera_moves_in_the_robots_description_too(cell_file: Path) -> None:
    write_camera_poses(camera_poses_path(cell_file), poses("cam_wrist", "tool0"))
    assert expand_urdf(load_cell(cell_file)) != expand_urdf(DESIGNED)


def test_round_trip_keeps_the_file_before_and_the_other_cameras(tmp_path: Path) -> None:
    path = tmp_path / "calibration/panda.yaml"
    first, second = poses(), poses("cam_right")
    write_camera_poses(path, first)
    assert read_camera_poses(path) == first and not path.with_name("panda.yaml.bak").exists()
    write_camera_poses(path, second.with_others_of(first))
    assert set(read_camera_poses(path).cameras) == {"cam_left", "cam_right"}
    assert read_camera_poses(path.with_name("panda.yaml.bak")) == first
    assert not list(path.parent.glob("*.part"))
    assert "docs/calibration.md" in path.read_text()


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "calibration").write_text("in the way")
    with pytest.raises(CameraPosesError, match="cannot write"):
        write_camera_poses(tmp_path / "calibration/panda.yaml", poses())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cell": "iiwa"}, "belongs to the cell 'iiwa'"),
        ({"cameras": {}}, "at least 1"),
        ({"colour": "blue"}, "colour"),
        ({"position": [0.7, 0.38]}, "position"),
        ({"position": [0.7, 0.38, float("nan")]}, "finite"),
        ({"quat_xyzw": [0.0, 0.0, 0.0, 2.0]}, "unit quaternion"),
        ({"position": [2.0, 0.0, 1.0]}, "calibrate anew"),
        ({"quat_xyzw": [0.0, 0.0, 0.0, 1.0]}, "calibrate anew"),
        ({"parent": "tool0"}, "on tool0"),
        ({"parent": "elbow"}, "parent"),
        ({"camera": "cam_back"}, "cam_back"),
    ],
)
def test_a_wrong_file_is_refused_by_name(cell_file: Path, change: dict[str, object], said: str) -> None:
    data = poses().model_dump(mode="json")
    for key, value in change.items():
        if key in ("position", "quat_xyzw", "parent"):
            data["cameras"]["cam_left"][key] = value
        elif key == "camera":
            data["cameras"] = {value: data["cameras"]["cam_left"]}
        else:
            data[key] = value
    path = camera_poses_path(cell_file)
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(CellConfigError, match=said) as refused:
        load_cell(cell_file)
    assert str(path) in str(refused.value)


def test_text_that_is_no_yaml_is_refused(cell_file: Path) -> None:
    path = camera_poses_path(cell_file)
    path.parent.mkdir()
    path.write_text("cameras: [")
    with pytest.raises(CellConfigError, match="not valid YAML"):
        load_cell(cell_file)


def test_numbers_are_a_unit_quaternion() -> None:
    X = moved(np.eye(4), OFF)
    _, quat = CalibratedPose.numbers(X)
    np.testing.assert_allclose(quat, quat_xyzw_from_pose(X), atol=1e-8)
