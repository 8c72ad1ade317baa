"""The simulator's cameras on their driver topics: each at its own rate, drawn only while somebody listens."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from pickcell.cell import CellConfig
from pickcell.values import CameraModel, RgbdFrame
from pickcell_conversions.drivers import DEPTH_ENCODINGS, camera_info_to_msg, color_to_msg, depth_to_msg
from pickcell_sim.driver import SimDriver
from pickcell_sim.vision.cameras import CameraFault
from pickcell_sim_bridge.pacing import Schedule

QOS = QoSProfile(depth=2)
"""Reliable, keep last 2: measured lossless at 30 Hz through a 16 MB shared-memory segment."""


@dataclass
class _Topics:
    schedule: Schedule
    color: Publisher
    depth: Publisher
    infos: tuple[Publisher, Publisher]
    """For colour and for depth, which is registered to colour: the same model."""

    @property
    def wanted(self) -> bool:
        """Somebody listens to an image."""
        return self.color.get_subscription_count() > 0 or self.depth.get_subscription_count() > 0


class CameraTopics:
    """Publishers of every camera of the cell. ``tick`` after each stretch of simulated time."""

    def __init__(self, node: Node, cell: CellConfig, depth_encoding: str) -> None:
        if depth_encoding not in DEPTH_ENCODINGS:
            raise ValueError(f"depth_encoding must be one of {list(DEPTH_ENCODINGS)}, got '{depth_encoding}'")
        self._encoding = depth_encoding
        self._topics: dict[str, _Topics] = {}
        self.published = 0
        for i, camera in enumerate(cell.cameras):
            # Spread over the period, so that the views are not all drawn in one stretch.
            phase_s = i / (len(cell.cameras) * camera.rate_hz)
            self._topics[camera.name] = _Topics(
                Schedule(camera.rate_hz, phase_s),
                node.create_publisher(Image, f"/{camera.name}/color/image_raw", QOS),
                node.create_publisher(Image, f"/{camera.name}/depth/image_rect_raw", QOS),
                (
                    node.create_publisher(CameraInfo, f"/{camera.name}/color/camera_info", QOS),
                    node.create_publisher(CameraInfo, f"/{camera.name}/depth/camera_info", QOS),
                ),
            )

    @property
    def watched(self) -> bool:
        """Somebody listens to some camera."""
        return any(topics.wanted for topics in self._topics.values())

    def tick(self, driver: SimDriver) -> None:
        """Take and publish the frames that are due now and wanted."""
        now_s = driver.now_s
        for name, topics in self._topics.items():
            if not topics.schedule.due(now_s):
                continue
            if topics.wanted:
                frame = driver.capture(name)
                if frame is not None:
                    self._publish(topics, frame)
            elif driver.cameras is not None and CameraFault.SILENT not in driver.cameras.faults(name):
                # As a real driver: the camera is there even if nobody looks, and drawing nothing costs nothing.
                self._publish_info(topics, driver.cell.camera(name).model, now_s)

    def _publish(self, topics: _Topics, frame: RgbdFrame) -> None:
        frame_id = frame.camera.frame_id
        self._publish_info(topics, frame.camera, frame.stamp_s)
        topics.color.publish(color_to_msg(frame.color, frame.stamp_s, frame_id))
        topics.depth.publish(depth_to_msg(frame.depth_m, frame.stamp_s, frame_id, self._encoding))
        self.published += 1

    def _publish_info(self, topics: _Topics, model: CameraModel, stamp_s: float) -> None:
        listened = [publisher for publisher in topics.infos if publisher.get_subscription_count() > 0]
        if listened:
            info = camera_info_to_msg(model, stamp_s)
            for publisher in listened:
                publisher.publish(info)
