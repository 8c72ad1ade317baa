"""Round trips through messages: what goes out of one node comes into the next unchanged."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pickcell_interfaces.msg", reason="needs the built workspace")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pickcell_interfaces.msg import Outcome as OutcomeMsg
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation

from pickcell.geometry import make_pose
from pickcell.outcome import CODES, Code, Outcome
from pickcell.tracking import Track, TrackState
from pickcell.values import (
    ApproachPlan,
    CameraHealth,
    CameraModel,
    GraspCandidate,
    GraspDecision,
    HeightMap,
    HeldItem,
    Identity,
    Instance,
    JointTrajectory,
    PlacePlan,
    PointCloud,
    Scene,
    SceneView,
    ShapeEstimate,
    Tool,
    VoxelGrid,
)
from pickcell_conversions import clouds, geometry, grasps, motions, outcomes, scenes
from pickcell_conversions.drivers import MessageError, time_msg

few = settings(max_examples=30, deadline=None)
finite = st.floats(-1e3, 1e3)
text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)


def over_the_wire(msg):
    """The message as the other side gets it: through DDS's serialisation (CDR)."""
    return deserialize_message(serialize_message(msg), type(msg))


def pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = np.eye(4)
    X[:3, :3] = Rotation.random(random_state=rng).as_matrix()
    X[:3, 3] = rng.uniform(-2, 2, 3)
    return X


poses = st.integers(0, 2**32 - 1).map(pose)


@st.composite
def point_clouds(draw, max_points=30):
    n = draw(st.integers(0, max_points))
    real = hnp.arrays(np.float32, (n, 3), elements=st.floats(-1e3, 1e3, width=32))
    return PointCloud(draw(real), draw(real), draw(hnp.arrays(np.uint8, (n, 3))))


@st.composite
def shapes(draw):
    cloud = draw(point_clouds())
    confidence = draw(hnp.arrays(np.float32, len(cloud), elements=st.floats(0, 1, width=32)))
    return ShapeEstimate(cloud, confidence, draw(poses), draw(hnp.arrays(float, 3, elements=st.floats(0, 1))))


@st.composite
def candidates(draw):
    return GraspCandidate(
        tool=draw(st.sampled_from(Tool)),
        instance_id=draw(st.integers(1, 2**16)),
        X_base_tcp=draw(poses),
        quality=draw(st.floats(0, 1)),
        width_m=draw(finite),
        opening_m=draw(finite),
        force_n=draw(finite),
        standoff_m=draw(finite),
        max_acceleration_mps2=draw(finite),
        scores=draw(st.dictionaries(text, finite, max_size=4)),
        rejection=draw(text),
    )


@st.composite
def trajectories(draw):
    n, length = draw(st.integers(1, 7)), draw(st.integers(1, 20))
    steps = draw(st.lists(st.integers(1, 10**9), min_size=length, max_size=length))
    times = (np.cumsum(steps) - steps[0]) * 1e-9
    real = hnp.arrays(float, (length, n), elements=finite)
    return JointTrajectory(tuple(f"joint{i}" for i in range(n)), times, draw(real), draw(real))


def same_cloud(a: PointCloud, b: PointCloud) -> None:
    for name in ("points", "normals", "colors"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def same_shape(a: ShapeEstimate, b: ShapeEstimate) -> None:
    same_cloud(a.cloud, b.cloud)
    np.testing.assert_array_equal(a.confidence, b.confidence)
    np.testing.assert_allclose(a.X_base_box, b.X_base_box, atol=1e-12)
    np.testing.assert_array_equal(a.extents_m, b.extents_m)


def same_candidate(a: GraspCandidate, b: GraspCandidate) -> None:
    np.testing.assert_allclose(a.X_base_tcp, b.X_base_tcp, atol=1e-12)
    names = [name for name in GraspCandidate.__dataclass_fields__ if name != "X_base_tcp"]
    assert {n: getattr(a, n) for n in names} == {n: getattr(b, n) for n in names}


def same_trajectory(a: JointTrajectory, b: JointTrajectory) -> None:
    assert a.joint_names == b.joint_names
    np.testing.assert_allclose(a.times_s, b.times_s, atol=1e-9, rtol=0)
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.velocities, b.velocities)


# --- outcomes ----------------------------------------------------------------------------------------------------------


def test_message_constants_are_exactly_the_codes():
    constants = {name: getattr(OutcomeMsg, name) for name in dir(type(OutcomeMsg)) if name[0].isupper() and name.isupper()}
    assert constants == {code.name: code.value for code in Code}


@pytest.mark.parametrize("code", list(Code))
def test_every_code_survives_with_text_and_recovery(code):
    outcome = Outcome(code, "Because of this.")
    msg = over_the_wire(outcomes.outcome_to_msg(outcome))
    assert msg.recovery == CODES[code].recovery.value
    assert msg.resume == (CODES[code].resume.value if CODES[code].resume else "")
    assert outcomes.outcome_from_msg(msg) == outcome
    assert outcomes.code_msg(code).text == CODES[code].sentence


