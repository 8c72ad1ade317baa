"""What the damage monitor reports: one event per item, kind and incident."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

KINDS = ("impact", "opened", "crush", "blister")
"""Of events. ``impact``: m/s of normal approach; ``opened``: rad of a cover; ``crush``: N of a pad; ``blister``: Pa."""
UNITS = {"impact": "m/s", "opened": "rad", "crush": "N", "blister": "Pa"}
CAUSES = ("target", "neighbour")


@dataclass(frozen=True)
class DamageEvent:
    """An item has borne more than its limit. Ground truth."""

    time_s: float
    """Cell time at which the limit was first passed; of a near miss, the share of it that is watched."""
    item_id: int
    sku: str
    """Name of the item in the world; empty for bodies that no catalogue describes."""
    kind: str
    """One of KINDS."""
    value: float
    """Largest value in the incident."""
    limit: float
    unit: str
    """Of value and limit."""
    cause: str = ""
    """Whether the item was the pick's ``target`` or a ``neighbour``; empty until a pick is scored."""
    by: str = ""
    """What did it: a link of the robot, ``tote source``, ``table``, another item's SKU, ``cup``, ``own weight``,
    ``foreign body``; when several had a part in the incident, in order of time."""

    @property
    def severity(self) -> float:
        """Value over limit; more than 1, but for near misses."""
        return self.value / self.limit


@dataclass
class _Incident:
    index: int
    """Of its event in the record."""
    last_s: float


class _Incidents:
    """Merges exceedances that follow each other closely into one event with the largest value."""

    def __init__(self, refractory_s: float) -> None:
        self._refractory_s = refractory_s
        self._open: dict[tuple[int, str], _Incident] = {}
        self.events: list[DamageEvent] = []

    def add(self, event: DamageEvent) -> None:
        key = (event.item_id, event.kind)
        incident = self._open.get(key)
        if incident is not None and event.time_s - incident.last_s <= self._refractory_s:
            incident.last_s = event.time_s
            known = self.events[incident.index]
            if event.by not in known.by.split(", "):
                known = replace(known, by=f"{known.by}, {event.by}")
            if event.severity > known.severity:
                known = replace(known, value=event.value, limit=event.limit)
            self.events[incident.index] = known
            return
        self._open[key] = _Incident(len(self.events), event.time_s)
        self.events.append(event)


class EventRecord:
    """Collects what items bear: damage, and apart from it everything from a share of the limits on."""

    def __init__(self, refractory_s: float, watched_share: float = 1.0) -> None:
        """``watched_share``: of each limit, from which on strains are reported to this record."""
        self.watched_share = watched_share
        self._damage, self._strains = _Incidents(refractory_s), _Incidents(refractory_s)

    @property
    def events(self) -> tuple[DamageEvent, ...]:
        """All damage in order of its first exceedance."""
        return tuple(self._damage.events)

    @property
    def strains(self) -> tuple[DamageEvent, ...]:
        """Damage and near misses, each incident from the watched share of its limit on."""
        return tuple(self._strains.events)

    def add(self, time_s: float, item_id: int, sku: str, kind: str, value: float, limit: float, by: str) -> None:
        """An item bears more than ``limit`` in this step: the watched share of what it is damaged by."""
        event = DamageEvent(time_s, item_id, sku, kind, value, limit / self.watched_share, UNITS[kind], by=by)
        self._strains.add(event)
        if event.severity > 1.0:
            self._damage.add(event)


def damaged_items(events: Iterable[DamageEvent]) -> frozenset[int]:
    """Numbers of the items that events befell."""
    return frozenset(event.item_id for event in events)
