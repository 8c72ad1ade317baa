"""Runs a script of perturbations on a driven cell, and keeps a log of what truly happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pickcell_sim.driver import SimDriver
from pickcell_sim.perturbations.act import Act, Missed, Scene
from pickcell_sim.perturbations.hold import Leak, SlipperyHold, Tug
from pickcell_sim.perturbations.intruder import Intruder
from pickcell_sim.perturbations.kinds import STAGES, Kind
from pickcell_sim.perturbations.script import Perturbation, PerturbationScript
from pickcell_sim.perturbations.shove import Shove, item_near_tool
from pickcell_sim.perturbations.sight import BlurredLens, DimmedLights, KnockedCamera
from pickcell_sim.scoring.truth import Truth
from pickcell_sim.world import ItemBody

_TIME_SLACK_S = 1e-9


@dataclass(frozen=True)
class LogEntry:
    """One thing that happened."""

    time_s: float
    """Cell time."""
    kind: str
    what: str
    """``began``, ``ended``, or ``missed``: there was nothing to act on."""
    stage: str
    magnitude: dict[str, float]
    """As scripted (began, missed) or as measured (ended)."""
    body: int | None = None
    item_id: int | None = None
    sku: str = ""
    camera: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass
class _Running:
    perturbation: Perturbation
    act: Act
    began: LogEntry


@dataclass
class _Waiting:
    perturbation: Perturbation
    due_s: float | None = None
    """Cell time at which it strikes; None until the pick enters its stage."""


class Perturbations:
    """Attach to a driver for the length of one pick (or several), tell it the stages, close it in the end."""

    def __init__(self, driver: SimDriver, script: PerturbationScript) -> None:
        self._driver = driver
        self._waiting = [_Waiting(p) for p in script.perturbations]
        self._running: list[_Running] = []
        self._target: int | str | None = None
        self._log: list[LogEntry] = []
        self._closed = False
        driver.world.before_step.append(self._tick)

    @property
    def log(self) -> tuple[LogEntry, ...]:
        """What was done so far, in order of time."""
        return tuple(self._log)

    @property
    def struck(self) -> bool:
        """Whether any perturbation has acted."""
        return any(entry.what == "began" for entry in self._log)

    @property
    def active(self) -> tuple[Kind, ...]:
        """Kinds that act at present."""
        return tuple(r.perturbation.kind for r in self._running)

    @property
    def due(self) -> bool:
        """Whether one waits whose stage has begun."""
        return any(w.due_s is not None for w in self._waiting)

    def on_stage(self, stage: str, target: int | str | None = None) -> None:
        """The pick enters a stage now. ``target``: the wanted piece by its number, or its SKU (ground truth).

        Only the first time counts. What has no delay strikes within this call. Raises ValueError for an unknown stage, and
        after ``close``.
        """
        if self._closed:
            raise ValueError("these perturbations are closed: make new ones for the next pick")
        if stage not in STAGES:
            raise ValueError(f"'{stage}' is no stage of a pick; there are {list(STAGES)}")
        if target is not None:
            self._target = target
        for waiting in self._waiting:
            if waiting.due_s is None and waiting.perturbation.stage == stage:
                waiting.due_s = self._driver.now_s + waiting.perturbation.delay_s
        self._strike_what_is_due()  # without a delay at once: a stage may look before time passes

    def close(self) -> None:
        """End what acts and undo it: light, friction, cameras, leak; the intruder is gone. Twice does no harm."""
        if self._closed:
            return
        self._closed = True
        if self._tick in self._driver.world.before_step:
            self._driver.world.before_step.remove(self._tick)
        if self._driver.world.client >= 0:
            while self._running:
                self._end(self._running[-1])

    def __enter__(self) -> Perturbations:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- each step ---------------------------------------------------------------------------------------------------
    def _strike_what_is_due(self) -> None:
        now = self._driver.now_s
        for waiting in [w for w in self._waiting if w.due_s is not None and now >= w.due_s - _TIME_SLACK_S]:
            self._waiting.remove(waiting)
            self._begin(waiting.perturbation)

    def _tick(self) -> None:
        self._strike_what_is_due()
        for running in list(self._running):
            if not running.act.step():
                self._end(running)

    def _begin(self, perturbation: Perturbation) -> None:
        scene = Scene(self._driver, self._target_item())
        act = _act(scene, perturbation)
        began = act.begin()
        if isinstance(began, Missed):
            self._note(perturbation, "missed", perturbation.magnitude, note=began.why)
            return
        item = began.item
        entry = self._note(
            perturbation, "began", perturbation.magnitude, body=began.body, item_id=item.item_id if item else None,
            sku=item.name if item else "", camera=began.camera, note=began.note,
        )  # fmt: skip
        self._running.append(_Running(perturbation, act, entry))

    def _end(self, running: _Running) -> None:
        self._running.remove(running)
        running.act.end()
        b = running.began
        measured = {key: float(value) for key, value in running.act.measured.items()}
        self._note(
            running.perturbation, "ended", measured, body=b.body, item_id=b.item_id, sku=b.sku, camera=b.camera,
            note=b.note,
        )  # fmt: skip

    def _note(self, perturbation: Perturbation, what: str, magnitude: dict[str, float], **more: Any) -> LogEntry:
        entry = LogEntry(self._driver.now_s, perturbation.kind.value, what, perturbation.stage, dict(magnitude), **more)
        self._log.append(entry)
        return entry

    def _target_item(self) -> ItemBody | None:
        """The wanted piece: by number, else the piece of the SKU nearest to the hand, else whatever is nearest to it."""
        world = self._driver.world
        if isinstance(self._target, int):
            return world.item_bodies.get(self._target)
        return item_near_tool(Truth(self._driver), world, self._target or "")


def _act(scene: Scene, perturbation: Perturbation) -> Act:
    """What does the work of a perturbation."""
    match perturbation.kind:
        case Kind.TARGET_SHIFT | Kind.NEIGHBOUR_SHIFT:
            return Shove(scene, perturbation)
        case Kind.INTRUDER:
            return Intruder(scene, perturbation)
        case Kind.SLIP_IN_HAND:
            return Tug(scene, perturbation) if perturbation.variant == "tug" else SlipperyHold(scene, perturbation)
        case Kind.VACUUM_LEAK:
            return Leak(scene, perturbation)
        case Kind.CAMERA_KNOCKED:
            return KnockedCamera(scene, perturbation)
        case Kind.LIGHTS_DIMMED:
            return DimmedLights(scene, perturbation)
        case Kind.LENS_BLURRED:
            return BlurredLens(scene, perturbation)
