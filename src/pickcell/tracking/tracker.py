"""Follow items from one full look on: each stays the same item while it is shoved, and while something hides it.

An item is the points that were seen of it. At each update its points are held where it last was against the new depth and
colour pictures. Where they agree it has not moved; where something nearer hides them nothing is known and it stays; where
they were looked through it is searched for around its last place, coarse to fine, by the same agreement. Nothing is
segmented anew, so that identities cannot swap by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pickcell.geometry import Pose
from pickcell.tracking.agreement import COLOR_BLIND, Agreement, Sights, agreement, agreements, claim
from pickcell.tracking.config import TrackingConfig
from pickcell.values import Instance, PointCloud, Track, TrackState

UP = np.array([0.0, 0.0, 1.0])
_LEVELS = 4
_ROUNDS = 6
_LIFTS = (-3.0, -2.0, -1.0, 0.0, 1.0)
"""Steps up and down of the coarse search: what is shoved falls further than it is lifted."""
_CLIMBS = 2
"""As many of the coarse search's best places are refined."""
_START_DETAIL = 60
"""Points that take part in the coarse search."""
_FINE_DETAIL = 120


@dataclass(frozen=True)
class _Model:
    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    lab: NDArray[np.float64]
    in_sight: int = 1
    """Points in sight at the start."""
    score: float = 1.0
    """How well they agreed then: dark and shiny things never agree well."""
    misses: int = 0
    """Searches in a row that did not find it."""


