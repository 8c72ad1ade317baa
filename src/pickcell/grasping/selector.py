"""The choice: pinch or suck, and where. One ranking over both tools, each rejected candidate with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.geometry import Pose
from pickcell.grasping.clearance import ToteRoom, totes_of
from pickcell.grasping.config import GraspConfig
from pickcell.grasping.films import film_limit_pa
from pickcell.grasping.hand import HandGeometry
from pickcell.grasping.hold import GRAVITY
from pickcell.grasping.measures import item_measures
from pickcell.grasping.obstacles import SceneObstacles
from pickcell.grasping.prior import ToolPrior, tool_prior
from pickcell.grasping.rating import PINCH_WEIGHTS, SUCTION_WEIGHTS, Surroundings, rate_pinch, rate_suction
from pickcell.grasping.refine import cheapest, variants
from pickcell.grasping.surface import Target, prepare
from pickcell.grasping.table import CandidateTable, concat, suppress
from pickcell.grasping.verdict import verdict
from pickcell.grasping.worth import FORESEEN, Product, worth_of
from pickcell.outcome import Code, Outcome
from pickcell.values import GraspCandidate, GraspDecision, Instance, Scene, Sku, Tool

FLAT_KINDS = ("card", "box", "shrink", "hardcover", "ruler", "flat")
"""Kinds of the catalogue that have plane faces."""
WORKING_VACUUM_SHARE = 0.8
"""Of what the cell's source reaches on a tight cup: some leak there always is."""
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])
HAND_REACH_M = 0.20
"""Obstacles further than this from the target cannot be touched by the hand around it."""


class Catalogue(Protocol):
    """Where SKUs are looked up."""

    def find(self, sku: str) -> Outcome[Sku]:
        """The SKU, or ITEM_UNKNOWN."""


