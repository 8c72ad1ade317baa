"""Which item is on top where, seen from above."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickcell.completion.outline import Footprint


class TopMap:
    """A raster over the tote: height and instance id of the topmost item point in each cell."""

    def __init__(
        self, points: NDArray[np.float64], labels: NDArray[np.int32], inner: NDArray[np.float64], cell_m: float
    ) -> None:
        """``points``: (N, 3) in the tote's frame; ``labels``: (N,) instance ids, 0 for none."""
        self._cell = cell_m
        self._corner = -0.5 * inner[:2] - 4 * cell_m
        nx, ny = np.ceil(inner[:2] / cell_m).astype(int) + 8
        self.height = np.full((nx, ny), -np.inf)
        self.label = np.zeros((nx, ny), np.int32)
        chosen = labels > 0
        p, ids = points[chosen], labels[chosen]
        ij = self._cells(p[:, :2])
        order = np.argsort(p[:, 2], kind="stable")  # the last write wins: the highest
        self.height[ij[order, 0], ij[order, 1]] = p[order, 2]
        self.label[ij[order, 0], ij[order, 1]] = ids[order]

    def _cells(self, xy: NDArray[np.float64]) -> NDArray[np.intp]:
        ij = np.floor((xy - self._corner) / self._cell).astype(np.intp)
        return np.clip(ij, 0, np.array(self.height.shape) - 1)

    def around(self, footprint: Footprint, label: int, reach_m: float) -> NDArray[np.float64]:
        """Heights of the other items' cells within about ``reach_m`` outside a footprint's outline."""
        found = []
        for k in range(1, max(1, round(reach_m / self._cell)) + 1):
            ij = self._cells(footprint.outline_xy + footprint.outward * (k * self._cell))
            other = (self.label[ij[:, 0], ij[:, 1]] != label) & (self.label[ij[:, 0], ij[:, 1]] > 0)
            found.append(self.height[ij[other, 0], ij[other, 1]])
        return np.concatenate(found)

    def exposure(self, label: int, points: NDArray[np.float64]) -> float:
        """Share of the cells covered by an item's full shape (N, 3) over which nothing else lies."""
        cells = self._cells(points[:, :2])
        return float(_exposure(cells, points[:, 2], self.height, self.label, label))


@njit(cache=True, nogil=True)
def _exposure(cells, z, height, label, own):  # type: ignore[no-untyped-def]
    top = np.full(height.shape, -np.inf)
    for p in range(len(cells)):
        i, j = cells[p]
        top[i, j] = max(top[i, j], z[p])
    count, covered = 0, 0
    for i in range(height.shape[0]):
        for j in range(height.shape[1]):
            if top[i, j] > -np.inf:
                count += 1
                covered += label[i, j] != own and label[i, j] > 0 and height[i, j] > top[i, j] - 0.003
    return 1.0 - covered / count if count else 0.0
