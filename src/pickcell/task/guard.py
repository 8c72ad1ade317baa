"""Eyes open on the way to a grasp: is the item still where it was chosen, and is the way still free?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pickcell.geometry import rotation_angle, transform_points
from pickcell.outcome import Code, Outcome
from pickcell.ports import CellPorts
from pickcell.task.stages import Watch
from pickcell.values import ApproachPlan, JointTrajectory, RobotReading, Scene, Track, TrackState, Watched


@dataclass(frozen=True)
class GuardConfig:
    """When to interfere."""

    period_s: float = 0.1
    """Cell time between two glances: about what cameras and tracking deliver."""
    moved_m: float = 0.012
    """A target that is seen so far from where it was chosen is chosen anew."""
    moved_rad: float = 0.3
    agreeing: int = 2
    """Glances in a row that have to say so."""


class ApproachGuard:
    """Watches one approach, from its free motion to contact. Blind where nobody can watch: the motion then goes on."""

    def __init__(self, ports: CellPorts, config: GuardConfig, scene: Scene, plan: ApproachPlan) -> None:
        self._ports = ports
        self._config = config
        self._plan = plan
        target = scene.instance(plan.candidate.instance_id)
        self._centre = target.shape.X_base_box[:3, 3]
        self._awake = ports.scene.follow((target.id,)).ok
        self._next_s = -np.inf
        self._votes = {Code.TARGET_MOVED: 0, Code.PATH_BLOCKED: 0}

    def along(self, trajectory: JointTrajectory, inner: Watch, way: bool) -> Watch:
        """``inner`` and the guard together, for one leg. ``way``: it is free motion, whose way is watched as well."""
        began_s = self._ports.clock.now_s()

        def watch(reading: RobotReading) -> Outcome[None]:
            verdict = inner(reading)
            now_s = self._ports.clock.now_s()
            if not verdict.ok or not self._awake or now_s < self._next_s:
                return verdict
            self._next_s = now_s + self._config.period_s
            return self._glance(trajectory, now_s - began_s, way)

        return watch

    def close(self) -> None:
        """Nobody needs to watch any more."""
        if self._awake:
            self._awake = False
            self._ports.scene.follow(())

    def _glance(self, trajectory: JointTrajectory, elapsed_s: float, way: bool) -> Outcome[None]:
        seen = self._ports.scene.glance()
        if seen is None:  # nothing new
            return Outcome.success(None)
        if seen.value is None:  # nothing to be seen: no reason to stop
            self._votes = dict.fromkeys(self._votes, 0)
            return Outcome.success(None)
        moved = self._target_moved(seen.value)
        if not moved.ok:
            return moved
        if not way or seen.value.occupancy is None:
            return Outcome.success(None)
        free = self._ports.motion.still_free(trajectory, elapsed_s, seen.value.occupancy, self._plan.candidate)
        return self._agreed(Code.PATH_BLOCKED, not free.ok, free.text)

    def _target_moved(self, seen: Watched) -> Outcome[None]:
        track = next((t for t in seen.tracks if t.id == self._plan.candidate.instance_id), None)
        if track is None or track.state is TrackState.HIDDEN:  # the hand itself hides it in the end
            return self._agreed(Code.TARGET_MOVED, False, "")
        if track.state is TrackState.LOST:
            return self._agreed(Code.TARGET_MOVED, True, "It is no longer where it was.")
        way_m = self._way(track)
        far = way_m > self._config.moved_m or rotation_angle(track.X_base_start) > self._config.moved_rad
        return self._agreed(Code.TARGET_MOVED, far, f"By {1e3 * way_m:.0f} mm.")

    def _way(self, track: Track) -> float:
        now = transform_points(track.X_base_start, self._centre[None])[0]
        return float(np.linalg.norm(now - self._centre))

    def _agreed(self, code: Code, said: bool, text: str) -> Outcome[None]:
        """A failure once enough glances in a row have said so."""
        self._votes[code] = self._votes[code] + 1 if said else 0
        if self._votes[code] < self._config.agreeing:
            return Outcome.success(None)
        return Outcome.failure(code, text)
