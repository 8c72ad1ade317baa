"""Damage as a property of the physics: limits per kind of item, and a monitor that tells when one is passed."""

from pickcell_sim.damage.events import DamageEvent
from pickcell_sim.damage.limits import DamageLimits, DamageLimitsError, load_damage_limits
from pickcell_sim.damage.monitor import DamageMonitor

__all__ = ["DamageEvent", "DamageLimits", "DamageLimitsError", "DamageMonitor", "load_damage_limits"]
