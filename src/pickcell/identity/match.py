"""Which SKU of the manifest each instance is: size and colour, all instances together.

Only what the manifest says is in the tote competes, and no SKU is given out more often than it is there: Sinkhorn
iterations (Sinkhorn and Knopp 1967) bring the probabilities in line with the counts, and the Hungarian method picks
the most likely joint answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pickcell.completion.complete import Completed
from pickcell.fusion.color import to_lab
from pickcell.identity.appearance import ColorGallery, bins_of
from pickcell.identity.config import IdentityConfig
from pickcell.identity.size import size_evidence
from pickcell.values import Identity, Sku


class Identifier(Protocol):
    """What a learned identifier must offer to take this one's place."""

    def identify(self, items: list[Completed], manifest: Mapping[str, int]) -> list[Identity]:
        """One answer per item, in order; ``manifest``: SKU -> count in the source tote."""


class SizeAndColorIdentifier:
    """The baseline: dimensions against the catalogue's, colours against its reference pictures."""

    def __init__(
        self, catalogue: Mapping[str, Sku], config: IdentityConfig | None = None, gallery: ColorGallery | None = None
    ) -> None:
        """``gallery``: colour models of the catalogue, when they are shared with another stage."""
        self._catalogue = catalogue
        self._gallery = gallery or ColorGallery(catalogue)
        self.config = config or IdentityConfig()

    def identify(self, items: list[Completed], manifest: Mapping[str, int]) -> list[Identity]:
        """SKUs that the catalogue does not know cannot be recognised and are left out."""
        counts = {sku: n for sku, n in sorted(manifest.items()) if n > 0 and sku in self._catalogue}
        if not counts or not items:
            return [Identity.unknown() for _ in items]
        names = list(counts)
        colors = self._gallery.table(names, self.config.color_floor)
        evidence = np.array([self._evidence(item, names, colors) for item in items])
        capacity = np.array([counts[name] for name in names], dtype=np.float64)
        probability = balanced(evidence, capacity, self.config)
        chosen = assign(probability, capacity)
        return [self._answer(names, row, pick) for row, pick in zip(probability, chosen)]

    def _evidence(self, item: Completed, names: list[str], colors: NDArray[np.float32]) -> NDArray[np.float64]:
        """(S,) log-likelihood of the item under each SKU; ``colors`` (S, BINS)."""
        seen, completed = item.seen_extents_m, item.shape.extents_m
        products = np.array([self._catalogue[name].dimensions_m for name in names])
        size = size_evidence(seen, completed, products, self.config)
        cells = bins_of(to_lab(item.visible.colors))
        color = colors[:, cells].mean(axis=1) if len(cells) else np.zeros(len(names))
        return size + self.config.color_samples * color

    def _answer(self, names: list[str], row: NDArray[np.float64], pick: int) -> Identity:
        order = np.argsort(-row[:-1], kind="stable")
        ranking = tuple((names[i], float(row[i])) for i in order[:5])
        sure = pick >= 0 and row[pick] >= self.config.min_confidence
        return Identity(names[pick] if sure else None, float(row[pick]) if sure else float(row[-1]), ranking)


def balanced(
    evidence: NDArray[np.float64], capacity: NDArray[np.float64], config: IdentityConfig, rounds: int = 30
) -> NDArray[np.float64]:
    """(N, S + 1) probabilities of N items for S SKUs and, last, for none of them. Rows sum to 1; no SKU's column sums to
    more than its ``capacity`` (S,). ``evidence``: (N, S) log-likelihoods."""
    none = np.full((len(evidence), 1), config.none_evidence)
    logits = np.hstack([evidence, none]) / config.temperature
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        load = p[:, :-1].sum(axis=0)
        p[:, :-1] *= np.minimum(1.0, capacity / np.maximum(load, 1e-12))
        p /= p.sum(axis=1, keepdims=True)
    return p


def assign(probability: NDArray[np.float64], capacity: NDArray[np.float64]) -> NDArray[np.intp]:
    """(N,) SKU of each item in the most likely joint answer, -1 for none; every SKU at most ``capacity`` times."""
    slots = np.repeat(np.arange(len(capacity)), capacity.astype(int))
    n = len(probability)
    log = np.log(np.maximum(probability, 1e-12))
    cost = np.hstack([-log[:, slots], np.repeat(-log[:, -1:], n, axis=1)])
    rows, columns = linear_sum_assignment(cost)
    out = np.full(n, -1, np.intp)
    real = columns < len(slots)
    out[rows[real]] = slots[columns[real]]
    return out
