"""The suction cup in the physics world: it seals when pressed on, holds by a spring and a vacuum, and lets go by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pybullet as p
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.geometry import Pose, inverse, make_pose, pose_from_quat_xyzw
from pickcell_sim.cups import cup_of_hand, source_of_hand
from pickcell_sim.held_part import HeldPart
from pickcell_sim.lip import RIM_RAYS, ROBOT_GROUP, Surface, Waves, measure_seal, surface_of
from pickcell_sim.suction import (
    AMBIENT_PA,
    SLIDING,
    Cup,
    Pump,
    Seal,
    hold_use,
    lip_opening,
    slid_by,
    sliding_spring,
    vacuum_at_leak,
)
from pickcell_sim.world import ItemBody, SimWorld

SLIDE_FORCE_N = 8.0
"""Thrust of the pneumatic slide: what the cup presses with, over its whole stroke. Overtravel does not crush."""
SLIDE_SPEED_MPS = 0.6
SLIDE_TIME_S = 0.02
PRESS_MIN_N = 1.0
PRESS_STEPS = 2
SEAL_MIN_PA = 5_000.0
"""Below this steady vacuum the lip has not sealed on anything."""
BREAK_S = 0.008
RELEASE_PA = 2_000.0
"""Below this vacuum nothing is held any more."""
OPEN_LINE_PA = 1_500.0
"""Vacuum that the open line itself keeps up while the pump runs."""
PRESSURE_NOISE_PA = 150.0
SLIP_LOSS_CONFORMITIES = 2.0
"""A lip that has slid by this many times its conformity in one go, without pause, has rolled over (assumed)."""
LEAK_SHARE = 0.9
"""A steady vacuum below this share of the source's own is a leak."""
LINE_LEAK_M = 5e-6
"""Slot that each unit of ``leak_factor`` above 1 opens in a tight line (assumed): 11 takes a 40 mm cup down to 21 kPa."""
MEASURE_EVERY_M = 5e-4
"""A lip that has slid this far meets another part of the surface."""
OTHERS_MAX = np.array([0.5, 0.5, 0.5, 10.0, 10.0, 10.0])
"""Bound on the velocity change per step (m/s, rad/s) expected from other forces: an impact is not extrapolated."""
LIGHT_PART_KG = 0.060
LIGHT_SUBSTEPS = 2
"""A lighter part on joints (a book's cover) needs steps of half the length: 240 Hz understates the load on the lip."""


@dataclass
class _Hold:
    """What hangs on the cup."""

    part: HeldPart
    item: ItemBody | None
    X_part_anchor: Pose
    """Where the lip is on the part (its inertial frame); it moves when the lip slides."""
    seal: Seal
    waves: Waves | None
    porosity_m3ps_pa: float
    established: bool = False
    """Has there been a vacuum yet?"""
    violated_s: float = 0.0
    others: _OtherForces | None = None
    wrench: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    """(6,) what the item pulls with, in the lip's axes."""
    use: tuple[float, float] = (0.0, 0.0)
    slid_m: float = 0.0
    """How far the lip has slid: in all, since the seal was measured, and since it last stuck."""
    unmeasured_m: float = 0.0
    in_one_go_m: float = 0.0
    peak_pa: float = 0.0

    def __post_init__(self) -> None:
        self.formed = self.seal
        """The seal as it was before the lip slid."""

    @property
    def body(self) -> int:
        return self.part.body


@dataclass
class _OtherForces:
    """Observes what everything but the spring (gravity, contacts, joints, the moving arm) does to the relative velocity.

    Without it the implicit spring would take a held item that also rests on something for a free one, and be too soft.
    """

    velocity: NDArray[np.float64]
    pull: NDArray[np.float64]
    """(6,) velocity change that the spring was expected to make in the step after ``velocity`` was read."""

    def velocity_change(self, velocity: NDArray[np.float64]) -> NDArray[np.float64]:
        """(6,) change over one step that is not the spring's, from the newest relative velocity; bounded."""
        return np.clip(velocity - self.velocity - self.pull, -OTHERS_MAX, OTHERS_MAX)


