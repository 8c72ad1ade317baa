"""Which instances of a scene a pick may take: the wanted SKU's likeliest ones, or whatever can be taken best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pickcell.outcome import Code, Outcome
from pickcell.task.request import ANY_ITEM
from pickcell.values import GraspDecision, Instance, Scene

TARGETS_TRIED = 3
"""Instances that may be the wanted item are tried in turn, up to so many."""

Select = Callable[[Instance, str], Outcome[GraspDecision]]


@dataclass(frozen=True)
class Target:
    """An instance, what it is taken for, and the grasps on it."""

    instance: Instance
    sku: str
    selected: Outcome[GraspDecision]

    @property
    def probability(self) -> float:
        return probability(self.instance, self.sku)


def probability(instance: Instance, sku: str) -> float:
    """How sure perception is that an instance is a SKU, 0..1."""
    return dict(instance.identity.ranking).get(sku, 0.0)


def likeliest_left(instance: Instance, in_source: Mapping[str, int]) -> str:
    """The SKU that an instance most likely is, of those that the tote still holds; "" when it is like none of them."""
    return max(((p, sku) for sku, p in instance.identity.ranking if in_source.get(sku, 0) > 0), default=(0.0, ""))[1]


def targets(
    scene: Scene, sku: str, in_source: Mapping[str, int], min_identity: float, select: Select
) -> Outcome[Iterator[Target]]:
    """At most TARGETS_TRIED targets in the order in which they are to be tried; ITEM_NOT_FOUND when there are none.

    ``in_source``: SKU -> pieces that the ledger believes in the source tote. ``select`` ranks the grasps on an instance; it
    is called when a target is asked for, and for :data:`ANY_ITEM` on all instances at once.
    """
    if sku == ANY_ITEM:
        return _any_item(scene, in_source, select)
    likely = [i for i in scene.instances if probability(i, sku) >= min_identity]
    if not likely:
        best = max((probability(i, sku) for i in scene.instances), default=0.0)
        return Outcome.failure(
            Code.ITEM_NOT_FOUND, f"SKU '{sku}': the best of {len(scene.instances)} instances matches with {best:.0%}."
        )
    # of two alike the freer one, and the one that is surely one item
    likely.sort(key=lambda i: -probability(i, sku) * (0.5 + 0.5 * i.exposure) * (0.5 + 0.5 * i.confidence))
    return Outcome.success(Target(i, sku, select(i, sku)) for i in likely[:TARGETS_TRIED])


def _any_item(scene: Scene, in_source: Mapping[str, int], select: Select) -> Outcome[Iterator[Target]]:
    """What can be taken best comes first; each instance is taken for the likeliest SKU that the tote still holds."""
    found: list[Target] = []
    for instance in scene.instances:
        sku = likeliest_left(instance, in_source)
        if sku:
            found.append(Target(instance, sku, select(instance, sku)))
    if not found:
        return Outcome.failure(
            Code.ITEM_NOT_FOUND, f"None of the {len(scene.instances)} instances is like anything on the manifest."
        )
    found.sort(key=lambda t: -(t.selected.unwrap().ranked[0].quality if t.selected.ok else 0.0) * t.instance.confidence)
    return Outcome.success(iter(found[:TARGETS_TRIED]))
