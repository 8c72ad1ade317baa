"""Solid obstacles, and the exact referee that knows nothing of spheres and fields: pinocchio's kinematics, coal's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coal
import numpy as np
import pinocchio
from numpy.typing import ArrayLike, NDArray

from pickcell.geometry import Pose

Array = NDArray[np.float64]

STEP_RAD = 0.01
"""No joint moves further between two configurations that are looked at."""
SURVEY = 400
OFTEN = 0.9
"""Links that overlap in more than this share of all configurations do so by construction."""

_OVERLAPS: dict[object, set[tuple[int, int]]] = {}
"""Robot -> pairs of its shapes that overlap by construction."""


@dataclass(frozen=True)
class Solid:
    """An obstacle."""

    name: str
    kind: str
    """``box``, ``cylinder`` (axis z) or ``sphere``."""
    X_base_solid: Pose
    size: tuple[float, ...]
    """box: side lengths; cylinder: radius, length; sphere: radius; metres."""


@dataclass(frozen=True)
class Carried:
    """An item on the hand: the convex hull of its surface points (N, 3) in a frame of the robot."""

    frame: str
    points: Array


def _shape(solid: Solid) -> Any:
    if solid.kind == "box":
        return coal.Box(*solid.size)
    if solid.kind == "cylinder":
        return coal.Cylinder(*solid.size)
    return coal.Sphere(solid.size[0])


def _hull(points: Array) -> Any:
    vertices = coal.StdVec_Vec3s()
    for p in np.asarray(points, dtype=float):
        vertices.append(p)
    return coal.Convex.convexHull(vertices, True, "Qt")


class ExactScene:
    """A robot among solids. ``still``: positions of joints that are not the arm's; the others stand at 0.

    Checked are the moving links against all solids (beyond the first joint, which turns the shoulder on the spot), links two
    and more joints apart against each other, and what is carried like a link of the hand that touches nothing of it.
    """

    def __init__(
        self,
        urdf: str,
        arm_joints: Sequence[str],
        solids: Sequence[Solid],
        carried: Carried | None = None,
        still: Mapping[str, float] | None = None,
        margin_m: float = 0.0,
        meshes: Path | None = None,
    ) -> None:
        """``margin_m``: nearer than this counts as touching, for solids only. Raises ValueError for a URDF that pinocchio
        does not read."""
        full = pinocchio.buildModelFromXML(urdf)
        roots = [str(meshes)] if meshes is not None else []
        collision = pinocchio.GeometryType.COLLISION
        shapes = pinocchio.buildGeomFromUrdfString(full, urdf, collision, package_dirs=roots)
        for geometry in shapes.geometryObjects:
            if isinstance(geometry.geometry, coal.BVHModelBase):  # meshes by their convex hull
                geometry.geometry.buildConvexHull(True, "Qt")
                geometry.geometry = geometry.geometry.convex
        rest = pinocchio.neutral(full)
        for name, value in (still or {}).items():
            if full.existJointName(name):
                rest[full.joints[full.getJointId(name)].idx_q] = value
        locked = [full.getJointId(name) for name in full.names[1:] if name not in arm_joints]
        self.model, self.shapes = pinocchio.buildReducedModel(full, shapes, locked, rest)
        self._again = (urdf, tuple(arm_joints), tuple(solids), carried, still, margin_m, meshes)
        self._columns = [self.model.joints[self.model.getJointId(name)].idx_q for name in arm_joints]
        robot = list(range(len(self.shapes.geometryObjects)))
        item = self._add_carried(carried) if carried is not None else None
        base = self.model.frames[self.model.getFrameId("base_link")] if self.model.existFrame("base_link") else None
        X = np.eye(4) if base is None else base.placement.homogeneous
        obstacles = [self._add_solid(solid, X) for solid in solids]
        self._pair(robot, item, obstacles)
        self.data = self.model.createData()
        self.shape_data = pinocchio.GeometryData(self.shapes)
        self._drop_what_always_touches(robot, (urdf, tuple(arm_joints), tuple(sorted((still or {}).items()))))
        for k, pair in enumerate(self.shapes.collisionPairs):
            if pair.second in obstacles or pair.first in obstacles:
                self.shape_data.collisionRequests[k].security_margin = margin_m

    def with_box(self, X_base_box: Pose, size: tuple[float, float, float]) -> ExactScene:
        """The same scene with one more box."""
        urdf, joints, solids, carried, still, margin_m, meshes = self._again
        return ExactScene(
            urdf, joints, (*solids, Solid("one more", "box", X_base_box, size)), carried, still, margin_m, meshes
        )

    def _add_solid(self, solid: Solid, X_world_base: Pose) -> int:
        X = X_world_base @ solid.X_base_solid
        placement = pinocchio.SE3(X[:3, :3], X[:3, 3])
        return int(
            self.shapes.addGeometryObject(pinocchio.GeometryObject(f"solid {solid.name}", 0, placement, _shape(solid)))
        )

    def _add_carried(self, carried: Carried) -> int:
        frame = self.model.frames[self.model.getFrameId(carried.frame)]
        made = pinocchio.GeometryObject("carried", frame.parentJoint, frame.placement, _hull(carried.points))
        return int(self.shapes.addGeometryObject(made))

    def _pair(self, robot: list[int], item: int | None, obstacles: list[int]) -> None:
        joint = [g.parentJoint for g in self.shapes.geometryObjects]
        moving = [k for k in robot if joint[k] > 1] + ([item] if item is not None else [])
        pairs = [(a, b) for a in moving for b in obstacles]
        pairs += [(a, b) for a in robot for b in robot if a < b and abs(joint[a] - joint[b]) >= 2]
        if item is not None:
            pairs += [(a, item) for a in robot if joint[item] - joint[a] >= 3]
        for a, b in pairs:
            self.shapes.addCollisionPair(pinocchio.CollisionPair(a, b))

    def _overlaps(self, robot: list[int]) -> set[tuple[int, int]]:
        """Pairs of the robot's own shapes that touch in nearly all configurations: so they are built."""
        rng = np.random.default_rng(0)
        hits = np.zeros(len(self.shapes.collisionPairs))
        low, high = self.model.lowerPositionLimit, self.model.upperPositionLimit
        for _ in range(SURVEY):
            pinocchio.computeCollisions(self.model, self.data, self.shapes, self.shape_data, rng.uniform(low, high), False)
            hits += [result.isCollision() for result in self.shape_data.collisionResults]
        own, pairs = set(robot), self.shapes.collisionPairs
        often = [pair for pair, count in zip(pairs, hits, strict=True) if count > OFTEN * SURVEY]
        return {(pair.first, pair.second) for pair in often if pair.first in own and pair.second in own}

    def _drop_what_always_touches(self, robot: list[int], key: object) -> None:
        """The same for every scene of a robot, so looked for once."""
        if key not in _OVERLAPS:
            _OVERLAPS[key] = self._overlaps(robot)
        for first, second in _OVERLAPS[key]:
            self.shapes.removeCollisionPair(pinocchio.CollisionPair(first, second))
        self.shape_data = pinocchio.GeometryData(self.shapes)

    def free(self, q: ArrayLike) -> bool:
        """Whether nothing touches at the arm's configuration ``q`` (n,)."""
        full = np.zeros(self.model.nq)
        full[self._columns] = q
        return not pinocchio.computeCollisions(self.model, self.data, self.shapes, self.shape_data, full, True)

    def path_free(self, qs: ArrayLike, step_rad: float = STEP_RAD) -> bool:
        """Whether nothing touches along straight joint motions through ``qs`` (K, n)."""
        rows = np.atleast_2d(np.asarray(qs, dtype=float))
        if not self.free(rows[0]):
            return False
        last = rows[0]
        for k in range(1, len(rows)):
            jump = float(np.max(np.abs(rows[k] - last)))
            if jump < step_rad and k < len(rows) - 1:
                continue
            for f in np.linspace(0.0, 1.0, int(np.ceil(jump / step_rad)) + 1)[1:]:
                if not self.free(last + f * (rows[k] - last)):
                    return False
            last = rows[k]
        return True
