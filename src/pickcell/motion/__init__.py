"""Motion without ROS: kinematics, collision, planning, trajectories. See docs/motion.md."""

from pickcell.motion.model import RobotModel

__all__ = ["RobotModel"]
