"""Node ``scene``: looks at both totes on request, and follows what it found. Services ``~/observe``, ``~/watch``; topics
``~/instances``, ``~/tracks``.

Two ROS nodes in one process: ``scene`` answers requests, ``scene_input`` receives images, each on a thread of its own, so
that images keep arriving while a request waits for them.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import rclpy
from pickcell_interfaces.msg import SceneInstances
from pickcell_interfaces.srv import ObserveScene, WatchScene
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from pickcell.catalogue import load_catalogue
from pickcell.cell import load_cell
from pickcell.completion.choose import COMPLETERS
from pickcell.description import expand_urdf
from pickcell.outcome import Code, Outcome
from pickcell.perception import PerceptionPipeline
from pickcell.segmentation.choose import SEGMENTERS
from pickcell.values import BASE_FRAME, RgbdFrame, Scene
from pickcell_conversions.drivers import seconds, time_msg
from pickcell_conversions.outcomes import manifest_from_msg, named_values_to_msg, outcome_to_msg
from pickcell_conversions.scenes import health_to_msg, scene_to_msg, summary_to_msg
from pickcell_drivers.cameras import CameraSourceConfig
from pickcell_node.heartbeat import HeartbeatPublisher
from pickcell_node.main import run
from pickcell_node.parameters import read_parameters
from pickcell_node.qos import LATCHED
from pickcell_node.serve import serve
from pickcell_perception.inputs import SceneInputs, gap_outcome
from pickcell_perception.watching import Watching


@dataclass(frozen=True)
class SceneParameters:
    """See config/scene.param.yaml."""

    cell: str
    catalogue: str
    segmentation: str
    completion: str
    frame_timeout_s: float
    join_timeout_s: float
    image_linger_s: float
    images_reliable: bool
    tolerated_missing_cameras: int
    watch_rate_hz: float

    def __post_init__(self) -> None:
        if not 0 < self.frame_timeout_s <= self.join_timeout_s:
            raise ValueError(
                f"0 < frame_timeout_s <= join_timeout_s is needed, got {self.frame_timeout_s} and {self.join_timeout_s}"
            )
        if self.segmentation not in SEGMENTERS:
            raise ValueError(f"segmentation must be one of {', '.join(SEGMENTERS)}, got '{self.segmentation}'")
        if self.completion not in COMPLETERS:
            raise ValueError(f"completion must be one of {', '.join(COMPLETERS)}, got '{self.completion}'")
        if self.tolerated_missing_cameras < 0:
            raise ValueError(f"tolerated_missing_cameras must be >= 0, got {self.tolerated_missing_cameras}")
        if not 0 < self.watch_rate_hz <= 100:
            raise ValueError(f"0 < watch_rate_hz <= 100 is needed, got {self.watch_rate_hz}")


class SceneApp:
    """The process: both nodes, the inputs' executor, and the pipeline of the core."""

    def __init__(self) -> None:
        self.node = Node("scene")
        self.parameters = read_parameters(self.node, SceneParameters)
        cell = load_cell(self.parameters.cell)
        catalogue = load_catalogue(self.parameters.catalogue) if self.parameters.catalogue else load_catalogue()
        self._pipeline = PerceptionPipeline(
            cell,
            expand_urdf(cell),
            catalogue,
            segmentation=self.parameters.segmentation,
            completion=self.parameters.completion,
        )
        self._input_node = Node("scene_input")
        source = CameraSourceConfig(linger_s=self.parameters.image_linger_s, reliable=self.parameters.images_reliable)
        self._inputs = SceneInputs(self._input_node, cell, source)
        self._looked: float | None = None
        self._instances = self.node.create_publisher(SceneInstances, "~/instances", LATCHED)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._input_node)
        self._receiver = threading.Thread(target=self._receive, name="scene-input", daemon=True)
        self._receiver.start()
        self._heartbeat = HeartbeatPublisher(self.node, self._inputs.watch.rates)
        self._watching = Watching(self.node, self._pipeline, self._inputs, self.parameters.watch_rate_hz, self._now_s)
        serve(self.node, self._heartbeat, ObserveScene, "~/observe", self.observe)
        serve(self.node, self._heartbeat, WatchScene, "~/watch", self._watching.serve)
        self.node.get_logger().info(f"{cell.name}: {[camera.name for camera in cell.cameras]}")

    def _receive(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, rclpy.executors.ShutdownException):
            pass

    def close(self) -> None:
        self._heartbeat.close()
        self._executor.shutdown(timeout_sec=0.5)
        self._input_node.destroy_node()

    def observe(self, request: ObserveScene.Request, response: ObserveScene.Response) -> Outcome[Scene]:
        """Fill ``response.scene``. Also publishes what was found, and a failure to find anything."""
        self._watching.stop()
        outcome = self._look(request)
        self._publish(outcome)
        if outcome.value is not None:  # an empty tote still has views and height maps
            response.scene = scene_to_msg(outcome.value, request.with_views)
        return outcome

    def _look(self, request: ObserveScene.Request) -> Outcome[Scene]:
        manifest = manifest_from_msg(request.manifest)
        if not manifest.ok:
            return manifest.failed_as()
        frames = self._frames(seconds(request.not_before))
        if not frames.ok:
            return frames.failed_as()
        images = frames.unwrap()
        stamps = [frame.stamp_s for frame in images]
        oldest_s = min(stamps)
        # An image may overtake the clock message of its moment: time is never before the newest capture.
        now_s = max(self._now_s(), *stamps)
        joints = self._inputs.joints.state(oldest_s, self.parameters.frame_timeout_s)
        if joints is None:
            return Outcome.failure(Code.NODE_LOST, "/joint_states is silent: where the arm stands in the images is unknown.")
        return self._pipeline.observe(images, joints, manifest.unwrap(), now_s)

    def _patience_s(self) -> float:
        """Wall time to wait for images: longer when their topics have to be joined first."""
        linger_s = self.parameters.image_linger_s
        joined = self._looked is not None and (linger_s == 0 or time.monotonic() - self._looked < linger_s)
        return self.parameters.frame_timeout_s if joined else self.parameters.join_timeout_s

    def _now_s(self) -> float:
        """Cell time by the input's clock, which runs on while a request keeps this node's executor busy."""
        return self._input_node.get_clock().now().nanoseconds * 1e-9

    def _frames(self, not_before_s: float) -> Outcome[list[RgbdFrame]]:
        """New frames of all cameras, or of enough of them. The failure names the cameras that do not deliver."""
        oldest_s = max(not_before_s, self._now_s() - min(c.max_age_s for c in self._pipeline.cell.cameras))
        frames, gaps = self._inputs.cameras.frames(oldest_s, self._patience_s())
        self._looked = time.monotonic()
        end = time.monotonic() + self.parameters.frame_timeout_s
        while any(gap.code is Code.NODE_LOST for gap in gaps) and time.monotonic() < end:
            # No transform for an image: as right after a start, when images came first. Newer ones will have theirs.
            time.sleep(0.05)
            frames, gaps = self._inputs.cameras.frames(self._now_s(), self.parameters.frame_timeout_s)
        if frames and len(gaps) <= self.parameters.tolerated_missing_cameras:
            return Outcome.success(list(frames.values()))
        return gap_outcome(gaps)

    def _publish(self, outcome: Outcome[Scene]) -> None:
        msg = SceneInstances(outcome=outcome_to_msg(outcome))
        msg.header.frame_id = BASE_FRAME
        if (scene := outcome.value) is not None:
            msg.header.stamp = time_msg(scene.stamp_s)
            msg.instances = [summary_to_msg(instance) for instance in scene.instances]
            msg.cameras = [health_to_msg(health) for health in scene.cameras]
            msg.timings_ms = named_values_to_msg(scene.timings_ms)
        else:
            msg.header.stamp = time_msg(self._now_s())
        self._instances.publish(msg)


def main() -> None:
    raise SystemExit(run("scene", SceneApp))


if __name__ == "__main__":
    main()
