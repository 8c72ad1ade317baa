"""Bin legs: free motions of picks from a deep bin of settled boxes into a tote, with and without a box on the cup."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet
from numpy.typing import NDArray

from pickcell.cell import CellConfig, ToteConfig
from pickcell.description import expand_urdf
from pickcell.geometry import inverse, make_pose, pose_from_quat_xyzw, quat_xyzw_from_pose, transform_points
from pickcell.motion import made_up
from pickcell.motion.checking import Checker, path_clearance
from pickcell.motion.core import Load
from pickcell.motion.field import World
from pickcell.motion.planner import MotionPlanner
from pickcell.motion.world import tote_boxes
from pickcell.values import GraspCandidate, HeldItem, Scene, Tool
from pickcell_sim.bench.motion.solids import Carried, ExactScene, Solid

Array = NDArray[np.float64]

BIN, TOTE = (0.40, 0.60, 0.25), (0.40, 0.30, 0.20)
"""Inner sides, metres."""
BOXES = 15
SETTLE_STEPS = 1200
DT_S = 1.0 / 240.0
ABOVE_M = 0.03
"""Of the tool over a box that it is going to, or that it has just lifted."""
GOALS = 4
"""Turns of the box about the vertical that are as good over the tote."""
NOBODY = np.zeros((0, 4))


@dataclass(frozen=True)
class Leg:
    """One free motion to plan, and who judges it."""

    name: str
    start: Array
    goals: Array
    """(G, n)"""
    load: Load
    checker: Checker
    exact: ExactScene
    """Touching only."""
    careful: ExactScene
    """The same with the margin that OMPL is given."""
    scene: Scene
    held: HeldItem | None


def bin_cell(cell: CellConfig) -> CellConfig:
    """The cell with a deep bin and a tote instead of its own."""
    source = ToteConfig(position=(0.52, 0.0, 0.006), inner=BIN)
    destination = ToteConfig(position=(0.05, 0.58, 0.006), inner=TOTE)
    return cell.model_copy(update={"totes": {"source": source, "destination": destination}})


def settled_boxes(cell: CellConfig, seed: int, count: int = BOXES) -> list[made_up.Box]:
    """Boxes of 4 to 14 cm dropped into the bin one above the other, at rest. What fell beside it is left out."""
    rng = np.random.default_rng([seed, 911])
    client = pybullet.connect(pybullet.DIRECT)
    try:
        pybullet.setGravity(0, 0, -9.81, physicsClientId=client)
        for wall in tote_boxes(cell):
            _body(client, wall.X_base_box, 2.0 * wall.half, 0.0)
        X_base_bin, inner = cell.X_base_tote("source"), np.array(cell.totes["source"].inner)
        bodies, sizes = [], []
        for k in range(count):
            size = rng.uniform([0.05, 0.04, 0.03], [0.14, 0.10, 0.08])
            room = np.maximum(0.5 * inner[:2] - 0.5 * float(np.hypot(size[0], size[1])), 0.0)
            at = [*rng.uniform(-room, room), inner[2] + 0.10 + 0.10 * k]
            X = X_base_bin @ make_pose(at, (0.0, 0.0, rng.uniform(-np.pi, np.pi)))
            bodies.append(_body(client, X, size, 0.3))
            sizes.append(size)
        for _ in range(SETTLE_STEPS):
            pybullet.stepSimulation(physicsClientId=client)
        poses = [pybullet.getBasePositionAndOrientation(b, physicsClientId=client) for b in bodies]
    finally:
        pybullet.disconnect(client)
    boxes = [made_up.Box(pose_from_quat_xyzw(p, q), size) for (p, q), size in zip(poses, sizes, strict=True)]
    local = [(inverse(X_base_bin) @ box.X_base_box)[:3, 3] for box in boxes]
    inside = [np.all(np.abs(p[:2]) < 0.5 * inner[:2]) and 0.0 < p[2] < inner[2] for p in local]
    return [box for box, kept in zip(boxes, inside, strict=True) if kept]


def _body(client: int, X: Array, size: Array, mass_kg: float) -> int:
    half = (0.5 * np.asarray(size)).tolist()
    shape = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, physicsClientId=client)
    turn = quat_xyzw_from_pose(X).tolist()
    return int(pybullet.createMultiBody(mass_kg, shape, -1, X[:3, 3].tolist(), turn, physicsClientId=client))


class BinLegs:
    """Draws legs, three from each cycle: to a box, with it over to the tote, and back home."""

    def __init__(self, cell: CellConfig, careful_m: float) -> None:
        """``careful_m``: margin of :attr:`Leg.careful`."""
        self.cell, self.urdf, self._careful_m = bin_cell(cell), expand_urdf(cell, meshes=False), careful_m
        self.planner = MotionPlanner(self.cell, self.urdf)

    def cycle(self, seed: int) -> list[Leg]:
        """The legs of one cycle; none where no box could be reached with all ends clear by everybody's measure."""
        core = self.planner.core
        boxes = settled_boxes(self.cell, seed)
        scene = made_up.make_scene(self.cell, boxes)
        empty = core.empty_hand(Tool.SUCTION, core.config.suction_jaw_m, True)
        around = core.checker(empty, self.world(scene, None))
        exact = self._judges(boxes, None)
        for index in sorted(range(len(boxes)), key=lambda i: -_top(boxes[i])):
            taken = boxes[index]
            over = _down(taken.X_base_box[:2, 3], _top(taken) + ABOVE_M)
            to_box = self._ends(over, around, exact)
            if not len(to_box):
                continue
            touching = over[0].copy()
            touching[2, 3] -= ABOVE_M
            held = made_up.held(scene, _grasp(index + 1, touching))
            loaded = core.holding(held)
            carrying = core.checker(loaded, self.world(scene, held))
            corners = transform_points(inverse(touching), _corners(taken))
            with_box = self._judges([b for b in boxes if b is not taken], Carried("tcp_suction", corners))
            lifted = self._ends(over[:1], carrying, with_box)
            places = self._ends(self._over_tote(corners), carrying, with_box)
            leave = self._ends(self._over_tote(corners), around, exact)
            if len(lifted) and len(places) and len(leave):
                home = core.home[None, :]
                return [
                    Leg(f"{seed}: to the box", core.home, to_box, empty, around, *exact, scene, None),
                    Leg(f"{seed}: with the box", lifted[0], places, loaded, carrying, *with_box, scene, held),
                    Leg(f"{seed}: home", leave[0], home, empty, around, *exact, scene, None),
                ]
        return []

    def world(self, scene: Scene, held: HeldItem | None) -> World:
        """What is in the way in a scene, for an arm that is out of the cameras' way."""
        worlds = self.planner.core.worlds
        return worlds.full(scene, NOBODY) if held is None else worlds.without(scene, held.shape, NOBODY, unknown=True)

    def _judges(self, boxes: list[made_up.Box], carried: Carried | None) -> tuple[ExactScene, ExactScene]:
        solids = [Solid(f.name, "box", f.X_base_box, tuple(2.0 * f.half)) for f in tote_boxes(self.cell)]
        solids += [Solid(f"box {k}", "box", b.X_base_box, tuple(b.size)) for k, b in enumerate(boxes)]
        table = np.eye(4)
        table[2, 3] = -self.cell.base_position[2] - 0.5
        solids.append(Solid("table", "box", table, (6.0, 6.0, 1.0)))
        hand, jaw = self.cell.hand, 0.5 * self.planner.core.config.suction_jaw_m
        still = {name: jaw for name in hand.jaw_joints} | {hand.cup_joint: hand.cup_stroke_m}
        scenes = [
            ExactScene(self.urdf, self.cell.arm.joints, solids, carried, still, margin) for margin in (0.0, self._careful_m)
        ]
        return scenes[0], scenes[1]

    def _over_tote(self, corners: Array) -> Array:
        """Tool poses (G, 4, 4) with the lowest of the item's ``corners`` 5 cm over the tote's floor."""
        X = self.cell.X_base_tote("destination")
        return _down(X[:2, 3], X[2, 3] + 0.05 + float(corners[:, 2].max()))

    def _ends(self, poses: Array, checker: Checker, judges: tuple[ExactScene, ExactScene]) -> Array:
        """Arm configurations (k, n) at tool poses that everybody finds clear."""
        core = self.planner.core
        solved = core.solvers[Tool.SUCTION].solve(poses, [core.home], seeds=10, count=2)
        qs = np.concatenate([*solved, np.zeros((0, core.robot.n))])
        qs = qs[path_clearance(checker, qs) >= 0.0] if len(qs) else qs
        return np.ascontiguousarray([q for q in qs if judges[1].free(q)]).reshape(-1, core.robot.n)


def _grasp(instance_id: int, X_base_tcp: Array) -> GraspCandidate:
    return GraspCandidate(Tool.SUCTION, instance_id, X_base_tcp, 1.0, 0.0, 0.04, 0.0)


def _corners(box: made_up.Box) -> Array:
    unit = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, -1).T
    return transform_points(box.X_base_box, unit * box.size)


def _top(box: made_up.Box) -> float:
    return float(_corners(box)[:, 2].max())


def _down(xy: Array, z: float) -> Array:
    """Tool poses (GOALS, 4, 4) that point down at a place, at several turns."""
    return np.array(
        [make_pose((xy[0], xy[1], z), (np.pi, 0.0, turn)) for turn in np.linspace(0.0, np.pi, GOALS, endpoint=False)]
    )
