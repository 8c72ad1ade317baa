"""Following the items of the last look at camera rate: service ``~/watch``, topic ``~/tracks``."""

from __future__ import annotations

import time

from pickcell_interfaces.msg import SceneTracks
from pickcell_interfaces.srv import WatchScene
from rclpy.node import Node
from rclpy.qos import QoSProfile

from pickcell.outcome import Code, Outcome
from pickcell.perception import PerceptionPipeline
from pickcell.tracking import Watched
from pickcell.values import BASE_FRAME
from pickcell_conversions.drivers import time_msg
from pickcell_conversions.outcomes import named_values_to_msg, outcome_to_msg
from pickcell_conversions.scenes import health_to_msg, track_to_msg
from pickcell_perception.inputs import SceneInputs

FRAMES_S = 0.05
"""An update waits so long, wall time, for images that are newer than the last ones; requests wait with it."""


class Watching:
    """Updates on a timer of the node that answers requests, so that a look and an update never run at once."""

    def __init__(self, node: Node, pipeline: PerceptionPipeline, inputs: SceneInputs, rate_hz: float) -> None:
        self._node, self._pipeline, self._inputs = node, pipeline, inputs
        self._ids: tuple[int, ...] = ()
        self._seen_s = float("-inf")
        self._tracks = node.create_publisher(SceneTracks, "~/tracks", QoSProfile(depth=1))
        self._timer = node.create_timer(1.0 / rate_hz, self._update)
        self._timer.cancel()

    def serve(self, request: WatchScene.Request, response: WatchScene.Response) -> Outcome[None]:
        """Start or stop."""
        self.stop()
        if not request.follow:
            return Outcome.success(None)
        ids, followed = tuple(request.ids), self._pipeline.ids
        if not followed:
            return Outcome.failure(Code.SCENE_EMPTY, "There is nothing to follow: look at the cell first.")
        if unknown := sorted(set(ids) - set(followed)):
            return Outcome.failure(Code.ITEM_NOT_FOUND, f"No instances {unknown} in the last look; it has {list(followed)}.")
        self._ids = ids
        self._inputs.cameras.listen()
        self._timer.reset()
        return Outcome.success(None)

    def stop(self) -> None:
        """No more updates, as before a look, which starts anew."""
        self._timer.cancel()

    def _update(self) -> None:
        began = time.perf_counter()
        newest = self._inputs.cameras.frames(self._seen_s + 1e-6, FRAMES_S)[0]
        if not newest:
            return
        frames = list(newest.values())
        stamps = [frame.stamp_s for frame in frames]
        joints = self._inputs.joints.state(min(stamps), FRAMES_S)
        if joints is None:
            text = "/joint_states is silent: where the arm stands in the images is unknown."
            return self._publish(Outcome.failure(Code.NODE_LOST, text), max(stamps))
        self._seen_s = min(stamps)
        outcome = self._pipeline.watch(frames, joints, max(stamps), self._ids or None)
        self._publish(outcome, max(stamps), 1e3 * (time.perf_counter() - began))

    def _publish(self, outcome: Outcome[Watched], now_s: float, took_ms: float = 0.0) -> None:
        msg = SceneTracks(outcome=outcome_to_msg(outcome))
        msg.header.frame_id = BASE_FRAME
        msg.header.stamp = time_msg(now_s)
        if (watched := outcome.value) is not None:
            msg.header.stamp = time_msg(watched.stamp_s)
            msg.tracks = [track_to_msg(track) for track in watched.tracks]
            msg.cameras = [health_to_msg(health) for health in watched.cameras]
            msg.timings_ms = named_values_to_msg({**watched.timings_ms, "watch_update": took_ms})
        self._tracks.publish(msg)
