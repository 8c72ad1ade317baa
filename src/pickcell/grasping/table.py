"""Rated candidates of one tool as parallel arrays, and their way into values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pickcell.values import GraspCandidate, Tool

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class CandidateTable:
    """C candidates of one tool. Rows with a reason are rejected; their other figures are as far as they were measured."""

    tool: Tool
    poses: F64
    """(C, 4, 4) ``X_base_tcp``."""
    quality: F64
    width_m: F64
    opening_m: F64
    force_n: F64
    acceleration: F64
    scores: dict[str, F64]
    """Named parts of the quality, (C,) each, 0..1."""
    reason: NDArray[np.str_]
    measures: dict[str, F64] = field(default_factory=dict)
    """What chances are learned from, (C,) each; see :mod:`pickcell.grasping.measures`."""
    vacuum_pa: float = 0.0
    """Of all candidates; 0 for pinches, and for no limit."""
    cost_s: F64 = field(default_factory=lambda: np.zeros(0))
    """What trying each is expected to cost, (C,) seconds; empty before it is known."""

    def __post_init__(self) -> None:
        if len(self.cost_s) != len(self.poses):
            object.__setattr__(self, "cost_s", np.full(len(self.poses), np.nan))

    def __len__(self) -> int:
        return len(self.poses)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> CandidateTable:
        return CandidateTable(
            self.tool,
            self.poses[index],
            self.quality[index],
            self.width_m[index],
            self.opening_m[index],
            self.force_n[index],
            self.acceleration[index],
            {name: values[index] for name, values in self.scores.items()},
            self.reason[index],
            {name: values[index] for name, values in self.measures.items()},
            self.vacuum_pa,
            self.cost_s[index],
        )

    def dearer(self, by_s: F64 | float) -> CandidateTable:
        """The same with every cost raised."""
        return replace(self, cost_s=self.cost_s + by_s)

    def with_measures(self, of_item: dict[str, float]) -> CandidateTable:
        """The same, with measures that all rows share."""
        shared = {name: np.full(len(self), value) for name, value in of_item.items()}
        return replace(self, measures=self.measures | shared)

    def values(self, instance_id: int, standoff_m: float) -> list[GraspCandidate]:
        """As candidates, in this order; a rejected one has quality 0, and of its measures only the parts of its rating."""
        out = []
        for i in range(len(self)):
            rejection = str(self.reason[i])
            named = self.scores if rejection else self.scores | self.measures
            out.append(
                GraspCandidate(
                    tool=self.tool,
                    instance_id=instance_id,
                    X_base_tcp=self.poses[i].copy(),
                    quality=0.0 if rejection else float(np.clip(self.quality[i], 0.0, 1.0)),
                    width_m=float(self.width_m[i]),
                    opening_m=float(self.opening_m[i]),
                    force_n=float(self.force_n[i]),
                    vacuum_pa=self.vacuum_pa,
                    cost_s=float(self.cost_s[i]) if np.isfinite(self.cost_s[i]) else 0.0,
                    standoff_m=standoff_m,
                    max_acceleration_mps2=float(self.acceleration[i]),
                    scores={name: round(float(v[i]), 3) for name, v in named.items()},
                    rejection=rejection,
                )
            )
        return out


def concat(tables: list[CandidateTable]) -> CandidateTable:
    """Tables of one tool end to end. Raises ValueError for none or for mixed tools."""
    if not tables or len({t.tool for t in tables}) != 1:
        raise ValueError("concat() needs at least one table, all of the same tool")

    def join(name: str) -> F64:
        return np.concatenate([getattr(t, name) for t in tables])

    return CandidateTable(
        tables[0].tool,
        poses=join("poses"),
        quality=join("quality"),
        width_m=join("width_m"),
        opening_m=join("opening_m"),
        force_n=join("force_n"),
        acceleration=join("acceleration"),
        scores={name: np.concatenate([t.scores[name] for t in tables]) for name in tables[0].scores},
        reason=np.concatenate([t.reason for t in tables]),
        measures={name: np.concatenate([t.measures[name] for t in tables]) for name in tables[0].measures},
        vacuum_pa=tables[0].vacuum_pa,
        cost_s=join("cost_s"),
    )


def combine(scores: dict[str, F64], weights: dict[str, float]) -> F64:
    """Weighted geometric mean (C,) of scores 0..1: one bad part cannot be bought off by the others."""
    total = sum(weights.values())
    log_sum = sum(weights[name] * np.log(np.clip(scores[name], 1e-3, 1.0)) for name in weights)
    return np.asarray(np.exp(log_sum / total), dtype=np.float64)


def suppress(table: CandidateTable, limit: int, distance_m: float, tilt_rad: float, yaw_rad: float) -> NDArray[np.intp]:
    """Non-maximum suppression in pose space: indices of at most ``limit`` grasps, cheapest first, no two of them nearer than
    ``distance_m`` with approaches within ``tilt_rad`` and closing axes within ``yaw_rad``. A jaw turned by 180 degrees
    counts as the same; for the cup yaw plays no part."""
    order = np.argsort(table.cost_s, kind="stable")
    kept: list[int] = []
    for i in order:
        if len(kept) == limit:
            break
        if kept:
            k = table.poses[kept]
            near = np.linalg.norm(k[:, :3, 3] - table.poses[i, :3, 3], axis=1) < distance_m
            near &= k[:, :3, 2] @ table.poses[i, :3, 2] > np.cos(tilt_rad)
            if table.tool is Tool.PINCH:
                near &= np.abs(k[:, :3, 0] @ table.poses[i, :3, 0]) > np.cos(yaw_rad)
            if near.any():
                continue
        kept.append(int(i))
    return np.array(kept, dtype=np.intp)
