"""One simulated cell under test: filled, asked for items, scored against the truth after each pick."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import cv2

from pickcell.catalogue import Catalogue
from pickcell.cell import CellConfig
from pickcell.description import expand_urdf
from pickcell.outcome import CODES, Code, Recovery
from pickcell.perception import PerceptionPipeline
from pickcell.segmentation.choose import GEOMETRIC, LEARNED
from pickcell.task.guard import GuardConfig
from pickcell.task.ledger import Ledger
from pickcell.task.pick import PickTask, TaskConfig
from pickcell.task.record import PickReport
from pickcell.task.request import PickRequest
from pickcell_sim.bench.ablations import selector_of
from pickcell_sim.bench.suites import Fill, Perception, Strategy
from pickcell_sim.cell import Charge, InProcessCell
from pickcell_sim.driver import SimDriver
from pickcell_sim.filling import fill
from pickcell_sim.items.stand_ins import StandIns
from pickcell_sim.items.totes import ToteContents
from pickcell_sim.oracle.perception import OraclePerception
from pickcell_sim.perturbations import Perturbations, PerturbationScript, watch_task
from pickcell_sim.scoring.scorer import PickScore, Scorer, Where
from pickcell_sim.vision.cameras import SimCameras

PERSON_S = 10.0
"""Cell time from asking for a person to the reset (assumed), charged to the pick that asked."""
PICTURE_CAMERA = "cam_top"
"""Draws what failed when no camera was looked through."""


@dataclass(frozen=True)
class ScoredPick:
    """What the cell said of a pick, and what was true."""

    tote_seed: int
    report: PickReport
    score: PickScore
    cell_s: float
    wall_s: float
    needs_person: bool
    """The cell asked for a person, who then reset it."""
    perturbation: str = ""
    """Kinds that were scripted."""
    struck: bool = False
    """Whether one of them found its moment and something to act on."""
    met_n: float = 0.0
    """Greatest force between the robot and what reached into its way, N."""


@dataclass(frozen=True)
class Setup:
    """How a trial is set up."""

    strategy: Strategy = Strategy.AUTO
    perception: Perception = Perception.ESTIMATED
    fill: Fill = Fill.DUMPED
    charge: bool | Charge = True
    """What computations cost the cell, see :class:`pickcell_sim.cell.InProcessCell`."""
    attempts: int = 4
    """Grasps that the cell may try per pick."""
    moved: int = 0
    """Neighbours that it may move out of the way of one item."""
    guard: bool = False
    """Watch target and way while the hand is on its way."""


class Trial:
    """A filled cell. Use as a context manager. Raises FillError when the items do not fit into the tote.

    ``workspace``: directory for the ledger and, per job, the report with its pictures.
    """

    def __init__(
        self,
        cell: CellConfig,
        catalogue: Catalogue,
        contents: ToteContents,
        workspace: Path,
        setup: Setup | None = None,
        task_config: TaskConfig | None = None,
    ) -> None:
        setup = setup or Setup()
        self.contents = contents
        self.workspace = workspace
        self._catalogue = catalogue
        oracle = setup.perception is Perception.TRUE
        workspace.mkdir(parents=True, exist_ok=True)
        ledger_path = workspace / f"ledger-{contents.seed}.sqlite"
        ledger_path.unlink(missing_ok=True)
        self.driver = SimDriver.create(cell, contents.seed, cameras=not oracle)
        self.ledger = Ledger(ledger_path)
        try:
            _fill(self.driver, contents, setup.fill)
            StandIns(self.driver.world).attach()
            self.scorer = Scorer(self.driver.world, self.driver)
            selector = selector_of(setup.strategy, cell, catalogue)
            perception = _perception(self.driver, cell, catalogue, setup.perception)
            self.ports = InProcessCell(
                self.driver, cell, catalogue, perception=perception, selector=selector, charge=setup.charge
            )
            config = task_config or TaskConfig(
                max_attempts=setup.attempts, max_moved=setup.moved, guard=GuardConfig() if setup.guard else None
            )
            self.task = PickTask(self.ports, catalogue, self.ledger, config, workspace / "jobs")
            self.ports.rehearse(contents.manifest)
            self.ledger.set_manifest(contents.manifest).unwrap()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the simulation."""
        self.ledger.close()
        self.driver.close()

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def cleared(self) -> bool:
        """Nothing is left in the source tote, in truth."""
        return not self.scorer.snapshot().skus(Where.SOURCE)

    def exposures(self) -> dict[str, float]:
        """By SKU, of which a tote holds one each: the share of it over which nothing else lies, in truth."""
        shares = OraclePerception(self.driver, self.driver.cell, self._catalogue).exposures()
        items = self.driver.world.item_bodies.values()
        return {item.name: shares[item.item_id] for item in items if item.item_id in shares}

    def pick(
        self, number: int, asked: str, script: PerturbationScript | None = None, of: PickRequest | None = None
    ) -> ScoredPick:
        """Ask for an item (a SKU or ANY_ITEM), let ``script`` go wrong meanwhile, and score what comes of it. ``of``: what
        an order's queue asks for, under a name that the tote's seed does not decide."""
        script = script or PerturbationScript()
        before, cell_s, wall_s = self.scorer.snapshot(), self.driver.now_s, time.perf_counter()
        with Perturbations(self.driver, script) as perturbations:
            request = replace(of or PickRequest("", asked), job_id=f"tote{self.contents.seed}-{number:02d}")
            report = watch_task(self.task, perturbations)(request)
        needs_person = CODES[report.code].recovery is Recovery.ASK_PERSON
        if needs_person:  # who takes a while, in which a stopped arm gives way, and then presses reset
            self.driver.advance(PERSON_S)
            self.driver.clear_protective_stop()
        took_s = self.driver.now_s - cell_s
        score = self.scorer.score(before, asked)
        if report.code is Code.PLACE_BLOCKED:
            self._person_makes_room()
        kinds = ", ".join(p.kind.value for p in script.perturbations)
        took_wall_s = time.perf_counter() - wall_s
        met_n = max((entry.magnitude.get("robot_force_n", 0.0) for entry in perturbations.log), default=0.0)
        return ScoredPick(
            self.contents.seed, report, score, took_s, took_wall_s, needs_person, kinds, perturbations.struck, met_n
        )

    def _person_makes_room(self) -> None:
        """The person who was called because nothing can be set down has changed the destination for an empty tote, and taken
        what the hand still held: else every pick after would fail for it."""
        for item in self.scorer.snapshot().items.values():
            if item.where in (Where.DESTINATION, Where.HAND):
                self.driver.world.remove_body(item.item_id)
        self.task.scene_is_fresh = False

    def picture(self, pick: ScoredPick) -> bytes | None:
        """The most telling picture of a pick as JPEG: its last grasp, else what was seen, else the cell as it stands now."""
        for moment in ("grasp", "at failure", "before"):
            names = [name for caption, name in pick.report.images.items() if f", {moment}," in caption]
            if names:
                path = self.workspace / "jobs" / pick.report.job_id / names[-1]
                return path.read_bytes() if path.is_file() else None
        if self.driver.cameras is not None:
            return None
        cameras = SimCameras(self.driver.world, self.driver.cell, self.contents.seed)
        frame = cameras.capture(PICTURE_CAMERA if PICTURE_CAMERA in cameras.names else cameras.names[0])
        encoded, data = cv2.imencode(".jpg", frame.color[:, :, ::-1]) if frame is not None else (False, None)
        return bytes(data.tobytes()) if encoded and data is not None else None

    def forget_files(self, pick: ScoredPick) -> None:
        """Remove the report and pictures of a pick."""
        shutil.rmtree(self.workspace / "jobs" / pick.report.job_id, ignore_errors=True)


def _perception(
    driver: SimDriver, cell: CellConfig, catalogue: Catalogue, how: Perception
) -> OraclePerception | PerceptionPipeline:
    if how is Perception.TRUE:
        return OraclePerception(driver, cell, catalogue)
    name = LEARNED if how is Perception.LEARNED else GEOMETRIC
    return PerceptionPipeline(cell, expand_urdf(cell), catalogue, segmentation=name, completion=name)


def _fill(driver: SimDriver, contents: ToteContents, how: Fill) -> None:
    if how is Fill.DUMPED:
        fill.fill_tote(driver.world, contents.skus, contents.seed)
    elif how is Fill.PACKED:
        fill.fill_packed(driver.world, contents.skus, contents.seed)
    else:
        fill.fill_pile(driver.world, contents.skus, contents.seed)
