"""Ranges that perturbations are drawn from, read from config/perturbations.yaml and checked key by key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from pickcell.catalogue import config_directory
from pickcell.config_file import Strict, complaints, read_mapping
from pickcell_sim.perturbations.kinds import MAGNITUDES, STAGES, VARIANTS, Kind

MAX_DELAY_S = 60.0


class PerturbationConfigError(ValueError):
    """A file of ranges that cannot be used; the message names the file and every wrong key."""


Why = Annotated[str, Field(min_length=10)]
"""Where a range comes from: a source, or "assumed" and what makes it plausible."""


class Range(Strict):
    """A magnitude is drawn evenly from ``range``."""

    range: tuple[float, float]
    why: Why

    @field_validator("range")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] <= value[1]:
            raise ValueError(f"[low, high] with low <= high is expected, got {list(value)}")
        return value


class KindRanges(Strict):
    """How one kind is drawn."""

    why: Why
    share: Annotated[float, Field(ge=0)] = 1.0
    """Relative odds of this kind when the kind itself is drawn."""
    stages: Annotated[tuple[str, ...], Field(min_length=1)]
    """Stages in which it strikes, all equally often."""
    delay_s: Range
    """Cell time from the beginning of the stage."""
    variants: tuple[str, ...] = ()
    """Forms of this kind that are drawn, all equally often."""
    magnitude: dict[str, Range]


PerturbationRanges = dict[Kind, KindRanges]


def default_ranges_file() -> Path:
    """The project's own ranges."""
    return config_directory() / "perturbations.yaml"


def load_ranges(path: str | Path | None = None) -> PerturbationRanges:
    """Read a file of ranges, the project's own without a path.

    Raises PerturbationConfigError naming the file, each wrong key, and what is expected there.
    """
    path = Path(path) if path is not None else default_ranges_file()
    kinds = [k.value for k in Kind]
    data = read_mapping(path, "ranges of perturbations", PerturbationConfigError, f"kinds of perturbation: {kinds}")
    if not data:
        raise PerturbationConfigError(f"{path}: expected kinds of perturbation: {kinds}")
    ranges: PerturbationRanges = {}
    wrong: list[str] = []
    for name, value in data.items():
        if name not in {k.value for k in Kind}:
            wrong.append(f"{name}: no such kind; there are {[k.value for k in Kind]}")
            continue
        try:
            ranges[Kind(name)] = KindRanges.model_validate(value)
        except ValidationError as error:
            wrong += complaints(error, name)
        else:
            wrong += _complaints(Kind(name), ranges[Kind(name)])
    if wrong:
        raise PerturbationConfigError(f"{path} is not usable:\n" + "\n".join(f"  {line}" for line in wrong))
    return ranges


def _complaints(kind: Kind, ranges: KindRanges) -> Iterator[str]:
    """What is wrong with a kind's ranges beyond their form."""
    for stage in ranges.stages:
        if stage not in STAGES:
            yield f"{kind.value}.stages: '{stage}' is no stage of a pick; there are {list(STAGES)}"
    low, high = ranges.delay_s.range
    if not 0.0 <= low <= high <= MAX_DELAY_S:
        yield f"{kind.value}.delay_s.range: must lie in 0..{MAX_DELAY_S:g} s, is {[low, high]}"
    known = VARIANTS.get(kind, ())
    if bool(ranges.variants) != bool(known) or not set(ranges.variants) <= set(known):
        yield f"{kind.value}.variants: some of {list(known)} are expected, got {list(ranges.variants)}"
    bounds = MAGNITUDES[kind]
    for key in sorted(bounds.keys() - ranges.magnitude.keys()):
        yield f"{kind.value}.magnitude.{key}: missing"
    for key, value in ranges.magnitude.items():
        if key not in bounds:
            yield f"{kind.value}.magnitude.{key}: no such magnitude; there are {sorted(bounds)}"
        elif not bounds[key][0] <= value.range[0] <= value.range[1] <= bounds[key][1]:
            yield f"{kind.value}.magnitude.{key}.range: must lie in {list(bounds[key])}, is {list(value.range)}"
