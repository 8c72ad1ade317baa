"""What is kept of a trial."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peak:
    """The largest value of one kind of damage in a trial, against the limit as the file has it."""

    value: float
    limit: float
    by: str

    @property
    def severity(self) -> float:
        return self.value / self.limit


@dataclass(frozen=True)
class TrialRecord:
    """What came of one trial. Ground truth."""

    series: str
    number: int
    sku: str
    mass_kg: float
    outcome: str
    """``delivered``; ``no_access`` (the jaw cannot straddle it), ``no_way`` (the arm cannot), ``no_hold`` (no seal, or
    nothing between the pads); ``lost_lift``, ``lost_carry``, ``lost_lower`` (it left the hand on the way), ``misplaced``."""
    why: str
    """How the hold ended: ``peel``, ``slip``, ``leak``, ``slid out``; empty when it was released."""
    peaks: dict[str, Peak] = field(default_factory=dict)
    """By kind of damage event: values from RECORD_SHARE of the limit on; smaller ones are not kept."""
    peak_mps2: float = 0.0
    """Largest acceleration of the tool on the carry, averaged over 12 ms."""
    use: float = 0.0
    """Largest share of the cup's peel limit that was in use at a look (every 10 ms), 0 for the jaw."""
    cell_s: float = 0.0

    @property
    def lost(self) -> bool:
        """It left the hand on the way."""
        return self.outcome.startswith("lost")

    @property
    def held(self) -> bool:
        """A hold was made."""
        return self.lost or self.outcome in ("delivered", "misplaced")
