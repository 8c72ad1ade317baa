"""The physics world of a cell: table, totes, robot and items in a PyBullet client of their own, stepped at 240 Hz.

Light parts on the cup need a finer step: :meth:`SimWorld.set_substeps` divides it for as long as they are held.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import pybullet as p

from pickcell.cell import CellConfig, ToteConfig
from pickcell.geometry import Pose, quat_xyzw_from_pose
from pickcell_sim.robot.body import RobotBody
from pickcell_sim.vision.looks import Model, UrdfModel
from pickcell_sim.vision.visuals import VisualScene

STEP_S = 1.0 / 240.0
"""Nominal physics step. Suction and pinch were checked against 120 to 960 Hz at this value."""
TOTE_COLOR = (0.30, 0.42, 0.55, 1.0)
TABLE_COLOR = (0.62, 0.60, 0.57, 1.0)
FURNITURE_FRICTION = 0.8
SLEEP_SPEED = 0.012
"""m/s and, times ten, rad/s below which an item counts as settled."""
SLEEP_AFTER_S = 0.3
SLEEP_CHECK_EVERY = 12
LOST_BELOW_M = -1.0
"""There is no floor beside the table: what has fallen this deep stays there."""


class StepClock:
    """Length of the present physics step, for controllers that run once per step."""

    def __init__(self, nominal_s: float = STEP_S) -> None:
        self.nominal_s = nominal_s
        self.substeps = 1

    @property
    def step_s(self) -> float:
        return self.nominal_s / self.substeps


@dataclass
class ItemBody:
    """An item as the world keeps it. ``item_id`` is the simulator's own number: no stage of the pipeline sees it."""

    item_id: int
    body: int
    """PyBullet body; of an item with joints (book, mailer) the base link is its heaviest part and carries its frame."""
    name: str = ""
    shiny: bool = False
    contents: tuple[int, ...] = ()
    """Further bodies that move loose inside it (a bag's filling)."""
    asleep: bool = False
    held: bool = False
    """On the cup: kept awake."""
    still_since_s: float | None = None

    @property
    def bodies(self) -> tuple[int, ...]:
        """All bodies of the item, the one that carries its frame first."""
        return (self.body, *self.contents)


