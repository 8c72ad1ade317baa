"""Chances of grasps, learned from tries: boosted trees per tool, calibrated on products that they were not fitted on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from pickcell.grasping.chance import (
    DESCRIPTION,
    KIND,
    RATING,
    Description,
    Head,
    LearnedChances,
    Platt,
    Spread,
    ToolModel,
    logit,
    sigmoid,
    tree_inputs,
)
from pickcell.grasping.experience import Experience
from pickcell.values import Tool
from pickcell_sim.bench.statistics import calibration_error
from pickcell_sim.tries.attempt import GraspTry
from pickcell_sim.tries.records import load_tries

F64 = NDArray[np.float64]
Say = Callable[[str], None]

CARD = "grasps.md"
AS_CHOSEN = (
    "Calibrated afterwards on what the cell would choose (`./cell train grasps --as-chosen FOLDER`), validation items:"
)
FOLDS = 5
ROUNDS, PATIENCE = 600, 40
NAMELESS_WEIGHT = 0.25
"""Every try counts a second time, with this weight, as if nobody knew what kind of thing was taken."""
TREES = {
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 12, "min_data_in_leaf": 25, "feature_fraction": 0.5,
    "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "cat_smooth": 20.0, "cat_l2": 20.0,
    "verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True,
}  # fmt: skip
BETTER = {
    "exposure": 1, "trust": 1, "room_mm": 1, "soft_points": -1, "unseen_share": -1, "offset_mm": -1, "gap_mm": -1,
    "rim_share": 1, "margin_share": 1, "cone": -1, "pad_share": 1, "belief_share": 1, "rating": 1, "leak": -1,
}  # fmt: skip
"""More of it can only help (1) or hurt (-1): trees that know that need fewer tries."""
SPREADS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.1, 1.5)
KIND_SPREADS = SPREADS[1:5]
"""What one product teaches always says a little about the others of its kind: most products are met for the first time."""


@dataclass(frozen=True)
class GraspTraining:
    """What is trained from what."""

    tries: Path
    models: Path
    seed: int = 0


@dataclass(frozen=True)
class ToolTries:
    """Tries with one tool as numbers."""

    named: dict[str, F64]
    kinds: list[str]
    skus: list[str]
    success: NDArray[np.bool_]
    harm: NDArray[np.bool_]
    seconds: F64

    @classmethod
    def of(cls, tries: list[GraspTry], tool: Tool) -> ToolTries:
        """Of those that reached the item. Raises ValueError when there are too few to learn from."""
        mine = [t for t in tries if t.tool == tool.value and t.was_tried]
        if len(mine) < 10 * FOLDS:
            raise ValueError(f"{len(mine)} tries with {tool.value} are too few to learn from; ./cell tries makes more")
        named = {name: np.array([t.measures[name] for t in mine]) for name in mine[0].measures}
        named.setdefault(RATING, np.array([t.quality for t in mine]))
        return cls(
            named, [t.kind for t in mine], [t.sku for t in mine], np.array([t.success for t in mine]),
            np.array([bool(t.damage) for t in mine]), np.array([t.cell_s for t in mine]),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.skus)

    def inputs(self, names: tuple[str, ...], nameless: bool = False) -> F64:
        rows = np.vstack([tree_inputs({n: v[i : i + 1] for n, v in self.named.items()}, kind, names)
                          for i, kind in enumerate(self.kinds)])  # fmt: skip
        if nameless:
            rows[:, names.index(KIND)] = np.nan
        return rows


@dataclass(frozen=True)
class Fitted:
    """One forest, and what its like said of products that they had not seen."""

    forest: Any
    calibration: Platt
    unseen: F64
    """(N,) calibrated log-odds."""


def train(job: GraspTraining, say: Say = print) -> Description:
    """Train both tools, write forests, description and card. Raises TryFileError, ValueError for too few tries."""
    tries = load_tries(job.tries)
    job.models.mkdir(parents=True, exist_ok=True)
    tools, spread, card = {}, {}, []
    for tool in Tool:
        data = ToolTries.of(tries, tool)
        names = (KIND, *sorted(n for n in data.named if n not in ("foreseen_log_odds", "harm")))
        say(f"{tool.value}: {len(data)} tries of {len(set(data.skus))} products, {100 * data.success.mean():.0f} % succeed, "
            f"{100 * data.harm.mean():.1f} % harm something")  # fmt: skip
        success = _fit(data, data.success, names, job.seed, say, f"{tool.value} success")
        harm = _fit(data, data.harm, names, job.seed, say, f"{tool.value} harm")
        spread[tool] = _spread(data, tool, success.unseen, job.seed, say)
        heads = {}
        for name, fitted in (("success", success), ("harm", harm)):
            file = f"grasp_{tool.value}_{name}.txt"
            fitted.forest.save_model(str(job.models / file))
            heads[name] = Head(file=file, calibration=fitted.calibration)
        done, failed = data.seconds[data.success].mean(), data.seconds[~data.success].mean()
        tools[tool] = ToolModel(inputs=names, done_s=round(float(done), 2), failed_s=round(float(failed), 2), **heads)
        card.append(_card_row(tool, data, success, harm))
    description = Description(tools=tools, spread=spread)
    (job.models / DESCRIPTION).write_text(json.dumps(description.model_dump(mode="json"), indent=1) + "\n")
    (job.models / CARD).write_text(_card(job, tries, card))
    return description


def calibrate_as_chosen(judged: Path, models: Path, say: Say = print) -> Description:
    """Calibrate the chances of success of the forests in ``models`` anew, on tries of what the cell would choose.

    The best of many candidates looks better than it is. ``judged``: tries of ``./cell tries --judged`` with items of neither
    training nor test. Raises TryFileError, ModelError, ValueError for too few tries.
    """
    tries = load_tries(judged)
    description = LearnedChances(models).description
    tools, said = {}, []
    for tool, model in description.tools.items():
        data = ToolTries.of(tries, tool)
        forest = lightgbm.Booster(model_file=str(models / model.success.file))
        raw = np.asarray(forest.predict(data.inputs(model.inputs), raw_score=True), dtype=np.float64)
        before, after = model.success.calibration, _platt(raw, data.success)
        errors = [calibration_error(sigmoid(c.slope * raw + c.offset), data.success) for c in (before, after)]
        text = f"{tool.value}: {len(data)} tries, calibration error {errors[0]:.3f} -> {errors[1]:.3f} on the same tries"
        say(text)
        said.append(f"- {text}")
        tools[tool] = model.model_copy(update={"success": model.success.model_copy(update={"calibration": after})})
    description = description.model_copy(update={"tools": tools})
    (models / DESCRIPTION).write_text(json.dumps(description.model_dump(mode="json"), indent=1) + "\n")
    card = models / CARD
    kept = card.read_text().split(AS_CHOSEN)[0].rstrip() if card.exists() else ""
    card.write_text(f"{kept}\n\n{AS_CHOSEN}\n\n" + "\n".join(said) + "\n")
    return description


def _fit(data: ToolTries, y: NDArray[np.bool_], names: tuple[str, ...], seed: int, say: Say, what: str) -> Fitted:
    """Folds keep all tries of a product together: what is said of a fold's products is said by trees that never met them."""
    X, nameless, kind = data.inputs(names), data.inputs(names, nameless=True), [names.index(KIND)]
    sign = 1 if what.endswith("success") else -1
    constraints = [sign * BETTER.get(name, 0) for name in names]
    settings = {**TREES, "seed": seed, "monotone_constraints": constraints, "monotone_constraints_method": "advanced"}
    fold = _folds(data.skus, seed)

    def pack(rows: NDArray[np.bool_]) -> Any:
        weight = np.concatenate([np.ones(rows.sum()), np.full(rows.sum(), NAMELESS_WEIGHT)])
        both, target = np.vstack([X[rows], nameless[rows]]), np.concatenate([y[rows], y[rows]]).astype(float)
        return lightgbm.Dataset(both, target, weight=weight, categorical_feature=kind, free_raw_data=False)

    raw, rounds = np.zeros(len(y)), []
    for k in range(FOLDS):
        train_set, held = pack(fold != k), fold == k
        valid = lightgbm.Dataset(X[held], y[held].astype(float), reference=train_set, categorical_feature=kind)
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        forest = lightgbm.train(settings, train_set, ROUNDS, valid_sets=[valid], callbacks=[stop])
        raw[held] = forest.predict(X[held], raw_score=True, num_iteration=forest.best_iteration)
        rounds.append(forest.best_iteration)
    count = max(10, int(np.mean(rounds)))
    calibration = _platt(raw, y)
    unseen = calibration.slope * raw + calibration.offset
    rated, base = _recalibrated(logit(data.named[RATING]), y), np.full(len(y), float(logit(y.mean())))
    say(f"  {what}: {count} trees; on unseen products log-loss {log_loss(unseen, y):.3f} (rating alone "
        f"{log_loss(rated, y):.3f}, base rate {log_loss(base, y):.3f}), AUC {auc(unseen, y):.3f} "
        f"(rating {auc(rated, y):.3f}), calibration error {calibration_error(sigmoid(unseen), y):.3f}")  # fmt: skip
    return Fitted(lightgbm.train(settings, pack(np.ones(len(y), bool)), count), calibration, unseen)


