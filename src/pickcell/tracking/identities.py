"""Stable ids: an item keeps its number from one full look to the next, whatever happened in between.

Each look segments anew and numbers what it finds. Here every instance of a look is compared with those of the looks before:
does it lie where that one was (or where tracking last had it), does it have its colours, its size, its product. The best
assignment of all at once decides (H. W. Kuhn, "The Hungarian method", 1955), so that of two like items each stays itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from pickcell.fusion.color import to_lab
from pickcell.geometry import Pose, transform_points
from pickcell.identity.appearance import BINS, bins_of
from pickcell.values import Instance

LARGEST_ID = 60_000
"""Label images hold 16 bits; numbers start over after this one."""


@dataclass(frozen=True)
class KeeperConfig:
    """What makes an instance one that is known. Weights are of likenesses between 0 and 1."""

    near_m: float = 0.010
    """Points so near to each other are of the same surface."""
    place: float = 2.0
    """Weight of the share of both that lies within ``near_m`` of the other."""
    color: float = 1.0
    product: float = 1.0
    size: float = 1.0
    far_m: float = 0.06
    """A distance between their middles that costs as much as one likeness gives."""
    least: float = 0.7
    """What is less alike than this, all in all, is something else ..."""
    far_again_m: float = 0.25
    least_again: float = 1.0
    """... but what is then left over on both sides is compared once more, by what it is and hardly by where: things roll,
    and slide below others."""
    points: int = 150
    """Points of an item that are compared."""
    remembered_looks: int = 5
    """An item that was not seen in so many looks in a row is forgotten."""


@dataclass(frozen=True)
class _Known:
    id: int
    points: NDArray[np.float64]
    color: NDArray[np.float64]
    extents: NDArray[np.float64]
    products: Mapping[str, float]
    unseen: int = 0


@dataclass
class IdentityKeeper:
    """Remembers the items of one tote from look to look. Not thread-safe: one call at a time."""

    config: KeeperConfig = field(default_factory=KeeperConfig)
    _known: list[_Known] = field(default_factory=list)
    _last: int = 0

    def assign(self, seen: Sequence[Instance], motions: Mapping[int, Pose] | None = None) -> list[int]:
        """Id of each instance of a look, all different: that of the item which it was before, a new one otherwise.

        ``motions``: by id, how an item moved since the last look (takes its points then to now, in ``base_link``), as
        tracking saw it; an item without one is looked for where it was. Instances may carry any ids.
        Raises ValueError for one of which nothing is seen.
        """
        if any(len(each.visible) == 0 for each in seen):
            raise ValueError("an instance of which nothing is seen has no identity")
        new = [self._described(each) for each in seen]
        old = [self._moved(known, (motions or {}).get(known.id)) for known in self._known]
        c, taken = self.config, _best_pairs(self._likeness(old, new, self.config.far_m), self.config.least)
        rest = [i for i in range(len(old)) if i not in taken.values()], [k for k in range(len(new)) if k not in taken]
        again = self._likeness([old[i] for i in rest[0]], [new[k] for k in rest[1]], c.far_again_m)
        taken |= {rest[1][k]: rest[0][i] for k, i in _best_pairs(again, c.least_again).items()}
        of = {k: old[i].id for k, i in taken.items()}
        ids = [of.get(k) or self._fresh(set(of.values())) for k in range(len(new))]
        found = set(ids)
        missed = [replace(known, unseen=known.unseen + 1) for known in old if known.id not in found]
        self._known = [replace(each, id=i) for each, i in zip(new, ids)]
        self._known += [known for known in missed if known.unseen < self.config.remembered_looks]
        return ids

    def forget(self) -> None:
        """Start anew, as with another tote; numbers go on, so that no two items ever share one."""
        self._known = []

    def _likeness(self, old: Sequence[_Known], new: Sequence[_Known], far_m: float) -> NDArray[np.float64]:
        """(O, N) how alike each known item and each instance are, all in all."""
        if not old or not new:
            return np.zeros((len(old), len(new)))
        c = self.config
        place = np.sqrt(self._lies_on(old, new) * self._lies_on(new, old).T)
        color = np.sqrt(np.stack([o.color for o in old])) @ np.sqrt(np.stack([n.color for n in new])).T
        product = np.array([[sum(p * n.products.get(sku, 0.0) for sku, p in o.products.items()) for n in new] for o in old])
        extents, others = (np.log(np.stack([each.extents for each in all_])) for all_ in (old, new))
        size = np.exp(-2.0 * np.abs(extents[:, None] - others[None]).mean(axis=2))
        middles, places = (np.stack([each.points.mean(axis=0) for each in all_]) for all_ in (old, new))
        apart = np.linalg.norm(middles[:, None] - places[None], axis=2)
        return np.asarray(c.place * place + c.color * color + c.product * product + c.size * size - apart / far_m)

    def _lies_on(self, some: Sequence[_Known], others: Sequence[_Known]) -> NDArray[np.float64]:
        """(S, O) share of the points of each that lie nearest to, and on, each of the others."""
        tree = cKDTree(np.vstack([each.points for each in others]))
        owner = np.repeat(np.arange(len(others)), [len(each.points) for each in others])
        apart, nearest = tree.query(np.vstack([each.points for each in some]), distance_upper_bound=self.config.near_m)
        mine = np.repeat(np.arange(len(some)), [len(each.points) for each in some])
        on = np.isfinite(apart)
        shares = np.zeros((len(some), len(others)))
        np.add.at(shares, (mine[on], owner[nearest[on]]), 1.0)
        return np.asarray(shares / np.array([[max(len(each.points), 1)] for each in some]))

    def _fresh(self, taken: set[int]) -> int:
        taken = taken | {known.id for known in self._known}
        while True:
            self._last = self._last % LARGEST_ID + 1
            if self._last not in taken:
                return self._last

    def _described(self, instance: Instance) -> _Known:
        visible = instance.visible
        rows = np.arange(0, len(visible), max(1, len(visible) // self.config.points))
        color = np.bincount(bins_of(to_lab(visible.colors)), minlength=BINS).astype(np.float64)
        extents = np.maximum(np.sort(np.asarray(instance.shape.extents_m, np.float64)), 0.002)
        points = visible.points[rows].astype(np.float64)
        return _Known(0, points, color / max(color.sum(), 1.0), extents, dict(instance.identity.ranking))

    def _moved(self, known: _Known, X: Pose | None) -> _Known:
        return known if X is None else replace(known, points=transform_points(X, known.points))


def _best_pairs(worth: NDArray[np.float64], least: float) -> dict[int, int]:
    """Column -> row of the assignment that is worth most, of pairs worth more than ``least``."""
    rows, columns = linear_sum_assignment(-np.maximum(worth, least))
    return {int(c): int(r) for r, c in zip(rows, columns) if worth[r, c] > least}
