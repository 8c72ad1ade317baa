"""What a camera sees of a physics world: one render client per process that mirrors where the shapes of its bodies are.

Physics worlds come and go; PyBullet's EGL plugin keeps several megabytes of each that drew through it, and lets only one
client of a process draw at all. So no physics client draws. The :class:`VisualPool` of the process has the one client that
does: each shape (a board of a tote, a link of the robot, a piece of a SKU) is loaded into it once, takes the place of
anything that looks like it, and is parked out of every camera's view while nothing does. A :class:`VisualScene` says what
one physics world looks like, and has the pool show it right before a picture is drawn.

One shape, one body: EGL draws nearer bodies first, but the shapes of one body in an order that depends on all else it has
loaded. Where two of them meet in an edge that order decides the pixel, and pictures would not repeat.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose
from pickcell.values import CameraModel
from pickcell_sim.quiet import quiet_output
from pickcell_sim.vision.looks import (
    IDENTITY,
    NOTHING,
    Frame,
    Looks,
    Model,
    ShapeModel,
    UrdfModel,
    Vector,
    link_frame,
    read_looks,
    shapes_of,
)
from pickcell_sim.vision.rendering import Lighting, Renderer, View, forget_client, load_egl

__all__ = ["NOTHING", "Model", "Placement", "ShapeModel", "UrdfModel", "VisualPool", "VisualScene", "parts_at"]

PARKED_MAX = 128
"""Shapes kept though nothing looks like them now; beyond that those unused for longest are dropped."""
PARKED_AT = (0.0, 0.0, -1000.0)
"""Far behind the cameras' far plane."""
_WARM_UP = 3


@dataclass(frozen=True)
class Placement:
    """One shape that a picture shows."""

    body: int
    """The physics body it is part of."""
    shape: ShapeModel
    position: Vector
    quat_xyzw: Vector
    """Its pose in the world."""


def parts_at(looks: Looks, body: int, base: Frame) -> list[Placement]:
    """A model's shapes with its base's inertial frame at ``base`` and its joints as they were read."""
    return [Placement(body, part.shape, *p.multiplyTransforms(*base, *part.in_base)) for part in looks.parts]


class _Visual:
    """A shape in the render client, and where it was last put."""

    def __init__(self, client: int, shape: ShapeModel) -> None:
        self._client = client
        self.shape = shape
        self.body = shape.load(client, PARKED_AT)
        self._frame: Frame | None = None
        self.unused_since = 0
        """The pool's count of pictures when it was parked."""

    @property
    def parked(self) -> bool:
        return self._frame is None

    def place(self, frame: Frame) -> bool:
        """Put it there; whether it had to be moved."""
        if frame == self._frame:
            return False
        p.resetBasePositionAndOrientation(self.body, *frame, physicsClientId=self._client)
        self._frame = frame
        return True

    def park(self, now: int) -> None:
        """Out of view."""
        p.resetBasePositionAndOrientation(self.body, PARKED_AT, IDENTITY, physicsClientId=self._client)
        self._frame, self.unused_since = None, now

    def remove(self) -> None:
        p.removeBody(self.body, physicsClientId=self._client)