def _folds(skus: list[str], seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng([seed, 17])
    names = sorted(set(skus))
    of = dict(zip(names, rng.permutation(len(names)) % FOLDS))
    return np.array([of[sku] for sku in skus])


def _platt(raw: F64, y: NDArray[np.bool_]) -> Platt:
    """Slope and offset of the log-odds by Newton's method, with Platt's targets."""
    hits, misses = y.sum(), (~y).sum()
    target = np.where(y, (hits + 1.0) / (hits + 2.0), 1.0 / (misses + 2.0))
    X = np.stack([raw, np.ones_like(raw)], axis=1)
    w = np.array([1.0, 0.0])
    for _ in range(50):
        p = sigmoid(X @ w)
        curvature = X.T @ (X * (p * (1 - p))[:, None]) + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, X.T @ (target - p))
        w = w + step
        if np.abs(step).max() < 1e-9:
            break
    return Platt(slope=round(max(float(w[0]), 1e-3), 5), offset=round(float(w[1]), 5))


def _recalibrated(log_odds: F64, y: NDArray[np.bool_]) -> F64:
    fitted = _platt(log_odds, y)
    return fitted.slope * log_odds + fitted.offset


def _spread(data: ToolTries, tool: Tool, log_odds: F64, seed: int, say: Say) -> Spread:
    """The spread with which learning from outcomes foresees the next outcome best, over the tries in a random order."""
    order = np.random.default_rng([seed, 23]).permutation(len(data))

    def worth(kind: float, sku: float) -> float:
        experience = Experience({tool: Spread(kind=kind, sku=sku)})
        total = 0.0
        for i in order:
            now = log_odds[i] + experience.belief(tool, data.kinds[i], data.skus[i]).mean
            total -= float(np.logaddexp(0.0, -now if data.success[i] else now))
            experience.learn(tool, data.kinds[i], data.skus[i], float(log_odds[i]), bool(data.success[i]))
        return total / len(data)

    scored = {(kind, sku): worth(kind, sku) for kind, sku in product(KIND_SPREADS, SPREADS)}
    kind, sku = max(scored, key=lambda key: scored[key])
    say(f"  spread of log-odds: {kind} by kind, {sku} by product (log-loss of the next outcome {-worth(0.0, 0.0):.3f} -> "
        f"{-scored[kind, sku]:.3f})")  # fmt: skip
    return Spread(kind=kind, sku=sku)


