"""Benchmark suites: small YAML files in ``config/suites`` that say what lies in the totes and what is asked of the cell."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from pickcell.catalogue import Catalogue, config_directory, load_catalogue
from pickcell.cell import CellConfig, load_cell
from pickcell.config_file import Strict, checked, read_mapping
from pickcell_sim.items.spec import KINDS
from pickcell_sim.items.totes import MIXES, ToteContents, load_split, random_tote
from pickcell_sim.perturbations import Kind

NO_PERTURBATION = "none"
ANY_PERTURBATION = "any"
DRAWS = 1000
"""Draws of too much for a tote are drawn anew, up to so many times."""
SEEDS_PER_RUN = 1000
"""Tote number i of a run with seed s has seed 1000 s + i."""


class SuiteError(ValueError):
    """A suite that cannot be used; the message names the file and every wrong key, or the suites there are."""


class Protocol(str, Enum):
    """What is asked of the cell in one tote."""

    ORDER = "order"  # specific items, one after another
    CLEAR = "clear"  # any item, until the tote is empty, no grasp is found, or two grasps in a row fail (VGN, GIGA)


class Fill(str, Enum):
    """How the items get into the tote."""

    DUMPED = "dumped"  # dropped in one by one, in random poses
    PACKED = "packed"  # stood beside each other
    PILE = "pile"  # poured out into a heap


class DrawRule(str, Enum):
    """How the items of a tote are drawn."""

    MIX = "mix"  # kinds by the weights of the suite's mix
    FIRST = "first"  # as the first pick benchmark did: four kinds, in a fixed mix


class Strategy(str, Enum):
    """Which tools may be chosen; or the choice between both with one of its parts taken away."""

    SUCTION = "suction"
    PINCH = "pinch"
    AUTO = "auto"
    WITHOUT_SCORE = "without_score"  # by the rating from geometry instead of learned chances
    WITHOUT_COMPLETION = "without_completion"  # by measured surface alone
    WITHOUT_KNOWLEDGE = "without_knowledge"  # as if no item had ever been seen
    WITHOUT_REFUSAL = "without_refusal"  # takes what it is told, however unlikely or harmful


TOOL_STRATEGIES = (Strategy.SUCTION, Strategy.PINCH, Strategy.AUTO)
ABLATIONS = (
    Strategy.WITHOUT_SCORE, Strategy.WITHOUT_COMPLETION, Strategy.WITHOUT_KNOWLEDGE, Strategy.WITHOUT_REFUSAL,
)  # fmt: skip


class Perception(str, Enum):
    """What the choice and the planner see."""

    TRUE = "true"  # every item's true pose and shape
    ESTIMATED = "estimated"  # what the pipeline makes of the cameras' images, by geometry alone: the yardstick
    LEARNED = "learned"  # the same with learned segmentation and shapes


class Suite(Strict):
    """One suite. Every key is explained in docs/benchmarks.md."""

    name: str
    description: Annotated[str, Field(min_length=1)]
    protocol: Protocol = Protocol.ORDER
    cell: str = "panda"
    """A file of config/cells, without its ending."""
    fill: Fill = Fill.DUMPED
    items: tuple[Annotated[int, Field(ge=1, le=60)], Annotated[int, Field(ge=1, le=60)]]
    """Fewest and most items per tote, drawn evenly."""
    picks: Annotated[int, Field(ge=1, le=60)] = 8
    """Items asked for per tote (protocol ``order``)."""
    split: str = "test"
    draw: DrawRule = DrawRule.MIX
    mix: Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """Weight of each kind in the draw, or the name of one of :data:`pickcell_sim.items.totes.MIXES`."""
    asked: tuple[str, ...] = ()
    """Kinds that are asked for; empty: all."""
    exposure: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] | None = None
    """Only what is covered so far by others is asked for: between these shares of it are seen from above, in truth."""
    max_size_m: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Items whose longest side is longer are not drawn."""
    fullness: Annotated[float, Field(gt=0, le=1)] = 0.38
    """The items' bounding boxes may fill this share of the tote: dumped items leave more than half of it empty."""
    perturbation: str = NO_PERTURBATION
    """``none``, ``any`` (one of all kinds, drawn per pick) or one kind of config/perturbations.yaml."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 4
    """Grasps that the cell may try per pick."""
    moved: Annotated[int, Field(ge=0, le=20)] = 0
    """Neighbours that the cell may move out of the way of one item."""
    guard: bool = False
    """Watch target and way while the hand is on its way."""
    n: Annotated[int, Field(ge=1)] = 100
    """Items asked for (or presented, protocol ``clear``) when the command says nothing else."""

    @field_validator("mix", mode="before")
    @classmethod
    def _named_mix(cls, mix: Any) -> Any:
        if isinstance(mix, str):
            if mix not in MIXES:
                raise ValueError(f"no mix '{mix}'; there are {list(MIXES)}, or weights by kind")
            return dict(MIXES[mix])
        return mix

    @model_validator(mode="after")
    def _consistent(self) -> Suite:
        for key, kinds in (("mix", tuple(self.mix)), ("asked", self.asked)):
            unknown = [kind for kind in kinds if kind not in KINDS]
            if unknown:
                raise ValueError(f"{key}: no kinds {unknown}; there are {list(KINDS)}")
        if not set(self.asked) <= set(self.mix):
            raise ValueError(f"asked: {sorted(set(self.asked) - set(self.mix))} are not in the mix")
        perturbations = (NO_PERTURBATION, ANY_PERTURBATION, *(kind.value for kind in Kind))
        if self.perturbation not in perturbations:
            raise ValueError(f"perturbation: no '{self.perturbation}'; there are {list(perturbations)}")
        if self.items[0] > self.items[1]:
            raise ValueError(f"items: the fewest come first, got {list(self.items)}")
        if self.exposure is not None and (self.exposure[0] > self.exposure[1] or self.protocol is Protocol.CLEAR):
            raise ValueError("exposure: the least share comes first, and the protocol 'clear' asks for no particular items")
        if self.protocol is Protocol.CLEAR and self.items[0] != self.items[1]:
            raise ValueError("items: a protocol 'clear' presents the same number of items in each round")
        if self.protocol is Protocol.CLEAR and self.attempts != 1:
            raise ValueError("attempts: the protocol 'clear' counts single grasps, it needs 1")
        return self

    @property
    def items_per_episode(self) -> int:
        """Items asked for, or presented, in one full episode."""
        return self.picks if self.protocol is Protocol.ORDER else self.items[1]

    def load_cell(self) -> CellConfig:
        """As designed: what this machine's cameras were calibrated to changes no benchmark. Raises CellConfigError."""
        return _load_cell(config_directory() / "cells" / f"{self.cell}.yaml", False)