class SuctionCup:
    """Call :meth:`control` before and :meth:`observe` after each physics step."""

    def __init__(self, world: SimWorld, rng: np.random.Generator, cup: Cup | None = None, pump: Pump | None = None) -> None:
        """``cup`` and ``pump``: in place of those that the cell's hand names."""
        self._world = world
        self._robot = world.robot
        self._rng = rng
        hand = world.cell.hand
        self.cup = cup or cup_of_hand(hand)
        self.pump = pump or source_of_hand(hand)
        self.surface_of: Callable[[ItemBody | None], Surface] = surface_of
        """What the surface of an item is like; exchangeable for experiments."""
        self._link = self._robot.link("cup_link")
        self._slide = self._robot.joints[hand.cup_joint]
        self._stroke = hand.cup_stroke_m
        info = p.getDynamicsInfo(self._robot.body, self._link, physicsClientId=world.client)
        self._slide_mass = float(info[0])
        self.on = False
        self.vacuum_pa = 0.0
        self._leak_factor = 1.0
        self._attempts = 0
        self._hold: _Hold | None = None
        self._pressed_steps = 0
        self._last_peak_pa = 0.0
        self._peaks: dict[int, tuple[ItemBody | None, float]] = {}
        self._substeps = _Substeps(world)
        self.last_break = ""
        """How the last hold ended: ``peel``, ``slip``, ``leak`` (a tight seal would have borne the load) or ``released``;
        empty before."""
        for link in range(-1, p.getNumJoints(self._robot.body, physicsClientId=world.client)):
            p.setCollisionFilterGroupMask(self._robot.body, link, ROBOT_GROUP, -1, physicsClientId=world.client)

    # -- commands and readings ---------------------------------------------------------------------------------------
    def set_vacuum(self, on: bool) -> None:
        """Switch the pump; the slide extends with it and retracts after it."""
        if on and not self.on:
            self._attempts += 1
        self.on = on

    @property
    def slide_m(self) -> float:
        return float(self._robot.states[self._slide][0])

    @property
    def pressure_pa(self) -> float:
        """One reading of the absolute pressure in the line."""
        vacuum = max(self.vacuum_pa, OPEN_LINE_PA if self.on else 0.0)
        return AMBIENT_PA - vacuum + float(self._rng.normal(0.0, PRESSURE_NOISE_PA))

    @property
    def leak_factor(self) -> float:
        """Fault of the line: every leak is this many times as large, and beyond 1 a tight line leaks too. 1: no fault."""
        return self._leak_factor

    @leak_factor.setter
    def leak_factor(self, factor: float) -> None:
        if not (np.isfinite(factor) and factor >= 0.0):
            raise ValueError(f"a leak factor is a finite number >= 0 (1: no fault), got {factor}")
        self._leak_factor = float(factor)

    # -- truth: for the scorer, the damage monitor and tests ---------------------------------------------------------
    @property
    def held_body(self) -> int | None:
        """The body on the cup, None when there is none. Ground truth."""
        return self._hold.body if self._hold else None

    @property
    def held_link(self) -> int | None:
        """The link of that body that the lip is on; -1 for its base. Ground truth."""
        return self._hold.part.link if self._hold else None

    @property
    def held_wrench(self) -> NDArray[np.float64]:
        """(6,) load on the cup in the lip's axes, +z away from the cup. Ground truth."""
        return self._hold.wrench if self._hold else np.zeros(6)

    @property
    def use(self) -> tuple[float, float]:
        """Share of the peel and slip limits in use. Ground truth."""
        return self._hold.use if self._hold else (0.0, 0.0)

    @property
    def slid_m(self) -> float:
        """How far the lip has slid over what it holds, in all. Ground truth."""
        return self._hold.slid_m if self._hold else 0.0

    @property
    def peak_vacuum_pa(self) -> float:
        """Deepest vacuum of the present hold, else of the last one: what the film under the lip had to bear."""
        return self._hold.peak_pa if self._hold else self._last_peak_pa

    def peak_vacuum_of(self, body: int) -> float:
        """Deepest vacuum that has been on a body since it came into the world; 0 for one that was never held."""
        item, peak = self._peaks.get(body, (None, 0.0))
        return peak if item is self._world.item_of_body(body) else 0.0

    # -- each step ---------------------------------------------------------------------------------------------------
    def control(self) -> None:
        """Drive the slide, let the pressure follow, and pull at what is held."""
        self._substeps.begin()
        self._forget_what_is_gone()
        self._drive_slide()
        self._update_pressure()
        if self._hold is not None:
            self._pull(self._hold)

    def observe(self) -> None:
        """After a step: seal on what the cup is pressed on, or give way."""
        self._forget_what_is_gone()
        if self._hold is not None:
            self._judge(self._hold)
        elif self.on:
            self._try_to_seal()
        light = self._hold is not None and self._hold.part.jointed and self._hold.part.mass_kg < LIGHT_PART_KG
        self._substeps.end(light)

    def _forget_what_is_gone(self) -> None:
        """A held item can be taken out of the world."""
        if self._hold is not None and self._hold.item is not self._world.item_of_body(self._hold.body):
            self._end("released")

    def _drive_slide(self) -> None:
        target = self._stroke if self.on or self._hold is not None else 0.0  # a valve lets it retract after the release
        speed = max(-SLIDE_SPEED_MPS, min(SLIDE_SPEED_MPS, (target - self.slide_m) / SLIDE_TIME_S))
        p.setJointMotorControl2(
            self._robot.body,
            self._slide,
            p.VELOCITY_CONTROL,
            targetVelocity=speed,
            force=SLIDE_FORCE_N,
            physicsClientId=self._world.client,
        )

    # -- vacuum ------------------------------------------------------------------------------------------------------
    def _update_pressure(self) -> None:
        target = 0.0
        if self.on and self._hold is not None:
            hold = self._hold
            opening = lip_opening(hold.wrench, self.vacuum_pa, self.cup, RIM_RAYS) if hold.use[0] > 1.0 else None
            target = self._steady_pa(hold.seal, hold.porosity_m3ps_pa, opening)
        time_s = self.pump.evacuate_s if target > self.vacuum_pa else self.pump.vent_s
        self.vacuum_pa += (1.0 - np.exp(-self._world.step_s / time_s)) * (target - self.vacuum_pa)
        if self._hold is not None:
            self._note_peak(self._hold)

    def _steady_pa(self, seal: Seal, porosity_m3ps_pa: float, opening_m: NDArray[np.float64] | None = None) -> float:
        """Vacuum that the pump reaches on a seal, with the line's fault if there is one."""
        gap = seal.gap_m if opening_m is None else seal.gap_when_open(opening_m)
        gap = self._leak_factor * gap + LINE_LEAK_M * max(self._leak_factor - 1.0, 0.0)
        return vacuum_at_leak(gap, self.cup.radius_m, self.pump, self._leak_factor * porosity_m3ps_pa)

    def _note_peak(self, hold: _Hold) -> None:
        hold.established = hold.established or self.vacuum_pa > SEAL_MIN_PA / 2.0
        hold.peak_pa = max(hold.peak_pa, self.vacuum_pa)
        self._peaks[hold.body] = (hold.item, max(self.peak_vacuum_of(hold.body), hold.peak_pa))

    # -- sealing -----------------------------------------------------------------------------------------------------
    def _try_to_seal(self) -> None:
        pressed = self._pressed_part()
        self._pressed_steps = self._pressed_steps + 1 if pressed is not None else 0
        if pressed is None or self._pressed_steps < PRESS_STEPS:
            return
        part = HeldPart(self._world.client, *pressed)
        item = self._world.item_of_body(part.body)
        surface = self.surface_of(item)
        waves = self._waves(item, surface)
        X_world_lip = self._robot.X_world_link("cup_link")
        seal = measure_seal(self._world.client, self.cup, X_world_lip, part.body, part.X_world_base(), waves)
        porosity = surface.permeance_m_per_s_pa * self.cup.area_m2
        if seal.tilt_rad <= self.cup.tilt_max_rad and self._steady_pa(seal, porosity) >= SEAL_MIN_PA:
            self._hold = _Hold(part, item, inverse(part.state()[0]) @ X_world_lip, seal, waves, porosity)
            self._collide(part.body, False)

    def _waves(self, item: ItemBody | None, surface: Surface) -> Waves | None:
        """The folds of an item's surface: new ones with each attempt, since handling moves them."""
        if surface.wrinkle_m <= 0.0:
            return None
        number = item.item_id if item is not None else 0
        return Waves.draw(surface.wrinkle_m, (self._world.seed, 0xF01D, number, self._attempts))

    def _pressed_part(self) -> tuple[int, int] | None:
        """Body and link that push hardest against the cup, if the body does so with at least the least pressing force."""
        forces: dict[tuple[int, int], float] = {}
        for contact in p.getContactPoints(self._robot.body, linkIndexA=self._link, physicsClientId=self._world.client):
            part = (contact[2], contact[4])
            forces[part] = forces.get(part, 0.0) + contact[9]
        hardest = max(forces, key=forces.__getitem__, default=None)
        if hardest is None or sum(force for part, force in forces.items() if part[0] == hardest[0]) < PRESS_MIN_N:
            return None
        return hardest

    def _collide(self, body: int, active: bool) -> None:
        """While held, the spring alone acts between cup and item."""
        for link in range(-1, p.getNumJoints(body, physicsClientId=self._world.client)):
            p.setCollisionFilterPair(
                body, self._robot.body, link, self._link, int(active), physicsClientId=self._world.client
            )

    # -- holding -----------------------------------------------------------------------------------------------------
    def _pull(self, hold: _Hold) -> None:
        """Apply the spring's force to the item and its reaction to the cup."""
        self._world.hold_awake(hold.body)
        X_world_lip, X_lip_anchor, velocity, mobility = self._relative_motion(hold)
        displacement = np.concatenate([X_lip_anchor[:3, 3], Rotation.from_matrix(X_lip_anchor[:3, :3]).as_rotvec()])
        grip_n = self.vacuum_pa * self.cup.area_m2
        if hold.use[1] > 1.0:
            displacement = self._slide_on(hold, X_lip_anchor, displacement, grip_n)
        others = hold.others.velocity_change(velocity) if hold.others else np.zeros(6)
        step_s = self._world.step_s
        force, slip_use = sliding_spring(self.cup, displacement, velocity + others, mobility, step_s, grip_n)
        hold.others = _OtherForces(velocity, step_s * mobility @ force)
        self._apply(hold.part, force, X_world_lip[:3, :3], (X_world_lip @ X_lip_anchor)[:3, 3])
        hold.wrench = -force
        hold.use = (hold_use(hold.wrench, self.vacuum_pa, self.cup)[0], slip_use)

    def _relative_motion(self, hold: _Hold) -> tuple[Pose, Pose, NDArray[np.float64], NDArray[np.float64]]:
        """Lip in the world, anchor in the lip, and in the lip's axes the item's velocity (6,) and mobility (6, 6) there."""
        state = p.getLinkState(
            self._robot.body,
            self._link,
            computeLinkVelocity=True,
            computeForwardKinematics=True,
            physicsClientId=self._world.client,
        )
        X_world_lip = pose_from_quat_xyzw(state[4], state[5])
        X_world_part, linear, angular = hold.part.state()
        X_world_anchor = X_world_part @ hold.X_part_anchor
        point, R = X_world_anchor[:3, 3], X_world_lip[:3, :3]
        cup_linear, cup_angular = np.array(state[6]), np.array(state[7])
        lip_velocity = cup_linear + np.cross(cup_angular, point - np.array(state[0]))
        part_velocity = linear + np.cross(angular, point - X_world_part[:3, 3])
        velocity = np.concatenate([R.T @ (part_velocity - lip_velocity), R.T @ (angular - cup_angular)])
        mobility = hold.part.mobility(R, point, X_world_part)
        mobility[2, 2] += self._slide_mobility()
        return X_world_lip, inverse(X_world_lip) @ X_world_anchor, velocity, mobility

    def _slide_mobility(self) -> float:
        """The light slide yields as well as the item, unless it rests against its outer stop."""
        return 0.0 if self.slide_m > self._stroke - 3e-4 else 1.0 / self._slide_mass

    def _slide_on(
        self, hold: _Hold, X_lip_anchor: Pose, displacement: NDArray[np.float64], grip_n: float
    ) -> NDArray[np.float64]:
        """Let the lip hold the item where it has slid to. Returns the displacement (6,) that is left in the spring."""
        slid = slid_by(self.cup, displacement, grip_n - hold.wrench[2])
        back = make_pose((-slid[0], -slid[1], 0.0), (0.0, 0.0, -slid[2]))
        hold.X_part_anchor = hold.X_part_anchor @ inverse(X_lip_anchor) @ back @ X_lip_anchor
        distance = float(np.hypot(np.hypot(slid[0], slid[1]), self.cup.radius_m * slid[2]))
        hold.slid_m += distance
        hold.unmeasured_m += distance
        hold.in_one_go_m += distance
        left = displacement.copy()
        left[SLIDING] -= slid
        return left

    def _apply(self, part: HeldPart, force: NDArray[np.float64], R: NDArray[np.float64], point: NDArray[np.float64]) -> None:
        """``force`` (6,) in the lip's axes on the held part at ``point``, and the opposite on the cup."""
        client, where = self._world.client, point.tolist()
        push, twist = R @ force[:3], R @ force[3:]
        p.applyExternalForce(part.body, part.link, push.tolist(), where, p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(part.body, part.link, twist.tolist(), p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalForce(self._robot.body, self._link, (-push).tolist(), where, p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(self._robot.body, self._link, (-twist).tolist(), p.WORLD_FRAME, physicsClientId=client)

    # -- letting go --------------------------------------------------------------------------------------------------
    def _judge(self, hold: _Hold) -> None:
        """Let go when the vacuum is gone, or when the load has been over a limit for long enough."""
        if self.vacuum_pa < RELEASE_PA and (hold.established or not self.on):
            self._let_go("leak" if self.on else "released")
            return
        peels, slips = hold.use[0] > 1.0, hold.use[1] > 1.0
        hold.violated_s = hold.violated_s + self._world.step_s if peels or slips else 0.0
        hold.in_one_go_m = hold.in_one_go_m if slips else 0.0
        lost = peels or not self.on or hold.in_one_go_m > SLIP_LOSS_CONFORMITIES * self.cup.conformity_m
        if hold.violated_s >= BREAK_S and lost:
            self._let_go(self._cause(hold))
        elif hold.unmeasured_m > MEASURE_EVERY_M:
            X_world_anchor = hold.part.state()[0] @ hold.X_part_anchor
            base = hold.part.X_world_base()
            hold.seal = measure_seal(self._world.client, self.cup, X_world_anchor, hold.body, base, hold.waves)
            hold.unmeasured_m = 0.0

    def _cause(self, hold: _Hold) -> str:
        """Why an overloaded hold ends. It is the leak's doing where the vacuum of a tight seal would have borne the load."""
        if not self.on:
            return "released"
        leaks = self._steady_pa(hold.formed, hold.porosity_m3ps_pa) < LEAK_SHARE * self.pump.vacuum_pa
        grip_n, tight_n = (vacuum * self.cup.area_m2 for vacuum in (self.vacuum_pa, self.pump.vacuum_pa))
        tight_peel = hold.use[0] * grip_n / tight_n
        tight_slip = hold.use[1] * (grip_n - hold.wrench[2]) / max(tight_n - hold.wrench[2], 1e-9)
        if leaks and max(tight_peel, tight_slip) <= 1.0:
            return "leak"
        return "peel" if hold.use[0] > 1.0 else "slip"

    def _let_go(self, why: str) -> None:
        assert self._hold is not None
        self._collide(self._hold.body, True)
        self._world.release(self._hold.body)
        self._end(why)

    def _end(self, why: str) -> None:
        assert self._hold is not None
        self._last_peak_pa = self._hold.peak_pa
        self._hold = None
        self._pressed_steps = 0
        self.last_break = why


class _Substeps:
    """Divides the world's steps while a light part is held, and gives back the division that was there before.

    The world reads the division once per nominal step: it is changed after the last substep only.
    """

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._nominal_step = -1
        self._done = 0
        self._before: int | None = None

    def begin(self) -> None:
        """Before a substep."""
        if self._world.steps != self._nominal_step:
            self._nominal_step, self._done = self._world.steps, 0
        self._done += 1

    def end(self, light: bool) -> None:
        """After a substep. ``light``: is a light part held?"""
        now = self._world.clock.substeps
        if self._done < now or light == (self._before is not None):
            return
        if light:
            self._before = now
            self._world.set_substeps(max(now, LIGHT_SUBSTEPS))
        elif self._before is not None:
            self._world.set_substeps(self._before)
            self._before = None
