"""The robot model: forward kinematics and Jacobian against pinocchio and finite differences, limits, spheres, bad URDFs."""

import numpy as np
import pinocchio as pin
import pytest
import trimesh
from motion_cells import ARMS, cell, robot, urdf

from pickcell.geometry import inverse, transform_points
from pickcell.motion import RobotModel
from pickcell.motion.spheres import COMMON_FIT, cover_cloud, cover_link
from pickcell.motion.urdf import Shape, UrdfError, parse_urdf

TWO_LINK = """<robot name="r"><link name="base_link"/><link name="a"/><link name="b"/>
<joint name="j1" type="revolute"><parent link="base_link"/><child link="a"/><axis xyz="0 0 1"/>
<limit lower="-1" upper="1" velocity="2"/></joint>
<joint name="j2" type="prismatic"><origin xyz="1 0 0"/><parent link="a"/><child link="b"/><axis xyz="1 0 0"/>
<limit lower="0" upper="0.5" velocity="1"/></joint></robot>"""


def pinocchio_poses(arm, q, jaw, extended, frames):
    model = pin.buildModelFromXML(urdf(arm))
    data = model.createData()
    full = robot(arm).full(q, jaw, extended)
    v = pin.neutral(model)
    hand = cell(arm).hand
    for value, name in zip(full, (*cell(arm).arm.joints, *hand.jaw_joints, hand.cup_joint)):
        v[model.joints[model.getJointId(name)].idx_q] = value
    pin.framesForwardKinematics(model, data, v)
    return {f: data.oMf[model.getFrameId(f)].homogeneous for f in frames}


@pytest.mark.parametrize("arm", ARMS)
def test_forward_kinematics_agrees_with_pinocchio(arm):
    rng = np.random.default_rng(0)
    r = robot(arm)
    frames = ["tcp_pinch", "tcp_suction", "tool0", "finger_left_link", "cup_link", *r.links]
    for extended in (True, False):
        for _ in range(10):
            q, jaw = rng.uniform(r.lower, r.upper), rng.uniform(0.0, 0.1)
            for frame, X in pinocchio_poses(arm, q, jaw, extended, frames).items():
                np.testing.assert_allclose(r.fk(q, frame, jaw, extended), X, atol=1e-9)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("frame", ["tcp_pinch", "tcp_suction", "tool0"])
def test_jacobian_agrees_with_finite_differences(arm, frame):
    r, rng, h = robot(arm), np.random.default_rng(1), 1e-6
    for _ in range(5):
        q = rng.uniform(r.lower, r.upper)
        J, X = r.jacobian(q, frame), r.fk(q, frame)
        for j in range(r.n):
            e = np.eye(r.n)[j] * h
            up, down = r.fk(q + e, frame), r.fk(q - e, frame)
            turn = (up[:3, :3] - down[:3, :3]) / (2 * h) @ X[:3, :3].T
            angular = np.array([turn[2, 1], turn[0, 2], turn[1, 0]])
            np.testing.assert_allclose(J[:3, j], (up[:3, 3] - down[:3, 3]) / (2 * h), atol=1e-7)
            np.testing.assert_allclose(J[3:, j], angular, atol=1e-7)


@pytest.mark.parametrize("arm", ARMS)
def test_limits_are_those_of_the_urdf(arm):
    model = pin.buildModelFromXML(urdf(arm))
    r = robot(arm)
    index = [model.joints[model.getJointId(n)].idx_v for n in cell(arm).arm.joints]
    np.testing.assert_allclose(r.lower, model.lowerPositionLimit[index])
    np.testing.assert_allclose(r.upper, model.upperPositionLimit[index])
    np.testing.assert_allclose(r.velocity, model.velocityLimit[index])


def test_many_poses_at_once_are_the_single_ones():
    r = robot("panda")
    qs = np.random.default_rng(2).uniform(r.lower, r.upper, (7, r.n))
    many = r.fk_many(qs, "tcp_suction")
    for q, X in zip(qs, many):
        np.testing.assert_allclose(X, r.fk(q, "tcp_suction"), atol=1e-12)


