"""What bodies look like: single shapes that can be drawn, and where they sit on the links of a URDF."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pybullet as p

IDENTITY = (0.0, 0.0, 0.0, 1.0)
ORIGIN = (0.0, 0.0, 0.0)

Vector = tuple[float, ...]
Frame = tuple[Vector, Vector]
"""Position and quaternion (x, y, z, w) of a frame in another."""


@dataclass(frozen=True)
class ShapeModel:
    """One primitive or mesh, as PyBullet's ``getVisualShapeData`` reports it."""

    kind: int
    dimensions: Vector
    """Box: full sizes; sphere: radius; cylinder and capsule: length, radius; mesh: scale; plane: normal. Metres."""
    file: str = ""
    rgba: Vector = (1.0, 1.0, 1.0, 1.0)

    def load(self, client: int, position: Vector) -> int:
        """Add it to a client as a body without collision shape; its number."""
        a, b, _ = self.dimensions
        sizes: dict[int, dict[str, object]] = {
            p.GEOM_BOX: {"halfExtents": [0.5 * v for v in self.dimensions]},
            p.GEOM_SPHERE: {"radius": a},
            p.GEOM_CYLINDER: {"length": a, "radius": b},
            p.GEOM_CAPSULE: {"length": a, "radius": b},
            p.GEOM_MESH: {"fileName": self.file, "meshScale": self.dimensions},
            p.GEOM_PLANE: {"planeNormal": self.dimensions},
        }
        visual = p.createVisualShape(self.kind, rgbaColor=self.rgba, physicsClientId=client, **sizes[self.kind])
        return int(p.createMultiBody(0.0, -1, visual, position, physicsClientId=client))


@dataclass(frozen=True)
class UrdfModel:
    """The looks of a URDF: a file, or the text itself (whose meshes have absolute paths)."""

    path: str = ""
    text: str = ""


@dataclass(frozen=True)
class Unseen:
    """The looks of what cannot be seen."""


NOTHING = Unseen()
Model = UrdfModel | ShapeModel | Unseen


@dataclass(frozen=True)
class Part:
    """A shape of a model."""

    link: int
    """PyBullet's link index, -1 for the base."""
    shape: ShapeModel
    in_link: Frame
    """Where it is in the link's own frame."""
    in_base: Frame
    """Where it is in the base's inertial frame with the joints as the model was read."""


@dataclass(frozen=True)
class Looks:
    """A model taken apart."""

    parts: tuple[Part, ...]
    joints: int
    """How many joints the body has, fixed ones included."""


def read_looks(model: Model, angles: tuple[float, ...] = ()) -> Looks:
    """Take a model apart. ``angles``: one per joint, rad or m, fixed joints included; none: all at zero.

    Raises ValueError when there are angles, but not one per joint.
    """
    if isinstance(model, Unseen):
        return Looks((), 0)
    if isinstance(model, ShapeModel):
        return Looks((Part(-1, model, (ORIGIN, IDENTITY), (ORIGIN, IDENTITY)),), 0)
    client = p.connect(p.DIRECT)
    try:
        body = _load(client, model)
        joints = p.getNumJoints(body, physicsClientId=client)
        if angles and len(angles) != joints:
            raise ValueError(f"the model has {joints} joints, {len(angles)} angles were given")
        for index, angle in enumerate(angles):
            p.resetJointState(body, index, angle, physicsClientId=client)
        base = p.getBasePositionAndOrientation(body, physicsClientId=client)
        to_base = p.invertTransform(*base)
        parts = []
        for link, shape, in_link in shapes_of(client, body):
            in_base = p.multiplyTransforms(*to_base, *p.multiplyTransforms(*link_frame(client, body, link), *in_link))
            parts.append(Part(link, shape, in_link, in_base))
        return Looks(tuple(parts), joints)
    finally:
        p.disconnect(client)


def _load(client: int, model: UrdfModel) -> int:
    flags = p.URDF_USE_INERTIA_FROM_FILE | p.URDF_IGNORE_COLLISION_SHAPES
    if model.path:
        return int(p.loadURDF(model.path, flags=flags, physicsClientId=client))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.urdf"
        path.write_text(model.text)
        return int(p.loadURDF(str(path), flags=flags, physicsClientId=client))


def shapes_of(client: int, body: int) -> list[tuple[int, ShapeModel, Frame]]:
    """Link, shape and place in the link's frame of all that a body shows: visual shapes or, of a link without any, the
    collision shapes, as PyBullet draws it then."""
    found = []
    for _, link, kind, dimensions, file, position, quat, rgba in p.getVisualShapeData(body, physicsClientId=client):
        found.append((link, ShapeModel(kind, dimensions, file.decode(), rgba), (position, quat)))
    return found


def link_frame(client: int, body: int, link: int) -> Frame:
    """A link's own frame (not its inertial one) in the world."""
    if link >= 0:
        state = p.getLinkState(body, link, computeForwardKinematics=True, physicsClientId=client)
        return state[4], state[5]
    frame: Frame = p.getBasePositionAndOrientation(body, physicsClientId=client)
    inertial: Frame = p.getDynamicsInfo(body, -1, physicsClientId=client)[3:5]
    if inertial == (ORIGIN, IDENTITY):
        return frame
    moved: Frame = p.multiplyTransforms(*frame, *p.invertTransform(*inertial))
    return moved
