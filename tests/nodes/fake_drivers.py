"""Arm, hand and sensors without physics, as a process: the jaw holds something whenever it closes. Wall-clock time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import rclpy
from geometry_msgs.msg import WrenchStamped
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import FluidPressure, JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from control_msgs.action import FollowJointTrajectory, ParallelGripperCommand
from pickcell.cell import load_cell
from pickcell_conversions.drivers import seconds

CELL = load_cell(Path(__file__).resolve().parents[2] / "config/cells/panda.yaml")
RATE_HZ = 40.0
HAND_N = 12.0
ITEM_KG = 0.1
ITEM_M = 0.04


class FakeDrivers(Node):
    def __init__(self) -> None:
        super().__init__("fake_drivers")
        self._width = CELL.hand.opening_max_m
        self._holds = False
        self._moving = threading.Event()
        group = ReentrantCallbackGroup()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._stops = [self.create_publisher(Bool, topic, latched) for topic in ("/estop", "/protective_stop")]
        for publisher in self._stops:
            publisher.publish(Bool(data=False))
        self._joints = self.create_publisher(JointState, "/joint_states", 10)
        self._wrench = self.create_publisher(WrenchStamped, "/wrist_wrench", 10)
        self._pressure = self.create_publisher(FluidPressure, "/vacuum/pressure", 10)
        self.create_timer(1.0 / RATE_HZ, self._publish)
        self.create_service(SetBool, "/vacuum/set", self._set_vacuum)
        common = {"cancel_callback": lambda goal: CancelResponse.ACCEPT, "callback_group": group}
        arm, gripper = "/arm_controller/follow_joint_trajectory", "/gripper_controller/gripper_cmd"
        ActionServer(self, FollowJointTrajectory, arm, self._move, **common)
        ActionServer(self, ParallelGripperCommand, gripper, self._grip, **common)

    def _publish(self) -> None:
        stamp = self.get_clock().now().to_msg()
        joints = JointState(name=[*CELL.arm.joints, *CELL.hand.jaw_joints, CELL.hand.cup_joint])
        joints.header.stamp = stamp
        joints.position = [*CELL.arm.home, self._width / 2, self._width / 2, 0.0]
        joints.velocity = [0.0] * len(joints.name)
        joints.effort = [0.0] * len(joints.name)
        self._joints.publish(joints)
        wrench = WrenchStamped()
        wrench.header.stamp = stamp
        wrench.wrench.force.z = HAND_N + (9.81 * ITEM_KG if self._holds else 0.0)
        self._wrench.publish(wrench)
        pressure = FluidPressure(fluid_pressure=101_325.0)
        pressure.header.stamp = stamp
        self._pressure.publish(pressure)

    def _set_vacuum(self, _: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = True
        return response

    def _move(self, goal) -> FollowJointTrajectory.Result:
        end = time.monotonic() + seconds(goal.request.trajectory.points[-1].time_from_start)
        while time.monotonic() < end:
            if goal.is_cancel_requested:
                self.get_logger().info("arm: cancelled")
                goal.canceled()
                return FollowJointTrajectory.Result()
            time.sleep(0.01)
        goal.succeed()
        return FollowJointTrajectory.Result()

    def _grip(self, goal) -> ParallelGripperCommand.Result:
        width = 2.0 * goal.request.command.position[0]
        closing = width < ITEM_M
        self._holds = closing
        self._width = max(width, ITEM_M) if closing else width
        time.sleep(0.03)
        goal.succeed()
        return ParallelGripperCommand.Result(stalled=closing, reached_goal=not closing)


if __name__ == "__main__":
    rclpy.init()
    executor = MultiThreadedExecutor(num_threads=6)
    executor.add_node(FakeDrivers())
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