def test_the_cup_reaches_its_stroke_further_when_extended_and_the_jaws_stand_apart():
    r, q = robot("panda"), np.array(cell("panda").arm.home)
    out, back = r.fk(q, "tcp_suction", cup_extended=True), r.fk(q, "tcp_suction", cup_extended=False)
    np.testing.assert_allclose((inverse(back) @ out)[:3, 3], [0, 0, cell("panda").hand.cup_stroke_m], atol=1e-12)
    left, right = (r.fk(q, f"finger_{side}_link", jaw_opening=0.06) for side in ("left", "right"))
    assert np.linalg.norm(left[:3, 3] - right[:3, 3]) == pytest.approx(0.06)
    wide = [r.fk(q, f"finger_{side}_link", jaw_opening=9.0)[:3, 3] for side in ("left", "right")]
    assert np.linalg.norm(wide[0] - wide[1]) == pytest.approx(cell("panda").hand.opening_max_m)


def test_a_prismatic_arm_joint_is_supported():
    r = RobotModel(TWO_LINK, ("j1", "j2"))
    X = r.fk([np.pi / 6, 0.25], "b")
    np.testing.assert_allclose(X[:3, 3], [1.25 * np.cos(np.pi / 6), 1.25 * np.sin(np.pi / 6), 0.0], atol=1e-12)
    np.testing.assert_allclose(r.jacobian([0.0, 0.25], "b")[:3], [[0, 1], [1.25, 0], [0, 0]], atol=1e-12)


def surface_points(shape, rng):
    if shape.kind == "box":
        mesh = trimesh.creation.box(extents=shape.size)
    elif shape.kind == "cylinder":
        mesh = trimesh.creation.cylinder(radius=shape.size[0], height=shape.size[1], sections=90)
    else:
        mesh = trimesh.creation.icosphere(subdivisions=4, radius=shape.size[0])
    points = np.vstack([trimesh.sample.sample_surface(mesh, 3000, seed=int(rng.integers(1000)))[0], mesh.vertices])
    return transform_points(shape.X_link_shape, points)


@pytest.mark.parametrize("arm", ARMS)
def test_spheres_cover_every_link_and_bulge_little(arm):
    rng = np.random.default_rng(3)
    for link, shapes in parse_urdf(urdf(arm)).links.items():
        if not shapes:
            continue
        spheres = cover_link(shapes)
        points = np.vstack([surface_points(s, rng) for s in shapes])
        gap = np.min(np.linalg.norm(points[:, None] - spheres[None, :, :3], axis=2) - spheres[:, 3], axis=1)
        assert gap.max() < COMMON_FIT.slack_m + 0.003, link  # the cover was fitted on other samples of the surface
        directions = trimesh.creation.icosphere(subdivisions=2).vertices
        shells = (spheres[:, None, :3] + spheres[:, None, 3:] * directions[None]).reshape(-1, 3)
        out = np.min([outside(s, shells) for s in shapes], axis=0)
        assert out.max() <= COMMON_FIT.bulge_max_m + 1e-9, link


def outside(shape, points):
    """Distance of points outside a primitive from it."""
    p = np.abs(transform_points(inverse(shape.X_link_shape), points))
    if shape.kind == "box":
        return np.linalg.norm(np.maximum(p - 0.5 * np.array(shape.size), 0), axis=1)
    if shape.kind == "sphere":
        return np.maximum(np.linalg.norm(p, axis=1) - shape.size[0], 0)
    radial, axial = np.hypot(p[:, 0], p[:, 1]) - shape.size[0], p[:, 2] - 0.5 * shape.size[1]
    return np.hypot(np.maximum(radial, 0), np.maximum(axial, 0))


def test_spheres_ride_on_their_links():
    r, q = robot("panda"), np.array(cell("panda").arm.home)
    at_zero, at_home = r.spheres(np.zeros(7), 0.05, False), r.spheres(q, 0.05, False)
    np.testing.assert_allclose(at_zero[:, 3], at_home[:, 3])
    of = r.sphere_links()
    for k, link in enumerate(r.links):
        A, B = (r.fk(x, link, 0.05, False) for x in (np.zeros(7), q))
        local = transform_points(inverse(A), at_zero[of == k, :3])
        np.testing.assert_allclose(transform_points(B, local), at_home[of == k, :3], atol=1e-12)


