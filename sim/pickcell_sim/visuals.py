"""What a camera sees of a physics world: one render client per process that mirrors poses and joint angles.

Physics worlds come and go; PyBullet's EGL plugin keeps several megabytes of each that drew through it, and lets only one
client of a process draw at all. So no physics client draws. The :class:`VisualPool` of the process has the one client that
does: each visual (a table, a robot, a piece of a SKU) is loaded into it once, takes the place of any body that looks like
it, and is parked out of every camera's view while no body does. A :class:`VisualScene` says what one physics world looks
like, and has the pool show it right before a picture is drawn.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose
from pickcell.values import CameraModel
from pickcell_sim.rendering import Lighting, Renderer, View, load_egl, quiet_output

PARKED_MAX = 64
"""Visuals kept though no body looks like them now; beyond that the one unused for longest is dropped."""
PARKED_AT = (0.0, 0.0, -1000.0)
"""Far behind the cameras' far plane."""
IDENTITY = (0.0, 0.0, 0.0, 1.0)

Vector = tuple[float, ...]


@dataclass(frozen=True)
class UrdfModel:
    """A visual that a URDF describes: a file, or the text itself."""

    path: str = ""
    text: str = ""

    def load(self, client: int) -> int:
        """Add it to a client, without what only physics needs; its body."""
        if self.path:
            return self._load(client, self.path)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.urdf"
            path.write_text(self.text)
            return self._load(client, str(path))

    def _load(self, client: int, path: str) -> int:
        flags = p.URDF_USE_INERTIA_FROM_FILE | p.URDF_IGNORE_COLLISION_SHAPES
        return int(p.loadURDF(path, PARKED_AT, flags=flags, physicsClientId=client))


@dataclass(frozen=True)
class ShapeModel:
    """A single primitive or mesh, as PyBullet's ``getVisualShapeData`` reports it.

    One shape, one body: EGL draws nearer bodies first, but the shapes of one body in an order that depends on all else it
    has loaded. Where two of them meet in an edge that order decides the pixel, and pictures would not repeat.
    """

    kind: int
    dimensions: Vector
    """Box: full sizes; sphere: radius; cylinder and capsule: length, radius; mesh: scale; plane: normal."""
    file: str = ""
    rgba: Vector = (1.0, 1.0, 1.0, 1.0)

    def load(self, client: int) -> int:
        """Add it to a client; its body."""
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
        return int(p.createMultiBody(0.0, -1, visual, PARKED_AT, physicsClientId=client))


@dataclass(frozen=True)
class Unseen:
    """The looks of what cannot be seen."""

    def load(self, client: int) -> int:
        """An empty body: there is nothing to draw."""
        return int(p.createMultiBody(0.0, -1, -1, PARKED_AT, physicsClientId=client))


NOTHING = Unseen()
Model = UrdfModel | ShapeModel | Unseen


@dataclass(frozen=True)
class Placement:
    """One thing that a picture shows."""

    body: int
    """The physics body it stands for."""
    model: Model
    position: Vector
    quat_xyzw: Vector
    """Pose of the base's inertial frame in the world."""
    joints: tuple[Vector, ...] = ()
    """Position of each joint, (x, y, z, w) of a spherical one; of fixed joints it says nothing. Empty: all at zero."""


class _Visual:
    """A body of the render client, and where it was last put."""

    def __init__(self, client: int, model: Model) -> None:
        self.client = client
        self.model = model
        self.body = model.load(client)
        kinds = [p.getJointInfo(self.body, i, physicsClientId=client)[2] for i in range(self._joint_count())]
        self._zero = tuple(IDENTITY if kind == p.JOINT_SPHERICAL else (0.0,) for kind in kinds)
        self._joints = [i for i, kind in enumerate(kinds) if kind != p.JOINT_FIXED]
        self._pose: tuple[Vector, Vector] | None = None
        self._angles = self._zero
        self.used = 0
        """The pool's count of changes when it was last parked."""

    def _joint_count(self) -> int:
        return int(p.getNumJoints(self.body, physicsClientId=self.client))

    @property
    def parked(self) -> bool:
        return self._pose is None

    def place(self, placement: Placement) -> bool:
        """Take a placement's pose and joint positions; whether anything had to be moved."""
        pose = (placement.position, placement.quat_xyzw)
        angles = placement.joints if len(placement.joints) == len(self._zero) else self._zero
        moved = pose != self._pose
        if moved:
            p.resetBasePositionAndOrientation(self.body, *pose, physicsClientId=self.client)
            self._pose = pose
        if angles != self._angles:
            for i in self._joints:
                if angles[i] != self._angles[i]:
                    self._set_joint(i, angles[i])
            self._angles, moved = angles, True
        return moved

    def _set_joint(self, index: int, value: Vector) -> None:
        if len(value) == 1:
            p.resetJointState(self.body, index, value[0], physicsClientId=self.client)
        else:
            p.resetJointStateMultiDof(self.body, index, value, physicsClientId=self.client)

    def park(self, now: int) -> None:
        """Out of view, with the joints as they are."""
        p.resetBasePositionAndOrientation(self.body, PARKED_AT, IDENTITY, physicsClientId=self.client)
        self._pose, self.used = None, now

    def remove(self) -> None:
        p.removeBody(self.body, physicsClientId=self.client)


