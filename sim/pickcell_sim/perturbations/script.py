"""What will go wrong in a pick, and when: drawn from a seed before the pick begins."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pickcell_sim.perturbations.kinds import MAGNITUDES, STAGES, Kind, kind_named
from pickcell_sim.perturbations.ranges import PerturbationRanges, load_ranges


@dataclass(frozen=True)
class Perturbation:
    """One thing that goes wrong, ``delay_s`` of cell time after the pick enters ``stage`` for the first time."""

    kind: Kind
    stage: str
    delay_s: float
    magnitude: dict[str, float]
    """What :data:`pickcell_sim.perturbations.kinds.MAGNITUDES` lists for the kind; units are in the names."""
    variant: str = ""
    """Form of kinds that have several."""
    seed: int = 0
    """Decides what has no range: directions, which camera, which neighbour."""

    def __post_init__(self) -> None:
        """Raises ValueError when the stage or a magnitude is not one that there is."""
        if self.stage not in STAGES:
            raise ValueError(f"'{self.stage}' is no stage of a pick; there are {list(STAGES)}")
        if self.magnitude.keys() != MAGNITUDES[self.kind].keys():
            expected = sorted(MAGNITUDES[self.kind])
            raise ValueError(f"{self.kind.value} has the magnitudes {expected}, got {sorted(self.magnitude)}")

    def rng(self) -> np.random.Generator:
        """A fresh stream for what has no range; the same at every call."""
        return stream(self.seed, self.kind, "act")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "kind": self.kind.value}


@dataclass(frozen=True)
class PerturbationScript:
    """Everything that will go wrong in one pick; empty when nothing does."""

    perturbations: tuple[Perturbation, ...] = ()

    @staticmethod
    def draw(kind: Kind | str | None, seed: int, ranges: PerturbationRanges | None = None) -> PerturbationScript:
        """See :func:`draw_script`."""
        return draw_script(kind, seed, ranges)


def draw_script(
    kind: Kind | str | Sequence[Kind | str] | None, seed: int, ranges: PerturbationRanges | None = None
) -> PerturbationScript:
    """One perturbation per kind asked for; with None, one of a kind drawn by the shares of the ranges' file.

    ``seed`` >= 0. ``ranges``: the project's own without. Raises ValueError for an unknown kind or one without ranges,
    listing those there are.
    """
    ranges = load_ranges() if ranges is None else ranges
    if kind is None:
        kinds = [_any_kind(seed, ranges)]
    elif isinstance(kind, str):
        kinds = [kind_named(kind)]
    else:
        kinds = [kind_named(k) for k in kind]
    return PerturbationScript(tuple(draw(k, seed, ranges) for k in kinds))


def draw(kind: Kind, seed: int, ranges: PerturbationRanges) -> Perturbation:
    """One perturbation. Each magnitude has a stream of its own: a new one leaves the others as they were."""
    if kind not in ranges:
        raise ValueError(f"no ranges for '{kind.value}'; there are ranges for {[k.value for k in ranges]}")
    given = ranges[kind]
    magnitude = {key: float(stream(seed, kind, key).uniform(*given.magnitude[key].range)) for key in MAGNITUDES[kind]}
    return Perturbation(
        kind,
        str(stream(seed, kind, "stage").choice(given.stages)),
        float(stream(seed, kind, "delay_s").uniform(*given.delay_s.range)),
        magnitude,
        str(stream(seed, kind, "variant").choice(given.variants)) if given.variants else "",
        seed,
    )


def _any_kind(seed: int, ranges: PerturbationRanges) -> Kind:
    kinds = [k for k in Kind if k in ranges]
    shares = np.array([ranges[k].share for k in kinds])
    if not shares.sum() > 0:
        raise ValueError("no kind has a share above 0")
    return kinds[int(np.random.default_rng([seed, 0xA17]).choice(len(kinds), p=shares / shares.sum()))]


def stream(seed: int, kind: Kind, what: str) -> np.random.Generator:
    """The random numbers for one property of a perturbation."""
    return np.random.default_rng([seed, zlib.crc32(f"{kind.value}/{what}".encode())])
