"""Shares of trials and what follows from them: damage at other limits, and the suction : pinch ratio by mix and access.

All is counted from recorded trials; nothing is simulated again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pickcell_sim.bench.claims.record import TrialRecord
from pickcell_sim.bench.claims.series import CALM, Series
from pickcell_sim.bench.claims.trial import RECORD_SHARE
from pickcell_sim.bench.statistics import Interval, wilson
from pickcell_sim.damage.scaling import FACTORS, SCALES, severity_limit

BOOK_SHARES = tuple(round(0.1 * k, 1) for k in range(11))
ACCESS = tuple(round(0.1 * k, 1) for k in range(11))
BOOK_SHARE, FREE_ACCESS = 0.5, 1.0
"""Of the headline ratio: as many books as boxes, the jaw reaches all of them."""
GROUPS = {"book": ("hardcover", "paperback"), "box": ("box",)}
"""Kinds that the ratio is made of, each group's kinds counting alike."""

Access = float | Mapping[str, float]
"""Share of items that the jaw can reach, of all or by group."""


def damaged(record: TrialRecord, scales: Mapping[str, float] | None = None) -> bool:
    """Whether a trial damaged its item, with limits scaled by these factors (1 where none is given).

    Raises ValueError for names that are no limits, and for factors below what was recorded (RECORD_SHARE; its square for
    fall heights).
    """
    return any(peak.severity > severity_limit(kind, scales or {}, RECORD_SHARE) for kind, peak in record.peaks.items())


def share(hits: Iterable[bool]) -> Interval:
    """(share, low, high) by Wilson."""
    counted = list(hits)
    return wilson(sum(counted), len(counted))


def weighted(parts: Sequence[tuple[float, Interval]]) -> Interval:
    """Sum of weight times share over independent shares. The interval recovers variances from those of the shares (MOVER:
    Zou and Donner 2008), so that it stays sensible near 0 and 1."""
    value = sum(w * part[0] for w, part in parts)
    low = value - np.sqrt(sum((w * (part[0] - part[1])) ** 2 for w, part in parts))
    high = value + np.sqrt(sum((w * (part[2] - part[0])) ** 2 for w, part in parts))
    return float(value), float(max(low, 0.0)), float(high)


def ratio(suction: Interval, pinch: Interval) -> Interval:
    """Suction over pinch with the widest interval that the two leave: infinite above where pinch may be 0.

    Where neither does damage there is no ratio: NaN.
    """
    if suction[0] == 0 and pinch[0] == 0:
        return float("nan"), 0.0, float("inf")

    def over(a: float, b: float) -> float:
        return a / b if b > 0 else float("inf")

    return over(suction[0], pinch[0]), over(suction[1], pinch[2]), over(suction[2], pinch[1])


@dataclass(frozen=True)
class ToolDamage:
    """Share of damaged items with each tool, by kind group."""

    suction: dict[str, Interval]
    pinch: dict[str, Interval]


def tool_damage(
    trials: Mapping[Series, Sequence[TrialRecord]], scales: Mapping[str, float] | None = None, acceleration: float = CALM
) -> ToolDamage:
    """Books and boxes with each tool where it can work: suction on lying books, pinch on standing ones, both on the same
    dumped boxes. Raises ValueError when a series that is needed was not run."""
    out: dict[str, dict[str, Interval]] = {"suction": {}, "pinch": {}}
    for group, kinds in GROUPS.items():
        for tool, results in out.items():
            posture = "dumped" if group == "box" else "lying" if tool == "suction" else "standing"
            chosen = [
                trials[s]
                for s in trials
                if s.claim == "books_boxes" and s.kind in kinds and s.tool.value == tool and s.posture == posture
                and s.acceleration == acceleration
            ]  # fmt: skip
            if len(chosen) != len(kinds):
                raise ValueError(f"the ratio needs series of {group}s by {tool} at {acceleration:g} m/s^2")
            shares = [share(damaged(r, scales) for r in records) for records in chosen]
            results[group] = weighted([(1.0 / len(shares), s) for s in shares])
    return ToolDamage(out["suction"], out["pinch"])


def damage_ratio(
    found: ToolDamage, book_share: float = BOOK_SHARE, access: Access = FREE_ACCESS, fall_back: bool = True
) -> Interval:
    """Suction : pinch damage at equal trials of a mix of books and boxes.

    ``access``: share of items that the jaw can reach. The others are taken by suction (``fall_back``), with its damage, or
    are left in the tote, undamaged and undelivered. Raises ValueError for shares outside 0..1.
    """
    return ratio(*mixed_damage(found, book_share, access, fall_back))


def mixed_damage(
    found: ToolDamage, book_share: float = BOOK_SHARE, access: Access = FREE_ACCESS, fall_back: bool = True
) -> tuple[Interval, Interval]:
    """Damaged shares of suction's and of pinch's trials, as :func:`damage_ratio` compares them."""
    weights = {"book": book_share, "box": 1.0 - book_share}
    reached = {g: float(access[g]) if isinstance(access, Mapping) else access for g in weights}
    if not all(0.0 <= value <= 1.0 for value in (book_share, *reached.values())):
        raise ValueError(f"shares lie in 0..1, got {book_share} of books and {access} of access")
    suction = [(weights[g], found.suction[g]) for g in weights]
    pinch = [(reached[g] * weights[g], found.pinch[g]) for g in weights]
    if fall_back:
        pinch += [((1.0 - reached[g]) * weights[g], found.suction[g]) for g in weights]
    return weighted(suction), weighted(pinch)


@dataclass(frozen=True)
class Sensitivity:
    """The ratio when one thing is varied, all else as in the headline."""

    what: str
    """``impact``, ``opening``, ``crush``, ``film``, ``book_share``, ``access_fall_back`` or ``access_leave``; with
    ``_measured``: as the jaw reached items in full totes."""
    at: float
    """Factor on the limit, or share."""
    suction: Interval
    pinch: Interval
    """Damaged share of each tool's trials."""
    ratio: Interval


def sensitivities(
    trials: Mapping[Series, Sequence[TrialRecord]], acceleration: float = CALM, measured: Mapping[str, float] | None = None
) -> list[Sensitivity]:
    """The whole sweep: limits times FACTORS one at a time, BOOK_SHARES, ACCESS with and without falling back.

    ``measured``: share of each group that the jaw reaches in full totes, if that was measured.
    """
    rows: list[Sensitivity] = []
    for name in SCALES:
        for factor in FACTORS:
            rows.append(_row(name, factor, tool_damage(trials, {name: factor}, acceleration)))
    found = tool_damage(trials, None, acceleration)
    rows += [_row("book_share", at, found, book_share=at) for at in BOOK_SHARES]
    rows += [_row("access_fall_back", at, found, access=at) for at in ACCESS]
    rows += [_row("access_leave", at, found, access=at, fall_back=False) for at in ACCESS]
    if measured is not None:
        mean = BOOK_SHARE * measured["book"] + (1.0 - BOOK_SHARE) * measured["box"]
        rows.append(_row("access_fall_back_measured", mean, found, access=measured))
        rows.append(_row("access_leave_measured", mean, found, access=measured, fall_back=False))
    return rows


def _row(what: str, at: float, found: ToolDamage, **varied: Access | bool) -> Sensitivity:
    suction, pinch = mixed_damage(found, **varied)  # type: ignore[arg-type]
    return Sensitivity(what, at, suction, pinch, ratio(suction, pinch))
