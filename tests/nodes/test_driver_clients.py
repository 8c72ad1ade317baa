"""The clients of the drivers against hand-made topics and services, in this process: what goes wrong in the field."""

from __future__ import annotations

import pytest

pytest.importorskip("pickcell_drivers.cameras", reason="needs the built workspace")

import threading
import time

import numpy as np
from pickcell_conversions.drivers import camera_info_to_msg, color_to_msg, depth_to_msg
from pickcell_drivers.cameras import CameraSource, CameraSourceConfig
from pickcell_drivers.transforms import TransformBuffer
from rclpy.qos import QoSProfile
from ros_processes import CELL_FILE, free_domain, spinning_node, wait_until
from sensor_msgs.msg import CameraInfo, Image

from pickcell.cell import load_cell

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(60)]

CELL = load_cell(CELL_FILE)


@pytest.fixture
def node():
    with spinning_node(free_domain(), "driver_client", sim_time=False) as node:
        yield node


class FakeCamera:
    """Publishes one frame of a camera when told to."""

    def __init__(self, node, config, buffer: TransformBuffer) -> None:
        self._node, self._model = node, config.model
        buffer.set_static("base_link", config.model.frame_id, np.eye(4))
        qos, name = QoSProfile(depth=2), config.name
        self.color = node.create_publisher(Image, f"/{name}/color/image_raw", qos)
        self.depth = node.create_publisher(Image, f"/{name}/depth/image_rect_raw", qos)
        self.info = node.create_publisher(CameraInfo, f"/{name}/color/camera_info", qos)

    @property
    def listeners(self) -> int:
        return min(publisher.get_subscription_count() for publisher in (self.color, self.depth, self.info))

    def publish(self) -> None:
        stamp_s = self._node.get_clock().now().nanoseconds * 1e-9
        shape, frame = (self._model.height, self._model.width), self._model.frame_id
        self.info.publish(camera_info_to_msg(self._model, stamp_s))
        self.color.publish(color_to_msg(np.full((*shape, 3), 90, np.uint8), stamp_s, frame))
        self.depth.publish(depth_to_msg(np.full(shape, 0.8, np.float32), stamp_s, frame))


def test_the_cameras_are_not_left_in_the_middle_of_a_wait(node):
    """A loaded machine may take longer to draw a frame than idle topics linger."""
    config, buffer = CELL.cameras[0], TransformBuffer()
    camera = FakeCamera(node, config, buffer)
    source = CameraSource(node, [config], buffer, CameraSourceConfig(linger_s=0.3))
    listeners_when_published = []

    def publish_late() -> None:
        time.sleep(1.0)
        listeners_when_published.append(camera.listeners)
        camera.publish()

    late = threading.Thread(target=publish_late)
    late.start()
    frames, gaps = source.frames(0.0, 5.0)
    late.join()
    assert listeners_when_published == [1]
    assert set(frames) == {config.name} and gaps == ()
    wait_until(lambda: camera.listeners == 0, 5.0, "the topics are left when nobody waits any more")
