"""What outcomes teach: a product whose behaviour contradicts what its looks promise, picked many times, with and without.

In every tote lie such a box (its cardboard lets air through, so that a cup holds nothing; or its film is slippery, so that a
jaw does not) and some other things. They are picked in turns, each from the same state of the tote (a fork of the simulated
world), so that both arms of the experiment meet the same totes; only what the choice has learned differs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

import numpy as np
import pybullet as p

from pickcell.catalogue import load_catalogue
from pickcell.grasping import GraspSelector
from pickcell.grasping.config import GraspConfig
from pickcell.outcome import Code
from pickcell.task.targets import likeliest_left
from pickcell.values import GraspCandidate, Scene
from pickcell_sim.bench.result import Metric
from pickcell_sim.bench.statistics import paired_difference, ratio
from pickcell_sim.bench.suites import Suite, draw_tote
from pickcell_sim.bench.trial import Setup, Trial
from pickcell_sim.filling.fill import FillError
from pickcell_sim.hand.lip import Surface, surface_of
from pickcell_sim.tries.attempt import GraspTry, try_grasp
from pickcell_sim.tries.forked import ForkError, forked
from pickcell_sim.world import ItemBody


class Contrary(str, Enum):
    """How a product contradicts its looks."""

    POROUS = "porous"
    SLIPPERY = "slippery"


POROUS = Surface(0.0, 3e-6)
"""Cardboard that breathes: so much air comes through that the ejector builds up no vacuum (assumed)."""
SLIPPERY_FRICTION = 0.02
"""Of film as if it were wet (assumed); cups hold by their lip and do not ask."""
STRETCHES = (10, 50, 200)
HOW = {True: "learning", False: "fixed"}
TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Lesson:
    """One pick of the experiment."""

    seed: int
    """Of the tote."""
    learning: bool
    contrary: bool
    tool: str
    """"" when the choice found nothing worth a try."""
    success: bool


def run_lessons(
    suite: Suite, contrary: str, how: Contrary, seeds: range, rounds: int, say: Callable[[str], None]
) -> list[Lesson]:
    """``contrary``: SKU that behaves as ``how`` says. In each seed's tote it and every other item are picked ``rounds``
    times. Totes in which it cannot be told or taken count as they are."""
    catalogue = load_catalogue()
    cell = suite.load_cell()
    taught = GraspSelector(cell, catalogue, GraspConfig())
    untaught = GraspSelector(cell, catalogue, GraspConfig(experience=False))
    lessons: list[Lesson] = []
    for seed in seeds:
        contents = draw_tote(suite, seed, catalogue).contents
        manifest = {contrary: 1} | {sku: 1 for sku in list(contents.manifest)[:3] if sku != contrary}
        contents = type(contents)(seed, manifest)
        with tempfile.TemporaryDirectory(prefix="pickcell-lessons-") as folder:
            try:
                trial = Trial(cell, catalogue, contents, Path(folder), Setup(fill=suite.fill, charge=False))
            except FillError as error:
                say(f"seed {seed}: {error}")
                continue
            with trial:
                _spoil(trial, contrary, how)
                scene = trial.ports.observe(manifest, 0.0).value
                if scene is None:
                    continue
                trial.task.last_scene = scene
                once = _Tries(trial, scene, Path(folder))
                for _ in range(rounds):
                    for learning, selector in ((True, taught), (False, untaught)):
                        trial.ports.selector = selector
                        lessons += _one_round(once, manifest, contrary, seed, learning)
        told = [each for each in lessons if each.contrary and each.learning]
        failed = sum(not each.success for each in told)
        say(f"seed {seed}: {len(told)} picks of {contrary}, {how.value}: {failed} failed with learning")
    return lessons


class _Tries:
    """Tries from one state of a tote. The same grasp from the same state ends the same: it is made once."""

    def __init__(self, trial: Trial, scene: Scene, folder: Path) -> None:
        self.trial, self.scene = trial, scene
        self._folder = folder
        self._made: dict[tuple[object, ...], GraspTry | None] = {}

    def of(self, candidate: GraspCandidate, sku: str) -> GraspTry | None:
        """What came of it; None when it broke off."""
        hold = (candidate.force_n, candidate.max_acceleration_mps2)
        key = (sku, candidate.tool, candidate.X_base_tcp.tobytes(), *hold)
        if key not in self._made:
            with tempfile.TemporaryDirectory(dir=self._folder) as own:
                one = partial(try_grasp, self.trial, self.scene, candidate, sku, "lesson", Path(own))
                try:
                    self._made[key] = forked(one, TIMEOUT_S)
                except ForkError:
                    self._made[key] = None
        return self._made[key]


def _one_round(tries: _Tries, manifest: dict[str, int], contrary: str, seed: int, learning: bool) -> list[Lesson]:
    """Every item of the tote picked once, each from the same state, in the same order."""
    selector, out = tries.trial.ports.selector, []
    for sku in manifest:
        found = [i for i in tries.scene.instances if likeliest_left(i, manifest) == sku]
        if not found:
            continue
        decision = selector.select(tries.scene, found[0].id, sku)
        if not decision.ok:  # left to a person: not delivered either
            out.append(Lesson(seed, learning, sku == contrary, "", False))
            continue
        first = decision.unwrap().ranked[0]
        made = tries.of(first, sku)
        if made is not None and made.was_tried:
            if learning:
                selector.learn(first, sku, Code(made.code))
            out.append(Lesson(seed, learning, sku == contrary, made.tool, made.success))
    return out


def _spoil(trial: Trial, contrary: str, how: Contrary) -> None:
    """Make the product behave as it does not look."""
    if how is Contrary.POROUS:
        trial.driver.cup.surface_of = partial(_porous, contrary)
        return
    world = trial.driver.world
    for item in world.item_bodies.values():
        if item.name == contrary:
            for link in range(-1, p.getNumJoints(item.body, physicsClientId=world.client)):
                p.changeDynamics(item.body, link, lateralFriction=SLIPPERY_FRICTION, physicsClientId=world.client)


def _porous(contrary: str, item: ItemBody | None) -> Surface:
    return POROUS if item is not None and item.name == contrary else surface_of(item)


def learning_metrics(lessons: list[Lesson], name: str) -> dict[str, Metric]:
    """Failures in the first 10, 50 and 200 picks of the contrary product, what learning changes of them, and the success of
    all others, both ways. Intervals: bootstrap over totes, as picks in one tote meet the same state of it.

    ``name`` begins the name of each figure.
    """
    out: dict[str, Metric] = {}
    contrary = {learning: [each for each in lessons if each.contrary and each.learning is learning] for learning in HOW}
    for n in STRETCHES:
        firsts = {learning: _by_tote(picks[:n], failed=True) for learning, picks in contrary.items() if len(picks) >= n}
        for learning, rows in firsts.items():
            value, low, high = (n * v for v in ratio(_array(rows)))
            out[f"{name}_failures_in_{n}_{HOW[learning]}"] = Metric(value, low, high, f"failures in the first {n} picks")
        if len(firsts) == len(HOW):
            totes = sorted(set(firsts[True]) & set(firsts[False]))
            both = (_array({seed: firsts[learning][seed] for seed in totes}) for learning in HOW)
            value, low, high = (n * v for v in paired_difference(*both))
            out[f"{name}_failures_in_{n}_saved"] = Metric(-value, -high, -low, f"failures less in the first {n} picks")
    for learning, how in HOW.items():
        others = [each for each in lessons if not each.contrary and each.learning is learning]
        if others:
            out[f"{name}_others_success_{how}"] = Metric.of(ratio(_array(_by_tote(others, failed=False))), "share")
    return out


def _by_tote(picks: list[Lesson], failed: bool) -> dict[int, tuple[int, int]]:
    """Seed -> (failures or successes, picks)."""
    out: dict[int, tuple[int, int]] = {}
    for each in picks:
        count, n = out.get(each.seed, (0, 0))
        out[each.seed] = (count + (each.success is not failed), n + 1)
    return out


def _array(rows: dict[int, tuple[int, int]]) -> np.ndarray:
    return np.array([rows[seed] for seed in sorted(rows)], float)
