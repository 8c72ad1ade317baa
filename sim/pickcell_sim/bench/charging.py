"""What a benchmark charges the cell for computing: as measured here, committed medians, or nothing.

With ``fixed`` the seed alone decides an episode, on any machine and with any number of workers, and units per hour still
pay for the computations. With ``measured`` a slower machine, or a busy one, delivers less and no run is like another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from pickcell.catalogue import config_directory
from pickcell.config_file import Strict, checked, read_mapping
from pickcell_sim.cell import Charge, charge_measured, charge_nothing

STAGES = ("observe", "select", "plan_approach", "plan_lift", "plan_place", "plan_home", "plan_retreat")
"""Computations that a cell is charged for."""


class Clock(str, Enum):
    """How computations are charged."""

    MEASURED = "measured"
    FIXED = "fixed"
    NONE = "none"


class StageTimesError(ValueError):
    """A file of stage times that cannot be used; the message names the file and every wrong key."""


class _File(Strict):
    source: str
    """Command, machine and commit that the times were measured with."""
    median_ms: dict[str, Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)]]


@dataclass(frozen=True)
class StageTimes:
    """Median wall time of one call of each computation, ms, and where the figures come from."""

    median_ms: dict[str, float]
    source: str


def default_stage_times() -> Path:
    return config_directory() / "suites" / "stage_times.yaml"


def load_stage_times(path: str | Path | None = None) -> StageTimes:
    """Raises StageTimesError naming the file and each wrong or missing key."""
    path = Path(path) if path is not None else default_stage_times()
    data = read_mapping(path, "stage times", StageTimesError, "the keys source and median_ms")
    file = checked(_File, data, path, "file of stage times", StageTimesError)
    missing = [stage for stage in STAGES if stage not in file.median_ms]
    unknown = [stage for stage in file.median_ms if stage not in STAGES]
    if missing or unknown:
        raise StageTimesError(f"{path}: median_ms lacks {missing} and does not know {unknown}; it has one of each {STAGES}")
    return StageTimes(file.median_ms, file.source)


def write_stage_times(path: Path, median_ms: dict[str, float], source: str) -> None:
    """Keep measured medians, rounded to 0.1 ms. Raises ValueError when a stage is missing."""
    missing = [stage for stage in STAGES if stage not in median_ms]
    if missing:
        raise ValueError(f"the run never called {missing}: ask for more picks")
    times = {stage: round(median_ms[stage], 1) for stage in STAGES}
    head = "# What a call of each computation is charged with --clock fixed: medians of a measured run.\n"
    path.write_text(head + yaml.safe_dump({"source": source, "median_ms": times}, sort_keys=False, width=120))


def charge_of(clock: Clock, times: StageTimes | None) -> Charge:
    """The charge of a clock mode. Raises ValueError for ``fixed`` without times."""
    if clock is Clock.MEASURED:
        return charge_measured
    if clock is Clock.NONE:
        return charge_nothing
    if times is None:
        raise ValueError("the fixed clock needs stage times")
    seconds = {stage: 1e-3 * ms for stage, ms in times.median_ms.items()}
    return lambda stage, elapsed_s: seconds[stage]