def log_loss(log_odds: F64, y: NDArray[np.bool_]) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(y, -log_odds, log_odds))))


def auc(score: F64, y: NDArray[np.bool_]) -> float:
    """Chance that a success scores higher than a failure (Mann and Whitney 1947); ties count half."""
    from scipy.stats import rankdata

    hits = int(y.sum())
    if hits in (0, len(y)):
        return float("nan")
    return float((rankdata(score)[y].sum() - hits * (hits + 1) / 2) / (hits * (len(y) - hits)))


def _card_row(tool: Tool, data: ToolTries, success: Fitted, harm: Fitted) -> str:
    said = []
    for fitted, y in ((success, data.success), (harm, data.harm)):
        error = calibration_error(sigmoid(fitted.unseen), y)
        said.append(f"{log_loss(fitted.unseen, y):.3f} / {auc(fitted.unseen, y):.3f} / {error:.3f}")
    return f"| {tool.value} | {len(data)} | {100 * data.success.mean():.0f} % | {' | '.join(said)} |"


def _card(job: GraspTraining, tries: list[GraspTry], rows: list[str]) -> str:
    totes = len({t.tote for t in tries})
    return f"""# Chances of grasps

What a grasp's chances are to bring the item alone and unharmed, and to harm something. Used by `pickcell.grasping.chance`;
how: docs/grasping.md.

| | |
|---|---|
| files | `grasp_<tool>_<success or harm>.txt` (LightGBM), `{DESCRIPTION}` (inputs, calibration, times, spread) |
| data | {len(tries)} tries in {totes} totes of training items (`./cell tries`), seen by geometry, good and bad grasps |
| training | `./cell train grasps --seed {job.seed}`: one to two minutes on two cores |
| scores on test items | `./cell eval grasp`; kept in docs/benchmarks/grasp.json |
| limits | this hand, its 20 mm cup and pads; items as the simulator makes them; a real cell has to learn its own offsets |

On training products that the judging trees had not seen (five folds by product): log-loss / AUC / calibration error.

| tool | tries | succeed | success | harm |
|---|---|---|---|---|
""" + "\n".join(rows) + "\n"  # fmt: skip
