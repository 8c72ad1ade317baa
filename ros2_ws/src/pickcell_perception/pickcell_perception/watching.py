"""Following the items of the last look at camera rate: service ``~/watch``, topic ``~/tracks``."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

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
from pickcell_perception.inputs import SceneInputs, gap_outcome

FRAMES_S = 0.05
"""An update waits so long at most, wall time, for images and joints of their moment; requests wait with it."""
SILENCE_SAID_S = 1.0
"""When no camera delivers, that is said so often."""


class Watching:
    """Updates on a timer of the node that answers requests, so that a look and an update never run at once."""

    def __init__(
        self, node: Node, pipeline: PerceptionPipeline, inputs: SceneInputs, rate_hz: float, now_s: Callable[[], float]
    ) -> None:
        """``now_s``: cell time."""
        self._node, self._pipeline, self._inputs, self._now_s = node, pipeline, inputs, now_s
        self._max_age_s = max(camera.max_age_s for camera in pipeline.cell.cameras)
        self._ids: tuple[int, ...] = ()
        self._seen: dict[str, float] = {}
        """Camera -> stamp of the newest image that an update was of."""
        self._said_s = self._began_s = 0.0
        self._tracks = node.create_publisher(SceneTracks, "~/tracks", QoSProfile(depth=1))
        self._timer = node.create_timer(1.0 / rate_hz, self._tick)
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
        self._ids, self._seen, self._said_s, self._began_s = ids, {}, time.monotonic(), self._now_s()
        self._inputs.cameras.listen()
        self._timer.reset()
        return Outcome.success(None)

    def stop(self) -> None:
        """No more updates, as before a look, which starts anew."""
        self._timer.cancel()

    def _tick(self) -> None:
        """An update; what goes wrong in it ends the watching, not the node."""
        try:
            self._update()
        except Exception as error:
            self.stop()
            self._node.get_logger().error(f"~/watch: {traceback.format_exc()}")
            self._publish(Outcome.failure(Code.INTERNAL_ERROR, f"Watching has ended: {type(error).__name__}: {error}"))

    def _update(self) -> None:
        began, cameras = time.perf_counter(), self._inputs.cameras
        self._inputs.cameras.listen()
        newest = cameras.newest_stamps()
        if not any(stamp > self._seen.get(name, float("-inf")) for name, stamp in newest.items()):
            return self._say_silence()
        frames, gaps = cameras.frames(self._now_s() - self._max_age_s, FRAMES_S)
        if not frames:
            return self._publish(gap_outcome(gaps))
        stamps = {name: frame.stamp_s for name, frame in frames.items()}
        joints = self._inputs.joints.state(min(stamps.values()), FRAMES_S)
        if joints is None:
            text = "/joint_states is silent: where the arm stands in the images is unknown."
            return self._publish(Outcome.failure(Code.NODE_LOST, text))
        self._seen |= stamps
        self._said_s = time.monotonic()
        now_s = max(self._now_s(), *stamps.values())
        outcome = self._pipeline.watch(list(frames.values()), joints, now_s, self._ids or None)
        self._publish(outcome, 1e3 * (time.perf_counter() - began))

    def _say_silence(self) -> None:
        """No image is new. After a while that is a failure."""
        age_s = self._now_s() - max(self._seen.values(), default=self._began_s)
        if age_s > self._max_age_s and time.monotonic() - self._said_s > SILENCE_SAID_S:
            self._said_s = time.monotonic()
            self._publish(Outcome.failure(Code.CAMERA_STALE, f"No camera has delivered a new image for {age_s:.1f} s."))

    def _publish(self, outcome: Outcome[Watched], took_ms: float = 0.0) -> None:
        msg = SceneTracks(outcome=outcome_to_msg(outcome))
        msg.header.frame_id = BASE_FRAME
        msg.header.stamp = time_msg(self._now_s())
        msg.cameras = [health_to_msg(health) for health in self._pipeline.cameras]
        if (watched := outcome.value) is not None:
            msg.header.stamp = time_msg(watched.stamp_s)
            msg.tracks = [track_to_msg(track) for track in watched.tracks]
            msg.timings_ms = named_values_to_msg({**watched.timings_ms, "watch_update": took_ms})
        self._tracks.publish(msg)
