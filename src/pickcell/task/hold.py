"""Is the item in the hand? Judged from finger width, vacuum pressure and wrist force, the sensors a real hand has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pickcell.outcome import Code, Outcome
from pickcell.values import GraspCandidate, RobotReading, Tool, Wrench

GRAVITY_MPS2 = 9.81


@dataclass(frozen=True)
class HoldConfig:
    """Limits of the evidence. Masses in kg, forces in N, pressures in Pa, lengths in m."""

    seal_pa: float = 20e3
    """Vacuum from which a seal counts as made."""
    lost_pa: float = 12e3
    """Vacuum below which a seal counts as lost."""
    min_width_m: float = 0.0012
    """Pads closer than this hold nothing."""
    slip_m: float = 0.006
    """Change of jaw width that counts as slipping."""
    slip_share_of_give: float = 0.5
    """... or this share of what the item gave way to the pads, where that is more: what is soft breathes on the way."""
    contact_force_n: float = 10.0
    """Force along the approach that ends the contact motion."""
    touchdown_force_n: float = 8.0
    """Change of wrist force that ends lowering: what is held stands on something."""
    collision_force_n: float = 45.0
    """Change of wrist force that counts as hitting something while moving freely."""
    weight_tolerance_kg: float = 0.02
    weight_tolerance_share: float = 0.35
    """The item's weight may differ from the catalogue's by the larger of the two."""

    def within(self, vacuum_max_pa: float) -> HoldConfig:
        """The same with a seal that counts as made at 60 % of what a weak source reaches, and as lost at 36 %."""
        return replace(
            self, seal_pa=min(self.seal_pa, 0.60 * vacuum_max_pa), lost_pa=min(self.lost_pa, 0.36 * vacuum_max_pa)
        )


def force_change_n(reading: Wrench, tare: Wrench) -> float:
    """Magnitude of the change of wrist force since ``tare``, N; meaningful while the hand keeps its attitude."""
    return float(np.linalg.norm(reading.force_n - tare.force_n))


def sealed(reading: RobotReading, config: HoldConfig) -> bool:
    return reading.vacuum_on and reading.vacuum_pa >= config.seal_pa


def holding(reading: RobotReading, tool: Tool, config: HoldConfig) -> Outcome[None]:
    """Does the hand itself report a hold? MISSED or SEAL_NOT_MADE when not.

    A closed jaw holds when its pads stay apart. Whether the driver calls it stalled says less: what trembles between the
    pads right after a lift is held all the same. While the jaw may still be closing, wait before asking.
    """
    if tool is Tool.SUCTION:
        if sealed(reading, config):
            return Outcome.success(None)
        return Outcome.failure(Code.SEAL_NOT_MADE, f"Vacuum {reading.vacuum_pa / 1e3:.0f} kPa.")
    if reading.jaw.width_m > config.min_width_m:
        return Outcome.success(None)
    return Outcome.failure(Code.MISSED, f"The jaw closed to {reading.jaw.width_m * 1e3:.1f} mm.")


def hold_lost(
    reading: RobotReading, tool: Tool, width_at_grasp_m: float, config: HoldConfig, give_m: float = 0.0
) -> Outcome[None]:
    """Watch a hold in flight: SEAL_LOST, DROPPED or SLIPPED once it is gone, success while it lasts. ``give_m``: by how much
    the item was narrower in the closed jaw than it looked."""
    if tool is Tool.SUCTION:
        if reading.vacuum_pa < config.lost_pa:
            return Outcome.failure(Code.SEAL_LOST, f"Vacuum {reading.vacuum_pa / 1e3:.0f} kPa.")
        return Outcome.success(None)
    width = reading.jaw.width_m
    if width <= config.min_width_m:
        return Outcome.failure(Code.DROPPED, "The jaw closed on nothing.")
    if abs(width - width_at_grasp_m) > max(config.slip_m, config.slip_share_of_give * give_m):
        change_mm = (width - width_at_grasp_m) * 1e3
        return Outcome.failure(Code.SLIPPED, f"The jaw width changed by {change_mm:+.1f} mm.")
    return Outcome.success(None)


def measured_mass_kg(after: Wrench, tare: Wrench) -> float:
    """Mass hanging on the hand from two readings at rest in the same attitude, before and after the grasp."""
    return force_change_n(after, tare) / GRAVITY_MPS2


def judge_weight(mass_kg: float, expected_kg: float, config: HoldConfig) -> Outcome[float]:
    """Compare the lifted mass with the catalogue's: DOUBLE_PICK or ITEM_MISMATCH when it does not fit, or is no number."""
    if not np.isfinite(mass_kg):
        return Outcome.failure(Code.ITEM_MISMATCH, "The wrist sensor delivers no weight.")
    tolerance = max(config.weight_tolerance_kg, config.weight_tolerance_share * expected_kg)
    said = f"Lifted {mass_kg * 1e3:.0f} g, the catalogue says {expected_kg * 1e3:.0f} g."
    if mass_kg > expected_kg + tolerance:
        return Outcome.failure(Code.DOUBLE_PICK, said)
    if mass_kg < expected_kg - tolerance:
        return Outcome.failure(Code.ITEM_MISMATCH, said)
    return Outcome.success(mass_kg, said)


def average_wrench(readings: list[RobotReading]) -> Wrench:
    """Mean of several readings, to beat the sensor's noise. Raises ValueError for none."""
    if not readings:
        raise ValueError("average_wrench needs at least one reading")
    return Wrench(
        readings[-1].wrench.stamp_s,
        np.mean([r.wrench.force_n for r in readings], axis=0),
        np.mean([r.wrench.torque_nm for r in readings], axis=0),
    )


def same_place(a: GraspCandidate, b: GraspCandidate, distance_m: float) -> bool:
    """True for two grasps with one tool whose contact points lie within ``distance_m``: trying both teaches nothing new."""
    return a.tool is b.tool and float(np.linalg.norm(a.X_base_tcp[:3, 3] - b.X_base_tcp[:3, 3])) < distance_m
