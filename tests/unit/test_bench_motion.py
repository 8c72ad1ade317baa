"""The bench of motion: its judge against another one, its legs, and problems from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from motion_cells import cell, urdf

from pickcell.geometry import make_pose
from pickcell.motion.exact import ExactChecker
from pickcell.motion.world import tote_boxes
from pickcell_sim.bench.motion.command import PANDA_JOINTS, panda_urdf
from pickcell_sim.bench.motion.legs import BinLegs, bin_cell, settled_boxes
from pickcell_sim.bench.motion.made_problems import write_problems
from pickcell_sim.bench.motion.moveit_problems import ProblemError, find_problems, read_problem
from pickcell_sim.bench.motion.oracle import Oracle
from pickcell_sim.bench.motion.problems import ProblemRobot, run_problems
from pickcell_sim.bench.motion.solid_world import solid_world
from pickcell_sim.bench.motion.solids import ExactScene, Solid

PANDA = cell("panda")
SEED = 3


@pytest.fixture(scope="module")
def robot() -> ProblemRobot:
    return ProblemRobot(panda_urdf(), PANDA_JOINTS.split())


@pytest.fixture(scope="module")
def problems(robot, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("problems")
    write_problems(folder, robot, "panda_hand", 6, SEED)
    return folder


def test_the_judge_agrees_with_the_other_exact_checker():
    solids = [Solid(b.name, "box", b.X_base_box, tuple(2.0 * b.half)) for b in tote_boxes(PANDA)]
    table = make_pose((0.0, 0.0, -PANDA.base_position[2] - 0.5))
    solids.append(Solid("table", "box", table, (6.0, 6.0, 1.0)))
    judge = ExactScene(urdf("panda"), PANDA.arm.joints, solids, still={PANDA.hand.cup_joint: PANDA.hand.cup_stroke_m})
    other = ExactChecker(PANDA, urdf("panda"))
    free, touching = [], []
    for q in np.random.default_rng(0).uniform(other.robot.lower, other.robot.upper, (150, 7)):
        apart = other.nearest(q).distance_m
        if abs(apart) > 1e-4:
            (free if apart > 0.0 else touching).append(judge.free(q))
    assert len(free) > 20 and len(touching) > 20
    assert not any(touching)
    assert np.mean(free) > 0.97, "the judge looks at more pairs of the robot's own links"


def test_boxes_come_to_rest_in_the_bin():
    deep = bin_cell(PANDA)
    boxes = settled_boxes(deep, SEED, 5)
    assert len(boxes) >= 4
    again = settled_boxes(deep, SEED, 5)
    np.testing.assert_array_equal([b.X_base_box for b in boxes], [b.X_base_box for b in again])


def test_legs_are_solvable_by_the_oracle_and_their_ends_are_clear():
    legs = BinLegs(PANDA, 0.004)
    drawn = next(found for seed in range(5) if (found := legs.cycle(seed)))
    assert [leg.name.split(": ")[1] for leg in drawn] == ["to the box", "with the box", "home"]
    limits = legs.planner.core.limits
    for leg in drawn:
        assert leg.careful.free(leg.start) and all(leg.careful.free(q) for q in leg.goals)
    leg = drawn[0]
    path = Oracle(leg.careful, limits.lower, limits.upper).plan(leg.start, leg.goals, 5.0)
    assert len(path) >= 2 and leg.exact.path_free(path)


def test_one_more_box_is_in_the_way():
    leg = next(found for seed in range(5) if (found := BinLegs(PANDA, 0.004).cycle(seed)))[0]
    blocked = leg.exact.with_box(make_pose((0.4, 0.0, 0.3)), (2.0, 2.0, 2.0))
    assert leg.exact.free(leg.start) and not blocked.free(leg.start)


def test_fields_of_solids_are_their_distances():
    solids = [
        Solid("box", "box", make_pose((0.3, 0.0, 0.0), (0.0, 0.0, 0.4)), (0.2, 0.1, 0.06)),
        Solid("can", "cylinder", make_pose((-0.2, 0.1, 0.0), (0.5, 0.0, 0.0)), (0.04, 0.12)),
        Solid("ball", "sphere", make_pose((0.0, -0.3, 0.1)), (0.07,)),
    ]
    world = solid_world(solids, np.full(3, -0.6), np.full(3, 0.6), 0.02)
    value = lambda p: world.fixed[tuple(np.floor((np.asarray(p) + 0.6) / 0.02).astype(int))]
    assert value((0.0, -0.3, 0.1)) < -0.05 and max(value((0.3, 0.0, 0.0)), value((-0.2, 0.1, 0.0))) < -0.015
    assert value((0.01, -0.29, 0.31)) == pytest.approx(0.14, abs=0.02)


def test_problems_are_written_read_and_solved(problems, robot):
    files = list(find_problems(problems))
    assert len(files) == 6
    problem = read_problem(*files[0])
    assert problem.solids and set(problem.goal) == set(robot.joints)
    solved = run_problems(problems, robot)
    assert all(solved.solved) and len(solved.solved) == 6 and not solved.unreadable


def _changed(folder: Path, tmp_path: Path, name: str, change) -> tuple[Path, Path]:
    scene, request = next(find_problems(folder))
    out = {}
    for path in (scene, request):
        data = yaml.safe_load(path.read_text())
        if path.name.startswith(name):
            change(data)
        out[path.name] = tmp_path / path.name
        out[path.name].write_text(yaml.safe_dump(data))
    return out[scene.name], out[request.name]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("scene", lambda d: d.pop("world"), "world"),
        ("scene", lambda d: d["world"]["collision_objects"][0].update(meshes=[{}]), "mesh"),
        ("scene", lambda d: d["world"]["collision_objects"][0]["primitives"][0].update(type="torus"), "torus"),
        (
            "scene",
            lambda d: d["world"]["collision_objects"][0]["primitives"][0].update(dimensions=[1.0, -1.0, 1.0]),
            "positive",
        ),
        ("scene", lambda d: d["world"]["collision_objects"][0]["primitive_poses"].clear(), "poses"),
        ("request", lambda d: d.pop("goal_constraints"), "goal_constraints"),
        ("request", lambda d: d["goal_constraints"][0].pop("joint_constraints"), "joint_constraints"),
        ("request", lambda d: d["start_state"]["joint_state"]["position"].pop(), "as many positions"),
        ("request", lambda d: d["start_state"]["joint_state"]["position"].__setitem__(0, "left"), "left"),
        ("request", lambda d: d["start_state"].update(attached_collision_objects=[{}]), "attached"),
    ],
)
def test_what_cannot_be_read_is_named(problems, tmp_path, name, change, said):
    scene, request = _changed(problems, tmp_path, name, change)
    with pytest.raises(ProblemError, match=said):
        read_problem(scene, request)


def test_an_unreadable_problem_does_not_end_the_run(problems, robot, tmp_path):
    _changed(problems, tmp_path, "scene", lambda d: d.pop("world"))
    solved = run_problems(tmp_path, robot)
    assert len(solved.unreadable) == 1 and not solved.names


def test_nothing_to_solve(tmp_path):
    with pytest.raises(ProblemError, match="no scene"):
        list(find_problems(tmp_path))
    (tmp_path / "scene0001.yaml").write_text("world: {}")
    with pytest.raises(ProblemError, match=r"request0001.yaml is missing"):
        list(find_problems(tmp_path))