@pytest.mark.parametrize("unknown", ["", "OK", "ok ", "from_the_future"])
def test_unknown_code_is_a_fault_that_names_it_never_a_success(unknown):
    outcome = outcomes.outcome_from_msg(OutcomeMsg(code=unknown, text="Something new."))
    assert outcome.code is Code.INTERNAL_ERROR
    assert f"'{unknown}'" in outcome.text and "Something new." in outcome.text


@few
@given(st.dictionaries(text, finite, max_size=6))
def test_named_values(values):
    assert outcomes.named_values_from_msg(outcomes.named_values_to_msg(values)) == values


@few
@given(st.dictionaries(st.text("abc-1", min_size=1, max_size=8), st.integers(0, 1000), max_size=6))
def test_manifest(manifest):
    assert outcomes.manifest_from_msg(outcomes.manifest_to_msg(manifest)).unwrap() == manifest


@pytest.mark.parametrize(
    ("lines", "said"),
    [([("", 1)], "'sku' is empty"), ([("  ", 1)], "'sku' is empty"), ([("a", -1)], ">= 0"), ([("a", 1), ("a", 2)], "twice")],
)
def test_malformed_manifest(lines, said):
    msgs = [line for sku, count in lines for line in outcomes.manifest_to_msg({sku: count})]
    outcome = outcomes.manifest_from_msg(msgs)
    assert outcome.code is Code.ORDER_MALFORMED and said in outcome.text


# --- geometry and clouds -------------------------------------------------------------------------------------------------


@few
@given(poses)
def test_pose(X):
    np.testing.assert_allclose(geometry.pose_from_msg(over_the_wire(geometry.pose_to_msg(X))), X, atol=1e-12)


def test_pose_that_is_none_is_refused():
    msg = geometry.pose_to_msg(np.eye(4))
    msg.orientation.w = 0.0
    with pytest.raises(MessageError, match="unit quaternion"):
        geometry.pose_from_msg(msg)
    msg = geometry.pose_to_msg(np.eye(4))
    msg.position.x = float("nan")
    with pytest.raises(MessageError, match="finite"):
        geometry.pose_from_msg(msg)


@few
@given(point_clouds())
def test_cloud(cloud):
    back, confidence = clouds.cloud_from_msg(over_the_wire(clouds.cloud_to_msg(cloud, time_msg(1.5))))
    same_cloud(back, cloud)
    assert confidence is None


def test_cloud_fields_in_another_order_and_rows_with_padding():
    cloud = PointCloud(np.arange(12).reshape(4, 3), np.ones((4, 3)), np.arange(12).reshape(4, 3))
    msg = clouds.cloud_to_msg(cloud, time_msg(0.0))
    table = np.frombuffer(msg.data, np.uint8).reshape(4, 28)
    shuffled = np.zeros((2, 2 * 40 + 8), np.uint8)  # 2 x 2 points of 40 bytes, 8 bytes of padding per row
    points = np.zeros((4, 40), np.uint8)
    for field in msg.fields:
        start = 36 - field.offset
        points[:, start : start + 4] = table[:, field.offset : field.offset + 4]
        field.offset = start
    shuffled[:, :80] = points.reshape(2, 80)
    msg.fields = list(reversed(msg.fields))
    msg.height, msg.width, msg.point_step, msg.row_step, msg.data = 2, 2, 40, 88, shuffled.tobytes()
    same_cloud(clouds.cloud_from_msg(msg)[0], cloud)


def test_unusable_clouds_are_refused_with_the_reason():
    cloud = PointCloud(np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3)))
    msg = clouds.cloud_to_msg(cloud, time_msg(0.0))
    msg.data = msg.data[:-1]
    with pytest.raises(MessageError, match="only 83 bytes"):
        clouds.cloud_from_msg(msg)
    msg = clouds.cloud_to_msg(cloud, time_msg(0.0))
    msg.fields = msg.fields[:-1]
    with pytest.raises(MessageError, match="rgb"):
        clouds.cloud_from_msg(msg)


# --- scenes --------------------------------------------------------------------------------------------------------------


@few
@given(shapes())
def test_shape(shape):
    same_shape(scenes.shape_from_msg(over_the_wire(scenes.shape_to_msg(shape, time_msg(0.0)))), shape)


def test_shape_without_confidence_is_refused():
    shape = ShapeEstimate(PointCloud.empty(), np.zeros(0), np.eye(4), np.zeros(3))
    msg = scenes.shape_to_msg(shape, time_msg(0.0))
    msg.cloud = clouds.cloud_to_msg(shape.cloud, time_msg(0.0))
    with pytest.raises(MessageError, match="confidence"):
        scenes.shape_from_msg(msg)


