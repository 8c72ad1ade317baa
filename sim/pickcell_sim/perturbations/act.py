"""What every perturbation in action offers to the one that runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from pickcell_sim.driver import SimDriver
from pickcell_sim.perturbations.script import Perturbation
from pickcell_sim.world import ItemBody


@dataclass(frozen=True)
class Struck:
    """It has begun, at this."""

    body: int | None = None
    item: ItemBody | None = None
    camera: str = ""
    note: str = ""


@dataclass(frozen=True)
class Missed:
    """There was nothing to act on; ``why`` is a clause for people."""

    why: str


@dataclass
class Scene:
    """What an act needs to know: the cell, and which item the pick is after (ground truth, from the harness)."""

    driver: SimDriver
    target: ItemBody | None = None


class Act(Protocol):
    """One perturbation in action. ``begin`` once; ``step`` before every physics step while it says so; ``end`` once."""

    measured: dict[str, float]
    """What it came to, known after ``end``."""

    def begin(self) -> Struck | Missed:
        """Strike. After Missed nothing else is called."""

    def step(self) -> bool:
        """Act on the coming physics step; False when it is over."""

    def end(self) -> None:
        """Undo what must be undone."""


@dataclass
class Timed:
    """An act with a duration of cell time."""

    scene: Scene
    perturbation: Perturbation
    measured: dict[str, float] = field(default_factory=dict)
    began_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        return self.scene.driver.now_s - self.began_s
