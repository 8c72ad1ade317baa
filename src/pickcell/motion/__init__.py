"""Motion without ROS: kinematics, collision, planning, trajectories. See docs/motion.md."""

from pickcell.motion.config import MotionConfig
from pickcell.motion.interpolate import resample, sample
from pickcell.motion.model import RobotModel
from pickcell.motion.planner import MotionPlanner
from pickcell.motion.solver import IkSolver
from pickcell.motion.warm import warm

__all__ = ["IkSolver", "MotionConfig", "MotionPlanner", "RobotModel", "resample", "sample", "warm"]