@few
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=12), elements=st.integers(0, 2)))
def test_grid(state):
    grid = VoxelGrid(np.array([0.1, -2.0, 3.0]), 0.02, state)
    back = scenes.grid_from_msg(over_the_wire(scenes.grid_to_msg(grid)))
    np.testing.assert_array_equal(back.state, state)
    np.testing.assert_array_equal(back.origin, grid.origin)
    assert back.resolution_m == grid.resolution_m


@few
@given(st.integers(1, 60_000), st.sampled_from(TrackState), st.floats(0.0, 1.0))
def test_track(number, state, score):
    X = make_pose((0.1, -0.2, 0.3), (0.4, 0.5, 0.6))
    back = scenes.track_from_msg(over_the_wire(scenes.track_to_msg(Track(number, X, state, score))))
    assert (back.id, back.state, back.score) == (number, state, score)
    np.testing.assert_allclose(back.X_base_start, X, atol=1e-12)


def test_track_in_a_state_that_there_is_not():
    msg = scenes.track_to_msg(Track(7, np.eye(4), TrackState.STILL, 1.0))
    msg.state = "flying"
    with pytest.raises(MessageError, match=r"track 7.*flying.*still"):
        scenes.track_from_msg(msg)


def test_grid_raw_and_broken():
    grid = VoxelGrid(np.zeros(3), 0.02, np.arange(24).reshape(2, 3, 4) % 3)
    msg = scenes.grid_to_msg(grid)
    msg.encoding, msg.data = "raw", grid.state.tobytes()
    np.testing.assert_array_equal(scenes.grid_from_msg(msg).state, grid.state)
    msg.data = msg.data[:-1]
    with pytest.raises(MessageError, match="23 bytes"):
        scenes.grid_from_msg(msg)
    msg.encoding = "zlib"
    with pytest.raises(MessageError, match="unpacked"):
        scenes.grid_from_msg(msg)
    msg.encoding = "rar"
    with pytest.raises(MessageError, match="valid: raw, zlib"):
        scenes.grid_from_msg(msg)
    msg.size = np.array([2**31, 2**31, 2**31], np.uint32)
    with pytest.raises(MessageError, match="too large"):
        scenes.grid_from_msg(msg)


@few
@given(poses, hnp.arrays(np.float32, (4, 3), elements=st.floats(-1, 1, width=32) | st.just(float("nan"))))
def test_heightmap(X, height):
    heightmap = HeightMap(X, 0.01, height)
    back = scenes.heightmap_from_msg(over_the_wire(scenes.heightmap_to_msg("source", heightmap)))
    np.testing.assert_array_equal(back.height_m, height)
    np.testing.assert_allclose(back.X_base_map, X, atol=1e-12)


@few
@given(st.none() | st.text("abc", min_size=1), st.floats(0, 1), st.lists(st.tuples(text, st.floats(0, 1)), max_size=5))
def test_identity(sku, confidence, ranking):
    identity = Identity(sku, confidence, tuple(ranking))
    assert scenes.identity_from_msg(over_the_wire(scenes.identity_to_msg(identity))) == identity


def example_scene() -> Scene:
    rng = np.random.default_rng(3)
    camera = CameraModel.from_fov("cam_left", 64, 48, 1.0)
    n = 20
    cloud = PointCloud(rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), rng.integers(0, 255, (n, 3)))
    shape = ShapeEstimate(cloud, rng.random(n), pose(1), np.array([0.3, 0.2, 0.1]))
    instance = Instance(7, cloud.select(np.arange(5)), shape, Identity("mug", 0.8, (("mug", 0.8), ("box", 0.2))), 0.6, 0.9)
    ramp = np.linspace(0, 255, 64 * 48 * 3).reshape(48, 64, 3).astype(np.uint8)
    labels = rng.integers(0, 2**16, (48, 64)).astype(np.uint16)
    return Scene(
        12.345678901,
        (instance,),
        VoxelGrid(np.zeros(3), 0.02, rng.integers(0, 3, (5, 6, 7))),
        {
            "source": HeightMap(pose(2), 0.01, rng.random((4, 5))),
            "destination": HeightMap(pose(3), 0.01, rng.random((2, 2))),
        },
        (SceneView(camera, pose(4), ramp, labels),),
        (CameraHealth("cam_left", True, 0.1, 0.9, ""), CameraHealth("cam_top", False, 3.0, 0.0, "stale")),
        {"fuse": 12.5},
    )


