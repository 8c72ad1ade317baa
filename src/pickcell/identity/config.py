"""Settings of the identity baseline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IdentityConfig:
    """Lengths in metres; evidence in nats."""

    too_large_m: float = 0.008
    """Spread of "the measured extent exceeds the product's": a measured part cannot be larger than the whole."""
    too_small_m: float = 0.010
    """Spread of "the completed extent falls short of the product's": hidden parts may be missing."""
    relative: float = 0.08
    """Both spreads grow by this share of the product's length."""
    size_floor: float = -9.0
    """Least evidence from size: boxes around odd shapes can be well off."""
    color_samples: float = 9.0
    """The colours of all points together count as this many independent ones."""
    color_floor: float = -6.0
    """Least log-likelihood of a single colour, relative to the most likely colour of the catalogue picture."""
    none_evidence: float = -18.0
    """Log-likelihood of an instance under "something that is not on the manifest"."""
    temperature: float = 1.5
    """Evidence is divided by this before it becomes a probability: parts of it say the same thing twice."""
    min_confidence: float = 0.35
    """Less sure answers are no answers."""
