"""Node ``robot_state``: joint states in, transforms out; also the robot description and the cell's fixed frames.

Publishes ``/tf`` (movable joints), ``/tf_static`` (fixed joints, world, totes, calibrated cameras) and, latched,
``/robot_description``. Runs the same on hardware and in simulation.
"""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from pickcell.cell import CellConfig, load_cell
from pickcell.description import expand_urdf
from pickcell.geometry import Pose, inverse
from pickcell_conversions.drivers import nanoseconds, transform_to_msg
from pickcell_description.link_tree import LinkTree, parse_link_tree
from pickcell_node.main import run
from pickcell_node.qos import LATCHED
from tf2_msgs.msg import TFMessage

MOVED = 2e-4
"""Change of a joint (rad or m) that counts as motion: more than an encoder's noise, 0.2 mm at a metre's reach."""


def fixed_frames(cell: CellConfig, tree: LinkTree) -> list[tuple[str, str, Pose]]:
    """(parent, child, X_parent_child) of everything that does not move: world, fixed joints, totes, cameras.

    Camera poses are the calibrated ones of the cell file: in the world for fixed cameras, in tool0 for the wrist.
    """
    X_base_world = inverse(cell.X_world_base)
    frames = [("world", tree.root, cell.X_world_base)]
    frames += [(joint.parent, joint.child, joint.origin) for joint in tree.fixed]
    frames += [(tree.root, f"tote_{name}", cell.X_base_tote(name)) for name in cell.totes]
    for camera in cell.cameras:
        if camera.parent == "world":
            frames.append((tree.root, camera.model.frame_id, X_base_world @ camera.X_parent_camera))
        else:
            frames.append((camera.parent, camera.model.frame_id, camera.X_parent_camera))
    return frames


class RobotState(Node):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__("robot_state")
        cell_file = self.declare_parameter("cell", "").value
        self._still_period_ns = int(1e9 / self._positive("still_rate_hz", 20.0))
        self._moving_period_ns = int(1e9 / self._positive("moving_rate_hz", 100.0))
        cell = load_cell(cell_file)
        urdf = expand_urdf(cell)
        self._tree = parse_link_tree(urdf)
        self._positions: dict[str, float] = {}
        self._sent_positions: dict[str, float] = {}
        self._sent_ns = 0
        self._reported: set[str] = set()
        self._tf = self.create_publisher(TFMessage, "/tf", QoSProfile(depth=100))
        self._tf_static = self.create_publisher(TFMessage, "/tf_static", LATCHED)
        self._description = self.create_publisher(String, "/robot_description", LATCHED)
        self._description.publish(String(data=urdf))
        frames = fixed_frames(cell, self._tree)
        # Stamp zero: static transforms hold for all times, and simulation time has not begun yet.
        self._tf_static.publish(TFMessage(transforms=[transform_to_msg(X, a, b, Time()) for a, b, X in frames]))
        self.create_subscription(JointState, "/joint_states", self._on_joints, QoSProfile(depth=10))
        self.get_logger().info(f"{cell.name}: {len(self._tree.movable)} joints, {len(frames)} fixed frames")

    def _positive(self, name: str, default: float) -> float:
        value = float(self.declare_parameter(name, default).value)
        if not value > 0:
            raise ValueError(f"parameter {name} must be positive, got {value}")
        return value

    def _on_joints(self, msg: JointState) -> None:
        if len(msg.position) != len(msg.name) or not np.all(np.isfinite(msg.position)):
            self._report("joint state with uneven lengths or values that are not finite is left out")
            return
        self._positions.update(zip(msg.name, msg.position))
        stamp_ns = nanoseconds(msg.header.stamp)
        if not self._due(stamp_ns):
            return
        positions = self._tree.positions(self._positions)
        if len(positions) < len(self._tree.movable):
            missing = [joint.name for joint in self._tree.movable if joint.name not in positions]
            self._report(f"joint states do not tell {missing}: their links have no transform")
        self._tf.publish(TFMessage(transforms=self._transforms(positions, msg.header.stamp)))
        self._sent_ns, self._sent_positions = stamp_ns, dict(self._positions)

    def _transforms(self, positions: dict[str, float], stamp: Time) -> list[TransformStamped]:
        return [
            transform_to_msg(joint.transform(positions[joint.name]), joint.parent, joint.child, stamp)
            for joint in self._tree.movable
            if joint.name in positions
        ]

    def _due(self, stamp_ns: int) -> bool:
        """Full rate while something moves; a robot at rest needs fewer, since look-ups interpolate."""
        before = self._sent_positions
        moved = len(before) != len(self._positions) or any(
            abs(value - before[name]) > MOVED for name, value in self._positions.items()
        )
        elapsed = stamp_ns - self._sent_ns
        # 0.9: joint states come at their own rate, and a period that is missed by a hair would be missed by a whole one.
        return elapsed < 0 or elapsed >= 0.9 * (self._moving_period_ns if moved else self._still_period_ns)

    def _report(self, text: str) -> None:
        """Log a fault of the drivers once."""
        if text not in self._reported:
            self._reported.add(text)
            self.get_logger().error(text)


class RobotStateApp:
    """What the process runs."""

    def __init__(self) -> None:
        self.node = RobotState()

    def close(self) -> None:
        """Nothing moves and no thread runs."""


def main() -> None:
    raise SystemExit(run("robot_state", RobotStateApp))


if __name__ == "__main__":
    main()
