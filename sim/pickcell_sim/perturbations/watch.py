"""Lets a pick task announce its stages to the perturbations of its cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pickcell.task.record import PickReport
from pickcell.task.request import ANY_ITEM, PickRequest
from pickcell.task.stages import Progress
from pickcell_sim.perturbations.runner import Perturbations

ProgressSink = Callable[[Progress], None]
TargetOf = Callable[[PickRequest], int | str | None]


class RunsPicks(Protocol):
    """The part of :class:`pickcell.task.pick.PickTask` that is watched."""

    def run(self, request: PickRequest, progress: ProgressSink) -> PickReport:
        """Run one pick, announcing each stage as it begins."""


def target_by_sku(request: PickRequest) -> str | None:
    """The piece of the wanted SKU nearest to the hand; any item, when any will do."""
    return None if request.sku == ANY_ITEM else request.sku


def watch_task(
    task: RunsPicks, perturbations: Perturbations, target_of: TargetOf = target_by_sku
) -> Callable[..., PickReport]:
    """``task.run`` with its stages announced to ``perturbations``: ``watch_task(task, perturbations)(request)``.

    ``target_of`` says from ground truth which piece a request is after. The caller closes the perturbations when the pick,
    or the last of several, is over.
    """

    def run(request: PickRequest, progress: ProgressSink = lambda p: None) -> PickReport:
        def announce(news: Progress) -> None:
            perturbations.on_stage(news.stage.value, target_of(request))
            progress(news)

        return task.run(request, announce)

    return run
