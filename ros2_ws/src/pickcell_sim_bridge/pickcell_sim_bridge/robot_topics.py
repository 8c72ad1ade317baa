"""The robot's sensors on their driver topics, and the simulator's time on ``/clock``."""

from __future__ import annotations

from geometry_msgs.msg import WrenchStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import FluidPressure
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import Bool

from pickcell_conversions.drivers import joint_state_to_msg, time_msg, wrench_to_msg
from pickcell_node.qos import LATCHED
from pickcell_sim.driver import SimDriver

QOS = QoSProfile(depth=10)
PRESSURE_FRAME = "cup_link"


class RobotTopics:
    """Publishers of joints, wrench, pressure, stops and clock. ``publish`` after each stretch of simulated time."""

    def __init__(self, node: Node) -> None:
        self._clock = node.create_publisher(Clock, "/clock", QOS)
        self._joints = node.create_publisher(JointStateMsg, "/joint_states", QOS)
        self._wrench = node.create_publisher(WrenchStamped, "/wrist_wrench", QOS)
        self._pressure = node.create_publisher(FluidPressure, "/vacuum/pressure", QOS)
        self._stops = {name: node.create_publisher(Bool, f"/{name}", LATCHED) for name in ("estop", "protective_stop")}
        self._said: dict[str, bool] = {}

    def publish(self, driver: SimDriver) -> None:
        """Everything as it is now. The clock goes first, so that nobody gets a reading from the future."""
        stamp = time_msg(driver.now_s)
        self._clock.publish(Clock(clock=stamp))
        self._stop_topics(driver)
        self._joints.publish(joint_state_to_msg(driver.joint_states()))
        self._wrench.publish(wrench_to_msg(driver.wrench()))
        pressure = FluidPressure(fluid_pressure=driver.pressure_pa())
        pressure.header.stamp = stamp
        pressure.header.frame_id = PRESSURE_FRAME
        self._pressure.publish(pressure)

    def _stop_topics(self, driver: SimDriver) -> None:
        """Latched: published when they change, and once at the start."""
        for name, active in (("estop", driver.estop), ("protective_stop", driver.protective_stop)):
            if self._said.get(name) != active:
                self._said[name] = active
                self._stops[name].publish(Bool(data=active))