class VisualPool:
    """The render client of a process and what is loaded into it. Get it by :meth:`shared`."""

    def __init__(self, software: bool = False, parked_max: int | None = None) -> None:
        """``software``: draw by TinyRenderer, which goes through parked visuals too: none are kept then."""
        self.client = int(p.connect(p.DIRECT))
        egl = not software and load_egl(self.client)
        self._parked_max = parked_max if parked_max is not None else (PARKED_MAX if egl else 0)
        self._renderer = Renderer(self.client)
        if egl:
            self._warm_up()
        self._visuals: dict[Model, list[_Visual]] = {}
        self._shown: list[_Visual] = []
        self._changes = 0
        self.loads = 0
        """Visuals loaded so far."""
        self.moves = 0
        """Visuals moved so far."""

    def _warm_up(self) -> None:
        """The first two pictures of an EGL client have other edges of shadows than all later ones."""
        _Visual(self.client, ShapeModel(p.GEOM_BOX, (0.1, 0.1, 0.1)))
        for _ in range(3):
            self._renderer.render(CameraModel.from_fov("warm_up", 32, 24, 1.0), np.eye(4), with_bodies=True)

    @staticmethod
    def shared(software: bool = False) -> VisualPool:
        """This process's pool, made at first use. ``software``, or ``$PICKCELL_RENDERER=tiny``: the one without EGL."""
        software = software or os.environ.get("PICKCELL_RENDERER") == "tiny"
        key = (os.getpid(), software)  # a forked process has no use of its parent's drawing context
        if key not in _POOLS:
            _POOLS[key] = VisualPool(software)
        return _POOLS[key]

    @property
    def backend(self) -> str:
        """``egl`` or ``tiny``."""
        return self._renderer.backend

    @property
    def size(self) -> tuple[int, int]:
        """How many visuals are shown, and how many are parked."""
        return len(self._shown), sum(map(len, self._visuals.values())) - len(self._shown)

    def draw(
        self,
        placements: Sequence[Placement],
        camera: CameraModel,
        X_world_camera: Pose,
        *,
        with_bodies: bool = False,
        lighting: Lighting | None = None,
    ) -> View:
        """Draw a view of the given things and nothing else. ``body_ids`` are the placements' bodies."""
        bodies = self._show(placements)
        self._renderer.lighting = lighting or Lighting()
        view = self._renderer.render(camera, X_world_camera, with_bodies)
        return view if view.body_ids is None else replace(view, body_ids=_renumbered(view.body_ids, bodies))

    def _show(self, placements: Sequence[Placement]) -> dict[int, int]:
        """Put visuals where the placements are and park all others; the physics body of each visual's body."""
        before = self._shown
        self._shown = list(self._assigned(placements))
        kept = set(map(id, self._shown))
        self._changes += 1
        for visual in before:
            if id(visual) not in kept:
                visual.park(self._changes)
        seen = [placement for placement in placements if placement.model != NOTHING]
        self.moves += sum(visual.place(placement) for visual, placement in zip(self._shown, seen))
        self._drop_unused()
        return {visual.body: placement.body for visual, placement in zip(self._shown, seen)}

    def _assigned(self, placements: Sequence[Placement]) -> Iterator[_Visual]:
        """A visual for each thing that can be seen: the k-th of a model goes to its k-th placement."""
        taken: dict[Model, int] = {}
        for placement in placements:
            model = placement.model
            if model == NOTHING:
                continue
            k = taken.get(model, 0)
            taken[model] = k + 1
            alike = self._visuals.setdefault(model, [])
            if k == len(alike):
                alike.append(_Visual(self.client, model))
                self.loads += 1
            yield alike[k]

    def _drop_unused(self) -> None:
        """Forget the longest unused of the parked visuals beyond the most that are kept."""
        excess = self.size[1] - self._parked_max
        if excess <= 0:
            return
        parked = [visual for alike in self._visuals.values() for visual in alike if visual.parked]
        for visual in sorted(parked, key=lambda v: (v.used, v.body))[:excess]:
            visual.remove()
            self._visuals[visual.model].remove(visual)
            if not self._visuals[visual.model]:
                del self._visuals[visual.model]

    def close(self) -> None:
        """Disconnect the render client. The next use of :meth:`shared` makes a new pool."""
        if p.isConnected(self.client):
            with quiet_output():
                p.disconnect(self.client)
        for key in [key for key, pool in _POOLS.items() if pool is self]:
            del _POOLS[key]


