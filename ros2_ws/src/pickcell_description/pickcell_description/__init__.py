"""The robot's description in ROS: transforms from joint states."""
