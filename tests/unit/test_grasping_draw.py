"""Pictures of grasps: something is drawn where the grasp is, and nothing where it is not."""

from __future__ import annotations

import numpy as np
from grasping_worlds import CELL, FLOOR

from pickcell.geometry import look_at, make_pose
from pickcell.grasping.draw import CHOSEN_RGB, candidate_lines, draw_decision, project
from pickcell.values import CameraModel, GraspCandidate, SceneView, Tool

CAMERA = CameraModel.from_fov("cam", 320, 240, np.deg2rad(60))


def view() -> SceneView:
    X = look_at(FLOOR + np.array([0.0, 0.0, 0.6]), FLOOR, (0.0, 1.0, 0.0))
    labels = np.zeros((240, 320), np.uint16)
    labels[100:140, 130:190] = 7
    return SceneView(CAMERA, X, np.zeros((240, 320, 3), np.uint8), labels)


def grasp(tool: Tool, x: float = 0.0) -> GraspCandidate:
    X = make_pose(FLOOR + np.array([x, 0.0, 0.03]), (np.pi, 0.0, 0.0))
    return GraspCandidate(tool, 7, X, 0.8, width_m=0.04, opening_m=0.06)


def test_lines_have_the_jaw_opening_and_the_cups_radius():
    jaw = candidate_lines(grasp(Tool.PINCH), CELL.hand)[0]
    assert np.isclose(np.linalg.norm(jaw[0] - jaw[-1]), 0.06)
    lip = candidate_lines(grasp(Tool.SUCTION), CELL.hand)[0]
    assert np.allclose(np.linalg.norm(lip - grasp(Tool.SUCTION).X_base_tcp[:3, 3], axis=1), CELL.hand.cup_radius_m)


def test_chosen_grasp_is_drawn_where_it_projects():
    v = view()
    before = np.array(v.color)
    for tool in Tool:
        image = draw_decision(v, [grasp(tool, x=0.05), grasp(tool)], CELL.hand, chosen=0)
        green = np.argwhere((image == CHOSEN_RGB).all(axis=2))
        at = project(v, grasp(tool, x=0.05).X_base_tcp[None, :3, 3])[0]
        assert len(green) > 20
        assert np.linalg.norm(green[:, ::-1] - at, axis=1).min() < 12
    assert np.array_equal(v.color, before)  # the view itself is left alone


def test_outline_alone_when_nothing_was_found():
    image = draw_decision(view(), [], CELL.hand, instance_id=7)
    yellow = np.argwhere((image == (255, 255, 0)).all(axis=2))
    assert yellow.min(axis=0).tolist() == [100, 130] and yellow.max(axis=0).tolist() == [139, 189]


def test_grasp_behind_the_camera_is_left_out():
    behind = GraspCandidate(Tool.PINCH, 7, make_pose(FLOOR + np.array([0, 0, 2.0]), (np.pi, 0, 0)), 0.5, 0.04, 0.06)
    assert not draw_decision(view(), [behind], CELL.hand, instance_id=99).any()
