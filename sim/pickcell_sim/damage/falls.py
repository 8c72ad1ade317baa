"""Falls: items that lose their support and go down free of the hand, from where to where.

Judged by how an item's velocity changes over some milliseconds, so that the length of the physics step does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pybullet as p

from pickcell_sim.damage.mechanics import GRAVITY, impact_speed_mps
from pickcell_sim.scoring.places import Where, tote_below
from pickcell_sim.world import ItemBody, SimWorld

SAMPLE_S = 0.016
FREE_G = 0.7
"""Gaining speed downwards with this share of gravity, an item has lost its support."""
LANDED_MPS = 0.1
MOVED_M = 0.05
"""Farther in one sample than anything falls: the item has been put there."""


@dataclass(frozen=True)
class Drop:
    """A fall of an item, free of the hand."""

    time_s: float
    """When the fall was over the height that counts."""
    item_id: int
    sku: str
    speed_mps: float
    """Largest downward speed."""
    height_m: float = 0.0
    """How far the item's centre came down from where it lost its support."""
    over: Where = Where.ELSEWHERE
    """The tote above which it lost its support."""

    @property
    def uncontrolled(self) -> bool:
        """Not let go of over the destination."""
        return self.over is not Where.DESTINATION


@dataclass
class _Track:
    """One item's way down."""

    place: tuple[float, float, float]
    """Of its centre, when it was last supported."""
    down_mps: float = 0.0
    time_s: float = 0.0
    falling: bool = False
    drop: int | None = None
    """Number of the drop that this fall has become."""


class FallWatch:
    """Records every free fall of at least ``least_m``. Call :meth:`after_step` after each physics step."""

    def __init__(self, world: SimWorld, least_m: float, in_hand: Callable[[ItemBody], bool]) -> None:
        """``in_hand``: whether the hand touches an item now; asked only of items that seem to fall."""
        self._world, self._least_m, self._in_hand = world, least_m, in_hand
        self._least_mps = impact_speed_mps(0.5 * least_m)
        """Slower, it slides or is pushed down."""
        self._since_s = 0.0
        self._now_s = 0.0
        """Own clock: within substeps the world's time stands still."""
        self._tracks: dict[int, _Track] = {}
        self._drops: list[Drop] = []

    @property
    def drops(self) -> tuple[Drop, ...]:
        """All falls so far, in order of time."""
        return tuple(self._drops)

    def after_step(self) -> None:
        self._since_s += self._world.step_s
        self._now_s += self._world.step_s
        if self._since_s < SAMPLE_S:
            return
        self._since_s = 0.0
        for item in self._world.item_bodies.values():
            if item.asleep:
                track = self._tracks.get(item.item_id)
                if track is not None:
                    track.falling, track.down_mps, track.time_s = False, 0.0, self._now_s
            else:
                self._follow(item)

    def _follow(self, item: ItemBody) -> None:
        client = self._world.client
        place = p.getBasePositionAndOrientation(item.body, physicsClientId=client)[0]
        down = -p.getBaseVelocity(item.body, physicsClientId=client)[0][2]
        track = self._tracks.get(item.item_id)
        if track is None:
            self._tracks[item.item_id] = _Track(place, down, self._now_s)
            return
        elapsed = max(self._now_s - track.time_s, 1e-9)
        free = (down - track.down_mps) / elapsed > FREE_G * GRAVITY
        track.down_mps, track.time_s = down, self._now_s
        if not track.falling and free and down > 0.0:
            track.falling, track.drop = True, None
            if sum((a - b) ** 2 for a, b in zip(place, track.place)) > MOVED_M**2:
                track.place = (place[0], place[1], place[2] + down**2 / (2.0 * GRAVITY))
        if track.falling:
            self._fall(item, track, place, down)
        if not track.falling:
            track.place = place

    def _fall(self, item: ItemBody, track: _Track, place: tuple[float, float, float], down: float) -> None:
        height = track.place[2] - place[2]
        if down < LANDED_MPS:
            track.falling = False
        if track.drop is not None:
            drop = self._drops[track.drop]
            self._drops[track.drop] = replace(drop, speed_mps=max(drop.speed_mps, down), height_m=max(drop.height_m, height))
        elif height >= self._least_m and down >= self._least_mps:
            if self._in_hand(item):  # carried down quickly, not falling
                track.falling = False
                return
            over = tote_below(self._world.cell, track.place)
            track.drop = len(self._drops)
            self._drops.append(Drop(self._world.time_s, item.item_id, item.name, down, height, over))