class GraspSelector:
    """Ranks the grasps on one instance of a scene. Deterministic; keeps only the last scene's obstacles between calls."""

    def __init__(
        self,
        cell: CellConfig,
        catalogue: Catalogue | None = None,
        config: GraspConfig | None = None,
        remember: Path | None = None,
    ) -> None:
        """``remember``: file of what picks teach, made when missing; None: it is forgotten with the process.

        Raises ValueError for a configuration without tools, ModelError when the learned chances are missing or unusable,
        OSError when the file cannot be opened."""
        config = config or GraspConfig()
        if not config.tools:
            raise ValueError(f"the selector needs at least one tool of {[tool.value for tool in Tool]}")
        limit = min(config.tcp_acceleration_max, cell.arm.tcp_acceleration_max)
        vacuum_pa = min(config.suction.vacuum_pa, WORKING_VACUUM_SHARE * cell.hand.vacuum_max_pa)
        lip_m = min(config.suction.lip_conformity_m, config.suction.lip_conformity_share * cell.hand.cup_radius_m)
        suction = replace(config.suction, vacuum_pa=vacuum_pa, lip_conformity_m=lip_m)
        self.config = replace(config, tcp_acceleration_max=limit, suction=suction)
        self.hand = HandGeometry(cell.hand)
        self.catalogue = catalogue
        self.totes: tuple[ToteRoom, ...] = totes_of(cell)
        self._worth = worth_of(self.config, remember)
        self._last: tuple[Scene, SceneObstacles] | None = None

    def select(self, scene: Scene, instance_id: int, sku: str = "") -> Outcome[GraspDecision]:
        """The ranked grasps on one instance.

        ``sku``: what it is wanted as; "" takes whatever the instance was recognised as. Fails with ITEM_NOT_FOUND (no such
        instance), ITEM_TOO_HEAVY, or NO_GRASP_FOUND, whose text counts the reasons and whose value still holds the
        rejected candidates.
        """
        found = [i for i in scene.instances if i.id == instance_id]
        if not found:
            ids = [i.id for i in scene.instances]
            return Outcome.failure(Code.ITEM_NOT_FOUND, f"No instance {instance_id} in this scene; it has {ids}.")
        product = self._product(found[0], sku)
        if product is not None and product.mass_kg > self.hand.hand.payload_max_kg:
            limit = self.hand.hand.payload_max_kg
            text = f"'{product.sku}' has {product.mass_kg:.2f} kg, the hand lifts {limit:.2f} kg."
            return Outcome.failure(Code.ITEM_TOO_HEAVY, text)
        target = prepare(found[0], self._mass(found[0], product))
        if target is None:
            seen = len(found[0].visible)
            return Outcome.failure(
                Code.NO_GRASP_FOUND, f"Instance {instance_id} has too little surface ({seen} points seen)."
            )
        prior = tool_prior(target, product)
        known = Product(product.kind, product.sku) if product is not None else Product()
        item = item_measures(found[0], target, product)
        rated = self._rate(scene, found[0], target, product, prior)
        tables = [self._worth.of(table.with_measures(item), known) for table in rated]
        return self._decide(target, prior, tables, known)

    def close(self) -> None:
        """Let go of the file of what was learned."""
        if self._worth.experience is not None:
            self._worth.experience.close()

    def learn(self, candidate: GraspCandidate, sku: str, code: Code) -> None:
        """What came of a candidate on a product. Codes that say nothing about the grasp are passed over."""
        experience, said = self._worth.experience, verdict(code)
        if experience is None or said is None or FORESEEN not in candidate.scores:
            return
        product = self.catalogue.find(sku).value if self.catalogue is not None else None
        kind = product.kind if product is not None else ""
        experience.learn(candidate.tool, kind, sku, candidate.scores[FORESEEN], said, code.value)

    def _product(self, instance: Instance, sku: str) -> Sku | None:
        """The SKU asked for, else the one that the instance was recognised as, else None."""
        if self.catalogue is None:
            return None
        if not sku and instance.identity.sku and instance.identity.confidence >= self.config.ranking.identity_confidence:
            sku = instance.identity.sku
        return self.catalogue.find(sku).value if sku else None

    def _mass(self, instance: Instance, product: Sku | None) -> float:
        """Known mass, or one estimated from the bounding box and kept within what the hand may lift, kg."""
        if product is not None and np.isfinite(product.mass_kg) and product.mass_kg > 0.0:
            return float(product.mass_kg)
        volume = float(np.prod(np.nan_to_num(np.maximum(instance.shape.extents_m, 1e-3), nan=1e-3, posinf=1e-3)))
        return float(np.clip(self.config.ranking.density_kg_m3 * volume, 0.03, self.hand.hand.payload_max_kg))

    def _obstacles(self, scene: Scene) -> SceneObstacles:
        if self._last is None or self._last[0] is not scene:
            self._last = (scene, SceneObstacles.of(scene, self.totes, self.config.clearance))
        return self._last[1]

    def _rate(
        self, scene: Scene, instance: Instance, target: Target, product: Sku | None, prior: ToolPrior
    ) -> list[CandidateTable]:
        """Candidates of both tools, rated by geometry, rejected ones included."""
        around = Surroundings(
            self._obstacles(scene).around(instance, HAND_REACH_M, self.config.clearance),
            next((tote for tote in self.totes if tote.contains(target.body.points.mean(axis=0))), None),
            scene.occupancy,
        )
        # What lies under others is lifted against their weight, and takes them along.
        exposure = float(np.clip(np.nan_to_num(instance.exposure, nan=1.0), 0.0, 1.0))
        factor = {tool: prior.factor[tool] * (0.5 + 0.5 * exposure) for tool in Tool}
        known_flat = product is not None and product.kind in FLAT_KINDS
        thickness = float(min(product.dimensions_m) if product is not None else target.extents_m[2])
        film_pa = self._film_pa(instance, product, target.mass_kg)
        tables = []
        if Tool.PINCH in self.config.tools:
            tables.append(rate_pinch(target, around, self.hand, self.config, thickness, factor[Tool.PINCH]))
        if Tool.SUCTION in self.config.tools:
            tables.append(rate_suction(target, around, self.hand, self.config, factor[Tool.SUCTION], known_flat, film_pa))
        return tables

    def _film_pa(self, instance: Instance, product: Sku | None, mass_kg: float) -> float:
        """Vacuum that the thinnest film bears that the item may have: of what it is taken for, and of whatever else it may
        well be, as far as that much lifts it."""
        radius = self.hand.hand.cup_radius_m
        own = film_limit_pa(product.kind, radius) if product is not None else np.inf
        if self.catalogue is None:
            return own
        share = self.config.ranking.film_probability
        others = [self.catalogue.find(sku).value for sku, p in instance.identity.ranking if p >= share]
        least = min((film_limit_pa(other.kind, radius) for other in others if other is not None), default=np.inf)
        lifts = least * np.pi * radius**2 > self.config.suction.seal_safety * mass_kg * GRAVITY
        return min(own, least) if lifts else own

    def _refined(self, good: CandidateTable, known: Product) -> CandidateTable:
        """The same places, held and carried as is expected to cost least."""
        if not len(good) or self.config.score != "learned":
            return good
        varied = self._worth.of(variants(good, self.config.refine, self.hand.hand.pinch_force_max_n), known)
        behind = good.cost_s - varied.cost_s[: len(good)]  # what further yaws of one place were made dearer by
        refined = cheapest(varied, len(good), self.config.refine.worth_s).dearer(behind)
        return refined.take(refined.reason == "")

    def _decide(
        self, target: Target, prior: ToolPrior, tables: list[CandidateTable], known: Product
    ) -> Outcome[GraspDecision]:
        standoff = self.hand.standoff_m
        ranked: list[GraspCandidate] = []
        for table in tables:
            good = self._refined(self._diversify(table.take(table.reason == "")), known)
            ranked += good.values(target.instance_id, standoff)
        ranked.sort(key=lambda candidate: candidate.cost_s)
        ranked = ranked[: self.config.ranking.max_ranked]
        counts: Counter[tuple[Tool, str]] = Counter()
        for table in tables:
            counts.update((table.tool, str(reason)) for reason in table.reason if reason)
        rejected = _sample_rejected(tables, counts, target.instance_id, standoff, self.config.ranking.max_rejected)
        why_not = _count_text(counts)
        if not ranked:
            text = f"Instance {target.instance_id}: {why_not or 'no candidate at all could be generated'}."
            failure: Outcome[GraspDecision] = Outcome.failure(Code.NO_GRASP_FOUND, text)
            return replace(failure, value=GraspDecision((), rejected, failure.text))
        text = _choice_text(ranked, target, prior, self.config.tools) + (
            f" Rejected: {why_not}." if why_not else " Nothing was rejected."
        )
        return Outcome.success(GraspDecision(tuple(ranked), rejected, text), text)

    def _diversify(self, good: CandidateTable) -> CandidateTable:
        """Different places first, and of each place the turns about the approach that are the same hold."""
        r = self.config.ranking
        turns = 2 if good.tool is Tool.PINCH else self.config.suction.yaws_kept
        angles = (r.distance_m, np.deg2rad(r.tilt_deg), np.deg2rad(r.yaw_deg))
        if len(good) == 0:
            return good
        kept = suppress(good, max(1, r.max_per_tool // turns), *angles)
        best = good.take(kept)
        if good.tool is Tool.PINCH:
            twin = replace(best, poses=best.poses @ HALF_TURN)
            return concat([best, twin.dearer(r.duplicate_s)])
        groups = [self._other_yaws(good, best.poses[i], turns) for i in range(len(best))]
        rows = np.concatenate([g for g in groups])
        behind = np.concatenate([np.arange(len(g), dtype=np.float64) for g in groups])
        return good.take(rows).dearer(r.duplicate_s * behind)

    @staticmethod
    def _other_yaws(good: CandidateTable, pose: Pose, limit: int) -> NDArray[np.intp]:
        """Rows at the same place as ``pose``, spread over the turn: each next one is furthest from those before."""
        rows = np.flatnonzero(np.linalg.norm(good.poses[:, :3, 3] - pose[:3, 3], axis=1) < 1e-6)
        rows = rows[np.argsort(good.cost_s[rows], kind="stable")]
        chosen = [rows[0]]
        cosine = np.einsum("ij,kj->ik", good.poses[rows, :3, 0], good.poses[rows, :3, 0])
        taken = [0]
        while len(chosen) < min(limit, len(rows)):
            nearest = cosine[:, taken].max(axis=1)
            nearest[taken] = np.inf
            taken.append(int(np.argmin(nearest)))
            chosen.append(rows[taken[-1]])
        return np.array(chosen, dtype=np.intp)


def _sample_rejected(
    tables: list[CandidateTable], counts: Counter[tuple[Tool, str]], instance_id: int, standoff_m: float, limit: int
) -> tuple[GraspCandidate, ...]:
    """At most ``limit`` rejected candidates, every reason represented about equally."""
    if not counts:
        return ()
    share = max(1, limit // len(counts))
    out: list[GraspCandidate] = []
    for table in tables:
        for tool, reason in counts:
            if tool is table.tool:
                rows = np.flatnonzero(table.reason == reason)
                pick = np.unique(np.linspace(0, len(rows) - 1, min(share, len(rows))).astype(np.intp))
                out += table.take(rows[pick]).values(instance_id, standoff_m)
    return tuple(out[:limit])


def _count_text(counts: Counter[tuple[Tool, str]]) -> str:
    """The most frequent reasons per tool, in words."""
    parts = []
    for tool in Tool:
        mine = sorted(((n, reason) for (t, reason), n in counts.items() if t is tool), key=lambda item: (-item[0], item[1]))
        if mine:
            parts.append(
                f"{sum(n for n, _ in mine)} {tool.value} (" + "; ".join(f"{n} {reason}" for n, reason in mine[:4]) + ")"
            )
    return ", ".join(parts)


def _choice_text(ranked: list[GraspCandidate], target: Target, prior: ToolPrior, tools: tuple[Tool, ...]) -> str:
    """One sentence on the best grasp and the best of the other tool."""
    best = ranked[0]
    offset_mm = 1e3 * float(np.linalg.norm(best.X_base_tcp[:2, 3] - target.center[:2]))
    tilt = float(np.rad2deg(np.arccos(np.clip(-best.X_base_tcp[2, 2], -1.0, 1.0))))
    parts = PINCH_WEIGHTS if best.tool is Tool.PINCH else SUCTION_WEIGHTS
    weakest = min(parts, key=lambda name: best.scores[name])
    if best.tool is Tool.PINCH:
        what, other_tool = f"Pinch across {1e3 * best.width_m:.0f} mm with {best.force_n:.0f} N", Tool.SUCTION
    else:
        what, other_tool = "Suction on seen surface", Tool.PINCH
    other = next((c for c in ranked if c.tool is other_tool), None)
    if other:
        against = f"best {other_tool.value} {other.quality:.2f}"
    else:
        against = (
            f"no {other_tool.value} grasp is possible" if other_tool in tools else f"{other_tool.value} is switched off"
        )
    return (
        f"{what}, {offset_mm:.0f} mm beside the centre of mass, {tilt:.0f} deg from straight down, "
        f"quality {best.quality:.2f}, up to {best.max_acceleration_mps2:.1f} m/s2 "
        f"(weakest part: {weakest} {best.scores[weakest]:.2f}; {prior.because}; {against})."
    )
