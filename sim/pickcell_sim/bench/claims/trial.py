"""One trial of a claim: a single item is taken from one tray by one tool, lifted, carried 0.5 m sideways and set down.

Poses are true, nothing is planned around, no camera looks: what goes wrong is the hold's fault. The hold itself is the
simulator's own cup and jaw, driven as the task drives them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import Pose, inverse, make_pose, quat_xyzw_from_pose
from pickcell.grasping.config import PinchConfig
from pickcell.grasping.hold import buckling_force_n, pinch_hold
from pickcell.task.hold import HoldConfig, holding, sealed
from pickcell.values import RobotReading, Tool
from pickcell_sim.bench.claims.draw import draw
from pickcell_sim.bench.claims.record import Peak, TrialRecord
from pickcell_sim.bench.claims.rig import ABOVE_M, FLOOR_M, FROM, LIFT_M, TO, StraightArm, corners, straight_arm
from pickcell_sim.bench.claims.series import HEAVY_BOX, Series
from pickcell_sim.damage import DamageMonitor, load_damage_limits
from pickcell_sim.driver import SimDriver
from pickcell_sim.items.spawn import item_pose, spawn_item
from pickcell_sim.oracle.shapes import item_surface
from pickcell_sim.ports import SimPorts
from pickcell_sim.scoring.truth import Truth
from pickcell_sim.world import ItemBody

Array = NDArray[np.float64]

RECORD_SHARE = 0.4
"""Values from this share of each limit on are recorded, so that lower limits can be tried afterwards."""
PLACEMENT = 0.2
"""The cup lands off the middle of the face by up to this share of its half sides (assumed: what a good aim leaves)."""
DEEP_OFFSET = 0.35
"""... of a tall heavy box, which is lifted off-centre on purpose."""
OPENING_MARGIN_M = 0.008
"""The jaw needs this much room on each side of the item."""
TIP_GAP_M = 0.0005
"""Finger tips come this near to the floor for flat things."""
PINCH_DEPTH_M = 0.044
"""The pads' middle reaches down this far at most: the retracted cup ends 50 mm behind it."""
PLATE_M = 0.010
"""Thinner items are pinched on their edges: buckling limits the force, as in the product's own choice of it."""
OVERTRAVEL_M = 0.008
SEAL_WAIT_S = 0.35
FULL_VACUUM_S = 0.2
"""From the first sign of a seal to the lift: the line is sucked empty, four time constants of the ejector. (The task spends
it planning the lift.)"""
SETTLE_S, REST_S, FALL_S = 0.3, 0.06, 0.6
LOST_LOOKS = 4
USE_MAX = 2.0
"""More is an impact's spike."""
RELEASE_M = 0.010
"""Set down from this height above the tray, as the product does."""
RETREAT_M = 0.05
BOOKEND_SHARE = 0.45
"""Standing books lean on neighbours of this share of their height."""
BOOKEND_GAP_M = 0.0015


@dataclass(frozen=True)
class _Grasp:
    """Where the tool goes, in the world, straight down."""

    point: Array
    yaws: list[float]
    opening_m: float = 0.0
    force_n: float = 0.0


