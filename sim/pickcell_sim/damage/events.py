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
    """Cell time at which the limit was first passed."""
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

    def of_full_limit(self, share: float) -> DamageEvent:
        """The event that a monitor with ``limits.watched_from(share)`` has reported, with the limit itself: a near miss when
        its severity is not over 1."""
        return replace(self, limit=self.limit / share)


@dataclass
class _Incident:
    index: int
    """Of its event in the record."""
    last_s: float


class EventRecord:
    """Collects exceedances and merges those of one incident into one event with the largest value."""

    def __init__(self, refractory_s: float) -> None:
        self._refractory_s = refractory_s
        self._events: list[DamageEvent] = []
        self._open: dict[tuple[int, str], _Incident] = {}

    @property
    def events(self) -> tuple[DamageEvent, ...]:
        """All events in order of their first exceedance."""
        return tuple(self._events)

    def add(self, time_s: float, item_id: int, sku: str, kind: str, value: float, limit: float, by: str) -> None:
        """An item exceeds a limit in this step."""
        incident = self._open.get((item_id, kind))
        if incident is not None and time_s - incident.last_s <= self._refractory_s:
            incident.last_s = time_s
            event = self._events[incident.index]
            if by not in event.by.split(", "):
                event = replace(event, by=f"{event.by}, {by}")
            if value / limit > event.severity:
                event = replace(event, value=value, limit=limit)
            self._events[incident.index] = event
            return
        self._open[(item_id, kind)] = _Incident(len(self._events), time_s)
        self._events.append(DamageEvent(time_s, item_id, sku, kind, value, limit, UNITS[kind], by=by))


def damaged_items(events: Iterable[DamageEvent]) -> frozenset[int]:
    """Numbers of the items that events befell."""
    return frozenset(event.item_id for event in events)