class SimWorld:
    """One PyBullet DIRECT client with the cell's furniture and robot. Use as a context manager, or call ``close``."""

    def __init__(
        self, cell: CellConfig, seed: int = 0, *, sleeping: bool = True, window: bool = False, step_s: float = STEP_S
    ) -> None:
        """``sleeping``: put settled items to sleep (about seven times faster with 20 items); touching wakes them.

        ``step_s``: nominal physics step, for comparisons.
        ``window``: also show the world in PyBullet's window. Raises ValueError when there is no display for it.
        """
        self.cell = cell
        self.seed = seed
        if window and not os.environ.get("DISPLAY"):
            raise ValueError("no display for the simulator's window: set DISPLAY, or run headless")
        self.client: int = p.connect(p.GUI if window else p.DIRECT)
        self.window = window
        """The physics client shows itself: what is loaded into it needs its looks."""
        self.visuals = VisualScene(self.client, software=window)
        """What cameras see: bodies as they were registered, all others by their own shapes."""
        self.clock = StepClock(step_s)
        self.steps = 0
        """Nominal steps done."""
        self.item_bodies: dict[int, ItemBody] = {}
        self.before_step: list[Callable[[], None]] = []
        """Controllers: called in order before each physics step."""
        self.after_step: list[Callable[[], None]] = []
        """Observers: called in order after each physics step."""
        self._owners: dict[int, ItemBody] = {}
        self._sleeping = sleeping
        self._configure()
        self.table = self._add_table()
        self.totes: dict[str, int] = {name: self._add_tote(tote) for name, tote in cell.totes.items()}
        self.robot = RobotBody(cell, self.client, drawn=window)
        self.register_visual(self.robot.body, UrdfModel(text=self.robot.urdf))
        for name in ("base_link", "riser_link"):  # they stand on the table: there is no contact to solve
            if name in self.robot.links:
                link = self.robot.links[name]
                p.setCollisionFilterPair(self.robot.body, self.table, link, -1, 0, physicsClientId=self.client)

    # -- time --------------------------------------------------------------------------------------------------------
    @property
    def time_s(self) -> float:
        """Cell time: nominal steps times their length. Within substeps it is the time of the step they belong to."""
        return self.steps * self.clock.nominal_s

    @property
    def step_s(self) -> float:
        """Length of the present physics step, substeps considered."""
        return self.clock.step_s

    def step(self, n: int = 1) -> None:
        """Advance physics by ``n`` nominal steps. Controllers and observers run in each substep."""
        for _ in range(n):
            for _ in range(self.clock.substeps):
                self._substep()
            self.steps += 1
            if self._sleeping and self.steps % SLEEP_CHECK_EVERY == 0:
                self._put_settled_items_to_sleep()

    def _substep(self) -> None:
        self.robot.begin_phase()
        try:
            for control in self.before_step:
                control()
            p.stepSimulation(physicsClientId=self.client)
            self.robot.begin_phase()
            for observe in self.after_step:
                observe()
        finally:
            self.robot.end_step()

    def set_substeps(self, n: int) -> None:
        """Divide each nominal step into ``n`` physics steps; call it between nominal steps. Raises ValueError for n < 1."""
        if n < 1:
            raise ValueError(f"a step has at least one substep, got {n}")
        if n != self.clock.substeps:
            self.clock.substeps = n
            p.setTimeStep(self.clock.step_s, physicsClientId=self.client)

    # -- bodies ------------------------------------------------------------------------------------------------------
    def add_body(
        self, body: int, item_id: int, *, name: str = "", shiny: bool = False, contents: tuple[int, ...] = ()
    ) -> ItemBody:
        """Register PyBullet bodies of this client as an item. Raises ValueError when the number is taken."""
        if item_id in self.item_bodies:
            raise ValueError(f"item {item_id} exists already; in use: {sorted(self.item_bodies)}")
        item = ItemBody(item_id, body, name, shiny, contents)
        self.item_bodies[item_id] = item
        self._own(item)
        return item

    def register_visual(self, body: int, model: Model, angles: tuple[float, ...] = ()) -> None:
        """Have cameras see a body as this model; see :meth:`VisualScene.register`. ``remove_body`` takes it back."""
        self.visuals.register(body, model, angles)

    def _own(self, item: ItemBody) -> None:
        for body in item.bodies:
            self._owners[body] = item
            if self._sleeping:
                self._activate(body, p.ACTIVATION_STATE_ENABLE_SLEEPING)  # else Bullet wakes it again in the next step

    def swap_bodies(self, item_id: int, body: int, contents: tuple[int, ...] = ()) -> None:
        """Let other bodies of this client be an item, asleep or awake as it was; its former ones are left to the caller.

        Raises KeyError naming the items there are.
        """
        if item_id not in self.item_bodies:
            raise KeyError(f"no item {item_id}; the world has {sorted(self.item_bodies)}")
        item = self.item_bodies[item_id]
        for each in item.bodies:
            del self._owners[each]
        item.body, item.contents = body, contents
        self._own(item)
        state = p.ACTIVATION_STATE_DISABLE_SLEEPING if item.held else p.ACTIVATION_STATE_WAKE_UP
        for each in item.bodies:
            self._activate(each, p.ACTIVATION_STATE_SLEEP if item.asleep else state)

    def remove_body(self, item_id: int) -> None:
        """Take an item out of the world. Raises KeyError naming the items there are."""
        if item_id not in self.item_bodies:
            raise KeyError(f"no item {item_id}; the world has {sorted(self.item_bodies)}")
        for body in self.item_bodies.pop(item_id).bodies:
            del self._owners[body]
            self.visuals.forget(body)
            p.removeBody(body, physicsClientId=self.client)
        for item in self.item_bodies.values():  # it may have lain under others
            self.wake(item.body)

    def _activate(self, body: int, state: int) -> None:
        p.changeDynamics(body, -1, activationState=state, physicsClientId=self.client)

    def item_of_body(self, body: int) -> ItemBody | None:
        """The item that a PyBullet body is, None for furniture and robot."""
        return self._owners.get(body)

    def shiny_bodies(self) -> frozenset[int]:
        """Bodies whose surface reflects like metal or foil, so that depth cameras see holes."""
        return frozenset(body for item in self.item_bodies.values() if item.shiny for body in item.bodies)

    def X_world_link(self, link: str) -> Pose:
        """Pose of a robot link's URDF frame in the world."""
        return self.robot.X_world_link(link)

    def wake(self, body: int) -> None:
        """Wake an item, because something that Bullet does not know of (the cup) is about to act on it."""
        item = self.item_of_body(body)
        for each in item.bodies if item is not None else (body,):
            self._activate(each, p.ACTIVATION_STATE_WAKE_UP)
        if item is not None:
            item.asleep, item.still_since_s = False, None

    def hold_awake(self, body: int) -> None:
        """Keep an item awake until :meth:`release`. No effect on furniture."""
        item = self.item_of_body(body)
        if item is not None and not item.held:
            self.wake(body)
            for each in item.bodies:
                self._activate(each, p.ACTIVATION_STATE_DISABLE_SLEEPING)
            item.held = True

    def release(self, body: int) -> None:
        """Let an item go to sleep again when it settles."""
        item = self.item_of_body(body)
        if item is not None:
            item.held, item.still_since_s = False, None
            if self._sleeping:
                for each in item.bodies:
                    self._activate(each, p.ACTIVATION_STATE_ENABLE_SLEEPING)

    def close(self) -> None:
        """Disconnect from physics; calling twice does no harm."""
        if self.client >= 0:
            p.disconnect(physicsClientId=self.client)
            self.client = -1

    def __enter__(self) -> SimWorld:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- set-up ------------------------------------------------------------------------------------------------------
    def _configure(self) -> None:
        c = self.client
        p.setGravity(0.0, 0.0, -9.81, physicsClientId=c)
        p.setPhysicsEngineParameter(
            fixedTimeStep=self.clock.step_s,
            numSolverIterations=60,
            contactBreakingThreshold=0.002,  # the default of 20 mm lets thin plates float
            deterministicOverlappingPairs=1,
            physicsClientId=c,
        )

    def _add_table(self) -> int:
        half = (0.9, 1.0, 0.025)
        shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=half, physicsClientId=self.client)
        visual = p.createVisualShape(p.GEOM_BOX, halfExtents=half, rgbaColor=TABLE_COLOR, physicsClientId=self.client)
        body = p.createMultiBody(0.0, shape, visual, basePosition=(0.35, 0.1, -half[2]), physicsClientId=self.client)
        p.changeDynamics(body, -1, lateralFriction=FURNITURE_FRICTION, restitution=0.0, physicsClientId=self.client)
        return int(body)

    def _add_tote(self, tote: ToteConfig) -> int:
        """Floor and four walls as one static body whose frame is the tote's."""
        sizes, centres = tote_boxes(tote)
        halves = [list(0.5 * size) for size in sizes]
        kinds = [p.GEOM_BOX] * len(sizes)
        places = [list(centre) for centre in centres]
        shape = p.createCollisionShapeArray(
            shapeTypes=kinds, halfExtents=halves, collisionFramePositions=places, physicsClientId=self.client
        )
        visual = p.createVisualShapeArray(
            shapeTypes=kinds,
            halfExtents=halves,
            visualFramePositions=places,
            rgbaColors=[TOTE_COLOR] * len(sizes),
            physicsClientId=self.client,
        )
        X = tote.X_world_tote
        body = p.createMultiBody(0.0, shape, visual, X[:3, 3], quat_xyzw_from_pose(X), physicsClientId=self.client)
        p.changeDynamics(body, -1, lateralFriction=FURNITURE_FRICTION, restitution=0.0, physicsClientId=self.client)
        return int(body)

    # -- sleeping ----------------------------------------------------------------------------------------------------
    def _put_settled_items_to_sleep(self) -> None:
        """Items that have not moved for a while stop being simulated until something that moves touches them."""
        for item in self.item_bodies.values():
            if item.held:
                continue
            linear, angular = self._speed(item)
            if p.getBasePositionAndOrientation(item.body, physicsClientId=self.client)[0][2] < LOST_BELOW_M:
                for body in item.bodies:
                    p.resetBaseVelocity(body, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), physicsClientId=self.client)
                    self._activate(body, p.ACTIVATION_STATE_SLEEP)
                item.asleep = True
            elif linear > SLEEP_SPEED or angular > 10 * SLEEP_SPEED:
                item.asleep, item.still_since_s = False, None
            elif item.still_since_s is None:
                item.still_since_s = self.time_s
            elif self.time_s - item.still_since_s >= SLEEP_AFTER_S:
                # Said again each time: in a pile, Bullet wakes a sleeper with the last of its neighbours.
                for body in item.bodies:
                    self._activate(body, p.ACTIVATION_STATE_SLEEP)
                item.asleep = True

    def _speed(self, item: ItemBody) -> tuple[float, float]:
        """Largest component of linear (m/s) and angular (rad/s) speed over the item's bodies and joints."""
        fastest, turning = 0.0, 0.0
        for body in item.bodies:
            linear, angular = p.getBaseVelocity(body, physicsClientId=self.client)
            fastest, turning = max(fastest, *map(abs, linear)), max(turning, *map(abs, angular))
            joints = p.getNumJoints(body, physicsClientId=self.client)
            if joints:
                states = p.getJointStates(body, list(range(joints)), physicsClientId=self.client)
                turning = max(turning, *(abs(s[1]) for s in states))
        return fastest, turning


def tote_boxes(tote: ToteConfig) -> tuple[np.ndarray, np.ndarray]:
    """Full sizes (5, 3) and centres (5, 3) in the tote's frame of floor, -x, +x, -y and +y wall, metres."""
    x, y, z = tote.inner
    w = tote.wall
    sizes = [(x + 2 * w, y + 2 * w, w), (w, y + 2 * w, z), (w, y + 2 * w, z), (x, w, z), (x, w, z)]
    offset_x, offset_y = 0.5 * (x + w), 0.5 * (y + w)
    centres = [(0, 0, -w / 2), (-offset_x, 0, z / 2), (offset_x, 0, z / 2), (0, -offset_y, z / 2), (0, offset_y, z / 2)]
    return np.array(sizes, dtype=float), np.array(centres, dtype=float)
