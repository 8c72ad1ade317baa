"""Exact distances between the robot's collision shapes and solid obstacles, with coal: the referee of planned motions.

Independent of the sphere model and the distance field, and far slower: for tests, benchmarks and doubts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickcell.cell import CellConfig
from pickcell.geometry import Pose
from pickcell.motion.chain import body_poses
from pickcell.motion.model import RobotModel
from pickcell.motion.spheres import mesh_points
from pickcell.motion.urdf import Shape, parse_urdf
from pickcell.motion.world import tote_boxes

Array = NDArray[np.float64]

MISSING = "the exact checker needs coal, which comes with the 'pin' package"


@dataclass(frozen=True)
class Nearest:
    """The smallest distance found, and between what. Negative: depth of the overlap."""

    distance_m: float
    robot: str
    other: str


@dataclass(frozen=True)
class _Solid:
    name: str
    body: int
    X_body_shape: Pose
    shape: Any


def _coal() -> Any:
    try:
        import coal
    except ImportError as error:
        raise ImportError(MISSING) from error
    return coal


def _convex(points: Array) -> Any:
    coal = _coal()
    vertices = coal.StdVec_Vec3s()
    for p in points:
        vertices.append(p)
    return coal.Convex.convexHull(vertices, True, "Qt")


def _solid_of(shape: Shape) -> Any:
    coal = _coal()
    if shape.kind == "box":
        return coal.Box(*shape.size)
    if shape.kind == "cylinder":
        return coal.Cylinder(*shape.size)
    if shape.kind == "sphere":
        return coal.Sphere(shape.size[0])
    return _convex(mesh_points(shape))


class ExactChecker:
    """Distances of one cell's robot from its furniture, from extra boxes, from itself, and of an item on its hand.

    ``obstacles``: (name, X_base_box, side lengths (3,)). ``item``: surface points (N, 3) in ``item_frame``, taken by their
    convex hull. Raises ImportError when coal is missing.
    """

    def __init__(
        self,
        cell: CellConfig,
        urdf: str,
        obstacles: Sequence[tuple[str, Pose, ArrayLike]] = (),
        item: ArrayLike | None = None,
        item_frame: str = "tcp_suction",
    ) -> None:
        coal = _coal()
        self.robot = RobotModel(urdf, cell.arm.joints, cell.hand.jaw_joints, cell.hand.cup_joint)
        solids = [
            _Solid(link, self.robot.frames[link][0], self.robot.frames[link][1] @ s.X_link_shape, _solid_of(s))
            for link, shapes in parse_urdf(urdf).links.items()
            for s in shapes
        ]
        self._robot = solids
        self._pairs = self._self_pairs()
        if item is not None:
            body, X = self.robot.frames[item_frame]
            hull = _convex(np.asarray(item, dtype=float))
            self._robot = [*solids, _Solid("held item", body, X, hull)]
        boxes = [(b.name, b.X_base_box, b.half) for b in tote_boxes(cell)]
        table = np.eye(4)
        table[2, 3] = -cell.base_position[2] - 0.5
        boxes.append(("table", table, np.array([3.0, 3.0, 0.5])))
        boxes += [(name, X, 0.5 * np.asarray(size, dtype=float)) for name, X, size in obstacles]
        self._others = [(str(n), coal.Transform3s(X[:3, :3], X[:3, 3]), coal.Box(*(2.0 * h))) for n, X, h in boxes]
        first = int(np.flatnonzero(self.robot.chain.joint == 0)[0])
        self._fixed_bodies = (0, first)

    def _self_pairs(self) -> list[tuple[int, int]]:
        """Solids of the link pairs that the planner checks too."""
        names = self.robot.links
        wanted = {frozenset((names[a], names[b])) for a, b in self.robot.spheres_local.pairs}
        n = len(self._robot)
        return [
            (i, j) for i in range(n) for j in range(i) if frozenset((self._robot[i].name, self._robot[j].name)) in wanted
        ]

    def _place(self, q: ArrayLike, jaw_opening: float, cup_extended: bool) -> list[Any]:
        coal = _coal()
        bodies = np.empty((len(self.robot.chain.parent), 3, 4))
        body_poses(self.robot.chain, self.robot.full(q, jaw_opening, cup_extended), bodies)
        out = []
        for solid in self._robot:
            B = bodies[solid.body]
            R, p = B[:, :3] @ solid.X_body_shape[:3, :3], B[:, :3] @ solid.X_body_shape[:3, 3] + B[:, 3]
            out.append(coal.Transform3s(R, p))
        return out

    def nearest(
        self, q: ArrayLike, jaw_opening: float = 0.0, cup_extended: bool = True, ignore: Sequence[str] = ()
    ) -> Nearest:
        """Smallest distance at one configuration; obstacles (or "held item", "self") named in ``ignore`` do not count."""
        coal = _coal()
        placed = self._place(q, jaw_opening, cup_extended)
        request, result = coal.DistanceRequest(), coal.DistanceResult()
        request.enable_signed_distance = True
        best = Nearest(np.inf, "", "")
        for k, solid in enumerate(self._robot):
            if solid.body in self._fixed_bodies or solid.name in ignore:
                continue
            for name, X, shape in self._others:
                if name in ignore:
                    continue
                result.clear()
                d = coal.distance(solid.shape, placed[k], shape, X, request, result)
                if d < best.distance_m:
                    best = Nearest(float(d), solid.name, name)
        if "self" not in ignore:
            for i, j in self._pairs:
                result.clear()
                d = coal.distance(self._robot[i].shape, placed[i], self._robot[j].shape, placed[j], request, result)
                if d < best.distance_m:
                    best = Nearest(float(d), self._robot[i].name, self._robot[j].name)
        return best

    def nearest_along(
        self,
        qs: ArrayLike,
        step_rad: float = 0.01,
        jaw_opening: float = 0.0,
        cup_extended: bool = True,
        ignore: Sequence[str] = (),
    ) -> Nearest:
        """Smallest distance along configurations (K, n), each joint motion cut into steps of at most ``step_rad``."""
        rows = np.atleast_2d(np.asarray(qs, dtype=float))
        best = self.nearest(rows[0], jaw_opening, cup_extended, ignore)
        last = rows[0]
        for k in range(1, len(rows)):
            jump = float(np.max(np.abs(rows[k] - last)))
            if jump < step_rad and k < len(rows) - 1:
                continue
            for f in np.linspace(0.0, 1.0, int(np.ceil(jump / step_rad)) + 1)[1:]:
                found = self.nearest(last + f * (rows[k] - last), jaw_opening, cup_extended, ignore)
                if found.distance_m < best.distance_m:
                    best = found
            last = rows[k]
        return best
