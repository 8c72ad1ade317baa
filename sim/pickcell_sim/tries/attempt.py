"""One grasp tried to its end: approached, held, lifted, carried over and set down by the cell's own task, then scored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pickcell.outcome import Code
from pickcell.task.attempt import Attempt
from pickcell.task.ledger import Ledger
from pickcell.task.pictures import PickPictures
from pickcell.task.record import PickReport
from pickcell.task.request import PickRequest
from pickcell.task.stages import StageRunner
from pickcell.values import GraspCandidate, Scene
from pickcell_sim.bench.trial import Trial


@dataclass(frozen=True)
class GraspTry:
    """A candidate and what came of it."""

    tote: str
    """Name of the tote; tries of one tote are not independent of each other."""
    sku: str
    kind: str
    tool: str
    quality: float
    """The analytic rating of the candidate."""
    measures: dict[str, float]
    code: str
    """How the cell says it ended; ``ok`` only when the item was set down over there."""
    stage: str
    """Where it ended."""
    result: str
    """What was true, see :class:`pickcell_sim.scoring.pick_score.PickResult`."""
    damage: tuple[tuple[str, str], ...]
    """(kind of damage, "target" or "neighbour")."""
    displaced: int
    drops: int
    cell_s: float
    chosen: bool = False
    """It is what the cell would have tried first."""

    @property
    def success(self) -> bool:
        """The item was delivered, alone and unharmed, and nothing else was harmed."""
        return self.result == "success" and not self.damage

    @property
    def was_tried(self) -> bool:
        """The arm could reach it: else nothing was learned of the grasp."""
        return self.stage != ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def try_grasp(
    trial: Trial, scene: Scene, candidate: GraspCandidate, sku: str, tote: str, folder: Path, chosen: bool = False
) -> GraspTry:
    """Try one candidate, whatever it is worth. Moves the simulated world on: call it in a fork of it.

    ``folder``: for a ledger of its own.
    """
    task = trial.task
    task.ledger = Ledger(folder / "ledger.sqlite")
    task.ledger.set_manifest(trial.contents.manifest).unwrap()
    report = PickReport("try", sku)
    stages = StageRunner(
        trial.ports, report, lambda progress: None, task.config.hand.opening_max_m, task.config.hold.touchdown_force_n
    )
    before, start_s = trial.scorer.snapshot(), trial.driver.now_s
    attempt = Attempt(task, PickRequest("try", sku), stages, PickPictures(None, report, task.config.hand), [])
    planned = trial.ports.motion.plan_approach(scene, (candidate,))
    code = planned.code
    if planned.ok:
        taken = attempt.take(scene, planned.unwrap())
        delivered = attempt.deliver(scene, taken.unwrap()) if taken.ok else taken.failed_as()
        code = delivered.code
    score = trial.scorer.score(before, sku)
    stage = report.stages[-1].stage.value if report.stages else ""
    return GraspTry(
        tote, sku, trial.ports.selector.catalogue.find(sku).unwrap().kind, candidate.tool.value, candidate.quality,
        dict(candidate.scores), "ok" if code is Code.OK else code.value, stage, score.result.value,
        tuple(sorted({(event.kind, event.cause) for event in score.damage})), len(score.displaced), len(score.drops),
        trial.driver.now_s - start_s, chosen,
    )  # fmt: skip
