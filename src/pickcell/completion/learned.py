"""Full shapes by a network that has seen many totes: see :mod:`pickcell.completion.columns`."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickcell.cell import CellConfig
from pickcell.completion.box import fit_box
from pickcell.completion.column_shape import OUTPUTS, Columns, read_answer, refine, surface_of
from pickcell.completion.columns import CELLS, CHANNELS, ColumnMap, column_map
from pickcell.completion.complete import UP, Completed, assemble, extents_seen, possible
from pickcell.completion.config import CompletionConfig
from pickcell.completion.tops import TopMap
from pickcell.fusion.tsdf import TsdfVolume
from pickcell.geometry import inverse, transform_points, transform_vectors
from pickcell.network import ModelError, Network
from pickcell.values import PointCloud


class ColumnNetwork:
    """A trained network. Not thread-safe: one call at a time."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError when the file is missing or is no such network."""
        self._network = Network(path, "./cell train completion")
        channels = (self._network.channels_in, self._network.channels_out)
        if channels != (CHANNELS, OUTPUTS):
            raise ModelError(f"{path} has {channels} channels, {(CHANNELS, OUTPUTS)} are needed: ./cell train completion")

    def answer(self, maps: list[ColumnMap], values: NDArray[np.float32] | None = None) -> list[Columns]:
        """One answer per map. ``values``: those of the maps, (K, CHANNELS, CELLS, CELLS), where they lie together."""
        if not maps:
            return []
        together = np.stack([m.values for m in maps]) if values is None else values
        answers: NDArray[np.float32] = self._network.run(together)
        return [read_answer(answer, at) for answer, at in zip(answers, maps)]


@dataclass(frozen=True)
class Calibration:
    """What a confidence of the network is worth: shares of right points by what it said, on scenes not trained on."""

    said: NDArray[np.float64]
    """(K,) ascending, 0..1."""
    right: NDArray[np.float64]
    """(K,)."""

    @staticmethod
    def load(path: Path) -> Calibration:
        """Raises ModelError naming the file and what is wrong with it."""
        try:
            data: Any = json.loads(path.read_text(encoding="utf-8"))
            said, right = np.array(data["said"], np.float64), np.array(data["right"], np.float64)
            if said.ndim != 1 or said.shape != right.shape or len(said) < 2 or not (np.diff(said) > 0).all():
                raise ValueError("'said' must ascend, and 'right' have as many entries")
            return Calibration(said, right)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise ModelError(f"{path}: no usable calibration ({problem!r}); ./cell train completion makes it") from None

    def save(self, path: Path) -> None:
        data = {"said": self.said.round(4).tolist(), "right": self.right.round(4).tolist()}
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    def __call__(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(confidence, self.said, self.right)


class LearnedCompleter:
    """Columns from the network, for the items of one cell's source tote."""

    def __init__(
        self,
        cell: CellConfig,
        network: ColumnNetwork,
        calibration: Calibration | None = None,
        config: CompletionConfig | None = None,
    ) -> None:
        """Without ``calibration`` confidences are what the network says."""
        self._X_base_tote = cell.X_base_tote("source")
        self._X_tote_base = inverse(self._X_base_tote)
        self._inner = np.asarray(cell.totes["source"].inner)
        self._network = network
        self._calibration = calibration
        self.config = config or CompletionConfig()

    def complete_all(self, cloud: PointCloud, labels: NDArray[np.int32], volume: TsdfVolume) -> list[Completed]:
        """See :class:`pickcell.completion.Completer`."""
        points = transform_points(self._X_tote_base, cloud.points)
        normals = transform_vectors(self._X_tote_base, cloud.normals)
        tops = TopMap(points, labels, self._inner, self.config.spacing_m)
        maps, values = self._maps(points, normals, labels, volume)
        order = np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[order], np.arange(1, len(maps) + 2))

        def complete(instance: int, at: ColumnMap, columns: Columns) -> Completed:
            rows = order[bounds[instance - 1] : bounds[instance]]
            inferred = self._inferred(at, columns, volume)
            measured = (points[rows], normals[rows], np.ones(len(rows)))
            visible = cloud.select(rows)
            box = fit_box(np.vstack([measured[0], inferred[0]]), np.vstack([measured[1], inferred[1]]), UP)
            shape, in_tote = assemble(visible, [measured, inferred], box, self._X_base_tote, self.config)
            return Completed(visible, shape, extents_seen(measured[0], *box), tops.exposure(instance, in_tote))

        with ThreadPoolExecutor(self.config.threads) as pool:
            return list(pool.map(complete, range(1, len(maps) + 1), maps, self._network.answer(maps, values)))

    def _maps(
        self, points: NDArray[np.float64], normals: NDArray[np.float64], labels: NDArray[np.int32], volume: TsdfVolume
    ) -> tuple[list[ColumnMap], NDArray[np.float32]]:
        """What the network is asked about each instance 1..max of ``labels`` (N,), and the values of all maps together; the
        cloud in the tote's frame."""
        count, chosen = int(labels.max(initial=0)), labels > 0
        args = (points[chosen], normals[chosen], labels[chosen], self._inner, volume, self._X_base_tote)
        values = np.empty((count, CHANNELS, CELLS, CELLS), np.float32)
        with ThreadPoolExecutor(self.config.threads) as pool:
            return list(pool.map(lambda k: column_map(k + 1, *args, values[k]), range(count))), values

    def _inferred(
        self, at: ColumnMap, columns: Columns, volume: TsdfVolume
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Surface points, normals and confidence in the tote's frame, where an item may be."""
        points, normals, confidence = surface_of(refine(columns), self.config.spacing_m)
        points = transform_points(at.X_tote_map, points)
        keep = possible(points, self._inner, volume, self._X_base_tote)
        if self._calibration:
            confidence = self._calibration(confidence)
        return points[keep], transform_vectors(at.X_tote_map, normals[keep]), confidence[keep]
