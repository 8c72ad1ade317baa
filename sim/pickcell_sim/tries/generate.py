"""Tries of many grasps in many totes: drawn from the suites' recipes, seen as the cell sees, each tried in a fork."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pickcell.catalogue import load_catalogue
from pickcell.cell import CellConfig
from pickcell.grasping import GraspSelector
from pickcell.grasping.config import GraspConfig, RankingConfig
from pickcell.grasping.cost import CostConfig
from pickcell.task.targets import likeliest_left
from pickcell.values import GraspCandidate, Scene, Tool
from pickcell_sim.bench.suites import Perception, Protocol, Suite, draw_tote
from pickcell_sim.bench.trial import Setup, Trial
from pickcell_sim.data.generate import take_from_the_top
from pickcell_sim.filling.fill import FillError
from pickcell_sim.tries.attempt import GraspTry, try_grasp
from pickcell_sim.tries.forked import ForkError, forked

log = logging.getLogger(__name__)

REDRAWS = 8
TRY_TIMEOUT_S = 90.0
SETTLE_S = 0.5
SPREAD_M = 0.02
"""How loosely what is taken out goes by height."""
LEAST_LEFT = 2
"""A tote with fewer items is not looked at again."""
VARIED_SHARE = 0.3
"""Of the tries, held and carried otherwise than the rating says."""
BEST_SHARE = 0.5
"""Of the tries that go to the best candidate of a tool on an item; the others to any."""
EXPLORED = GraspConfig(
    ranking=RankingConfig(max_per_tool=80, max_ranked=200),
    prices=CostConfig(person_s=np.inf),
    score="analytic",
    experience=False,
)
"""All that is geometrically possible, the hopeless too: only what is tried can be learned, also that it fails."""


@dataclass(frozen=True)
class TryJob:
    """The tries in one tote."""

    suite: Suite
    """Its split decides the items."""
    seed: int
    perception: Perception = Perception.ESTIMATED
    looks: int = 3
    """Between two of them items are taken out from the top."""
    tries: int = 12
    """After each look."""
    taken_share: float = 0.35
    judged: bool = False
    """Try what the cell would choose, and the best of its other tool, on items drawn evenly: to measure by. Without: good
    and bad grasps, to learn from."""

    @property
    def name(self) -> str:
        return f"{self.suite.name}-{self.suite.split}-{'judged-' if self.judged else ''}{self.seed:06d}"

    def path(self, folder: Path) -> Path:
        return folder / f"{self.name}.jsonl"

    def is_done(self, folder: Path) -> bool:
        return self.path(folder).exists()

    def run(self, folder: Path) -> list[GraspTry]:
        """Make the tries and keep them, one JSON object per line. Raises FillError when nothing drawn stays in the tote."""
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="pickcell-tries-") as workspace, self._trial(Path(workspace)) as trial:
            made = list(self._tries(trial, Path(workspace)))
        part = self.path(folder).with_suffix(".part")
        part.write_text("".join(json.dumps(each.as_dict()) + "\n" for each in made))
        os.replace(part, self.path(folder))
        return made

    def _trial(self, workspace: Path) -> Trial:
        catalogue, rng = load_catalogue(), np.random.default_rng([self.seed, 823])
        suite = self.suite
        if suite.protocol is Protocol.ORDER:  # from nearly empty to as full as the suite makes them
            suite = suite.model_copy(update={"items": (max(4, suite.items[0] // 3), suite.items[1]), "picks": 4})
        for _ in range(REDRAWS):
            redraw = int(rng.integers(1000))
            contents = draw_tote(suite, self.seed, catalogue, redraw).contents
            setup = Setup(perception=self.perception, fill=suite.fill, charge=False)
            try:
                trial = Trial(suite.load_cell(), catalogue, contents, workspace, setup)
            except FillError:
                continue
            config = GraspConfig(experience=False) if self.judged else EXPLORED
            trial.ports.selector = GraspSelector(trial.ports.cell, catalogue, config)
            return trial
        raise FillError(f"{self.name}: {REDRAWS} draws did not fit into the tote")

    def _tries(self, trial: Trial, workspace: Path) -> Iterator[GraspTry]:
        rng = np.random.default_rng([self.seed, 829])
        for look in range(self.looks):
            if look:
                if not take_from_the_top(trial.driver.world, self.taken_share, rng, LEAST_LEFT, SPREAD_M):
                    return
                trial.driver.advance(SETTLE_S)
            manifest: dict[str, int] = {}
            for item in trial.driver.world.item_bodies.values():
                manifest[item.name] = manifest.get(item.name, 0) + 1
            seen = trial.ports.observe(manifest, 0.0)
            if seen.value is None:
                continue
            trial.task.last_scene = scene = seen.value
            drawn = _judged if self.judged else _drawn
            for candidate, sku, chosen in drawn(trial, scene, manifest, self.tries, rng):
                with tempfile.TemporaryDirectory(dir=workspace) as own:
                    one = partial(try_grasp, trial, scene, candidate, sku, self.name, Path(own), chosen)
                    try:
                        yield forked(one, TRY_TIMEOUT_S)
                    except ForkError as error:
                        log.warning("%s: a try is left out: %s", self.name, error)


def _drawn(
    trial: Trial, scene: Scene, manifest: dict[str, int], count: int, rng: np.random.Generator
) -> Iterator[tuple[GraspCandidate, str, bool]]:
    """Candidates to try, each with the SKU that its instance is taken for, and whether it is the first choice (never): free
    items more often than buried ones, both tools alike, and as often the best as any."""
    pools: dict[Tool, list[tuple[float, str, list[GraspCandidate]]]] = {tool: [] for tool in Tool}
    for instance in scene.instances:
        sku = likeliest_left(instance, manifest)
        ranked = trial.ports.selector.select(scene, instance.id, sku).value if sku else None
        for tool in Tool if ranked else ():
            mine = [c for c in ranked.ranked if c.tool is tool]
            if mine:
                pools[tool].append((0.3 + 0.7 * instance.exposure, sku, mine))
    for number in range(count):
        pool = pools[list(Tool)[number % 2]] or pools[list(Tool)[(number + 1) % 2]]
        if not pool:
            return
        weights = np.array([weight for weight, _, _ in pool])
        _, sku, ranked_mine = pool[int(rng.choice(len(pool), p=weights / weights.sum()))]
        best = rng.random() < BEST_SHARE
        chosen = ranked_mine[0 if best else int(rng.integers(len(ranked_mine)))]
        yield (chosen if rng.random() > VARIED_SHARE else _varied(chosen, trial.ports.cell, rng)), sku, False


def _judged(
    trial: Trial, scene: Scene, manifest: dict[str, int], count: int, rng: np.random.Generator
) -> Iterator[tuple[GraspCandidate, str, bool]]:
    """The first choice on each of some items, and the best grasp with the other tool."""
    left = count
    for i in rng.permutation(len(scene.instances)):
        sku = likeliest_left(scene.instances[int(i)], manifest)
        decision = trial.ports.selector.select(scene, scene.instances[int(i)].id, sku) if sku else None
        if decision is None or not decision.ok:
            continue
        ranked = decision.unwrap().ranked
        other = next((c for c in ranked if c.tool is not ranked[0].tool), None)
        for candidate in (ranked[0], other):
            if candidate is not None and left > 0:
                left -= 1
                yield candidate, sku, candidate is ranked[0]


def _varied(candidate: GraspCandidate, cell: CellConfig, rng: np.random.Generator) -> GraspCandidate:
    """The same place held with another force and carried with another acceleration."""
    most_n, most_mps2 = cell.hand.pinch_force_max_n, cell.arm.tcp_acceleration_max
    force_n = min(most_n, candidate.force_n * float(rng.uniform(0.5, 1.8)))
    used_mps2 = float(np.clip(candidate.max_acceleration_mps2 * rng.uniform(0.5, 2.0), 0.5, most_mps2))
    measures = candidate.scores | {"used_mps2": round(used_mps2, 3)}
    if candidate.tool is Tool.PINCH:
        measures["force_n"] = round(force_n, 3)
    return replace(candidate, force_n=force_n, max_acceleration_mps2=used_mps2, scores=measures)


def make_tries(job: TryJob, folder: Path) -> int:
    """Make a job's tries; a function that can be sent to another process."""
    return len(job.run(folder))