def test_reach_bounds_the_motion_of_all_spheres():
    r, rng = robot("panda"), np.random.default_rng(4)
    worst = 0.0
    for _ in range(300):
        q = rng.uniform(r.lower, r.upper)
        d = rng.normal(size=7) * 1e-4
        moved = np.linalg.norm((r.spheres(q + d, 0.1, True) - r.spheres(q, 0.1, True))[:, :3], axis=1).max()
        worst = max(worst, moved / (r.spheres_local.reach @ np.abs(d)))
    assert 0.3 < worst <= 1.0


@pytest.mark.parametrize("kind", ["random", "line", "point"])
def test_a_cloud_is_inside_its_spheres(kind):
    rng = np.random.default_rng(5)
    points = {
        "random": rng.uniform(-0.05, 0.05, (400, 3)) * [1, 1, 0.2],
        "line": np.column_stack([np.linspace(0, 0.2, 50), np.zeros(50), np.zeros(50)]),
        "point": np.zeros((1, 3)),
    }[kind]
    spheres = cover_cloud(points)
    gap = np.min(np.linalg.norm(points[:, None] - spheres[None, :, :3], axis=2) - spheres[:, 3], axis=1)
    assert gap.max() < 1e-9
    assert len(spheres) <= 60


@pytest.mark.parametrize("size, bulge_m", [((0.105, 0.105, 0.04), 0.019), ((0.072, 0.072, 0.072), 0.012)])
def test_spheres_of_a_seen_box_stand_out_of_it_by_little(size, bulge_m):
    """As much as they stand out, so much higher is a box let go over a floor."""
    points = trimesh.sample.sample_surface_even(trimesh.creation.box(extents=size), 3000, seed=1)[0]
    spheres = cover_cloud(points)
    assert np.max(np.abs(spheres[:, :3]) + spheres[:, 3:] - 0.5 * np.array(size)) < bulge_m


def test_mesh_shapes_are_covered_by_their_hull(tmp_path):
    trimesh.creation.box(extents=(0.1, 0.06, 0.04)).apply_translation([0.2, 0.0, 0.0]).export(tmp_path / "part.stl")
    text = TWO_LINK.replace(
        '<link name="a"/>',
        '<link name="a"><collision><geometry><mesh filename="package://any/part.stl"/></geometry></collision></link>',
    )
    with pytest.raises(UrdfError, match="not found"):
        parse_urdf(text)
    (shape,) = parse_urdf(text, [tmp_path]).links["a"]
    spheres = cover_link([shape])
    corners = np.array([[0.2 + 0.05 * i, 0.03 * j, 0.02 * k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
    gap = np.min(np.linalg.norm(corners[:, None] - spheres[None, :, :3], axis=2) - spheres[:, 3], axis=1)
    assert gap.max() < COMMON_FIT.slack_m + 1e-9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<robot", "not XML"),
        ("<thing/>", "expected <robot>"),
        (TWO_LINK.replace('type="prismatic"', 'type="floating"'), "not one of"),
        (TWO_LINK.replace('<child link="b"/>', '<child link="c"/>'), "no link 'c'"),
        (TWO_LINK.replace('xyz="1 0 0"/><parent', 'xyz="1 0"/><parent'), "expected 3 finite numbers"),
        (TWO_LINK.replace('<axis xyz="0 0 1"/>', '<axis xyz="0 0 0"/>'), "no length"),
        (TWO_LINK.replace('<link name="a"/>', '<link name="a"/><link name="lost"/>'), "one tree"),
    ],
)
def test_a_broken_urdf_is_refused_with_its_reason(text, said):
    with pytest.raises(UrdfError, match=said):
        parse_urdf(text)


def test_caller_mistakes_name_the_choices():
    with pytest.raises(UrdfError, match="j1"):
        RobotModel(TWO_LINK, ("nope",))
    r = robot("panda")
    with pytest.raises(KeyError, match="tcp_pinch"):
        r.fk(np.zeros(7), "tcp")
    with pytest.raises(ValueError, match="7 joint positions"):
        r.fk(np.zeros(6), "tool0")
    with pytest.raises(ValueError, match="finite"):
        r.fk(np.full(7, np.nan), "tool0")
    with pytest.raises(ValueError, match="finite points"):
        cover_cloud(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="not one of"):
        cover_link([Shape("cone", np.eye(4), (1.0,)), Shape("sphere", np.eye(4), (1.0,))])