class VisualPool:
    """The render client of a process and what is loaded into it. Get it by :meth:`shared`."""

    def __init__(self, software: bool = False, parked_max: int | None = None) -> None:
        """``software``: draw by TinyRenderer, which goes through parked shapes too: none are kept then."""
        self.client = int(p.connect(p.DIRECT))
        egl = load_egl(self.client, software)
        self._parked_max = parked_max if parked_max is not None else (PARKED_MAX if egl else 0)
        self._renderer = Renderer(self.client)
        self._visuals: dict[ShapeModel, list[_Visual]] = {}
        self._shown: list[_Visual] = []
        self.pictures = 0
        self.loads = 0
        """Shapes loaded so far."""
        self.moves = 0
        """Shapes moved so far."""
        if egl:
            self._warm_up()

    def _warm_up(self) -> None:
        """The first two pictures of an EGL client have other edges of shadows than all later ones."""
        box = ShapeModel(p.GEOM_BOX, (0.1, 0.1, 0.1)).load(self.client, PARKED_AT)
        for _ in range(_WARM_UP):
            self._renderer.render(CameraModel.from_fov("warm_up", 32, 24, 1.0), np.eye(4), with_bodies=True)
        p.removeBody(box, physicsClientId=self.client)

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
        """How many shapes are shown, and how many are parked."""
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
        """Draw a view of the given shapes and nothing else. ``body_ids`` are the placements' bodies."""
        self._show(placements)
        self._renderer.lighting = lighting or Lighting()
        view = self._renderer.render(camera, X_world_camera, with_bodies)
        if view.body_ids is None:
            return view
        bodies = {visual.body: placement.body for visual, placement in zip(self._shown, placements)}
        return replace(view, body_ids=_renumbered(view.body_ids, bodies))

    def _show(self, placements: Sequence[Placement]) -> None:
        """Put shapes where the placements are and park all others."""
        self.pictures += 1
        before, self._shown = self._shown, list(self._assigned(placements))
        kept = {visual.body for visual in self._shown}
        for visual in before:
            if visual.body not in kept:
                visual.park(self.pictures)
        for visual, placement in zip(self._shown, placements):
            self.moves += visual.place((placement.position, placement.quat_xyzw))
        self.drop_parked(keep=self._parked_max)

    def _assigned(self, placements: Sequence[Placement]) -> Iterator[_Visual]:
        """A visual for each placement: the k-th of a shape goes to its k-th placement."""
        taken: dict[ShapeModel, int] = {}
        for placement in placements:
            k = taken.get(placement.shape, 0)
            taken[placement.shape] = k + 1
            alike = self._visuals.setdefault(placement.shape, [])
            if k == len(alike):
                alike.append(_Visual(self.client, placement.shape))
                self.loads += 1
            yield alike[k]

    def drop_parked(self, keep: int = 0) -> None:
        """Forget the longest unused of the parked shapes but so many."""
        excess = self.size[1] - keep
        if excess <= 0:
            return
        parked = [visual for alike in self._visuals.values() for visual in alike if visual.parked]
        for visual in sorted(parked, key=lambda v: (v.unused_since, v.body))[:excess]:
            visual.remove()
            self._visuals[visual.shape].remove(visual)
            if not self._visuals[visual.shape]:
                del self._visuals[visual.shape]

    def close(self) -> None:
        """Disconnect the render client. The next use of :meth:`shared` makes a new pool."""
        if p.isConnected(self.client):
            with quiet_output():
                p.disconnect(self.client)
            forget_client(self.client)
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
        self._models: dict[int, Model] = {}
        self._looks: dict[int, Looks] = {}

    def register(self, body: int, model: Model, angles: tuple[float, ...] = ()) -> None:
        """Draw a physics body as this model: its base's inertial frame where the body's is, its joints as the body's.

        ``angles``: one per joint of the model, for a body that has other joints or none (a rigid stand-in); empty: all
        zero. Bodies that were not registered are drawn by their own visual shapes. NOTHING hides a body.
        """
        self._models[body] = model
        self._looks[body] = _looks(model, angles)

    def forget(self, body: int) -> None:
        """The body is gone (its number may be given out again)."""
        self._models.pop(body, None)
        self._looks.pop(body, None)

    def model_of(self, body: int) -> Model | None:
        """The model a body was registered with, None for those drawn by their own shapes."""
        return self._models.get(body)

    @property
    def pool(self) -> VisualPool:
        return VisualPool.shared(self._software)

    def render(
        self, camera: CameraModel, X_world_camera: Pose, with_bodies: bool = False, lighting: Lighting | None = None
    ) -> View:
        """Draw the world as it is now. ``with_bodies`` adds the physics body under each pixel (a second pass)."""
        return self.pool.draw(self.placements(), camera, X_world_camera, with_bodies=with_bodies, lighting=lighting)

    def placements(self) -> list[Placement]:
        """Every shape there is to see, in the order of the bodies' numbers."""
        client = self._client
        count = p.getNumBodies(physicsClientId=client)
        found: list[Placement] = []
        for body in sorted(p.getBodyUniqueId(i, physicsClientId=client) for i in range(count)):
            looks = self._looks.get(body)
            found += self._own(body) if looks is None else self._registered(body, looks)
        return found

    def _registered(self, body: int, looks: Looks) -> list[Placement]:
        if not looks.parts:
            return []
        base: Frame = p.getBasePositionAndOrientation(body, physicsClientId=self._client)
        joints = p.getNumJoints(body, physicsClientId=self._client) if looks.joints else 0
        if joints == 0 or joints != looks.joints:
            return parts_at(looks, body, base)
        states = p.getLinkStates(body, range(joints), computeForwardKinematics=True, physicsClientId=self._client)
        found = []
        for part in looks.parts:
            frames = (*base, *part.in_base) if part.link < 0 else (*states[part.link][4:6], *part.in_link)
            found.append(Placement(body, part.shape, *p.multiplyTransforms(*frames)))
        return found

    def _own(self, body: int) -> list[Placement]:
        """By the body's own shapes."""
        frames: dict[int, Frame] = {}
        found = []
        for link, shape, in_link in shapes_of(self._client, body):
            if link not in frames:
                frames[link] = link_frame(self._client, body, link)
            found.append(Placement(body, shape, *p.multiplyTransforms(*frames[link], *in_link)))
        return found


_READ: dict[tuple[Model, tuple[float, ...]], Looks] = {}


def _looks(model: Model, angles: tuple[float, ...]) -> Looks:
    """A model taken apart, remembered."""
    key = (model, angles)
    if key not in _READ:
        _READ[key] = read_looks(model, angles)
    return _READ[key]
