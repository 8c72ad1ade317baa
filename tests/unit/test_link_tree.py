# ruff: noqa: E402
"""The URDF's joints as transforms, checked against pinocchio's kinematics on the cell's own robots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

link_tree = pytest.importorskip("pickcell_description.link_tree", reason="needs the built workspace")

import pinocchio as pin

from pickcell.cell import load_cell
from pickcell.description import expand_urdf

CELLS = sorted((Path(__file__).parents[2] / "config/cells").glob("*.yaml"))


def X_root_link(tree, positions, link):
    by_child = {joint.child: joint for joint in tree.joints}
    X = np.eye(4)
    while link in by_child:
        joint = by_child[link]
        X = joint.transform(positions.get(joint.name, 0.0)) @ X
        link = joint.parent
    return X


@pytest.mark.parametrize("path", CELLS, ids=lambda p: p.stem)
def test_agrees_with_pinocchio_on_every_link(path) -> None:
    urdf = expand_urdf(load_cell(path))
    tree = link_tree.parse_link_tree(urdf)
    model = pin.buildModelFromXML(urdf)
    data = model.createData()
    rng = np.random.default_rng(0)
    for _ in range(5):
        q = rng.uniform(-1.0, 1.0, model.nq)
        pin.framesForwardKinematics(model, data, q)
        positions = {model.names[i]: q[model.joints[i].idx_q] for i in range(1, model.njoints)}
        for joint in tree.joints:
            expected = data.oMf[model.getFrameId(joint.child, pin.BODY)].homogeneous
            np.testing.assert_allclose(X_root_link(tree, positions, joint.child), expected, atol=1e-9, err_msg=joint.child)


def test_mimic_joints_follow_their_leader() -> None:
    tree = link_tree.parse_link_tree(
        """<robot name="r"><link name="a"/><link name="b"/><link name="c"/>
        <joint name="lead" type="prismatic"><parent link="a"/><child link="b"/><axis xyz="0 0 2"/></joint>
        <joint name="follow" type="prismatic"><parent link="a"/><child link="c"/><axis xyz="1 0 0"/>
        <mimic joint="lead" multiplier="-2" offset="0.1"/></joint></robot>"""
    )
    assert tree.root == "a"
    assert tree.positions({"lead": 0.25}) == {"lead": 0.25, "follow": pytest.approx(-0.4)}
    assert tree.positions({"lead": 0.25, "follow": 0.5})["follow"] == 0.5
    np.testing.assert_allclose(tree.joints[0].transform(0.3)[:3, 3], [0, 0, 0.3])  # axes are normalised


@pytest.mark.parametrize(
    ("urdf", "says"),
    [
        ("<robot", "not XML"),
        ('<robot><link name="a"/><link name="b"/></robot>', "one root link"),
        ('<robot><link name="a"/><joint name="j" type="floating"/></robot>', "'floating'"),
        ('<robot><link name="a"/><joint name="j" type="fixed"><parent link="a"/></joint></robot>', "'j' lacks"),
        (
            '<robot><link name="a"/><joint name="j" type="fixed"><parent link="a"/><child link="b"/>'
            '<origin xyz="1 2"/></joint></robot>',
            "three numbers",
        ),
        (
            '<robot><link name="a"/><joint name="j" type="revolute"><parent link="a"/><child link="b"/>'
            '<axis xyz="0 0 0"/></joint></robot>',
            "zero axis",
        ),
    ],
)
def test_broken_descriptions_are_explained(urdf, says) -> None:
    with pytest.raises(link_tree.LinkTreeError, match=says):
        link_tree.parse_link_tree(urdf)
