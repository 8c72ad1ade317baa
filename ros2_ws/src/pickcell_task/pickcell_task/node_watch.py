"""Are the stage nodes alive? Judged by the liveliness of their heartbeats and by the wall clock, never by cell time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pickcell_interfaces.msg import CameraRate, Heartbeat, NodeHealth
from rclpy.event_handler import QoSLivelinessChangedInfo, SubscriptionEventCallbacks
from rclpy.node import Node

from pickcell.outcome import Code, Outcome
from pickcell_node.heartbeat import heartbeat_qos


@dataclass
class _Watched:
    topic: str
    arrived: float | None = None
    """Monotonic time of the newest heartbeat."""
    writers: int = 0
    """Live publishers of it, as the middleware sees them."""
    heartbeat: Heartbeat | None = None


class NodeWatch:
    """Watches the heartbeats of the named nodes. Callbacks run on the node's executor, questions come from any thread."""

    def __init__(self, node: Node, names: Sequence[str], max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._watched = {name: _Watched(f"{name}/heartbeat") for name in names}
        self._boots: dict[str, str] = {}
        for watched in self._watched.values():
            node.create_subscription(
                Heartbeat,
                watched.topic,
                lambda msg, w=watched: self._take(w, msg),
                heartbeat_qos(),
                event_callbacks=SubscriptionEventCallbacks(liveliness=lambda info, w=watched: self._live(w, info)),
            )

    @staticmethod
    def _take(watched: _Watched, msg: Heartbeat) -> None:
        watched.arrived = time.monotonic()
        watched.heartbeat = msg

    @staticmethod
    def _live(watched: _Watched, info: QoSLivelinessChangedInfo) -> None:
        watched.writers = info.alive_count
        if info.alive_count == 0:
            watched.heartbeat = None  # the next one comes from another process

    def _fault(self, watched: _Watched) -> str:
        """What is wrong, empty when nothing is."""
        if watched.arrived is None:
            return "has not been seen yet"
        if watched.writers == 0 or watched.heartbeat is None:
            return "has died"
        age = time.monotonic() - watched.arrived
        return f"has been silent for {age:.1f} s" if age > self._max_age_s else ""

    def begin(self) -> None:
        """Remember which processes are there now: from here on a restart of one counts as its loss."""
        self._boots = {name: w.heartbeat.boot_id for name, w in self._watched.items() if w.heartbeat is not None}

    def lost(self) -> Outcome[None]:
        """NODE_LOST naming the nodes that are not there, or not the same process any more as at :meth:`begin`."""
        faults = self.faults()
        for name, watched in self._watched.items():
            before = self._boots.get(name)
            if before is not None and watched.heartbeat is not None and watched.heartbeat.boot_id != before:
                faults.append(f"Node /{name} has died and was started again.")
        return Outcome.failure(Code.NODE_LOST, " ".join(faults)) if faults else Outcome.success(None)

    def faults(self) -> list[str]:
        """A sentence per node that is not there now."""
        found = ((name, self._fault(watched)) for name, watched in self._watched.items())
        return [f"Node /{name} {fault}." for name, fault in found if fault]

    def health(self) -> list[NodeHealth]:
        now = time.monotonic()
        return [
            NodeHealth(
                node=f"/{name}",
                alive=not (fault := self._fault(watched)),
                heartbeat_age=-1.0 if watched.arrived is None else now - watched.arrived,
                note=fault,
            )
            for name, watched in self._watched.items()
        ]

    def cameras(self) -> list[CameraRate]:
        """What the perception node reports of its cameras; empty while it is not alive."""
        alive = [w for w in self._watched.values() if not self._fault(w) and w.heartbeat is not None]
        return [rate for watched in alive for rate in watched.heartbeat.cameras]  # type: ignore[union-attr]
