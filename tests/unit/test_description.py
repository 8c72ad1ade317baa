"""The robot description: names and geometry that the rest of the cell relies on, for both arms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

from pickcell.cell import CellConfig, load_cell
from pickcell.description import DescriptionError, expand_urdf, mesh_directory, urdf_directory

CELLS = Path(__file__).parents[2] / "config" / "cells"
LINKS = ("base_link", "riser_link", "tool0", "hand_link", "finger_left_link", "finger_right_link", "cup_link", "tcp_pinch")


class Robot:
    """Forward kinematics of an expanded description by pinocchio."""

    def __init__(self, cell: CellConfig) -> None:
        self.cell = cell
        self.model = pin.buildModelFromXML(expand_urdf(cell, meshes=False))
        self.data = self.model.createData()

    def pose(self, frame: str, **joints: float) -> np.ndarray:
        """Pose of a frame in base_link with the arm at home and other joints as given (default 0)."""
        q = pin.neutral(self.model)
        for name, value in {**dict(zip(self.cell.arm.joints, self.cell.arm.home)), **joints}.items():
            q[self.model.joints[self.model.getJointId(name)].idx_q] = value
        pin.framesForwardKinematics(self.model, self.data, q)
        assert self.model.existFrame(frame), frame
        return self.data.oMf[self.model.getFrameId(frame)].homogeneous.copy()


@pytest.fixture(params=["panda", "iiwa"])
def robot(request: pytest.FixtureRequest) -> Robot:
    return Robot(load_cell(CELLS / f"{request.param}.yaml", calibrated=False))


def test_has_the_agreed_links_and_joints(robot: Robot) -> None:
    for link in (*LINKS, "tcp_suction"):
        assert robot.model.existFrame(link), link
    for joint in (*robot.cell.arm.joints, *robot.cell.hand.jaw_joints, robot.cell.hand.cup_joint):
        assert robot.model.existJointName(joint), joint


def test_home_looks_straight_down_with_the_closing_axis_along_y(robot: Robot) -> None:
    X = robot.cell.X_world_base @ robot.pose("tcp_pinch")
    np.testing.assert_allclose(X[:3, 2], [0, 0, -1], atol=1e-3)
    np.testing.assert_allclose(X[:3, 0], [0, 1, 0], atol=1e-3)
    source = robot.cell.totes["source"]
    assert X[2, 3] > source.position[2] + source.inner[2] + 0.05
    low, high = robot.model.lowerPositionLimit, robot.model.upperPositionLimit
    for name, value in zip(robot.cell.arm.joints, robot.cell.arm.home):
        i = robot.model.joints[robot.model.getJointId(name)].idx_q
        assert low[i] + 0.05 < value < high[i] - 0.05, name


def test_wrist_camera_sees_the_whole_floor_of_the_source_tote_from_home(robot: Robot) -> None:
    cell = robot.cell
    camera = cell.camera("cam_wrist")
    X_base_camera = robot.pose("tool0") @ camera.X_parent_camera
    length, width, _ = cell.totes["source"].inner
    corners = np.array([[x * length / 2, y * width / 2, 0, 1] for x in (-1, 1) for y in (-1, 1)])
    in_camera = (np.linalg.inv(X_base_camera) @ cell.X_base_tote("source") @ corners.T)[:3]
    pixels = camera.model.K @ (in_camera / in_camera[2])
    assert np.all(pixels[0] > 0) and np.all(pixels[0] < camera.width)
    assert np.all(pixels[1] > 0) and np.all(pixels[1] < camera.height)


def test_hand_geometry_matches_the_cell_file(robot: Robot) -> None:
    hand = robot.cell.hand
    X_tool_base = np.linalg.inv(robot.pose("tool0"))
    np.testing.assert_allclose((X_tool_base @ robot.pose("tcp_pinch"))[:3, 3], [0, 0, 0.195], atol=1e-9)
    np.testing.assert_allclose((X_tool_base @ robot.pose("tcp_suction"))[:3, 3], [0, 0, 0.145], atol=1e-9)
    extended = X_tool_base @ robot.pose("tcp_suction", **{hand.cup_joint: hand.cup_stroke_m})
    np.testing.assert_allclose(extended[:3, 3], [0, 0, 0.245], atol=1e-9)
    left = X_tool_base @ robot.pose("finger_left_link", jaw_left_joint=0.03)
    right = X_tool_base @ robot.pose("finger_right_link", jaw_right_joint=0.03)
    np.testing.assert_allclose(left[:3, 3] - right[:3, 3], [0.06, 0, 0], atol=1e-9)


def test_panda_flange_agrees_with_its_published_dh_parameters() -> None:
    """Craig's DH table of the FCI documentation, chained by hand at a pose without symmetry."""
    robot = Robot(load_cell(CELLS / "panda.yaml", calibrated=False))
    q = [0.3, -0.7, 0.4, -1.9, -0.5, 1.7, 0.6]
    table = [(0, 0.333, 0), (0, 0, -np.pi / 2), (0, 0.316, np.pi / 2), (0.0825, 0, np.pi / 2)]
    table += [(-0.0825, 0.384, -np.pi / 2), (0, 0, np.pi / 2), (0.088, 0, np.pi / 2)]
    X = np.eye(4)
    for (a, d, alpha), theta in zip(table, q):
        ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
        X = X @ [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
    X[:3, 3] += 0.107 * X[:3, 2]
    tool = robot.pose("tool0", **dict(zip(robot.cell.arm.joints, q)))
    np.testing.assert_allclose(tool[:3, 3], X[:3, 3], atol=1e-9)
    np.testing.assert_allclose(tool[:3, 2], X[:3, 2], atol=1e-9)


def test_inertias_are_physical(robot: Robot) -> None:
    """Principal moments are positive and obey the triangle inequality, as those of any real body."""
    for inertia in list(robot.model.inertias)[1:]:
        moments = np.linalg.eigvalsh(inertia.inertia)
        assert inertia.mass > 0 and moments[0] > 0
        assert moments[0] + moments[1] >= moments[2] * 0.98


def test_errors_name_what_is_wrong() -> None:
    cell = load_cell(CELLS / "panda.yaml", calibrated=False)
    with pytest.raises(DescriptionError, match=r"no robot description .*nowhere\.xacro"):
        expand_urdf(cell.model_copy(update={"urdf": "nowhere.xacro"}))
    with pytest.raises(DescriptionError, match="cannot be expanded"):
        expand_urdf(cell.model_copy(update={"urdf_args": {"arm": "unknown_arm"}}))
    with pytest.raises(DescriptionError, match="panda_joint1"):
        expand_urdf(cell.model_copy(update={"urdf_args": {"arm": "iiwa"}}))


def test_urdf_directory_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PICKCELL_URDF_DIR", str(tmp_path))
    assert urdf_directory() == tmp_path
    monkeypatch.setenv("PICKCELL_URDF_DIR", str(tmp_path / "missing"))
    with pytest.raises(DescriptionError, match="missing"):
        urdf_directory()


def test_display_meshes_exist_where_the_description_names_them() -> None:
    if mesh_directory() is None:
        pytest.skip("no mesh package installed")
    for name in ("panda", "iiwa"):
        text = expand_urdf(load_cell(CELLS / f"{name}.yaml", calibrated=False))
        files = [part.split('"')[0] for part in text.split('filename="')[1:]]
        assert len(files) == 8
        assert all(Path(f).is_file() for f in files)