def test_scene():
    scene = example_scene()
    back = scenes.scene_from_msg(over_the_wire(scenes.scene_to_msg(scene)))
    assert back.stamp_s == pytest.approx(scene.stamp_s, abs=1e-9)
    assert (back.cameras, back.timings_ms) == (scene.cameras, scene.timings_ms)
    (a,), (b,) = scene.instances, back.instances
    assert (a.id, a.identity, a.exposure, a.confidence) == (b.id, b.identity, b.exposure, b.confidence)
    same_cloud(a.visible, b.visible)
    same_shape(a.shape, b.shape)
    np.testing.assert_array_equal(back.occupancy.state, scene.occupancy.state)
    assert list(back.heightmaps) == ["source", "destination"]
    (view,) = back.views
    assert view.camera == scene.views[0].camera
    np.testing.assert_array_equal(view.labels, scene.views[0].labels)
    error = np.abs(view.color.astype(int) - scene.views[0].color)
    assert error.mean() < 4, "JPEG may change colours a little, not swap channels"


def test_scene_without_views_keeps_all_that_is_decided_from():
    msg = scenes.scene_to_msg(example_scene(), with_views=False)
    back = scenes.scene_from_msg(msg)
    assert back.views == () and len(back.instances) == 1 and len(back.heightmaps) == 2


def test_scene_in_another_frame_is_refused():
    msg = scenes.scene_to_msg(example_scene())
    msg.header.frame_id = "world"
    with pytest.raises(MessageError, match="'world'"):
        scenes.scene_from_msg(msg)


def test_summary_says_the_same_as_the_instance():
    (instance,) = example_scene().instances
    msg = scenes.summary_to_msg(instance)
    assert (msg.id, msg.visible_points, msg.exposure, msg.confidence) == (7, 5, 0.6, 0.9)
    assert scenes.identity_from_msg(msg.identity) == instance.identity


# --- grasps and motions ----------------------------------------------------------------------------------------------------


@few
@given(st.lists(candidates(), max_size=4), st.lists(candidates(), max_size=3), text)
def test_decision(ranked, rejected, explanation):
    decision = GraspDecision(tuple(ranked), tuple(rejected), explanation)
    back = grasps.decision_from_msg(over_the_wire(grasps.decision_to_msg(decision)))
    assert (len(back.ranked), len(back.rejected), back.explanation) == (len(ranked), len(rejected), explanation)
    for a, b in zip((*ranked, *rejected), (*back.ranked, *back.rejected)):
        same_candidate(a, b)


def test_unknown_tool_is_refused():
    msg = grasps.candidate_to_msg(GraspCandidate(Tool.PINCH, 1, np.eye(4), 0.5))
    msg.tool = "magnet"
    with pytest.raises(MessageError, match=r"'magnet'.*pinch.*suction"):
        grasps.candidate_from_msg(msg)


@few
@given(
    candidates(), trajectories(), trajectories(), trajectories(), st.lists(st.tuples(st.integers(0, 9), text), max_size=3)
)
def test_approach_plan(candidate, approach, contact, lift, tried):
    plan = ApproachPlan(candidate, 3, approach, contact, lift, tuple(tried))
    back = motions.approach_from_msg(over_the_wire(motions.approach_to_msg(plan)))
    same_candidate(back.candidate, candidate)
    assert (back.index, back.tried) == (3, tuple(tried))
    for name in ("approach", "contact", "lift"):
        same_trajectory(getattr(back, name), getattr(plan, name))


@few
@given(poses, trajectories())
def test_place_plan(X, trajectory):
    plan = PlacePlan("destination", X, trajectory, trajectory, trajectory)
    back = motions.place_from_msg(over_the_wire(motions.place_to_msg(plan)))
    assert back.tote == "destination"
    np.testing.assert_allclose(back.X_base_tcp, X, atol=1e-12)
    for name in ("transfer", "lower", "retreat"):
        same_trajectory(getattr(back, name), trajectory)


@few
@given(st.sampled_from(Tool), shapes(), poses, st.floats(1e-3, 10), st.floats(0.1, 10))
def test_held_item(tool, shape, X, mass_kg, acceleration):
    held = HeldItem(tool, shape, X, mass_kg, acceleration)
    back = motions.held_from_msg(over_the_wire(motions.held_to_msg(held)))
    assert (back.tool, back.mass_kg, back.max_acceleration_mps2) == (tool, mass_kg, acceleration)
    same_shape(back.shape, shape)
    np.testing.assert_allclose(back.X_base_tcp_at_grasp, X, atol=1e-12)


@pytest.mark.parametrize("mass", [0.0, -1.0, float("nan"), float("inf")])
def test_held_item_with_an_impossible_mass_is_refused(mass):
    shape = ShapeEstimate(PointCloud.empty(), np.zeros(0), np.eye(4), np.zeros(3))
    msg = motions.held_to_msg(HeldItem(Tool.PINCH, shape, np.eye(4), 0.1, 1.0))
    msg.mass = mass
    with pytest.raises(MessageError, match="mass"):
        motions.held_from_msg(msg)