class Tracker:
    """Follows the instances of one scene. Not thread-safe: one call at a time."""

    def __init__(self, config: TrackingConfig | None = None) -> None:
        self.config = config or TrackingConfig()
        self._models: dict[int, _Model] = {}
        self._tracks: dict[int, Track] = {}

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The last update's, in the order of their ids."""
        return tuple(self._tracks[i] for i in sorted(self._tracks))

    def start(self, instances: Sequence[Instance], sights: Sights) -> None:
        """Follow these from now on; what was followed before is forgotten. ``sights``: what they were found in. Instances
        without points are left out."""
        self._models = {each.id: self._model(each.visible) for each in instances if len(each.visible)}
        for i, model in self._models.items():
            here = self._agree(i, np.eye(4), sights)
            self._models[i] = replace(model, in_sight=max(here.in_sight, 1), score=here.score)
        self._tracks = {i: Track(i, np.eye(4), TrackState.STILL, 1.0) for i in self._models}

    def cloud(self, instance_id: int) -> NDArray[np.float64]:
        """(N, 3) an item's points where it is now. Raises KeyError for an id that is not followed."""
        X = self._tracks[instance_id].X_base_start
        return np.asarray(self._models[instance_id].points @ X[:3, :3].T + X[:3, 3])

    def update(self, sights: Sights, only: Iterable[int] | None = None) -> tuple[Track, ...]:
        """Look again. ``only``: ids to follow in this update, all unless given. Raises KeyError for unknown ones."""
        ids = sorted(self._models) if only is None else list(only)
        with ThreadPoolExecutor(self.config.threads) as pool:
            found = dict(zip(ids, pool.map(lambda i: self._where_it_was(i, sights), ids)))
            self._tracks |= {i: track for i, track in found.items() if track is not None}
            for i, track in found.items():
                if track is not None and track.state is TrackState.STILL:
                    claim(sights, i, self.cloud(i), self.config.near_m)
            missing = [i for i, track in found.items() if track is None]
            self._tracks |= dict(zip(missing, pool.map(lambda i: self._search_for(i, sights), missing)))
        return self.tracks

    def _model(self, visible: PointCloud) -> _Model:
        step = max(1, len(visible) // self.config.points)
        rows = np.arange(0, len(visible), step)
        rgb = np.ascontiguousarray(visible.colors[rows][None])
        lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0].astype(np.float64)
        return _Model(visible.points[rows].astype(np.float64), visible.normals[rows].astype(np.float64), lab)

    def _where_it_was(self, i: int, sights: Sights) -> Track | None:
        """The track when the item is where it was, or hidden there; None when it has to be searched for."""
        config, model, last = self.config, self._models[i], self._tracks[i]
        here = self._agree(i, last.X_base_start, sights)
        if here.in_sight < max(config.seen_points, config.seen_share * model.in_sight):
            if here.behind_robot > max(here.hidden, here.in_sight):
                return replace(last, state=TrackState.HIDDEN, score=here.score)
            if last.state is TrackState.HIDDEN and here.hidden > here.in_sight:  # it was searched for when it went
                return replace(last, score=here.score)
        elif here.score >= min(config.still_score, config.still_share * model.score):
            self._models[i] = replace(model, misses=0)
            return replace(last, state=TrackState.STILL, score=here.score)
        return None

    def _search_for(self, i: int, sights: Sights) -> Track:
        config, model, last = self.config, self._models[i], self._tracks[i]
        near, far = (config.reach_m, config.grid_m), (config.far_reach_m, config.far_grid_m)
        ways = [(near, config.color_scale, config.kept_score), (far, config.color_scale, config.far_score),
                (near, COLOR_BLIND, config.blind_score)]  # fmt: skip  # a can that rolls shows another side
        if model.misses:  # it was not to be found in any way: one way per update, so that watching keeps its pace
            ways = [ways[model.misses % len(ways)]]
        for (reach, grid), color_scale, enough in ways:
            found, at = self._search(i, sights, reach, grid, color_scale)
            if at.score >= enough and at.in_sight >= config.seen_points:
                self._models[i] = replace(model, misses=0)
                return Track(i, found, TrackState.MOVED, at.score)
        self._models[i] = replace(model, misses=model.misses + 1)
        here = self._agree(i, last.X_base_start, sights)
        covered = here.hidden + here.behind_robot
        state = TrackState.HIDDEN if covered > 2 * here.in_sight else TrackState.LOST
        return replace(last, state=state, score=here.score)

    def _agree(self, i: int, X: Pose, sights: Sights, color_scale: float | None = None) -> Agreement:
        c, model = self.config, self._models[i]
        scale = color_scale or c.color_scale
        return agreement(X, model.points, model.normals, model.lab, sights, i, c.near_m, c.noise_at_1m, scale)

    def _values(
        self, i: int, poses: NDArray[np.float64], sights: Sights, color_scale: float, step: int = 1
    ) -> NDArray[np.float64]:
        """(P,) worth of supposed motions: agreement, and as much in sight as at the start."""
        c, model = self.config, self._models[i]
        part = (model.points[::step], model.normals[::step], model.lab[::step])
        told = agreements(poses, *part, sights, i, c.near_m, c.noise_at_1m, color_scale)
        share = np.minimum(told[:, 1:].sum(axis=1) * step / model.in_sight, 1.0)
        few = np.minimum(told[:, 1] * step / c.seen_points, 1.0)
        return np.asarray(told[:, 0] * few * (0.5 + 0.5 * share))

    def _search(self, i: int, sights: Sights, reach_m: float, grid_m: float, color_scale: float) -> tuple[Pose, Agreement]:
        """The best place around the last one, and how well it agrees there."""
        c, model, X = self.config, self._models[i], self._tracks[i].X_base_start
        centre = model.points.mean(axis=0) @ X[:3, :3].T + X[:3, 3]
        n = round(reach_m / grid_m)
        steps = grid_m * np.arange(-n, n + 1)
        lifts, turns = c.grid_m * np.array(_LIFTS), c.turn_rad * np.array([-1.0, 0.0, 1.0])
        dx, dy, dz, turn = (g.ravel() for g in np.meshgrid(steps, steps, lifts, turns, indexing="ij"))
        poses = _moved(X, centre, np.column_stack([dx, dy, dz]), turn[:, None] * UP)
        values = self._values(i, poses, sights, color_scale, max(1, len(model.points) // _START_DETAIL))
        values -= c.distance_cost * np.hypot(dx, dy) / c.reach_m
        climbed = [self._refine(i, poses[k], sights, color_scale) for k in np.argsort(-values)[:_CLIMBS]]
        best = max(climbed, key=lambda each: each[1])[0]
        return best, self._agree(i, best, sights, color_scale)

    def _refine(self, i: int, X: Pose, sights: Sights, color_scale: float) -> tuple[Pose, float]:
        """Climb along and about the axes, with halving steps; the place and its worth."""
        model, shift, turn = self._models[i], self.config.fine_m, self.config.fine_rad
        detail = max(1, len(model.points) // _FINE_DETAIL)
        value = float(self._values(i, X[None], sights, color_scale, detail)[0])
        ways = np.vstack([np.eye(6), -np.eye(6)])
        for _ in range(_LEVELS):
            for _ in range(_ROUNDS):
                centre = model.points.mean(axis=0) @ X[:3, :3].T + X[:3, 3]
                poses = _moved(X, centre, shift * ways[:, :3], turn * ways[:, 3:])
                values = self._values(i, poses, sights, color_scale, detail)
                k = int(values.argmax())
                if values[k] <= value + 1e-4:
                    break
                X, value = poses[k], float(values[k])
            shift, turn = 0.5 * shift, 0.5 * turn
        return X, value


def _moved(
    X: Pose, centre: NDArray[np.float64], shifts: NDArray[np.float64], turns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(P, 4, 4) a motion followed by turns (P, 3; rotation vectors) about a point and shifts (P, 3)."""
    R = Rotation.from_rotvec(turns).as_matrix()
    out = np.tile(np.eye(4), (len(shifts), 1, 1))
    out[:, :3, :3] = R @ X[:3, :3]
    out[:, :3, 3] = R @ (X[:3, 3] - centre) + centre + shifts
    return out
