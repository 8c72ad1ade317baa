"""The suction cup in the physics world: it seals when pressed on, holds by a spring and a vacuum, and lets go by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pybullet as p
from numpy.typing import NDArray

from pickcell.geometry import inverse
from pickcell_sim.hand.cup_hold import Hold, LipState
from pickcell_sim.hand.cups import cup_of_hand, source_of_hand
from pickcell_sim.hand.held_part import HeldPart
from pickcell_sim.hand.lip import RIM_RAYS, ROBOT_GROUP, Surface, Waves, measure_seal, surface_of
from pickcell_sim.hand.suction import AMBIENT_PA, Cup, Pump, Seal, lip_opening, vacuum_at_leak
from pickcell_sim.quick_pose import pose_of
from pickcell_sim.world import ItemBody, SimWorld

SLIDE_FORCE_N = 8.0
"""Thrust of the pneumatic slide: what the cup presses with, over its whole stroke. Overtravel does not crush."""
SLIDE_SPEED_MPS = 0.6
SLIDE_TIME_S = 0.02
PRESS_MIN_N = 1.0
PRESS_STEPS = 2
SEAL_MIN_PA = 5_000.0
"""Below this steady vacuum the lip has not sealed on anything."""
RELEASE_PA = 2_000.0
"""Below this vacuum nothing is held any more."""
OPEN_LINE_PA = 1_500.0
"""Vacuum that the open line itself keeps up while the pump runs."""
PRESSURE_NOISE_PA = 150.0
LEAK_SHARE = 0.9
"""A steady vacuum below this share of the source's own is a leak."""
LINE_LEAK_M = 5e-6
"""Slot that each unit of ``leak_factor`` above 1 opens in a tight line (assumed): 11 takes a 40 mm cup down to 21 kPa."""
MEASURE_EVERY_M = 5e-4
"""A lip that has slid this far meets another part of the surface."""
LIGHT_PART_KG = 0.060
LIGHT_SUBSTEPS = 2
"""While a lighter part on joints (a book's cover, a mailer's plate) is held, steps are half as long."""


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
        self.most_pa = float("inf")
        """What the regulator lets through."""
        self._leak_factor = 1.0
        self._attempts = 0
        self._hold: Hold | None = None
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
            target = min(self._steady_pa(hold.seal, hold.porosity_m3ps_pa, opening), self.most_pa)
        time_s = self.pump.evacuate_s if target > self.vacuum_pa else self.pump.vent_s
        self.vacuum_pa += (1.0 - np.exp(-self._world.step_s / time_s)) * (target - self.vacuum_pa)
        if self._hold is not None:
            self._note_peak(self._hold)

    def _steady_pa(self, seal: Seal, porosity_m3ps_pa: float, opening_m: NDArray[np.float64] | None = None) -> float:
        """Vacuum that the pump reaches on a seal, with the line's fault if there is one."""
        gap = seal.gap_m if opening_m is None else seal.gap_when_open(opening_m)
        gap = self._leak_factor * gap + LINE_LEAK_M * max(self._leak_factor - 1.0, 0.0)
        return vacuum_at_leak(gap, self.cup.radius_m, self.pump, self._leak_factor * porosity_m3ps_pa)

    def _note_peak(self, hold: Hold) -> None:
        hold.established = hold.established or self.vacuum_pa > SEAL_MIN_PA / 2.0
        hold.peak_pa = max(hold.peak_pa, self.vacuum_pa)
        self._peaks[hold.body] = (hold.item, max(self.peak_vacuum_of(hold.body), hold.peak_pa))

    # -- sealing -----------------------------------------------------------------------------------------------------
    def _try_to_seal(self) -> None:
        pressed = self._pressed_part()
        self._pressed_steps = self._pressed_steps + 1 if pressed is not None else 0
        if pressed is None or self._pressed_steps < PRESS_STEPS:
            return
        body, link = pressed
        client, item = self._world.client, self._world.item_of_body(body)
        surface = self.surface_of(item)
        waves = self._waves(item, surface)
        X_world_lip = self._robot.X_world_link("cup_link")
        X_world_item = pose_of(*p.getBasePositionAndOrientation(body, physicsClientId=client))
        seal = measure_seal(client, self.cup, X_world_lip, body, X_world_item, waves)
        porosity = surface.permeance_m_per_s_pa * self.cup.area_m2
        if seal.tilt_rad <= self.cup.tilt_max_rad and self._steady_pa(seal, porosity) >= SEAL_MIN_PA:
            part = HeldPart(client, body, link)
            self._hold = Hold(part, item, inverse(part.state()[0]) @ X_world_lip, seal, waves, porosity)
            self._collide(body, False)

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
    def _pull(self, hold: Hold) -> None:
        """Apply the spring's force to the item and its reaction to the cup."""
        client, robot = self._world.client, self._robot.body
        self._world.hold_awake(hold.body)
        lip = LipState.read(client, robot, self._link)
        pull = hold.pull(self.cup, lip, self.vacuum_pa, self._slide_mobility(), self._world.step_s)
        R = lip.X_world_lip[:3, :3]
        push, twist, where = R @ pull.force[:3], R @ pull.force[3:], pull.point.tolist()
        for body, link, sign in ((hold.body, hold.part.link, 1.0), (robot, self._link, -1.0)):
            p.applyExternalForce(body, link, (sign * push).tolist(), where, p.WORLD_FRAME, physicsClientId=client)
            p.applyExternalTorque(body, link, (sign * twist).tolist(), p.WORLD_FRAME, physicsClientId=client)

    def _slide_mobility(self) -> float:
        """The light slide yields as well as the item, unless it rests against its outer stop."""
        return 0.0 if self.slide_m > self._stroke - 3e-4 else 1.0 / self._slide_mass

    # -- letting go --------------------------------------------------------------------------------------------------
    def _judge(self, hold: Hold) -> None:
        """Let go when the vacuum is gone, or when the load has been over a limit for long enough."""
        if self.vacuum_pa < RELEASE_PA and (hold.established or not self.on):
            self._let_go("leak" if self.on else "released")
            return
        if hold.is_lost(self.cup, self._world.step_s, venting=not self.on):
            self._let_go(self._cause(hold))
        elif hold.unmeasured_m > MEASURE_EVERY_M:
            X_world_anchor = hold.part.state()[0] @ hold.X_part_anchor
            base = hold.part.X_world_base()
            hold.seal = measure_seal(self._world.client, self.cup, X_world_anchor, hold.body, base, hold.waves)
            hold.unmeasured_m = 0.0

    def _cause(self, hold: Hold) -> str:
        """Why an overloaded hold ends. It is the leak's doing where the vacuum of a tight seal would have borne the load."""
        if not self.on:
            return "released"
        leaks = self._steady_pa(hold.formed, hold.porosity_m3ps_pa) < LEAK_SHARE * self.pump.vacuum_pa
        if leaks and hold.tight_use(self.cup, self.vacuum_pa, self.pump.vacuum_pa) <= 1.0:
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