_POOLS: dict[tuple[int, bool], VisualPool] = {}


@atexit.register
def _close_pools() -> None:
    for (process, _), pool in list(_POOLS.items()):
        if process == os.getpid():
            pool.close()


def _renumbered(ids: NDArray[np.int32], bodies: dict[int, int]) -> NDArray[np.int32]:
    """Picture of physics bodies from one of the render client's; -1 stays."""
    table = np.full(max(int(ids.max()), *bodies, 0) + 2, -1, np.int32)
    for visual, body in bodies.items():
        table[visual] = body
    return table[ids]  # -1 reads the last entry, which is -1


class VisualScene:
    """What one physics world looks like: which model stands for which of its bodies."""

    def __init__(self, client: int, software: bool = False) -> None:
        """``client``: the physics client. ``software``: never draw through EGL (a window has its own OpenGL context)."""
        self._client = client
        self._software = software
        self._models: dict[int, tuple[Model, tuple[Vector, ...]]] = {}

    def register(self, body: int, model: Model, joints: tuple[Vector, ...] = ()) -> None:
        """Draw a physics body as this model: at the pose of its base, with its joints' positions.

        ``joints``: positions for a model that has joints while the body has none (a rigid stand-in); empty: all zero.
        Bodies that were not registered are drawn from their own visual shapes. NOTHING hides a body.
        """
        self._models[body] = (model, joints)

    def forget(self, body: int) -> None:
        """The body is gone (its number may be given out again)."""
        self._models.pop(body, None)

    def model_of(self, body: int) -> Model | None:
        """The model a body was registered with, None for those drawn from their own shapes."""
        entry = self._models.get(body)
        return None if entry is None else entry[0]

    @property
    def pool(self) -> VisualPool:
        return VisualPool.shared(self._software)

    def render(
        self, camera: CameraModel, X_world_camera: Pose, with_bodies: bool = False, lighting: Lighting | None = None
    ) -> View:
        """Draw the world as it is now. ``with_bodies`` adds the physics body under each pixel (a second pass)."""
        return self.pool.draw(self.placements(), camera, X_world_camera, with_bodies=with_bodies, lighting=lighting)

    def placements(self) -> list[Placement]:
        """Everything there is to see, in the order of the bodies' numbers."""
        client = self._client
        bodies = sorted(p.getBodyUniqueId(i, physicsClientId=client) for i in range(p.getNumBodies(physicsClientId=client)))
        found: list[Placement] = []
        for body in bodies:
            entry = self._models.get(body)
            if entry is not None:
                found.append(self._registered(body, *entry))
            else:
                found += self._from_shapes(body)
        return found

    def _registered(self, body: int, model: Model, joints: tuple[Vector, ...]) -> Placement:
        position, quat = p.getBasePositionAndOrientation(body, physicsClientId=self._client)
        count = p.getNumJoints(body, physicsClientId=self._client)
        if count:
            states = p.getJointStatesMultiDof(body, range(count), physicsClientId=self._client)
            joints = tuple(tuple(state[0]) or (0.0,) for state in states)
        return Placement(body, model, tuple(position), tuple(quat), joints)

    def _from_shapes(self, body: int) -> list[Placement]:
        """One placement per visual shape (or, as PyBullet draws a body without any, per collision shape)."""
        frames: dict[int, tuple[Vector, Vector]] = {}
        found = []
        for _, link, kind, dimensions, file, position, quat, rgba in p.getVisualShapeData(
            body, physicsClientId=self._client
        ):
            if link not in frames:
                frames[link] = self._link_frame(body, link)
            pose = p.multiplyTransforms(*frames[link], position, quat)
            found.append(Placement(body, ShapeModel(kind, dimensions, file.decode(), rgba), *pose))
        return found

    def _link_frame(self, body: int, link: int) -> tuple[Vector, Vector]:
        """Position and orientation of a link's own frame in the world, from that of its inertial frame."""
        client = self._client
        if link >= 0:
            state = p.getLinkState(body, link, computeForwardKinematics=True, physicsClientId=client)
            return tuple(state[4]), tuple(state[5])
        position, quat = p.getBasePositionAndOrientation(body, physicsClientId=client)
        inertial = p.getDynamicsInfo(body, -1, physicsClientId=client)[3:5]
        if inertial[0] == (0.0, 0.0, 0.0) and inertial[1] == IDENTITY:
            return tuple(position), tuple(quat)
        position, quat = p.multiplyTransforms(position, quat, *p.invertTransform(*inertial))
        return tuple(position), tuple(quat)
