"""What a benchmark keeps of an episode: plain values, JSON in and out, the same on every backend.

Wall times are kept apart from everything else: they differ from run to run, the rest follows from the seed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pickcell.outcome import Code, Stage
from pickcell.task.record import PickReport


@dataclass(frozen=True)
class DamageRecord:
    """One damaging event."""

    time_s: float
    item_id: int
    sku: str
    item_kind: str
    kind: str
    """Of event: impact, opened, crush, blister, torn_open, ..."""
    value: float
    limit: float
    unit: str
    cause: str
    """``target`` or ``neighbour``: what the damaged item was to the pick."""
    by: str = ""
    """What did it: a link of the robot, a tote, another item, ..."""


@dataclass(frozen=True)
class PickRecord:
    """One pick: what the cell said and what was true."""

    job_id: str
    asked: str
    """SKU, or ``*`` for any item."""
    sku: str
    """What the cell says it took, or was to take."""
    kind: str
    """Of ``sku``; empty when the cell never settled on an item."""
    code: str
    tool: str
    grasps: int
    """Attempts in which the hand moved to an item."""
    lifted: int
    """Attempts in which the cell found the item held after the lift."""
    failures: tuple[str, ...]
    """``stage: code`` of each stage that failed, in order."""
    result: str
    """A PickResult, by the truth."""
    delivered: tuple[str, ...] = ()
    dropped: bool = False
    uncontrolled_drops: int = 0
    missed: bool = False
    double: bool = False
    wrong_item: bool = False
    displaced: int = 0
    """Neighbours that were moved by more than 2 cm or 20 degrees."""
    damage: tuple[DamageRecord, ...] = ()
    near_misses: tuple[DamageRecord, ...] = ()
    """What came near to its limit, and would be damage at a lower one."""
    needs_person: bool = False
    perturbation: str = ""
    """Kind that was scripted."""
    struck: bool = False
    """It found its moment and something to act on."""
    met_n: float = 0.0
    """Greatest force between the robot and what reached into its way, N."""
    cell_s: float = 0.0
    stage_s: dict[str, float] = field(default_factory=dict)
    """Stage -> cell time, computation included."""
    wall_s: float = 0.0

    @property
    def success(self) -> bool:
        """What was asked for came into the destination, and nothing else."""
        return self.result == "success"

    @staticmethod
    def from_dict(data: dict[str, Any]) -> PickRecord:
        """Inverse of ``asdict`` by way of JSON."""
        data = dict(data)
        for key in ("damage", "near_misses"):
            data[key] = tuple(DamageRecord(**event) for event in data.get(key, ()))
        data["failures"], data["delivered"] = tuple(data["failures"]), tuple(data["delivered"])
        return PickRecord(**data)


def joined(tries: list[PickRecord]) -> PickRecord:
    """All that was done for one line of an order, put off in between, as one pick: how it ended, and what all of it took
    and broke. Raises ValueError for none."""
    if not tries:
        raise ValueError("a line of an order has at least one try")
    last = tries[-1]
    stages: dict[str, float] = {}
    for each in tries:
        for stage, seconds in each.stage_s.items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    return replace(
        last,
        grasps=sum(t.grasps for t in tries),
        lifted=sum(t.lifted for t in tries),
        failures=tuple(failure for t in tries for failure in t.failures),
        delivered=tuple(sku for t in tries for sku in t.delivered),
        dropped=any(t.dropped for t in tries),
        uncontrolled_drops=sum(t.uncontrolled_drops for t in tries),
        displaced=sum(t.displaced for t in tries),
        damage=tuple(event for t in tries for event in t.damage),
        near_misses=tuple(event for t in tries for event in t.near_misses),
        needs_person=any(t.needs_person for t in tries),
        perturbation=tries[0].perturbation,
        struck=any(t.struck for t in tries),
        met_n=max(t.met_n for t in tries),
        cell_s=sum(t.cell_s for t in tries),
        stage_s=stages,
        wall_s=sum(t.wall_s for t in tries),
    )


@dataclass(frozen=True)
class EpisodeRecord:
    """One tote."""

    suite: str
    strategy: str
    perception: str
    seed: int
    presented: dict[str, str]
    """SKU -> kind of all items in the tote at the start."""
    ended: str
    """``asked``, ``cleared``, ``no_grasp_found``, ``two_failures``, another code of the last pick, or ``error``."""
    picks: tuple[PickRecord, ...] = ()
    redraws: int = 0
    """Draws that did not fit into the tote before this one did."""
    error: str = ""
    calls_ms: dict[str, list[float]] = field(default_factory=dict)
    """Wall time of each call of a computation."""
    wall_s: float = 0.0

    def damaged(self) -> list[tuple[int, DamageRecord]]:
        """The first event of each damaged item, with the number of its pick: what is broken is not broken twice."""
        seen: set[int] = set()
        first: list[tuple[int, DamageRecord]] = []
        for number, pick in enumerate(self.picks):
            for event in sorted(pick.damage, key=lambda e: (e.time_s, e.item_id)):
                if event.item_id not in seen:
                    seen.add(event.item_id)
                    first.append((number, event))
        return first

    def delivered_undamaged(self) -> list[bool]:
        """Per pick: delivered as asked, and that item not damaged by this pick or an earlier one."""
        broken: set[str] = set()
        good = []
        for pick in self.picks:
            broken |= {event.sku for event in pick.damage}
            good.append(pick.success and not any(sku in broken for sku in pick.delivered))
        return good

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> EpisodeRecord:
        """Raises KeyError or TypeError on a dictionary that is not an episode."""
        return EpisodeRecord(**{**data, "picks": tuple(PickRecord.from_dict(pick) for pick in data["picks"])})

    def timeless(self) -> dict[str, Any]:
        """All but the wall times: equal for equal seeds."""
        data = self.to_dict()
        data.pop("calls_ms"), data.pop("wall_s")
        for pick in data["picks"]:
            pick.pop("wall_s")
        return data


def fingerprint(episodes: list[EpisodeRecord]) -> str:
    """Sixteen digits over everything but wall times, in order of seed: two runs with the same digits did the same."""
    ordered = sorted(episodes, key=lambda e: (e.suite, e.strategy, e.perception, e.seed))
    text = json.dumps([episode.timeless() for episode in ordered], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def attempts_of(report: PickReport) -> tuple[int, int, tuple[str, ...]]:
    """(grasps tried, items lifted, ``stage: code`` of each failure) of a report."""
    grasps = sum(stage.stage is Stage.APPROACH for stage in report.stages)
    lifted = sum(stage.stage is Stage.VERIFY and stage.code is Code.OK for stage in report.stages)
    failures = tuple(f"{s.stage.value}: {s.code.value}" for s in report.stages if s.code is not Code.OK)
    return grasps, lifted, failures
