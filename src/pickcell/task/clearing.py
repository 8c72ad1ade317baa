"""Clearing the way: a neighbour is taken and put on the aside tray, or elsewhere in the source tote where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pickcell.outcome import Code, Outcome, Stage
from pickcell.task.aside import ASIDE
from pickcell.task.attempt import NOT_MOVED, Attempt
from pickcell.task.blockers import Blocker, blockers, without_room_over
from pickcell.task.ledger import Place
from pickcell.task.lying_free import alone, stands
from pickcell.task.record import PickReport
from pickcell.task.request import ANY_ITEM, PickRequest
from pickcell.task.stages import StageRunner
from pickcell.task.targets import Target, likeliest_left, probability
from pickcell.values import ApproachPlan, GraspCandidate, HeldItem, Instance, PlacePlan, Scene

IN_THE_WAY = frozenset((Code.NO_GRASP_FOUND, Code.UNREACHABLE, Code.APPROACH_BLOCKED, Code.NO_PATH, Code.ITEM_NOT_FOUND))
"""How a choice fails that may succeed when a neighbour has been moved."""
HELD_DOWN = frozenset((Code.SEAL_NOT_MADE, Code.SEAL_LOST, Code.SLIPPED, Code.MISSED, Code.DOUBLE_PICK))
"""How a grasp fails on what lies under something."""
COVERING = 0.2
"""After such a failure a neighbour is moved that is at least this much in the way."""
TRIED = 6
"""Neighbours whose grasps are looked at together, those most in the way first."""
HARDLY = 0.01
"""How much something is in the way that is so only by filling the tote."""
LEAST_QUALITY = 0.4
"""Grasps that are worse are not worth a try: they mostly fail, and stir the heap."""
MOST_COST_S = 15.0
"""What moving a neighbour may cost: a sure and harmless move costs about 6, a chance of harm of a tenth 12 more."""
MOST_MOVED = 2
"""Times that one neighbour is moved for one pick."""
AGAIN = 0.3
"""How much less sense it makes to move what has been moved before in the same pick."""


@dataclass
class Moves:
    """What one pick has done to neighbours."""

    moved: list[int] = field(default_factory=list)
    """Ids of the instances that were to be moved, failures included."""
    failed: list[GraspCandidate] = field(default_factory=list)
    """Grasps on them that are not to be tried again."""
    exhausted: bool = False
    """Nothing can be moved as things lie now."""

    def may_go_on(self, most: int) -> bool:
        """Whether another neighbour may be moved, of ``most`` in all, and any can be."""
        return len(self.moved) < most and not self.exhausted


class Clearing(Attempt):
    """One neighbour moved. Kept apart from the pick's own attempts: its stages do not count as tries of the wanted item."""

    def __init__(self, of: Attempt, moves: Moves, covering: bool = False) -> None:
        """``of``: the attempt that failed. ``moves``: of the pick so far; gets this one. ``covering``: it has stirred the
        heap in vain, so look anew, and move only what lies over the item."""
        request = PickRequest(of.request.job_id, ANY_ITEM, of.request.order_id, of.request.line)
        report = PickReport(request.job_id, request.sku)
        stages = StageRunner(of.ports, report, lambda progress: None, of.stages.opening_max_m, of.stages.touchdown_force_n)
        super().__init__(of.task, request, stages, of.pictures, moves.failed)
        self._of = of
        self._wanted = of.sku
        self._moves = moves
        self._covering = covering
        self._said = ""

    def run(self) -> Outcome[None]:
        """Take the neighbour that is most in the way and can be taken, and set it down where it is not. Fails with
        NO_GRASP_FOUND when there is none; after other failures the hand may still hold it."""
        with self._of.stages.stage(Stage.CLEAR, f"Making room for {self._wanted}") as record:
            outcome = self._run()
            record.code, record.text = outcome.code, self._said if outcome.ok else outcome.text
            record.compute_s = sum(stage.compute_s for stage in self.stages.report.stages)
            return outcome

    def _run(self) -> Outcome[None]:
        if self._covering:
            seen = self._look()
            if not seen.ok:
                return seen.failed_as()
        scene = self.task.last_scene  # otherwise nothing has moved since the choice failed
        assert scene is not None, "the attempt that could not choose has looked"
        worth = self._worth_digging(scene)
        if not worth.ok:
            return worth
        chosen = self._choose_plan(scene)
        if not chosen.ok:
            return chosen.failed_as()
        taken = self.take(scene, chosen.unwrap())
        if not taken.ok:
            self.not_taken(chosen.unwrap().candidate, taken.code)
            return taken.failed_as()
        return self._set_aside(scene, taken.unwrap(), chosen.unwrap().candidate)

    def _worth_digging(self, scene: Scene) -> Outcome[None]:
        """Whether the item could be taken if it lay free. Asked before anything is moved for it; where nobody can tell, yes:
        so of what is seen to stand."""
        if self._moves.moved:
            return Outcome.success(None)
        wanted = self._wanted_instance(scene)
        if wanted is not None and stands(wanted):
            return Outcome.success(None)
        product, floor = self.task.catalogue.find(self._wanted), scene.heightmaps.get("source")
        lone = alone(product.unwrap(), floor) if product.ok and floor is not None else None
        if lone is None:
            return Outcome.success(None)
        with self.stages.computing():
            selected = self.ports.grasp.select(lone, lone.instances[0].id, self._wanted)
        best = selected.unwrap().ranked[0].quality if selected.ok else 0.0
        if best >= self.config.free_chance:
            return Outcome.success(None)
        said = f"Nothing is moved for {self._wanted}: even lying free it could be taken with a chance of {best:.0%} only."
        return Outcome.failure(Code.NO_GRASP_FOUND, said)

    def _choose_plan(self, scene: Scene) -> Outcome[ApproachPlan]:
        wanted = self._wanted_instance(scene)
        in_source = self._manifest()
        found = self._blockers(scene, wanted)
        for some in (found[i : i + TRIED] for i in range(0, len(found), TRIED)):
            options = self._options(scene, some, in_source)
            for _, target in sorted(options, key=lambda option: -option[0]):
                planned = self._plan_for(scene, target)
                if planned.ok:
                    self.sku = target.sku
                    self._moves.moved.append(target.instance.id)
                    self._said = f"Moved instance {target.instance.id} ({target.sku}) out of the way."
                    return planned
        return Outcome.failure(Code.NO_GRASP_FOUND, f"Nothing that is in the way of {self._wanted} can be moved.")

    def _options(self, scene: Scene, some: list[Blocker], in_source: Mapping[str, int]) -> list[tuple[float, Target]]:
        """Those that can be moved at little risk, each with how much sense that makes."""
        options: list[tuple[float, Target]] = []
        for blocker in some:
            sku = likeliest_left(blocker.instance, in_source)
            if not sku or self._moves.moved.count(blocker.instance.id) >= MOST_MOVED:
                continue
            with self.stages.computing():
                selected = self.ports.grasp.select(scene, blocker.instance.id, sku)
            best = selected.unwrap().ranked[0] if selected.ok else None
            if best is not None and best.quality >= LEAST_QUALITY and best.cost_s <= MOST_COST_S:
                options.append((self._use(blocker, best), Target(blocker.instance, sku, selected)))
        return options

    def _blockers(self, scene: Scene, wanted: Instance | None) -> list[Blocker]:
        """What is in the way, the worst first, and then, as everything in a full tote leans on something, what is not."""
        if self._covering:
            found = blockers(scene, wanted.id) if wanted else []
            return [blocker for blocker in found if blocker.weight >= COVERING][:TRIED]
        found = blockers(scene, wanted.id if wanted else None)
        known = {blocker.instance.id for blocker in found} | ({wanted.id} if wanted else set())
        others = sorted((i for i in scene.instances if i.id not in known), key=lambda i: -i.exposure)
        return found + [Blocker(instance, HARDLY) for instance in others]

    def _wanted_instance(self, scene: Scene) -> Instance | None:
        """The instance that is likeliest the wanted item, None when none is likely."""
        best = max(scene.instances, key=lambda i: probability(i, self._wanted), default=None)
        likely = best is not None and probability(best, self._wanted) >= self.config.min_identity
        return best if likely else None

    def _use(self, blocker: Blocker, grasp: GraspCandidate) -> float:
        """Room made for what it is expected to cost, time and harm included."""
        again = AGAIN if blocker.instance.id in self._moves.moved else 1.0
        return blocker.weight * grasp.quality * again / max(grasp.cost_s, 1.0)

    def _carry_aside(self, scene: Scene, held: HeldItem, candidate: GraspCandidate) -> tuple[Place, Outcome[PlacePlan]]:
        """To the tray, where the cell has one with room; else to where it is not in the way in the source tote."""
        wanted_too = self.sku in self._of.request.also_wanted
        if ASIDE in scene.heightmaps and not wanted_too and self.task.aside_is_known():
            placed = self._carry(self.task.aside.shown_in(scene), held, ASIDE)
            if placed.code not in NOT_MOVED:
                return Place.ASIDE, placed
        wanted = self._wanted_instance(scene)
        # of what nobody sees it is only known that it may be under what was just taken
        keep_clear = without_room_over(scene, wanted.id if wanted else candidate.instance_id)
        return Place.SOURCE, self._carry(keep_clear, held, "source")

    def _set_aside(self, scene: Scene, held: HeldItem, candidate: GraspCandidate) -> Outcome[None]:
        place, placed = self._carry_aside(scene, held, candidate)
        self.came_of(candidate, placed.code)
        if not placed.ok:
            return placed.failed_as()
        released = self.stages.release(held, self.give_m)
        if not released.ok:
            return released
        assert self.item_id is not None, "the item is booked before it is lifted"
        self.task.book(self.item_id, place, self._of.stages.report, f"moved aside for {self._wanted}")
        self.task.held = None
        self._of.stages.report.moved += 1
        if place is Place.ASIDE:
            self.task.aside.put(scene, held, placed.unwrap())
        left = self.stages.leave()
        home = self.stages.go_home() if left.ok else left
        self.task.at_home = home.ok
        return home