_load_cell = cache(load_cell)


def cell_by_name(name: str, calibrated: bool = True) -> CellConfig:
    """A cell by its name in config/cells, or from a file, see :func:`pickcell.cell.load_cell`. Raises CellConfigError."""
    path = Path(name)
    file = path if path.suffix in (".yaml", ".yml") else config_directory() / "cells" / f"{name}.yaml"
    return load_cell(file, calibrated=calibrated)


def suite_directory() -> Path:
    return config_directory() / "suites"


def suite_names() -> list[str]:
    """All committed suites, sorted."""
    return sorted(path.stem for path in suite_directory().glob("*.yaml") if path.stem != "stage_times")


def load_suite(name: str | Path) -> Suite:
    """A suite by its name, or from a YAML file. Raises SuiteError."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = suite_directory() / f"{name}.yaml"
        if str(name) not in suite_names():
            near = difflib.get_close_matches(str(name), suite_names(), 1, 0.5)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise SuiteError(f"no suite '{name}'{hint} There are: {', '.join(suite_names())}")
    data = read_mapping(path, "suite", SuiteError, "a mapping of keys, see config/suites/tote.yaml")
    suite = checked(Suite, {"name": path.stem, **data}, path, "suite", SuiteError)
    _check_names(suite, path)
    return suite


def _check_names(suite: Suite, path: Path) -> None:
    """Files that a suite names must be there. Raises SuiteError."""
    cells = sorted(p.stem for p in (config_directory() / "cells").glob("*.yaml"))
    if suite.cell not in cells:
        raise SuiteError(f"{path}: cell: no '{suite.cell}'; there are {cells}")
    try:
        load_split(suite.split)
    except ValueError as error:
        raise SuiteError(f"{path}: split: {error}") from error


@dataclass(frozen=True)
class Draw:
    """The items of one tote and which of them are asked for, in order."""

    contents: ToteContents
    asked: tuple[str, ...]
    """SKUs in the order in which they are asked for; empty with the protocol ``clear``, and all of them where only the
    filled tote shows which lie as the suite wants."""


def draw_tote(suite: Suite, seed: int, catalogue: Catalogue | None = None, redraw: int = 0) -> Draw:
    """Different SKUs of the suite's split, kinds by their weights, and the order in which some of them are asked for.

    Products of the same name (the near-identical twins) never share a tote; what is heavier than the hand may lift is not
    drawn. ``redraw``: number of the draw, when earlier ones did not fit into the tote. Raises SuiteError when the split
    does not hold enough.
    """
    if suite.draw is DrawRule.FIRST:
        return _first_draw(suite, seed)
    catalogue = catalogue or load_catalogue()
    rng = np.random.default_rng([seed, 311, redraw])
    count = int(rng.integers(suite.items[0], suite.items[1] + 1))
    pools = _pools(suite, catalogue)
    for _ in range(DRAWS):
        drawn: dict[str, str] = {}
        if suite.asked:  # first of all, enough of what is asked for
            asked_pools = {kind: pools[kind] for kind in suite.asked}
            _draw_into(drawn, asked_pools, suite, catalogue, min(suite.picks, count), rng)
        _draw_into(drawn, pools, suite, catalogue, count, rng)
        if len(drawn) < count:
            has = f"split '{suite.split}' has {len(drawn)} unlike ones"
            raise SuiteError(f"suite {suite.name}: {count} different items are wanted, {has}")
        if suite.protocol is Protocol.CLEAR or _fullness(drawn, suite, catalogue) <= suite.fullness:
            break
    else:
        raise SuiteError(f"suite {suite.name}: no draw of {count} items leaves enough room in the tote; see fullness")
    skus = [str(sku) for sku in rng.permutation(sorted(drawn))]
    asked = [sku for sku in skus if not suite.asked or drawn[sku] in suite.asked]
    if suite.protocol is Protocol.CLEAR:
        asked = []
    elif not asked:
        raise SuiteError(f"suite {suite.name}: split '{suite.split}' has no items of the kinds {list(suite.asked)}")
    shown = asked if suite.exposure is not None else asked[: suite.picks]
    return Draw(ToteContents(seed, dict.fromkeys(skus, 1)), tuple(shown))


def _first_draw(suite: Suite, seed: int) -> Draw:
    """The draw of the first pick benchmark. It knows no redraws."""
    contents = random_tote(seed, suite.items[1], suite.split)
    order = np.random.default_rng([seed, 7]).permutation(contents.skus)
    return Draw(contents, tuple(str(sku) for sku in order[: suite.picks]))


def _pools(suite: Suite, catalogue: Catalogue) -> dict[str, list[str]]:
    """SKUs that may be drawn, by kind."""
    payload_kg = suite.load_cell().hand.payload_max_kg
    pools: dict[str, list[str]] = {kind: [] for kind in suite.mix}
    for sku in load_split(suite.split):
        if sku not in catalogue:
            continue
        product = catalogue[sku]
        fits = product.mass_kg <= payload_kg and max(product.dimensions_m) <= suite.max_size_m
        if product.kind in pools and fits:
            pools[product.kind].append(sku)
    return pools


def _draw_into(
    drawn: dict[str, str],
    pools: dict[str, list[str]],
    suite: Suite,
    catalogue: Catalogue,
    count: int,
    rng: np.random.Generator,
) -> None:
    """Draw from the pools (kind -> SKUs) until ``drawn`` (SKU -> kind) holds ``count`` items, or nothing is left to draw."""
    names = {catalogue[sku].name for sku in drawn}
    pools = {kind: [s for s in pool if s not in drawn] for kind, pool in pools.items()}
    while len(drawn) < count:
        kinds = [kind for kind in KINDS if pools.get(kind)]
        if not kinds:
            return
        weights = np.array([suite.mix[kind] for kind in kinds])
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        sku = pools[kind].pop(int(rng.integers(len(pools[kind]))))
        if catalogue[sku].name not in names:
            names.add(catalogue[sku].name)
            drawn[sku] = kind


def _fullness(drawn: dict[str, str], suite: Suite, catalogue: Catalogue) -> float:
    """Share of the tote that the items' bounding boxes fill."""
    inner = suite.load_cell().totes["source"].inner
    return sum(float(np.prod(catalogue[sku].dimensions_m)) for sku in drawn) / float(np.prod(inner))


def episode_seeds(suite: Suite, n: int, seed: int) -> list[tuple[int, int]]:
    """(seed, items asked for) of each tote of a run over ``n`` items; rounds of the protocol ``clear`` are always full."""
    per = suite.items_per_episode
    count = -(-n // per)
    if count > SEEDS_PER_RUN:
        raise SuiteError(f"a run has at most {SEEDS_PER_RUN} totes, {n} items need {count}")
    last = per if suite.protocol is Protocol.CLEAR else n - (count - 1) * per
    return [(SEEDS_PER_RUN * seed + i, per if i < count - 1 else last) for i in range(count)]
