"""What one attempt takes and how: a look at the totes, an instance, a grasp on it that can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pickcell.outcome import Code, Outcome, Stage
from pickcell.task.hold import same_place
from pickcell.task.ledger import Place
from pickcell.task.pictures import PickPictures
from pickcell.task.request import ANY_ITEM, PickRequest
from pickcell.task.stages import StageRunner
from pickcell.task.targets import Target, targets
from pickcell.values import ApproachPlan, GraspCandidate, GraspDecision, Instance, Scene

if TYPE_CHECKING:
    from pickcell.task.pick import PickTask


class Choice:
    """State of one attempt as far as choosing goes."""

    def __init__(
        self,
        task: PickTask,
        request: PickRequest,
        stages: StageRunner,
        pictures: PickPictures,
        failed: list[GraspCandidate],
        least_chance: float = 0.0,
    ) -> None:
        """``failed``: grasps of earlier attempts that are not to be tried again; this attempt adds its own.
        ``least_chance`` of success: what a grasp needs to be tried."""
        self.task = task
        self.config = task.config
        self.ports = task.ports
        self.request = request
        self.sku = request.sku
        """What is being taken: settled by the choice when any item will do."""
        self.stages = stages
        self.pictures = pictures
        self.failed = failed
        self.least_chance = least_chance

    def learn(self, candidate: GraspCandidate, code: Code) -> None:
        """Tell the choice what came of a grasp."""
        self.ports.grasp.learn(candidate, self.sku, code)

    def _manifest(self) -> dict[str, int]:
        """What the source tote should hold, an item that fell from the hand included."""
        counts = self.task.ledger.counts(Place.SOURCE)
        if self.task.fallen is not None:
            fallen = self.task.fallen_sku
            counts[fallen] = counts.get(fallen, 0) + 1
        return counts

    def _look(self) -> Outcome[Scene]:
        with self.stages.computing():
            seen = self.ports.scene.observe(self._manifest(), self.ports.clock.now_s())
        if seen.value is not None:  # an empty tote is seen as well: SCENE_EMPTY carries its scene
            self.task.last_scene = seen.value
            self.task.scene_is_fresh = True
            self.stages.report.perception_ms = dict(seen.value.timings_ms)
        return seen

    def _observe(self) -> Outcome[Scene]:
        with self.stages.stage(Stage.OBSERVE, "Looking into the totes") as record:
            interrupted = self.stages.interrupted()
            if not interrupted.ok:
                record.code, record.text = interrupted.code, interrupted.text
                return interrupted.failed_as()
            last = self.task.last_scene
            seen = Outcome.success(last) if last is not None and self.task.scene_is_fresh else self._look()
            if seen.ok and not seen.unwrap().instances:
                seen = Outcome.failure(Code.SCENE_EMPTY)
            record.code, record.text = seen.code, seen.text
            return seen

    def _choose(self, scene: Scene) -> Outcome[ApproachPlan]:
        what = "whatever can be taken best" if self.request.sku == ANY_ITEM else self.request.sku
        with self.stages.stage(Stage.CHOOSE, f"Choosing a grasp for {what}") as record:
            outcome = self._choose_plan(scene)
            record.code, record.text = outcome.code, outcome.text
            return outcome

    def _choose_plan(self, scene: Scene) -> Outcome[ApproachPlan]:
        """The first of the likely instances that can be taken; the failure is the likeliest one's."""

        def select(instance: Instance, sku: str) -> Outcome[GraspDecision]:
            with self.stages.computing():
                return self.ports.grasp.select(scene, instance.id, sku)

        found = targets(scene, self.request.sku, self._manifest(), self.config.min_identity, select)
        first: Outcome[ApproachPlan] | None = None if found.ok else found.failed_as()
        for target in found.value or ():
            planned = self._plan_for(scene, target)
            if planned.ok:
                self.sku = self.stages.report.sku = target.sku
                return planned
            first = first or planned
        assert first is not None, "a success names at least one target"
        self.task.scene_is_fresh = False
        self.pictures.scene("before", scene)
        return first

    def _plan_for(self, scene: Scene, target: Target) -> Outcome[ApproachPlan]:
        if not target.selected.ok:
            return target.selected.failed_as()
        decision = target.selected.unwrap()
        near_m = self.config.same_grasp_m
        ranked = tuple(c for c in decision.ranked if not any(same_place(c, f, near_m) for f in self.failed))
        if not ranked:
            return Outcome.failure(Code.NO_GRASP_FOUND, "All that is left has been tried.")
        hopeful = tuple(c for c in ranked if c.quality >= self.least_chance)
        if not hopeful:
            best = max(c.quality for c in ranked)
            said = f"The best grasp has a chance of {best:.0%} only, and something may be moved out of its way first."
            return Outcome.failure(Code.NO_GRASP_FOUND, said)
        ranked = hopeful
        with self.stages.computing():
            planned = self.ports.motion.plan_approach(scene, ranked)
        if not planned.ok:
            self.failed.extend(ranked)
            return planned
        plan = planned.unwrap()
        self._explain(target, decision, plan)
        shown = (plan.candidate, *(c for c in ranked if c is not plan.candidate))
        self.pictures.decision(scene, decision, shown, 0)
        return planned

    def _explain(self, target: Target, decision: GraspDecision, plan: ApproachPlan) -> None:
        report = self.stages.report
        report.tool = plan.candidate.tool.value
        skipped = f" {len(plan.tried)} better-ranked grasps could not be reached." if plan.tried else ""
        certainty = f"Instance {target.instance.id} is {target.sku} with {target.probability:.0%}."
        report.explanation = f"{certainty} {decision.explanation}{skipped}"