class Trial:
    """A world of its own with one item; :meth:`run` once, then :meth:`close`."""

    def __init__(self, series: Series, seed: int, number: int, on_step: Callable[[SimDriver], None] | None = None) -> None:
        """``on_step`` is called after each physics step, to watch."""
        self.series, self.number = series, number
        self.drawn = draw(series, seed, number)
        self.arm: StraightArm = straight_arm(series.cup, series.source)
        cell = self.arm.cell
        waiting = cell.arm.model_copy(update={"home": self.arm.waiting})
        self.driver = SimDriver.create(cell.model_copy(update={"arm": waiting}), 7919 * seed + number, cameras=False)
        self.ports, self.truth, self.hold = SimPorts(self.driver), Truth(self.driver), HoldConfig()
        self.world = self.driver.world
        self.item = self._put_item()
        self.monitor = DamageMonitor(self.world, load_damage_limits(), driver=self.driver, watched_share=RECORD_SHARE)
        self._looks = 0
        self._speeds: list[Array] = []
        self._use = 0.0
        if on_step is not None:
            self.world.after_step.append(lambda: on_step(self.driver))

    def close(self) -> None:
        self.driver.close()

    # -- the item ----------------------------------------------------------------------------------------------------
    def _put_item(self) -> ItemBody:
        """The item in its posture on the tray, at rest, the hand out of the way above."""
        d, world = self.drawn, self.world
        X = np.eye(4)
        X[:3, :3] = d.posture
        size = np.asarray(d.spec.size_m)
        low = corners(size, X)[:, 2].min()
        X[:3, 3] = [*(FROM + d.place), FLOOR_M - low + 0.001]
        item = spawn_item(world, d.spec.sku, X)
        if self.series.kind == HEAVY_BOX:
            info = p.getDynamicsInfo(item.body, -1, physicsClientId=world.client)
            inertia = (np.array(info[2]) * d.mass_kg / info[0]).tolist()
            p.changeDynamics(item.body, -1, mass=d.mass_kg, localInertiaDiagonal=inertia, physicsClientId=world.client)
        if self.series.posture == "standing":
            self._add_bookends(X, size)
        self.driver.advance(SETTLE_S)
        return item

    def _add_bookends(self, X: Pose, size: Array) -> None:
        """Two fixed low blocks that keep a book upright, like its neighbours in a tote."""
        height = BOOKEND_SHARE * float(np.ptp(corners(size, X)[:, 2]))
        across = X[:3, 2]  # a book's thickness
        half = np.array([0.06, 0.01, 0.5 * height])
        quat = make_pose((0, 0, 0), (0, 0, np.arctan2(-across[0], across[1])))
        for side in (-1.0, 1.0):
            centre = X[:3, 3] + side * (0.5 * size[2] + BOOKEND_GAP_M + half[1]) * across
            shape = p.createCollisionShape(p.GEOM_BOX, halfExtents=half.tolist(), physicsClientId=self.world.client)
            p.createMultiBody(
                0.0,
                shape,
                -1,
                [centre[0], centre[1], FLOOR_M + half[2]],
                quat_xyzw_from_pose(quat).tolist(),
                physicsClientId=self.world.client,
            )

    # -- the trial ---------------------------------------------------------------------------------------------------
    def run(self) -> TrialRecord:
        """Take it over. Deterministic."""
        grasp = self._suction_grasp() if self.series.tool is Tool.SUCTION else self._pinch_grasp()
        if grasp is None:
            return self._record("no_access", "wider than the jaw opens")
        route = self.arm.route(self.series.tool, grasp.point, grasp.yaws)
        if route is None:
            return self._record("no_way", "out of the arm's reach")
        self._start_above(route.q_above)
        if self.series.tool is Tool.SUCTION:
            self.ports.set_vacuum(True)
            self.ports.set_jaw(0.04, 10.0)
        else:
            self.ports.set_jaw(grasp.opening_m, 10.0)
        if not self._take(grasp):
            return self._record("no_hold", "no seal" if self.series.tool is Tool.SUCTION else "nothing between the pads")
        for outcome, step in (("lost_lift", self._lift), ("lost_carry", self._carry), ("lost_lower", self._lower)):
            if not step():
                why = self.driver.cup.last_break if self.series.tool is Tool.SUCTION else "slid out"
                self.driver.advance(FALL_S)
                return self._record(outcome, why)
        self._release()
        return self._record("delivered" if self._arrived() else "misplaced", "")

    def _arrived(self) -> bool:
        """Is the item's centre over the second tray? However high: tall items stand out of a low tray."""
        tray = self.world.cell.totes["destination"]
        place = (inverse(tray.X_world_tote) @ item_pose(self.world, self.item))[:3, 3]
        return bool(np.all(np.abs(place[:2]) < 0.5 * np.asarray(tray.inner[:2])) and place[2] > 0.0)

    def _start_above(self, q: Array) -> None:
        """The hand stands over the grasp when the trial begins: the way there is no part of it."""
        arm, robot = self.driver.arm, self.world.robot
        for name, value in zip(arm.names, q):
            p.resetJointState(robot.body, robot.joints[name], float(value), physicsClientId=self.world.client)
        arm.desired, arm.position, arm.velocity = q.copy(), q.copy(), np.zeros(len(q))

    def _suction_grasp(self) -> _Grasp:
        """On the top, off its middle as drawn."""
        points = item_surface(self.world.client, self.item).vertices
        share = DEEP_OFFSET if self.series.posture == "tall" else PLACEMENT
        X = item_pose(self.world, self.item)
        sides = _horizontal_axes(X, np.asarray(self.drawn.spec.size_m))
        point = _middle_at(X, float(points[:, 2].max()))
        for (axis, length), offset in zip(sides, self.drawn.offset):
            room = max(0.5 * length - self.driver.cup.cup.radius_m - 0.003, 0.0)
            point += X[:3, axis] * float(np.clip(0.5 * share * length * offset, -room, room))
        return _Grasp(point, [0.0, 0.5 * np.pi, np.pi, -0.5 * np.pi])

    def _pinch_grasp(self) -> _Grasp | None:
        """Across the narrower horizontal side, the pads as deep as the middle if the fingers reach; None when too wide."""
        spec, hand = self.drawn.spec, self.world.cell.hand
        X = item_pose(self.world, self.item)
        sides = _horizontal_axes(X, np.asarray(spec.size_m))
        (axis, width), (_, breadth) = sorted(sides, key=lambda side: side[1])
        opening = width + 2.0 * OPENING_MARGIN_M
        if opening > hand.opening_max_m:
            return None
        top = item_surface(self.world.client, self.item).vertices[:, 2].max()
        lowest = FLOOR_M + hand.pad_to_tip_m + TIP_GAP_M
        if self.series.posture == "standing":  # above its neighbours
            lowest = FLOOR_M + BOOKEND_SHARE * (top - FLOOR_M) + hand.pad_to_tip_m + 0.004
        z = max(lowest, top - PINCH_DEPTH_M, float(X[2, 3]))
        direction = X[:3, axis]
        yaw = float(np.arctan2(direction[1], direction[0]))
        return _Grasp(_middle_at(X, z), [yaw, yaw + np.pi], opening, self._pinch_force(width, breadth, top - FLOOR_M))

    def _pinch_force(self, width: float, breadth: float, height: float) -> float:
        """By the product's own rule: what friction needs at this acceleration, within hand's and plate's limits."""
        hand, config = self.world.cell.hand, PinchConfig()
        allowed = hand.pinch_force_max_n
        if height < PLATE_M:
            critical = float(buckling_force_n(height, width, breadth, config.youngs_modulus_pa))
            allowed = min(allowed, config.crush_share * critical)
        radius = 0.5 * min(hand.pad_width_m, hand.pad_height_m)
        found = pinch_hold(
            self.drawn.mass_kg, np.zeros(1), np.array([radius]), np.zeros(1), np.array([allowed]),
            self.series.acceleration, config,
        )  # fmt: skip
        return float(found.force_n[0])

    # -- stages ------------------------------------------------------------------------------------------------------
    def _move(
        self,
        offset: tuple[float, float, float],
        stop: Callable[[RobotReading], str | None] | None = None,
        speed: float | None = None,
        slow_m: float = 0.0,
    ) -> str:
        """Straight by ``offset``; what stopped it, "" at its end."""
        acceleration = self.series.acceleration if speed is None else 1.0
        given = {} if speed is None else {"speed": speed}
        line = self.arm.line(
            self.series.tool, self.driver.arm.desired, np.array(offset), acceleration, slow_m=slow_m, **given
        )
        if line is None:
            return "the arm cannot go on"
        ended = self.ports.execute(line, stop)
        return ended.value or "" if ended.ok else ended.text

    def _take(self, grasp: _Grasp) -> bool:
        tared = self.driver.wrench().force_n[2]

        def contact(reading: RobotReading) -> str | None:
            if self.series.tool is Tool.SUCTION and sealed(reading, self.hold):
                return "sealed"
            push = abs(float(reading.wrench.force_n[2] - tared))
            return "pressed" if push > self.hold.contact_force_n else None

        down = ABOVE_M + (OVERTRAVEL_M if self.series.tool is Tool.SUCTION else 0.0)
        self._move((0.0, 0.0, -down), contact, speed=self.world.cell.arm.contact_speed)
        if self.series.tool is Tool.PINCH:
            closed = self.ports.set_jaw(0.0, grasp.force_n)
            reading = self.driver.reading()
            return (
                closed.ok and holding(reading, Tool.PINCH, self.hold).ok and self.item.item_id in self.truth.hand().pinched
            )
        end_s = self.driver.now_s + SEAL_WAIT_S
        while self.driver.now_s < end_s and not sealed(self.driver.reading(), self.hold):
            self.driver.step()
        if sealed(self.driver.reading(), self.hold):
            self.driver.advance(FULL_VACUUM_S)
        return holding(self.driver.reading(), Tool.SUCTION, self.hold).ok

    def _gone(self, _: RobotReading) -> str | None:
        """Has the item left the hand? Asked every 10 ms."""
        load = self.truth.hand()
        held = load.sucked if self.series.tool is Tool.SUCTION else (self.item.item_id if load.pinched else None)
        if load.sucked is not None:
            self._use = max(self._use, min(load.peel_use, USE_MAX))
        self._looks = 0 if held is not None else self._looks + 1
        patience = 1 if self.series.tool is Tool.SUCTION else LOST_LOOKS
        return "gone" if self._looks >= patience else None

    def _lift(self) -> bool:
        stopped = self._move((0.0, 0.0, LIFT_M), self._gone)
        if not stopped:
            self.driver.advance(REST_S)
        return not stopped and self._gone(self.driver.reading()) is None

    def _carry(self) -> bool:
        self.world.after_step.append(self._watch_speed)
        stopped = self._move((*(TO - FROM), 0.0), self._gone)
        self.world.after_step.remove(self._watch_speed)
        if not stopped:
            self.driver.advance(REST_S)
        return not stopped and self._gone(self.driver.reading()) is None

    def _lower(self) -> bool:
        lowest = item_surface(self.world.client, self.item).vertices[:, 2].min()
        depth = float(lowest - FLOOR_M - RELEASE_M)
        stopped = ""
        if depth > 0.005:
            tared = self.driver.wrench().force_n

            def down(reading: RobotReading) -> str | None:
                change = float(np.linalg.norm(reading.wrench.force_n - tared))
                slow = np.abs(reading.joints.velocities[:7]).max() < 0.3
                return self._gone(reading) or ("touched" if slow and change > self.hold.touchdown_force_n else None)

            stopped = self._move((0.0, 0.0, -depth), down, slow_m=min(0.03, 0.5 * depth))
        return stopped in ("", "touched")

    def _release(self) -> None:
        if self.series.tool is Tool.SUCTION:
            self.ports.set_vacuum(False)
        else:
            self.ports.set_jaw(self.driver.jaw.width_m + 0.02, 10.0)
        self.driver.advance(REST_S)
        self._move((0.0, 0.0, RETREAT_M), speed=0.5)
        self.driver.advance(SETTLE_S)

    def _watch_speed(self) -> None:
        """Collects velocities for as long as the item is held: braking after a loss is not what was asked."""
        if self._looks:
            return
        state = p.getLinkState(
            self.world.robot.body,
            self.world.robot.link("tool0"),
            computeLinkVelocity=True,
            physicsClientId=self.world.client,
        )
        self._speeds.append(np.array([*state[6], self.world.step_s]))

    # -- the record --------------------------------------------------------------------------------------------------
    def _record(self, outcome: str, why: str) -> TrialRecord:
        return TrialRecord(
            self.series.name, self.number, self.drawn.spec.sku, round(self.drawn.mass_kg, 4), outcome, why,
            self._peaks(), round(self._peak_acceleration(), 2), round(float(self._use), 3), round(self.driver.now_s, 3),
        )  # fmt: skip

    def _peaks(self) -> dict[str, Peak]:
        """Largest event of each kind on the item, with the limit as the file has it."""
        peaks: dict[str, Peak] = {}
        for event in self.monitor.strains:
            if event.item_id != self.item.item_id:
                continue
            peak = Peak(round(event.value, 5), round(event.limit, 5), event.by)
            if event.kind not in peaks or peak.severity > peaks[event.kind].severity:
                peaks[event.kind] = peak
        return peaks

    def _peak_acceleration(self) -> float:
        """m/s^2, from the tool's velocity over about 12 ms."""
        if len(self._speeds) < 8:
            return 0.0
        rows = np.array(self._speeds)
        times = np.cumsum(rows[:, 3])
        even = np.arange(times[0], times[-1], 0.004)
        velocity = np.column_stack([np.interp(even, times, rows[:, k]) for k in range(3)])
        return float(np.linalg.norm(velocity[3:] - velocity[:-3], axis=1).max() / 0.012) if len(even) > 4 else 0.0


def _horizontal_axes(X: Pose, size: Array) -> list[tuple[int, float]]:
    """The two axes of an item that lie flattest, and its sizes along them."""
    flat = np.argsort(np.abs(X[2, :3]), kind="stable")[:2]
    return [(int(axis), float(size[axis])) for axis in flat]


def _middle_at(X: Pose, z: float) -> Array:
    """The point (3,) at height ``z`` on the item's most upright axis through its centre: it may lean."""
    up = X[:3, int(np.argmax(np.abs(X[2, :3])))]
    return np.asarray(X[:3, 3] + up * ((z - X[2, 3]) / up[2]))


def run_trial(series: Series, seed: int, number: int) -> TrialRecord:
    """One trial in a world of its own: its seed decides all of it."""
    trial = Trial(series, seed, number)
    try:
        return trial.run()
    finally:
        trial.close()
